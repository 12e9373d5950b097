/* The pixels of a volume become an image: stored values by R19 to R21, padding by R20, tilt by R31; its slices on all threads of the
 * context, each straight into its place.  Called by set.c, pack and prediction. */
#include "set.h"

#include "core/base/memory.h"
#include "core/base/number.h"
#include "core/base/threads.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* How stored values of a frame become real ones. */
struct rescale {
    double slope, intercept;
    bool given; /* slope, intercept or a table */
    const uint8_t *table;
    int entries, first, table_bytes;
    bool padded;
    int32_t padding[2]; /* from, to */
    double window[2];   /* width > 0: shown as PS3.3, C.11.2.1.2 says, 0 to 255 */
};

static cover_status read_table(struct rescale *rescale, const struct dicom_object *object) {
    const struct dicom_tree *tree = &object->tree;
    const struct dicom_node *item = dicom_first(tree, dicom_find(tree, NULL, TAG_MODALITY_LUT));
    size_t bytes, count;
    if (!item) return COVER_OK;
    const uint8_t *descriptor = dicom_bytes(tree, dicom_find(tree, item, TAG_LUT_DESCRIPTOR), &bytes);
    rescale->table = dicom_bytes(tree, dicom_find(tree, item, TAG_LUT_DATA), &count);
    if (!descriptor || bytes != 6 || !rescale->table)
        return fail(COVER_ERROR_FORMAT, "its Modality LUT has no descriptor or no data");
    rescale->entries = dicom_u16(tree, descriptor);
    if (rescale->entries == 0) rescale->entries = 1 << 16;
    rescale->first = object->shape.is_signed ? (int16_t)dicom_u16(tree, descriptor + 2) : dicom_u16(tree, descriptor + 2);
    rescale->table_bytes = count < 2 * (size_t)rescale->entries ? 1 : 2;
    if (count < (size_t)rescale->entries) return fail(COVER_ERROR_FORMAT, "its Modality LUT has fewer values than entries");
    rescale->given = true;
    return COVER_OK;
}

static cover_status read_padding(struct rescale *rescale, const struct dicom_object *object) {
    static const uint32_t tags[] = {TAG_PADDING, TAG_PADDING_LIMIT};
    const struct dicom_tree *tree = &object->tree;
    for (int i = 0; i < 2; i++) {
        uint16_t value;
        bool present;
        TRY(dicom_short(tree, dicom_find(tree, NULL, tags[i]), &value, &present));
        if (i == 0) rescale->padded = present && object->shape.samples == 1 && object->photometric != PHOTOMETRIC_PALETTE;
        if (present) rescale->padding[i] = object->shape.is_signed ? (int16_t)value : value;
        else if (i == 1) rescale->padding[1] = rescale->padding[0];
    }
    if (rescale->padding[1] < rescale->padding[0]) {
        const int32_t low = rescale->padding[1];
        rescale->padding[1] = rescale->padding[0], rescale->padding[0] = low;
    }
    return COVER_OK;
}

static cover_status read_window(struct rescale *rescale, const struct dicom_object *object, int frame) {
    const struct dicom_tree *tree = &object->tree;
    double values[16];
    int count;
    static const uint32_t tags[] = {TAG_WINDOW_CENTER, TAG_WINDOW_WIDTH};
    for (int i = 0; i < 2; i++) {
        const struct dicom_node *node = dicom_of_frame(object, frame, TAG_FRAME_VOI, tags[i]);
        if (node) TRY(dicom_decimals(tree, node, values, 16, &count));
        if (!node || count == 0) return fail(COVER_ERROR_FORMAT, "it has no window (0028,1050) to apply");
        rescale->window[i] = values[0];
    }
    if (!(rescale->window[1] >= 1))
        return fail(COVER_ERROR_FORMAT, "Window Width (0028,1051) is %g: at least 1 is needed", values[0]);
    return COVER_OK;
}

