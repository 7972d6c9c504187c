#include "mode.h"

#include <wchar.h>
#include <windows.h>

static const WCHAR *const names[] = {
    [MODE_NORMAL] = L"",
    /* Initialize returns S_FALSE. */
    [MODE_DECLINE] = L"decline",
    /* EnumSyncMgrItems returns S_SYNCMGR_MISSINGITEMS and leaves out Delta. */
    [MODE_MISSING] = L"missing",
    /* PrepareForSync returns S_FALSE. */
    [MODE_NEEDS_USER] = L"needs-user",
    /* PrepareForSyncCompleted reports E_FAIL. */
    [MODE_PREPARE_FAILS] = L"prepare-fails",
    /* Synchronize returns E_FAIL. */
    [MODE_SYNC_FAILS] = L"sync-fails",
    /* PrepareForSync fails, and breaks the rules by also completing. */
    [MODE_DOUBLE] = L"double",
    /* Both methods complete before they return. */
    [MODE_SYNCHRONOUS] = L"synchronous",
    /* Synchronize waits for its worker, which deadlocks with careful managers. */
    [MODE_JOINED] = L"joined",
    /* Beta reports what no handler should report. */
    [MODE_GARBAGE] = L"garbage",
    /* Beta reports nothing. */
    [MODE_SILENT] = L"silent",
    /* Logs the flags and the cookie that Initialize got. */
    [MODE_COOKIE] = L"cookie",
    /* Asks EnableModeless and logs the answer. */
    [MODE_QUESTION] = L"question",
    /* Shows a dialog if EnableModeless allows it, and logs what was entered. */
    [MODE_DIALOG] = L"dialog",
    /* Does everything but complete Synchronize. */
    [MODE_NEVER] = L"never",
    /* Synchronize does not return. */
    [MODE_HANGS] = L"hangs",
    /* The last Release does not return. */
    [MODE_RELEASE_HANGS] = L"release-hangs",
    /* Calls ExitProcess(0) instead of completing. */
    [MODE_EXITS] = L"exits",
    /* Calls TerminateProcess with status 0 instead of completing. */
    [MODE_TERMINATES] = L"terminates",
    /* Raises an unhandled exception instead of completing. */
    [MODE_CRASHES] = L"crashes",
    /* Reports failures after it has completed. */
    [MODE_LATE] = L"late",
    /* GetHandlerInfo returns E_NOTIMPL. */
    [MODE_NAMELESS] = L"nameless",
};

bool mode_read(enum mode *mode)
{
    WCHAR value[32] = L"";
    DWORD length = GetEnvironmentVariableW(L"HANDLER_MODE", value, sizeof value / sizeof value[0]);

    if (length >= sizeof value / sizeof value[0])
        return false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (wcscmp(names[i], value) == 0) {
            *mode = (enum mode)i;
            return true;
        }
    }
    return false;
}
