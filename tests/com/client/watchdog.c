#include "watchdog.h"

#include "text.h"

#define SLOTS 2
#define POLL_MS 50

static CRITICAL_SECTION lock;
static struct watch slots[SLOTS];
static ULONGLONG limit_ms;

static DWORD WINAPI watchdog_thread(void *unused)
{
    (void)unused;
    for (;;) {
        Sleep(POLL_MS);
        EnterCriticalSection(&lock);
        for (unsigned i = 0; i < SLOTS; i++) {
            const struct watch *watch = &slots[i];

            if (watch->what == NULL || GetTickCount64() - watch->since < limit_ms)
                continue;
            print_line("TIMEOUT waiting for %s%s", watch->what, watch->call ? " to return" : "");
            /* ExitProcess would wait for locks of a blocked thread. */
            TerminateProcess(GetCurrentProcess(), EXIT_TIMEOUT);
        }
        LeaveCriticalSection(&lock);
    }
    return 0;
}

void watchdog_start(unsigned seconds)
{
    HANDLE thread;

    InitializeCriticalSection(&lock);
    limit_ms = (ULONGLONG)seconds * 1000;
    thread = CreateThread(NULL, 0, watchdog_thread, NULL, 0, NULL);
    if (thread != NULL)
        CloseHandle(thread);
}

struct watch watchdog_arm(unsigned slot, const char *what, bool call)
{
    struct watch previous;

    EnterCriticalSection(&lock);
    previous = slots[slot];
    slots[slot] = (struct watch){.what = what, .call = call, .since = GetTickCount64()};
    LeaveCriticalSection(&lock);
    return previous;
}

void watchdog_restore(unsigned slot, struct watch previous)
{
    EnterCriticalSection(&lock);
    slots[slot] = previous;
    LeaveCriticalSection(&lock);
}

struct watch watchdog_current(unsigned slot)
{
    return slots[slot];
}
