#include "actions.h"

#include "server.h"

void set_item_status(struct session *session, const GUID *item, DWORD status)
{
    struct call call = session_call(session, "SetItemStatus");
    HRESULT result = ISyncMgrSynchronize_SetItemStatus(session->handler, item, status);
    struct text line = session_line(session, "SetItemStatus");

    text_add(&line, " ");
    text_add_guid(&line, item);
    text_add(&line, " %lu -> 0x%08lX", status, result);
    session_log(session, &line);
    session_returned(session, call);
}

/* Callbacks that begin after this point are counted as unexpected. */
static void cut_off(struct session *session)
{
    EnterCriticalSection(&session->lock);
    session->cut_off = true;
    LeaveCriticalSection(&session->lock);
}

void drop_callback(struct session *session)
{
    struct call call = session_call(session, "SetProgressCallback");
    HRESULT result = ISyncMgrSynchronize_SetProgressCallback(session->handler, NULL);

    session_log_result(session, "SetProgressCallback NULL", result);
    cut_off(session);
    session_returned(session, call);
}

void release_handler(struct session *session)
{
    struct call call = session_call(session, "Release");
    ULONG references = ISyncMgrSynchronize_Release(session->handler);

    session->handler = NULL;
    session_log_result(session, "Release", (HRESULT)references);
    cut_off(session);
    session_returned(session, call);
}

void action_perform(struct session *session, const struct action *action)
{
    switch (action->kind) {
    case ACTION_SET_STATUS:
        set_item_status(session, &action->item, action->status);
        break;
    case ACTION_NULL_CALLBACK:
        drop_callback(session);
        release_handler(session);
        server_wait_unloadable(session);
        break;
    case ACTION_RELEASE:
        release_handler(session);
        server_wait_unloadable(session);
        break;
    }
}
