/* The references that keep the DLL loaded. */

#ifndef MODULE_H
#define MODULE_H

#include <windows.h>

void module_add_ref(void);
void module_release(void);

#endif
