/* See seg_plan.h. */
#include "seg_plan.h"

#include "core/base/memory.h"
#include "core/base/tensor.h"

#include <math.h>
#include <string.h>

const char *const seg_type_words[] = {[SEG_BINARY] = "BINARY", [SEG_LABEL_MAP] = "LABELMAP", [SEG_FRACTIONAL] = "FRACTIONAL"};

/* ---- what is given */

static cover_status choose_type(struct seg_plan *plan) {
    static const char *const words[] = {[SEG_BINARY] = "binary", [SEG_LABEL_MAP] = "labelmap", [SEG_FRACTIONAL] = "fractional"};
    const char *given = plan->job.options.type ? plan->job.options.type : "binary";
    for (int i = 0; i < 3; i++)
        if (strcmp(given, words[i]) == 0) {
            plan->type = (enum seg_type)i;
            return COVER_OK;
        }
    return fail(COVER_ERROR_ARGUMENT, "type \"%s\": known are binary, labelmap, fractional", given);
}

static bool is_dense(const cover_tensor *tensor) {
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        if (tensor->shape[i] > 1 && tensor->strides[i] != stride) return false;
        stride *= tensor->shape[i];
    }
    return true;
}

static cover_status take_label(struct seg_plan *plan, const cover_tensor *label) {
    const struct dicom_job *job = &plan->job;
    const struct dicom_frame_shape *shape = &job->volume->slices[0]->object->shape;
    const bool fractional = plan->type == SEG_FRACTIONAL;
    const int64_t want[4] = {job->segment_count + 1, job->volume->count, shape->rows, shape->columns};
    const int64_t *expected = want + !fractional;
    const int rank = 3 + fractional;
    char text[128], needed[128];
    if (fractional ? label->dtype != COVER_F32 : label->dtype != COVER_U8 && label->dtype != COVER_U16)
        return fail(COVER_ERROR_ARGUMENT, "label is %s: %s", cover_dtype_name(label->dtype),
                    fractional ? "f32 is needed, the probability of each class" : "u8 or u16 is needed");
    if (label->rank != rank || memcmp(label->shape, expected, (size_t)rank * sizeof *expected) != 0)
        return fail(COVER_ERROR_SHAPE, "label is %s: %s is needed, a plane a slice of the volume",
                    tensor_shape_text(text, label->rank, label->shape), tensor_shape_text(needed, rank, expected));
    plan->dtype = label->dtype;
    plan->labels = label->data;
    plan->slice_pixels = want[2] * want[3];
    if (is_dense(label)) return COVER_OK;
    const uint64_t values = (uint64_t)(plan->slice_pixels * want[1] * (fractional ? want[0] : 1));
    plan->copy = memory_within(job->context, values * cover_dtype_bytes(label->dtype));
    if (!plan->copy) return COVER_ERROR_MEMORY;
    cover_tensor *dense;
    TRY(cover_tensor_wrap(&dense, job->context, label->dtype, rank, expected, NULL, plan->copy));
    const cover_status status = cover_tensor_copy(dense, label);
    cover_tensor_destroy(dense);
    plan->labels = plan->copy;
    return status;
}

/* ---- which frames */

/* Marks the segments of a slice; the largest label that is there. */
static int mark_labels(const struct seg_plan *plan, int slice, bool *present) {
    const int64_t count = plan->slice_pixels, first = slice * count;
    const int segments = plan->job.segment_count;
    int largest = 0;
    if (plan->dtype == COVER_U8) {
        const uint8_t *labels = (const uint8_t *)plan->labels + first;
        uint64_t last = 0;
        for (int64_t i = 0; i < count;) {
            uint64_t word = 0;
            if (i + 8 <= count && (memcpy(&word, labels + i, 8), word == last)) { /* most have the word before once more */
                i += 8;
                continue;
            }
            const int64_t end = i + 8 < count ? i + 8 : count;
            if (end - i == 8) last = word;
            for (; i < end; i++) {
                if (labels[i] > largest) largest = labels[i];
                if (labels[i] > 0 && labels[i] <= segments) present[labels[i]] = true;
            }
        }
    } else {
        const uint16_t *labels = (const uint16_t *)plan->labels + first;
        for (int64_t i = 0; i < count; i++) {
            if (labels[i] > largest) largest = labels[i];
            if (labels[i] > 0 && labels[i] <= segments) present[labels[i]] = true;
        }
    }
    return largest;
}

