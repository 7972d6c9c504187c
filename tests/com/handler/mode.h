/* The behaviours that the environment variable HANDLER_MODE selects. */

#ifndef MODE_H
#define MODE_H

#include <stdbool.h>

enum mode {
    MODE_NORMAL,
    MODE_DECLINE,
    MODE_MISSING,
    MODE_NEEDS_USER,
    MODE_PREPARE_FAILS,
    MODE_SYNC_FAILS,
    MODE_DOUBLE,
    MODE_SYNCHRONOUS,
    MODE_JOINED,
    MODE_GARBAGE,
    MODE_SILENT,
    MODE_COOKIE,
    MODE_QUESTION,
    MODE_DIALOG
};

/* Reads the variable; false when it names no mode. */
bool mode_read(enum mode *mode);

#endif
