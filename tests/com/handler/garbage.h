/* Invalid reports, which a manager must tolerate. */

#ifndef GARBAGE_H
#define GARBAGE_H

#include <windows.h>
#include <mobsync.h>

void report_garbage(ISyncMgrSynchronizeCallback *callback, const GUID *item);

#endif
