#include "repeat.h"

#include "lifecycle.h"
#include "server.h"
#include "usage.h"

/* Rounds before the measurement, which fill caches and pools. */
#define WARM_UP 20

/* The time for ending threads to exit. */
#define QUIET_MS 200

struct totals {
    int exit_code;
    LONG callback_left;
    HRESULT unload;
};

static struct usage measure(void)
{
    Sleep(QUIET_MS);
    return usage_measure();
}

static void run_rounds(const struct options *options, unsigned count, bool quiet,
                       struct totals *totals)
{
    for (unsigned i = 0; i < count; i++) {
        struct session session;
        int exit_code;

        session_init(&session, options, &options->clsid, 0);
        session.quiet = quiet;
        exit_code = lifecycle_run(&session);
        if (exit_code != 0)
            totals->exit_code = exit_code;
        totals->callback_left += session.callback_left;
        totals->unload = session.unload;
        session_clear(&session);
    }
}

/*
 * Wine 8.0 leaks a handle each time it fails to marshal an interface without a
 * proxy, so a run without --proxy or --agile there may count handles that the
 * handler has not leaked.
 */
int repeat_run(const struct options *options)
{
    struct totals totals = {0};
    unsigned measured = options->repeat - WARM_UP;
    struct usage before;
    struct usage after;

    if (options->keep_loaded)
        server_pin(&options->clsid);
    run_rounds(options, 1, false, &totals);
    run_rounds(options, WARM_UP - 1, true, &totals);
    before = measure();
    run_rounds(options, measured, true, &totals);
    after = measure();
    print_line("leak handles=%ld bytes_per_run=%lld threads=%ld callback_refs=%ld unload=0x%08lX",
               after.handles - before.handles,
               (after.private_bytes - before.private_bytes) / measured,
               after.threads - before.threads, totals.callback_left, totals.unload);
    return totals.exit_code;
}
