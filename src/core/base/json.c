/* JSON in and out by Jansson, which follows the locale.  Called wherever the library reads or writes JSON. */
#include "json.h"

#include "files.h"
#include "number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static void add_object(struct text *text, const json_t *object) {
    const size_t count = json_object_size(object);
    const char **names = memory_alloc(text->context, count * sizeof *names), *name;
    json_t *value;
    size_t found = 0;
    text->failed = text->failed || !names;
    if (!names) return;
    json_object_foreach((json_t *)(uintptr_t)object, name, value) names[found++] = name;
    qsort(names, found, sizeof *names, by_name);
    text_add(text, "{");
    for (size_t i = 0; i < found; i++) {
        text_add(text, i ? "," : "");
        text_add_json(text, names[i]);
        text_add(text, ":");
        text_add_value(text, json_object_get(object, names[i]));
    }
    text_add(text, "}");
    memory_free(text->context, names);
}

/* Short where that is exact; with a point, so that it stays a real number. */
static void add_real(struct text *text, double value) {
    char number[40];
    number_print(number, sizeof number, "%.9g", value);
    if (number_read(number, NULL) != value) number_print(number, sizeof number, "%.17g", value);
    text_add(text, "%s%s", number, number[strcspn(number, ".e")] ? "" : ".0");
}

void text_add_value(struct text *text, const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        add_object(text, value);
        break;
    case JSON_ARRAY:
        for (size_t i = 0; i < json_array_size(value); i++) {
            text_add(text, i ? "," : "[");
            text_add_value(text, json_array_get(value, i));
        }
        text_add(text, json_array_size(value) ? "]" : "[]");
        break;
    case JSON_STRING:
        text_add_json(text, json_string_value(value));
        break;
    case JSON_INTEGER:
        text_add(text, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        add_real(text, json_real_value(value));
        break;
    default:
        text_add(text, json_is_true(value) ? "true" : json_is_false(value) ? "false" : "null");
    }
}

double json_number_or_nan(const json_t *value) { return json_is_number(value) ? json_number_value(value) : NAN; }

void text_add_number(struct text *text, double value, int digits) {
    if (isfinite(value)) text_add(text, "%.*g", digits, value);
    else text_add(text, "null");
}
