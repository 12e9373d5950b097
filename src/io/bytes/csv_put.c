/* A value of a CSV file, see csv_put.h.  Called by csv.c and by `cover study`. */
#include "csv_put.h"

#include <stdbool.h>
#include <string.h>

/* Separators of any kind, quotes and line ends; spaces at an end, which readers take away. */
static bool must_quote(const char *value, size_t length) {
    return value[strcspn(value, "\",;\t\r\n")] || (length > 0 && (value[0] == ' ' || value[length - 1] == ' '));
}

void csv_put(const char *value, void (*put)(void *to, const char *bytes, size_t count), void *to) {
    const size_t length = strlen(value);
    if (!must_quote(value, length)) {
        put(to, value, length);
        return;
    }
    put(to, "\"", 1);
    while (*value) {
        const size_t count = strcspn(value, "\"");
        put(to, value, count);
        value += count;
        if (*value) put(to, "\"\"", 2), value++;
    }
    put(to, "\"", 1);
}
