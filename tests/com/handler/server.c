/* The DLL as a COM server: class factory, lifetime, and registration. */

#include "handler.h"
#include "module.h"

#include <stdio.h>
#include <wchar.h>

#define KEY_CHARS 80

static LONG module_references;
static HMODULE this_module;

void module_add_ref(void)
{
    InterlockedIncrement(&module_references);
}

void module_release(void)
{
    InterlockedDecrement(&module_references);
}

static HRESULT WINAPI query_interface(IClassFactory *iface, REFIID iid, void **object)
{
    if (object == NULL)
        return E_POINTER;
    *object = NULL;
    if (iid == NULL)
        return E_INVALIDARG;
    if (!IsEqualIID(iid, &IID_IUnknown) && !IsEqualIID(iid, &IID_IClassFactory))
        return E_NOINTERFACE;
    IClassFactory_AddRef(iface);
    *object = iface;
    return S_OK;
}

/* The factory is static; its references only keep the DLL loaded. */
static ULONG WINAPI add_ref(IClassFactory *iface)
{
    (void)iface;
    module_add_ref();
    return 2;
}

static ULONG WINAPI release(IClassFactory *iface)
{
    (void)iface;
    module_release();
    return 1;
}

static HRESULT WINAPI create_instance(IClassFactory *iface, IUnknown *outer, REFIID iid,
                                      void **object)
{
    (void)iface;
    if (object == NULL)
        return E_POINTER;
    *object = NULL;
    if (iid == NULL)
        return E_INVALIDARG;
    if (outer != NULL)
        return CLASS_E_NOAGGREGATION;
    return handler_create(iid, object);
}

static HRESULT WINAPI lock_server(IClassFactory *iface, BOOL lock)
{
    (void)iface;
    if (lock)
        module_add_ref();
    else
        module_release();
    return S_OK;
}

static const IClassFactoryVtbl vtable = {
    .QueryInterface = query_interface,
    .AddRef = add_ref,
    .Release = release,
    .CreateInstance = create_instance,
    .LockServer = lock_server,
};

static IClassFactory factory = {&vtable};

HRESULT WINAPI DllGetClassObject(REFCLSID clsid, REFIID iid, void **object)
{
    if (object == NULL)
        return E_POINTER;
    *object = NULL;
    if (clsid == NULL || iid == NULL)
        return E_INVALIDARG;
    if (!IsEqualCLSID(clsid, &clsid_native_handler))
        return CLASS_E_CLASSNOTAVAILABLE;
    return query_interface(&factory, iid, object);
}

HRESULT WINAPI DllCanUnloadNow(void)
{
    return InterlockedCompareExchange(&module_references, 0, 0) == 0 ? S_OK : S_FALSE;
}

static void class_key(WCHAR *key, const WCHAR *below)
{
    WCHAR id[40];

    StringFromGUID2(&clsid_native_handler, id, sizeof id / sizeof id[0]);
    swprintf(key, KEY_CHARS, L"CLSID\\%ls%ls", id, below);
}

static LSTATUS set_value(const WCHAR *key, const WCHAR *name, const WCHAR *value)
{
    return RegSetKeyValueW(HKEY_CLASSES_ROOT, key, name, REG_SZ, value,
                           (DWORD)((wcslen(value) + 1) * sizeof *value));
}

HRESULT WINAPI DllUnregisterServer(void)
{
    WCHAR key[KEY_CHARS];
    LSTATUS status;

    class_key(key, L"");
    status = RegDeleteTreeW(HKEY_CLASSES_ROOT, key);
    return status == ERROR_FILE_NOT_FOUND ? S_OK : HRESULT_FROM_WIN32(status);
}

/*
 * HANDLER_THREADING replaces the threading model, because a client in the
 * multithreaded apartment could only reach an Apartment object by a proxy for
 * ISyncMgrSynchronize.
 */
HRESULT WINAPI DllRegisterServer(void)
{
    WCHAR key[KEY_CHARS];
    WCHAR path[MAX_PATH];
    WCHAR model[16];
    LSTATUS status;

    if (GetModuleFileNameW(this_module, path, MAX_PATH) == 0)
        return HRESULT_FROM_WIN32(GetLastError());
    if (GetEnvironmentVariableW(L"HANDLER_THREADING", model, sizeof model / sizeof model[0]) == 0)
        wcscpy(model, L"Apartment");
    class_key(key, L"");
    status = set_value(key, NULL, L"Native test handler");
    class_key(key, L"\\InprocServer32");
    if (status == ERROR_SUCCESS)
        status = set_value(key, NULL, path);
    if (status == ERROR_SUCCESS)
        status = set_value(key, L"ThreadingModel", model);
    if (status != ERROR_SUCCESS)
        DllUnregisterServer();
    return HRESULT_FROM_WIN32(status);
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, void *reserved)
{
    (void)reserved;
    if (reason == DLL_PROCESS_ATTACH) {
        this_module = instance;
        DisableThreadLibraryCalls(instance);
    }
    return TRUE;
}
