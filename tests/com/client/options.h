/* The command line. */

#ifndef OPTIONS_H
#define OPTIONS_H

#include "items.h"

#define EXIT_USAGE 2
#define MAX_REPEATED 32

enum callback_method {
    CALLBACK_PROGRESS,
    CALLBACK_LOG_ERROR,
    CALLBACK_DELETE_LOG_ERROR,
    CALLBACK_ENABLE_MODELESS,
    CALLBACK_ESTABLISH_CONNECTION,
    CALLBACK_PREPARE_COMPLETED,
    CALLBACK_SYNCHRONIZE_COMPLETED,
    CALLBACK_SHOW_ERROR_COMPLETED,
    CALLBACK_SHOW_PROPERTIES_COMPLETED
};

/* Answers the `number`-th call that matches, and with `onwards` all after it. */
struct answer_rule {
    enum callback_method method;
    struct item_ref item;
    unsigned number;
    bool onwards;
    HRESULT answer;
};

/* Calls SetItemStatus when the `number`-th Progress that matches arrives. */
struct push_rule {
    struct item_ref item;
    unsigned number;
    DWORD status;
};

struct field_value {
    WCHAR *label;
    WCHAR *value;
};

struct options {
    CLSID clsid;
    CLSID second_clsid;
    bool concurrent;

    bool sta;
    bool proxy;
    bool agile;
    unsigned timeout;
    unsigned settle_ms;
    bool gate;

    DWORD flags;
    BYTE *cookie;
    DWORD cookie_size;

    bool info;
    bool enumerate;
    bool enum_exercise;
    ULONG celt;
    bool celt_null;
    bool choose_items;
    struct item_ref items[MAX_REPEATED];
    size_t item_count;

    struct answer_rule answers[MAX_REPEATED];
    size_t answer_count;
    struct push_rule pushes[MAX_REPEATED];
    size_t push_count;
    struct push_rule preparing_pushes[MAX_REPEATED];
    size_t preparing_push_count;
    unsigned null_callback_at;
    unsigned release_at;

    bool show_error;
    bool show_properties;
    struct item_ref properties_item;

    WCHAR *click[MAX_REPEATED];
    size_t click_count;
    struct field_value fields[MAX_REPEATED];
    size_t field_count;

    unsigned repeat;
    bool keep_loaded;
    bool bad;
    bool bench;
};

/* Prints the error and the usage, and exits, on a bad command line. */
void options_parse(struct options *options, int argc, WCHAR **argv);

/* The name of a callback method in the log and on the command line. */
const char *callback_method_name(enum callback_method method);

#endif