uint8_t seg_fraction_of(float probability) {
    return (uint8_t)rintf(255 * (probability < 0 ? 0 : probability > 1 ? 1 : probability));
}

static const float ROUNDING = 1e-3f; /* by which a mean of windows may leave 0 .. 1 */

static cover_status mark_fractions(const struct seg_plan *plan, int slice, bool *present) {
    const int64_t depth = plan->job.volume->count;
    for (int k = 1; k <= plan->job.segment_count; k++) {
        const float *values = (const float *)plan->labels + (k * depth + slice) * plan->slice_pixels;
        for (int64_t i = 0; i < plan->slice_pixels; i++) {
            if (!(values[i] >= -ROUNDING && values[i] <= 1 + ROUNDING))
                return fail(COVER_ERROR_ARGUMENT, "label holds %g: probabilities of 0 to 1 are needed", values[i]);
            present[k] = present[k] || seg_fraction_of(values[i]) > 0;
        }
    }
    return COVER_OK;
}

/* By segment, then along the normal: where the segment has pixels, or everywhere; one empty frame where there would be none (R41). */
static cover_status list_frames(struct seg_plan *plan) {
    const int slices = plan->job.volume->count, segments = plan->job.segment_count;
    const bool all = plan->job.options.empty_frames, map = plan->type == SEG_LABEL_MAP;
    int64_t cells;
    cover_status status;
    bool *present = NULL;
    if (!multiply(slices, segments + 1, &cells)) return fail(COVER_ERROR_MEMORY, "more frames than memory");
    present = memory_zero(plan->job.context, (size_t)cells);
    plan->frames = memory_within(plan->job.context, (size_t)cells * sizeof *plan->frames);
    if (!present || !plan->frames) GO(COVER_ERROR_MEMORY);
    for (int d = 0; d < slices; d++) {
        bool *here = present + (int64_t)d * (segments + 1);
        if (plan->type == SEG_FRACTIONAL) {
            GO(mark_fractions(plan, d, here));
            continue;
        }
        const int largest = mark_labels(plan, d, here);
        if (largest > segments)
            GO(fail(COVER_ERROR_ARGUMENT, "label holds %d, but there are %d classes beside the background", largest, segments));
    }
    for (int k = map ? 0 : 1; k <= (map ? 0 : segments); k++)
        for (int d = 0; d < slices; d++) {
            const bool *here = present + (int64_t)d * (segments + 1);
            bool wanted = all || here[k];
            for (int any = 1; map && any <= segments; any++) wanted = wanted || here[any];
            if (wanted) plan->frames[plan->frame_count++] = (struct seg_frame){k, d};
        }
    if (plan->frame_count == 0) plan->frames[plan->frame_count++] = (struct seg_frame){map ? 0 : 1, 0};
    status = COVER_OK;
done:
    memory_free(plan->job.context, present);
    return status;
}

/* ---- their pixels */

/* Are eight labels the segment's?  The first is the lowest bit. */
static inline uint8_t eight_bits(const uint8_t *labels, uint64_t segment) {
    const uint64_t low = 0x7f7f7f7f7f7f7f7f;
    uint64_t word;
    memcpy(&word, labels, 8);
    word ^= 0x0101010101010101 * segment; /* bytes that are 0 now are the segment's; their top bits are brought together */
    word = ~(((word & low) + low) | word | low) >> 7;
    return (uint8_t)(word * 0x0102040810204080 >> 56);
}

static uint8_t few_bits(const struct seg_plan *plan, int64_t first, int count, int segment) {
    uint8_t bits = 0;
    for (int i = 0; i < count; i++) {
        const int label =
            plan->dtype == COVER_U8 ? ((const uint8_t *)plan->labels)[first + i] : ((const uint16_t *)plan->labels)[first + i];
        bits = (uint8_t)(bits | (label == segment) << i);
    }
    return bits;
}

