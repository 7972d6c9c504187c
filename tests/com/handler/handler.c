#include "handler.h"

#include "items.h"
#include "module.h"
#include "run.h"
#include "worker.h"

#include <stdlib.h>
#include <wchar.h>

const CLSID clsid_native_handler = {
    0xB0A5D3C2, 0x7E41, 0x4C0B, {0x9B, 0x7D, 0x52, 0xC6, 0xE8, 0xF1, 0xA9, 0x34}};

struct handler {
    ISyncMgrSynchronize iface;
    LONG references;
    bool initialized;
    struct run *run;
};

static struct handler *handler_of(ISyncMgrSynchronize *iface)
{
    return (struct handler *)iface;
}

static HRESULT WINAPI query_interface(ISyncMgrSynchronize *iface, REFIID iid, void **object)
{
    if (object == NULL)
        return E_POINTER;
    *object = NULL;
    if (iid == NULL)
        return E_INVALIDARG;
    if (!IsEqualIID(iid, &IID_IUnknown) && !IsEqualIID(iid, &IID_ISyncMgrSynchronize))
        return E_NOINTERFACE;
    ISyncMgrSynchronize_AddRef(iface);
    *object = iface;
    return S_OK;
}

static ULONG WINAPI add_ref(ISyncMgrSynchronize *iface)
{
    return (ULONG)InterlockedIncrement(&handler_of(iface)->references);
}

static ULONG WINAPI release(ISyncMgrSynchronize *iface)
{
    struct handler *handler = handler_of(iface);
    LONG references = InterlockedDecrement(&handler->references);

    if (references == 0) {
        if (handler->run->mode == MODE_RELEASE_HANGS)
            Sleep(INFINITE);
        run_detach(handler->run);
        run_release(handler->run);
        free(handler);
        module_release();
    }
    return (ULONG)references;
}

static HRESULT WINAPI initialize(ISyncMgrSynchronize *iface, DWORD reserved, DWORD flags,
                                 DWORD cookie_size, const BYTE *cookie)
{
    struct handler *handler = handler_of(iface);
    HRESULT result;

    if (reserved != 0 || (cookie_size > 0 && cookie == NULL))
        return E_INVALIDARG;
    if (handler->initialized)
        return E_UNEXPECTED;
    if (handler->run->mode == MODE_DECLINE)
        return S_FALSE;
    result = run_set_cookie(handler->run, cookie, cookie_size);
    if (FAILED(result))
        return result;
    handler->run->flags = flags;
    handler->initialized = true;
    return S_OK;
}

static HRESULT WINAPI get_handler_info(ISyncMgrSynchronize *iface, LPSYNCMGRHANDLERINFO *info)
{
    if (info == NULL)
        return E_POINTER;
    *info = NULL;
    if (handler_of(iface)->run->mode == MODE_NAMELESS)
        return E_NOTIMPL;
    *info = CoTaskMemAlloc(sizeof **info);
    if (*info == NULL)
        return E_OUTOFMEMORY;
    **info = (SYNCMGRHANDLERINFO){
        .cbSize = sizeof **info,
        .SyncMgrHandlerFlags = SYNCMGRHANDLER_HASPROPERTIES,
    };
    wcscpy((*info)->wszHandlerName, L"Native test handler");
    return S_OK;
}

static HRESULT WINAPI enum_sync_mgr_items(ISyncMgrSynchronize *iface,
                                          ISyncMgrEnumItems **enumerator)
{
    struct handler *handler = handler_of(iface);
    bool missing = handler->run->mode == MODE_MISSING;
    HRESULT result;

    if (enumerator == NULL)
        return E_POINTER;
    *enumerator = NULL;
    if (!handler->initialized)
        return E_UNEXPECTED;
    result = items_enumerate(!missing, enumerator);
    return result == S_OK && missing ? S_SYNCMGR_MISSINGITEMS : result;
}

static HRESULT WINAPI get_item_object(ISyncMgrSynchronize *iface, REFSYNCMGRITEMID item,
                                      REFIID iid, void **object)
{
    (void)iface;
    (void)item;
    (void)iid;
    if (object == NULL)
        return E_POINTER;
    *object = NULL;
    return E_NOTIMPL;
}

static HRESULT WINAPI show_properties(ISyncMgrSynchronize *iface, HWND parent,
                                      REFSYNCMGRITEMID item)
{
    struct handler *handler = handler_of(iface);

    (void)parent;
    if (item == NULL)
        return E_INVALIDARG;
    if (!handler->initialized)
        return E_UNEXPECTED;
    if (!IsEqualGUID(item, &GUID_NULL) && !IsEqualGUID(item, &item_alpha))
        return E_INVALIDARG;
    return worker_start(handler->run, JOB_SHOW_PROPERTIES, item);
}

