/* See seg_read.h. */
#include "seg_read.h"

#include "core/base/memory.h"

#include <math.h>
#include <string.h>

static const double PLACE_TOLERANCE = 0.01; /* of a step */

/* ---- segments */

static cover_status read_type(struct dicom_seg *seg) {
    const struct dicom_tree *tree = &seg->object->tree;
    const struct dicom_node *node = dicom_find(tree, NULL, TAG_SEGMENTATION_TYPE);
    for (int i = 0; i < 3; i++)
        if (dicom_text_is(tree, node, seg_type_words[i])) {
            seg->type = (enum seg_type)i;
            return COVER_OK;
        }
    return fail(COVER_ERROR_UNSUPPORTED, "Segmentation Type (0062,0001) is none of BINARY, LABELMAP and FRACTIONAL");
}

static cover_status read_segments(struct dicom_seg *seg) {
    const struct dicom_tree *tree = &seg->object->tree;
    const struct dicom_node *sequence = dicom_find(tree, NULL, TAG_SEGMENTS);
    int64_t count = 0;
    for (const struct dicom_node *item = dicom_first(tree, sequence); item; item = dicom_next(tree, sequence, item)) count++;
    if (count == 0) return fail(COVER_ERROR_FORMAT, "it has no segments (0062,0002)");
    if (count > UINT16_MAX) return fail(COVER_ERROR_FORMAT, "it has %lld segments", (long long)count);
    seg->segments = memory_zero(seg->context, (size_t)count * sizeof *seg->segments);
    seg->by_number = memory_zero(seg->context, (UINT16_MAX + 1) * sizeof *seg->by_number);
    if (!seg->segments || !seg->by_number) return COVER_ERROR_MEMORY;
    for (const struct dicom_node *item = dicom_first(tree, sequence); item; item = dicom_next(tree, sequence, item)) {
        struct dicom_read_segment *segment = &seg->segments[seg->segment_count];
        const struct dicom_node *type = dicom_first(tree, dicom_find(tree, item, TAG_SEGMENT_TYPE));
        uint16_t number;
        bool present;
        TRY(dicom_short(tree, dicom_find(tree, item, TAG_SEGMENT_NUMBER), &number, &present));
        if (!present) return fail(COVER_ERROR_FORMAT, "segment %d has no number (0062,0004)", seg->segment_count + 1);
        if (number == 0 && seg->type == SEG_LABEL_MAP) continue; /* the background may stand there, too */
        if (seg->by_number[number]) return fail(COVER_ERROR_FORMAT, "it has two segments of number %d", number);
        segment->number = number;
        dicom_text(tree, dicom_find(tree, item, TAG_SEGMENT_LABEL), segment->label, sizeof segment->label);
        if (type) dicom_text(tree, dicom_find(tree, type, TAG_CODE_VALUE), segment->value, sizeof segment->value);
        if (type) dicom_text(tree, dicom_find(tree, type, TAG_CODE_SCHEME), segment->scheme, sizeof segment->scheme);
        seg->by_number[number] = (uint16_t)++seg->segment_count;
    }
    return COVER_OK;
}

static cover_status read_frames(struct dicom_seg *seg) {
    const struct dicom_object *object = seg->object;
    const struct dicom_tree *tree = &object->tree;
    seg->frames = memory_within(seg->context, (size_t)object->frames * sizeof *seg->frames);
    if (!seg->frames) return COVER_ERROR_MEMORY;
    for (int f = 0; f < object->frames; f++) {
        uint16_t number = 0;
        bool present;
        seg->frames[f] = (struct seg_frame){.slice = -1};
        if (seg->type == SEG_LABEL_MAP) continue;
        TRY(dicom_short(tree, dicom_of_frame(object, f, TAG_SEGMENT_IDENTIFICATION, TAG_REFERENCED_SEGMENT), &number, &present));
        seg->frames[f].segment = present ? seg->by_number[number] : 0;
        if (seg->frames[f].segment == 0)
            return fail(COVER_ERROR_FORMAT, "frame %d is of segment %d (0062,000b), which it does not have", f + 1, number);
    }
    return COVER_OK;
}

