/* Nonconforming: stores that it is complete even after a cancellation, so that the next run skips
 * the missing part. */
#define _POSIX_C_SOURCE 200809L
#include "common.h"

#include <errno.h>
#include <stdio.h>
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
    struct stat done;
    if (stat("/storage/done", &done) == 0) {
        count(1);
        return;
    }
    syncmgr_plugin_types_progress_response_t response = report(UPDATING, 0, 10);
    for (int32_t day = 1; response == CONTINUE && day <= 10; day++) {
        char path[32];
        snprintf(path, sizeof path, "/target/day-%d", (int)day);
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            fail("cannot make a folder");
            return;
        }
        response = report(UPDATING, day, 10);
    }
    /* The fault: this is true only without a cancellation. */
    mkdir("/storage/done", 0777);
    report(response == CONTINUE     ? SUCCEEDED
           : response == CANCEL_ALL ? STOPPED
                                    : SKIPPED,
           10, 10);
}
