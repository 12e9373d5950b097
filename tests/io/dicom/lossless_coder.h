/* A coder of lossless JPEG for the tests: any predictor, point transform, restart interval, one scan or one a component.  It writes what
 * ITU-T T.81 says with tables of its own, and knows nothing of the decoder. */
#ifndef COVER_LOSSLESS_CODER_H
#define COVER_LOSSLESS_CODER_H

#include "../image/io_test.h"

struct coded {
    int rows, columns, components, precision;
    int predictor, point, interval; /* lines between restarts, 0 = none */
    bool long_codes;                /* category k has a code of k + 1 bits, else all have 5 */
    bool scans;                     /* one a component */
    int fill;                       /* bytes of 0xFF before each marker */
};

struct coder {
    struct bytes file;
    uint32_t bits;
    int count;
};

static inline void code_byte(struct coder *coder, int byte) { bytes_add(&coder->file, &(uint8_t){(uint8_t)byte}, 1); }
static inline void code_bits(struct coder *coder, uint32_t bits, int count) {
    for (int i = count - 1; i >= 0; i--) {
        coder->bits = coder->bits << 1 | (bits >> i & 1);
        if (++coder->count < 8) continue;
        code_byte(coder, coder->bits & 0xFF);
        if ((coder->bits & 0xFF) == 0xFF) code_byte(coder, 0);
        coder->count = 0;
    }
}
static inline void code_rest(struct coder *coder) {
    while (coder->count) code_bits(coder, 1, 1);
}
static inline void code_marker(struct coder *coder, const struct coded *form, int marker, const uint8_t *data, int size) {
    for (int i = 0; i <= form->fill; i++) code_byte(coder, 0xFF);
    code_byte(coder, marker);
    if (size < 0) return;
    code_byte(coder, (size + 2) >> 8), code_byte(coder, size + 2);
    bytes_add(&coder->file, data, (size_t)size);
}

static inline void code_table(struct coder *coder, const struct coded *form) {
    uint8_t data[1 + 16 + 17] = {0};
    if (form->long_codes)
        for (int length = 1; length <= 16; length++) data[length] = length == 16 ? 2 : 1;
    else data[5] = 17;
    for (int category = 0; category < 17; category++) data[17 + category] = (uint8_t)category;
    code_marker(coder, form, 0xC4, data, sizeof data);
}

static inline void code_difference(struct coder *coder, const struct coded *form, int difference) {
    int category = 0;
    difference = (int16_t)difference;
    for (int size = difference < 0 ? -difference : difference; size; size >>= 1) category++;
    if (!form->long_codes) code_bits(coder, (uint32_t)category, 5);
    else if (category < 16) code_bits(coder, (1u << (category + 1)) - 2, category + 1);
    else code_bits(coder, 0xFFFF, 16);
    if (category < 16) code_bits(coder, (uint32_t)(difference < 0 ? difference + (1 << category) - 1 : difference), category);
}

/* What stands before a sample of `values` (rows x columns x components), shifted by the point transform. */
static inline int predicted(const struct coded *form, const uint16_t *values, int row, int x, int component, bool first) {
    const int step = form->components, line = form->columns * step;
    const uint16_t *here = values + row * line + x * step + component;
#define BEFORE(lines, columns_) (here[-(lines)*line - (columns_)*step] >> form->point)
    if (first && x == 0) return 1 << (form->precision - form->point - 1);
    if (first) return BEFORE(0, 1);
    if (x == 0) return BEFORE(1, 0);
    const int a = BEFORE(0, 1), b = BEFORE(1, 0), c = BEFORE(1, 1);
#undef BEFORE
    const int of[] = {0, a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) >> 1};
    return of[form->predictor];
}

static inline void code_scan(struct coder *coder, const struct coded *form, const uint16_t *values, int from, int to) {
    uint8_t data[10] = {(uint8_t)(to - from)};
    int size = 1;
    for (int c = from; c < to; c++) data[size++] = (uint8_t)(c + 1), data[size++] = 0;
    data[size++] = (uint8_t)form->predictor, data[size++] = 0, data[size++] = (uint8_t)form->point;
    code_marker(coder, form, 0xDA, data, size);
    for (int row = 0; row < form->rows; row++) {
        const bool first = form->interval ? row % form->interval == 0 : row == 0;
        if (first && row) code_rest(coder), code_marker(coder, form, 0xD0 + (row / form->interval - 1) % 8, NULL, -1);
        for (int x = 0; x < form->columns; x++)
            for (int c = from; c < to; c++) {
                const int value = values[(row * form->columns + x) * form->components + c] >> form->point;
                code_difference(coder, form, value - predicted(form, values, row, x, c, first));
            }
    }
    code_rest(coder);
}

static inline struct bytes code_lossless(const struct coded *form, const uint16_t *values) {
    struct coder coder = {0};
    uint8_t frame[6 + 9] = {(uint8_t)form->precision,      (uint8_t)(form->rows >> 8), (uint8_t)form->rows,
                            (uint8_t)(form->columns >> 8), (uint8_t)form->columns,     (uint8_t)form->components};
    for (int c = 0; c < form->components; c++) frame[6 + 3 * c] = (uint8_t)(c + 1), frame[7 + 3 * c] = 0x11;
    const int samples = form->interval * form->columns;
    code_byte(&coder, 0xFF), code_byte(&coder, 0xD8);
    code_table(&coder, form);
    code_marker(&coder, form, 0xC3, frame, 6 + 3 * form->components);
    if (form->interval) code_marker(&coder, form, 0xDD, (uint8_t[]){(uint8_t)(samples >> 8), (uint8_t)samples}, 2);
    if (form->scans)
        for (int c = 0; c < form->components; c++) code_scan(&coder, form, values, c, c + 1);
    else code_scan(&coder, form, values, 0, form->components);
    code_marker(&coder, form, 0xD9, NULL, -1);
    return coder.file;
}

#endif
