#include "interact.h"

void interact_show_properties(struct session *session)
{
    GUID item = session_item(session, &session->options->properties_item);
    struct call call = session_gated_call(session, "ShowProperties");
    struct text line;
    HRESULT result;

    session_expect(session, COMPLETION_SHOW_PROPERTIES);
    result = ISyncMgrSynchronize_ShowProperties(session->handler, NULL, &item);
    session_accepted(session, COMPLETION_SHOW_PROPERTIES, result, SUCCEEDED(result));
    line = session_line(session, "ShowProperties");
    text_add(&line, " ");
    text_add_guid(&line, &item);
    text_add(&line, " -> 0x%08lX", result);
    session_log(session, &line);
    session_returned(session, call);
    if (SUCCEEDED(result))
        session_wait(session, COMPLETION_SHOW_PROPERTIES);
}

bool interact_show_error(struct session *session, const GUID *error)
{
    struct call call = session_gated_call(session, "ShowError");
    struct text line;
    HRESULT result;

    session_expect(session, COMPLETION_SHOW_ERROR);
    result = ISyncMgrSynchronize_ShowError(session->handler, NULL, error);
    session_accepted(session, COMPLETION_SHOW_ERROR, result, SUCCEEDED(result));
    line = session_line(session, "ShowError");
    text_add(&line, " ");
    text_add_guid(&line, error);
    text_add(&line, " -> 0x%08lX", result);
    session_log(session, &line);
    session_returned(session, call);
    if (FAILED(result) || !session_wait(session, COMPLETION_SHOW_ERROR))
        return false;
    return session->completions[COMPLETION_SHOW_ERROR].result == S_SYNCMGR_RETRYSYNC;
}
