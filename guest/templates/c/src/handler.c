/*
 * The plugin as the sync manager sees it: the functions that plugin.h declares and
 * wit/synchronize.wit explains. The work itself is in copy.c.
 *
 * `syncmgr build` makes plugin.h from the folder wit. About memory, its rules are:
 * - what an exported function is handed is the plugin's own, to be freed with the function for its
 *   type, `..._free`;
 * - what an exported function returns is freed by the caller, so it must come from `malloc`, as
 *   what `plugin_string_dup` makes does;
 * - what an imported function is handed stays the caller's, so `plugin_string_set`, which copies
 *   nothing, will do. Errors that it returns are the caller's, too, and to be freed.
 *
 * All text is UTF-8: anything else ends the plugin. Names of files are UTF-8 here.
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
 * The only item. The sync manager files what the user chose under this id, so it must never
 * change: {93ACC699-2914-4A62-8550-A8B7D276A4AF}.
 */
static const item_id_t COPY = {.high = 0x{{id-high}}, .low = 0x{{id-low}}};

/* The items that `prepare-for-sync` named. */
static item_ids_t prepared;

/* The work on one item. */
struct run {
    item_id_t item;
    /* What the sync manager answered to the last report. */
    response_t response;
    /* How much there is to do in steps, and how many bytes a step is; 0: not known yet. */
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

/* Adds an entry about an item to the results that the user sees. */
static void log_entry(item_id_t item, log_level_t level, error_code_t code, const char *text,
                      size_t len)
{
    plugin_string_t borrowed = {.ptr = (uint8_t *)text, .len = len};
    syncmgr_plugin_types_log_error_info_t info = {
        .item_id = {.is_some = true, .val = item},
        .code = {.is_some = level == SYNCMGR_PLUGIN_TYPES_LOG_LEVEL_ERROR, .val = code},
    };
    plugin_error_t error;
    /* The only failure is an id that is no item of the run, and this one is. */
    if (!syncmgr_plugin_synchronize_callback_log_error(level, &borrowed, &info, &error)) {
        exports_syncmgr_plugin_synchronize_error_free(&error);
    }
}

static void log_error(item_id_t item, error_code_t code, const char *text)
{
    log_entry(item, SYNCMGR_PLUGIN_TYPES_LOG_LEVEL_ERROR, code, text, strlen(text));
}

/* Ends an item, with words for people if `text` is not NULL. Each one that was prepared must be. */
static void end_item(item_id_t item, status_t status, const char *text)
{
    progress_t progress = {.status_type = {.is_some = true, .val = status}};
    if (text != NULL) {
        progress.status_text.is_some = true;
        plugin_string_set(&progress.status_text.val, text);
    }
    /* The item is at its end; there is nothing left to cancel. */
    (void)syncmgr_plugin_synchronize_callback_progress(&item, &progress);
}

/* How much is so many bytes, as the 31 bits that the sync manager has for it. */
static int32_t steps(const struct run *run, uint64_t bytes)
{
    uint64_t scaled = bytes / run->bytes_per_step;
    return scaled < INT32_MAX ? (int32_t)scaled : INT32_MAX;
}

/* Reports to the sync manager, for copy.c. */
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

/* The code that says best what the system's number means. */
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

/* Logs what was not copied, for copy.c. */
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

/* Opens a directory that the operator granted. The error says what to do if there is none. */
static bool open_grant(const char *name, syncmgr_plugin_directories_own_directory_t *directory,
                       plugin_error_t *err)
{
    plugin_string_t borrowed;
    plugin_string_set(&borrowed, name);
    return syncmgr_plugin_directories_open_grant(&borrowed, directory, err);
}

/*
 * Makes sure that both directories are there, and that no other run copies to the target: it is
 * held until the session ends, also by a crash. The files in them are reached by their paths.
 */
static bool hold_directories(plugin_error_t *err)
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
    bool held = syncmgr_plugin_directories_method_directory_lock(
        syncmgr_plugin_directories_borrow_directory(target), err);
    syncmgr_plugin_directories_directory_drop_own(target);
    if (!held && err->code == SYNCMGR_PLUGIN_TYPES_ERROR_CODE_BUSY) {
        plugin_string_free(&err->message);
        plugin_string_dup(&err->message,
                          "another run copies to the target; run again when it has ended");
    }
    return held;
}

static void set_count(item_id_t item, const char *name, uint64_t value)
{
    plugin_string_t borrowed;
    plugin_string_set(&borrowed, name);
    syncmgr_plugin_statistics_set_count(&item, &borrowed, value);
}

/* Synchronizes the item and ends it. Returns whether to go on with the next one. */
static bool synchronize_copy(item_id_t item)
{
    plugin_error_t error;
    if (!hold_directories(&error)) {
        log_entry(item, SYNCMGR_PLUGIN_TYPES_LOG_LEVEL_ERROR, error.code,
                  (const char *)error.message.ptr, error.message.len);
        exports_syncmgr_plugin_synchronize_error_free(&error);
        end_item(item, SYNCMGR_PLUGIN_TYPES_STATUS_FAILED, NULL);
        return true;
    }
    struct run run = {.item = item};
    struct copy_watcher watcher = {.context = &run, .report = report, .problem = log_problem};
    struct copy_result result = copy_folder("/source", "/target", &watcher);
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

/* What is told here, the answers to reports say, too. */
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
                  "there is nothing more to tell");
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
