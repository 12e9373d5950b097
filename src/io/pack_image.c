/* One item of a plan becomes a stored sample: its files read, made one image, checked, clipped, resampled, hashed and
 * compressed (docs/dataset.md, "Preparation", gives the order).  Called by pack.c on its worker threads. */
#include "pack_pixels.h"

#include "resample.h"

#include <math.h>
#include <string.h>

/* ---- reading: the files of an item as one image */

/* Put `part` behind the channels of `whole`. */
static cover_status add_channels(struct image *whole, const struct image *part, cover_context *context,
                                 const char *path) {
    if (memcmp(whole->size, part->size, sizeof whole->size) != 0)
        return fail(COVER_ERROR_SHAPE, "%s is %lldx%lldx%lld, but the channels before it are %lldx%lldx%lld", path,
                    (long long)part->size[0], (long long)part->size[1], (long long)part->size[2],
                    (long long)whole->size[0], (long long)whole->size[1], (long long)whole->size[2]);
    struct image both = *whole;
    both.dtype = whole->dtype == part->dtype ? whole->dtype : COVER_F32;
    both.channels = whole->channels + part->channels;
    const size_t element = cover_dtype_bytes(both.dtype);
    const int64_t pixels = pixels_of(whole);
    int64_t values, bytes;
    if (!multiply(pixels, both.channels, &values) || !multiply(values, (int64_t)element, &bytes))
        return fail(COVER_ERROR_SHAPE, "%d channels of this size are too large", both.channels);
    both.data = memory_alloc(context, (size_t)bytes);
    if (!both.data) return COVER_ERROR_MEMORY;
    const struct image *const parts[] = {whole, part};
    char *to = both.data;
    for (int p = 0; p < 2; p++)
        for (int c = 0; c < parts[p]->channels; c++, to += element) {
            const char *from = (const char *)parts[p]->data + (size_t)c * cover_dtype_bytes(parts[p]->dtype);
            cover_tensor *source = NULL, *target = NULL;
            cover_status status = cover_tensor_wrap(&source, context, parts[p]->dtype, 1, &pixels,
                                                    (int64_t[]){parts[p]->channels}, (void *)(uintptr_t)from);
            if (status == COVER_OK)
                status = cover_tensor_wrap(&target, context, both.dtype, 1, &pixels, (int64_t[]){both.channels}, to);
            if (status == COVER_OK) status = cover_tensor_copy(target, source);
            cover_tensor_destroy(source);
            cover_tensor_destroy(target);
            if (status != COVER_OK) {
                memory_free(context, both.data);
                return status;
            }
        }
    memory_free(context, whole->data);
    *whole = both;
    return COVER_OK;
}

static cover_status read_files(struct image *image, cover_context *context, const struct pack_item *item) {
    TRY(image_read(image, context, item->files[0], 0));
    for (int f = 1; f < item->file_count; f++) {
        struct image part;
        cover_status status = image_read(&part, context, item->files[f], 0);
        if (status != COVER_OK) return status;
        status = add_channels(image, &part, context, item->files[f]);
        image_free(&part, context);
        TRY(status);
    }
    return COVER_OK;
}

/* ---- checks and conversions, each in one pass */

static cover_status check_dims(struct image *image, int dims) {
    if (dims == 2 && image->dims == 3 && image->size[0] == 1) image->dims = 2; /* one slice is a 2D image */
    if (dims == 0 || dims == image->dims) return COVER_OK;
    return fail(COVER_ERROR_SHAPE, "%dD image (%lldx%lldx%lld), but %dD was asked for; convert it, or leave dims alone",
                image->dims, (long long)image->size[0], (long long)image->size[1], (long long)image->size[2], dims);
}

static cover_status check_finite(const struct image *image) {
    if (image->dtype != COVER_F32) return COVER_OK;
    const float *values = image->data;
    int64_t bad = 0;
    for (int64_t i = 0, n = values_of(image); i < n; i++) bad += !isfinite(values[i]);
    if (bad == 0) return COVER_OK;
    return fail(COVER_ERROR_NUMERIC, "%lld of %lld values are NaN or infinite", (long long)bad,
                (long long)values_of(image));
}

