/* A value of a CSV file, see csv_put.h.  Called by csv.c and by `cover study`. */
#include "csv_put.h"

#include "core/base/number.h"

#include <string.h>

static const char *digits_end(const char *c) {
    while (is_digit(*c)) c++;
    return c;
}

/* -0.25, +3, -1e-7: a spreadsheet takes it for the number that it is. */
static bool is_number(const char *c) {
    if (*c == '+' || *c == '-') c++;
    if (strcmp(c, "inf") == 0 || strcmp(c, "nan") == 0) return true;
    if (!is_digit(*c)) return false;
    c = digits_end(c);
    if (*c == '.') c = digits_end(c + 1);
    if (*c == 'e') {
        if (*++c == '+' || *c == '-') c++;
        if (!is_digit(*c)) return false;
        c = digits_end(c);
    }
    return *c == 0;
}

bool csv_is_formula(const char *value) {
    while (*value == '\'') value++; /* so that what had an apostrophe itself comes back */
    return *value && strchr("=+-@\t\r", *value) && !is_number(value);
}

/* Separators of any kind, quotes and line ends; spaces at an end, which readers take away. */
static bool must_quote(const char *value, size_t length) {
    return value[strcspn(value, "\",;\t\r\n")] || (length > 0 && (value[0] == ' ' || value[length - 1] == ' '));
}

void csv_put(const char *value, void (*put)(void *to, const char *bytes, size_t count), void *to) {
    const size_t length = strlen(value);
    const bool quoted = must_quote(value, length);
    if (quoted) put(to, "\"", 1);
    if (csv_is_formula(value)) put(to, "'", 1);
    while (*value) {
        const size_t count = quoted ? strcspn(value, "\"") : length;
        put(to, value, count);
        value += count;
        if (*value) put(to, "\"\"", 2), value++;
    }
    if (quoted) put(to, "\"", 1);
}
