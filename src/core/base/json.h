/* JSON in and out by Jansson, with a decimal point in every locale.  Called wherever the library reads or writes JSON. */
#ifndef COVER_JSON_H
#define COVER_JSON_H

#include "base.h"
#include "json_parse.h"

/* The object or array that the text is (json_parse.h); NULL on error, which is COVER_ERROR_FORMAT and begins with "NAME: not sound JSON: line",
 * or COVER_ERROR_MEMORY. */
cover_status json_read(json_t **value, const char *name, const char *text, size_t bytes);
/* The same of a whole file, also COVER_ERROR_IO; error over limit_bytes. */
cover_status json_file_read(json_t **value, cover_context *context, const char *path, uint64_t limit_bytes);
/* A value in its shortest form, members of objects by name.  Not Jansson's writer, which leaves a word out when memory is short. */
void text_add_value(struct text *text, const json_t *value);
/* NaN when it is no number, or NULL. */
double json_number_or_nan(const json_t *value);
/* `digits` significant ones; what is not finite is null. */
void text_add_number(struct text *text, double value, int digits);

#endif
