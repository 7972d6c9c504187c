/* Nonconforming: crashes unless the user starts the run. */
#define INITIALIZE(trigger)                                                                        \
    do {                                                                                           \
        if ((trigger)->event != SYNCMGR_PLUGIN_TYPES_SYNC_EVENT_MANUAL) {                          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
#include "common.h"

static void synchronize(void)
{
    count(10);
}
