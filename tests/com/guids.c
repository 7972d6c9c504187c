/*
 * Defines the interface identifiers that mobsync.h only declares; mingw's
 * libuuid does not contain them.
 */

#define INITGUID
#include <windows.h>
#include <initguid.h>
#include <mobsync.h>
