#include "synchronize.h"

#include "garbage.h"
#include "worker.h"

#include <stdio.h>
#include <wchar.h>

#define STEPS 10
#define STEP_MS 5

/* The step at which Gamma fails. */
#define GAMMA_FAILS_AT 5

struct task {
    struct run *run;
    ISyncMgrSynchronizeCallback *callback;
    const GUID *item;
};

/*
 * Reports on the item and records the answer. Returns false if the item must
 * not continue.
 */
static bool report(const struct task *task, SYNCMGRPROGRESSITEM *progress)
{
    HRESULT answer;
    DWORD status;

    if (run_is_detached(task->run))
        return false;
    progress->cbSize = sizeof *progress;
    answer = ISyncMgrSynchronizeCallback_Progress(task->callback, task->item, progress);

    /* Cancellations are success codes, so only exact values are significant. */
    if (answer == S_SYNCMGR_CANCELITEM)
        run_cancel(task->run, task->item);
    else if (answer == S_SYNCMGR_CANCELALL || FAILED(answer))
        run_cancel(task->run, &GUID_NULL);
    return !run_is_cancelled(task->run, task->item, &status);
}

static void report_status(const struct task *task, DWORD status)
{
    SYNCMGRPROGRESSITEM progress = {
        .mask = SYNCMGRPROGRESSITEM_STATUSTYPE,
        .dwStatusType = status,
    };

    report(task, &progress);
}

static bool report_start(const struct task *task)
{
    SYNCMGRPROGRESSITEM progress = {
        .mask = SYNCMGRPROGRESSITEM_MAXVALUE | SYNCMGRPROGRESSITEM_STATUSTYPE,
        .dwStatusType = SYNCMGRSTATUS_UPDATING,
        .iMaxValue = STEPS,
    };

    return report(task, &progress);
}

static bool report_step(const struct task *task, int step)
{
    WCHAR text[32];
    SYNCMGRPROGRESSITEM progress = {
        .mask = SYNCMGRPROGRESSITEM_PROGVALUE | SYNCMGRPROGRESSITEM_STATUSTEXT,
        .lpcStatusText = text,
        .iProgValue = step,
    };

    swprintf(text, sizeof text / sizeof text[0], L"Step %d of %d", step, STEPS);
    return report(task, &progress);
}

static void log_gamma(const struct task *task)
{
    SYNCMGRLOGERRORINFO info = {
        .cbSize = sizeof info,
        .mask = SYNCMGRLOGERROR_ERRORFLAGS | SYNCMGRLOGERROR_ERRORID | SYNCMGRLOGERROR_ITEMID,
        .dwSyncMgrErrorFlags = SYNCMGRERRORFLAG_ENABLEJUMPTEXT,
        .ErrorID = error_gamma,
        .ItemID = *task->item,
    };

    if (!run_is_detached(task->run))
        ISyncMgrSynchronizeCallback_LogError(task->callback, SYNCMGRLOGLEVEL_ERROR,
                                             L"Gamma cannot be reached", &info);
}

static bool gamma_fails(const struct task *task)
{
    bool repaired;

    EnterCriticalSection(&task->run->lock);
    repaired = task->run->gamma_repaired;
    LeaveCriticalSection(&task->run->lock);
    return !repaired && IsEqualGUID(task->item, &item_gamma);
}

/* Works on one item and returns its terminal status. */
static DWORD synchronize_item(const struct task *task)
{
    bool fails = gamma_fails(task);
    DWORD status;
    bool go_on;

    if (run_is_cancelled(task->run, task->item, &status))
        return status;
    if (!item_is_known(task->item))
        return SYNCMGRSTATUS_FAILED;
    go_on = report_start(task);
    for (int step = 1; go_on && step <= STEPS; step++) {
        if (task->run->mode != MODE_SYNCHRONOUS)
            Sleep(STEP_MS);
        if (fails && step == GAMMA_FAILS_AT) {
            log_gamma(task);
            return SYNCMGRSTATUS_FAILED;
        }
        /* A cancellation may also have been pushed during the step. */
        go_on = !run_is_cancelled(task->run, task->item, &status) && report_step(task, step);
    }
    if (run_is_cancelled(task->run, task->item, &status))
        return status;
    return SYNCMGRSTATUS_SUCCEEDED;
}

/* Performs a mode that does not complete. Returns false for other modes. */
static bool end_otherwise(struct run *run)
{
    switch (run->mode) {
    case MODE_NEVER:
        return true;
    case MODE_EXITS:
        ExitProcess(0);
    case MODE_TERMINATES:
        TerminateProcess(GetCurrentProcess(), 0);
        return true;
    case MODE_CRASHES:
        RaiseException(EXCEPTION_ACCESS_VIOLATION, 0, 0, NULL);
        return true;
    default:
        return false;
    }
}

static void report_late(struct run *run, ISyncMgrSynchronizeCallback *callback)
{
    struct task task = {.run = run, .callback = callback, .item = &run->items[0].id};

    report_status(&task, SYNCMGRSTATUS_FAILED);
    log_gamma(&task);
}

void synchronize(struct run *run, ISyncMgrSynchronizeCallback *callback)
{
    for (size_t i = 0; i < run->count && !run_is_detached(run); i++) {
        struct task task = {.run = run, .callback = callback, .item = &run->items[i].id};
        bool is_beta = IsEqualGUID(task.item, &item_beta);

        if (is_beta && run->mode == MODE_SILENT)
            continue;
        if (is_beta && run->mode == MODE_GARBAGE) {
            report_garbage(callback, task.item);
            report_status(&task, SYNCMGRSTATUS_SUCCEEDED);
            continue;
        }
        report_status(&task, synchronize_item(&task));
    }
    if (end_otherwise(run))
        return;
    run_end(run);
    if (!run_is_detached(run))
        ISyncMgrSynchronizeCallback_SynchronizeCompleted(callback, S_OK);
    if (run->mode == MODE_LATE)
        report_late(run, callback);
}
