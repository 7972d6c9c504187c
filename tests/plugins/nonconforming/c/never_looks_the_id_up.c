/* Nonconforming: reports `succeeded` for any id. */
#define ANY_ITEM
#include "common.h"

static void synchronize(void)
{
    count(10);
}
