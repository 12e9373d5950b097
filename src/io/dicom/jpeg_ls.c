/* JPEG-LS (ITU-T T.87): lossless and near-lossless, 2 to 16 bits, one or three components, interleaved in any way, presets of the coding
 * parameters.  Names are the standard's.  A row of the table in syntax.c by way of jpeg.c. */
#include "jpeg_header.h"

#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { LSE = 0xF8, APP8 = 0xE8, CONTEXTS = 365, RESET = 64, MOST_C = 127, LEAST_C = -128 };
/* A run of pixels may be as long as a line and takes some bits; the first megapixels are free. */
enum { FREE_PIXELS = 16 << 20, PIXELS_A_BYTE = 8192 };

struct context { /* A.2.1 */
    int32_t A, B, C, N;
};
struct run_context {
    int32_t A, N, Nn;
};

struct reader { /* bits up to a marker; behind a byte of 0xFF seven more */
    const uint8_t *at, *end;
    uint64_t bits; /* the next one is the highest */
    int count;     /* that are in `bits` */
    int missing;   /* of those: zeros behind the end */
    bool stuffed;  /* the byte before was 0xFF */
};

struct parameters {
    int MAXVAL, T1, T2, T3, RESET; /* as LSE said, 0: by default */
};

struct decoder {
    const struct dicom_frame *frame;
    struct jpeg_header header;
    size_t at;     /* the next segment */
    unsigned seen; /* components that have been decoded, as bits */
    struct parameters preset;
    uint16_t *lines;   /* of each component two, with a sample before and one behind */
    int8_t *quantised; /* of differences -MAXVAL .. MAXVAL: -4 .. 4 */
};

struct scan {
    struct reader reader;
    int columns, count, component[3], interleaved;
    int NEAR, MAXVAL, RANGE, qbpp, LIMIT, RESET, step;
    const int8_t *quantised; /* by a difference, from its middle on */
    int run_index[3];
    struct run_context run[2];
    struct context context[CONTEXTS];
};

static const uint8_t J[32] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* ---- bits */

static void fill_slowly(struct reader *reader) {
    while (reader->count <= 56) {
        const int width = reader->stuffed ? 7 : 8;
        uint64_t byte = 0;
        if (reader->at >= reader->end || (*reader->at == 0xFF && (reader->end - reader->at < 2 || reader->at[1] >= 0x80)) ||
            (reader->stuffed && *reader->at >= 0x80))
            reader->missing += width;
        else byte = *reader->at++, reader->stuffed = byte == 0xFF;
        reader->bits |= byte << (64 - width - reader->count);
        reader->count += width;
    }
}

/* At least 32. */
static inline void fill(struct reader *reader) {
    uint32_t word;
    if (reader->count >= 32) return;
    if (reader->stuffed || reader->end - reader->at < 4) {
        fill_slowly(reader);
        return;
    }
    memcpy(&word, reader->at, sizeof word);
    word = __builtin_bswap32(word);
    if ((~word - 0x01010101u) & word & 0x80808080u) { /* a byte of 0xFF */
        fill_slowly(reader);
        return;
    }
    reader->bits |= (uint64_t)word << (32 - reader->count);
    reader->count += 32, reader->at += 4;
}

static inline uint32_t take(struct reader *reader, int count) {
    const uint32_t value = count ? (uint32_t)(reader->bits >> (64 - count)) : 0;
    reader->bits <<= count, reader->count -= count;
    return value;
}

/* A limited Golomb code (A.5.3) whose zeros or rest may not be in the next 32 bits. */
static __attribute__((noinline)) struct reader golomb_slowly(struct reader reader, int k, int limit, int qbpp, int32_t *value) {
    int zeros = 0;
    for (;; zeros++) {
        fill(&reader);
        if (take(&reader, 1)) break;
        if (reader.missing > reader.count || zeros > limit) { /* nothing of it is to be believed */
            reader.missing = reader.count + 65;
            *value = 0;
            return reader;
        }
    }
    fill(&reader);
    *value = zeros < limit - qbpp - 1 ? (zeros << k) + (int32_t)take(&reader, k) : (int32_t)take(&reader, qbpp) + 1;
    return reader;
}

/* What no encoder writes: errors of more than twice the range. */
static inline int32_t believed(struct reader *reader, const struct scan *scan, int32_t mapped) {
    if (mapped <= 2 * scan->RANGE) return mapped;
    reader->missing = reader->count + 65;
    return 0;
}