static HRESULT WINAPI set_progress_callback(ISyncMgrSynchronize *iface,
                                            ISyncMgrSynchronizeCallback *callback)
{
    run_set_callback(handler_of(iface)->run, callback);
    return S_OK;
}

/* Breaks the rules as an old sample does: completes and also fails. */
static HRESULT complete_and_fail(struct run *run)
{
    ISyncMgrSynchronizeCallback *callback = run_get_callback(run);

    if (callback != NULL) {
        ISyncMgrSynchronizeCallback_PrepareForSyncCompleted(callback, E_FAIL);
        ISyncMgrSynchronizeCallback_Release(callback);
    }
    return E_FAIL;
}

static bool is_busy(struct run *run)
{
    bool busy;

    EnterCriticalSection(&run->lock);
    busy = run->busy;
    LeaveCriticalSection(&run->lock);
    return busy;
}

static HRESULT WINAPI prepare_for_sync(ISyncMgrSynchronize *iface, ULONG count, SYNCMGRITEMID *ids,
                                       HWND parent, DWORD reserved)
{
    struct handler *handler = handler_of(iface);
    HRESULT result;

    (void)parent;
    (void)reserved;
    if (count > 0 && ids == NULL)
        return E_INVALIDARG;
    if (!handler->initialized || is_busy(handler->run))
        return E_UNEXPECTED;
    if (handler->run->mode == MODE_NEEDS_USER)
        return S_FALSE;
    if (handler->run->mode == MODE_DOUBLE)
        return complete_and_fail(handler->run);
    result = run_select(handler->run, ids, count);
    if (FAILED(result))
        return result;
    return worker_start(handler->run, JOB_PREPARE, &GUID_NULL);
}

/* Consumes the preparation, which is valid for one synchronization. */
static bool take_preparation(struct run *run)
{
    bool prepared;

    EnterCriticalSection(&run->lock);
    prepared = run->prepared && !run->busy;
    if (prepared)
        run->prepared = false;
    LeaveCriticalSection(&run->lock);
    return prepared;
}

static HRESULT WINAPI do_synchronize(ISyncMgrSynchronize *iface, HWND parent)
{
    struct handler *handler = handler_of(iface);

    (void)parent;
    if (!take_preparation(handler->run))
        return E_UNEXPECTED;
    if (handler->run->mode == MODE_SYNC_FAILS)
        return E_FAIL;
    if (handler->run->mode == MODE_HANGS)
        Sleep(INFINITE);
    return worker_start(handler->run, JOB_SYNCHRONIZE, &GUID_NULL);
}

static HRESULT WINAPI set_item_status(ISyncMgrSynchronize *iface, REFSYNCMGRITEMID item,
                                      DWORD status)
{
    struct handler *handler = handler_of(iface);

    if (item == NULL || (status != SYNCMGRSTATUS_SKIPPED && status != SYNCMGRSTATUS_STOPPED))
        return E_INVALIDARG;
    if (!handler->initialized)
        return E_UNEXPECTED;
    run_cancel(handler->run, item);
    return S_OK;
}

static HRESULT WINAPI show_error(ISyncMgrSynchronize *iface, HWND parent, REFSYNCMGRERRORID error)
{
    struct handler *handler = handler_of(iface);

    (void)parent;
    if (error == NULL || !IsEqualGUID(error, &error_gamma))
        return E_INVALIDARG;
    if (!handler->initialized)
        return E_UNEXPECTED;
    return worker_start(handler->run, JOB_SHOW_ERROR, error);
}

static const ISyncMgrSynchronizeVtbl vtable = {
    .QueryInterface = query_interface,
    .AddRef = add_ref,
    .Release = release,
    .Initialize = initialize,
    .GetHandlerInfo = get_handler_info,
    .EnumSyncMgrItems = enum_sync_mgr_items,
    .GetItemObject = get_item_object,
    .ShowProperties = show_properties,
    .SetProgressCallback = set_progress_callback,
    .PrepareForSync = prepare_for_sync,
    .Synchronize = do_synchronize,
    .SetItemStatus = set_item_status,
    .ShowError = show_error,
};

HRESULT handler_create(REFIID iid, void **object)
{
    struct handler *handler;
    enum mode mode;
    HRESULT result;

    if (!mode_read(&mode))
        return E_INVALIDARG;
    handler = calloc(1, sizeof *handler);
    if (handler == NULL)
        return E_OUTOFMEMORY;
    handler->run = run_create(mode);
    if (handler->run == NULL) {
        free(handler);
        return E_OUTOFMEMORY;
    }
    handler->iface.lpVtbl = &vtable;
    handler->references = 1;
    module_add_ref();
    result = query_interface(&handler->iface, iid, object);
    release(&handler->iface);
    return result;
}
