/* DICOM Segmentation (PS3.3, A.51 and A.101): the elements of a planned label map, in their order (R39 to R45), read again and
 * compared before they leave (R37).  The public call is cover_dicom_write_seg() of libcover/dicom.h. */
#include "seg_plan.h"
#include "seg_read.h"

#include "core/base/tensor.h"

#include <math.h>
#include <string.h>

/* ---- the source's geometry, as text where it is text there */

static bool says(const struct dicom_tree *tree, const struct dicom_node *node, const double *values, int count) {
    double read[6];
    bool present;
    if (dicom_vector(tree, node, read, count, &present) != COVER_OK || !present) return false;
    for (int i = 0; i < count; i++)
        if (fabs(read[i] - values[i]) > 1e-9) return false;
    return true;
}

static void put_geometry(struct dicom_put *put, uint32_t tag, const struct dicom_frame *slice, uint32_t macro, const double *values,
                         int count) {
    const struct dicom_tree *tree = &slice->object->tree;
    const struct dicom_node *node = dicom_of_frame(slice->object, slice->frame, macro, tag);
    if (says(tree, node, values, count)) put_source(put, tag, "DS", tree, node, false);
    else put_decimals(put, tag, values, count); /* what was put together from a detector's (R28) */
}

static void put_orientation(struct dicom_put *put, const struct dicom_frame *slice) {
    double cosines[6];
    memcpy(cosines, slice->row, sizeof slice->row);
    memcpy(cosines + 3, slice->column, sizeof slice->column);
    put_open(put, TAG_PLANE_ORIENTATION);
    put_geometry(put, TAG_ORIENTATION, slice, TAG_PLANE_ORIENTATION, cosines, 6);
    put_close(put);
}

/* To the last bit, else each frame has its own. */
static bool is_one_orientation(const struct dicom_volume *volume) {
    const struct dicom_frame *first = volume->slices[0];
    for (int i = 1; i < volume->count; i++)
        if (memcmp(first->row, volume->slices[i]->row, sizeof first->row) != 0 ||
            memcmp(first->column, volume->slices[i]->column, sizeof first->column) != 0)
            return false;
    return true;
}

static void put_measures(struct dicom_put *put, const struct dicom_volume *volume) {
    const struct dicom_frame *first = volume->slices[0];
    const struct dicom_tree *tree = &first->object->tree;
    put_open(put, TAG_PIXEL_MEASURES);
    if (first->thickness > 0) put_geometry(put, TAG_SLICE_THICKNESS, first, TAG_PIXEL_MEASURES, &first->thickness, 1);
    else if (volume->spacing_mm[0] > 0) put_decimal(put, TAG_SLICE_THICKNESS, volume->spacing_mm[0]);
    if (volume->count > 1) put_decimal(put, TAG_SPACING_BETWEEN, volume->spacing_mm[0]);
    put_source(put, TAG_PIXEL_SPACING, "DS", tree,
               dicom_of_frame(first->object, first->frame, TAG_PIXEL_MEASURES, TAG_PIXEL_SPACING), true);
    put_close(put);
}

/* Of images without a place: where the size of a pixel is known (R22, R43). */
static void put_image_measures(struct dicom_put *put, const struct dicom_volume *volume) {
    const struct dicom_tree *tree = &volume->slices[0]->object->tree;
    const double *spacing = volume->spacing_mm + 1;
    static const uint32_t tags[] = {TAG_PIXEL_SPACING, TAG_IMAGER_SPACING};
    if (!(spacing[0] > 0 && spacing[1] > 0)) return;
    put_open(put, TAG_PIXEL_MEASURES);
    int i = 0;
    while (i < 2 && !says(tree, dicom_find(tree, NULL, tags[i]), spacing, 2)) i++;
    if (i < 2) put_source(put, TAG_PIXEL_SPACING, "DS", tree, dicom_find(tree, NULL, tags[i]), false);
    else put_decimals(put, TAG_PIXEL_SPACING, spacing, 2);
    put_close(put);
}

/* ---- segments */

static void put_code_of(struct dicom_put *put, uint32_t tag, const struct dicom_code *code) {
    if (code->value[0]) put_code(put, tag, code->value, code->scheme, code->meaning);
}

static void put_algorithm(struct dicom_put *put, const struct dicom_job *job) {
    put_open(put, TAG_SEGMENT_ALGORITHM_IDENTIFICATION);
    put_code(put, TAG_ALGORITHM_FAMILY, "123110", "DCM", "Artificial Intelligence");
    put_text(put, TAG_ALGORITHM_VERSION, "LO", COVER_VERSION);
    if (job->options.weights_sha256) put_text(put, TAG_ALGORITHM_PARAMETERS, "LT", job->options.weights_sha256);
    put_text(put, TAG_ALGORITHM_NAME, "LO", job->task);
    put_close(put);
}