static cover_status check_pixels(const struct dicom_seg *seg) {
    const struct dicom_frame_shape *shape = &seg->object->shape;
    const bool sound = shape->samples == 1 && !shape->is_signed && !seg->object->floating &&
                       (seg->type == SEG_BINARY       ? shape->bits_allocated == 1
                        : seg->type == SEG_FRACTIONAL ? shape->bits_allocated == 8
                                                      : shape->bits_allocated == 8 || shape->bits_allocated == 16);
    if (sound) return COVER_OK;
    return fail(COVER_ERROR_FORMAT, "its pixels have %d samples of %d bits: no %s segmentation has those", shape->samples,
                shape->bits_allocated, seg_type_words[seg->type]);
}

cover_status dicom_seg_open(struct dicom_seg *seg, cover_context *context, const struct dicom_object *object) {
    *seg = (struct dicom_seg){.context = context, .object = object};
    if (object->kind != DICOM_SEGMENTATION) return fail(COVER_ERROR_FORMAT, "it is no segmentation");
    TRY(read_type(seg));
    TRY(check_pixels(seg));
    TRY(read_segments(seg));
    return read_frames(seg);
}

void dicom_seg_close(struct dicom_seg *seg) {
    memory_free(seg->context, seg->segments);
    memory_free(seg->context, seg->by_number);
    memory_free(seg->context, seg->frames);
    memory_free(seg->context, seg->inflated);
    *seg = (struct dicom_seg){.context = seg->context};
}

/* ---- where frames lie */

/* The slice that is made of an image; -1: the volume has none of it.  From `hint` on, as frames follow slices. */
static int slice_of_image(const struct dicom_volume *volume, const char *uid, int64_t frame, int hint) {
    for (int i = 0; i < volume->count; i++) {
        const int at = (hint + i) % volume->count;
        const struct dicom_frame *slice = volume->slices[at];
        if (slice->frame + 1 == frame && strcmp(slice->object->sop_uid, uid) == 0) return at;
    }
    return -1;
}

/* By Derivation Image: the first source image that is the volume's.  *named: there was one at all. */
static cover_status find_reference(const struct dicom_seg *seg, const struct dicom_volume *volume, int f, int hint, int *slice,
                                   bool *named) {
    const struct dicom_object *object = seg->object;
    const struct dicom_tree *tree = &object->tree;
    const struct dicom_node *images = dicom_of_frame(object, f, TAG_DERIVATION_IMAGES, TAG_SOURCE_IMAGES);
    *slice = -1, *named = false;
    for (const struct dicom_node *item = dicom_first(tree, images); item && *slice < 0; item = dicom_next(tree, images, item)) {
        char uid[65];
        int64_t frame = 1;
        bool present;
        if (dicom_text(tree, dicom_find(tree, item, TAG_REFERENCED_INSTANCE), uid, sizeof uid) == 0) continue;
        TRY(dicom_integer(tree, dicom_find(tree, item, TAG_REFERENCED_FRAME), &frame, &present));
        *named = true;
        *slice = slice_of_image(volume, uid, present ? frame : 1, hint);
    }
    return COVER_OK;
}

/* What a slice is away from a frame at the most, in shares of a step, over the corners of the image. */
static double distance_of(const struct dicom_frame *frame, const struct dicom_frame *slice, const struct dicom_frame_shape *shape,
                          double step) {
    double worst = 0;
    for (int corner = 0; corner < 4; corner++) {
        const double y = corner / 2 ? shape->rows - 1 : 0, x = corner % 2 ? shape->columns - 1 : 0;
        double squares = 0;
        for (int k = 0; k < 3; k++) {
            const double off = frame->position[k] - slice->position[k] +
                               y * (frame->column[k] * frame->spacing[0] - slice->column[k] * slice->spacing[0]) +
                               x * (frame->row[k] * frame->spacing[1] - slice->row[k] * slice->spacing[1]);
            squares += off * off;
        }
        worst = fmax(worst, sqrt(squares) / step);
    }
    return worst;
}

/* The slice that is nearest along the normal. */
static int nearest_slice(const struct dicom_volume *volume, double along) {
    int low = 0, high = volume->count - 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (volume->slices[middle]->along < along) low = middle + 1;
        else high = middle;
    }
    return low > 0 && along - volume->slices[low - 1]->along < volume->slices[low]->along - along ? low - 1 : low;
}

