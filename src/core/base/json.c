/* JSON in and out by Jansson, which follows the locale.  Called wherever the library reads or writes JSON. */
#include "json.h"

#include "files.h"
#include "number.h"

#include <math.h>

cover_status json_read(json_t **value, const char *name, const char *text, size_t bytes) {
    struct json_fault fault;
    *value = json_parse(text, bytes, &fault);
    if (*value) return COVER_OK;
    if (fault.memory) return fail(COVER_ERROR_MEMORY, "%s: out of memory", name);
    return fail(COVER_ERROR_FORMAT, "%s: not sound JSON: line %d, column %d: %s", name, fault.line, fault.column, fault.what);
}

cover_status json_file_read(json_t **value, cover_context *context, const char *path, uint64_t limit_bytes) {
    uint8_t *bytes;
    size_t count;
    *value = NULL;
    TRY(file_read(context, path, limit_bytes, &bytes, &count));
    const cover_status status = json_read(value, path, (const char *)bytes, count);
    memory_free(context, bytes);
    return status;
}

char *json_write(const json_t *value, size_t flags) {
    const locale_t before = locale_enter();
    char *text = json_dumps(value, flags);
    locale_leave(before);
    if (!text) fail(COVER_ERROR_MEMORY, "out of memory: a JSON text was refused");
    return text;
}

double json_number_or_nan(const json_t *value) { return json_is_number(value) ? json_number_value(value) : NAN; }

void text_add_number(struct text *text, double value, int digits) {
    if (isfinite(value)) text_add(text, "%.*g", digits, value);
    else text_add(text, "null");
}
