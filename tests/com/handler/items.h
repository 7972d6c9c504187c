/* The handler's items and their enumerator. */

#ifndef ITEMS_H
#define ITEMS_H

#include <stdbool.h>
#include <windows.h>
#include <mobsync.h>

extern const GUID item_alpha;
extern const GUID item_beta;
extern const GUID item_gamma;
extern const GUID item_delta;

bool item_is_known(const GUID *id);

/* Creates an enumerator of all items, or of all but the last. */
HRESULT items_enumerate(bool all, ISyncMgrEnumItems **enumerator);

#endif
