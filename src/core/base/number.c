/* Numbers and words as text in the C locale, whatever the host program has set.  Called wherever the library reads or writes a
 * number, or ignores case; of the C library's functions that follow the locale none is called elsewhere. */
#include "number.h"

#include <stdio.h>
#include <stdlib.h>

/* glibc and musl keep the C locale once and for all: asking for it takes no memory and cannot fail. */
static locale_t c_locale(void) { return newlocale(LC_ALL_MASK, "C", (locale_t)0); }

locale_t locale_enter(void) { return uselocale(c_locale()); }
void locale_leave(locale_t before) { uselocale(before); }

double number_read(const char *text, char **end) {
    const locale_t before = locale_enter();
    const double value = strtod(text, end);
    locale_leave(before);
    return value;
}

float number_read_float(const char *text, char **end) {
    const locale_t before = locale_enter();
    const float value = strtof(text, end);
    locale_leave(before);
    return value;
}

int number_print_list(char *text, size_t bytes, const char *format, va_list arguments) {
    const locale_t before = locale_enter();
    const int length = vsnprintf(text, bytes, format, arguments);
    locale_leave(before);
    return length;
}

int number_print(char *text, size_t bytes, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = number_print_list(text, bytes, format, arguments);
    va_end(arguments);
    return length;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

bool same_word(const char *a, const char *b) {
    while (*a && lower(*a) == lower(*b)) a++, b++;
    return lower(*a) == lower(*b);
}
