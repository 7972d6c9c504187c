/*
 * The exports of the plugin, which plugin.h declares and wit/synchronize.wit documents. The work
 * itself is in copy.c.
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
#include "copy.h"
#include "plugin.h"

#include <errno.h>
#include <inttypes.h>
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
static const item_id_t COPY = {.high = 0x{{id-high}}, .low = 0x{{id-low}}};

/* The items that `prepare-for-sync` received. */
static item_ids_t prepared;

/* The work on one item. */
struct run {
    item_id_t item;
    /* The response of the sync manager to the last report. */
    response_t response;
    /* The total in steps, and the bytes of one step; 0: unknown. */
    int32_t steps;
    uint64_t bytes_per_step;
};

static bool is_copy(item_id_t item)
{
    return item.high == COPY.high && item.low == COPY.low;
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

/* Reports progress to the sync manager, for copy.c. */
static bool report(void *context, const char *path, uint64_t done, uint64_t total)
{
    struct run *run = context;
    if (total > 0 && run->bytes_per_step == 0) {
        run->bytes_per_step = total / INT32_MAX + 1;
        run->steps = steps(run, total);
        syncmgr_plugin_statistics_set_bytes_per_step(&run->item, run->bytes_per_step);
    }
    progress_t progress = {
        .status_text = {.is_some = path[0] != '\0'},
        .status_type = {.is_some = true,
                        .val = SYNCMGR_PLUGIN_TYPES_STATUS_UPDATING_INDETERMINATE},
    };
    plugin_string_set(&progress.status_text.val, path);
    if (total > 0) {
        progress.status_type.val = SYNCMGR_PLUGIN_TYPES_STATUS_UPDATING;
        progress.prog_value = (plugin_option_s32_t){.is_some = true, .val = steps(run, done)};
        progress.max_value = (plugin_option_s32_t){.is_some = true, .val = run->steps};
    }
    run->response = syncmgr_plugin_synchronize_callback_progress(&run->item, &progress);
    return run->response == SYNCMGR_PLUGIN_TYPES_PROGRESS_RESPONSE_CONTINUE;
}

/* The error code of the contract for the system's error number. */
static error_code_t code_of(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
        return SYNCMGR_PLUGIN_TYPES_ERROR_CODE_ACCESS_DENIED;
    case ENOENT:
        return SYNCMGR_PLUGIN_TYPES_ERROR_CODE_NOT_FOUND;
    case EEXIST:
    case EISDIR:
        return SYNCMGR_PLUGIN_TYPES_ERROR_CODE_ALREADY_EXISTS;
    case ELOOP:
    case ENOTDIR:
        return SYNCMGR_PLUGIN_TYPES_ERROR_CODE_CHANGED;
    case EDQUOT:
    case EFBIG:
    case ENOSPC:
        return SYNCMGR_PLUGIN_TYPES_ERROR_CODE_NO_SPACE;
    case ENOMEM:
        return SYNCMGR_PLUGIN_TYPES_ERROR_CODE_OUT_OF_MEMORY;
    default:
        return SYNCMGR_PLUGIN_TYPES_ERROR_CODE_INPUT_OUTPUT;
    }
}

/* Logs an entry that was not copied, for copy.c. */
static void log_problem(void *context, const struct copy_problem *problem)
{
    struct run *run = context;
    log_level_t level = SYNCMGR_PLUGIN_TYPES_LOG_LEVEL_ERROR;
    error_code_t code = SYNCMGR_PLUGIN_TYPES_ERROR_CODE_FAILED;
    switch (problem->kind) {
    case COPY_FAILED:
        code = code_of(problem->error);
        break;
    case COPY_CHANGED:
        code = SYNCMGR_PLUGIN_TYPES_ERROR_CODE_CHANGED;
        break;
    case COPY_IN_THE_WAY:
        code = SYNCMGR_PLUGIN_TYPES_ERROR_CODE_ALREADY_EXISTS;
        break;
    case COPY_SKIPPED:
        level = SYNCMGR_PLUGIN_TYPES_LOG_LEVEL_WARNING;
        break;
    }
    const char *after_path = problem->path[0] != '\0' ? ": " : "";
    const char *before_reason = problem->error != 0 ? ": " : "";
    const char *reason = problem->error != 0 ? strerror(problem->error) : "";
    const char *format = "%s%s%s%s%s";
    int len = snprintf(NULL, 0, format, problem->path, after_path, problem->what, before_reason,
                       reason);
    char *text = len >= 0 ? malloc((size_t)len + 1) : NULL;
    if (text == NULL) {
        log_entry(run->item, level, code, problem->what, strlen(problem->what));
        return;
    }
    snprintf(text, (size_t)len + 1, format, problem->path, after_path, problem->what, before_reason,
             reason);
    log_entry(run->item, level, code, text, (size_t)len);
    free(text);
}

