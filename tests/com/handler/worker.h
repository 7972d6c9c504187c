/* The work that goes on after the handler's methods have returned. */

#ifndef WORKER_H
#define WORKER_H

#include "run.h"

enum job_kind { JOB_PREPARE, JOB_SYNCHRONIZE, JOB_SHOW_ERROR, JOB_SHOW_PROPERTIES };

/* The id by which Gamma's error is known. */
extern const GUID error_gamma;

/*
 * Does a job in a thread of its own, or in the mode for that in this thread.
 * The id is that of the item or error the job is about, if any.
 */
HRESULT worker_start(struct run *run, enum job_kind kind, const GUID *id);

#endif
