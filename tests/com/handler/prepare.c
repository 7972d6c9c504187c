#include "prepare.h"

#include "dialog.h"

#include <stdio.h>
#include <wchar.h>

#define PREPARE_MS 20
#define MESSAGE_CHARS 256

static void log_information(ISyncMgrSynchronizeCallback *callback, const WCHAR *text)
{
    ISyncMgrSynchronizeCallback_LogError(callback, SYNCMGRLOGLEVEL_INFORMATION, text, NULL);
}

static void log_start(struct run *run, ISyncMgrSynchronizeCallback *callback)
{
    WCHAR text[MESSAGE_CHARS];
    int length = swprintf(text, MESSAGE_CHARS, L"flags 0x%lx cookie ", run->flags);

    if (run->cookie_size == 0)
        wcscat(text, L"none");
    for (DWORD i = 0; i < run->cookie_size && length + 2 < MESSAGE_CHARS; i++, length += 2)
        swprintf(text + length, MESSAGE_CHARS - (size_t)length, L"%02x", run->cookie[i]);
    log_information(callback, text);
}

static void ask(struct run *run, ISyncMgrSynchronizeCallback *callback)
{
    HRESULT answer = ISyncMgrSynchronizeCallback_EnableModeless(callback, TRUE);
    WCHAR text[MESSAGE_CHARS];

    swprintf(text, MESSAGE_CHARS, L"EnableModeless answered 0x%08lX", answer);
    log_information(callback, text);
    if (answer != S_OK)
        return;
    if (run->mode == MODE_DIALOG) {
        WCHAR name[64];
        INT_PTR pressed = dialog_ask_name(name, sizeof name / sizeof name[0]);

        swprintf(text, MESSAGE_CHARS, L"dialog answered %d \"%ls\"", (int)pressed, name);
        log_information(callback, text);
    }
    ISyncMgrSynchronizeCallback_EnableModeless(callback, FALSE);
}

void prepare(struct run *run, ISyncMgrSynchronizeCallback *callback)
{
    HRESULT result = run->mode == MODE_PREPARE_FAILS ? E_FAIL : S_OK;

    if (run->mode != MODE_SYNCHRONOUS)
        Sleep(PREPARE_MS);
    if (run->mode == MODE_COOKIE && !run_is_detached(run))
        log_start(run, callback);
    if ((run->mode == MODE_QUESTION || run->mode == MODE_DIALOG) && !run_is_detached(run))
        ask(run, callback);

    EnterCriticalSection(&run->lock);
    run->prepared = result == S_OK;
    LeaveCriticalSection(&run->lock);

    /* The manager may call Synchronize inside the callback. */
    run_end(run);
    if (!run_is_detached(run))
        ISyncMgrSynchronizeCallback_PrepareForSyncCompleted(callback, result);
}
