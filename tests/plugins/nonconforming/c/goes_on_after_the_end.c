/* Nonconforming: reports on the item after its terminal status. */
#include "common.h"

static void synchronize(void)
{
    count(10);
    report(UPDATING, 10, 10);
}