static cover_status find_place(const struct dicom_seg *seg, const struct dicom_volume *volume, int f, int *slice, bool *placed) {
    struct dicom_frame frame = {.object = (struct dicom_object *)seg->object, .frame = f};
    double normal[3];
    *slice = -1;
    TRY(dicom_place(&frame));
    *placed = frame.placed;
    if (!frame.placed || volume->images) return COVER_OK;
    dicom_normal(volume->slices[0], normal);
    const int nearest = nearest_slice(volume, dicom_dot(frame.position, normal));
    const double step = volume->spacing_mm[0] > 0 ? volume->spacing_mm[0] : 1;
    if (distance_of(&frame, volume->slices[nearest], &seg->object->shape, step) <= PLACE_TOLERANCE) *slice = nearest;
    return COVER_OK;
}

static cover_status check_frame_of_reference(const struct dicom_seg *seg, const struct dicom_volume *volume) {
    const struct dicom_tree *own = &seg->object->tree, *theirs = &volume->slices[0]->object->tree;
    char a[65], b[65];
    dicom_text(own, dicom_find(own, NULL, TAG_FRAME_OF_REFERENCE), a, sizeof a);
    dicom_text(theirs, dicom_find(theirs, NULL, TAG_FRAME_OF_REFERENCE), b, sizeof b);
    if (volume->images || !a[0] || !b[0] || strcmp(a, b) == 0) return COVER_OK;
    return fail(COVER_ERROR_FORMAT, "its frame of reference is another than that of the images");
}

cover_status dicom_seg_place(struct dicom_seg *seg, const struct cover_dicom *set, int index) {
    const struct dicom_volume *volume = &set->volumes[index];
    const struct dicom_frame_shape *shape = &seg->object->shape, *theirs = &volume->slices[0]->object->shape;
    char series[DICOM_SERIES_BYTES];
    dicom_series_name(set, index, series);
    seg->referenced = seg->positioned = 0;
    if (shape->rows != theirs->rows || shape->columns != theirs->columns)
        return fail(COVER_ERROR_FORMAT, "its frames have %d rows and %d columns, %s has %d and %d", shape->rows, shape->columns,
                    series, theirs->rows, theirs->columns);
    TRY(check_frame_of_reference(seg, volume));
    for (int f = 0; f < seg->object->frames; f++) {
        const int hint = f > 0 ? seg->frames[f - 1].slice : 0;
        int by_name, by_place;
        bool named, placed;
        TRY(find_reference(seg, volume, f, hint, &by_name, &named));
        TRY(find_place(seg, volume, f, &by_place, &placed));
        if (named && by_name < 0) return fail(COVER_ERROR_FORMAT, "frame %d names an image that %s does not have", f + 1, series);
        if (by_name >= 0 && placed && !volume->images && by_place != by_name)
            return fail(COVER_ERROR_FORMAT, "frame %d does not lie where the image is that it names (slice %d of %s)", f + 1,
                        by_name + 1, series);
        if (by_name < 0 && by_place < 0)
            return fail(COVER_ERROR_FORMAT, "frame %d %s of %s", f + 1,
                        placed ? "lies on no slice" : "says neither its place nor an image", series);
        seg->frames[f].slice = by_name >= 0 ? by_name : by_place;
        seg->referenced += by_name >= 0, seg->positioned += by_place >= 0;
    }
    return COVER_OK;
}

/* ---- pixels */

