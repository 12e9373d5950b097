/* The stored values of one frame: its bytes from native pixel data, from fragments or from a deflated data set, decoded, without the bits
 * that are not theirs (R6, R17, R18), colour as RGB (R23).  Called by read.c, volumes.c and the reader of segmentations. */
#include "input.h"
#include "set.h"

#include "core/base/memory.h"

#include <string.h>

void dicom_work_free(struct dicom_work *work) {
    memory_free(work->context, work->raw);
    memory_free(work->context, work->decoded);
    memory_free(work->context, work->stored);
    *work = (struct dicom_work){.context = work->context};
}

static cover_status need(cover_context *context, void *buffer, size_t *room, uint64_t bytes) {
    void **memory = buffer;
    if (bytes <= *room) return COVER_OK;
    memory_free(context, *memory);
    *room = 0;
    *memory = memory_within(context, bytes);
    if (!*memory) return COVER_ERROR_MEMORY;
    *room = bytes;
    return COVER_OK;
}

/* ---- where a frame's bytes are */

/* Fragments first .. *end - 1 are the frame's; the offset table is fragment 0. */
static cover_status find_by_table(const struct dicom_object *object, const struct source *source, int frame, int64_t *first,
                                  int64_t *end) {
    const struct dicom_tree *tree = &object->tree;
    const struct dicom_fragment *fragments = tree->fragments;
    const uint64_t begin = fragments[1].at - 8;
    uint64_t offset[2] = {0, UINT64_MAX};
    size_t bytes;
    const uint8_t *table = dicom_bytes(tree, dicom_find(tree, NULL, TAG_OFFSET_TABLE), &bytes);
    const int entries = frame + 1 < object->frames ? 2 : 1;
    if (table && bytes == 8 * (size_t)object->frames) {
        for (int i = 0; i < entries; i++)
            offset[i] = dicom_u32(tree, table + 8 * (frame + i)) | (uint64_t)dicom_u32(tree, table + 8 * (frame + i) + 4) << 32;
    } else if (fragments[0].length == 4 * (uint64_t)object->frames) {
        uint8_t entry[8] = {0};
        TRY(source_read(source, fragments[0].at + 4 * (uint64_t)frame, entry, 4 * (size_t)entries));
        for (int i = 0; i < entries; i++) offset[i] = dicom_u32(tree, entry + 4 * i);
    } else {
        return fail(COVER_ERROR_FORMAT, "%d frames are in %lld fragments, and no offset table tells which belong together",
                    object->frames, (long long)tree->fragment_count - 1);
    }
    int64_t found[2] = {0, tree->fragment_count};
    for (int i = 0; i < entries; i++) {
        int64_t low = 1, high = tree->fragment_count - 1; /* they ascend */
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (fragments[middle].at - 8 - begin < offset[i]) low = middle + 1;
            else high = middle;
        }
        found[i] = fragments[low].at - 8 - begin == offset[i] ? low : 0;
    }
    if (found[0] == 0 || found[1] <= found[0] || (frame == 0 && found[0] != 1))
        return fail(COVER_ERROR_FORMAT, "its offset table does not fit its fragments at frame %d", frame + 1);
    *first = found[0], *end = found[1];
    return COVER_OK;
}

static cover_status find_fragments(const struct dicom_object *object, const struct source *source, int frame, int64_t *first,
                                   int64_t *end) {
    const int64_t count = object->tree.fragment_count - 1;
    if (object->frames == 1) *first = 1, *end = count + 1;
    else if (count == object->frames) *first = frame + 1, *end = frame + 2;
    else return find_by_table(object, source, frame, first, end);
    return COVER_OK;
}

static cover_status read_fragments(struct dicom_work *work, const struct dicom_object *object, const struct source *source,
                                   int frame, size_t *bytes) {
    int64_t first, end;
    uint64_t total = 0;
    const struct dicom_fragment *fragments = object->tree.fragments;
    TRY(find_fragments(object, source, frame, &first, &end));
    for (int64_t i = first; i < end; i++) total += fragments[i].length; /* each lies in the source, and no two overlap */
    TRY(need(work->context, &work->raw, &work->raw_room, total + 1));
    *bytes = 0;
    for (int64_t i = first; i < end; i++) {
        TRY(source_read(source, fragments[i].at, work->raw + *bytes, fragments[i].length));
        *bytes += fragments[i].length;
    }
    return COVER_OK;
}

/* ---- native */

static uint64_t frame_bits(const struct dicom_object *object) {
    const struct dicom_frame_shape *shape = &object->shape;
    const int samples = object->photometric == PHOTOMETRIC_YBR_FULL_422 ? 2 : shape->samples;
    return (uint64_t)shape->bits_allocated * (uint64_t)samples * (uint64_t)shape->rows * (uint64_t)shape->columns;
}

