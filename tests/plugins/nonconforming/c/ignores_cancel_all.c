/* Nonconforming: it stops when the item is cancelled, and goes on when everything is. */
#include "common.h"

static void synchronize(void)
{
    for (int32_t value = 1; value <= 1000; value++) {
        /* The mistake: CANCEL_ALL means this item, too. */
        if (report(UPDATING, value, 1000) == SYNCMGR_PLUGIN_TYPES_PROGRESS_RESPONSE_CANCEL_ITEM) {
            report(SKIPPED, value, 1000);
            return;
        }
    }
    report(SUCCEEDED, 1000, 1000);
}
