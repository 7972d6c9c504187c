/* Lines of UTF-8 text that are put together piece by piece and then logged. */

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
 * Adds a string in quotes, escaped. What cannot be read up to its terminator
 * shows as UNREADABLE, what is no valid UTF-16 as INVALID.
 */
void text_add_string(struct text *text, const WCHAR *string);

/* The same for a string that has to end inside an array. */
void text_add_array(struct text *text, const WCHAR *array, size_t capacity);

void text_free(struct text *text);

/* Writes the text as one line to standard output, at once and undivided. */
void text_print(struct text *text);

/* Prints a line that belongs to no session. */
__attribute__((format(gnu_printf, 1, 2)))
void print_line(const char *format, ...);

#endif
