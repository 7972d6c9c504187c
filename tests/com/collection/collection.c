/*
 * Lists the handlers of a collection as Sync Center does: it requests
 * ISyncMgrHandler of each, and ISyncMgrSynchronize if that fails.
 *
 *   collection {CLSID}             with the rights of the caller
 *   collection {CLSID} --limited   without the rights of an administrator
 */

#include <stdio.h>
#include <windows.h>
#include <mobsync.h>

/* syncmgr.h, which mingw does not have. */
static const IID IID_ISyncMgrHandlerCollection = {
    0xa7f337a3, 0xd20b, 0x45cb, {0x9e, 0xd7, 0x87, 0xd0, 0x94, 0xca, 0x50, 0x45}};
static const IID IID_ISyncMgrHandler = {
    0x04ec2e43, 0xac77, 0x49f9, {0x9b, 0x98, 0x03, 0x07, 0xef, 0x7a, 0x72, 0xa2}};

typedef struct Collection Collection;

struct Collection {
    const struct {
        HRESULT(WINAPI *QueryInterface)(Collection *, REFIID, void **);
        ULONG(WINAPI *AddRef)(Collection *);
        ULONG(WINAPI *Release)(Collection *);
        HRESULT(WINAPI *GetHandlerEnumerator)(Collection *, IEnumString **);
        HRESULT(WINAPI *BindToHandler)(Collection *, LPCWSTR, REFIID, void **);
    } *lpVtbl;
};

static void show_handler(Collection *collection, LPCWSTR id)
{
    IUnknown *modern = NULL;
    ISyncMgrSynchronize *handler = NULL;
    SYNCMGRHANDLERINFO *info = NULL;
    HRESULT hr;

    printf("handler %ls\n", id);
    hr = collection->lpVtbl->BindToHandler(collection, id, &IID_ISyncMgrHandler, (void **)&modern);
    printf("  ISyncMgrHandler hr=0x%08lx\n", (unsigned long)hr);
    hr = collection->lpVtbl->BindToHandler(collection, id, &IID_ISyncMgrSynchronize,
                                           (void **)&handler);
    printf("  ISyncMgrSynchronize hr=0x%08lx\n", (unsigned long)hr);
    if (FAILED(hr))
        return;
    hr = ISyncMgrSynchronize_Initialize(handler, 0, SYNCMGRFLAG_MANUAL, 0, NULL);
    printf("  Initialize hr=0x%08lx\n", (unsigned long)hr);
    hr = ISyncMgrSynchronize_GetHandlerInfo(handler, &info);
    printf("  GetHandlerInfo hr=0x%08lx name=%ls\n", (unsigned long)hr,
           SUCCEEDED(hr) ? info->wszHandlerName : L"");
    CoTaskMemFree(info);
    ISyncMgrSynchronize_Release(handler);
}

/* Runs this program with the token of the user without the rights of an administrator. */
static int run_limited(const WCHAR *program, const WCHAR *clsid)
{
    STARTUPINFOW startup = {.cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION process;
    TOKEN_LINKED_TOKEN linked;
    WCHAR command[256];
    HANDLE token, limited;
    DWORD size, status = 1;

    startup.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
    startup.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    _snwprintf(command, sizeof command / sizeof command[0], L"\"%ls\" %ls", program, clsid);
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token) ||
        !GetTokenInformation(token, TokenLinkedToken, &linked, sizeof linked, &size) ||
        !DuplicateTokenEx(linked.LinkedToken, MAXIMUM_ALLOWED, NULL, SecurityImpersonation,
                          TokenPrimary, &limited) ||
        !CreateProcessAsUserW(limited, NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &startup,
                              &process)) {
        fprintf(stderr, "no process with fewer rights: %lu\n", GetLastError());
        return 3;
    }
    WaitForSingleObject(process.hProcess, INFINITE);
    GetExitCodeProcess(process.hProcess, &status);
    return (int)status;
}

int wmain(int argc, WCHAR **argv)
{
    Collection *collection;
    IEnumString *ids;
    CLSID clsid;
    LPOLESTR id;
    ULONG fetched;
    HRESULT hr;

    if (argc == 3 && wcscmp(argv[2], L"--limited") == 0)
        return run_limited(argv[0], argv[1]);
    if (argc != 2 || FAILED(CLSIDFromString(argv[1], &clsid))) {
        fprintf(stderr, "usage: collection {CLSID} [--limited]\n");
        return 2;
    }
    CoInitializeEx(NULL, COINIT_APARTMENTTHREADED);
    hr = CoCreateInstance(&clsid, NULL, CLSCTX_INPROC_SERVER, &IID_ISyncMgrHandlerCollection,
                          (void **)&collection);
    printf("collection hr=0x%08lx\n", (unsigned long)hr);
    if (FAILED(hr))
        return 1;
    hr = collection->lpVtbl->GetHandlerEnumerator(collection, &ids);
    printf("enumerator hr=0x%08lx\n", (unsigned long)hr);
    if (FAILED(hr))
        return 1;
    while (IEnumString_Next(ids, 1, &id, &fetched) == S_OK && fetched == 1) {
        show_handler(collection, id);
        CoTaskMemFree(id);
    }
    IEnumString_Release(ids);
    show_handler(collection, L"{00000000-0000-0000-0000-000000000001}");
    show_handler(collection, L"no class");
    printf("references left: %lu\n", (unsigned long)collection->lpVtbl->Release(collection));
    CoUninitialize();
    return 0;
}