static void put_segment(struct dicom_put *put, const struct dicom_job *job, int number) {
    const struct dicom_segment *segment = &job->segments[number - 1];
    char uid[UID_BYTES];
    derived_tracking(job, number, uid);
    put_item(put);
    put_code_of(put, TAG_FRAME_ANATOMY_REGION, &segment->region);
    put_code_of(put, TAG_SEGMENT_CATEGORY, &segment->category);
    put_short(put, TAG_SEGMENT_NUMBER, number);
    put_text(put, TAG_SEGMENT_LABEL, "LO", segment->label);
    put_algorithm(put, job);
    put_text(put, TAG_SEGMENT_ALGORITHM, "CS", "AUTOMATIC");
    put_text(put, TAG_SEGMENT_ALGORITHM_NAME, "LO", job->task);
    put_shorts(put, TAG_SEGMENT_COLOUR, segment->lab, 3);
    put_open(put, TAG_SEGMENT_TYPE);
    put_text(put, TAG_CODE_VALUE, "SH", segment->type.value);
    put_text(put, TAG_CODE_SCHEME, "SH", segment->type.scheme);
    put_text(put, TAG_CODE_MEANING, "LO", segment->type.meaning);
    put_code_of(put, TAG_SEGMENT_MODIFIER, &segment->modifier);
    put_close(put);
    put_text(put, TAG_TRACKING_ID, "UT", segment->label);
    put_text(put, TAG_TRACKING_UID, "UI", uid);
    put_end(put);
}

static void put_segments(struct dicom_put *put, const struct seg_plan *plan) {
    const bool fractional = plan->type == SEG_FRACTIONAL;
    put_text(put, TAG_SEGMENTATION_TYPE, "CS", seg_type_words[plan->type]);
    put_sequence(put, TAG_SEGMENTS);
    for (int k = 1; k <= plan->job.segment_count; k++) put_segment(put, &plan->job, k);
    put_end(put);
    if (fractional) put_short(put, TAG_MAXIMUM_FRACTION, 255);
    if (fractional) put_text(put, TAG_FRACTION_TYPE, "CS", "PROBABILITY");
    put_text(put, TAG_SEGMENTS_OVERLAP, "CS", fractional ? "UNDEFINED" : "NO");
}

/* ---- dimensions: what tells frames apart */

struct dimension {
    uint32_t pointer, group;
    const char *label;
};
static const struct dimension by_segment = {TAG_REFERENCED_SEGMENT, TAG_SEGMENT_IDENTIFICATION, "Segment"};
static const struct dimension by_position = {TAG_POSITION, TAG_PLANE_POSITION, "Position"};
static const struct dimension by_number = {TAG_IN_STACK_POSITION, TAG_FRAME_CONTENT, "Image"}; /* of images without a place */

static int dimensions_of(const struct seg_plan *plan, const struct dimension *found[2]) {
    const bool images = plan->job.volume->images, map = plan->type == SEG_LABEL_MAP;
    int count = 0;
    if (!map) found[count++] = &by_segment;
    if (!images) found[count++] = &by_position;
    else if (map || plan->job.volume->count > 1) found[count++] = &by_number;
    return count;
}

static void put_dimensions(struct dicom_put *put, const struct seg_plan *plan) {
    const struct dimension *dimensions[2];
    const int count = dimensions_of(plan, dimensions);
    char uid[UID_BYTES];
    dicom_uid(uid, &plan->job.hash, plan->job.options.uid_root, "dimensions", 0);
    put_open(put, TAG_DIMENSION_ORGANIZATION);
    put_text(put, TAG_DIMENSION_ORGANIZATION_UID, "UI", uid);
    put_close(put);
    put_sequence(put, TAG_DIMENSION_INDEX);
    for (int i = 0; i < count; i++) {
        put_item(put);
        put_text(put, TAG_DIMENSION_ORGANIZATION_UID, "UI", uid);
        put_tag(put, TAG_DIMENSION_POINTER, dimensions[i]->pointer);
        put_tag(put, TAG_DIMENSION_GROUP, dimensions[i]->group);
        put_text(put, TAG_DIMENSION_LABEL, "LO", dimensions[i]->label);
        put_end(put);
    }
    put_end(put);
}

/* ---- frames */

static void put_source_image(struct dicom_put *put, const struct dicom_frame *slice) {
    put_open(put, TAG_DERIVATION_IMAGES);
    put_open(put, TAG_SOURCE_IMAGES);
    derived_put_instance(put, slice->object);
    if (slice->object->frames > 1) put_integer(put, TAG_REFERENCED_FRAME, slice->frame + 1);
    put_text(put, TAG_SPATIAL_PRESERVED, "CS", "YES");
    put_code(put, TAG_PURPOSE, "121322", "DCM", "Source image for image processing operation");
    put_close(put);
    put_code(put, TAG_DERIVATION_CODE, "113076", "DCM", "Segmentation");
    put_close(put);
}

