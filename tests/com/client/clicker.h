/* A user who fills in dialogs and presses buttons. */

#ifndef CLICKER_H
#define CLICKER_H

#include "options.h"

/* Starts the thread that answers dialogs, if the command line requests it. */
void clicker_start(const struct options *options);

#endif
