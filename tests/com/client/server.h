/* The DLL that the handler's class is registered for. */

#ifndef SERVER_H
#define SERVER_H

#include "session.h"

/* The loaded module of a class, or NULL. */
HMODULE server_module(const CLSID *clsid);

/* Loads the module for good. */
void server_pin(const CLSID *clsid);

/* What its DllCanUnloadNow says; E_FAIL when it cannot be asked. */
HRESULT server_can_unload(const CLSID *clsid);

/* Waits until the DLL says that it can be unloaded. */
void server_wait_unloadable(struct session *session);

#endif