static cover_status read_rescale(struct rescale *rescale, const struct cover_dicom *set, const struct dicom_object *object,
                                 int frame) {
    const struct dicom_tree *tree = &object->tree;
    bool slope, intercept;
    *rescale = (struct rescale){.slope = 1};
    TRY(dicom_vector(tree, dicom_of_frame(object, frame, TAG_TRANSFORMATION, TAG_SLOPE), &rescale->slope, 1, &slope));
    TRY(dicom_vector(tree, dicom_of_frame(object, frame, TAG_TRANSFORMATION, TAG_INTERCEPT), &rescale->intercept, 1, &intercept));
    if (slope && rescale->slope == 0) return fail(COVER_ERROR_FORMAT, "Rescale Slope (0028,1053) is 0");
    rescale->given = slope || intercept;
    TRY(read_table(rescale, object));
    TRY(read_padding(rescale, object));
    if (set->options.window && strcmp(set->options.window, "header") == 0) TRY(read_window(rescale, object, frame));
    return COVER_OK;
}

cover_status dicom_check_values(const struct cover_dicom *set, const struct dicom_object *object) {
    struct rescale rescale;
    for (int frame = 0; frame < (object->per_frame ? object->frames : 1); frame++) TRY(read_rescale(&rescale, set, object, frame));
    return COVER_OK;
}

/* ---- one slice */

struct reading {
    const struct cover_dicom *set;
    const struct dicom_volume *volume;
    const struct dicom_frame **slices; /* of it */
    int count;
    struct image *image;
    int64_t values; /* of a slice */
    atomic_int next;
    const struct dicom_object *deflated; /* one of several frames, inflated once; NULL = none */
    uint8_t *inflated;
    pthread_mutex_t lock; /* what is below */
    cover_status status;
    int failed; /* the slice */
    char text[ERROR_TEXT_BYTES];
    float smallest;
    int64_t padded;
};

static float window_of(const struct rescale *rescale, double x) {
    const double centre = rescale->window[0] - 0.5, width = rescale->window[1] - 1;
    if (x <= centre - width / 2) return 0;
    if (x > centre + width / 2) return 255;
    return (float)(((x - centre) / width + 0.5) * 255);
}

/* The real values of stored ones, in double, to float (R19). */
static void to_floats(float *restrict to, const struct dicom_stored *stored, const struct rescale *rescale,
                      const struct dicom_object *object) {
    const int32_t *restrict from = stored->values;
    const double slope = rescale->slope, intercept = rescale->intercept;
    const int64_t count = stored->count;
    if (!from) {
        for (int64_t i = 0; i < count; i++)
            to[i] = rescale->given ? (float)(stored->floats[i] * slope + intercept) : stored->floats[i];
    } else if (rescale->table) {
        for (int64_t i = 0; i < count; i++) {
            const int64_t at = (int64_t)from[i] - rescale->first, last = rescale->entries - 1;
            const int64_t entry = at < 0 ? 0 : at > last ? last : at;
            to[i] = rescale->table_bytes == 1 ? rescale->table[entry] : dicom_u16(&object->tree, rescale->table + 2 * entry);
        }
    } else if (stored->bits == 32 && !stored->is_signed) {
        for (int64_t i = 0; i < count; i++) to[i] = (float)((uint32_t)from[i] * slope + intercept);
    } else {
        for (int64_t i = 0; i < count; i++) to[i] = (float)(from[i] * slope + intercept);
    }
    if (rescale->window[1] > 0)
        for (int64_t i = 0; i < count; i++) to[i] = window_of(rescale, to[i]);
}

static void to_integers(void *to, cover_dtype dtype, const int32_t *restrict from, int64_t count) {
    uint8_t *restrict bytes = to;
    uint16_t *restrict words = to;
    if (dtype == COVER_U8)
        for (int64_t i = 0; i < count; i++) bytes[i] = (uint8_t)from[i];
    else
        for (int64_t i = 0; i < count; i++) words[i] = (uint16_t)from[i];
}

static bool is_padding(const struct rescale *rescale, int32_t value) {
    return value >= rescale->padding[0] && value <= rescale->padding[1];
}

