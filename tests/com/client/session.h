/*
 * One run of one handler: the state that its main thread and the callbacks from
 * other threads share, and the rules for the handler.
 */

#ifndef SESSION_H
#define SESSION_H

#include "items.h"
#include "options.h"
#include "text.h"
#include "watchdog.h"

#define EXIT_RULE_BROKEN 1

/* The pairs of a handler's method and the callback that reports its end. */
enum completion_kind {
    COMPLETION_PREPARE,
    COMPLETION_SYNCHRONIZE,
    COMPLETION_SHOW_ERROR,
    COMPLETION_SHOW_PROPERTIES,
    COMPLETION_KINDS
};

struct completion {
    enum { CALL_NONE, CALL_RUNNING, CALL_ACCEPTED, CALL_REFUSED } call;
    unsigned arrived;
    HRESULT result;
};

/* A request of a callback to the main thread. */
struct action {
    enum { ACTION_SET_STATUS, ACTION_NULL_CALLBACK, ACTION_RELEASE } kind;
    GUID item;
    DWORD status;
    struct action *next;
};

struct id_list {
    GUID *ids;
    size_t count;
};

struct callback;
struct worker_thread;

struct session {
    const struct options *options;
    CLSID clsid;
    const char *prefix;
    unsigned slot;
    bool quiet;
    bool lenient;
    DWORD main_thread;

    /* The end of the run: the answer of the DLL, and leaked references. */
    HRESULT unload;
    LONG callback_left;

    ISyncMgrSynchronize *handler;
    struct callback *callback;
    struct item_list items;

    /* The lock guards all following members. */
    CRITICAL_SECTION lock;
    CONDITION_VARIABLE gate_opened;
    bool gate_closed;
    HANDLE changed;
    struct completion completions[COMPLETION_KINDS];
    struct action *actions;
    struct worker_thread *workers;
    unsigned worker_count;
    struct id_list errors;
    struct id_list retry;
    unsigned answer_matches[MAX_REPEATED];
    unsigned push_matches[MAX_REPEATED];
    unsigned progress_count;
    LARGE_INTEGER first_progress;
    LARGE_INTEGER last_progress;
    bool cut_off;
    unsigned calls_after_cut;
    unsigned rules_broken;
};

void session_init(struct session *session, const struct options *options, const CLSID *clsid,
                  unsigned slot);
void session_clear(struct session *session);

/* Starts a log line with the calling thread's name and the method's. */
struct text session_line(struct session *session, const char *method);

/* Ends a log line with the answer of a method, without outputs. */
void session_log(struct session *session, struct text *line);

/* Logs a call of the main thread that has only a result. */
void session_log_result(struct session *session, const char *call, HRESULT result);

__attribute__((format(gnu_printf, 2, 3)))
void session_rule_broken(struct session *session, const char *format, ...);

/*
 * Encloses a call of the main thread into the handler, until its result is
 * logged. A gated call delays the callbacks of other threads, so that the log
 * does not depend on the timing of threads.
 */
struct call {
    struct watch previous;
    bool gated;
};
struct call session_call(struct session *session, const char *method);
struct call session_gated_call(struct session *session, const char *method);
void session_returned(struct session *session, struct call call);

/* The point where a callback waits for the gate. */
void session_pass_gate(struct session *session);

/* Records that a method with a completion is being called, or has returned. */
void session_expect(struct session *session, enum completion_kind kind);
void session_accepted(struct session *session, enum completion_kind kind, HRESULT result,
                      bool accepted);

/* Records the arrival of a completion. */
void session_completed(struct session *session, enum completion_kind kind, HRESULT result);

/*
 * Waits for a completion and performs the requests of callbacks.
 * Returns false if one of them released the handler.
 */
bool session_wait(struct session *session, enum completion_kind kind);

/* Polls until the condition holds. */
void session_wait_until(struct session *session, const char *what,
                        bool (*condition)(struct session *session));

/* Waits; in a single-threaded apartment with its message loop. */
void session_pause(struct session *session, unsigned ms);

/* The id of a reference; exits if the handler does not list the name. */
GUID session_item(const struct session *session, const struct item_ref *ref);

/* Passes an action to the main thread. */
void session_post(struct session *session, struct action action);

void id_list_add(struct id_list *list, const GUID *id);
void id_list_remove(struct id_list *list, const GUID *id);
void id_list_clear(struct id_list *list);

#endif
