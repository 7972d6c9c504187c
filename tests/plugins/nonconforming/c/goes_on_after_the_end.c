/* Nonconforming: the item is reported on after its last status. */
#include "common.h"

static void synchronize(void)
{
    count(10);
    report(UPDATING, 10, 10);
}
