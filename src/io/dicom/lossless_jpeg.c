/* Lossless JPEG (ITU-T T.81, annex H; DICOM's processes 14 and 14 SV1): Huffman codes of differences, seven predictors, 2 to 16 bits,
 * point transform, restart intervals, components in one scan or in one each.  A row of the table in syntax.c by way of jpeg.c. */
#include "jpeg_header.h"

#include "core/base/memory.h"

#include <string.h>

enum { LOOK = 12, LONGEST = 16, CATEGORIES = 17, TABLES = 4, SAMPLES_A_BYTE = 8 };

/* What the next LOOK bits mean. */
struct entry {
    int16_t difference; /* of a code that stands there with all its bits; a category of 16 is more than they hold */
    uint8_t bits;       /* of the code, and of its difference where `whole`; 0: the code is longer */
    uint8_t category;   /* bits that follow the code; WHOLE: none */
};
enum { WHOLE = 255 };

struct table {
    bool there;
    struct entry entry[1 << LOOK];
    int32_t last[LONGEST + 1];  /* the largest code of each length, -1: none */
    int32_t shift[LONGEST + 1]; /* from a code of that length to the place of its category */
    uint8_t category[256];
};

struct reader { /* bits of one stretch between markers */
    const uint8_t *at, *end;
    uint64_t bits; /* the next one is the highest */
    int count;     /* that are in `bits` */
    int missing;   /* of those: zeros behind the end */
};

struct decoder {
    const struct dicom_frame *frame;
    struct jpeg_header header;
    size_t at;       /* the next segment */
    int interval;    /* lines between restarts, 0: none */
    unsigned seen;   /* components that have been decoded, as bits */
    uint16_t *lines; /* of each component the line before, then the line at hand */
    struct table table[TABLES];
};

struct scan {
    int count, component[4];
    const struct table *table[4];
    int predictor, point;
};

/* ---- Huffman codes (annex C, F.2.2) */

static int difference_of(uint32_t bits, int category) {
    return bits >> (category - 1) ? (int)bits : (int)bits - (1 << category) + 1;
}

static void look_up(struct table *table, uint32_t code, int length, int category) {
    const int rest = LOOK - length;
    if (rest < 0) return;
    for (uint32_t low = 0; low < 1u << rest; low++) {
        struct entry *entry = &table->entry[code << rest | low];
        *entry = (struct entry){.bits = (uint8_t)length, .category = (uint8_t)category};
        if (category > rest) continue;
        entry->difference = category ? (int16_t)difference_of(low >> (rest - category), category) : 0;
        entry->bits = (uint8_t)(length + category), entry->category = WHOLE;
    }
}

/* One table from its counts of codes of each length and its categories; *used: bytes of it. */
static cover_status make_table(struct table *table, const uint8_t *data, size_t size, size_t *used) {
    uint32_t code = 0;
    int place = 0;
    memset(table, 0, sizeof *table);
    for (int length = 1; length <= LONGEST; length++, code <<= 1) {
        const int codes = data[length - 1];
        table->last[length] = codes ? (int32_t)code + codes - 1 : -1;
        table->shift[length] = place - (int32_t)code;
        if (place + codes > 256 || (size_t)(LONGEST + place + codes) > size || code + (uint32_t)codes > 1u << length)
            return fail(COVER_ERROR_FORMAT, "damaged JPEG: a Huffman table with too many codes");
        for (int i = 0; i < codes; i++, code++, place++) {
            const int category = data[LONGEST + place];
            table->category[place] = (uint8_t)category;
            if (category < CATEGORIES) look_up(table, code, length, category);
        }
    }
    table->there = true;
    *used = (size_t)(LONGEST + place);
    return COVER_OK;
}

