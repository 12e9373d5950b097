/* JPEG 2000 and HTJ2K (ITU-T T.800, T.814) by the module.  The codestream's headers are read here first: its size, its bits, and what the
 * decoder would take for tiles, precincts and blocks that a few bytes can ask for by the million.  A row of the table in syntax.c. */
#include "codec_parts.h"
#include "codecs.h"

#include "core/base/memory.h"

#include <string.h>

enum { SOC = 0xFF4F, SIZ = 0xFF51, COD = 0xFF52, COC = 0xFF53, SOT = 0xFF90, SOD = 0xFF93, EOC = 0xFFD9 };
enum { MOST_LEVELS = 32, SIZ_BYTES = 38 };

/* What OpenJPEG takes, a little more than measured: a sample, a block, a precinct, a tile, a component of a tile. */
enum { SAMPLE_BYTES = 8, BLOCK_BYTES = 1024, PRECINCT_BYTES = 320, TILE_BYTES = 8192, TILE_COMPONENT_BYTES = 2048 };
/* What any file may ask for, and how much more for each of its bytes: one that is 100 times smaller than its pixels passes. */
enum { FREE_BYTES = 40 << 20, MEMORY_A_BYTE = 256 };

struct codestream {
    const uint8_t *bytes;
    size_t size;
    int64_t width, height, tile_width, tile_height;
    int components, precision;
    bool is_signed, transformed; /* by a transform of colours, which decoding undoes */
    int layers, levels;          /* the most of any tile */
    int block, precinct[2];      /* the smallest exponents: of a block's area, of a precinct's sides */
};

static uint32_t big(const uint8_t *at, int bytes) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | at[i];
    return value;
}

/* Some archives have the file format around the codestream: it is the content of the box `jp2c`. */
static void unwrap(struct codestream *stream) {
    static const uint8_t signature[] = {0, 0, 0, 12, 'j', 'P', ' ', ' '};
    const uint8_t *at = stream->bytes;
    size_t left = stream->size;
    if (left < sizeof signature || memcmp(at, signature, sizeof signature) != 0) return;
    while (left >= 8) {
        const bool last = big(at, 4) == 0, ours = memcmp(at + 4, "jp2c", 4) == 0;
        const size_t box = last ? left : big(at, 4);
        if (box < 8 || box > left) return;
        if (ours) {
            stream->bytes = at + 8, stream->size = box - 8;
            return;
        }
        at += box, left -= box;
    }
}

static cover_status read_size(struct codestream *stream, const uint8_t *data, size_t size) {
    if (size < SIZ_BYTES - 2) return fail(COVER_ERROR_FORMAT, "damaged JPEG 2000: a size header of %zu bytes", size);
    int64_t value[8]; /* of the grid: far corner, near corner, tile, first tile */
    for (int i = 0; i < 8; i++) value[i] = big(data + 2 + 4 * i, 4);
    stream->width = value[0] - value[2], stream->height = value[1] - value[3];
    stream->tile_width = value[4], stream->tile_height = value[5];
    stream->components = (int)big(data + 34, 2);
    if (stream->components < 1 || size != SIZ_BYTES - 2 + 3 * (size_t)stream->components)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG 2000: %d components in a size header of %zu bytes", stream->components, size);
    if (stream->width < 1 || stream->height < 1 || stream->tile_width < 1 || stream->tile_height < 1)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG 2000: no pixels, or tiles without any");
    const uint8_t *component = data + 36;
    stream->precision = (component[0] & 127) + 1, stream->is_signed = component[0] >> 7;
    for (int c = 0; c < stream->components; c++, component += 3) {
        if (component[0] != data[36])
            return fail(COVER_ERROR_UNSUPPORTED,
                        "a JPEG 2000 with components of several precisions; gdcmconv --raw IN OUT decompresses it");
        if (component[1] != 1 || component[2] != 1)
            return fail(COVER_ERROR_UNSUPPORTED, "a JPEG 2000 with subsampled components; gdcmconv --raw IN OUT decompresses it");
    }
    return COVER_OK;
}

/* How a tile, or a component, is cut: levels, blocks, precincts. */
static cover_status read_style(struct codestream *stream, const uint8_t *data, size_t size, bool has_precincts) {
    if (size < 5 || data[0] > MOST_LEVELS || data[1] > 8 || data[2] > 8 || (has_precincts && size < 6 + (size_t)data[0]))
        return fail(COVER_ERROR_FORMAT, "damaged JPEG 2000: a coding style of %zu bytes", size);
    const int levels = data[0], block = data[1] + data[2] + 4;
    if (levels > stream->levels) stream->levels = levels;
    if (block < stream->block) stream->block = block;
    for (int r = 0; has_precincts && r <= levels; r++) {
        const int sides[2] = {data[5 + r] & 15, data[5 + r] >> 4};
        /* a level of r halvings has as many pixels less */
        for (int side = 0; side < 2; side++)
            if (sides[side] + levels - r < stream->precinct[side]) stream->precinct[side] = sides[side] + levels - r;
    }
    return COVER_OK;
}

static cover_status read_segment(struct codestream *stream, uint32_t marker, const uint8_t *data, size_t size) {
    const size_t name = stream->components < 257 ? 1 : 2;
    if (marker == COD && size >= 5) {
        const int layers = (int)big(data + 2, 2);
        if (layers > stream->layers) stream->layers = layers;
        stream->transformed = stream->transformed || data[4];
        return read_style(stream, data + 5, size - 5, data[0] & 1);
    }
    if (marker == COC && size > name) return read_style(stream, data + name + 1, size - name - 1, data[name] & 1);
    return COVER_OK;
}