/* Grey = (299 R + 587 G + 114 B) / 1000 (ITU-R BT.601), rounded half up for integers. */
static cover_status to_grey(struct image *image) {
    const int64_t pixels = pixels_of(image);
    if (image->channels == 1) return COVER_OK;
    if (image->channels != 3)
        return fail(COVER_ERROR_SHAPE, "%d channels cannot be made grey; leave the channels option out",
                    image->channels);
    for (int64_t i = 0; i < pixels; i++) { /* in place: pixel i moves to or before its old place */
        const double grey =
            (299 * value_at(image, 3 * i) + 587 * value_at(image, 3 * i + 1) + 114 * value_at(image, 3 * i + 2)) / 1000;
        if (image->dtype == COVER_U8)
            ((uint8_t *)image->data)[i] = (uint8_t)(grey + 0.5);
        else if (image->dtype == COVER_U16)
            ((uint16_t *)image->data)[i] = (uint16_t)(grey + 0.5);
        else
            ((float *)image->data)[i] = (float)grey;
    }
    image->channels = 1;
    return COVER_OK;
}

static cover_status to_rgb(struct image *image, cover_context *context) {
    const int64_t pixels = pixels_of(image);
    const size_t element = cover_dtype_bytes(image->dtype);
    int64_t bytes;
    if (image->channels == 3) return COVER_OK;
    if (image->channels != 1)
        return fail(COVER_ERROR_SHAPE, "%d channels cannot be made RGB; leave the channels option out",
                    image->channels);
    if (!multiply(pixels, 3 * (int64_t)element, &bytes)) return fail(COVER_ERROR_SHAPE, "too large for three channels");
    char *data = memory_alloc(context, (size_t)bytes);
    if (!data) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < 3 * pixels; i++)
        memcpy(data + (size_t)i * element, (const char *)image->data + (size_t)(i / 3) * element, element);
    memory_free(context, image->data);
    image->data = data, image->channels = 3;
    return COVER_OK;
}

/* ---- sizes */

static cover_status wanted_size(int64_t size[3], const struct image *image, const cover_pack_options *options) {
    if (image->dims == 2 && options->size[0] > 0)
        return fail(COVER_ERROR_SHAPE, "2D image, but a size along D was asked for; give H and W only");
    for (int a = 0; a < 3; a++) {
        const double spacing = options->spacing_mm[a];
        size[a] = image->size[a];
        if (image->dims == 2 && a == 0) continue;
        if (options->size[a] > 0) size[a] = options->size[a];
        if (!(spacing > 0)) continue;
        if (!(image->spacing_mm[a] > 0))
            return fail(COVER_ERROR_SHAPE,
                        "its spacing along %c is not known, so it cannot be resampled to %g mm; give a "
                        "size instead",
                        "DHW"[a], spacing);
        const double pixels = rint((double)image->size[a] * image->spacing_mm[a] / spacing);
        if (pixels > (double)UINT32_MAX)
            return fail(COVER_ERROR_SHAPE, "%g mm along %c would make %g pixels", spacing, "DHW"[a], pixels);
        size[a] = pixels < 1 ? 1 : (int64_t)pixels;
    }
    return COVER_OK;
}

/* ---- labels */

static cover_status to_label(struct image *label, cover_context *context, int classes, int *largest) {
    const int64_t count = values_of(label);
    double most = 0;
    for (int64_t i = 0; i < count; i++) {
        const double value = value_at(label, i);
        if (!(value >= 0 && value <= UINT16_MAX) || value != rint(value))
            return fail(COVER_ERROR_FORMAT, "its label holds %g, which is no whole number from 0 to %d", value,
                        UINT16_MAX);
        if (value > most) most = value;
    }
    if (classes > 0 && most >= classes)
        return fail(COVER_ERROR_FORMAT, "its label holds %g, but dataset.json names labels up to %d", most,
                    classes - 1);
    *largest = (int)most;
    const cover_dtype dtype = most <= UINT8_MAX ? COVER_U8 : COVER_U16;
    if (label->dtype == dtype) return COVER_OK;
    void *data = memory_alloc(context, (size_t)count * cover_dtype_bytes(dtype));
    if (!data) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++) {
        if (dtype == COVER_U8)
            ((uint8_t *)data)[i] = (uint8_t)value_at(label, i);
        else
            ((uint16_t *)data)[i] = (uint16_t)value_at(label, i);
    }
    memory_free(context, label->data);
    label->data = data, label->dtype = dtype;
    return COVER_OK;
}