static inline int32_t golomb(struct reader *reader, int k, int limit, int qbpp) {
    int32_t value;
    fill(reader);
    const int zeros = reader->bits ? __builtin_clzll(reader->bits) : 64;
    if (zeros < limit - qbpp - 1 && zeros + 1 + k <= 32) {
        reader->bits <<= zeros + 1;
        reader->count -= zeros + 1;
        return (zeros << k) + (int32_t)take(reader, k);
    }
    *reader = golomb_slowly(*reader, k, limit, qbpp, &value);
    return value;
}

/* ---- samples */

/* A.4.5: a prediction and an error to a sample, modulo RANGE. */
static inline int reconstruct(const struct scan *scan, int predicted, int error) {
    int value = predicted + error * scan->step;
    if (value < -scan->NEAR) value += scan->RANGE * scan->step;
    else if (value > scan->MAXVAL + scan->NEAR) value -= scan->RANGE * scan->step;
    return value < 0 ? 0 : value > scan->MAXVAL ? scan->MAXVAL : value;
}

/* The least k for which N << k reaches A. */
static inline int golomb_parameter(int32_t N, int32_t A) {
    const int k = __builtin_clz((unsigned)N) - __builtin_clz((unsigned)A | 1);
    return k < 0 ? 0 : k + (N << k < A);
}

static inline int predict(int Ra, int Rb, int Rc) {
    const int low = Ra < Rb ? Ra : Rb, high = Ra < Rb ? Rb : Ra;
    return Rc >= high ? low : Rc <= low ? high : Ra + Rb - Rc;
}

/* A.6 */
static inline void update(struct context *context, int error, int step, int reset) {
    int32_t A = context->A + abs(error), B = context->B + error * step, N = context->N;
    if (N == reset) A >>= 1, B >>= 1, N >>= 1;
    N++;
    /* without branches, which noise would make wrong half of the time */
    const bool under = B <= -N, over = B > 0;
    const int32_t C = context->C + over - under, raised = B + N < 1 - N ? 1 - N : B + N, lowered = B - N > 0 ? 0 : B - N;
    context->C = C < LEAST_C ? LEAST_C : C > MOST_C ? MOST_C : C;
    B = under ? raised : over ? lowered : B;
    context->A = A, context->B = B, context->N = N;
}

/* A.4 and A.5; Q is the context with its sign. */
static inline int regular_sample(struct scan *scan, struct reader *reader, int Q, int Ra, int Rb, int Rc) {
    const int sign = Q >> 31; /* -1 or 0 */
    struct context *context = &scan->context[(Q ^ sign) - sign];
    int predicted = predict(Ra, Rb, Rc) + ((context->C ^ sign) - sign);
    predicted = predicted < 0 ? 0 : predicted > scan->MAXVAL ? scan->MAXVAL : predicted;
    const int k = golomb_parameter(context->N, context->A);
    const int32_t mapped = believed(reader, scan, golomb(reader, k, scan->LIMIT, scan->qbpp));
    int error = (mapped >> 1) ^ -(mapped & 1);
    if (k == 0 && !scan->NEAR && 2 * context->B <= -context->N) error = ~error;
    update(context, error, scan->step, scan->RESET);
    return reconstruct(scan, predicted, (error ^ sign) - sign);
}

/* A.7.1: equal samples, up to `left`; *interrupted: another one follows in the line. */
static int run_length(struct reader *reader, int *index, int left, bool *interrupted) {
    int length = 0;
    *interrupted = false;
    while (length < left) {
        fill(reader);
        if (reader->missing > reader->count) return left; /* told at the end of the line */
        const int part = 1 << J[*index];
        if (!take(reader, 1)) {
            length += (int)take(reader, J[*index]);
            *interrupted = true;
            break;
        }
        length += part;
        if (length <= left && *index < 31) ++*index;
    }
    if (length < left) return length;
    if (*interrupted) reader->missing = reader->count + 65; /* a run beyond its line */
    *interrupted = false;
    return left;
}

/* A.7.2: the error of the sample that ends a run. */
static int interruption_error(struct scan *scan, struct reader *reader, int type, int index) {
    struct run_context *context = &scan->run[type];
    const int k = golomb_parameter(context->N, context->A + (type ? context->N >> 1 : 0));
    const int32_t mapped = believed(reader, scan, golomb(reader, k, scan->LIMIT - J[index] - 1, scan->qbpp)), coded = mapped + type;
    const bool odd = coded & 1;
    const int size = (coded + 1) >> 1, error = (k != 0 || 2 * context->Nn >= context->N) == odd ? -size : size;
    context->Nn += error < 0;
    context->A += (mapped + 1 - type) >> 1;
    if (context->N == scan->RESET) context->A >>= 1, context->N >>= 1, context->Nn >>= 1;
    context->N++;
    return error;
}

