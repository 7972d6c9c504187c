#include "server.h"

#include <ole2.h>
#include <stdio.h>
#include <wchar.h>

typedef HRESULT(WINAPI *can_unload_now)(void);

/* Reads the path at which the class is registered. */
static bool server_path(const CLSID *clsid, WCHAR *path, DWORD size)
{
    WCHAR id[40];
    WCHAR key[80];

    StringFromGUID2(clsid, id, sizeof id / sizeof id[0]);
    swprintf(key, sizeof key / sizeof key[0], L"CLSID\\%ls\\InprocServer32", id);
    return RegGetValueW(HKEY_CLASSES_ROOT, key, NULL, RRF_RT_REG_SZ, NULL, path, &size) ==
           ERROR_SUCCESS;
}

HMODULE server_module(const CLSID *clsid)
{
    WCHAR path[MAX_PATH];
    HMODULE module;
    const WCHAR *name;

    if (!server_path(clsid, path, sizeof path))
        return NULL;
    module = GetModuleHandleW(path);
    name = wcsrchr(path, L'\\');
    if (module == NULL && name != NULL)
        module = GetModuleHandleW(name + 1);
    return module;
}

void server_pin(const CLSID *clsid)
{
    WCHAR path[MAX_PATH];

    if (server_path(clsid, path, sizeof path))
        LoadLibraryW(path);
}

HRESULT server_can_unload(const CLSID *clsid)
{
    HMODULE module = server_module(clsid);
    can_unload_now function;

    if (module == NULL)
        return E_FAIL;
    function = (can_unload_now)(void *)GetProcAddress(module, "DllCanUnloadNow");
    return function == NULL ? E_FAIL : function();
}

static bool is_unloadable(struct session *session)
{
    return server_can_unload(&session->clsid) == S_OK;
}

void server_wait_unloadable(struct session *session)
{
    session_wait_until(session, "DllCanUnloadNow to return S_OK", is_unloadable);
    session_log_result(session, "DllCanUnloadNow", S_OK);
}
