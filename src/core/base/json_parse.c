/* The one reader of JSON, see json_parse.h: recursive descent over the bytes, each value built as it is met. */
#include "json_parse.h"

#include "number.h"
#include "shown.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parse {
    const char *begin, *at, *end;
    int depth;
    struct json_fault *fault;
};

/* ---- what is wrong, and where */

static void *short_memory(const struct parse *parse) {
    *parse->fault = (struct json_fault){.memory = true, .what = "out of memory"};
    return NULL;
}

static void *wrong_at(const struct parse *parse, const char *at, const char *what) {
    *parse->fault = (struct json_fault){.line = 1, .column = 1};
    for (const char *c = parse->begin; c < at; c++)
        if (*c == '\n') parse->fault->line++, parse->fault->column = 1;
        else if (((unsigned char)*c & 0xc0) != 0x80) parse->fault->column++;
    shown_print(parse->fault->what, sizeof parse->fault->what, "%s", what);
    return NULL;
}

static void *expected(const struct parse *parse, const char *what) {
    char text[sizeof parse->fault->what];
    int near = 0;
    while (near < 20 && parse->end - parse->at > near && !strchr(" \t\r\n,", parse->at[near])) near++;
    if (parse->at == parse->end) snprintf(text, sizeof text, "%s is expected, but the text ends", what);
    else snprintf(text, sizeof text, "%s is expected, not '%.*s'", what, near ? near : 1, parse->at);
    return wrong_at(parse, parse->at, text);
}

static void duplicate(const struct parse *parse, const char *at, const char *key) {
    char text[sizeof parse->fault->what];
    snprintf(text, sizeof text, "duplicate name '%.64s'", key);
    wrong_at(parse, at, text);
}

static void skip_space(struct parse *parse) {
    while (parse->at < parse->end && memchr(" \t\r\n", *parse->at, 4)) parse->at++;
}

static bool skip(struct parse *parse, char wanted) {
    skip_space(parse);
    if (parse->at == parse->end || *parse->at != wanted) return false;
    parse->at++;
    return true;
}

/* ---- strings */

/* Four hexadecimal digits; -1 when they are none.  The text ends behind a quote, so none of them is outside. */
static int hexadecimal(const char *at) {
    int value = 0;
    for (int i = 0; i < 4; i++) {
        const char c = at[i], low = (char)(c | 32);
        if (is_digit(c)) value = 16 * value + c - '0';
        else if (low >= 'a' && low <= 'f') value = 16 * value + low - 'a' + 10;
        else return -1;
    }
    return value;
}

static char *put_character(char *to, unsigned code) {
    static const unsigned first[] = {0, 0xc0, 0xe0, 0xf0};
    const int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    *to++ = (char)(first[more] | code >> (6 * more));
    for (int i = more - 1; i >= 0; i--) *to++ = (char)(0x80 | (code >> (6 * i) & 63));
    return to;
}

/* What stands behind a backslash at *from; NULL when it is nothing. */
static char *put_escape(char *to, const char **from) {
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char letter = *(*from)++, *known = letter ? strchr(letters, letter) : NULL;
    if (known) return *to = values[known - letters], to + 1;
    if (letter != 'u') return NULL;
    int code = hexadecimal(*from);
    if (code <= 0 || (code >= 0xdc00 && code < 0xe000)) return NULL; /* 0 would end the string; a second half alone */
    *from += 4;
    if (code >= 0xd800 && code < 0xdc00) {
        const int second = (*from)[0] == '\\' && (*from)[1] == 'u' ? hexadecimal(*from + 2) : -1;
        if (second < 0xdc00 || second >= 0xe000) return NULL;
        *from += 6, code = 0x10000 + ((code - 0xd800) << 10) + (second - 0xdc00);
    }
    return put_character(to, (unsigned)code);
}

/* The string that begins behind the quote at `at`, free(). */
static char *read_string(struct parse *parse, size_t *length) {
    const char *from = parse->at, *stop = from;
    while (stop < parse->end && *stop != '"') stop += *stop == '\\' ? 2 : 1;
    if (stop >= parse->end) return wrong_at(parse, from - 1, "a string without its end");
    char *text = malloc((size_t)(stop - from) + 1), *to = text;
    if (!text) return short_memory(parse);
    while (from < stop) {
        const char *begin = from;
        const size_t bytes = utf8_length((const unsigned char *)from);
        const char *what = bytes == 0                    ? "bytes that are not UTF-8"
                           : (unsigned char)*from < 0x20 ? "a control character in a string"
                                                         : NULL;
        if (!what && *from == '\\') {
            from++;
            char *next = put_escape(to, &from);
            if (next) to = next;
            else what = "no escape that JSON has";
        } else if (!what) memcpy(to, from, bytes), to += bytes, from += bytes;
        if (!what) continue;
        free(text);
        return wrong_at(parse, begin, what);
    }
    *to = 0, *length = (size_t)(to - text);
    parse->at = stop + 1;
    return text;
}

static json_t *string_value(struct parse *parse) {
    size_t length;
    char *text = read_string(parse, &length);
    if (!text) return NULL;
    json_t *value = json_stringn_nocheck(text, length);
    free(text);
    return value ? value : short_memory(parse);
}

