/* The information of a handler about itself and its items. */

#ifndef ENUMERATE_H
#define ENUMERATE_H

#include "session.h"

/* GetHandlerInfo. */
void enumerate_info(struct session *session);

/* Enumerates all items into the list of the session. */
void enumerate_items(struct session *session);

/* Calls Next, logs it, and returns the number of items. */
ULONG enumerate_next(struct session *session, ISyncMgrEnumItems *enumerator, ULONG count,
                     SYNCMGRITEM *items);

#endif
