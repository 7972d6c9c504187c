/*
 * Included ahead of the code that widl generates: it refers to these functions
 * of rpcrt4, which mingw's headers declare for C++ only.
 */

#ifndef PROXY_DECLARATIONS_H
#define PROXY_DECLARATIONS_H

#include <windows.h>

HRESULT WINAPI IUnknown_QueryInterface_Proxy(IUnknown *unknown, REFIID iid, void **object);
ULONG WINAPI IUnknown_AddRef_Proxy(IUnknown *unknown);
ULONG WINAPI IUnknown_Release_Proxy(IUnknown *unknown);

#endif
