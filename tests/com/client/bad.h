/* Invalid calls: bad arguments, and calls out of order. */

#ifndef BAD_H
#define BAD_H

#include "options.h"

/* Makes all of them, logs the results, and returns the exit code. */
int bad_run(const struct options *options);

#endif
