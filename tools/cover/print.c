/* Results on stdout: a JSON object of the library for people, or as it is. */
#include "command.h"
#include "json_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void print_scaled(double value, const char *const units[], double step) {
    int unit = 0;
    for (; units[unit + 1] && fabs(value) >= step; unit++) value /= step;
    printf(unit || value != floor(value) ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

/* 7881712 as 7,881,712 */
static void print_grouped(double value) {
    char digits[40];
    int length = snprintf(digits, sizeof digits, "%.0f", value);
    for (int i = 0; i < length; i++) {
        putchar(digits[i]);
        if (i + 1 < length && digits[i] != '-' && (length - i - 1) % 3 == 0) putchar(',');
    }
}

static void print_number(double value, enum unit unit) {
    static const char *const bytes[] = {"bytes", "KiB", "MiB", "GiB", "TiB", NULL};
    static const char *const flops[] = {"FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", NULL};
    switch (unit) {
    case UNIT_COUNT:
    case UNIT_SOME:
        print_grouped(value);
        break;
    case UNIT_BYTES:
        print_scaled(value, bytes, 1024);
        break;
    case UNIT_FLOPS:
        print_scaled(value, flops, 1000);
        break;
    case UNIT_SECONDS:
        printf(value < 1 ? "%.1f ms" : "%.2f s", value < 1 ? 1e3 * value : value);
        break;
    case UNIT_MM:
        printf("%.4g mm", value);
        break;
    case UNIT_LENGTH:
    case UNIT_SIZE:
    case UNIT_PLAIN:
        printf("%.6g", value);
        break;
    }
}

static void print_value(const json_t *value, enum unit unit) {
    const char *key;
    size_t index;
    json_t *member;
    int printed = 0;
    if (json_is_string(value)) say_to(stdout, "%s", json_string_value(value));
    else if (json_is_number(value)) print_number(json_number_value(value), unit);
    else if (json_is_boolean(value)) fputs(json_is_true(value) ? "yes" : "no", stdout);
    else if (json_is_array(value) && unit == UNIT_LENGTH) print_grouped((double)json_array_size(value));
    else if (json_is_array(value)) {
        json_array_foreach(value, index, member) {
            if (unit == UNIT_SIZE && !index && json_integer_value(member) == 1) continue;
            if (printed++) putchar(unit == UNIT_SIZE ? 'x' : ' ');
            print_value(member, unit);
        }
    } else if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key, member) {
            say_to(stdout, "%s%s ", printed++ ? ", " : "", key);
            print_value(member, unit);
        }
    }
}

static bool says_something(const json_t *value, enum unit unit) {
    if (unit == UNIT_SOME || unit == UNIT_SECONDS || unit == UNIT_FLOPS) return json_number_value(value) != 0;
    if (json_is_array(value)) return json_array_size(value) > 0;
    if (json_is_object(value)) return json_object_size(value) > 0;
    return value && !json_is_null(value);
}

static const json_t *lookup(const json_t *object, const char *path) {
    while (object && *path) {
        char key[64];
        size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        object = json_object_get(object, key);
        path += length + (path[length] == '.');
    }
    return object;
}

int print_result(struct session *session, const char *json, const struct field *fields) {
    progress_end(&session->progress);
    if (given(session, OPTION_JSON)) {
        if (!answer_begin()) return EXIT_OK;
        size_t length = strlen(json);
        fputs(json, stdout);
        if (!length || json[length - 1] != '\n') putchar('\n');
        return EXIT_OK;
    }
    struct json_fault fault;
    json_t *object = json_of(json, &fault);
    if (!object) return refuse(session->verb, COVER_ERROR_INTERNAL, "the result is not JSON: %s", fault.what);
    int width = 0;
    for (const struct field *field = fields; field->path; field++)
        if (says_something(lookup(object, field->path), field->unit) && (int)strlen(field->label) > width)
            width = (int)strlen(field->label);
    for (const struct field *field = fields; field->path; field++) {
        const json_t *value = lookup(object, field->path);
        if (!says_something(value, field->unit)) continue;
        printf("%-*s  ", width, field->label);
        print_value(value, field->unit);
        putchar('\n');
    }
    json_decref(object);
    return EXIT_OK;
}

int print_object(struct session *session, json_t *object, const struct field *fields) {
    char *json = need(json_dumps(object, JSON_REAL_PRECISION(9)));
    int status = print_result(session, json, fields);
    free(json);
    json_decref(object);
    return status;
}

void print_wrapped(FILE *stream, const char *text, int column, int indent, int width) {
    bool begun = false;
    while (*text) {
        size_t length = strcspn(text, " \n");
        if (length) {
            if (begun && column + 1 + (int)length > width) {
                fprintf(stream, "\n%*s", indent, "");
                column = indent, begun = false;
            }
            fprintf(stream, "%s%.*s", begun ? " " : "", (int)length, text);
            column += (int)length + begun;
            begun = true;
        }
        text += length;
        if (*text == '\n') { /* a line break of the text's own is kept */
            fprintf(stream, "\n%*s", indent, "");
            column = indent, begun = false;
        }
        if (*text) text++;
    }
    fputc('\n', stream);
}

int choices_text(char *text, size_t bytes, const char *choices) {
    enum { ON_A_LINE = 32 };
    const char *between = strlen(choices) > ON_A_LINE ? ", " : "|";
    int used = 0;
    for (const char *at = choices; strchr(choices, '|') && *at; at += strcspn(at, "|"), at += *at == '|')
        used += snprintf(text + used, bytes - (size_t)used, "%s%.*s", at == choices ? "" : between, (int)strcspn(at, "|"), at);
    return used ? used + snprintf(text + used, bytes - (size_t)used, ": ") : 0;
}
