#include "callback.h"

#include "answers.h"

#include <stdlib.h>

static struct session *session_of(ISyncMgrSynchronizeCallback *iface)
{
    return ((struct callback *)iface)->session;
}

static HRESULT WINAPI query_interface(ISyncMgrSynchronizeCallback *iface, REFIID iid,
                                      void **object)
{
    struct callback *callback = (struct callback *)iface;

    if (object == NULL)
        return E_POINTER;
    *object = NULL;
    if (IsEqualIID(iid, &IID_IUnknown) || IsEqualIID(iid, &IID_ISyncMgrSynchronizeCallback) ||
        (callback->marshaler != NULL && IsEqualIID(iid, &IID_IAgileObject))) {
        *object = iface;
        ISyncMgrSynchronizeCallback_AddRef(iface);
        return S_OK;
    }
    if (callback->marshaler != NULL && IsEqualIID(iid, &IID_IMarshal))
        return IUnknown_QueryInterface(callback->marshaler, iid, object);
    return E_NOINTERFACE;
}

static ULONG WINAPI add_ref(ISyncMgrSynchronizeCallback *iface)
{
    return (ULONG)InterlockedIncrement(&((struct callback *)iface)->references);
}

static ULONG WINAPI release(ISyncMgrSynchronizeCallback *iface)
{
    struct callback *callback = (struct callback *)iface;
    LONG references = InterlockedDecrement(&callback->references);

    /* The session releases its reference last, and not through this method. */
    if (references < 1)
        session_rule_broken(callback->session, "the callback was released too often");
    return (ULONG)references;
}

static void begin(struct session *session)
{
    EnterCriticalSection(&session->lock);
    if (session->cut_off)
        session->calls_after_cut++;
    LeaveCriticalSection(&session->lock);
    session_pass_gate(session);
}

/* Ends a callback: completes its line with the answer and logs it. */
static HRESULT end(struct session *session, struct text *line, HRESULT answer)
{
    text_add(line, " -> 0x%08lX", answer);
    session_log(session, line);
    return answer;
}

/* The common part of the three completions without further arguments. */
static HRESULT completed(struct session *session, enum completion_kind kind,
                         enum callback_method method, HRESULT result)
{
    struct text line;
    HRESULT answer;

    begin(session);
    answer = answer_call(session, method, NULL);
    line = session_line(session, callback_method_name(method));
    text_add(&line, " hr=0x%08lX", result);
    end(session, &line, answer);
    session_completed(session, kind, result);
    return answer;
}

static HRESULT WINAPI show_properties_completed(ISyncMgrSynchronizeCallback *iface,
                                                HRESULT result)
{
    return completed(session_of(iface), COMPLETION_SHOW_PROPERTIES,
                     CALLBACK_SHOW_PROPERTIES_COMPLETED, result);
}

static HRESULT WINAPI prepare_for_sync_completed(ISyncMgrSynchronizeCallback *iface,
                                                 HRESULT result)
{
    return completed(session_of(iface), COMPLETION_PREPARE, CALLBACK_PREPARE_COMPLETED, result);
}

static HRESULT WINAPI synchronize_completed(ISyncMgrSynchronizeCallback *iface, HRESULT result)
{
    return completed(session_of(iface), COMPLETION_SYNCHRONIZE, CALLBACK_SYNCHRONIZE_COMPLETED,
                     result);
}

static HRESULT WINAPI show_error_completed(ISyncMgrSynchronizeCallback *iface, HRESULT result,
                                           ULONG count, SYNCMGRITEMID *ids)
{
    struct session *session = session_of(iface);
    struct text line;
    HRESULT answer;

    begin(session);
    answer = answer_call(session, CALLBACK_SHOW_ERROR_COMPLETED, NULL);
    line = session_line(session, callback_method_name(CALLBACK_SHOW_ERROR_COMPLETED));
    text_add(&line, " hr=0x%08lX count=%lu items=", result, count);
    if (ids == NULL)
        text_add(&line, "NULL");
    for (ULONG i = 0; ids != NULL && i < count; i++) {
        text_add(&line, i == 0 ? "" : ",");
        text_add_guid(&line, &ids[i]);
    }
    end(session, &line, answer);

    /* The array belongs to the caller, and is valid for this result only. */
    if (result == S_SYNCMGR_RETRYSYNC && ids != NULL) {
        EnterCriticalSection(&session->lock);
        id_list_clear(&session->retry);
        for (ULONG i = 0; i < count; i++)
            id_list_add(&session->retry, &ids[i]);
        LeaveCriticalSection(&session->lock);
    }
    session_completed(session, COMPLETION_SHOW_ERROR, result);
    return answer;
}

