#include "worker.h"

#include "module.h"
#include "prepare.h"
#include "synchronize.h"

#include <stdlib.h>

const GUID error_gamma = {
    0xE2202003, 0x5D2C, 0x4E0B, {0x9A, 0x31, 0x6C, 0x1B, 0x80, 0x4E, 0x00, 0x03}};

struct job {
    struct run *run;
    enum job_kind kind;
    GUID id;
    HMODULE module;
    /* The callback for the worker: marshalled, or the pointer itself. */
    IStream *stream;
    ISyncMgrSynchronizeCallback *direct;
};

static void show_error(struct run *run, ISyncMgrSynchronizeCallback *callback)
{
    GUID items[] = {item_gamma};

    EnterCriticalSection(&run->lock);
    run->gamma_repaired = true;
    LeaveCriticalSection(&run->lock);
    run_end(run);
    if (!run_is_detached(run))
        ISyncMgrSynchronizeCallback_ShowErrorCompleted(callback, S_SYNCMGR_RETRYSYNC, 1, items);
}

static void show_properties(struct run *run, ISyncMgrSynchronizeCallback *callback,
                            const GUID *item)
{
    HRESULT result = IsEqualGUID(item, &GUID_NULL) ? S_SYNCMGR_ENUMITEMS : S_OK;

    run_end(run);
    if (!run_is_detached(run))
        ISyncMgrSynchronizeCallback_ShowPropertiesCompleted(callback, result);
}

static void work(struct run *run, enum job_kind kind, const GUID *id,
                 ISyncMgrSynchronizeCallback *callback)
{
    switch (kind) {
    case JOB_PREPARE:
        prepare(run, callback);
        break;
    case JOB_SYNCHRONIZE:
        synchronize(run, callback);
        break;
    case JOB_SHOW_ERROR:
        show_error(run, callback);
        break;
    case JOB_SHOW_PROPERTIES:
        show_properties(run, callback, id);
        break;
    }
}

/*
 * Gets the callback in the worker's apartment. An interface without a proxy
 * cannot be marshalled, so the pointer itself is used.
 */
static ISyncMgrSynchronizeCallback *receive_callback(struct job *job)
{
    ISyncMgrSynchronizeCallback *callback = job->direct;

    if (job->stream != NULL &&
        FAILED(CoGetInterfaceAndReleaseStream(job->stream, &IID_ISyncMgrSynchronizeCallback,
                                              (void **)&callback)))
        return NULL;
    return callback;
}

static DWORD WINAPI worker_thread(void *parameter)
{
    struct job *job = parameter;
    HMODULE module = job->module;
    ISyncMgrSynchronizeCallback *callback;

    CoInitializeEx(NULL, COINIT_APARTMENTTHREADED);
    callback = receive_callback(job);
    if (callback != NULL) {
        work(job->run, job->kind, &job->id, callback);
        ISyncMgrSynchronizeCallback_Release(callback);
    } else {
        run_end(job->run);
    }
    run_release(job->run);
    free(job);
    CoUninitialize();

    /* The reference of the thread keeps its code loaded until it ends. */
    module_release();
    FreeLibraryAndExitThread(module, 0);
}

static void send_callback(struct job *job, ISyncMgrSynchronizeCallback *callback)
{
    if (FAILED(CoMarshalInterThreadInterfaceInStream(&IID_ISyncMgrSynchronizeCallback,
                                                     (IUnknown *)callback, &job->stream))) {
        job->stream = NULL;
        job->direct = callback;
        ISyncMgrSynchronizeCallback_AddRef(callback);
    }
}

/* Releases everything that a job holds which never starts. */
static void discard_job(struct job *job)
{
    if (job->direct != NULL)
        ISyncMgrSynchronizeCallback_Release(job->direct);
    if (job->stream != NULL) {
        CoReleaseMarshalData(job->stream);
        IStream_Release(job->stream);
    }
    if (job->module != NULL)
        FreeLibrary(job->module);
    run_release(job->run);
    module_release();
    free(job);
}

static HRESULT start_thread(struct run *run, enum job_kind kind, const GUID *id,
                            ISyncMgrSynchronizeCallback *callback)
{
    struct job *job = calloc(1, sizeof *job);
    HANDLE thread;

    if (job == NULL)
        return E_OUTOFMEMORY;
    job->run = run;
    job->kind = kind;
    job->id = *id;
    run_add_ref(run);
    module_add_ref();
    send_callback(job, callback);
    if (!GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, (LPCWSTR)(void *)worker_thread,
                            &job->module)) {
        discard_job(job);
        return E_UNEXPECTED;
    }
    thread = CreateThread(NULL, 0, worker_thread, job, 0, NULL);
    if (thread == NULL) {
        discard_job(job);
        return E_OUTOFMEMORY;
    }
    if (run->mode == MODE_JOINED && kind == JOB_SYNCHRONIZE)
        WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    return S_OK;
}

HRESULT worker_start(struct run *run, enum job_kind kind, const GUID *id)
{
    ISyncMgrSynchronizeCallback *callback = run_get_callback(run);
    HRESULT result = S_OK;

    if (callback == NULL)
        return E_UNEXPECTED;
    if (!run_begin(run)) {
        ISyncMgrSynchronizeCallback_Release(callback);
        return E_UNEXPECTED;
    }
    if (run->mode == MODE_SYNCHRONOUS)
        work(run, kind, id, callback);
    else
        result = start_thread(run, kind, id, callback);
    if (FAILED(result))
        run_end(run);
    ISyncMgrSynchronizeCallback_Release(callback);
    return result;
}
