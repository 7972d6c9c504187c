/* The work that continues after the methods of the handler have returned. */

#ifndef WORKER_H
#define WORKER_H

#include "run.h"

enum job_kind { JOB_PREPARE, JOB_SYNCHRONIZE, JOB_SHOW_ERROR, JOB_SHOW_PROPERTIES };

/* The id of Gamma's error. */
extern const GUID error_gamma;

/*
 * Runs a job in a separate thread, or in this thread if the mode requires it.
 * The id is that of the job's item or error, if any.
 */
HRESULT worker_start(struct run *run, enum job_kind kind, const GUID *id);

#endif
