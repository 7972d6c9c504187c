#include "enumerate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PATTERN 0xA5

void enumerate_info(struct session *session)
{
    struct call call = session_call(session, "GetHandlerInfo");
    SYNCMGRHANDLERINFO *info = NULL;
    HRESULT result = ISyncMgrSynchronize_GetHandlerInfo(session->handler, &info);
    struct text line = session_line(session, "GetHandlerInfo");

    text_add(&line, " -> 0x%08lX", result);
    if (info == NULL) {
        text_add(&line, " [NULL]");
    } else {
        text_add(&line, " [cbSize=%lu flags=0x%lx icon=%s name=", info->cbSize,
                 info->SyncMgrHandlerFlags, info->hIcon != NULL ? "yes" : "no");
        text_add_array(&line, info->wszHandlerName, MAX_SYNCMGRHANDLERNAME);
        text_add(&line, "]");
    }
    session_log(session, &line);
    session_returned(session, call);
    if (result == S_OK && info == NULL)
        session_rule_broken(session, "GetHandlerInfo succeeded without a structure");
    CoTaskMemFree(info);
}

static void log_item(struct session *session, const SYNCMGRITEM *item)
{
    struct text line = session_line(session, "item");

    text_add(&line, " ");
    text_add_guid(&line, &item->ItemID);
    text_add(&line, " name=");
    text_add_array(&line, item->wszItemName, MAX_SYNCMGRITEMNAME);
    text_add(&line, " flags=0x%lx state=%lu cbSize=%lu icon=%s last=", item->dwFlags,
             item->dwItemState, item->cbSize, item->hIcon != NULL ? "yes" : "no");
    if (item->dwFlags & SYNCMGRITEM_LASTUPDATETIME) {
        SYSTEMTIME time;

        if (FileTimeToSystemTime(&item->ftLastUpdate, &time))
            text_add(&line, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", time.wYear, time.wMonth,
                     time.wDay, time.wHour, time.wMinute, time.wSecond, time.wMilliseconds);
        else
            text_add(&line, "INVALID");
    } else {
        text_add(&line, "none");
    }
    session_log(session, &line);
}

static bool has_pattern(const SYNCMGRITEM *item)
{
    const uint8_t *bytes = (const uint8_t *)item;

    for (size_t i = 0; i < sizeof *item; i++) {
        if (bytes[i] != PATTERN)
            return false;
    }
    return true;
}

ULONG enumerate_next(struct session *session, ISyncMgrEnumItems *enumerator, ULONG count,
                     SYNCMGRITEM *items)
{
    bool without_count = session->options->celt_null;
    struct call call = session_call(session, "Next");
    ULONG fetched = 0;
    struct text line;
    HRESULT result;

    result = ISyncMgrEnumItems_Next(enumerator, count, items, without_count ? NULL : &fetched);
    if (without_count)
        fetched = result == S_OK ? count : 0;
    line = session_line(session, "Next");
    text_add(&line, " %lu -> 0x%08lX", count, result);
    if (!without_count)
        text_add(&line, " [fetched=%lu]", fetched);
    session_log(session, &line);
    session_returned(session, call);

    if (fetched > count) {
        session_rule_broken(session, "Next claims %lu items of %lu", fetched, count);
        fetched = count;
    }
    if (SUCCEEDED(result) && (result == S_OK) != (fetched == count))
        session_rule_broken(session, "Next returned 0x%08lX with %lu items of %lu", result,
                            fetched, count);
    if (FAILED(result))
        fetched = 0;
    for (ULONG i = 0; i < fetched; i++)
        log_item(session, &items[i]);
    return fetched;
}

