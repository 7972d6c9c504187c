#include "proxy.h"

#include <ole2.h>
#include <mobsync.h>
#include <rpcproxy.h>

/*
 * COM creates proxies in whatever apartment an interface arrives in, and finds
 * a class registered with CoRegisterClassObject only in the apartment that
 * registered it. So client.exe exports DllGetClassObject and its manifest
 * names the class, which makes it available everywhere without the registry.
 * CoRegisterPSClsid is what turns it on.
 */

extern const ProxyFileInfo callback_ProxyFileInfo;

static const ProxyFileInfo *proxy_files[] = {&callback_ProxyFileInfo, NULL};

static CStdPSFactoryBuffer factory;

/* The stub's method table, which comes from rpcproxy.h, refers to this one. */
ULONG WINAPI CStdStubBuffer_Release(IRpcStubBuffer *stub)
{
    return NdrCStdStubBuffer_Release(stub, (IPSFactoryBuffer *)&factory);
}

/* By convention the class of a proxy carries the id of its interface. */
__declspec(dllexport) HRESULT WINAPI DllGetClassObject(REFCLSID clsid, REFIID iid, void **object)
{
    return NdrDllGetClassObject(clsid, iid, object, proxy_files, &IID_ISyncMgrSynchronizeCallback,
                                &factory);
}

HRESULT proxy_register(void)
{
    return CoRegisterPSClsid(&IID_ISyncMgrSynchronizeCallback, &IID_ISyncMgrSynchronizeCallback);
}