/* Bits run on over the frames, the first of a byte is its lowest (R42). */
static void fill_bits(struct seg_plan *plan) {
    const int64_t count = plan->slice_pixels;
    for (int f = 0; f < plan->frame_count; f++) {
        const int64_t first = plan->frames[f].slice * count, begin = f * count;
        const int segment = plan->frames[f].segment;
        if (plan->dtype == COVER_U8 && segment <= UINT8_MAX && count % 8 == 0) {
            const uint8_t *labels = (const uint8_t *)plan->labels + first;
            uint8_t *to = plan->pixels + begin / 8;
            for (int64_t i = 0; i < count / 8; i++) to[i] = eight_bits(labels + 8 * i, (uint64_t)segment);
            continue;
        }
        for (int64_t i = 0; i < count; i += 8) {
            const unsigned bits = few_bits(plan, first + i, count - i < 8 ? (int)(count - i) : 8, segment);
            const int64_t at = begin + i;
            const unsigned shifted = bits << at % 8;
            plan->pixels[at / 8] |= (uint8_t)shifted;
            if (shifted >> 8) plan->pixels[at / 8 + 1] |= (uint8_t)(shifted >> 8);
        }
    }
}

static void fill_values(struct seg_plan *plan) {
    const int64_t depth = plan->job.volume->count, count = plan->slice_pixels;
    for (int f = 0; f < plan->frame_count; f++) {
        const int64_t first = plan->frames[f].slice * count;
        uint8_t *to = plan->pixels + f * count * (plan->bits / 8);
        if (plan->type == SEG_FRACTIONAL) {
            const float *values = (const float *)plan->labels + plan->frames[f].segment * depth * count + first;
            for (int64_t i = 0; i < count; i++) to[i] = seg_fraction_of(values[i]);
            continue;
        }
        for (int64_t i = 0; i < count; i++) {
            const unsigned label =
                plan->dtype == COVER_U8 ? ((const uint8_t *)plan->labels)[first + i] : ((const uint16_t *)plan->labels)[first + i];
            if (plan->bits == 8) to[i] = (uint8_t)label;
            else to[2 * i] = (uint8_t)label, to[2 * i + 1] = (uint8_t)(label >> 8);
        }
    }
}

static cover_status make_pixels(struct seg_plan *plan) {
    int64_t bits;
    plan->bits = plan->type == SEG_BINARY ? 1 : plan->type == SEG_FRACTIONAL || plan->job.segment_count < 256 ? 8 : 16;
    if (!multiply(plan->slice_pixels, plan->frame_count, &bits) || !multiply(bits, plan->bits, &bits))
        return fail(COVER_ERROR_MEMORY, "more pixels than memory");
    plan->pixel_bytes = ((uint64_t)bits + 7) / 8;
    plan->pixels = memory_within(plan->job.context, plan->pixel_bytes);
    if (!plan->pixels) return COVER_ERROR_MEMORY;
    memset(plan->pixels, 0, plan->pixel_bytes);
    (plan->bits == 1 ? fill_bits : fill_values)(plan);
    for (int f = 0; f < plan->frame_count; f++)
        sha256_add(&plan->job.hash, &(int32_t[]){plan->frames[f].segment, plan->frames[f].slice}, 2 * sizeof(int32_t));
    sha256_add(&plan->job.hash, plan->pixels, plan->pixel_bytes);
    return COVER_OK;
}

cover_status seg_plan_begin(struct seg_plan *plan, const cover_dicom *set, int index, const cover_tensor *label,
                            const cover_seg_options *options) {
    *plan = (struct seg_plan){.job.context = set->context};
    TRY(dicom_job_begin(&plan->job, set, index, options));
    TRY(choose_type(plan));
    TRY(take_label(plan, label));
    TRY(list_frames(plan));
    TRY(make_pixels(plan));
    plan->object = (struct dicom_derived){.modality = "SEG",
                                          .sop_class = plan->type == SEG_LABEL_MAP ? LABEL_MAP_CLASS : SEGMENTATION_CLASS,
                                          .image_type = "DERIVED\\PRIMARY",
                                          .series_number = 100};
    derived_name(&plan->job, &plan->object);
    return COVER_OK;
}

void seg_plan_end(struct seg_plan *plan) {
    cover_context *context = plan->job.context;
    memory_free(context, plan->copy);
    memory_free(context, plan->frames);
    memory_free(context, plan->pixels);
    dicom_job_end(&plan->job);
}
