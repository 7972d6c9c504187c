/* Nonconforming: the item fails without a reason if its directory is not granted. */
#include "common.h"

static void synchronize(void)
{
    plugin_string_t name;
    plugin_string_set(&name, "source");
    syncmgr_plugin_directories_own_directory_t directory;
    plugin_error_t error;
    if (!syncmgr_plugin_directories_open_grant(&name, &directory, &error)) {
        exports_syncmgr_plugin_synchronize_error_free(&error);
        report(FAILED, 0, 0);
        return;
    }
    syncmgr_plugin_directories_directory_drop_own(directory);
    count(10);
}
