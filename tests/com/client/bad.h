/* What no manager should do: bad arguments, and calls out of order. */

#ifndef BAD_H
#define BAD_H

#include "options.h"

/* Tries it all, logs what the handler answers, and returns the exit code. */
int bad_run(const struct options *options);

#endif
