/* Many lifecycles in one process, to detect leaks. */

#ifndef REPEAT_H
#define REPEAT_H

#include "options.h"

/* Runs them, reports, and returns the exit code. */
int repeat_run(const struct options *options);

#endif
