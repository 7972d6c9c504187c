/* Nonconforming: reports each of very many steps. */
#include "common.h"

static void synchronize(void)
{
    count(200000);
}
