/* Nonconforming: the last step, which is a shorter one, counts as a whole one, so that more is done in the
 * end than there is to do. */
#include "common.h"

static void synchronize(void)
{
    const int32_t total = 10;
    const int32_t step = 4;
    int32_t done = 0;
    while (done < total) {
        /* The mistake: there may be fewer than `step` left. */
        done += step;
        syncmgr_plugin_types_progress_response_t response = report(UPDATING, done, total);
        if (response != CONTINUE) {
            report(response == CANCEL_ALL ? STOPPED : SKIPPED, total, total);
            return;
        }
    }
    report(SUCCEEDED, total, total);
}
