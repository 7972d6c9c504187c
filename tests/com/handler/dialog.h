/* A dialog with a label, an edit control and two buttons. */

#ifndef DIALOG_H
#define DIALOG_H

#include <windows.h>

/* Shows it and returns the pressed button, or -1 without a dialog. */
INT_PTR dialog_ask_name(WCHAR *name, int capacity);

#endif
