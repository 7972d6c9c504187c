/* The callback object of the manager, to which the handler reports. */

#ifndef CALLBACK_H
#define CALLBACK_H

#include "session.h"

struct callback {
    ISyncMgrSynchronizeCallback iface;
    LONG references;
    struct session *session;
    IUnknown *marshaler;
};

/* Creates the session's callback, with one reference of the session. */
void callback_create(struct session *session);

/*
 * Releases the session's reference and frees the object. Returns the number of
 * remaining references; if there are any, the object is kept for them.
 */
LONG callback_destroy(struct session *session);

#endif