static HRESULT WINAPI enable_modeless(ISyncMgrSynchronizeCallback *iface, WINBOOL enable)
{
    struct session *session = session_of(iface);
    struct text line;

    begin(session);
    line = session_line(session, callback_method_name(CALLBACK_ENABLE_MODELESS));
    text_add(&line, " %d", enable);
    return end(session, &line, answer_call(session, CALLBACK_ENABLE_MODELESS, NULL));
}

static void add_progress(struct text *line, const SYNCMGRPROGRESSITEM *progress)
{
    if (progress == NULL) {
        text_add(line, " NULL");
        return;
    }
    text_add(line, " mask=0x%x cbSize=%lu", progress->mask, progress->cbSize);
    if (progress->mask & SYNCMGRPROGRESSITEM_STATUSTEXT) {
        text_add(line, " text=");
        text_add_string(line, progress->lpcStatusText);
    }
    if (progress->mask & SYNCMGRPROGRESSITEM_STATUSTYPE)
        text_add(line, " status=%lu", progress->dwStatusType);
    if (progress->mask & SYNCMGRPROGRESSITEM_PROGVALUE)
        text_add(line, " value=%d", progress->iProgValue);
    if (progress->mask & SYNCMGRPROGRESSITEM_MAXVALUE)
        text_add(line, " max=%d", progress->iMaxValue);
}

/* Whether the synchronization has already ended. */
static bool is_late(struct session *session)
{
    const struct completion *synchronize = &session->completions[COMPLETION_SYNCHRONIZE];
    bool late;

    EnterCriticalSection(&session->lock);
    late = synchronize->arrived > 0 || synchronize->call == CALL_REFUSED;
    LeaveCriticalSection(&session->lock);
    return late;
}

static void count_progress(struct session *session)
{
    LARGE_INTEGER now;

    QueryPerformanceCounter(&now);
    EnterCriticalSection(&session->lock);
    if (session->progress_count++ == 0)
        session->first_progress = now;
    session->last_progress = now;
    LeaveCriticalSection(&session->lock);
}

static HRESULT WINAPI progress(ISyncMgrSynchronizeCallback *iface, REFSYNCMGRITEMID item,
                               LPSYNCMGRPROGRESSITEM progress)
{
    struct session *session = session_of(iface);
    /* The time of the call counts, not the time when the gate opened. */
    bool late = is_late(session);
    HRESULT answer;

    begin(session);
    count_progress(session);
    answer = answer_call(session, CALLBACK_PROGRESS, item);
    if (!session->options->bench) {
        struct text line = session_line(session, callback_method_name(CALLBACK_PROGRESS));

        text_add(&line, " ");
        text_add_guid(&line, item);
        add_progress(&line, progress);
        end(session, &line, answer);
    }
    if (late)
        session_rule_broken(session, "Progress after the end of Synchronize");
    push_on_progress(session, item);
    return answer;
}

/* Stores the ids of errors with details. */
static void remember_error(struct session *session, const SYNCMGRLOGERRORINFO *info)
{
    const DWORD needed = SYNCMGRLOGERROR_ERRORFLAGS | SYNCMGRLOGERROR_ERRORID;

    if (info == NULL || (info->mask & needed) != needed ||
        (info->dwSyncMgrErrorFlags & SYNCMGRERRORFLAG_ENABLEJUMPTEXT) == 0)
        return;
    EnterCriticalSection(&session->lock);
    id_list_add(&session->errors, &info->ErrorID);
    LeaveCriticalSection(&session->lock);
}

