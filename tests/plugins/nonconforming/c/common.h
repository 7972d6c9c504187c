/*
 * A plugin with one item, without its fault: the file that includes this defines `synchronize`,
 * which works on the item. It may define `initialize` (with INITIALIZE), and accept any item id
 * (with ANY_ITEM).
 */
#include "plugin.h"

#include <stdlib.h>

typedef exports_syncmgr_plugin_synchronize_error_t plugin_error_t;
typedef syncmgr_plugin_types_item_id_t item_id_t;

#define CONTINUE SYNCMGR_PLUGIN_TYPES_PROGRESS_RESPONSE_CONTINUE
#define CANCEL_ALL SYNCMGR_PLUGIN_TYPES_PROGRESS_RESPONSE_CANCEL_ALL
#define UPDATING SYNCMGR_PLUGIN_TYPES_STATUS_UPDATING
#define SUCCEEDED SYNCMGR_PLUGIN_TYPES_STATUS_SUCCEEDED
#define SKIPPED SYNCMGR_PLUGIN_TYPES_STATUS_SKIPPED
#define STOPPED SYNCMGR_PLUGIN_TYPES_STATUS_STOPPED
#define FAILED SYNCMGR_PLUGIN_TYPES_STATUS_FAILED

#ifdef ANY_ITEM
#define IS_MINE(id) (item = (id), true)
#else
#define IS_MINE(id) ((id).high == item.high && (id).low == item.low)
#endif

static item_id_t item = {.high = 0x5b1f0c94d3a24e77, .low = 0x9c30be0a5d6f1182};
static bool is_prepared;

/* Works on the item. */
static void synchronize(void);

/* Reports a status with a value and a maximum, and returns the answer. */
static syncmgr_plugin_types_progress_response_t report(int status, int32_t value, int32_t max)
{
    syncmgr_plugin_types_progress_item_t progress = {
        .status_type = {.is_some = true, .val = (uint8_t)status},
        .prog_value = {.is_some = true, .val = value},
        .max_value = {.is_some = true, .val = max},
    };
    return syncmgr_plugin_synchronize_callback_progress(&item, &progress);
}

/* Counts and ends the item correctly. Some plugins do not use it. */
__attribute__((unused)) static void count(int32_t max)
{
    for (int32_t value = 1; value <= max; value++) {
        syncmgr_plugin_types_progress_response_t response = report(UPDATING, value, max);
        if (response != CONTINUE) {
            report(response == CANCEL_ALL ? STOPPED : SKIPPED, value, max);
            return;
        }
    }
    report(SUCCEEDED, max, max);
}

static bool refuse(plugin_error_t *err)
{
    err->code = SYNCMGR_PLUGIN_TYPES_ERROR_CODE_NOT_IMPLEMENTED;
    plugin_string_dup(&err->message, "there is no such thing");
    return false;
}

bool exports_syncmgr_plugin_synchronize_initialize(
    exports_syncmgr_plugin_synchronize_trigger_t *trigger, plugin_list_u8_t *cookie,
    exports_syncmgr_plugin_synchronize_participation_t *ret, plugin_error_t *err)
{
    (void)err;
#ifdef INITIALIZE
    INITIALIZE(trigger);
#else
    (void)trigger;
#endif
    if (cookie != NULL) {
        plugin_list_u8_free(cookie);
    }
    *ret = EXPORTS_SYNCMGR_PLUGIN_SYNCHRONIZE_PARTICIPATION_PARTICIPATES;
    return true;
}

bool exports_syncmgr_plugin_synchronize_get_handler_info(
    exports_syncmgr_plugin_synchronize_handler_info_t *ret, plugin_error_t *err)
{
    (void)err;
    plugin_string_dup(&ret->name, "wrong");
    ret->flags = 0;
    return true;
}

bool exports_syncmgr_plugin_synchronize_enum_items(
    exports_syncmgr_plugin_synchronize_item_list_t *ret, plugin_error_t *err)
{
    (void)err;
    exports_syncmgr_plugin_synchronize_item_t *one = calloc(1, sizeof *one);
    if (one == NULL) {
        abort();
    }
    one->id = item;
    one->state = SYNCMGR_PLUGIN_TYPES_ITEM_STATE_CHECKED;
    plugin_string_dup(&one->name, "count");
    ret->items.ptr = one;
    ret->items.len = 1;
    ret->missing_items = false;
    return true;
}

bool exports_syncmgr_plugin_synchronize_prepare_for_sync(
    exports_syncmgr_plugin_synchronize_list_item_id_t *ids,
    exports_syncmgr_plugin_synchronize_prepare_outcome_t *ret, plugin_error_t *err)
{
    (void)err;
    is_prepared = false;
    for (size_t i = 0; i < ids->len; i++) {
        is_prepared |= IS_MINE(ids->ptr[i]);
    }
    exports_syncmgr_plugin_synchronize_list_item_id_free(ids);
    *ret = EXPORTS_SYNCMGR_PLUGIN_SYNCHRONIZE_PREPARE_OUTCOME_PREPARED;
    return true;
}

bool exports_syncmgr_plugin_synchronize_synchronize(plugin_error_t *err)
{
    (void)err;
    if (is_prepared) {
        synchronize();
    }
    return true;
}

bool exports_syncmgr_plugin_synchronize_set_item_status(
    exports_syncmgr_plugin_synchronize_item_id_t *id,
    exports_syncmgr_plugin_synchronize_status_t status, plugin_error_t *err)
{
    (void)id;
    (void)status;
    (void)err;
    return true;
}

bool exports_syncmgr_plugin_synchronize_show_error(
    exports_syncmgr_plugin_synchronize_error_id_t *id,
    exports_syncmgr_plugin_synchronize_error_detail_t *ret, plugin_error_t *err)
{
    (void)id;
    (void)ret;
    return refuse(err);
}

bool exports_syncmgr_plugin_synchronize_get_properties(
    exports_syncmgr_plugin_synchronize_item_id_t *id,
    exports_syncmgr_plugin_synchronize_list_property_t *ret, plugin_error_t *err)
{
    (void)id;
    (void)ret;
    return refuse(err);
}

bool exports_syncmgr_plugin_synchronize_set_properties(
    exports_syncmgr_plugin_synchronize_item_id_t *id,
    exports_syncmgr_plugin_synchronize_list_property_change_t *changes,
    exports_syncmgr_plugin_synchronize_properties_outcome_t *ret, plugin_error_t *err)
{
    (void)id;
    (void)ret;
    exports_syncmgr_plugin_synchronize_list_property_change_free(changes);
    return refuse(err);
}
