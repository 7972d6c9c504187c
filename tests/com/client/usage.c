#include "usage.h"

#include <stdlib.h>
#include <windows.h>
#include <psapi.h>
#include <tlhelp32.h>
#include <winternl.h>

/* Not in mingw's headers: all open handles of the system, and one of them. */
#define SYSTEM_EXTENDED_HANDLE_INFORMATION ((SYSTEM_INFORMATION_CLASS)64)
#define STATUS_TOO_SMALL ((NTSTATUS)0xC0000004)

struct system_handle {
    void *object;
    ULONG_PTR process;
    ULONG_PTR handle;
    ULONG access;
    USHORT trace_index;
    USHORT type_index;
    ULONG attributes;
    ULONG reserved;
};

struct system_handles {
    ULONG_PTR count;
    ULONG_PTR reserved;
    struct system_handle handles[];
};

/*
 * Counts in the list of all handles, because GetProcessHandleCount of Wine 8.0
 * always returns 0.
 */
static long count_handles(void)
{
    ULONG size = 1 << 20;
    struct system_handles *list = NULL;
    NTSTATUS status = STATUS_TOO_SMALL;
    long count = 0;

    while (status == STATUS_TOO_SMALL) {
        size *= 2;
        free(list);
        list = malloc(size);
        if (list == NULL)
            return 0;
        status = NtQuerySystemInformation(SYSTEM_EXTENDED_HANDLE_INFORMATION, list, size, NULL);
    }
    for (ULONG_PTR i = 0; NT_SUCCESS(status) && i < list->count; i++)
        count += list->handles[i].process == GetCurrentProcessId();
    free(list);
    return count;
}

static long count_threads(void)
{
    THREADENTRY32 entry = {.dwSize = sizeof entry};
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    long count = 0;

    if (snapshot == INVALID_HANDLE_VALUE)
        return 0;
    for (BOOL more = Thread32First(snapshot, &entry); more; more = Thread32Next(snapshot, &entry))
        count += entry.th32OwnerProcessID == GetCurrentProcessId();
    CloseHandle(snapshot);
    return count;
}

/*
 * PagefileUsage equals PrivateUsage, which Wine 8.0 does not set.
 */
static long long count_private_bytes(void)
{
    PROCESS_MEMORY_COUNTERS memory = {.cb = sizeof memory};

    GetProcessMemoryInfo(GetCurrentProcess(), &memory, sizeof memory);
    return (long long)memory.PagefileUsage;
}

struct usage usage_measure(void)
{
    return (struct usage){
        .handles = count_handles(),
        .private_bytes = count_private_bytes(),
        .threads = count_threads(),
    };
}
