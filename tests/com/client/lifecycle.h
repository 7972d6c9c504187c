/* The steps that the sync manager goes through with a handler. */

#ifndef LIFECYCLE_H
#define LIFECYCLE_H

#include "session.h"

/* Runs the whole lifecycle including COM; returns the exit code. */
int lifecycle_run(struct session *session);

/* Its parts that are used separately. */

/* Enters the apartment and registers the proxy and stub if requested. */
void lifecycle_enter(struct session *session);
void lifecycle_leave(struct session *session);

/* Creates the session's handler. */
HRESULT lifecycle_create(struct session *session);
HRESULT lifecycle_initialize(struct session *session);
HRESULT lifecycle_set_callback(struct session *session);

/*
 * PrepareForSync and its completion. Returns true if the handler is prepared
 * and Synchronize may follow.
 */
bool lifecycle_prepare(struct session *session, const GUID *ids, size_t count);

/* Synchronize and its completion. */
void lifecycle_synchronize(struct session *session);

/* Releases the callback after the handler has done so, and logs the result. */
void lifecycle_finish_callback(struct session *session);

#endif
