/*
 * The state that the handler object and its worker threads share. It outlives
 * the object, so that a worker never accesses freed memory.
 */

#ifndef RUN_H
#define RUN_H

#include "mode.h"

#include <stddef.h>
#include <windows.h>
#include <mobsync.h>

struct selected_item {
    GUID id;
    bool skipped;
};

struct run {
    LONG references;
    enum mode mode;
    DWORD flags;
    BYTE *cookie;
    DWORD cookie_size;

    /* The lock guards all following members. */
    CRITICAL_SECTION lock;
    ISyncMgrSynchronizeCallback *callback;
    /* Set when no report of the run is wanted. */
    bool detached;
    bool busy;
    bool prepared;
    bool stopped;
    bool gamma_repaired;
    struct selected_item *items;
    size_t count;
};

struct run *run_create(enum mode mode);
void run_add_ref(struct run *run);
void run_release(struct run *run);

/* Keeps a copy of the cookie. */
HRESULT run_set_cookie(struct run *run, const BYTE *cookie, DWORD size);

/* Replaces the callback; NULL stops the reports of all workers. */
void run_set_callback(struct run *run, ISyncMgrSynchronizeCallback *callback);

/* The callback with a reference for the caller, or NULL. */
ISyncMgrSynchronizeCallback *run_get_callback(struct run *run);

/* Stops the reports of all workers permanently. */
void run_detach(struct run *run);
bool run_is_detached(struct run *run);

/* Stores the ids to work on, and clears earlier cancellations. */
HRESULT run_select(struct run *run, const GUID *ids, size_t count);

/* Marks the run as busy; false when it already is. */
bool run_begin(struct run *run);
void run_end(struct run *run);

/* Cancels one item, or with GUID_NULL all. */
void run_cancel(struct run *run, const GUID *id);

/* The terminal status of an item if it was cancelled. */
bool run_is_cancelled(struct run *run, const GUID *id, DWORD *status);

#endif
