/* Nonconforming: it reports `succeeded` about whatever id it is given. */
#define ANY_ITEM
#include "common.h"

static void synchronize(void)
{
    count(10);
}
