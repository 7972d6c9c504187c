#include "lifecycle.h"

#include "actions.h"
#include "callback.h"
#include "enumerate.h"
#include "interact.h"
#include "proxy.h"
#include "server.h"

/* The time for a handler to release the callback after its own release. */
#define LET_GO_MS 2000

void lifecycle_enter(struct session *session)
{
    bool sta = session->options->sta;
    HRESULT result =
        CoInitializeEx(NULL, sta ? COINIT_APARTMENTTHREADED : COINIT_MULTITHREADED);

    session_log_result(session, sta ? "CoInitializeEx sta" : "CoInitializeEx mta", result);
    if (session->options->proxy)
        session_log_result(session, "CoRegisterPSClsid", proxy_register());
}

void lifecycle_leave(struct session *session)
{
    struct text line;
    struct call call;

    call = session_call(session, "CoFreeUnusedLibraries");
    CoFreeUnusedLibraries();
    line = session_line(session, "CoFreeUnusedLibraries");
    session_log(session, &line);
    session_returned(session, call);

    call = session_call(session, "CoUninitialize");
    CoUninitialize();
    line = session_line(session, "CoUninitialize");
    session_log(session, &line);
    session_returned(session, call);
}

HRESULT lifecycle_create(struct session *session)
{
    struct call call = session_call(session, "CoCreateInstance");
    struct text line = session_line(session, "CoCreateInstance");
    HRESULT result = CoCreateInstance(&session->clsid, NULL, CLSCTX_INPROC_SERVER,
                                      &IID_ISyncMgrSynchronize, (void **)&session->handler);

    text_add(&line, " ");
    text_add_guid(&line, &session->clsid);
    text_add(&line, " -> 0x%08lX", result);
    session_log(session, &line);
    session_returned(session, call);
    return result;
}

HRESULT lifecycle_initialize(struct session *session)
{
    const struct options *options = session->options;
    struct call call = session_call(session, "Initialize");
    HRESULT result = ISyncMgrSynchronize_Initialize(session->handler, 0, options->flags,
                                                    options->cookie_size, options->cookie);
    struct text line = session_line(session, "Initialize");

    text_add(&line, " flags=0x%lx cookie=", options->flags);
    if (options->cookie == NULL)
        text_add(&line, "NULL");
    for (DWORD i = 0; i < options->cookie_size; i++)
        text_add(&line, "%02x", options->cookie[i]);
    text_add(&line, " -> 0x%08lX", result);
    session_log(session, &line);
    session_returned(session, call);
    return result;
}

HRESULT lifecycle_set_callback(struct session *session)
{
    struct call call = session_call(session, "SetProgressCallback");
    HRESULT result =
        ISyncMgrSynchronize_SetProgressCallback(session->handler, &session->callback->iface);

    session_log_result(session, "SetProgressCallback callback", result);
    session_returned(session, call);
    return result;
}

/* Pushes between the return of PrepareForSync and its completion. */
static void push_while_preparing(struct session *session)
{
    const struct options *options = session->options;

    for (size_t i = 0; i < options->preparing_push_count; i++) {
        const struct push_rule *rule = &options->preparing_pushes[i];
        GUID item;

        if (item_ref_resolve(&rule->item, &session->items, &item))
            set_item_status(session, &item, rule->status);
    }
}

static HRESULT call_prepare(struct session *session, const GUID *ids, size_t count)
{
    struct call call = session_gated_call(session, "PrepareForSync");
    struct text line;
    HRESULT result;

    session_expect(session, COMPLETION_PREPARE);
    result = ISyncMgrSynchronize_PrepareForSync(session->handler, (ULONG)count, (GUID *)ids, NULL,
                                                0);
    session_accepted(session, COMPLETION_PREPARE, result, result == S_OK);
    line = session_line(session, "PrepareForSync");
    text_add(&line, ids == NULL ? " count=%zu NULL" : " count=%zu", count);
    for (size_t i = 0; ids != NULL && i < count && count <= MAX_REPEATED; i++) {
        text_add(&line, i == 0 ? " " : ",");
        text_add_guid(&line, &ids[i]);
    }
    text_add(&line, " -> 0x%08lX", result);
    session_log(session, &line);

    /* The gate stays closed, or the completion could overtake the pushes. */
    if (result == S_OK)
        push_while_preparing(session);
    session_returned(session, call);
    return result;
}

bool lifecycle_prepare(struct session *session, const GUID *ids, size_t count)
{
    if (call_prepare(session, ids, count) != S_OK)
        return false;
    if (!session_wait(session, COMPLETION_PREPARE))
        return false;
    return session->completions[COMPLETION_PREPARE].result == S_OK;
}

void lifecycle_synchronize(struct session *session)
{
    struct call call = session_gated_call(session, "Synchronize");
    HRESULT result;

    session_expect(session, COMPLETION_SYNCHRONIZE);
    result = ISyncMgrSynchronize_Synchronize(session->handler, NULL);
    session_accepted(session, COMPLETION_SYNCHRONIZE, result, result == S_OK);
    session_log_result(session, "Synchronize", result);
    session_returned(session, call);
    if (result == S_OK)
        session_wait(session, COMPLETION_SYNCHRONIZE);
}

