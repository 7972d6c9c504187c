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
    MODE_DIALOG,
    MODE_NEVER,
    MODE_HANGS,
    MODE_RELEASE_HANGS,
    MODE_EXITS,
    MODE_TERMINATES,
    MODE_CRASHES,
    MODE_LATE,
    MODE_NAMELESS
};

/* Reads the variable; returns false for an unknown mode. */
bool mode_read(enum mode *mode);

#endif
