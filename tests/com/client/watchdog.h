/*
 * The time limit of everything that may take forever: a wait for a callback,
 * a call into the handler, a DLL that should become unloadable.
 */

#ifndef WATCHDOG_H
#define WATCHDOG_H

#include <stdbool.h>
#include <windows.h>

#define EXIT_TIMEOUT 3

/* What one thread waits for at the moment, and since when. */
struct watch {
    const char *what;
    bool call;
    ULONGLONG since;
};

/* Starts the thread that ends the process when a wait lasts too long. */
void watchdog_start(unsigned seconds);

/*
 * Notes in one of the slots 0 and 1 what is waited for from now on; with
 * `call`, for the return of that method. Returns what the slot held before,
 * to be put back by watchdog_restore.
 */
struct watch watchdog_arm(unsigned slot, const char *what, bool call);
void watchdog_restore(unsigned slot, struct watch previous);

/* What the slot waits for at the moment. */
struct watch watchdog_current(unsigned slot);

#endif
