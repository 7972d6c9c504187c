/*
 * The exports of the plugin, which plugin.h declares and wit/synchronize.wit documents. The work
 * itself is in transfer.c, and syncmgr_http.c sends the requests.
 *
 * `syncmgr build` generates plugin.h from the folder wit. Its rules for memory are:
 * - An exported function owns its arguments, and frees them with the function for their type,
 *   `..._free`.
 * - The caller frees the result of an exported function, so it must come from `malloc`, like the
 *   result of `plugin_string_dup`.
 * - The caller of an imported function keeps its arguments, so `plugin_string_set`, which does not
 *   copy, is sufficient. It also owns the returned errors, and must free them.
 *
 * All text is UTF-8: other text terminates the plugin. Here, names of files are UTF-8.
 */
#include "plugin.h"
#include "transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef exports_syncmgr_plugin_synchronize_error_t plugin_error_t;
typedef exports_syncmgr_plugin_synchronize_list_item_id_t item_ids_t;
typedef syncmgr_plugin_types_error_code_t error_code_t;
typedef syncmgr_plugin_types_item_id_t item_id_t;
typedef syncmgr_plugin_types_log_level_t log_level_t;
typedef syncmgr_plugin_types_progress_item_t progress_t;
typedef syncmgr_plugin_types_progress_response_t response_t;
typedef syncmgr_plugin_types_status_t status_t;

/*
 * The only item. The sync manager stores the user's choices under this id, so it must never
 * change: {93ACC699-2914-4A62-8550-A8B7D276A4AF}.
 */
static const item_id_t TRANSFER = {.high = 0x{{id-high}}, .low = 0x{{id-low}}};

/* The items that `prepare-for-sync` received. */
static item_ids_t prepared;

/* The work on one item. */
struct run {
    item_id_t item;
    /* The total in steps, and the bytes of one step; 0: unknown. */
    int32_t steps;
    uint64_t bytes_per_step;
};

static bool is_transfer(item_id_t item)
{
    return item.high == TRANSFER.high && item.low == TRANSFER.low;
}

/* Fails an exported function. */
static bool refuse(plugin_error_t *err, error_code_t code, const char *message)
{
    err->code = code;
    plugin_string_dup(&err->message, message);
    return false;
}

/* Logs a message about an item in the results that the user sees. */
static void log_entry(item_id_t item, log_level_t level, error_code_t code, const char *text,
                      size_t len)
{
    plugin_string_t borrowed = {.ptr = (uint8_t *)text, .len = len};
    syncmgr_plugin_types_log_error_info_t info = {
        .item_id = {.is_some = true, .val = item},
        .code = {.is_some = level == SYNCMGR_PLUGIN_TYPES_LOG_LEVEL_ERROR, .val = code},
    };
    plugin_error_t error;
    /* The only failure is an unknown id, and this one is known. */
    if (!syncmgr_plugin_synchronize_callback_log_error(level, &borrowed, &info, &error)) {
        exports_syncmgr_plugin_synchronize_error_free(&error);
    }
}

static void log_error(item_id_t item, error_code_t code, const char *text)
{
    log_entry(item, SYNCMGR_PLUGIN_TYPES_LOG_LEVEL_ERROR, code, text, strlen(text));
}

/* Reports the end of an item, with `text` unless it is NULL. Each prepared item needs one. */
static void end_item(item_id_t item, status_t status, const char *text)
{
    progress_t progress = {.status_type = {.is_some = true, .val = status}};
    if (text != NULL) {
        progress.status_text.is_some = true;
        plugin_string_set(&progress.status_text.val, text);
    }
    /* The item has ended; nothing is left to cancel. */
    (void)syncmgr_plugin_synchronize_callback_progress(&item, &progress);
}

/* Converts bytes to steps, which fit the 31 bits of a report. */
static int32_t steps(const struct run *run, uint64_t bytes)
{
    uint64_t scaled = bytes / run->bytes_per_step;
    return scaled < INT32_MAX ? (int32_t)scaled : INT32_MAX;
}

