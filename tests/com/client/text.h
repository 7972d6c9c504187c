/* Lines of UTF-8 text that are composed and then logged. */

#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <windows.h>

struct text {
    char *data;
    size_t length;
    size_t capacity;
};

__attribute__((format(gnu_printf, 2, 3)))
void text_add(struct text *text, const char *format, ...);

/* Adds `{...}` in upper case, or `NULL`. */
void text_add_guid(struct text *text, const GUID *id);

/*
 * Adds a string in quotes, escaped. An unterminated string is shown as
 * UNREADABLE, and invalid UTF-16 as INVALID.
 */
void text_add_string(struct text *text, const WCHAR *string);

/* The same for a string that must end inside an array. */
void text_add_array(struct text *text, const WCHAR *array, size_t capacity);

void text_free(struct text *text);

/* Writes the text as one line to standard output, in one call. */
void text_print(struct text *text);

/* Prints a line without a session. */
__attribute__((format(gnu_printf, 1, 2)))
void print_line(const char *format, ...);

#endif
