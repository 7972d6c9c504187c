#include "dialog.h"

#include <stdint.h>
#include <string.h>
#include <wchar.h>

#define NAME_FIELD 100

/* The predefined window classes as a dialog template numbers them. */
#define CLASS_BUTTON 0x80
#define CLASS_EDIT 0x81
#define CLASS_STATIC 0x82

#define TEMPLATE_BYTES 1024

struct answer {
    WCHAR *name;
    int capacity;
};

/* A dialog template under construction; all its parts are made of words. */
struct template {
    uint8_t bytes[TEMPLATE_BYTES] __attribute__((aligned(4)));
    size_t length;
};

static void put(struct template *template, const void *data, size_t length)
{
    memcpy(template->bytes + template->length, data, length);
    template->length += length;
}

static void put_word(struct template *template, WORD word)
{
    put(template, &word, sizeof word);
}

static void put_text(struct template *template, const WCHAR *text)
{
    put(template, text, (wcslen(text) + 1) * sizeof *text);
}

static void put_control(struct template *template, WORD class_id, WORD id, const WCHAR *text,
                        DWORD style, short x, short y, short width, short height)
{
    DLGITEMTEMPLATE item = {
        .style = WS_CHILD | WS_VISIBLE | style,
        .x = x,
        .y = y,
        .cx = width,
        .cy = height,
        .id = id,
    };

    template->length = (template->length + 3) & ~(size_t)3;
    put(template, &item, sizeof item);
    put_word(template, 0xFFFF);
    put_word(template, class_id);
    put_text(template, text);
    put_word(template, 0);
}

static void make_template(struct template *template)
{
    DLGTEMPLATE dialog = {
        .style = WS_POPUP | WS_CAPTION | WS_SYSMENU | WS_VISIBLE,
        .cdit = 4,
        .x = 10,
        .y = 10,
        .cx = 160,
        .cy = 60,
    };

    *template = (struct template){0};
    put(template, &dialog, sizeof dialog);
    /* No menu, the dialog's own window class, and the title. */
    put_word(template, 0);
    put_word(template, 0);
    put_text(template, L"Native test handler");
    put_control(template, CLASS_STATIC, 0xFFFF, L"&Name:", SS_LEFT, 5, 5, 40, 10);
    put_control(template, CLASS_EDIT, NAME_FIELD, L"", WS_BORDER | WS_TABSTOP, 50, 5, 100, 12);
    put_control(template, CLASS_BUTTON, IDOK, L"&OK", BS_DEFPUSHBUTTON | WS_TABSTOP, 5, 40, 50, 14);
    put_control(template, CLASS_BUTTON, IDCANCEL, L"Cancel", WS_TABSTOP, 60, 40, 50, 14);
}

static INT_PTR CALLBACK dialog_procedure(HWND dialog, UINT message, WPARAM wparam, LPARAM lparam)
{
    struct answer *answer;

    if (message == WM_INITDIALOG) {
        SetWindowLongPtrW(dialog, DWLP_USER, lparam);
        return TRUE;
    }
    if (message != WM_COMMAND || (LOWORD(wparam) != IDOK && LOWORD(wparam) != IDCANCEL))
        return FALSE;
    answer = (struct answer *)GetWindowLongPtrW(dialog, DWLP_USER);
    GetDlgItemTextW(dialog, NAME_FIELD, answer->name, answer->capacity);
    EndDialog(dialog, LOWORD(wparam));
    return TRUE;
}

INT_PTR dialog_ask_name(WCHAR *name, int capacity)
{
    struct answer answer = {.name = name, .capacity = capacity};
    struct template template;

    name[0] = L'\0';
    make_template(&template);
    return DialogBoxIndirectParamW(GetModuleHandleW(NULL), (const DLGTEMPLATE *)template.bytes,
                                   NULL, dialog_procedure, (LPARAM)&answer);
}
