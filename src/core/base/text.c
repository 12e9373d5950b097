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

void text_add(struct text *text, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int need = number_print_list(NULL, 0, format, arguments);
    va_end(arguments);
    if (need >= 0 && reserve(text, (size_t)need)) {
        number_print_list(text->data + text->length, (size_t)need + 1, format, again);
        text->length += (size_t)need;
    }
    va_end(again);
}

size_t utf8_length(const unsigned char *c) {
    const size_t length = c[0] < 0x80                   ? 1
                          : c[0] >= 0xc2 && c[0] < 0xe0 ? 2
                          : (c[0] & 0xf0) == 0xe0       ? 3
                          : c[0] >= 0xf0 && c[0] < 0xf5 ? 4
                                                        : 0;
    for (size_t i = 1; i < length; i++)
        if ((c[i] & 0xc0) != 0x80) return 0;
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f)) return 0; /* overlong; surrogates */
    if ((c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f)) return 0; /* overlong; past U+10FFFF */
    return length;
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

/* File names may hold any bytes: what is no UTF-8 becomes U+FFFD, so that the JSON is always valid. */
void text_add_json(struct text *text, const char *string) {
    text_add_bytes(text, "\"", 1);
    for (const unsigned char *c = (const unsigned char *)string; *c;) {
        const size_t length = utf8_length(c);
        if (*c == '"' || *c == '\\') text_add(text, "\\%c", *c);
        else if (*c < 0x20) text_add(text, "\\u%04x", *c);
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