static void add_error_info(struct text *line, const SYNCMGRLOGERRORINFO *info)
{
    if (info == NULL) {
        text_add(line, " NULL");
        return;
    }
    text_add(line, " mask=0x%lx cbSize=%lu", info->mask, info->cbSize);
    if (info->mask & SYNCMGRLOGERROR_ERRORFLAGS)
        text_add(line, " flags=0x%lx", info->dwSyncMgrErrorFlags);
    if (info->mask & SYNCMGRLOGERROR_ERRORID) {
        text_add(line, " error=");
        text_add_guid(line, &info->ErrorID);
    }
    if (info->mask & SYNCMGRLOGERROR_ITEMID) {
        text_add(line, " item=");
        text_add_guid(line, &info->ItemID);
    }
}

static HRESULT WINAPI log_error(ISyncMgrSynchronizeCallback *iface, DWORD level, LPCWSTR text,
                                LPSYNCMGRLOGERRORINFO info)
{
    struct session *session = session_of(iface);
    const GUID *item = NULL;
    struct text line;

    begin(session);
    if (info != NULL && (info->mask & SYNCMGRLOGERROR_ITEMID))
        item = &info->ItemID;
    line = session_line(session, callback_method_name(CALLBACK_LOG_ERROR));
    text_add(&line, " level=%lu text=", level);
    text_add_string(&line, text);
    add_error_info(&line, info);
    remember_error(session, info);
    return end(session, &line, answer_call(session, CALLBACK_LOG_ERROR, item));
}

static HRESULT WINAPI delete_log_error(ISyncMgrSynchronizeCallback *iface,
                                       REFSYNCMGRERRORID error, DWORD reserved)
{
    struct session *session = session_of(iface);
    struct text line;

    begin(session);
    line = session_line(session, callback_method_name(CALLBACK_DELETE_LOG_ERROR));
    text_add(&line, " ");
    text_add_guid(&line, error);
    text_add(&line, " reserved=%lu", reserved);
    EnterCriticalSection(&session->lock);
    if (error != NULL && IsEqualGUID(error, &GUID_NULL))
        id_list_clear(&session->errors);
    else if (error != NULL)
        id_list_remove(&session->errors, error);
    LeaveCriticalSection(&session->lock);
    return end(session, &line, answer_call(session, CALLBACK_DELETE_LOG_ERROR, NULL));
}

static HRESULT WINAPI establish_connection(ISyncMgrSynchronizeCallback *iface,
                                           LPCWSTR connection, DWORD reserved)
{
    struct session *session = session_of(iface);
    struct text line;

    begin(session);
    line = session_line(session, callback_method_name(CALLBACK_ESTABLISH_CONNECTION));
    text_add(&line, " ");
    text_add_string(&line, connection);
    text_add(&line, " reserved=%lu", reserved);
    return end(session, &line, answer_call(session, CALLBACK_ESTABLISH_CONNECTION, NULL));
}

static const ISyncMgrSynchronizeCallbackVtbl vtable = {
    .QueryInterface = query_interface,
    .AddRef = add_ref,
    .Release = release,
    .ShowPropertiesCompleted = show_properties_completed,
    .PrepareForSyncCompleted = prepare_for_sync_completed,
    .SynchronizeCompleted = synchronize_completed,
    .ShowErrorCompleted = show_error_completed,
    .EnableModeless = enable_modeless,
    .Progress = progress,
    .LogError = log_error,
    .DeleteLogError = delete_log_error,
    .EstablishConnection = establish_connection,
};

void callback_create(struct session *session)
{
    struct callback *callback = calloc(1, sizeof *callback);

    if (callback == NULL)
        abort();
    callback->iface.lpVtbl = &vtable;
    callback->references = 1;
    callback->session = session;
    if (session->options->agile &&
        FAILED(CoCreateFreeThreadedMarshaler((IUnknown *)&callback->iface, &callback->marshaler)))
        abort();
    session->callback = callback;
}

LONG callback_destroy(struct session *session)
{
    struct callback *callback = session->callback;
    LONG others = callback->references - 1;

    session->callback = NULL;
    if (others != 0)
        return others;
    if (callback->marshaler != NULL)
        IUnknown_Release(callback->marshaler);
    free(callback);
    return 0;
}
