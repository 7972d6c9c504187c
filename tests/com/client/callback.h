/* The manager's side of the conversation: the object the handler reports to. */

#ifndef CALLBACK_H
#define CALLBACK_H

#include "session.h"

struct callback {
    ISyncMgrSynchronizeCallback iface;
    LONG references;
    struct session *session;
    IUnknown *marshaler;
};

/* Makes the session's callback, with one reference that the session holds. */
void callback_create(struct session *session);

/*
 * Gives up the session's reference and frees the object. Returns how many
 * references others still hold; then the object stays, for they may use it.
 */
LONG callback_destroy(struct session *session);

#endif
