/* The images with the segments' outlines drawn in, RGB, for viewers that know nothing else: Secondary Capture of one image, Multi-frame True
 * Color Secondary Capture of more (PS3.3, A.8).  The public call is cover_dicom_write_sc() of libcover/dicom.h. */
#include "seg_plan.h"

#include "core/base/memory.h"
#include "core/base/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CAPTURE_CLASS "1.2.840.10008.5.1.4.1.1.7"
#define COLOUR_FRAMES_CLASS "1.2.840.10008.5.1.4.1.1.7.4"

enum { SAMPLES_MOST = 1 << 16 };

struct picture {
    const struct seg_plan *plan;
    struct image image; /* as it is shown: before contours */
    double low, high;   /* what is black, what is white */
    bool negative;
    uint8_t *pixels;
    uint64_t bytes;
};

/* ---- how the images are shown */

static bool has_window(const struct dicom_volume *volume) {
    for (int i = 0; i < volume->count; i++) {
        const struct dicom_frame *slice = volume->slices[i];
        const struct dicom_tree *tree = &slice->object->tree;
        double centre[16], width[16];
        int centres = 0, widths = 0;
        const struct dicom_node *c = dicom_of_frame(slice->object, slice->frame, TAG_FRAME_VOI, TAG_WINDOW_CENTER);
        const struct dicom_node *w = dicom_of_frame(slice->object, slice->frame, TAG_FRAME_VOI, TAG_WINDOW_WIDTH);
        if (!c || !w || slice->object->inverted || dicom_decimals(tree, c, centre, 16, &centres) != COVER_OK ||
            dicom_decimals(tree, w, width, 16, &widths) != COVER_OK || centres == 0 || widths == 0 || !(width[0] >= 1))
            return false;
    }
    return volume->channels == 1;
}

/* The source images, each in its own rows and columns: not straightened. */
static cover_status read_images(struct picture *picture) {
    const struct dicom_job *job = &picture->plan->job;
    struct dicom_volume volume = *job->volume;
    struct cover_dicom set = *job->set;
    const bool window = has_window(&volume);
    volume.tilt_degrees = 0;
    set.volumes = &volume, set.volume_count = 1;
    set.options.window = window ? "header" : NULL;
    picture->negative = volume.slices[0]->object->photometric == PHOTOMETRIC_DARK_HIGH && !volume.slices[0]->object->inverted;
    picture->low = 0, picture->high = 255;
    TRY(dicom_volume_image(&picture->image, &set, 0, -1, false));
    if (volume.channels == 1 && !window) picture->high = picture->low = NAN; /* by percentiles */
    else if (picture->image.dtype == COVER_U16) picture->high = (double)(1u << volume.slices[0]->object->shape.bits_stored) - 1;
    return COVER_OK;
}

static double value_at(const struct image *image, int64_t i) {
    if (image->dtype == COVER_U8) return ((const uint8_t *)image->data)[i];
    if (image->dtype == COVER_U16) return ((const uint16_t *)image->data)[i];
    return ((const float *)image->data)[i];
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* From the first to the last hundredth of the values, of which so many are looked at. */
static cover_status find_percentiles(struct picture *picture, int64_t count) {
    const int64_t stride = count / SAMPLES_MOST + 1;
    int64_t taken = 0;
    if (!isnan(picture->low)) return COVER_OK;
    double *values = memory_within(picture->plan->job.context, (size_t)(count / stride + 1) * sizeof *values);
    if (!values) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i += stride) {
        const double value = value_at(&picture->image, i);
        if (isfinite(value)) values[taken++] = value;
    }
    if (taken > 0) qsort(values, (size_t)taken, sizeof *values, compare);
    picture->low = taken > 0 ? values[taken / 100] : 0;
    picture->high = taken > 0 ? values[taken - 1 - taken / 100] : 1;
    memory_free(picture->plan->job.context, values);
    return COVER_OK;
}