static void put_frame(struct dicom_put *put, const struct seg_plan *plan, const struct seg_frame *frame, int rank,
                      bool own_orientation) {
    const struct dicom_frame *slice = plan->job.volume->slices[frame->slice];
    const struct dimension *dimensions[2];
    const int count = dimensions_of(plan, dimensions);
    bool numbered = false;
    uint32_t indices[2];
    for (int i = 0; i < count; i++) {
        indices[i] = (uint32_t)(dimensions[i] == &by_segment ? frame->segment : rank);
        numbered = numbered || dimensions[i] == &by_number;
    }
    put_item(put);
    put_source_image(put, slice);
    put_open(put, TAG_FRAME_CONTENT);
    if (numbered) put_text(put, TAG_STACK_ID, "SH", "1");
    if (numbered) put_longs(put, TAG_IN_STACK_POSITION, &(uint32_t){(uint32_t)rank}, 1);
    put_longs(put, TAG_DIMENSION_VALUES, indices, count);
    put_close(put);
    if (!plan->job.volume->images) {
        put_open(put, TAG_PLANE_POSITION);
        put_geometry(put, TAG_POSITION, slice, TAG_PLANE_POSITION, slice->position, 3);
        put_close(put);
        if (own_orientation) put_orientation(put, slice);
    }
    if (plan->type != SEG_LABEL_MAP) {
        put_open(put, TAG_SEGMENT_IDENTIFICATION);
        put_short(put, TAG_REFERENCED_SEGMENT, frame->segment);
        put_close(put);
    }
    put_end(put);
}

/* The places that have frames are numbered from 1, along the normal. */
static cover_status put_frames(struct dicom_put *put, const struct seg_plan *plan) {
    const struct dicom_volume *volume = plan->job.volume;
    const bool one = volume->images || is_one_orientation(volume);
    int *rank = memory_zero(plan->job.context, (size_t)volume->count * sizeof *rank), used = 0;
    if (!rank) return COVER_ERROR_MEMORY;
    for (int f = 0; f < plan->frame_count; f++) rank[plan->frames[f].slice] = 1;
    for (int d = 0; d < volume->count; d++)
        if (rank[d]) rank[d] = ++used;
    put_sequence(put, TAG_SHARED_GROUPS);
    put_item(put);
    if (!volume->images && one) put_orientation(put, volume->slices[0]);
    (volume->images ? put_image_measures : put_measures)(put, volume);
    put_end(put);
    put_end(put);
    put_sequence(put, TAG_FRAME_GROUPS);
    for (int f = 0; f < plan->frame_count; f++) put_frame(put, plan, &plan->frames[f], rank[plan->frames[f].slice], !one);
    put_end(put);
    memory_free(plan->job.context, rank);
    return COVER_OK;
}

/* ---- the whole */

static void put_image(struct dicom_put *put, const struct seg_plan *plan) {
    const struct dicom_frame_shape *shape = &plan->job.volume->slices[0]->object->shape;
    put_short(put, TAG_SAMPLES, 1);
    put_text(put, TAG_PHOTOMETRIC, "CS", "MONOCHROME2");
    put_integer(put, TAG_FRAMES, plan->frame_count);
    put_short(put, TAG_ROWS, shape->rows);
    put_short(put, TAG_COLUMNS, shape->columns);
    put_short(put, TAG_BITS_ALLOCATED, plan->bits);
    put_short(put, TAG_BITS_STORED, plan->bits);
    put_short(put, TAG_HIGH_BIT, plan->bits - 1);
    put_short(put, TAG_REPRESENTATION, 0);
    if (plan->type == SEG_LABEL_MAP) put_short(put, TAG_PADDING, 0);
    derived_put_lossy(put, &plan->job);
}

static cover_status put_object(struct dicom_put *put, const struct seg_plan *plan) {
    const struct dicom_job *job = &plan->job;
    const bool placed = !job->volume->images;
    put_begin(put, job->context, plan->object.sop_class, plan->object.sop_uid);
    derived_put_head(put, job, &plan->object);
    derived_put_references(put, job);
    derived_put_patient(put, job);
    derived_put_equipment(put, job);
    derived_put_series(put, job, &plan->object, placed);
    put_dimensions(put, plan);
    put_image(put, plan);
    put_segments(put, plan);
    put_text(put, TAG_CONTENT_LABEL, "CS", "COVER");
    put_text(put, TAG_CONTENT_DESCRIPTION, "LO", job->description);
    put_text(put, TAG_CONTENT_CREATOR, "PN", "");
    put_text(put, TAG_PRESENTATION_SHAPE, "CS", "IDENTITY");
    TRY(put_frames(put, plan));
    put_pixels(put, plan->bits == 16 ? "OW" : "OB", plan->pixels, plan->pixel_bytes);
    return put_end_object(put);
}

cover_status cover_dicom_write_seg(const cover_dicom *set, int index, const cover_tensor *label, const cover_seg_options *options,
                                   cover_write_fn *write, void *user) {
    struct seg_plan plan;
    struct dicom_put put = {0};
    cover_status status;
    if (!set || !label || !write) return fail(COVER_ERROR_ARGUMENT, "set, label or write is NULL");
    TRY(context_check_process(set->context));
    put.context = set->context;
    GO(seg_plan_begin(&plan, set, index, label, options));
    GO(put_object(&put, &plan));
    GO(seg_verify(&plan, &put));
    status = put_send(&put, write, user);
done:
    put_free(&put);
    seg_plan_end(&plan);
    return status;
}
