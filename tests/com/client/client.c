/*
 * Acts as the sync manager for a handler: loads it by its CLSID as COM does,
 * runs a synchronization, and logs every call in both directions.
 */

#include "bad.h"
#include "clicker.h"
#include "lifecycle.h"
#include "options.h"
#include "repeat.h"

static struct options options;

/* A crash of the handler must produce a log line instead of a dialog. */
static LONG WINAPI report_crash(EXCEPTION_POINTERS *exception)
{
    const EXCEPTION_RECORD *record = exception->ExceptionRecord;
    struct watch watch = watchdog_current(0);

    print_line("CRASH 0x%08lX at %p %s %s", record->ExceptionCode, record->ExceptionAddress,
               watch.call ? "in" : "while waiting for",
               watch.what == NULL ? "nothing" : watch.what);
    TerminateProcess(GetCurrentProcess(), EXIT_RULE_BROKEN);
    return EXCEPTION_CONTINUE_SEARCH;
}

static void print_bench(const struct session *session)
{
    LARGE_INTEGER frequency;
    double ticks = (double)(session->last_progress.QuadPart - session->first_progress.QuadPart);

    QueryPerformanceFrequency(&frequency);
    print_line("%sbench progress=%u ns_per_call=%.0f", session->prefix, session->progress_count,
               session->progress_count == 0
                   ? 0.0
                   : ticks * 1e9 / (double)frequency.QuadPart / session->progress_count);
}

static int run(const CLSID *clsid, unsigned slot)
{
    struct session session;
    int exit_code;

    session_init(&session, &options, clsid, slot);
    exit_code = lifecycle_run(&session);
    if (options.bench)
        print_bench(&session);
    session_clear(&session);
    return exit_code;
}

static DWORD WINAPI run_second(void *unused)
{
    (void)unused;
    return (DWORD)run(&options.second_clsid, 1);
}

static int run_both(void)
{
    HANDLE thread = CreateThread(NULL, 0, run_second, NULL, 0, NULL);
    DWORD second = EXIT_RULE_BROKEN;
    int first;

    if (thread == NULL)
        return EXIT_RULE_BROKEN;
    first = run(&options.clsid, 0);
    WaitForSingleObject(thread, INFINITE);
    GetExitCodeThread(thread, &second);
    CloseHandle(thread);
    return first != 0 ? first : (int)second;
}

int wmain(int argc, WCHAR **argv)
{
    options_parse(&options, argc, argv);
    SetUnhandledExceptionFilter(report_crash);
    watchdog_start(options.timeout);
    clicker_start(&options);
    if (options.bad)
        return bad_run(&options);
    if (options.repeat != 0)
        return repeat_run(&options);
    if (options.concurrent)
        return run_both();
    return run(&options.clsid, 0);
}