/* Of a slice with padding: NaN where it is, the smallest of the others to the reading. */
static void mark_padding(struct reading *reading, float *to, const int32_t *stored, const struct rescale *rescale) {
    float smallest = INFINITY;
    int64_t padded = 0;
    for (int64_t i = 0; i < reading->values; i++) {
        if (is_padding(rescale, stored[i])) to[i] = NAN, padded++;
        else if (to[i] < smallest) smallest = to[i];
    }
    pthread_mutex_lock(&reading->lock);
    if (smallest < reading->smallest) reading->smallest = smallest;
    reading->padded += padded;
    pthread_mutex_unlock(&reading->lock);
}

static cover_status read_slice(struct reading *reading, struct dicom_work *work, int index) {
    const struct dicom_frame *slice = reading->slices[index];
    const struct dicom_object *object = slice->object;
    struct image *image = reading->image;
    struct dicom_stored stored;
    struct rescale rescale;
    void *to = (uint8_t *)image->data + (size_t)index * (size_t)reading->values * cover_dtype_bytes(image->dtype);
    TRY(read_rescale(&rescale, reading->set, object, slice->frame));
    TRY(dicom_frame_stored(&stored, work, object, slice->frame, object == reading->deflated ? reading->inflated : NULL));
    if (stored.count != reading->values) return fail(COVER_ERROR_INTERNAL, "a slice of another size");
    const bool keep = reading->set->options.padding && strcmp(reading->set->options.padding, "keep") == 0;
    if (!stored.values || keep) rescale.padded = false;
    int32_t *values = work->stored;
    if (object->inverted && stored.values) { /* R21; padding is what it was before */
        const int32_t top = stored.is_signed ? -1 : (int32_t)((1u << (stored.bits - 1)) * 2 - 1);
        for (int64_t i = 0; i < stored.count; i++) values[i] = top - values[i];
        const int32_t low = top - rescale.padding[1];
        rescale.padding[1] = top - rescale.padding[0], rescale.padding[0] = low;
    }
    if (image->dtype != COVER_F32) {
        to_integers(to, image->dtype, values, stored.count);
        return COVER_OK;
    }
    to_floats(to, &stored, &rescale, object);
    if (rescale.padded) mark_padding(reading, to, values, &rescale);
    return COVER_OK;
}

static void worker(void *data, int number) {
    struct reading *reading = data;
    struct dicom_work work = {.context = reading->set->context};
    (void)number;
    for (int index; (index = atomic_fetch_add(&reading->next, 1)) < reading->count;) {
        const cover_status status = cancelled(reading->set->context) ? COVER_ERROR_CANCELLED : read_slice(reading, &work, index);
        if (status == COVER_OK) continue;
        pthread_mutex_lock(&reading->lock);
        if (reading->status == COVER_OK || index < reading->failed) {
            reading->status = status, reading->failed = index;
            snprintf(reading->text, sizeof reading->text, "%s", cover_error_text());
        }
        pthread_mutex_unlock(&reading->lock);
        break;
    }
    dicom_work_free(&work);
}

/* ---- the whole */

/* u8 and u16 stay what they are, unless something is done to them (R19). */
static cover_status choose_type(const struct reading *reading) {
    int bits = 1;
    bool plain = reading->volume->tilt_degrees == 0;
    for (int i = 0; i < reading->count && plain; i++) {
        const struct dicom_object *object = reading->slices[i]->object;
        struct rescale rescale;
        TRY(read_rescale(&rescale, reading->set, object, reading->slices[i]->frame));
        plain = !rescale.given && !rescale.padded && rescale.window[1] == 0 && !object->shape.is_signed && !object->floating;
        if (object->photometric == PHOTOMETRIC_PALETTE) bits = 16; /* unless its tables say less */
        else if (object->shape.bits_stored > bits) bits = object->shape.bits_stored;
    }
    reading->image->dtype = !plain || bits > 16 ? COVER_F32 : bits > 8 ? COVER_U16 : COVER_U8;
    return COVER_OK;
}

