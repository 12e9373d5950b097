/* JSON in and out by Jansson, which follows the locale.  Called wherever the library reads or writes JSON. */
#include "json.h"

#include "number.h"

#include <math.h>

json_t *json_read(const char *text, size_t bytes, size_t flags, json_error_t *error) {
    const locale_t before = locale_enter();
    json_t *value = json_loadb(text, bytes, flags, error);
    locale_leave(before);
    return value;
}

char *json_write(const json_t *value, size_t flags) {
    const locale_t before = locale_enter();
    char *text = json_dumps(value, flags);
    locale_leave(before);
    return text;
}

double json_number_or_nan(const json_t *value) { return json_is_number(value) ? json_number_value(value) : NAN; }

void text_add_number(struct text *text, double value, int digits) {
    if (isfinite(value)) text_add(text, "%.*g", digits, value);
    else text_add(text, "null");
}
