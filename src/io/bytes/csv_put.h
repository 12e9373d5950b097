/* A value of a CSV file, quoted where it must be (RFC 4180), and kept from being a formula: a spreadsheet runs what begins with = + - @,
 * a tab or a carriage return, so such a text gets an apostrophe before it (numbers do not), which csv_read() takes away again.
 * Called by csv.c, and by the command, which compiles it in with core/base/number.c: so it needs nothing else of the library. */
#ifndef COVER_CSV_PUT_H
#define COVER_CSV_PUT_H

#include <stdbool.h>
#include <stddef.h>

/* Would a spreadsheet run it, perhaps behind apostrophes? */
bool csv_is_formula(const char *value);
void csv_put(const char *value, void (*put)(void *to, const char *bytes, size_t count), void *to);

#endif