/* `above` and `line` have the samples that border says at -1, and above at `columns`. */
static void line_of_one(struct scan *scan, const uint16_t *above, uint16_t *line, int *index) {
    struct reader reader = scan->reader; /* in registers */
    const int8_t *quantised = scan->quantised;
    const int columns = scan->columns;
    int Ra = line[-1];
    for (int x = 0; x < columns; x++) {
        const int Rb = above[x], Rc = above[x - 1], Rd = above[x + 1];
        const int Q = 81 * quantised[Rd - Rb] + 9 * quantised[Rb - Rc] + quantised[Rc - Ra];
        if (Q) {
            line[x] = (uint16_t)(Ra = regular_sample(scan, &reader, Q, Ra, Rb, Rc));
            continue;
        }
        bool interrupted;
        for (int left = run_length(&reader, index, columns - x, &interrupted); left > 0; left--) line[x++] = (uint16_t)Ra;
        if (!interrupted) break;
        const int over = above[x], type = abs(Ra - over) <= scan->NEAR;
        const int error = interruption_error(scan, &reader, type, *index);
        line[x] = (uint16_t)(Ra = reconstruct(scan, type ? Ra : over, type || Ra <= over ? error : -error));
        if (*index) --*index;
    }
    scan->reader = reader;
}

/* Samples of a pixel together (B.3): a run is one of whole pixels. */
static void line_of_pixels(struct scan *scan, const uint16_t *const above[], uint16_t *const line[], int *index) {
    struct reader reader = scan->reader;
    const int8_t *quantised = scan->quantised;
    for (int x = 0; x < scan->columns; x++) {
        int Q[3], any = 0;
        for (int c = 0; c < scan->count; c++) {
            const int Rb = above[c][x], Rc = above[c][x - 1], Rd = above[c][x + 1];
            Q[c] = 81 * quantised[Rd - Rb] + 9 * quantised[Rb - Rc] + quantised[Rc - line[c][x - 1]];
            any |= Q[c];
        }
        if (any) {
            for (int c = 0; c < scan->count; c++)
                line[c][x] = (uint16_t)regular_sample(scan, &reader, Q[c], line[c][x - 1], above[c][x], above[c][x - 1]);
            continue;
        }
        bool interrupted;
        for (int left = run_length(&reader, index, scan->columns - x, &interrupted); left > 0; left--, x++)
            for (int c = 0; c < scan->count; c++) line[c][x] = line[c][x - 1];
        if (!interrupted) break;
        for (int c = 0; c < scan->count; c++) {
            const int Ra = line[c][x - 1], Rb = above[c][x], error = interruption_error(scan, &reader, 0, *index);
            line[c][x] = (uint16_t)reconstruct(scan, Rb, Ra <= Rb ? error : -error);
        }
        if (*index) --*index;
    }
    scan->reader = reader;
}

/* ---- parameters */

static int clamp(int value, int least, int most) { return value > most || value < least ? least : value; }

/* C.2.4.1.1.1 */
static struct parameters defaults(int MAXVAL, int NEAR) {
    struct parameters p = {.MAXVAL = MAXVAL, .RESET = RESET};
    if (MAXVAL >= 128) {
        const int factor = ((MAXVAL < 4095 ? MAXVAL : 4095) + 128) / 256;
        p.T1 = clamp(factor * (3 - 2) + 2 + 3 * NEAR, NEAR + 1, MAXVAL);
        p.T2 = clamp(factor * (7 - 3) + 3 + 5 * NEAR, p.T1, MAXVAL);
        p.T3 = clamp(factor * (21 - 4) + 4 + 7 * NEAR, p.T2, MAXVAL);
    } else {
        const int factor = 256 / (MAXVAL + 1);
        const int t1 = 3 / factor + 3 * NEAR, t2 = 7 / factor + 5 * NEAR, t3 = 21 / factor + 7 * NEAR;
        p.T1 = clamp(t1 > 2 ? t1 : 2, NEAR + 1, MAXVAL);
        p.T2 = clamp(t2 > 3 ? t2 : 3, p.T1, MAXVAL);
        p.T3 = clamp(t3 > 4 ? t3 : 4, p.T2, MAXVAL);
    }
    return p;
}

