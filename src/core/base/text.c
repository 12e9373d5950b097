/* A text that grows.  Called wherever JSON, HTML or a long message is put together. */
#include "base.h"
#include "number.h"

#include <stdio.h>
#include <string.h>

static bool reserve(struct text *text, size_t more) {
    if (text->failed) return false;
    size_t need = text->length + more + 1;
    if (need <= text->capacity) return true;
    size_t capacity = text->capacity ? text->capacity : 256;
    while (capacity < need) capacity *= 2;
    char *data = memory_alloc(text->context, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    if (text->data) memcpy(data, text->data, text->length + 1);
    memory_free(text->context, text->data);
    text->data = data, text->capacity = capacity;
    return true;
}

void text_add_bytes(struct text *text, const void *bytes, size_t count) {
    if (!reserve(text, count)) return;
    memcpy(text->data + text->length, bytes, count);
    text->length += count;
    text->data[text->length] = 0;
}

/* Printed twice: to measure and into its place. */
static void add_list(struct text *text, int (*print)(char *text, size_t bytes, const char *format, va_list arguments),
                     const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    const int need = print(NULL, 0, format, arguments);
    if (need >= 0 && reserve(text, (size_t)need)) {
        print(text->data + text->length, (size_t)need + 1, format, again);
        text->length += (size_t)need;
    }
    va_end(again);
}

void text_add(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add_list(text, number_print_list, format, arguments);
    va_end(arguments);
}

void text_say(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add_list(text, shown_print_list, format, arguments);
    va_end(arguments);
}

void names_add(struct names *names, const char *name) {
    static const char more[] = ", ...";
    if (names->full) return;
    names->full = names->length + strlen(name) + 2 > sizeof names->text - sizeof more;
    if (names->full) memcpy(names->text + names->length, more, sizeof more);
    else
        names->length += (size_t)snprintf(names->text + names->length, sizeof names->text - names->length, "%s%s",
                                          names->length ? ", " : "", name);
}

/* Of a character of one to three bytes; none that steers has more. */
static unsigned code_point(const unsigned char *c, size_t length) {
    if (length == 1) return c[0];
    if (length == 2) return (c[0] & 0x1fu) << 6 | (c[1] & 0x3fu);
    return (c[0] & 0x0fu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu);
}

/* File names may hold any bytes: what is no UTF-8 becomes U+FFFD, so that the JSON is always valid; what would steer a terminal that
 * shows the JSON is escaped. */
void text_add_json(struct text *text, const char *string) {
    text_add_bytes(text, "\"", 1);
    for (const unsigned char *c = (const unsigned char *)string; *c;) {
        const size_t length = utf8_length(c);
        if (*c == '"' || *c == '\\') text_add(text, "\\%c", *c);
        else if (length > 0 && character_steers(c, length)) text_add(text, "\\u%04x", code_point(c, length));
        else if (length > 0) text_add_bytes(text, c, length);
        else text_add_bytes(text, "\xef\xbf\xbd", 3);
        c += length > 0 ? length : 1;
    }
    text_add_bytes(text, "\"", 1);
}

void text_free(struct text *text) {
    memory_free(text->context, text->data);
    *text = (struct text){.context = text->context};
}

cover_status text_take(struct text *text, char **out) {
    if (!text->data && !text->failed) reserve(text, 0);
    if (text->failed) {
        text_free(text);
        return COVER_ERROR_MEMORY; /* the refused allocation has set the text */
    }
    text->data[text->length] = 0;
    *out = text->data;
    *text = (struct text){.context = text->context};
    return COVER_OK;
}