/* ---- numbers and words */

static const char *digits(const struct parse *parse, const char *at) {
    while (at < parse->end && is_digit(*at)) at++;
    return at;
}

/* Behind the number at `at`; NULL when it is none. */
static const char *number_end(const struct parse *parse, bool *whole) {
    const char *at = parse->at + (*parse->at == '-'), *next = digits(parse, at);
    *whole = true;
    if (next == at || (*at == '0' && next > at + 1)) return NULL;
    if (next < parse->end && *next == '.') {
        at = next + 1, next = digits(parse, at), *whole = false;
        if (next == at) return NULL;
    }
    if (next < parse->end && (*next == 'e' || *next == 'E')) {
        at = next + 1, *whole = false;
        at += at < parse->end && (*at == '-' || *at == '+');
        next = digits(parse, at);
        if (next == at) return NULL;
    }
    return next;
}

static json_t *number_value(struct parse *parse) {
    bool whole, minus = *parse->at == '-';
    const char *end = number_end(parse, &whole);
    if (!end) return expected(parse, "a number");
    int64_t integer = 0;
    for (const char *c = parse->at + minus; c < end && whole; c++)
        whole = !__builtin_mul_overflow(integer, 10, &integer) && !__builtin_sub_overflow(integer, *c - '0', &integer);
    whole = whole && (minus || integer != INT64_MIN); /* it was counted downwards, where there is one more */
    json_t *value;
    if (whole) value = json_integer(minus ? integer : -integer);
    else {
        char few[64], *text = end - parse->at < (ptrdiff_t)sizeof few ? few : malloc((size_t)(end - parse->at) + 1);
        if (!text) return short_memory(parse);
        memcpy(text, parse->at, (size_t)(end - parse->at));
        text[end - parse->at] = 0;
        const double real = number_read(text, NULL);
        if (text != few) free(text);
        if (!isfinite(real)) return wrong_at(parse, parse->at, "a number that is too large");
        value = json_real(real);
    }
    parse->at = end;
    return value ? value : short_memory(parse);
}

static json_t *word_value(struct parse *parse) {
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        const size_t length = strlen(words[i]);
        if ((size_t)(parse->end - parse->at) < length || memcmp(parse->at, words[i], length) != 0) continue;
        parse->at += length;
        return i == 0 ? json_true() : i == 1 ? json_false() : json_null();
    }
    return expected(parse, "a value");
}

/* ---- arrays and objects */

static json_t *any_value(struct parse *parse);

/* `"key": value` of an object; false with the fault told. */
static bool add_member(struct parse *parse, json_t *object) {
    size_t length;
    if (!skip(parse, '"')) return expected(parse, "a name in quotes"), false;
    const char *begin = parse->at - 1;
    char *key = read_string(parse, &length);
    if (!key) return false;
    json_t *value = NULL;
    if (json_object_get(object, key)) duplicate(parse, begin, key);
    else if (!skip(parse, ':')) expected(parse, "':'");
    else value = any_value(parse);
    bool added = value && json_object_set_new_nocheck(object, key, value) == 0;
    if (value && !added) short_memory(parse);
    free(key);
    return added;
}

static bool add_element(struct parse *parse, json_t *array) {
    json_t *value = any_value(parse);
    if (!value) return false;
    if (json_array_append_new(array, value) == 0) return true;
    short_memory(parse);
    return false;
}

/* Behind '{' or '['. */
static json_t *container(struct parse *parse, bool object) {
    if (parse->depth == JSON_DEEPEST) return wrong_at(parse, parse->at - 1, "nested too deep");
    json_t *value = object ? json_object() : json_array();
    const char close = object ? '}' : ']';
    if (!value) return short_memory(parse);
    parse->depth++;
    bool sound = true, more = !skip(parse, close);
    while (sound && more) {
        sound = object ? add_member(parse, value) : add_element(parse, value);
        more = sound && skip(parse, ',');
        if (sound && !more && !skip(parse, close)) expected(parse, object ? "',' or '}'" : "',' or ']'"), sound = false;
    }
    parse->depth--;
    if (sound) return value;
    json_decref(value);
    return NULL;
}

static json_t *any_value(struct parse *parse) {
    if (skip(parse, '{')) return container(parse, true);
    if (skip(parse, '[')) return container(parse, false);
    if (skip(parse, '"')) return string_value(parse);
    if (parse->at < parse->end && (*parse->at == '-' || is_digit(*parse->at))) return number_value(parse);
    return word_value(parse);
}

json_t *json_parse(const char *text, size_t bytes, struct json_fault *fault) {
    struct parse parse = {.begin = text, .at = text, .end = text + bytes, .fault = fault};
    json_t *value = skip(&parse, '{')   ? container(&parse, true)
                    : skip(&parse, '[') ? container(&parse, false)
                                        : expected(&parse, "'{' or '['");
    if (value) skip_space(&parse);
    if (!value || parse.at == parse.end) return value;
    json_decref(value);
    return expected(&parse, "the end of the text");
}