static int bits_of(int values) { /* ceil(log2(values)) */
    int bits = 0;
    while (1 << bits < values) bits++;
    return bits;
}

static cover_status set_parameters(struct scan *scan, struct decoder *decoder) {
    const struct parameters *preset = &decoder->preset;
    const int most = (1 << decoder->header.precision) - 1, MAXVAL = preset->MAXVAL ? preset->MAXVAL : most, NEAR = scan->NEAR;
    if (MAXVAL > most || NEAR > 255 || NEAR > MAXVAL / 2)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: values to %d, with errors to %d", MAXVAL, NEAR);
    struct parameters p = defaults(MAXVAL, NEAR);
    if (preset->T1) p.T1 = preset->T1;
    if (preset->T2) p.T2 = preset->T2;
    if (preset->T3) p.T3 = preset->T3;
    if (preset->RESET) p.RESET = preset->RESET;
    if (p.T1 <= NEAR || p.T2 < p.T1 || p.T3 < p.T2 || p.T3 > MAXVAL || p.RESET < 3)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: thresholds %d, %d, %d, reset %d", p.T1, p.T2, p.T3, p.RESET);
    for (int d = -MAXVAL; d <= MAXVAL; d++) {
        const int size = abs(d), level = size <= NEAR ? 0 : size < p.T1 ? 1 : size < p.T2 ? 2 : size < p.T3 ? 3 : 4;
        decoder->quantised[MAXVAL + d] = (int8_t)(d < 0 ? -level : level);
    }
    scan->quantised = decoder->quantised + MAXVAL;
    scan->MAXVAL = MAXVAL, scan->RESET = p.RESET, scan->step = 2 * NEAR + 1;
    scan->RANGE = (MAXVAL + 2 * NEAR) / scan->step + 1;
    scan->qbpp = bits_of(scan->RANGE);
    const int bpp = bits_of(MAXVAL + 1) > 2 ? bits_of(MAXVAL + 1) : 2;
    scan->LIMIT = 2 * (bpp + (bpp > 8 ? bpp : 8));
    const int A = (scan->RANGE + 32) / 64 > 2 ? (scan->RANGE + 32) / 64 : 2;
    for (int q = 0; q < CONTEXTS; q++) scan->context[q] = (struct context){.A = A, .N = 1};
    for (int t = 0; t < 2; t++) scan->run[t] = (struct run_context){.A = A, .N = 1};
    return COVER_OK;
}

/* ---- a scan */

static cover_status read_scan(struct scan *scan, struct decoder *decoder, const struct jpeg_segment *segment) {
    const struct jpeg_header *header = &decoder->header;
    const uint8_t *data = segment->data;
    scan->count = segment->size ? data[0] : 0, scan->columns = header->columns;
    if (scan->count < 1 || scan->count > header->components || segment->size != 4 + 2 * (size_t)scan->count)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: a scan header of %zu bytes", segment->size);
    for (int c = 0; c < scan->count; c++) {
        const int component = jpeg_header_component(header, data[1 + 2 * c]);
        if (component < 0 || decoder->seen & 1u << component)
            return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: a scan of a component that is not there, or was");
        if (data[2 + 2 * c])
            return fail(COVER_ERROR_UNSUPPORTED, "a JPEG-LS with tables of its values; dcmdjpls IN OUT decompresses it");
        scan->component[c] = component, scan->run_index[c] = 0;
        decoder->seen |= 1u << component;
    }
    const uint8_t *end = data + 1 + 2 * scan->count;
    scan->NEAR = end[0], scan->interleaved = end[1];
    if (scan->interleaved > 2 || end[2] || (scan->count > 1) != (scan->interleaved > 0))
        return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: %d components with interleave mode %d", scan->count, scan->interleaved);
    return set_parameters(scan, decoder);
}

