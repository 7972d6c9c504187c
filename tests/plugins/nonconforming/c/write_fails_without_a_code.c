/* Nonconforming: the item fails without a reason if it has no write access. */
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
    struct stat target;
    if (stat("/target", &target) != 0) {
        fail("the target is not there");
        return;
    }
    if (report(UPDATING, 0, 10) == CONTINUE && mkdir("/target/inbox", 0777) != 0 &&
        errno != EEXIST) {
        /* The fault: it does not report the reason, which is in `errno`. */
        report(FAILED, 0, 10);
        return;
    }
    count(10);
}