static cover_status read_tables(struct decoder *decoder, const struct jpeg_segment *segment) {
    const uint8_t *at = segment->data, *end = at + segment->size;
    while (at < end) {
        size_t used;
        const int name = *at++;
        if (end - at < LONGEST) return fail(COVER_ERROR_FORMAT, "damaged JPEG: a Huffman table is cut short");
        struct table other, *table = name < TABLES ? &decoder->table[name] : &other; /* of coefficients: not for us */
        TRY(make_table(table, at, (size_t)(end - at), &used));
        at += used;
    }
    return COVER_OK;
}

/* ---- bits */

static bool has_ff(uint32_t word) { return ((~word - 0x01010101u) & word & 0x80808080u) != 0; }

static void fill_slowly(struct reader *reader) {
    while (reader->count <= 56) {
        uint64_t byte = 0;
        const bool marker = reader->at < reader->end && *reader->at == 0xFF && (reader->end - reader->at < 2 || reader->at[1] != 0);
        if (reader->at >= reader->end || marker) reader->missing += 8;
        else byte = *reader->at, reader->at += byte == 0xFF ? 2 : 1;
        reader->bits |= byte << (56 - reader->count);
        reader->count += 8;
    }
}

/* At least 32: a code and its difference. */
static inline void fill(struct reader *reader) {
    uint32_t word;
    if (reader->count >= 32) return;
    if (reader->end - reader->at < 4) {
        fill_slowly(reader);
        return;
    }
    memcpy(&word, reader->at, sizeof word);
    word = __builtin_bswap32(word);
    if (has_ff(word)) {
        fill_slowly(reader);
        return;
    }
    reader->bits |= (uint64_t)word << (32 - reader->count);
    reader->count += 32, reader->at += 4;
}

static inline uint32_t take(struct reader *reader, int count) {
    const uint32_t value = (uint32_t)(reader->bits >> (64 - count));
    reader->bits <<= count, reader->count -= count;
    return value;
}

/* A code of more than LOOK bits, or none: 16 bits are then gone, and the end is found. */
static int category_slowly(struct reader *reader, const struct table *table) {
    for (int length = LOOK + 1; length <= LONGEST; length++) {
        const int32_t code = (int32_t)(reader->bits >> (64 - length));
        if (code > table->last[length]) continue;
        const int category = table->category[(code + table->shift[length]) & 255];
        if (category >= CATEGORIES) break;
        take(reader, length);
        return category;
    }
    reader->missing = reader->count + 1; /* nothing of it is to be believed */
    return 0;
}

static inline int next_difference(struct reader *reader, const struct table *table) {
    fill(reader);
    const struct entry entry = table->entry[reader->bits >> (64 - LOOK)];
    if (entry.category == WHOLE) {
        take(reader, entry.bits);
        return entry.difference;
    }
    int category = entry.category;
    if (entry.bits) take(reader, entry.bits);
    else category = category_slowly(reader, table);
    if (category == 16) return 32768;
    return category ? difference_of(take(reader, category), category) : 0;
}

/* ---- lines */

/* Table H.1; a is the sample to the left, b above, c above to the left. */
static inline int predict(int predictor, int a, int b, int c) {
    switch (predictor) {
    case 1:
        return a;
    case 2:
        return b;
    case 3:
        return c;
    case 4:
        return a + b - c;
    case 5:
        return a + ((b - c) >> 1);
    case 6:
        return b + ((a - c) >> 1);
    default:
        return (a + b) >> 1;
    }
}

/* The rest of a line behind its first sample of each component. */
static inline __attribute__((always_inline)) void rest_of_line(struct reader *reader, const struct scan *scan, uint16_t *above[],
                                                               uint16_t *line[], int columns, int predictor, int count) {
    struct reader own = *reader; /* in registers */
    for (int x = 1; x < columns; x++)
        for (int c = 0; c < count; c++) {
            const int predicted = predict(predictor, line[c][x - 1], above[c][x], above[c][x - 1]);
            line[c][x] = (uint16_t)(predicted + next_difference(&own, scan->table[c]));
        }
    *reader = own;
}

