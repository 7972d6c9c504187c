/* Nonconforming: it reports each of a great many steps. */
#include "common.h"

static void synchronize(void)
{
    count(200000);
}
