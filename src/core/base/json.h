/* JSON in and out by Jansson, with a decimal point in every locale.  Called wherever the library reads or writes JSON. */
#ifndef COVER_JSON_H
#define COVER_JSON_H

#include "base.h"

#include <jansson.h>

/* As json_loadb() and json_dumps(); `error` may be NULL. */
json_t *json_read(const char *text, size_t bytes, size_t flags, json_error_t *error);
char *json_write(const json_t *value, size_t flags); /* free() */
/* NaN when it is no number, or NULL. */
double json_number_or_nan(const json_t *value);
/* `digits` significant ones; what is not finite is null. */
void text_add_number(struct text *text, double value, int digits);

#endif
