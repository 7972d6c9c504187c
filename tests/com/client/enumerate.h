/* What a handler says about itself and its items. */

#ifndef ENUMERATE_H
#define ENUMERATE_H

#include "session.h"

/* GetHandlerInfo. */
void enumerate_info(struct session *session);

/* EnumSyncMgrItems and Next until there is no more; fills the session's list. */
void enumerate_items(struct session *session);

/* Next, logged, and the number of items it delivered. */
ULONG enumerate_next(struct session *session, ISyncMgrEnumItems *enumerator, ULONG count,
                     SYNCMGRITEM *items);

#endif
