/* Nonconforming: counts the last, shorter step as a full one, so that the final value exceeds the
 * maximum. */
#include "common.h"

static void synchronize(void)
{
    const int32_t total = 10;
    const int32_t step = 4;
    int32_t done = 0;
    while (done < total) {
        /* The fault: there may be fewer than `step` left. */
        done += step;
        syncmgr_plugin_types_progress_response_t response = report(UPDATING, done, total);
        if (response != CONTINUE) {
            report(response == CANCEL_ALL ? STOPPED : SKIPPED, total, total);
            return;
        }
    }
    report(SUCCEEDED, total, total);
}