/* The items on the command line are those of the first handler. */
static bool has_own_choice(const struct session *session)
{
    return IsEqualCLSID(&session->clsid, &session->options->clsid);
}

/* A misspelled name would be a rule that never applies. */
static void check_names(const struct session *session)
{
    const struct options *options = session->options;

    if (!has_own_choice(session))
        return;
    for (size_t i = 0; i < options->answer_count; i++)
        session_item(session, &options->answers[i].item);
    for (size_t i = 0; i < options->push_count; i++)
        session_item(session, &options->pushes[i].item);
    for (size_t i = 0; i < options->preparing_push_count; i++)
        session_item(session, &options->preparing_pushes[i].item);
}

static struct id_list choose_items(const struct session *session)
{
    const struct options *options = session->options;
    struct id_list chosen = {0};

    if (options->choose_items && has_own_choice(session)) {
        for (size_t i = 0; i < options->item_count; i++) {
            GUID id = session_item(session, &options->items[i]);

            id_list_add(&chosen, &id);
        }
        return chosen;
    }
    for (size_t i = 0; i < session->items.count; i++) {
        if (session->items.items[i].dwItemState == SYNCMGRITEMSTATE_CHECKED)
            id_list_add(&chosen, &session->items.items[i].ItemID);
    }
    return chosen;
}

static void prepare_and_synchronize(struct session *session, const struct id_list *items)
{
    if (lifecycle_prepare(session, items->ids, items->count))
        lifecycle_synchronize(session);
}

/* Moves the list of ids out of the session, whose callbacks refill it. */
static struct id_list take_ids(struct session *session, struct id_list *list)
{
    struct id_list taken;

    EnterCriticalSection(&session->lock);
    taken = *list;
    *list = (struct id_list){0};
    LeaveCriticalSection(&session->lock);
    return taken;
}

/* Shows each error once, with the retry that it may request. */
static void show_errors(struct session *session)
{
    struct id_list errors = take_ids(session, &session->errors);

    for (size_t i = 0; session->handler != NULL && i < errors.count; i++) {
        struct id_list retry;

        if (!interact_show_error(session, &errors.ids[i]))
            continue;
        retry = take_ids(session, &session->retry);
        prepare_and_synchronize(session, &retry);
        id_list_clear(&retry);
    }
    id_list_clear(&errors);
}

/* Everything between the creation of the handler and its release. */
static void use_handler(struct session *session)
{
    const struct options *options = session->options;
    struct id_list items;

    if (lifecycle_initialize(session) != S_OK)
        return;
    if (options->info)
        enumerate_info(session);
    if (options->enumerate)
        enumerate_items(session);
    check_names(session);
    if (lifecycle_set_callback(session) != S_OK)
        return;
    if (options->show_properties)
        interact_show_properties(session);
    items = choose_items(session);
    if (items.count > 0)
        prepare_and_synchronize(session, &items);
    id_list_clear(&items);
    if (session->handler != NULL && options->show_error)
        show_errors(session);
    session_pause(session, options->settle_ms);
    if (session->handler != NULL)
        drop_callback(session);
}

void lifecycle_finish_callback(struct session *session)
{
    bool cut_short = session->options->null_callback_at != 0 || session->options->release_at != 0;
    ULONGLONG end = GetTickCount64() + LET_GO_MS;
    struct text line;
    unsigned late;

    /* A worker may still release it, and may need the message loop for that. */
    while (session->callback->references > 1 && GetTickCount64() < end)
        session_pause(session, 10);

    session->callback_left = callback_destroy(session);
    EnterCriticalSection(&session->lock);
    late = session->calls_after_cut;
    LeaveCriticalSection(&session->lock);

    line = session_line(session, "callback");
    text_add(&line, " refs=%ld calls_after_end=%u", session->callback_left, late);
    session_log(session, &line);
    if (session->callback_left > 0)
        session_rule_broken(session, "%ld references to the callback were kept",
                            session->callback_left);
    /* One call may be in progress when a run is cut short. */
    if (late > (cut_short ? 1 : 0))
        session_rule_broken(session, "%u callbacks came after the handler was let go", late);
}

/* Asks the DLL whether it can be unloaded, after time for its threads to end. */
static HRESULT ask_unload(struct session *session)
{
    ULONGLONG end = GetTickCount64() + LET_GO_MS;
    HRESULT result;

    while ((result = server_can_unload(&session->clsid)) == S_FALSE && GetTickCount64() < end)
        session_pause(session, 1);
    return result;
}

int lifecycle_run(struct session *session)
{
    bool created;

    lifecycle_enter(session);
    callback_create(session);
    created = SUCCEEDED(lifecycle_create(session));
    if (created)
        use_handler(session);
    if (session->handler != NULL)
        release_handler(session);
    lifecycle_finish_callback(session);
    if (session->options->repeat != 0)
        session->unload = ask_unload(session);
    lifecycle_leave(session);
    return created && session->rules_broken == 0 ? 0 : EXIT_RULE_BROKEN;
}