cover_status dicom_inflate_pixels(uint8_t **pixels, cover_context *context, const struct dicom_object *object) {
    struct dicom_input input;
    struct source source;
    cover_status status;
    uint8_t *made = NULL;
    TRY(dicom_object_open(object, &source));
    made = memory_within(context, (size_t)object->pixels->length + 1);
    status = made ? COVER_OK : COVER_ERROR_MEMORY;
    if (made) {
        input_open(&input, context, &source);
        input.at = object->tree.data_at;
        status = input_deflated(&input);
        if (status == COVER_OK) status = input_skip(&input, object->pixels->at);
        if (status == COVER_OK) status = input_take(&input, made, object->pixels->length);
        input_close(&input);
    }
    dicom_object_close(object, &source);
    if (status != COVER_OK) memory_free(context, made);
    else *pixels = made;
    return status;
}

/* Single bits, least significant first, run on over the frames (PS3.5, 8.1.1). */
static void take_bits(int32_t *to, const uint8_t *from, int first, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] = from[(first + i) / 8] >> (first + i) % 8 & 1;
}

static cover_status read_native(struct dicom_work *work, const struct dicom_object *object, const struct source *source, int frame,
                                const uint8_t *inflated, int *first_bit) {
    const uint64_t bits = frame_bits(object), begin = bits * (uint64_t)frame, end = begin + bits;
    const uint64_t from = begin / 8, count = (end + 7) / 8 - from;
    *first_bit = (int)(begin % 8);
    TRY(need(work->context, &work->raw, &work->raw_room, count + 1));
    if (!inflated) return source_read(source, object->pixels->at + from, work->raw, count);
    memcpy(work->raw, inflated + from, count);
    return COVER_OK;
}

/* ---- values */

/* Words of the other order of bytes, where they lie. */
static void swap(void *words, int64_t count, int bits) {
    uint16_t *short_words = words;
    uint32_t *long_words = words;
    if (bits == 16)
        for (int64_t i = 0; i < count; i++) short_words[i] = __builtin_bswap16(short_words[i]);
    else if (bits == 32)
        for (int64_t i = 0; i < count; i++) long_words[i] = __builtin_bswap32(long_words[i]);
}

#define WIDEN(type)                                                                                                                \
    for (int64_t i = 0; i < count; i++) to[i] = (int32_t)((const type *)words)[i]

/* Values of 8, 16 or 32 bits to int32_t, those of 32 bits as they are. */
static void widen(int32_t *restrict to, const void *restrict words, int64_t count, int bits, bool is_signed) {
    if (bits == 32) memcpy(to, words, (size_t)count * 4);
    else if (bits == 16 && is_signed) WIDEN(int16_t);
    else if (bits == 16) WIDEN(uint16_t);
    else if (is_signed) WIDEN(int8_t);
    else WIDEN(uint8_t);
}

/* Planes become pixels, from the other buffer. */
static void interleave(int32_t *to, const int32_t *planes, int64_t pixels) {
    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++) to[3 * i + c] = planes[c * pixels + i];
}

/* Y Y Cb Cr of each two pixels of a row (PS3.3, C.7.6.3.1.2). */
static cover_status expand_422(int32_t *to, const uint8_t *from, const struct dicom_frame_shape *shape) {
    if (shape->bits_allocated != 8 || shape->columns % 2)
        return fail(COVER_ERROR_UNSUPPORTED, "YBR_FULL_422 of %d bits and %d columns: 8 bits and an even number are read",
                    shape->bits_allocated, shape->columns);
    const int64_t pairs = (int64_t)shape->rows * shape->columns / 2;
    for (int64_t i = 0; i < pairs; i++, from += 4, to += 6)
        for (int p = 0; p < 2; p++) to[3 * p] = from[p], to[3 * p + 1] = from[2], to[3 * p + 2] = from[3];
    return COVER_OK;
}

static cover_status floats_of(struct dicom_stored *stored, const struct dicom_object *object, const uint8_t *bytes, int64_t count,
                              int32_t *buffer) {
    float *to = (float *)buffer;
    const int word = object->shape.bits_allocated / 8;
    for (int64_t i = 0; i < count; i++, bytes += word) {
        if (word == 8) {
            to[i] = (float)dicom_f64(&object->tree, bytes);
        } else {
            const uint32_t bits = dicom_u32(&object->tree, bytes);
            memcpy(&to[i], &bits, sizeof bits);
        }
    }
    stored->floats = to;
    return COVER_OK;
}