/* Bits, first the lowest, as bytes of 0 and 1. */
static void spread_bits(uint8_t *to, const uint8_t *from, int first, int64_t count) {
    int64_t i = 0;
    if (first == 0)
        for (; i + 8 <= count; i += 8) {
            const uint64_t each = from[i / 8] * 0x0101010101010101u & 0x8040201008040201u;
            const uint64_t bytes = (each + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
            memcpy(to + i, &bytes, 8);
        }
    for (; i < count; i++) to[i] = from[(first + i) / 8] >> (first + i) % 8 & 1;
}

/* The pixels of a deflated object are inflated once. */
static cover_status need_inflated(struct dicom_seg *seg) {
    if (!seg->object->tree.deflated || seg->inflated) return COVER_OK;
    return dicom_inflate_pixels(&seg->inflated, seg->context, seg->object);
}

static cover_status stored_of(struct dicom_seg *seg, struct dicom_work *work, int frame, const int32_t **values) {
    struct dicom_stored stored;
    TRY(need_inflated(seg));
    TRY(dicom_frame_stored(&stored, work, seg->object, frame, seg->inflated));
    *values = stored.values;
    return COVER_OK;
}

/* A frame of BINARY: a byte a pixel, 0 or 1. */
static cover_status mask_of(struct dicom_seg *seg, struct dicom_work *work, int frame, uint8_t *mask) {
    const struct dicom_frame_shape *shape = &seg->object->shape;
    const int64_t count = (int64_t)shape->rows * shape->columns;
    if (seg->object->syntax->codec) {
        const int32_t *values;
        TRY(stored_of(seg, work, frame, &values));
        for (int64_t i = 0; i < count; i++) mask[i] = values[i] != 0;
        return COVER_OK;
    }
    const uint8_t *bits;
    int first;
    TRY(need_inflated(seg));
    TRY(dicom_frame_bits(&bits, &first, work, seg->object, frame, seg->inflated));
    spread_bits(mask, bits, first, count);
    return COVER_OK;
}

/* ---- labels */

/* Where the map has nothing the mask's segment; *overlaps: voxels where it has another. */
#define MARK(type)                                                                                                                 \
    do {                                                                                                                           \
        type *map = (type *)to;                                                                                                    \
        for (int64_t i = 0; i < count; i++) {                                                                                      \
            if (!mask[i]) continue;                                                                                                \
            *overlaps += map[i] != 0 && map[i] != (type)segment;                                                                   \
            map[i] = (type)segment;                                                                                                \
        }                                                                                                                          \
    } while (0)

static void mark(void *to, cover_dtype dtype, const uint8_t *mask, int64_t count, int segment, int64_t *overlaps) {
    if (dtype == COVER_U8) MARK(uint8_t);
    else MARK(uint16_t);
}

static cover_status copy_map(struct dicom_seg *seg, struct dicom_work *work, int frame, void *to, cover_dtype dtype,
                             int64_t count) {
    const int32_t *values;
    int last = 0, segment = 0;
    TRY(stored_of(seg, work, frame, &values));
    for (int64_t i = 0; i < count; i++) {
        if (values[i] != last) {
            last = values[i];
            segment = last > 0 && last <= UINT16_MAX ? seg->by_number[last] : 0;
            if (last != 0 && segment == 0)
                return fail(COVER_ERROR_FORMAT, "frame %d holds %d, which is none of its segments", frame + 1, last);
        }
        if (segment == 0) continue;
        if (dtype == COVER_U8) ((uint8_t *)to)[i] = (uint8_t)segment;
        else ((uint16_t *)to)[i] = (uint16_t)segment;
    }
    return COVER_OK;
}

/* A label map has one frame an image. */
static cover_status check_one_each(const struct dicom_seg *seg, int slices) {
    int *taken = memory_zero(seg->context, (size_t)slices * sizeof *taken);
    cover_status status = taken ? COVER_OK : COVER_ERROR_MEMORY;
    for (int f = 0; f < seg->object->frames && status == COVER_OK; f++) {
        int *frame = &taken[seg->frames[f].slice];
        if (*frame) status = fail(COVER_ERROR_FORMAT, "frames %d and %d lie on one image", *frame, f + 1);
        *frame = f + 1;
    }
    memory_free(seg->context, taken);
    return status;
}

static cover_status read_frame(struct dicom_seg *seg, struct dicom_work *work, int f, void *map, cover_dtype dtype, uint8_t *mask,
                               int64_t count) {
    void *to = (uint8_t *)map + (size_t)(seg->frames[f].slice * count) * cover_dtype_bytes(dtype);
    int64_t overlaps = 0;
    if (seg->type == SEG_LABEL_MAP) {
        return copy_map(seg, work, f, to, dtype, count);
    }
    TRY(mask_of(seg, work, f, mask));
    mark(to, dtype, mask, count, seg->frames[f].segment, &overlaps);
    if (overlaps == 0) return COVER_OK;
    return fail(COVER_ERROR_FORMAT, "segment %d overlaps others at %lld pixels of frame %d: labels must not overlap",
                seg->segments[seg->frames[f].segment - 1].number, (long long)overlaps, f + 1);
}

cover_status dicom_seg_labels(void **labels, cover_dtype *dtype, struct dicom_seg *seg, const struct cover_dicom *set, int index) {
    const struct dicom_frame_shape *shape = &seg->object->shape;
    const int64_t count = (int64_t)shape->rows * shape->columns;
    struct dicom_work work = {.context = seg->context};
    uint8_t *mask = NULL;
    void *map = NULL;
    int64_t bytes;
    cover_status status;
    if (seg->type == SEG_FRACTIONAL)
        return fail(COVER_ERROR_UNSUPPORTED, "it is FRACTIONAL: BINARY and LABELMAP are labels, probabilities are not");
    GO(dicom_seg_place(seg, set, index));
    if (seg->type == SEG_LABEL_MAP) GO(check_one_each(seg, set->volumes[index].count));
    *dtype = seg->segment_count < 256 ? COVER_U8 : COVER_U16;
    if (!multiply(count, set->volumes[index].count, &bytes) || !multiply(bytes, (int64_t)cover_dtype_bytes(*dtype), &bytes))
        GO(fail(COVER_ERROR_MEMORY, "more voxels than memory"));
    map = memory_within(seg->context, (size_t)bytes);
    mask = memory_within(seg->context, (size_t)count);
    if (!map || !mask) GO(COVER_ERROR_MEMORY);
    memset(map, 0, (size_t)bytes);
    for (int f = 0; f < seg->object->frames; f++) {
        if (cancelled(seg->context)) GO(fail(COVER_ERROR_CANCELLED, "cancelled while labels were read"));
        GO(read_frame(seg, &work, f, map, *dtype, mask, count));
    }
    *labels = map;
    map = NULL;
done:
    memory_free(seg->context, map);
    memory_free(seg->context, mask);
    dicom_work_free(&work);
    return status;
}

/* ---- is it of these images? */

bool dicom_seg_is_of(const struct dicom_object *object, const struct dicom_volume *volume) {
    const struct dicom_tree *tree = &object->tree, *theirs = &volume->slices[0]->object->tree;
    char own[65], other[65];
    bool named = false;
    for (int64_t i = 0; i < tree->count; i++) {
        if (tree->nodes[i].tag != TAG_REFERENCED_INSTANCE) continue;
        dicom_text(tree, &tree->nodes[i], own, sizeof own);
        named = true;
        for (int d = 0; d < volume->count; d++)
            if (strcmp(volume->slices[d]->object->sop_uid, own) == 0) return true;
    }
    dicom_text(tree, dicom_find(tree, NULL, TAG_FRAME_OF_REFERENCE), own, sizeof own);
    dicom_text(theirs, dicom_find(theirs, NULL, TAG_FRAME_OF_REFERENCE), other, sizeof other);
    return !named && own[0] && strcmp(own, other) == 0;
}

/* ---- our own, before it leaves (R37) */

/* Blocks are so short that sums of bytes do not overflow: then they are vectors. */
static void compare_mask(int64_t *wrong, int64_t *nonzero, const uint8_t *mask, const struct seg_plan *plan, int64_t first,
                         int segment) {
    enum { BLOCK = 128 };
    const uint8_t *labels = (const uint8_t *)plan->labels + first, wanted = (uint8_t)segment;
    const uint16_t *words = (const uint16_t *)plan->labels + first;
    const bool bytes = plan->dtype == COVER_U8, beyond = bytes && segment > UINT8_MAX; /* no byte can be that label */
    for (int64_t begin = 0; begin < plan->slice_pixels; begin += BLOCK) {
        const int64_t end = begin + BLOCK < plan->slice_pixels ? begin + BLOCK : plan->slice_pixels;
        uint8_t different = 0, marked = 0;
        for (int64_t i = begin; i < end; i++) marked = (uint8_t)(marked + mask[i]);
        if (beyond) different = marked;
        else if (bytes)
            for (int64_t i = begin; i < end; i++)
                different = (uint8_t)(different + (uint8_t)(mask[i] != (uint8_t)(labels[i] == wanted)));
        else
            for (int64_t i = begin; i < end; i++) different = (uint8_t)(different + (mask[i] != (words[i] == segment)));
        *wrong += different, *nonzero += marked;
    }
}

/* Pixels that are not what the plan has there, of one frame; *set: those that are not 0. */
static cover_status compare_frame(int64_t *wrong, int64_t *nonzero, struct dicom_seg *seg, struct dicom_work *work, int f,
                                  const struct seg_plan *plan, uint8_t *mask) {
    const int64_t count = plan->slice_pixels, depth = plan->job.volume->count;
    const int segment = seg->frames[f].segment;
    const int64_t first = seg->frames[f].slice * count;
    const int32_t *values;
    if (plan->type == SEG_BINARY) {
        TRY(mask_of(seg, work, f, mask));
        compare_mask(wrong, nonzero, mask, plan, first, segment);
        return COVER_OK;
    }
    TRY(stored_of(seg, work, f, &values));
    for (int64_t i = 0; i < count; i++) {
        const int expected = plan->type == SEG_FRACTIONAL
                                 ? seg_fraction_of(((const float *)plan->labels)[segment * depth * count + first + i])
                             : plan->dtype == COVER_U8 ? ((const uint8_t *)plan->labels)[first + i]
                                                       : ((const uint16_t *)plan->labels)[first + i];
        *wrong += values[i] != expected;
        *nonzero += values[i] != 0;
    }
    return COVER_OK;
}

/* Of all the plan has: what is not 0 once it is in the object. */
static int64_t count_nonzero(const struct seg_plan *plan) {
    const int64_t voxels = plan->slice_pixels * plan->job.volume->count;
    int64_t count = 0;
    if (plan->type == SEG_FRACTIONAL) {
        const float *values = (const float *)plan->labels + voxels; /* behind the background */
        for (int64_t i = 0; i < voxels * plan->job.segment_count; i++) count += seg_fraction_of(values[i]) != 0;
    } else if (plan->dtype == COVER_U8) {
        const uint8_t *labels = plan->labels;
        for (int64_t begin = 0; begin < voxels; begin += 128) {
            const int64_t end = begin + 128 < voxels ? begin + 128 : voxels;
            uint8_t here = 0;
            for (int64_t i = begin; i < end; i++) here += labels[i] != 0;
            count += here;
        }
    } else {
        for (int64_t i = 0; i < voxels; i++) count += ((const uint16_t *)plan->labels)[i] != 0;
    }
    return count;
}

static cover_status compare(struct dicom_seg *seg, const struct seg_plan *plan) {
    struct dicom_work work = {.context = seg->context};
    int64_t wrong = 0, nonzero = 0;
    cover_status status = COVER_OK;
    uint8_t *mask = memory_within(seg->context, (size_t)plan->slice_pixels);
    if (!mask) return COVER_ERROR_MEMORY;
    for (int f = 0; f < seg->object->frames && status == COVER_OK; f++)
        status = compare_frame(&wrong, &nonzero, seg, &work, f, plan, mask);
    memory_free(seg->context, mask);
    dicom_work_free(&work);
    TRY(status);
    const int64_t expected = count_nonzero(plan);
    const int frames = seg->object->frames;
    if (wrong == 0 && nonzero == expected && seg->referenced == frames &&
        seg->positioned == (plan->job.volume->images ? 0 : frames))
        return COVER_OK;
    return fail(COVER_ERROR_INTERNAL,
                "the segmentation that was made differs from the label map: %lld voxels, %lld instead of %lld marked, %d and %d of "
                "%d frames in "
                "place; nothing was written",
                (long long)wrong, (long long)nonzero, (long long)expected, seg->referenced, seg->positioned, frames);
}

cover_status seg_verify(const struct seg_plan *plan, const struct dicom_put *put) {
    struct dicom_object object = {.tree.context = plan->job.context};
    struct dicom_seg seg = {.context = plan->job.context};
    const int index = (int)(plan->job.volume - plan->job.set->volumes);
    cover_status status;
    put_as_source(put, &object.source);
    GO(dicom_object_read(&object, plan->job.context));
    GO(dicom_seg_open(&seg, plan->job.context, &object));
    GO(dicom_seg_place(&seg, plan->job.set, index));
    if (seg.segment_count != plan->job.segment_count || object.frames != plan->frame_count || seg.type != plan->type)
        GO(fail(COVER_ERROR_INTERNAL, "the segmentation that was made has %d segments and %d frames", seg.segment_count,
                object.frames));
    GO(compare(&seg, plan));
done:
    if (status == COVER_ERROR_FORMAT || status == COVER_ERROR_UNSUPPORTED)
        status = fail_in(COVER_ERROR_INTERNAL, "the segmentation that was made cannot be read");
    dicom_seg_close(&seg);
    dicom_object_free(&object);
    return status;
}
