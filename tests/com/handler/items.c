#include "items.h"

#include "module.h"

#include <stdlib.h>
#include <wchar.h>

#define ITEM_COUNT 4

const GUID item_alpha = {
    0xA1FA0001, 0x5D2C, 0x4E0B, {0x9A, 0x31, 0x6C, 0x1B, 0x80, 0x4E, 0x00, 0x01}};
const GUID item_beta = {
    0xBE7A0002, 0x5D2C, 0x4E0B, {0x9A, 0x31, 0x6C, 0x1B, 0x80, 0x4E, 0x00, 0x02}};
const GUID item_gamma = {
    0x6A33A003, 0x5D2C, 0x4E0B, {0x9A, 0x31, 0x6C, 0x1B, 0x80, 0x4E, 0x00, 0x03}};
const GUID item_delta = {
    0xDE17A004, 0x5D2C, 0x4E0B, {0x9A, 0x31, 0x6C, 0x1B, 0x80, 0x4E, 0x00, 0x04}};

static const struct {
    const GUID *id;
    const WCHAR *name;
    DWORD flags;
    DWORD state;
} table[ITEM_COUNT] = {
    {&item_alpha, L"Alpha", SYNCMGRITEM_HASPROPERTIES, SYNCMGRITEMSTATE_CHECKED},
    {&item_beta, L"Beta", 0, SYNCMGRITEMSTATE_CHECKED},
    {&item_gamma, L"Gamma", 0, SYNCMGRITEMSTATE_CHECKED},
    {&item_delta, L"Delta", SYNCMGRITEM_LASTUPDATETIME, SYNCMGRITEMSTATE_UNCHECKED},
};

static const SYSTEMTIME last_update = {
    .wYear = 2026, .wMonth = 1, .wDay = 2, .wHour = 3, .wMinute = 4, .wSecond = 5};

struct enumerator {
    ISyncMgrEnumItems iface;
    LONG references;
    ULONG position;
    ULONG end;
};

bool item_is_known(const GUID *id)
{
    for (size_t i = 0; i < ITEM_COUNT; i++) {
        if (IsEqualGUID(table[i].id, id))
            return true;
    }
    return false;
}

static SYNCMGRITEM make_item(ULONG index)
{
    SYNCMGRITEM item = {
        .cbSize = sizeof item,
        .dwFlags = table[index].flags,
        .ItemID = *table[index].id,
        .dwItemState = table[index].state,
    };

    wcscpy(item.wszItemName, table[index].name);
    if (item.dwFlags & SYNCMGRITEM_LASTUPDATETIME)
        SystemTimeToFileTime(&last_update, &item.ftLastUpdate);
    return item;
}

static HRESULT WINAPI query_interface(ISyncMgrEnumItems *iface, REFIID iid, void **object)
{
    if (object == NULL)
        return E_POINTER;
    *object = NULL;
    if (iid == NULL)
        return E_INVALIDARG;
    if (!IsEqualIID(iid, &IID_IUnknown) && !IsEqualIID(iid, &IID_ISyncMgrEnumItems))
        return E_NOINTERFACE;
    ISyncMgrEnumItems_AddRef(iface);
    *object = iface;
    return S_OK;
}

static ULONG WINAPI add_ref(ISyncMgrEnumItems *iface)
{
    return (ULONG)InterlockedIncrement(&((struct enumerator *)iface)->references);
}

static ULONG WINAPI release(ISyncMgrEnumItems *iface)
{
    struct enumerator *enumerator = (struct enumerator *)iface;
    LONG references = InterlockedDecrement(&enumerator->references);

    if (references == 0) {
        free(enumerator);
        module_release();
    }
    return (ULONG)references;
}

static HRESULT WINAPI next(ISyncMgrEnumItems *iface, ULONG count, LPSYNCMGRITEM items,
                           ULONG *fetched)
{
    struct enumerator *enumerator = (struct enumerator *)iface;
    ULONG delivered = 0;

    if (fetched != NULL)
        *fetched = 0;
    if (items == NULL && count > 0)
        return E_POINTER;
    while (delivered < count && enumerator->position < enumerator->end)
        items[delivered++] = make_item(enumerator->position++);
    if (fetched != NULL)
        *fetched = delivered;
    return delivered == count ? S_OK : S_FALSE;
}

static HRESULT WINAPI skip(ISyncMgrEnumItems *iface, ULONG count)
{
    struct enumerator *enumerator = (struct enumerator *)iface;
    ULONG left = enumerator->end - enumerator->position;

    enumerator->position += count < left ? count : left;
    return count <= left ? S_OK : S_FALSE;
}

static HRESULT WINAPI reset(ISyncMgrEnumItems *iface)
{
    ((struct enumerator *)iface)->position = 0;
    return S_OK;
}

static HRESULT make_enumerator(ULONG position, ULONG end, ISyncMgrEnumItems **enumerator);

static HRESULT WINAPI clone(ISyncMgrEnumItems *iface, ISyncMgrEnumItems **copy)
{
    const struct enumerator *enumerator = (const struct enumerator *)iface;

    if (copy == NULL)
        return E_POINTER;
    return make_enumerator(enumerator->position, enumerator->end, copy);
}

static const ISyncMgrEnumItemsVtbl vtable = {
    .QueryInterface = query_interface,
    .AddRef = add_ref,
    .Release = release,
    .Next = next,
    .Skip = skip,
    .Reset = reset,
    .Clone = clone,
};

static HRESULT make_enumerator(ULONG position, ULONG end, ISyncMgrEnumItems **enumerator)
{
    struct enumerator *made = malloc(sizeof *made);

    *enumerator = NULL;
    if (made == NULL)
        return E_OUTOFMEMORY;
    made->iface.lpVtbl = &vtable;
    made->references = 1;
    made->position = position;
    made->end = end;
    module_add_ref();
    *enumerator = &made->iface;
    return S_OK;
}

HRESULT items_enumerate(bool all, ISyncMgrEnumItems **enumerator)
{
    return make_enumerator(0, all ? ITEM_COUNT : ITEM_COUNT - 1, enumerator);
}