static cover_status decode_scan(struct decoder *decoder, struct scan *scan) {
    const struct dicom_frame *frame = decoder->frame;
    const int columns = scan->columns, rows = decoder->header.rows;
    const size_t room = (size_t)columns + 2;
    uint16_t *above[3], *line[3];
    memset(decoder->lines, 0, 2 * room * (size_t)scan->count * sizeof *decoder->lines);
    for (int c = 0; c < scan->count; c++) above[c] = decoder->lines + 2 * (size_t)c * room + 1, line[c] = above[c] + room;
    scan->reader = (struct reader){.at = frame->bytes + decoder->at, .end = frame->bytes + frame->size};
    for (int row = 0; row < rows; row++) {
        for (int c = 0; c < scan->count; c++) above[c][columns] = above[c][columns - 1], line[c][-1] = above[c][0];
        if (scan->interleaved == 2) line_of_pixels(scan, (const uint16_t *const *)above, line, &scan->run_index[0]);
        else
            for (int c = 0; c < scan->count; c++) line_of_one(scan, above[c], line[c], &scan->run_index[c]);
        if (scan->reader.missing > scan->reader.count)
            return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: it ends in row %d of %d", row, rows);
        for (int c = 0; c < scan->count; c++) {
            uint16_t *done = line[c];
            dicom_put_line(frame, done, scan->component[c], row, 0);
            line[c] = above[c], above[c] = done;
        }
    }
    fill_slowly(&scan->reader); /* up to the marker */
    decoder->at = (size_t)(scan->reader.at - frame->bytes);
    return COVER_OK;
}

static cover_status read_preset(struct decoder *decoder, const struct jpeg_segment *segment) {
    const uint8_t *data = segment->data;
    if (!segment->size || data[0] != 1)
        return fail(COVER_ERROR_UNSUPPORTED, "a JPEG-LS with tables of its values; dcmdjpls IN OUT decompresses it");
    if (segment->size != 11) return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: coding parameters of %zu bytes", segment->size);
    int *const value[] = {&decoder->preset.MAXVAL, &decoder->preset.T1, &decoder->preset.T2, &decoder->preset.T3,
                          &decoder->preset.RESET};
    for (int i = 0; i < 5; i++) *value[i] = data[1 + 2 * i] << 8 | data[2 + 2 * i];
    return COVER_OK;
}

/* Segments up to the end of the last scan, and the end marker. */
static cover_status decode_segments(struct decoder *decoder, struct scan *scan) {
    const struct dicom_frame *frame = decoder->frame;
    const unsigned all = (1u << decoder->header.components) - 1;
    struct jpeg_segment segment;
    for (;;) {
        if (!jpeg_next_segment(&segment, frame->bytes, frame->size, &decoder->at))
            return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: it ends early");
        if (segment.marker == JPEG_EOI) break;
        if (segment.marker == LSE) TRY(read_preset(decoder, &segment));
        if (segment.marker == JPEG_DRI)
            return fail(COVER_ERROR_UNSUPPORTED, "a JPEG-LS with restart intervals; dcmdjpls IN OUT decompresses it");
        if (segment.marker == APP8 && segment.size >= 5 && memcmp(segment.data, "mrfx", 4) == 0 && segment.data[4])
            return fail(COVER_ERROR_UNSUPPORTED, "a JPEG-LS with a transform of colours; dcmdjpls IN OUT decompresses it");
        if (segment.marker != JPEG_SOS) continue;
        TRY(read_scan(scan, decoder, &segment));
        TRY(decode_scan(decoder, scan));
    }
    return decoder->seen == all ? COVER_OK : fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: it ends before its pixels");
}

cover_status jpeg_ls_check(const struct jpeg_header *header, const struct dicom_frame *frame) {
    if (header->precision < 2) return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: %d bits a sample", header->precision);
    for (int c = 0; c < header->components; c++)
        if (header->component[c].h != 1 || header->component[c].v != 1)
            return fail(COVER_ERROR_UNSUPPORTED, "a JPEG-LS with subsampled colour; dcmdjpls IN OUT decompresses it");
    if (dicom_pixels(frame->shape) > FREE_PIXELS && dicom_pixels(frame->shape) / PIXELS_A_BYTE > frame->size)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: %zu bytes cannot hold %d x %d pixels", frame->size, header->columns,
                    header->rows);
    return COVER_OK;
}

cover_status jpeg_ls_decode(const struct jpeg_header *header, const struct dicom_frame *frame, struct dicom_decoded *decoded) {
    struct decoder decoder = {.frame = frame, .header = *header};
    const size_t samples = 2 * (size_t)header->components * ((size_t)header->columns + 2);
    struct scan *scan = memory_within(frame->context, sizeof *scan);
    decoder.lines = memory_within(frame->context, samples * sizeof *decoder.lines);
    decoder.quantised = memory_within(frame->context, (size_t)2 << header->precision);
    cover_status status = scan && decoder.lines && decoder.quantised ? decode_segments(&decoder, scan) : COVER_ERROR_MEMORY;
    memory_free(frame->context, decoder.quantised);
    memory_free(frame->context, decoder.lines);
    memory_free(frame->context, scan);
    *decoded = (struct dicom_decoded){.precision = header->precision, .colour = jpeg_header_colour(header)};
    return status;
}
