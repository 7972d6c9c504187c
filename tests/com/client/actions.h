/* Calls into the handler that the main thread makes while it waits. */

#ifndef ACTIONS_H
#define ACTIONS_H

#include "session.h"

void action_perform(struct session *session, const struct action *action);

/* SetItemStatus, logged. */
void set_item_status(struct session *session, const GUID *item, DWORD status);

/* SetProgressCallback(NULL). No callback may begin after it. */
void drop_callback(struct session *session);

/* Release of the handler. */
void release_handler(struct session *session);

#endif