/* Reports progress to the sync manager, for transfer.c. */
static bool report(void *context, const char *name, uint64_t done, uint64_t total)
{
    struct run *run = context;
    if (total > 0) {
        run->bytes_per_step = total / INT32_MAX + 1;
        run->steps = steps(run, total);
        syncmgr_plugin_statistics_set_bytes_per_step(&run->item, run->bytes_per_step);
    }
    progress_t progress = {
        .status_text = {.is_some = name[0] != '\0'},
        .status_type = {.is_some = true,
                        .val = SYNCMGR_PLUGIN_TYPES_STATUS_UPDATING_INDETERMINATE},
    };
    plugin_string_set(&progress.status_text.val, name);
    if (total > 0) {
        progress.status_type.val = SYNCMGR_PLUGIN_TYPES_STATUS_UPDATING;
        progress.prog_value = (plugin_option_s32_t){.is_some = true, .val = steps(run, done)};
        progress.max_value = (plugin_option_s32_t){.is_some = true, .val = run->steps};
    }
    return syncmgr_plugin_synchronize_callback_progress(&run->item, &progress) ==
           SYNCMGR_PLUGIN_TYPES_PROGRESS_RESPONSE_CONTINUE;
}

/* Opens a granted directory. If it is missing, the error names the remedy. */
static bool open_grant(const char *name, syncmgr_plugin_directories_own_directory_t *directory,
                       plugin_error_t *err)
{
    plugin_string_t borrowed;
    plugin_string_set(&borrowed, name);
    return syncmgr_plugin_directories_open_grant(&borrowed, directory, err);
}

/* Locks the directory, so that no other run writes to it. Its files are opened by path. */
static bool lock_files(syncmgr_plugin_directories_own_directory_lock_t *lock, plugin_error_t *err)
{
    syncmgr_plugin_directories_own_directory_t files;
    if (!open_grant("files", &files, err)) {
        return false;
    }
    bool locked = syncmgr_plugin_directories_method_directory_lock(
        syncmgr_plugin_directories_borrow_directory(files), lock, err);
    syncmgr_plugin_directories_directory_drop_own(files);
    return locked;
}

static void set_count(item_id_t item, const char *name, uint64_t value)
{
    plugin_string_t borrowed;
    plugin_string_set(&borrowed, name);
    syncmgr_plugin_statistics_set_count(&item, &borrowed, value);
}

/* The status of an item that the user cancelled. */
static status_t cancelled_status(void)
{
    return syncmgr_plugin_synchronize_callback_is_cancelled(NULL)
               ? SYNCMGR_PLUGIN_TYPES_STATUS_STOPPED
               : SYNCMGR_PLUGIN_TYPES_STATUS_SKIPPED;
}

/* Synchronizes the item and reports its end. Returns whether to continue with the next one. */
static bool synchronize_transfer(item_id_t item)
{
    plugin_error_t error;
    syncmgr_plugin_directories_own_directory_lock_t lock;
    if (!lock_files(&lock, &error)) {
        log_entry(item, SYNCMGR_PLUGIN_TYPES_LOG_LEVEL_ERROR, error.code,
                  (const char *)error.message.ptr, error.message.len);
        exports_syncmgr_plugin_synchronize_error_free(&error);
        end_item(item, SYNCMGR_PLUGIN_TYPES_STATUS_FAILED, NULL);
        return true;
    }
    struct run run = {.item = item};
    struct transfer transfer = {
        /* The granted URL is the setting with the name of the server. */
        .server = getenv("remote"),
        .folder = "/files",
        .downloads = getenv("download"),
        .uploads = getenv("upload"),
        .item = &item,
        .context = &run,
        .report = report,
    };
    struct http_error reason;
    enum http_result result = transfer_files(&transfer, &reason);
    syncmgr_plugin_directories_directory_lock_drop_own(lock);
    set_count(item, "downloaded", transfer.downloaded);
    set_count(item, "uploaded", transfer.uploaded);
    status_t status = SYNCMGR_PLUGIN_TYPES_STATUS_SUCCEEDED;
    if (result == HTTP_FAILED) {
        log_error(item, reason.code, reason.message);
        status = SYNCMGR_PLUGIN_TYPES_STATUS_FAILED;
    } else if (result == HTTP_CANCELLED) {
        status = cancelled_status();
    }
    char text[80];
    snprintf(text, sizeof text, "%u downloaded, %u uploaded", transfer.downloaded,
             transfer.uploaded);
    end_item(item, status, text);
    return status != SYNCMGR_PLUGIN_TYPES_STATUS_STOPPED;
}

bool exports_syncmgr_plugin_synchronize_initialize(
    exports_syncmgr_plugin_synchronize_trigger_t *trigger, plugin_list_u8_t *maybe_cookie,
    exports_syncmgr_plugin_synchronize_participation_t *ret, plugin_error_t *err)
{
    (void)trigger;
    (void)err;
    if (maybe_cookie != NULL) {
        plugin_list_u8_free(maybe_cookie);
    }
    *ret = EXPORTS_SYNCMGR_PLUGIN_SYNCHRONIZE_PARTICIPATION_PARTICIPATES;
    return true;
}

