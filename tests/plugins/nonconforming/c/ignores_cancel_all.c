/* Nonconforming: stops if the item is cancelled, but not if everything is. */
#include "common.h"

static void synchronize(void)
{
    for (int32_t value = 1; value <= 1000; value++) {
        /* The fault: CANCEL_ALL includes this item. */
        if (report(UPDATING, value, 1000) == SYNCMGR_PLUGIN_TYPES_PROGRESS_RESPONSE_CANCEL_ITEM) {
            report(SKIPPED, value, 1000);
            return;
        }
    }
    report(SUCCEEDED, 1000, 1000);
}