static cover_status read_label(struct image *label, cover_context *context, const struct pack_item *item,
                               const struct image *image, int *largest) {
    TRY(image_read(label, context, item->label, 0));
    if (label->channels != 1)
        return fail(COVER_ERROR_SHAPE, "its label has %d channels; a label map has one", label->channels);
    if (memcmp(label->size, image->size, sizeof label->size) != 0)
        return fail(COVER_ERROR_SHAPE, "its label is %lldx%lldx%lld, but the image %lldx%lldx%lld",
                    (long long)label->size[0], (long long)label->size[1], (long long)label->size[2],
                    (long long)image->size[0], (long long)image->size[1], (long long)image->size[2]);
    return to_label(label, context, item->label_classes, largest);
}

/* ---- all of it */

static cover_status prepare(struct image *image, struct image *label, int *label_max, cover_context *context,
                            const cover_pack_options *options, const struct pack_item *item) {
    int64_t size[3];
    TRY(read_files(image, context, item));
    TRY(check_dims(image, options->dims));
    TRY(check_finite(image));
    if (item->channels > 0 && options->channels == 0 && image->channels != item->channels)
        return fail(COVER_ERROR_SHAPE, "%d channels, but dataset.json names %d; pass channels grey or rgb to convert",
                    image->channels, item->channels);
    if (options->channels == 1) TRY(to_grey(image));
    if (options->channels == 3) TRY(to_rgb(image, context));
    TRY(pack_check_varies(image, ""));
    if (item->label) TRY(read_label(label, context, item, image, label_max));
    TRY(pack_clip(image, context, options));
    TRY(wanted_size(size, image, options));
    TRY(resample_linear(image, context, size));
    if (item->label) TRY(resample_nearest(label, context, size));
    return pack_check_varies(image, " once resampled");
}

static cover_status store(struct packed_sample *sample, cover_context *context, const struct pack_item *item,
                          const struct image *image, const struct image *label) {
    uint64_t bytes, label_bytes = 0;
    struct dataset_row *row = &sample->row;
    *row = (struct dataset_row){.dtype = (uint8_t)dataset_dtype_code(image->dtype),
                                .label_dtype = DATASET_NO_LABEL,
                                .class_index = item->class_index,
                                .split = (uint8_t)item->split};
    sample->dims = image->dims, sample->channels = image->channels;
    for (int a = 0; a < 3; a++) {
        if (image->size[a] > UINT32_MAX) return fail(COVER_ERROR_SHAPE, "more than 2^32 pixels along %c", "DHW"[a]);
        row->size[a] = (uint32_t)image->size[a];
    }
    memcpy(row->spacing_mm, image->spacing_mm, sizeof row->spacing_mm);
    memcpy(row->affine, image->affine, sizeof row->affine);
    if (label->data) row->label_dtype = (uint8_t)dataset_dtype_code(label->dtype);
    if (!dataset_image_bytes(row, image->channels, &bytes) || (label->data && !dataset_label_bytes(row, &label_bytes)))
        return fail(COVER_ERROR_SHAPE, "4 GiB or more once packed; resample it with size or spacing");
    dataset_digest(row->digest, row, image->dims, image->channels, image->data, bytes, label->data, label_bytes);
    TRY(dataset_compress(context, image->data, bytes, cover_dtype_bytes(image->dtype), &sample->image,
                         &row->image_bytes));
    if (label->data)
        TRY(dataset_compress(context, label->data, label_bytes, cover_dtype_bytes(label->dtype), &sample->label,
                             &row->label_bytes));
    return COVER_OK;
}

cover_status pack_image(struct packed_sample *sample, cover_context *context, const cover_pack_options *options,
                        const struct pack_item *item) {
    struct image image = {0}, label = {0};
    *sample = (struct packed_sample){.label_max = -1};
    if (item->unusable) return fail(COVER_ERROR_FORMAT, "%s", item->unusable);
    cover_status status = prepare(&image, &label, &sample->label_max, context, options, item);
    if (status == COVER_OK) status = store(sample, context, item, &image, &label);
    image_free(&image, context);
    image_free(&label, context);
    if (status != COVER_OK) packed_sample_free(sample, context);
    return status;
}

void packed_sample_free(struct packed_sample *sample, cover_context *context) {
    memory_free(context, sample->image);
    memory_free(context, sample->label);
    sample->image = sample->label = NULL;
}
