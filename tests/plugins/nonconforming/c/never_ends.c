/* Nonconforming: the item gets no terminal status. */
#include "common.h"

static void synchronize(void)
{
    for (int32_t value = 1; value <= 10; value++) {
        if (report(UPDATING, value, 10) != CONTINUE) {
            return;
        }
    }
}
