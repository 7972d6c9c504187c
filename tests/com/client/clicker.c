#include "clicker.h"

#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define POLL_MS 50
#define MESSAGE_MS 1000
#define TEXT_CHARS 512

/* A dialog is recorded, so that it is answered only once. */
#define KNOWN_WINDOWS 16

struct clicker {
    const struct options *options;
    HWND known[KNOWN_WINDOWS];
    size_t known_count;
};

struct button_search {
    const WCHAR *text;
    HWND found;
};

/* Sends a message to a window whose thread may be blocked. */
static bool send_message(HWND window, UINT message, WPARAM wparam, LPARAM lparam)
{
    DWORD_PTR result;

    return SendMessageTimeoutW(window, message, wparam, lparam, SMTO_ABORTIFHUNG, MESSAGE_MS,
                               &result) != 0;
}

static void read_text(HWND window, WCHAR *text)
{
    text[0] = L'\0';
    send_message(window, WM_GETTEXT, TEXT_CHARS, (LPARAM)text);
}

static bool has_class(HWND window, const WCHAR *wanted)
{
    WCHAR name[32];

    return GetClassNameW(window, name, sizeof name / sizeof name[0]) != 0 &&
           _wcsicmp(name, wanted) == 0;
}

/* Compares a control's text, in which & marks the key to press. */
static bool has_text(HWND window, const WCHAR *wanted)
{
    WCHAR text[TEXT_CHARS];
    size_t kept = 0;

    read_text(window, text);
    for (size_t i = 0; text[i] != L'\0'; i++) {
        if (text[i] != L'&')
            text[kept++] = text[i];
    }
    text[kept] = L'\0';
    return wcscmp(text, wanted) == 0;
}

static BOOL CALLBACK find_button(HWND child, LPARAM parameter)
{
    struct button_search *search = (struct button_search *)parameter;

    if (has_class(child, L"Button") && has_text(child, search->text)) {
        search->found = child;
        return FALSE;
    }
    return TRUE;
}

static BOOL CALLBACK log_child(HWND child, LPARAM parameter)
{
    struct text *line = (struct text *)parameter;
    WCHAR text[TEXT_CHARS];
    WCHAR class_name[64];

    if (GetClassNameW(child, class_name, sizeof class_name / sizeof class_name[0]) == 0)
        return TRUE;
    read_text(child, text);
    text_add(line, " %ls=", class_name);
    text_add_string(line, text);
    return TRUE;
}

static void log_dialog(HWND dialog)
{
    struct text line = {0};
    WCHAR title[TEXT_CHARS];

    read_text(dialog, title);
    text_add(&line, "clicker dialog ");
    text_add_string(&line, title);
    EnumChildWindows(dialog, log_child, (LPARAM)&line);
    text_print(&line);
    text_free(&line);
}

/* The edit control that follows a label in the order of the tab key. */
static HWND find_field(HWND dialog, const WCHAR *label)
{
    for (HWND child = GetWindow(dialog, GW_CHILD); child != NULL;
         child = GetWindow(child, GW_HWNDNEXT)) {
        HWND next = GetWindow(child, GW_HWNDNEXT);

        if (next != NULL && has_class(child, L"Static") && has_class(next, L"Edit") &&
            has_text(child, label))
            return next;
    }
    return NULL;
}

static void fill_in(HWND dialog, const struct field_value *value)
{
    HWND field = find_field(dialog, value->label);
    struct text line = {0};

    text_add(&line, "clicker set ");
    text_add_string(&line, value->label);
    text_add(&line, " ");
    text_add_string(&line, value->value);
    if (field == NULL || !send_message(field, WM_SETTEXT, 0, (LPARAM)value->value))
        text_add(&line, " failed");
    text_print(&line);
    text_free(&line);
}

static bool is_known(const struct clicker *clicker, HWND window)
{
    for (size_t i = 0; i < clicker->known_count && i < KNOWN_WINDOWS; i++) {
        if (clicker->known[i] == window)
            return true;
    }
    return false;
}

static void answer_dialog(struct clicker *clicker, HWND dialog, HWND button, const WCHAR *text)
{
    const struct options *options = clicker->options;
    struct text line = {0};

    clicker->known[clicker->known_count++ % KNOWN_WINDOWS] = dialog;
    log_dialog(dialog);
    for (size_t i = 0; i < options->field_count; i++)
        fill_in(dialog, &options->fields[i]);
    text_add(&line, "clicker click ");
    text_add_string(&line, text);
    text_print(&line);
    text_free(&line);
    PostMessageW(button, BM_CLICK, 0, 0);
}

static BOOL CALLBACK look_at_window(HWND window, LPARAM parameter)
{
    struct clicker *clicker = (struct clicker *)parameter;
    DWORD process;

    GetWindowThreadProcessId(window, &process);
    if (process != GetCurrentProcessId() || !IsWindowVisible(window) || is_known(clicker, window))
        return TRUE;
    for (size_t i = 0; i < clicker->options->click_count; i++) {
        struct button_search search = {.text = clicker->options->click[i]};

        EnumChildWindows(window, find_button, (LPARAM)&search);
        if (search.found != NULL) {
            answer_dialog(clicker, window, search.found, search.text);
            break;
        }
    }
    return TRUE;
}

/* Destroyed windows are removed, because handles are reused. */
static void forget_closed(struct clicker *clicker)
{
    for (size_t i = 0; i < KNOWN_WINDOWS; i++) {
        if (clicker->known[i] != NULL && !IsWindow(clicker->known[i]))
            clicker->known[i] = NULL;
    }
}

static DWORD WINAPI clicker_thread(void *parameter)
{
    struct clicker *clicker = parameter;

    for (;;) {
        forget_closed(clicker);
        EnumWindows(look_at_window, (LPARAM)clicker);
        Sleep(POLL_MS);
    }
    return 0;
}

void clicker_start(const struct options *options)
{
    struct clicker *clicker;
    HANDLE thread;

    if (options->click_count == 0)
        return;
    clicker = calloc(1, sizeof *clicker);
    if (clicker == NULL)
        abort();
    clicker->options = options;
    thread = CreateThread(NULL, 0, clicker_thread, clicker, 0, NULL);
    if (thread != NULL)
        CloseHandle(thread);
}
