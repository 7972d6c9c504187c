#include "session.h"

#include "actions.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define POLL_MS 10

static const char *const method_names[COMPLETION_KINDS] = {
    [COMPLETION_PREPARE] = "PrepareForSync",
    [COMPLETION_SYNCHRONIZE] = "Synchronize",
    [COMPLETION_SHOW_ERROR] = "ShowError",
    [COMPLETION_SHOW_PROPERTIES] = "ShowProperties",
};

static const char *const completion_names[COMPLETION_KINDS] = {
    [COMPLETION_PREPARE] = "PrepareForSyncCompleted",
    [COMPLETION_SYNCHRONIZE] = "SynchronizeCompleted",
    [COMPLETION_SHOW_ERROR] = "ShowErrorCompleted",
    [COMPLETION_SHOW_PROPERTIES] = "ShowPropertiesCompleted",
};

struct worker_thread {
    DWORD id;
    /* An open handle prevents the system from reusing the id. */
    HANDLE handle;
};

void session_init(struct session *session, const struct options *options, const CLSID *clsid,
                  unsigned slot)
{
    *session = (struct session){
        .options = options,
        .clsid = *clsid,
        .prefix = slot == 0 ? "" : "2 ",
        .slot = slot,
        .main_thread = GetCurrentThreadId(),
    };
    InitializeCriticalSection(&session->lock);
    InitializeConditionVariable(&session->gate_opened);
    session->changed = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (session->changed == NULL)
        abort();
}

void session_clear(struct session *session)
{
    for (unsigned i = 0; i < session->worker_count; i++) {
        if (session->workers[i].handle != NULL)
            CloseHandle(session->workers[i].handle);
    }
    free(session->workers);
    while (session->actions != NULL) {
        struct action *next = session->actions->next;

        free(session->actions);
        session->actions = next;
    }
    id_list_clear(&session->errors);
    id_list_clear(&session->retry);
    item_list_clear(&session->items);
    CloseHandle(session->changed);
    DeleteCriticalSection(&session->lock);
}

/* The number of a thread that is not the main thread, by first appearance. */
static unsigned worker_number(struct session *session)
{
    DWORD id = GetCurrentThreadId();
    unsigned number = 0;

    EnterCriticalSection(&session->lock);
    while (number < session->worker_count && session->workers[number].id != id)
        number++;
    if (number == session->worker_count) {
        session->workers = realloc(session->workers, (number + 1) * sizeof *session->workers);
        if (session->workers == NULL)
            abort();
        session->workers[number] = (struct worker_thread){
            .id = id,
            .handle = OpenThread(THREAD_QUERY_INFORMATION, FALSE, id),
        };
        session->worker_count++;
    }
    LeaveCriticalSection(&session->lock);
    return number + 1;
}

struct text session_line(struct session *session, const char *method)
{
    struct text line = {0};

    text_add(&line, "%s", session->prefix);
    if (GetCurrentThreadId() == session->main_thread) {
        text_add(&line, "main");
    } else if (!session->quiet) {
        unsigned number = worker_number(session);

        if (number == 1)
            text_add(&line, "worker");
        else
            text_add(&line, "worker%u", number);
    }
    text_add(&line, " %s", method);
    return line;
}

void session_log(struct session *session, struct text *line)
{
    if (!session->quiet)
        text_print(line);
    text_free(line);
}

void session_log_result(struct session *session, const char *call, HRESULT result)
{
    struct text line = session_line(session, call);

    text_add(&line, " -> 0x%08lX", result);
    session_log(session, &line);
}

GUID session_item(const struct session *session, const struct item_ref *ref)
{
    struct text line = {0};
    GUID id;

    if (item_ref_resolve(ref, &session->items, &id))
        return id;
    text_add(&line, "%sthe handler lists no item ", session->prefix);
    text_add_string(&line, ref->name);
    text_print(&line);
    exit(EXIT_USAGE);
}

void session_rule_broken(struct session *session, const char *format, ...)
{
    char message[256];
    va_list arguments;

    if (session->lenient)
        return;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    EnterCriticalSection(&session->lock);
    session->rules_broken++;
    LeaveCriticalSection(&session->lock);
    print_line("%sRULE BROKEN: %s", session->prefix, message);
}

static struct call begin_call(struct session *session, const char *method, bool gated)
{
    struct call call = {
        .previous = watchdog_arm(session->slot, method, true),
        .gated = gated && session->options->gate,
    };

    if (call.gated) {
        EnterCriticalSection(&session->lock);
        session->gate_closed = true;
        LeaveCriticalSection(&session->lock);
    }
    return call;
}

struct call session_call(struct session *session, const char *method)
{
    return begin_call(session, method, false);
}

struct call session_gated_call(struct session *session, const char *method)
{
    return begin_call(session, method, true);
}

void session_returned(struct session *session, struct call call)
{
    watchdog_restore(session->slot, call.previous);
    if (!call.gated)
        return;
    EnterCriticalSection(&session->lock);
    session->gate_closed = false;
    LeaveCriticalSection(&session->lock);
    WakeAllConditionVariable(&session->gate_opened);
}