#define LINE(name, predictor)                                                                                                      \
    static void name(struct reader *reader, const struct scan *scan, uint16_t *above[], uint16_t *line[], int columns) {           \
        if (scan->count == 1) rest_of_line(reader, scan, above, line, columns, predictor, 1);                                      \
        else rest_of_line(reader, scan, above, line, columns, predictor, scan->count);                                             \
    }
LINE(line_1, 1)
LINE(line_2, 2)
LINE(line_3, 3)
LINE(line_4, 4)
LINE(line_5, 5)
LINE(line_6, 6)
LINE(line_7, 7)
static void (*const lines_of[])(struct reader *, const struct scan *, uint16_t *[], uint16_t *[],
                                int) = {NULL, line_1, line_2, line_3, line_4, line_5, line_6, line_7};

/* ---- a scan */

/* Behind what was read: a marker, with fill bytes before it; then the next stretch. */
static bool restart(struct reader *reader, int number) {
    const uint8_t *at = reader->at;
    if (reader->end - at < 2 || *at != 0xFF) return false;
    while (at < reader->end && *at == 0xFF) at++;
    if (at >= reader->end || *at != JPEG_RST0 + number % 8) return false;
    *reader = (struct reader){.at = at + 1, .end = reader->end};
    return true;
}

static cover_status decode_scan(struct decoder *decoder, const struct scan *scan) {
    const int columns = decoder->header.columns, rows = decoder->header.rows;
    const uint8_t *bytes = decoder->frame->bytes;
    struct reader reader = {.at = bytes + decoder->at, .end = bytes + decoder->frame->size};
    uint16_t *above[4], *line[4];
    for (int c = 0; c < scan->count; c++) above[c] = decoder->lines + 2 * c * columns, line[c] = above[c] + columns;
    for (int row = 0; row < rows; row++) {
        const bool first = decoder->interval ? row % decoder->interval == 0 : row == 0;
        if (first && row && !restart(&reader, row / decoder->interval - 1))
            return fail(COVER_ERROR_FORMAT, "damaged JPEG: no restart marker before row %d", row);
        for (int c = 0; c < scan->count; c++) {
            const int predicted = first ? 1 << (decoder->header.precision - scan->point - 1) : above[c][0];
            line[c][0] = (uint16_t)(predicted + next_difference(&reader, scan->table[c]));
        }
        lines_of[first ? 1 : scan->predictor](&reader, scan, above, line, columns);
        if (reader.missing > reader.count) return fail(COVER_ERROR_FORMAT, "damaged JPEG: it ends in row %d of %d", row, rows);
        for (int c = 0; c < scan->count; c++) {
            uint16_t *done = line[c];
            dicom_put_line(decoder->frame, done, scan->component[c], row, scan->point);
            line[c] = above[c], above[c] = done;
        }
    }
    decoder->at = (size_t)(reader.at - bytes);
    return COVER_OK;
}

static cover_status read_scan(struct scan *scan, struct decoder *decoder, const struct jpeg_segment *segment) {
    const struct jpeg_header *header = &decoder->header;
    const uint8_t *data = segment->data;
    *scan = (struct scan){.count = segment->size ? data[0] : 0};
    if (scan->count < 1 || scan->count > header->components || segment->size != 4 + 2 * (size_t)scan->count)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG: a scan header of %zu bytes", segment->size);
    for (int c = 0; c < scan->count; c++) {
        const int component = jpeg_header_component(header, data[1 + 2 * c]), table = data[2 + 2 * c] >> 4;
        if (component < 0 || decoder->seen & 1u << component)
            return fail(COVER_ERROR_FORMAT, "damaged JPEG: a scan of a component that is not there, or was");
        if (table >= TABLES || !decoder->table[table].there)
            return fail(COVER_ERROR_FORMAT, "damaged JPEG: a scan without its Huffman table");
        scan->component[c] = component, scan->table[c] = &decoder->table[table];
        decoder->seen |= 1u << component;
    }
    const uint8_t *end = data + 1 + 2 * scan->count;
    scan->predictor = end[0], scan->point = end[2] & 15;
    if (scan->predictor < 1 || scan->predictor > 7 || scan->point >= header->precision)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG: predictor %d, point transform %d", scan->predictor, scan->point);
    return COVER_OK;
}