/* Opens a granted directory. If it is missing, the error names the remedy. */
static bool open_grant(const char *name, syncmgr_plugin_directories_own_directory_t *directory,
                       plugin_error_t *err)
{
    plugin_string_t borrowed;
    plugin_string_set(&borrowed, name);
    return syncmgr_plugin_directories_open_grant(&borrowed, directory, err);
}

/*
 * Checks that both directories exist, and locks the target, so that no other run copies to it.
 * Files in the directories are opened by path.
 */
static bool lock_directories(syncmgr_plugin_directories_own_directory_lock_t *lock, plugin_error_t *err)
{
    syncmgr_plugin_directories_own_directory_t source;
    syncmgr_plugin_directories_own_directory_t target;
    if (!open_grant("source", &source, err)) {
        return false;
    }
    syncmgr_plugin_directories_directory_drop_own(source);
    if (!open_grant("target", &target, err)) {
        return false;
    }
    bool locked = syncmgr_plugin_directories_method_directory_lock(
        syncmgr_plugin_directories_borrow_directory(target), lock, err);
    syncmgr_plugin_directories_directory_drop_own(target);
    if (!locked && err->code == SYNCMGR_PLUGIN_TYPES_ERROR_CODE_BUSY) {
        plugin_string_free(&err->message);
        plugin_string_dup(&err->message,
                          "another run copies to the target; run again when it has ended");
    }
    return locked;
}

static void set_count(item_id_t item, const char *name, uint64_t value)
{
    plugin_string_t borrowed;
    plugin_string_set(&borrowed, name);
    syncmgr_plugin_statistics_set_count(&item, &borrowed, value);
}

/* Synchronizes the item and reports its end. Returns whether to continue with the next one. */
static bool synchronize_copy(item_id_t item)
{
    plugin_error_t error;
    syncmgr_plugin_directories_own_directory_lock_t lock;
    if (!lock_directories(&lock, &error)) {
        log_entry(item, SYNCMGR_PLUGIN_TYPES_LOG_LEVEL_ERROR, error.code,
                  (const char *)error.message.ptr, error.message.len);
        exports_syncmgr_plugin_synchronize_error_free(&error);
        end_item(item, SYNCMGR_PLUGIN_TYPES_STATUS_FAILED, NULL);
        return true;
    }
    struct run run = {.item = item};
    struct copy_watcher watcher = {.context = &run, .report = report, .problem = log_problem};
    struct copy_result result = copy_folder("/source", "/target", &watcher);
    syncmgr_plugin_directories_directory_lock_drop_own(lock);
    set_count(item, "copied", result.files);
    set_count(item, "bytes-copied", result.bytes);
    set_count(item, "not-done", result.failures);
    status_t status = SYNCMGR_PLUGIN_TYPES_STATUS_SUCCEEDED;
    if (run.response == SYNCMGR_PLUGIN_TYPES_PROGRESS_RESPONSE_CANCEL_ALL) {
        status = SYNCMGR_PLUGIN_TYPES_STATUS_STOPPED;
    } else if (run.response == SYNCMGR_PLUGIN_TYPES_PROGRESS_RESPONSE_CANCEL_ITEM) {
        status = SYNCMGR_PLUGIN_TYPES_STATUS_SKIPPED;
    } else if (result.failures > 0) {
        status = SYNCMGR_PLUGIN_TYPES_STATUS_FAILED;
    }
    char text[80];
    snprintf(text, sizeof text, "files copied: %" PRIu64 ", failures: %" PRIu64, result.files,
             result.failures);
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
    item->id = COPY;
    item->state = SYNCMGR_PLUGIN_TYPES_ITEM_STATE_CHECKED;
    plugin_string_dup(&item->name, "copy");
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
        } else if (is_copy(item)) {
            go_on = synchronize_copy(item);
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
