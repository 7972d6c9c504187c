/* Nonconforming: makes its first change before its first report, and so ignores a cancellation from
 * before its start. */
#include "common.h"

#include <errno.h>
#include <sys/stat.h>

/* Fails the item with an error code. */
static void fail(const char *what)
{
    syncmgr_plugin_types_log_error_info_t info = {
        .item_id = {.is_some = true, .val = item},
        .code = {.is_some = true,
                 .val = errno == ENOENT ? SYNCMGR_PLUGIN_TYPES_ERROR_CODE_NOT_FOUND
                                        : SYNCMGR_PLUGIN_TYPES_ERROR_CODE_ACCESS_DENIED},
    };
    plugin_string_t text;
    plugin_string_set(&text, what);
    plugin_error_t error;
    if (!syncmgr_plugin_synchronize_callback_log_error(SYNCMGR_PLUGIN_TYPES_LOG_LEVEL_ERROR, &text,
                                                       &info, &error)) {
        exports_syncmgr_plugin_synchronize_error_free(&error);
    }
    report(FAILED, 0, 0);
}

static void synchronize(void)
{
    /* The fault: this belongs after the first report. */
    if (mkdir("/target/inbox", 0777) != 0 && errno != EEXIST) {
        fail("cannot make the folder");
        return;
    }
    count(10);
}