static cover_status read_interval(struct decoder *decoder, const struct jpeg_segment *segment) {
    if (segment->size != 2) return fail(COVER_ERROR_FORMAT, "damaged JPEG: a restart interval of %zu bytes", segment->size);
    const int samples = segment->data[0] << 8 | segment->data[1];
    if (samples % decoder->header.columns)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG: a restart interval of %d pixels in lines of %d", samples,
                    decoder->header.columns);
    decoder->interval = samples / decoder->header.columns;
    return COVER_OK;
}

/* Segments up to the end of the last scan. */
static cover_status decode_segments(struct decoder *decoder) {
    const struct dicom_frame *frame = decoder->frame;
    const unsigned all = (1u << decoder->header.components) - 1;
    struct jpeg_segment segment;
    struct scan scan;
    bool framed = false;
    while (decoder->seen != all) {
        if (!jpeg_next_segment(&segment, frame->bytes, frame->size, &decoder->at) || segment.marker == JPEG_EOI)
            return fail(COVER_ERROR_FORMAT, "damaged JPEG: it ends before its pixels");
        switch (segment.marker) {
        case JPEG_DHT:
            TRY(read_tables(decoder, &segment));
            break;
        case JPEG_DRI:
            TRY(read_interval(decoder, &segment));
            break;
        case JPEG_SOF3:
            if (framed) return fail(COVER_ERROR_FORMAT, "damaged JPEG: two frame headers");
            framed = true;
            break;
        case JPEG_DNL:
            return fail(COVER_ERROR_UNSUPPORTED, "a JPEG that says its rows at its end (DNL); encode it anew");
        case JPEG_SOS:
            if (!framed) return fail(COVER_ERROR_FORMAT, "damaged JPEG: a scan before the frame header");
            TRY(read_scan(&scan, decoder, &segment));
            TRY(decode_scan(decoder, &scan));
        }
    }
    return COVER_OK;
}

cover_status lossless_jpeg_check(const struct jpeg_header *header, const struct dicom_frame *frame) {
    if (header->precision < 2) return fail(COVER_ERROR_FORMAT, "damaged JPEG: %d bits a sample", header->precision);
    for (int c = 1; c < header->components; c++)
        if (header->component[c].h != header->component[0].h || header->component[c].v != header->component[0].v)
            return fail(COVER_ERROR_UNSUPPORTED, "a lossless JPEG with subsampled colour; dcmdjpeg IN OUT decompresses it");
    if (dicom_pixels(frame->shape) * (size_t)frame->shape->samples / SAMPLES_A_BYTE > frame->size)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG: %zu bytes cannot hold %d x %d pixels", frame->size, header->columns,
                    header->rows);
    return COVER_OK;
}

cover_status lossless_jpeg_decode(const struct jpeg_header *header, const struct dicom_frame *frame,
                                  struct dicom_decoded *decoded) {
    cover_status status;
    struct decoder *decoder = memory_within(frame->context, sizeof *decoder);
    if (!decoder) return COVER_ERROR_MEMORY;
    for (int t = 0; t < TABLES; t++) decoder->table[t].there = false;
    decoder->frame = frame, decoder->header = *header, decoder->at = 0, decoder->interval = 0, decoder->seen = 0;
    decoder->lines = memory_within(frame->context, 2 * (size_t)header->columns * (size_t)header->components * sizeof(uint16_t));
    status = decoder->lines ? decode_segments(decoder) : COVER_ERROR_MEMORY;
    memory_free(frame->context, decoder->lines);
    memory_free(frame->context, decoder);
    *decoded = (struct dicom_decoded){.precision = header->precision, .colour = jpeg_header_colour(header)};
    return status;
}
