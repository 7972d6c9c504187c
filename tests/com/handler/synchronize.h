/* The work between Synchronize and SynchronizeCompleted. */

#ifndef SYNCHRONIZE_H
#define SYNCHRONIZE_H

#include "items.h"
#include "run.h"

void synchronize(struct run *run, ISyncMgrSynchronizeCallback *callback);

#endif