/* `count` values from the first one on, as they are shown. */
static void shade(uint8_t *restrict to, const struct picture *picture, int64_t first, int64_t count) {
    const float low = (float)picture->low, width = (float)(picture->high > picture->low ? picture->high - picture->low : 1);
    const uint8_t negative = picture->negative ? 255 : 0;
    float block[256];
    for (int64_t begin = 0; begin < count; begin += 256) {
        const int64_t some = count - begin < 256 ? count - begin : 256, at = first + begin;
        for (int64_t i = 0; i < some; i++) block[i] = (float)value_at(&picture->image, at + i);
        for (int64_t i = 0; i < some; i++) {
            const float shown = 255 * (block[i] - low) / width + 0.5f;
            to[begin + i] = (uint8_t)((uint8_t)(shown > 0 ? shown < 255 ? shown : 255 : 0) ^ negative);
        }
    }
}

/* ---- outlines */

/* The class of a pixel, of probabilities the largest. */
static int class_at(const struct seg_plan *plan, int64_t i) {
    if (plan->type != SEG_FRACTIONAL)
        return plan->dtype == COVER_U8 ? ((const uint8_t *)plan->labels)[i] : ((const uint16_t *)plan->labels)[i];
    const int64_t voxels = plan->slice_pixels * plan->job.volume->count;
    const float *p = plan->labels;
    int best = 0;
    for (int k = 1; k <= plan->job.segment_count; k++)
        if (p[k * voxels + i] > p[best * voxels + i]) best = k;
    return best;
}

/* A pixel of a segment beside one that is not of it, or at the edge of the image. */
static bool is_outline(const struct seg_plan *plan, int64_t slice, int64_t y, int64_t x, int class) {
    const int64_t rows = plan->job.volume->slices[0]->object->shape.rows,
                  columns = plan->job.volume->slices[0]->object->shape.columns;
    static const int beside[4][2] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}};
    for (int i = 0; i < 4; i++) {
        const int64_t v = y + beside[i][0], u = x + beside[i][1];
        if (v < 0 || u < 0 || v >= rows || u >= columns || class_at(plan, (slice * rows + v) * columns + u) != class) return true;
    }
    return false;
}

static cover_status draw(struct picture *picture) {
    const struct seg_plan *plan = picture->plan;
    const int64_t rows = plan->job.volume->slices[0]->object->shape.rows, columns = plan->slice_pixels / rows;
    const int64_t channels = picture->image.channels;
    uint8_t *row = memory_alloc(plan->job.context, (size_t)(columns * channels));
    if (!row) return COVER_ERROR_MEMORY;
    for (int64_t line = 0; line < rows * plan->job.volume->count; line++) {
        uint8_t *to = picture->pixels + 3 * line * columns;
        shade(row, picture, line * columns * channels, columns * channels);
        for (int64_t x = 0; x < columns; x++, to += 3) {
            const int class = class_at(plan, line * columns + x);
            if (class > 0 && is_outline(plan, line / rows, line % rows, x, class)) memcpy(to, plan->job.segments[class - 1].rgb, 3);
            else if (channels == 3) memcpy(to, row + 3 * x, 3);
            else to[0] = to[1] = to[2] = row[x];
        }
    }
    memory_free(plan->job.context, row);
    return COVER_OK;
}

static cover_status make_picture(struct picture *picture) {
    const int64_t voxels = picture->plan->slice_pixels * picture->plan->job.volume->count;
    TRY(read_images(picture));
    TRY(find_percentiles(picture, voxels * picture->image.channels));
    picture->bytes = 3 * (uint64_t)voxels;
    picture->pixels = memory_within(picture->plan->job.context, picture->bytes);
    if (!picture->pixels) return COVER_ERROR_MEMORY;
    return draw(picture);
}

/* ---- the object */

static void put_pages(struct dicom_put *put, const struct picture *picture, char *text) {
    size_t length = 0;
    for (int i = 0; i < picture->plan->job.volume->count; i++)
        length += (size_t)number_print(text + length, 16, "%s%d", i ? "\\" : "", i + 1);
    put_value(put, TAG_PAGE_NUMBERS, "IS", text, length);
}

static void put_sources(struct dicom_put *put, const struct dicom_volume *volume) {
    put_sequence(put, TAG_SOURCE_IMAGES);
    for (int i = 0; i < volume->count; i++) {
        if (!volume->slices[i]->first) continue;
        put_item(put);
        derived_put_instance(put, volume->slices[i]->object);
        put_code(put, TAG_PURPOSE, "121322", "DCM", "Source image for image processing operation");
        put_end(put);
    }
    put_end(put);
}

