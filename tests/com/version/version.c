/* Prints the version resource of a file, as Windows reads it. */

#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

static const WCHAR *const names[] = {L"FileDescription", L"FileVersion", L"OriginalFilename",
                                     L"ProductName", L"ProductVersion"};

int wmain(int argc, WCHAR **argv)
{
    VS_FIXEDFILEINFO *fixed;
    WCHAR *value;
    WCHAR path[80];
    UINT length;
    DWORD size = argc == 2 ? GetFileVersionInfoSizeW(argv[1], NULL) : 0;
    void *data = size == 0 ? NULL : malloc(size);

    if (data == NULL || !GetFileVersionInfoW(argv[1], 0, size, data) ||
        !VerQueryValueW(data, L"\\", (void **)&fixed, &length)) {
        fprintf(stderr, "no version: %lu\n", GetLastError());
        return 1;
    }
    printf("file version: %u.%u.%u.%u\n", HIWORD(fixed->dwFileVersionMS),
           LOWORD(fixed->dwFileVersionMS), HIWORD(fixed->dwFileVersionLS),
           LOWORD(fixed->dwFileVersionLS));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        _snwprintf(path, sizeof path / sizeof path[0], L"\\StringFileInfo\\040904B0\\%ls", names[i]);
        if (VerQueryValueW(data, path, (void **)&value, &length))
            printf("%ls: %ls\n", names[i], value);
    }
    free(data);
    return 0;
}
