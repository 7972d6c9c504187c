/* Reports that no handler should make, for managers to survive. */

#ifndef GARBAGE_H
#define GARBAGE_H

#include <windows.h>
#include <mobsync.h>

void report_garbage(ISyncMgrSynchronizeCallback *callback, const GUID *item);

#endif