/* Segments from *at to the marker that ends a header; false: there is none. */
static cover_status read_segments(struct codestream *stream, size_t *at, uint32_t end, bool *ended) {
    *ended = false;
    while (*at + 4 <= stream->size) {
        const uint32_t marker = big(stream->bytes + *at, 2);
        const size_t length = big(stream->bytes + *at + 2, 2);
        if (marker == end) {
            *ended = true;
            return COVER_OK;
        }
        if (marker < 0xFF00 || length < 2 || length > stream->size - *at - 2) return COVER_OK;
        TRY(read_segment(stream, marker, stream->bytes + *at + 4, length - 2));
        *at += 2 + length;
    }
    return COVER_OK;
}

static cover_status read_headers(struct codestream *stream) {
    bool ended;
    if (stream->size < 4 + SIZ_BYTES || big(stream->bytes, 2) != SOC || big(stream->bytes + 2, 2) != SIZ)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG 2000: it does not begin as one");
    const size_t length = big(stream->bytes + 4, 2);
    if (length < 2 || length > stream->size - 4) return fail(COVER_ERROR_FORMAT, "damaged JPEG 2000: it ends in its size header");
    TRY(read_size(stream, stream->bytes + 6, length - 2));
    size_t at = 4 + length;
    TRY(read_segments(stream, &at, SOT, &ended));
    if (!ended || stream->block == INT32_MAX) return fail(COVER_ERROR_FORMAT, "damaged JPEG 2000: it ends in its header");
    while (stream->size - at >= 12 &&
           big(stream->bytes + at, 2) == SOT) { /* parts of tiles, which may be cut in ways of their own */
        const size_t part = big(stream->bytes + at + 6, 4);
        size_t inside = at + 12;
        TRY(read_segments(stream, &inside, SOD, &ended));
        if (part < 12 || part > stream->size - at) break; /* the last, or damage that the decoder finds */
        at += part;
    }
    return COVER_OK;
}

static cover_status codestream_read(struct codestream *stream, const struct dicom_frame *frame) {
    *stream = (struct codestream){.bytes = frame->bytes, .size = frame->size, .block = INT32_MAX, .precinct = {15, 15}};
    unwrap(stream);
    return read_headers(stream);
}

static double parts(double whole, double part) { return whole / part + 2; }

/* Bytes that the decoder will take for itself; as a number without an end. */
static double decoder_bytes(const struct codestream *stream) {
    const double samples = (double)stream->width * (double)stream->height * stream->components;
    const double tiles =
        parts((double)stream->width, (double)stream->tile_width) * parts((double)stream->height, (double)stream->tile_height);
    const double tile_components = tiles * stream->components, levels = stream->levels + 1;
    const double sides = (double)(INT64_C(1) << (stream->precinct[0] + stream->precinct[1]));
    const double precincts = samples * levels / sides + tile_components * levels;
    const double blocks = 4 * samples / (double)(INT64_C(3) << stream->block) + 4 * precincts; /* each has some of its own */
    return SAMPLE_BYTES * samples + TILE_BYTES * tiles + TILE_COMPONENT_BYTES * tile_components + PRECINCT_BYTES * precincts +
           BLOCK_BYTES * blocks + 2.0 * stream->layers * precincts;
}

static cover_status check(const struct dicom_frame *frame) {
    const struct dicom_frame_shape *shape = frame->shape;
    struct codestream stream;
    TRY(codestream_read(&stream, frame));
    if (stream.width != shape->columns || stream.height != shape->rows || stream.components != shape->samples)
        return fail(COVER_ERROR_FORMAT, "the JPEG 2000 says %lld x %lld pixels of %d samples, the header %d x %d of %d",
                    (long long)stream.width, (long long)stream.height, stream.components, shape->columns, shape->rows,
                    shape->samples);
    if (stream.precision > shape->bits_allocated)
        return fail(COVER_ERROR_FORMAT, "the JPEG 2000 has %d bits a sample, the header allocates %d", stream.precision,
                    shape->bits_allocated);
    if (decoder_bytes(&stream) > FREE_BYTES + (double)MEMORY_A_BYTE * (double)frame->size)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG 2000: %zu bytes ask for %.0f MB to decode %d x %d pixels", frame->size,
                    decoder_bytes(&stream) / 1e6, shape->columns, shape->rows);
    return COVER_OK;
}

static cover_status decode(const struct dicom_frame *frame, struct dicom_decoded *decoded) {
    const struct dicom_frame_shape *shape = frame->shape;
    const struct codecs_module *module;
    struct codestream stream;
    char error[256];
    TRY(dicom_codecs_open(&module, "JPEG 2000"));
    TRY(codestream_read(&stream, frame));
    const uint64_t bytes = (uint64_t)decoder_bytes(&stream);
    TRY(memory_reserve(frame->context, bytes));
    struct codecs_frame coded = {stream.bytes, stream.size, shape->rows, shape->columns, shape->samples, stream.precision};
    coded.word = dicom_word(shape), coded.out = frame->out, coded.out_bytes = (size_t)dicom_frame_bytes(shape);
    const bool done = module->jpeg_2000(&coded, error, sizeof error);
    memory_unreserve(frame->context, bytes);
    if (!done) return fail(COVER_ERROR_FORMAT, "damaged JPEG 2000: %s", error);
    *decoded = (struct dicom_decoded){.precision = stream.precision, .is_signed = stream.is_signed, .sign_known = true};
    decoded->colour = shape->samples == 1 ? DICOM_COLOUR_GREY : stream.transformed ? DICOM_COLOUR_RGB : DICOM_COLOUR_UNSAID;
    return COVER_OK;
}

const struct dicom_codec dicom_jpeg_2000 = {check, decode};
