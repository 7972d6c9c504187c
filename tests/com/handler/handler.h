/* The handler object. */

#ifndef HANDLER_H
#define HANDLER_H

#include <windows.h>
#include <mobsync.h>

/* {B0A5D3C2-7E41-4C0B-9B7D-52C6E8F1A934} */
extern const CLSID clsid_native_handler;

HRESULT handler_create(REFIID iid, void **object);

#endif
