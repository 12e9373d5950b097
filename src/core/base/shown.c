/* Foreign text made visible, see shown.h. */
#include "shown.h"

#include "number.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What the first byte announces. */
static size_t announced(unsigned char c) {
    return c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
}

size_t utf8_length(const unsigned char *c) {
    const size_t length = announced(c[0]);
    for (size_t i = 1; i < length; i++)
        if ((c[i] & 0xc0) != 0x80) return 0;
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f)) return 0; /* overlong; surrogates */
    if ((c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f)) return 0; /* overlong; past U+10FFFF */
    return length;
}

bool character_steers(const unsigned char *c, size_t length) {
    if (length == 1) return c[0] < 0x20 || c[0] == 0x7f;
    if (length == 2) return (c[0] == 0xc2 && c[1] < 0xa0) || (c[0] == 0xd8 && c[1] == 0x9c); /* C1; Arabic letter mark */
    if (length == 3 && c[0] == 0xe2 && c[1] == 0x80)
        return c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae); /* LRM, RLM; separators, embeddings, overrides */
    return length == 3 && c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9; /* isolates */
}

/* What was printed so far; what has no room is counted, and a character is there whole or not at all. */
struct print {
    char *text;
    size_t bytes, length;
    bool full;
};

/* One conversion: "%" up to its letter, and what its argument needs. */
struct conversion {
    char format[48];
    size_t length;
    char size; /* the length modifier: 0 h l L (ll) z j t */
    char letter;
    bool left;
    size_t width;
    int precision; /* -1 = none */
};

static void put(struct print *print, const char *from, size_t count) {
    print->full = print->full || print->length + count >= print->bytes;
    if (!print->full) memcpy(print->text + print->length, from, count), print->text[print->length + count] = 0;
    print->length += count;
}

/* Returns how many places it takes on a line. */
static size_t put_shown(struct print *print, const char *text, size_t most) {
    const unsigned char *c = (const unsigned char *)(text ? text : "(null)");
    size_t places = 0;
    for (size_t done = 0; done < most && *c;) {
        const size_t length = announced(*c) > most - done ? 0 : utf8_length(c); /* a precision may cut one in two */
        const size_t taken = length > 0 ? length : 1;
        const bool steers = length == 0 || character_steers(c, length);
        if (!steers) put(print, (const char *)c, length);
        for (size_t i = 0; steers && i < taken; i++) {
            char hex[8];
            put(print, hex, (size_t)snprintf(hex, sizeof hex, "\\x%02X", c[i]));
        }
        places += steers ? 4 * taken : 1;
        done += taken, c += taken;
    }
    return places;
}

static void pad(struct print *print, size_t places, size_t width) {
    for (; places < width; places++) put(print, " ", 1);
}

/* Widths count characters, so that columns stand. */
static void put_column(struct print *print, const char *text, const struct conversion *conversion) {
    const size_t most = conversion->precision < 0 ? SIZE_MAX : (size_t)conversion->precision;
    struct print nowhere = {0};
    if (!conversion->left && conversion->width > 0) pad(print, put_shown(&nowhere, text, most), conversion->width);
    const size_t places = put_shown(print, text, most);
    if (conversion->left) pad(print, places, conversion->width);
}

static void keep(struct conversion *conversion, char c) {
    if (conversion->length < sizeof conversion->format - 1) conversion->format[conversion->length++] = c;
}

static void keep_number(struct conversion *conversion, int number) {
    char digits[16];
    snprintf(digits, sizeof digits, "%d", number);
    for (const char *d = digits; *d; d++) keep(conversion, *d);
}

/* Reads one from behind its '%' on; a star takes its number from the arguments, through a pointer so that they move on. */
static const char *read_conversion(struct conversion *conversion, const char *at, va_list *arguments) {
    *conversion = (struct conversion){.precision = -1};
    keep(conversion, '%');
    while (*at && strchr("-+ #0", *at)) {
        conversion->left = conversion->left || *at == '-';
        keep(conversion, *at++);
    }
    int width = 0;
    if (*at == '*') width = va_arg(*arguments, int), at++;
    while (is_digit(*at)) width = 10 * width + (*at++ - '0');
    if (width < 0) keep(conversion, '-'), conversion->left = true, width = -width;
    if (width > 0) keep_number(conversion, width);
    conversion->width = (size_t)width;
    if (*at == '.') {
        int precision = 0;
        if (*++at == '*') precision = va_arg(*arguments, int), at++;
        while (is_digit(*at)) precision = 10 * precision + (*at++ - '0');
        if (precision >= 0) keep(conversion, '.'), keep_number(conversion, precision);
        conversion->precision = precision >= 0 ? precision : -1;
    }
    while (*at && strchr("hlzjt", *at)) {
        conversion->size = conversion->size == 'l' ? 'L' : *at;
        keep(conversion, *at++);
    }
    conversion->letter = *at;
    if (*at) keep(conversion, *at++);
    return at;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static int print_number(char *text, size_t bytes, const struct conversion *c, va_list *arguments) {
    if (strchr("aefgAEFG", c->letter)) return snprintf(text, bytes, c->format, va_arg(*arguments, double));
    if (c->letter == 'p') return snprintf(text, bytes, c->format, va_arg(*arguments, void *));
    switch (c->size) {
    case 'l':
        return snprintf(text, bytes, c->format, va_arg(*arguments, long));
    case 'L':
        return snprintf(text, bytes, c->format, va_arg(*arguments, long long));
    case 'z':
        return snprintf(text, bytes, c->format, va_arg(*arguments, size_t));
    case 'j':
        return snprintf(text, bytes, c->format, va_arg(*arguments, intmax_t));
    case 't':
        return snprintf(text, bytes, c->format, va_arg(*arguments, ptrdiff_t));
    default:
        return snprintf(text, bytes, c->format, va_arg(*arguments, int));
    }
}
#pragma GCC diagnostic pop

int shown_print_list(char *text, size_t bytes, const char *format, va_list given) {
    struct print print = {.text = text, .bytes = bytes};
    va_list arguments;
    va_copy(arguments, given); /* an own one, whose address can be handed on */
    const locale_t before = locale_enter();
    if (bytes > 0) *text = 0;
    while (*format) {
        const size_t plain = strcspn(format, "%");
        put(&print, format, plain);
        format += plain;
        if (*format && format[1] == '%') put(&print, format, 1), format += 2;
        else if (*format) {
            struct conversion conversion;
            char number[400]; /* %f of the largest double has 309 digits before its point */
            format = read_conversion(&conversion, format + 1, &arguments);
            if (conversion.letter == 's') put_column(&print, va_arg(arguments, const char *), &conversion);
            else if (conversion.letter == 'c') {
                const char one[2] = {(char)va_arg(arguments, int), 0};
                put_shown(&print, one, 1);
            } else {
                const int length = print_number(number, sizeof number, &conversion, &arguments);
                if (length > 0) put(&print, number, (size_t)length < sizeof number ? (size_t)length : sizeof number - 1);
            }
        }
    }
    locale_leave(before);
    va_end(arguments);
    return (int)print.length;
}

int shown_print(char *text, size_t bytes, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = shown_print_list(text, bytes, format, arguments);
    va_end(arguments);
    return length;
}

void shown_whole(char *text) {
    for (unsigned char *c = (unsigned char *)text; *c;) {
        const size_t length = utf8_length(c);
        if (length == 0) *c++ = '?';
        else if (*c != '\n' && character_steers(c, length)) memset(c, '?', length), c += length;
        else c += length;
    }
}
