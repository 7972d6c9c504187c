/* The items a handler lists, and how the command line refers to them. */

#ifndef ITEMS_H
#define ITEMS_H

#include <stdbool.h>
#include <windows.h>
#include <mobsync.h>

struct item_list {
    SYNCMGRITEM *items;
    size_t count;
};

/* An item named on the command line: `*`, a GUID, or a name. */
struct item_ref {
    enum { ITEM_ANY, ITEM_BY_ID, ITEM_BY_NAME } kind;
    GUID id;
    WCHAR *name;
};

void item_list_add(struct item_list *list, const SYNCMGRITEM *item);
void item_list_clear(struct item_list *list);

/* Returns the id of a reference; `*` means GUID_NULL. */
bool item_ref_resolve(const struct item_ref *ref, const struct item_list *list, GUID *id);

/* Whether a reference matches this item; `*` matches each. */
bool item_ref_matches(const struct item_ref *ref, const struct item_list *list, const GUID *id);

#endif
