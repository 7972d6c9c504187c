#include "items.h"

#include <stdlib.h>
#include <wchar.h>

void item_list_add(struct item_list *list, const SYNCMGRITEM *item)
{
    list->items = realloc(list->items, (list->count + 1) * sizeof *list->items);
    if (list->items == NULL)
        abort();
    list->items[list->count++] = *item;
}

void item_list_clear(struct item_list *list)
{
    free(list->items);
    *list = (struct item_list){0};
}

bool item_ref_resolve(const struct item_ref *ref, const struct item_list *list, GUID *id)
{
    switch (ref->kind) {
    case ITEM_ANY:
        *id = GUID_NULL;
        return true;
    case ITEM_BY_ID:
        *id = ref->id;
        return true;
    case ITEM_BY_NAME:
        break;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (wcsncmp(list->items[i].wszItemName, ref->name, MAX_SYNCMGRITEMNAME) == 0) {
            *id = list->items[i].ItemID;
            return true;
        }
    }
    return false;
}

bool item_ref_matches(const struct item_ref *ref, const struct item_list *list, const GUID *id)
{
    GUID wanted;

    if (ref->kind == ITEM_ANY)
        return true;
    return id != NULL && item_ref_resolve(ref, list, &wanted) && IsEqualGUID(&wanted, id);
}
