/* The steps that the sync manager goes through with a handler. */

#ifndef LIFECYCLE_H
#define LIFECYCLE_H

#include "session.h"

/* Goes through the whole lifecycle, COM included; returns the exit code. */
int lifecycle_run(struct session *session);

/* The parts of it that are of use on their own. */

/* Enters the apartment and makes the proxy and stub known where wanted. */
void lifecycle_enter(struct session *session);
void lifecycle_leave(struct session *session);

/* Creates the session's handler. */
HRESULT lifecycle_create(struct session *session);
HRESULT lifecycle_initialize(struct session *session);
HRESULT lifecycle_set_callback(struct session *session);

/*
 * PrepareForSync and its completion. True when the handler is prepared and
 * Synchronize may follow.
 */
bool lifecycle_prepare(struct session *session, const GUID *ids, size_t count);

/* Synchronize and its completion. */
void lifecycle_synchronize(struct session *session);

/* Gives up the callback once the handler has let go of it, and logs how that went. */
void lifecycle_finish_callback(struct session *session);

#endif