static cover_status to_rgb(struct dicom_stored *stored, const struct dicom_object *object, const struct dicom_decoded *decoded,
                           int32_t *values, int64_t pixels, cover_context *context) {
    if (object->photometric == PHOTOMETRIC_PALETTE) {
        stored->channels = 3, stored->count = 3 * pixels, stored->is_signed = false;
        return dicom_palette(object, values, pixels, context, &stored->bits);
    }
    if (object->shape.samples != 3) return COVER_OK;
    bool ybr = object->photometric == PHOTOMETRIC_YBR_FULL || object->photometric == PHOTOMETRIC_YBR_FULL_422;
    if (decoded && decoded->colour != DICOM_COLOUR_UNSAID) ybr = decoded->colour == DICOM_COLOUR_YBR_FULL;
    if (ybr) dicom_ybr_to_rgb(values, pixels, object->shape.bits_stored);
    return COVER_OK;
}

static cover_status decode(struct dicom_stored *stored, struct dicom_work *work, const struct dicom_object *object,
                           const struct source *source, int frame, const uint8_t *inflated) {
    const struct dicom_frame_shape *shape = &object->shape;
    const int64_t pixels = (int64_t)shape->rows * shape->columns, count = pixels * shape->samples;
    /* palettes grow to three samples; planes are put together from a second buffer */
    const int64_t room = (object->photometric == PHOTOMETRIC_PALETTE ? 3 : object->planar ? 2 : 1) * count;
    struct dicom_decoded decoded, *coded = NULL;
    uint8_t *bytes;
    size_t size;
    int first_bit = 0, word = shape->bits_allocated;
    bool planar = object->planar;
    *stored = (struct dicom_stored){
        .count = count, .channels = shape->samples, .is_signed = shape->is_signed, .bits = shape->bits_stored};
    if (object->syntax->codec) {
        TRY(read_fragments(work, object, source, frame, &size));
        TRY(dicom_check_frame(object->syntax, work->raw, size, shape));
        TRY(need(work->context, &work->decoded, &work->decoded_room, dicom_frame_bytes(shape)));
        TRY(dicom_decode_frame(work->context, object->syntax, work->raw, size, shape, work->decoded, dicom_frame_bytes(shape),
                               &decoded));
        bytes = work->decoded, coded = &decoded;
        planar = false;
        if (word == 1) word = 8;
    } else {
        TRY(read_native(work, object, source, frame, inflated, &first_bit));
        bytes = work->raw;
    }
    TRY(need(work->context, &work->stored, &work->stored_room, (uint64_t)room * sizeof(int32_t)));
    if (object->floating) return floats_of(stored, object, bytes, count, work->stored);
    stored->values = work->stored;
    if (word == 1) {
        take_bits(work->stored, bytes, first_bit, count);
    } else if (!coded && object->photometric == PHOTOMETRIC_YBR_FULL_422) {
        TRY(expand_422(work->stored, bytes, shape));
    } else {
        if (!coded && object->tree.big_endian) swap(bytes, count, word);
        dicom_stored_values(bytes, (size_t)count, shape, coded);
        widen(planar ? work->stored + count : work->stored, bytes, count, word, shape->is_signed);
        if (planar) interleave(work->stored, work->stored + count, pixels);
    }
    return to_rgb(stored, object, coded, work->stored, pixels, work->context);
}

cover_status dicom_frame_stored(struct dicom_stored *stored, struct dicom_work *work, const struct dicom_object *object, int frame,
                                const uint8_t *inflated) {
    struct source source;
    uint8_t *own = NULL;
    if (object->tree.deflated && !inflated) {
        TRY(dicom_inflate_pixels(&own, work->context, object));
        inflated = own;
    }
    cover_status status = dicom_object_open(object, &source);
    if (status == COVER_OK) {
        status = decode(stored, work, object, &source, frame, inflated);
        dicom_object_close(object, &source);
    }
    memory_free(work->context, own);
    return status;
}

cover_status dicom_frame_bits(const uint8_t **bits, int *first, struct dicom_work *work, const struct dicom_object *object,
                              int frame, const uint8_t *inflated) {
    struct source source;
    TRY(dicom_object_open(object, &source));
    const cover_status status = read_native(work, object, &source, frame, inflated, first);
    dicom_object_close(object, &source);
    *bits = work->raw;
    return status;
}

cover_status dicom_frames_equal(cover_context *context, const struct dicom_frame *a, const struct dicom_frame *b, bool *equal) {
    struct dicom_work work[2] = {{.context = context}, {.context = context}};
    struct dicom_stored stored[2] = {0};
    const struct dicom_frame *frames[2] = {a, b};
    cover_status status = COVER_OK;
    *equal = false;
    for (int i = 0; i < 2 && status == COVER_OK; i++)
        status = dicom_frame_stored(&stored[i], &work[i], frames[i]->object, frames[i]->frame, NULL);
    if (status == COVER_OK && stored[0].count == stored[1].count && !stored[0].values == !stored[1].values)
        *equal = memcmp(stored[0].values ? (const void *)stored[0].values : stored[0].floats,
                        stored[1].values ? (const void *)stored[1].values : stored[1].floats, (size_t)stored[0].count * 4) == 0;
    for (int i = 0; i < 2; i++) dicom_work_free(&work[i]);
    return status;
}