static cover_status put_object(struct dicom_put *put, const struct picture *picture, const struct dicom_derived *object) {
    const struct dicom_job *job = &picture->plan->job;
    const struct dicom_frame_shape *shape = &job->volume->slices[0]->object->shape;
    const int frames = job->volume->count;
    char *pages = memory_alloc(job->context, 16 * (size_t)frames + 16);
    if (!pages) return COVER_ERROR_MEMORY;
    put_begin(put, job->context, object->sop_class, object->sop_uid);
    derived_put_head(put, job, object);
    derived_put_references(put, job);
    put_text(put, TAG_DERIVATION, "ST", "outlines of a label map are drawn in; not for diagnostic use");
    put_sources(put, job->volume);
    derived_put_patient(put, job);
    if (frames > 1) put_pages(put, picture, pages);
    derived_put_equipment(put, job);
    derived_put_series(put, job, object, false);
    put_short(put, TAG_SAMPLES, 3);
    put_text(put, TAG_PHOTOMETRIC, "CS", "RGB");
    put_short(put, TAG_PLANAR, 0);
    if (frames > 1) put_integer(put, TAG_FRAMES, frames);
    if (frames > 1) put_tag(put, TAG_FRAME_INCREMENT, TAG_PAGE_NUMBERS);
    put_short(put, TAG_ROWS, shape->rows);
    put_short(put, TAG_COLUMNS, shape->columns);
    put_short(put, TAG_BITS_ALLOCATED, 8);
    put_short(put, TAG_BITS_STORED, 8);
    put_short(put, TAG_HIGH_BIT, 7);
    put_short(put, TAG_REPRESENTATION, 0);
    put_text(put, TAG_BURNED_IN, "CS", "NO");
    derived_put_lossy(put, job);
    put_pixels(put, "OB", picture->pixels, picture->bytes);
    memory_free(job->context, pages);
    return put_end_object(put);
}

/* Read again: the same pixels? */
static cover_status verify(const struct picture *picture, const struct dicom_put *put) {
    cover_context *context = picture->plan->job.context;
    struct dicom_object object = {.tree.context = context};
    struct dicom_work work = {.context = context};
    const int64_t count = 3 * picture->plan->slice_pixels;
    bool same = true;
    cover_status status;
    put_as_source(put, &object.source);
    GO(dicom_object_read(&object, context));
    same = object.frames == picture->plan->job.volume->count;
    for (int f = 0; f < object.frames && same; f++) {
        struct dicom_stored stored;
        GO(dicom_frame_stored(&stored, &work, &object, f, NULL));
        same = stored.count == count;
        for (int64_t i = 0; i < count && same; i++) same = stored.values[i] == picture->pixels[f * count + i];
    }
done:
    dicom_work_free(&work);
    dicom_object_free(&object);
    if (status == COVER_ERROR_MEMORY) return status;
    return status == COVER_OK && same ? COVER_OK : fail(COVER_ERROR_INTERNAL, "the capture that was made differs from its pixels");
}

cover_status cover_dicom_write_sc(const cover_dicom *set, int index, const cover_tensor *label, const cover_seg_options *options,
                                  cover_write_fn *write, void *user) {
    struct dicom_derived object = {.modality = "OT", .image_type = "DERIVED\\SECONDARY", .conversion = "WSD", .series_number = 300};
    struct seg_plan plan;
    struct picture picture = {.plan = &plan};
    struct dicom_put put = {0};
    cover_status status;
    if (!set || !label || !write) return fail(COVER_ERROR_ARGUMENT, "set, label or write is NULL");
    TRY(context_check_process(set->context));
    put.context = set->context;
    GO(seg_plan_begin(&plan, set, index, label, options));
    object.sop_class = plan.job.volume->count > 1 ? COLOUR_FRAMES_CLASS : CAPTURE_CLASS;
    derived_name(&plan.job, &object);
    GO(make_picture(&picture));
    image_free(&picture.image, set->context);
    picture.image = (struct image){0};
    GO(put_object(&put, &picture, &object));
    GO(verify(&picture, &put));
    status = put_send(&put, write, user);
done:
    put_free(&put);
    image_free(&picture.image, set->context);
    memory_free(set->context, picture.pixels);
    seg_plan_end(&plan);
    return status;
}
