/*
 * A stand-in for bcryptprimitives.dll, which Wine 8.0 lacks and the Rust
 * standard library imports. It has only the one function that Rust uses.
 */

#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
    while (size > 0) {
        ULONG part = size > 0x10000000 ? 0x10000000 : (ULONG)size;

        /* The real function cannot fail, so callers ignore the result. */
        if (!RtlGenRandom(data, part))
            RaiseFailFastException(NULL, NULL, 0);
        data += part;
        size -= part;
    }
    return TRUE;
}