bool exports_syncmgr_plugin_synchronize_get_handler_info(
    exports_syncmgr_plugin_synchronize_handler_info_t *ret, plugin_error_t *err)
{
    (void)err;
    plugin_string_dup(&ret->name, "{{name}}");
    ret->flags = 0;
    return true;
}

bool exports_syncmgr_plugin_synchronize_enum_items(
    exports_syncmgr_plugin_synchronize_item_list_t *ret, plugin_error_t *err)
{
    exports_syncmgr_plugin_synchronize_item_t *item = calloc(1, sizeof *item);
    if (item == NULL) {
        return refuse(err, SYNCMGR_PLUGIN_TYPES_ERROR_CODE_OUT_OF_MEMORY, "out of memory");
    }
    item->id = TRANSFER;
    item->state = SYNCMGR_PLUGIN_TYPES_ITEM_STATE_CHECKED;
    plugin_string_dup(&item->name, "transfer");
    ret->items.ptr = item;
    ret->items.len = 1;
    ret->missing_items = false;
    return true;
}

bool exports_syncmgr_plugin_synchronize_prepare_for_sync(
    item_ids_t *item_ids, exports_syncmgr_plugin_synchronize_prepare_outcome_t *ret,
    plugin_error_t *err)
{
    (void)err;
    /* The list is kept instead of being freed. */
    exports_syncmgr_plugin_synchronize_list_item_id_free(&prepared);
    prepared = *item_ids;
    *ret = EXPORTS_SYNCMGR_PLUGIN_SYNCHRONIZE_PREPARE_OUTCOME_PREPARED;
    return true;
}

bool exports_syncmgr_plugin_synchronize_synchronize(plugin_error_t *err)
{
    (void)err;
    bool go_on = true;
    for (size_t i = 0; i < prepared.len; i++) {
        item_id_t item = prepared.ptr[i];
        if (!go_on) {
            end_item(item, SYNCMGR_PLUGIN_TYPES_STATUS_STOPPED, NULL);
        } else if (is_transfer(item)) {
            go_on = synchronize_transfer(item);
        } else {
            log_error(item, SYNCMGR_PLUGIN_TYPES_ERROR_CODE_NOT_FOUND, "there is no such item");
            end_item(item, SYNCMGR_PLUGIN_TYPES_STATUS_FAILED, NULL);
        }
    }
    exports_syncmgr_plugin_synchronize_list_item_id_free(&prepared);
    prepared = (item_ids_t){0};
    return true;
}

/* The answers to reports carry the same information. */
bool exports_syncmgr_plugin_synchronize_set_item_status(item_id_t *maybe_item_id, status_t status,
                                                        plugin_error_t *err)
{
    (void)maybe_item_id;
    (void)status;
    (void)err;
    return true;
}

bool exports_syncmgr_plugin_synchronize_show_error(
    exports_syncmgr_plugin_synchronize_error_id_t *error_id,
    exports_syncmgr_plugin_synchronize_error_detail_t *ret, plugin_error_t *err)
{
    (void)error_id;
    (void)ret;
    return refuse(err, SYNCMGR_PLUGIN_TYPES_ERROR_CODE_NOT_IMPLEMENTED,
                  "there is nothing more to report");
}

bool exports_syncmgr_plugin_synchronize_get_properties(
    item_id_t *maybe_item_id, exports_syncmgr_plugin_synchronize_list_property_t *ret,
    plugin_error_t *err)
{
    (void)maybe_item_id;
    (void)ret;
    return refuse(err, SYNCMGR_PLUGIN_TYPES_ERROR_CODE_NOT_IMPLEMENTED, "there are no properties");
}

bool exports_syncmgr_plugin_synchronize_set_properties(
    item_id_t *maybe_item_id, exports_syncmgr_plugin_synchronize_list_property_change_t *changes,
    exports_syncmgr_plugin_synchronize_properties_outcome_t *ret, plugin_error_t *err)
{
    (void)maybe_item_id;
    (void)ret;
    exports_syncmgr_plugin_synchronize_list_property_change_free(changes);
    return refuse(err, SYNCMGR_PLUGIN_TYPES_ERROR_CODE_NOT_IMPLEMENTED, "there are no properties");
}
