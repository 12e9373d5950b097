/* A value of a CSV file, quoted where it must be (RFC 4180).  Called by csv.c, and by the command, which is no part of the library: so it
 * needs nothing of it. */
#ifndef COVER_CSV_PUT_H
#define COVER_CSV_PUT_H

#include <stddef.h>

void csv_put(const char *value, void (*put)(void *to, const char *bytes, size_t count), void *to);

#endif
