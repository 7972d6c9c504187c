/* The work between PrepareForSync and PrepareForSyncCompleted. */

#ifndef PREPARE_H
#define PREPARE_H

#include "run.h"

void prepare(struct run *run, ISyncMgrSynchronizeCallback *callback);

#endif
