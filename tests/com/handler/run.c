#include "run.h"

#include <stdlib.h>
#include <string.h>

struct run *run_create(enum mode mode)
{
    struct run *run = calloc(1, sizeof *run);

    if (run == NULL)
        return NULL;
    run->references = 1;
    run->mode = mode;
    InitializeCriticalSection(&run->lock);
    return run;
}

void run_add_ref(struct run *run)
{
    InterlockedIncrement(&run->references);
}

void run_release(struct run *run)
{
    if (InterlockedDecrement(&run->references) != 0)
        return;
    DeleteCriticalSection(&run->lock);
    free(run->cookie);
    free(run->items);
    free(run);
}

HRESULT run_set_cookie(struct run *run, const BYTE *cookie, DWORD size)
{
    if (size == 0)
        return S_OK;
    run->cookie = malloc(size);
    if (run->cookie == NULL)
        return E_OUTOFMEMORY;
    memcpy(run->cookie, cookie, size);
    run->cookie_size = size;
    return S_OK;
}

void run_set_callback(struct run *run, ISyncMgrSynchronizeCallback *callback)
{
    ISyncMgrSynchronizeCallback *previous;

    if (callback != NULL)
        ISyncMgrSynchronizeCallback_AddRef(callback);
    EnterCriticalSection(&run->lock);
    previous = run->callback;
    run->callback = callback;
    run->detached = callback == NULL;
    LeaveCriticalSection(&run->lock);
    if (previous != NULL)
        ISyncMgrSynchronizeCallback_Release(previous);
}

ISyncMgrSynchronizeCallback *run_get_callback(struct run *run)
{
    ISyncMgrSynchronizeCallback *callback;

    EnterCriticalSection(&run->lock);
    callback = run->callback;
    if (callback != NULL)
        ISyncMgrSynchronizeCallback_AddRef(callback);
    LeaveCriticalSection(&run->lock);
    return callback;
}

void run_detach(struct run *run)
{
    run_set_callback(run, NULL);
}

bool run_is_detached(struct run *run)
{
    bool detached;

    EnterCriticalSection(&run->lock);
    detached = run->detached;
    LeaveCriticalSection(&run->lock);
    return detached;
}

HRESULT run_select(struct run *run, const GUID *ids, size_t count)
{
    struct selected_item *items = calloc(count == 0 ? 1 : count, sizeof *items);

    if (items == NULL)
        return E_OUTOFMEMORY;
    for (size_t i = 0; i < count; i++)
        items[i].id = ids[i];
    EnterCriticalSection(&run->lock);
    free(run->items);
    run->items = items;
    run->count = count;
    run->stopped = false;
    run->prepared = false;
    LeaveCriticalSection(&run->lock);
    return S_OK;
}

bool run_begin(struct run *run)
{
    bool was_free;

    EnterCriticalSection(&run->lock);
    was_free = !run->busy;
    run->busy = true;
    LeaveCriticalSection(&run->lock);
    return was_free;
}

void run_end(struct run *run)
{
    EnterCriticalSection(&run->lock);
    run->busy = false;
    LeaveCriticalSection(&run->lock);
}

void run_cancel(struct run *run, const GUID *id)
{
    EnterCriticalSection(&run->lock);
    if (IsEqualGUID(id, &GUID_NULL))
        run->stopped = true;
    for (size_t i = 0; i < run->count; i++) {
        if (IsEqualGUID(&run->items[i].id, id))
            run->items[i].skipped = true;
    }
    LeaveCriticalSection(&run->lock);
}

bool run_is_cancelled(struct run *run, const GUID *id, DWORD *status)
{
    bool cancelled;

    EnterCriticalSection(&run->lock);
    cancelled = run->stopped;
    *status = SYNCMGRSTATUS_STOPPED;
    for (size_t i = 0; !cancelled && i < run->count; i++) {
        if (run->items[i].skipped && IsEqualGUID(&run->items[i].id, id)) {
            cancelled = true;
            *status = SYNCMGRSTATUS_SKIPPED;
        }
    }
    LeaveCriticalSection(&run->lock);
    return cancelled;
}
