/* Nonconforming: waits for a long time between two reports, and does not notice a cancellation. */
#define _POSIX_C_SOURCE 200809L
#include "common.h"

#include <time.h>

static void synchronize(void)
{
    for (int32_t value = 1; value <= 3; value++) {
        syncmgr_plugin_types_progress_response_t response = report(UPDATING, value, 3);
        if (response != CONTINUE) {
            report(response == CANCEL_ALL ? STOPPED : SKIPPED, value, 3);
            return;
        }
        struct timespec pause = {.tv_sec = 3};
        nanosleep(&pause, NULL);
    }
    report(SUCCEEDED, 3, 3);
}
