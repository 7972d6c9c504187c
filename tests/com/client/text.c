#include "text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The limit of a logged string, to keep the log readable. */
#define SHOWN_CHARS 1000

static void reserve(struct text *text, size_t more)
{
    size_t needed = text->length + more + 1;

    if (needed <= text->capacity)
        return;
    text->capacity = needed * 2;
    text->data = realloc(text->data, text->capacity);
    if (text->data == NULL)
        abort();
}

static void add_bytes(struct text *text, const char *bytes, size_t length)
{
    reserve(text, length);
    for (size_t i = 0; i < length; i++)
        text->data[text->length++] = bytes[i];
    text->data[text->length] = '\0';
}

static void add_arguments(struct text *text, const char *format, va_list arguments)
{
    va_list again;
    int length;

    va_copy(again, arguments);
    length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        abort();
    reserve(text, (size_t)length);
    vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
    text->length += (size_t)length;
}

void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add_arguments(text, format, arguments);
    va_end(arguments);
}

void text_add_guid(struct text *text, const GUID *id)
{
    if (id == NULL) {
        text_add(text, "NULL");
        return;
    }
    text_add(text, "{%08lX-%04X-%04X-%02X%02X-%02X%02X%02X%02X%02X%02X}",
             id->Data1, id->Data2, id->Data3, id->Data4[0], id->Data4[1], id->Data4[2],
             id->Data4[3], id->Data4[4], id->Data4[5], id->Data4[6], id->Data4[7]);
}

/*
 * Returns the number of readable bytes at an address. A handler under test may
 * return an unterminated string, and reading the next unmapped page would crash
 * the client instead of reporting it.
 */
static size_t readable_bytes(const void *address)
{
    const DWORD readable = PAGE_READONLY | PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READ |
                           PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY;
    MEMORY_BASIC_INFORMATION region;

    if (VirtualQuery(address, &region, sizeof region) == 0)
        return 0;
    if (region.State != MEM_COMMIT || (region.Protect & readable) == 0 ||
        (region.Protect & PAGE_GUARD) != 0)
        return 0;
    return (uintptr_t)region.BaseAddress + region.RegionSize - (uintptr_t)address;
}

/* Finds the terminator; false when there is none within reach or the limit. */
static bool bounded_length(const WCHAR *string, size_t limit, size_t *length)
{
    size_t known = 0;

    for (size_t i = 0; i < limit; i++) {
        if (i == known) {
            known += readable_bytes(string + i) / sizeof(WCHAR);
            if (i == known)
                return false;
        }
        if (string[i] == L'\0') {
            *length = i;
            return true;
        }
    }
    return false;
}

static void add_escaped(struct text *text, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];

        if (byte == '\n')
            text_add(text, "\\n");
        else if (byte == '\r')
            text_add(text, "\\r");
        else if (byte == '\t')
            text_add(text, "\\t");
        else if (byte == '"' || byte == '\\')
            text_add(text, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7F)
            text_add(text, "\\u%04X", byte);
        else
            add_bytes(text, &bytes[i], 1);
    }
}

/* Converts a whole string; NULL if it is not valid UTF-16. */
static char *to_utf8(const WCHAR *string, size_t length, int *size)
{
    char *bytes;

    *size = WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, string, (int)length, NULL, 0,
                                NULL, NULL);
    if (*size == 0)
        return NULL;
    bytes = malloc((size_t)*size);
    if (bytes == NULL)
        abort();
    WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, string, (int)length, bytes, *size, NULL,
                        NULL);
    return bytes;
}

static void add_utf16(struct text *text, const WCHAR *string, size_t limit)
{
    size_t length;
    int size;
    char *bytes;
    int shown;

    if (string == NULL) {
        text_add(text, "NULL");
        return;
    }
    if (!bounded_length(string, limit, &length) || length > INT_MAX / 4) {
        text_add(text, "UNREADABLE");
        return;
    }
    if (length == 0) {
        text_add(text, "\"\"");
        return;
    }
    bytes = to_utf8(string, length, &size);
    if (bytes == NULL) {
        text_add(text, "INVALID");
        return;
    }

    /* A string must not be cut inside a character. */
    shown = size < SHOWN_CHARS ? size : SHOWN_CHARS;
    while (shown < size && ((unsigned char)bytes[shown] & 0xC0) == 0x80)
        shown--;

    text_add(text, "\"");
    add_escaped(text, bytes, (size_t)shown);
    text_add(text, "\"");
    if (shown < size)
        text_add(text, "... chars=%zu", length);
    free(bytes);
}

void text_add_string(struct text *text, const WCHAR *string)
{
    add_utf16(text, string, SIZE_MAX);
}

void text_add_array(struct text *text, const WCHAR *array, size_t capacity)
{
    add_utf16(text, array, capacity);
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

void text_print(struct text *text)
{
    DWORD written;

    text_add(text, "\n");
    /* WriteFile neither translates line ends nor buffers. */
    WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), text->data, (DWORD)text->length, &written, NULL);
}

void print_line(const char *format, ...)
{
    struct text line = {0};
    va_list arguments;

    va_start(arguments, format);
    add_arguments(&line, format, arguments);
    va_end(arguments);
    text_print(&line);
    text_free(&line);
}
