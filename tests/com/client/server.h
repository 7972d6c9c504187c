/* The DLL of the handler's registered class. */

#ifndef SERVER_H
#define SERVER_H

#include "session.h"

/* The loaded module of a class, or NULL. */
HMODULE server_module(const CLSID *clsid);

/* Loads the module for good. */
void server_pin(const CLSID *clsid);

/* The result of its DllCanUnloadNow; E_FAIL if it cannot be called. */
HRESULT server_can_unload(const CLSID *clsid);

/* Waits until the DLL reports that it can be unloaded. */
void server_wait_unloadable(struct session *session);

#endif
