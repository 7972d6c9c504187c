/*
 * The client as its own proxy and stub server for ISyncMgrSynchronizeCallback,
 * the role of mobsync.dll on Windows.
 */

#ifndef PROXY_H
#define PROXY_H

#include <windows.h>

/* Makes COM use the proxy and stub in this process; needs COM initialized. */
HRESULT proxy_register(void);

#endif
