#include "answers.h"

HRESULT answer_call(struct session *session, enum callback_method method, const GUID *item)
{
    const struct options *options = session->options;
    HRESULT answer = S_OK;
    bool answered = false;

    EnterCriticalSection(&session->lock);
    for (size_t i = 0; i < options->answer_count; i++) {
        const struct answer_rule *rule = &options->answers[i];
        unsigned number;

        if (rule->method != method || !item_ref_matches(&rule->item, &session->items, item))
            continue;
        number = ++session->answer_matches[i];
        if (!answered && (number == rule->number || (rule->onwards && number > rule->number))) {
            answer = rule->answer;
            answered = true;
        }
    }
    LeaveCriticalSection(&session->lock);
    return answer;
}

void push_on_progress(struct session *session, const GUID *item)
{
    const struct options *options = session->options;
    unsigned number;

    for (size_t i = 0; i < options->push_count; i++) {
        const struct push_rule *rule = &options->pushes[i];
        struct action action = {.kind = ACTION_SET_STATUS, .status = rule->status};
        bool due;

        if (!item_ref_matches(&rule->item, &session->items, item))
            continue;
        EnterCriticalSection(&session->lock);
        due = ++session->push_matches[i] == rule->number;
        LeaveCriticalSection(&session->lock);
        if (due && item_ref_resolve(&rule->item, &session->items, &action.item))
            session_post(session, action);
    }

    EnterCriticalSection(&session->lock);
    number = session->progress_count;
    LeaveCriticalSection(&session->lock);
    if (number == options->null_callback_at)
        session_post(session, (struct action){.kind = ACTION_NULL_CALLBACK});
    if (number == options->release_at)
        session_post(session, (struct action){.kind = ACTION_RELEASE});
}