static void fill_padding(struct reading *reading) {
    const float smallest = isfinite(reading->smallest) ? reading->smallest : 0;
    float *values = reading->image->data;
    const int64_t count = reading->values * reading->count;
    if (reading->padded > 0)
        for (int64_t i = 0; i < count; i++)
            if (isnan(values[i])) values[i] = smallest;
}

static void note_odd(struct image *image, const struct reading *reading) {
    const struct dicom_volume *volume = reading->volume;
    size_t at = 0;
    if (volume->duplicates)
        at += (size_t)number_print(image->note, sizeof image->note, "%d doubles of its slices were left out", volume->duplicates);
    if (reading->padded && at < sizeof image->note)
        number_print(image->note + at, sizeof image->note - at, "%s%lld pixels of padding became the smallest of the others",
                     at ? "; " : "", (long long)reading->padded);
}

static cover_status run(struct reading *reading, bool alone) {
    struct pool *pool;
    char series[DICOM_SERIES_BYTES], name[DICOM_NAME_BYTES];
    TRY(context_pool(reading->set->context, &pool));
    if (alone) worker(reading, 0);
    else pool_run(pool, worker, reading);
    if (reading->status != COVER_OK) {
        if (reading->status == COVER_ERROR_CANCELLED) return fail(COVER_ERROR_CANCELLED, "cancelled while slices were read");
        (void)fail_text(reading->status, reading->text);
        return fail_in(reading->status, "%s, %s",
                       dicom_series_name(reading->set, (int)(reading->volume - reading->set->volumes), series),
                       dicom_object_name(reading->slices[reading->failed]->object, name));
    }
    fill_padding(reading);
    return reading->volume->tilt_degrees > 0 ? dicom_straighten(reading->image, reading->set->context, reading->volume) : COVER_OK;
}

void dicom_volume_look(struct image *image, const struct cover_dicom *set, int index, int frame) {
    const struct dicom_volume *volume = &set->volumes[index];
    const struct dicom_object *first = volume->slices[0]->object;
    const int count = frame < 0 ? volume->count : 1;
    *image = (struct image){.dims = count > 1 ? 3 : 2,
                            .channels = volume->channels,
                            .size = {count, first->shape.rows, first->shape.columns},
                            .volume = !volume->images,
                            .lossy = first->syntax->may_be_lossy ||
                                     dicom_text_is(&first->tree, dicom_find(&first->tree, NULL, TAG_LOSSY), "01")};
    memcpy(image->spacing_mm, volume->spacing_mm, sizeof image->spacing_mm);
    memcpy(image->affine, volume->affine, sizeof image->affine);
}

cover_status dicom_volume_image(struct image *image, const struct cover_dicom *set, int index, int frame, bool alone) {
    const struct dicom_volume *volume = &set->volumes[index];
    const struct dicom_object *first = volume->slices[0]->object;
    const struct image_source limits = {.context = set->context, .limit_bytes = memory_left(set->context)};
    char series[DICOM_SERIES_BYTES];
    size_t bytes;
    if (volume->refusal) return fail(COVER_ERROR_FORMAT, "%s: %s", dicom_series_name(set, index, series), volume->refusal);
    dicom_volume_look(image, set, index, frame);
    struct reading reading = {.set = set,
                              .volume = volume,
                              .slices = volume->slices + (frame < 0 ? 0 : frame),
                              .count = frame < 0 ? volume->count : 1,
                              .image = image,
                              .values = (int64_t)first->shape.rows * first->shape.columns * volume->channels,
                              .smallest = INFINITY};
    cover_status status;
    pthread_mutex_init(&reading.lock, NULL);
    GO(choose_type(&reading));
    GO(image_allocate(image, &limits, &bytes));
    if (first->tree.deflated && reading.count > 1 && first->frames > 1) {
        GO(dicom_inflate_pixels(&reading.inflated, set->context, first));
        reading.deflated = first;
    }
    GO(run(&reading, alone));
    note_odd(image, &reading);
done:
    memory_free(set->context, reading.inflated);
    pthread_mutex_destroy(&reading.lock);
    if (status != COVER_OK) image_free(image, set->context);
    return status;
}
