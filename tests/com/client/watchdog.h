/*
 * A time limit for operations that may hang: a wait for a callback, a call into
 * the handler, a DLL that should become unloadable.
 */

#ifndef WATCHDOG_H
#define WATCHDOG_H

#include <stdbool.h>
#include <windows.h>

#define EXIT_TIMEOUT 3

/* The operation that a thread waits for, and its start. */
struct watch {
    const char *what;
    bool call;
    ULONGLONG since;
};

/* Starts the thread that ends the process if a wait takes too long. */
void watchdog_start(unsigned seconds);

/*
 * Records the awaited operation in slot 0 or 1; with `call`, the return of that
 * method. Returns the previous operation of the slot, for watchdog_restore.
 */
struct watch watchdog_arm(unsigned slot, const char *what, bool call);
void watchdog_restore(unsigned slot, struct watch previous);

/* The current operation of the slot. */
struct watch watchdog_current(unsigned slot);

#endif