void session_pass_gate(struct session *session)
{
    /* The main thread would wait for itself. */
    if (GetCurrentThreadId() == session->main_thread)
        return;

    /* The watchdog guards the call that keeps the gate closed. */
    EnterCriticalSection(&session->lock);
    while (session->gate_closed)
        SleepConditionVariableCS(&session->gate_opened, &session->lock, INFINITE);
    LeaveCriticalSection(&session->lock);
}

void session_expect(struct session *session, enum completion_kind kind)
{
    EnterCriticalSection(&session->lock);
    session->completions[kind] = (struct completion){.call = CALL_RUNNING};
    /* Progress is permitted again from here on. */
    if (kind == COMPLETION_PREPARE)
        session->completions[COMPLETION_SYNCHRONIZE] = (struct completion){.call = CALL_NONE};
    LeaveCriticalSection(&session->lock);
}

void session_accepted(struct session *session, enum completion_kind kind, HRESULT result,
                      bool accepted)
{
    struct completion *completion = &session->completions[kind];
    bool contradiction;

    EnterCriticalSection(&session->lock);
    completion->call = accepted ? CALL_ACCEPTED : CALL_REFUSED;
    contradiction = !accepted && completion->arrived > 0;
    LeaveCriticalSection(&session->lock);
    if (contradiction)
        session_rule_broken(session, "%s came although %s returned 0x%08lX",
                            completion_names[kind], method_names[kind], result);
}

void session_completed(struct session *session, enum completion_kind kind, HRESULT result)
{
    struct completion *completion = &session->completions[kind];
    const char *problem = NULL;

    EnterCriticalSection(&session->lock);
    if (completion->call == CALL_NONE)
        problem = "was not called";
    else if (completion->call == CALL_REFUSED)
        problem = "did not accept the call";
    else if (++completion->arrived == 1)
        completion->result = result;
    else
        problem = "has already completed";
    LeaveCriticalSection(&session->lock);

    if (problem != NULL)
        session_rule_broken(session, "%s came although %s %s", completion_names[kind],
                            method_names[kind], problem);
    SetEvent(session->changed);
}

static void dispatch_messages(void)
{
    MSG message;

    while (PeekMessageW(&message, NULL, 0, 0, PM_REMOVE)) {
        TranslateMessage(&message);
        DispatchMessageW(&message);
    }
}

/* Waits for a change or a timeout, with a message loop in an STA. */
static void wait_for_change(struct session *session, DWORD ms)
{
    if (!session->options->sta) {
        WaitForSingleObject(session->changed, ms);
        return;
    }
    /* Messages that were already peeked at must wake the loop as well. */
    if (MsgWaitForMultipleObjectsEx(1, &session->changed, ms, QS_ALLINPUT,
                                    MWMO_INPUTAVAILABLE) == WAIT_OBJECT_0 + 1)
        dispatch_messages();
}

static struct action *take_action(struct session *session)
{
    struct action *action;

    EnterCriticalSection(&session->lock);
    action = session->actions;
    if (action != NULL)
        session->actions = action->next;
    LeaveCriticalSection(&session->lock);
    return action;
}

void session_post(struct session *session, struct action action)
{
    struct action **last;
    struct action *copy = malloc(sizeof *copy);

    if (copy == NULL)
        abort();
    *copy = action;
    copy->next = NULL;
    EnterCriticalSection(&session->lock);
    for (last = &session->actions; *last != NULL; last = &(*last)->next)
        ;
    *last = copy;
    LeaveCriticalSection(&session->lock);
    SetEvent(session->changed);
}

static bool has_arrived(struct session *session, enum completion_kind kind)
{
    bool arrived;

    EnterCriticalSection(&session->lock);
    arrived = session->completions[kind].arrived > 0;
    LeaveCriticalSection(&session->lock);
    return arrived;
}

bool session_wait(struct session *session, enum completion_kind kind)
{
    struct watch previous = watchdog_arm(session->slot, completion_names[kind], false);

    /* Actions come first: requests from before the end are performed. */
    for (;;) {
        struct action *action = take_action(session);

        if (action != NULL) {
            action_perform(session, action);
            free(action);
            if (session->handler == NULL)
                break;
        } else if (has_arrived(session, kind)) {
            break;
        } else {
            wait_for_change(session, INFINITE);
        }
    }
    watchdog_restore(session->slot, previous);
    return session->handler != NULL;
}

void session_wait_until(struct session *session, const char *what,
                        bool (*condition)(struct session *session))
{
    struct watch previous = watchdog_arm(session->slot, what, false);

    while (!condition(session))
        wait_for_change(session, POLL_MS);
    watchdog_restore(session->slot, previous);
}

void session_pause(struct session *session, unsigned ms)
{
    ULONGLONG end = GetTickCount64() + ms;

    for (;;) {
        ULONGLONG now = GetTickCount64();

        if (now >= end)
            return;
        wait_for_change(session, (DWORD)(end - now));
    }
}

void id_list_add(struct id_list *list, const GUID *id)
{
    list->ids = realloc(list->ids, (list->count + 1) * sizeof *list->ids);
    if (list->ids == NULL)
        abort();
    list->ids[list->count++] = *id;
}

void id_list_remove(struct id_list *list, const GUID *id)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (!IsEqualGUID(&list->ids[i], id))
            list->ids[kept++] = list->ids[i];
    }
    list->count = kept;
}

void id_list_clear(struct id_list *list)
{
    free(list->ids);
    *list = (struct id_list){0};
}
