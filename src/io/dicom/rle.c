/* RLE of DICOM (PS3.5, annex G): a table of segments, one a byte of a sample, the highest first, each packed as PackBits does.  All
 * segments are unpacked side by side, a piece at a time, and woven into values; nothing is allocated.  A row of the table in syntax.c. */
#include "codec_parts.h"

#include <string.h>

enum { TABLE = 64, SEGMENTS = 12, PIECE = 1024 };
/* Two bytes give at most 128. */
enum { BYTES_A_BYTE = 64 };

struct segment {
    const uint8_t *at, *end;
    int left;     /* bytes that the run under way still gives */
    bool literal; /* they stand there; else *at is repeated */
};

static uint32_t little(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int segments_of(const struct dicom_frame_shape *shape) { return shape->samples * dicom_word(shape); }

/* Eight pixels of 1 bit are one byte. */
static size_t segment_bytes(const struct dicom_frame_shape *shape) {
    return shape->bits_allocated == 1 ? (dicom_pixels(shape) + 7) / 8 : dicom_pixels(shape);
}

static cover_status check(const struct dicom_frame *frame) {
    const int expected = segments_of(frame->shape);
    if (frame->size < TABLE) return fail(COVER_ERROR_FORMAT, "RLE of %zu bytes is shorter than its table of segments", frame->size);
    const uint32_t count = little(frame->bytes);
    if (count != (uint32_t)expected)
        return fail(COVER_ERROR_FORMAT, "RLE has %u segments; %d samples of %d bits have %d", count, frame->shape->samples,
                    frame->shape->bits_allocated, expected);
    size_t begin = TABLE;
    for (int s = 0; s < expected; s++) {
        const size_t at = little(frame->bytes + 4 + 4 * s);
        if (at < begin || at > frame->size)
            return fail(COVER_ERROR_FORMAT, "RLE segment %d begins at byte %zu of %zu", s + 1, at, frame->size);
        const size_t end = s + 1 < expected ? little(frame->bytes + 8 + 4 * s) : frame->size;
        if (end > at && end <= frame->size && segment_bytes(frame->shape) / BYTES_A_BYTE > end - at)
            return fail(COVER_ERROR_FORMAT, "RLE segment %d of %zu bytes cannot hold %zu", s + 1, end - at,
                        segment_bytes(frame->shape));
        begin = at;
    }
    return COVER_OK;
}

/* The next `count` bytes of a segment; false: it ends before. */
static bool unpack(struct segment *segment, uint8_t *out, int count) {
    while (count > 0) {
        if (!segment->left) {
            if (segment->at >= segment->end) return false;
            const int8_t head = (int8_t)*segment->at++;
            if (head == -128) continue;
            segment->literal = head >= 0;
            segment->left = head >= 0 ? head + 1 : 1 - head;
            if (segment->end - segment->at < (segment->literal ? segment->left : 1)) return false;
        }
        const int now = segment->left < count ? segment->left : count;
        if (segment->literal) memcpy(out, segment->at, (size_t)now);
        else memset(out, *segment->at, (size_t)now);
        out += now, count -= now, segment->left -= now;
        if (segment->literal) segment->at += now;
        else if (!segment->left) segment->at++;
    }
    return true;
}

/* Behind the last pixel only padding may stand. */
static bool ended(const struct segment *segment) {
    if (segment->left) return false;
    for (const uint8_t *at = segment->at; at < segment->end; at++)
        if (*at != 0 && *at != 0x80) return false;
    return true;
}

/* The first pixel is the lowest bit. */
static void spread(const uint8_t *bits, size_t pixels, uint8_t *out) {
    for (size_t i = 0; i < pixels; i++) out[i] = bits[i / 8] >> i % 8 & 1;
}

/* Values of one sample from its bytes, the highest first. */
static void weave(const struct dicom_frame_shape *shape, uint8_t bytes[][PIECE], int sample, size_t first, int count, void *out) {
    const size_t step = (size_t)shape->samples, at = first * step + (size_t)sample;
    const uint8_t *a = bytes[0], *b = bytes[1], *c = bytes[2], *d = bytes[3];
    if (shape->bits_allocated == 8) {
        uint8_t *to = (uint8_t *)out + at;
        for (int i = 0; i < count; i++) to[(size_t)i * step] = a[i];
    } else if (shape->bits_allocated == 16 && step == 1) {
        uint16_t *to = (uint16_t *)out + at;
        for (int i = 0; i < count; i++) to[i] = (uint16_t)(a[i] << 8 | b[i]);
    } else if (shape->bits_allocated == 16) {
        uint16_t *to = (uint16_t *)out + at;
        for (int i = 0; i < count; i++) to[(size_t)i * step] = (uint16_t)(a[i] << 8 | b[i]);
    } else {
        uint32_t *to = (uint32_t *)out + at;
        for (int i = 0; i < count; i++) to[(size_t)i * step] = (uint32_t)a[i] << 24 | (uint32_t)(b[i] << 16 | c[i] << 8 | d[i]);
    }
}

static cover_status decode(const struct dicom_frame *frame, struct dicom_decoded *decoded) {
    const struct dicom_frame_shape *shape = frame->shape;
    const int count = segments_of(shape), word = dicom_word(shape);
    const size_t bytes = segment_bytes(shape), pixels = dicom_pixels(shape);
    struct segment segments[SEGMENTS];
    uint8_t pieces[SEGMENTS + 3][PIECE]; /* weave() names four of them, whatever the bytes of a sample */
    for (int s = 0; s < count; s++) {
        const size_t begin = little(frame->bytes + 4 + 4 * s), end = s + 1 < count ? little(frame->bytes + 8 + 4 * s) : frame->size;
        segments[s] = (struct segment){.at = frame->bytes + begin, .end = frame->bytes + end};
    }
    for (size_t first = 0; first < bytes; first += PIECE) {
        const size_t now = bytes - first < PIECE ? bytes - first : PIECE;
        for (int s = 0; s < count; s++)
            if (!unpack(&segments[s], pieces[s], (int)now))
                return fail(COVER_ERROR_FORMAT, "RLE segment %d ends early: less than %zu bytes", s + 1, bytes);
        if (shape->bits_allocated == 1) {
            const size_t at = 8 * first, values = pixels - at < 8 * now ? pixels - at : 8 * now;
            spread(pieces[0], values, (uint8_t *)frame->out + at);
        } else {
            for (int sample = 0; sample < shape->samples; sample++)
                weave(shape, &pieces[sample * word], sample, first, (int)now, frame->out);
        }
    }
    for (int s = 0; s < count; s++)
        if (!ended(&segments[s])) return fail(COVER_ERROR_FORMAT, "RLE segment %d goes on behind its %zu bytes", s + 1, bytes);
    decoded->colour = shape->samples == 1 ? DICOM_COLOUR_GREY : DICOM_COLOUR_UNSAID;
    return COVER_OK;
}

const struct dicom_codec dicom_rle = {check, decode};