/* Reads the enumerator to its end in portions of --celt. */
static void read_items(struct session *session, ISyncMgrEnumItems *enumerator)
{
    ULONG count = session->options->celt;
    /* One more than requested, to detect writes out of bounds. */
    SYNCMGRITEM *items = malloc((count + 1) * sizeof *items);
    ULONG fetched;

    if (items == NULL)
        abort();
    do {
        memset(items, PATTERN, (count + 1) * sizeof *items);
        fetched = enumerate_next(session, enumerator, count, items);
        for (ULONG i = 0; i < fetched; i++)
            item_list_add(&session->items, &items[i]);
        if (!has_pattern(&items[count]))
            session_rule_broken(session, "Next wrote beyond the end of the array");
    } while (fetched == count);
    free(items);
}

static void exercise_skip(struct session *session, ISyncMgrEnumItems *enumerator, ULONG count)
{
    struct call call = session_call(session, "Skip");
    HRESULT result = ISyncMgrEnumItems_Skip(enumerator, count);
    struct text line = session_line(session, "Skip");

    text_add(&line, " %lu -> 0x%08lX", count, result);
    session_log(session, &line);
    session_returned(session, call);
}

static void exercise_reset(struct session *session, ISyncMgrEnumItems *enumerator)
{
    struct call call = session_call(session, "Reset");

    session_log_result(session, "Reset", ISyncMgrEnumItems_Reset(enumerator));
    session_returned(session, call);
}

static ISyncMgrEnumItems *exercise_clone(struct session *session, ISyncMgrEnumItems *enumerator)
{
    struct call call = session_call(session, "Clone");
    ISyncMgrEnumItems *clone = NULL;
    HRESULT result = ISyncMgrEnumItems_Clone(enumerator, &clone);

    session_log_result(session, "Clone", result);
    session_returned(session, call);
    if (SUCCEEDED(result) && clone == NULL)
        session_rule_broken(session, "Clone succeeded without an enumerator");
    return clone;
}

static void exercise(struct session *session, ISyncMgrEnumItems *enumerator)
{
    SYNCMGRITEM item;
    ISyncMgrEnumItems *clone;

    exercise_skip(session, enumerator, 1);
    exercise_reset(session, enumerator);
    exercise_skip(session, enumerator, 0);
    exercise_skip(session, enumerator, 1);
    enumerate_next(session, enumerator, 1, &item);

    /* A clone starts at the position of the original and is independent. */
    clone = exercise_clone(session, enumerator);
    if (clone != NULL) {
        enumerate_next(session, clone, 1, &item);
        exercise_reset(session, clone);
        enumerate_next(session, clone, 1, &item);
        exercise_skip(session, clone, 1000000);
        enumerate_next(session, clone, 1, &item);
    }
    enumerate_next(session, enumerator, 1, &item);

    /* It also survives the original. */
    if (clone != NULL) {
        exercise_reset(session, clone);
        ISyncMgrEnumItems_Release(enumerator);
        enumerate_next(session, clone, 1, &item);
        ISyncMgrEnumItems_Release(clone);
    } else {
        ISyncMgrEnumItems_Release(enumerator);
    }
}

void enumerate_items(struct session *session)
{
    struct call call = session_call(session, "EnumSyncMgrItems");
    ISyncMgrEnumItems *enumerator = NULL;
    HRESULT result = ISyncMgrSynchronize_EnumSyncMgrItems(session->handler, &enumerator);
    struct text line = session_line(session, "EnumSyncMgrItems");

    text_add(&line, " -> 0x%08lX [%s]", result, enumerator != NULL ? "enumerator" : "NULL");
    session_log(session, &line);
    session_returned(session, call);
    if (SUCCEEDED(result) && enumerator == NULL)
        session_rule_broken(session, "EnumSyncMgrItems succeeded without an enumerator");
    if (FAILED(result) && enumerator != NULL)
        session_rule_broken(session, "EnumSyncMgrItems failed with an enumerator");
    if (FAILED(result) || enumerator == NULL)
        return;
    read_items(session, enumerator);
    if (session->options->enum_exercise)
        exercise(session, enumerator);
    else
        ISyncMgrEnumItems_Release(enumerator);
}
