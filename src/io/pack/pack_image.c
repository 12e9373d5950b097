/* One item of a plan becomes a stored sample: its files read and checked, the rules applied (image_rules.h), the result
 * hashed and compressed.  Called by pack.c on its worker threads. */
#include "io/image/image_pixels.h"
#include "pack_job.h"
#include "pack_segments.h"

#include <string.h>

/* ---- labels */

/* Numbers are smaller than their values, so the type holds them. */
static void renumber(struct image *label, const uint16_t *number) {
    for (int64_t i = 0, n = values_of(label); i < n; i++) {
        if (label->dtype == COVER_U8) ((uint8_t *)label->data)[i] = (uint8_t)number[((uint8_t *)label->data)[i]];
        else ((uint16_t *)label->data)[i] = number[((uint16_t *)label->data)[i]];
    }
}

/* What values it holds, and that they are among those that may occur. */
static cover_status look_through(const struct image *label, const struct pack_item *item, struct packed_sample *sample) {
    int most = 0;
    for (int64_t i = 0, n = values_of(label); i < n; i++) {
        const int value = (int)value_at(label, i);
        if (value > most) most = value;
        if (value < 256) sample->seen[value / 64] |= (uint64_t)1 << value % 64;
    }
    sample->label_max = most;
    if (item->label_classes == 0 || most < item->label_classes) return COVER_OK;
    return fail(COVER_ERROR_FORMAT, "%s: it holds %d, but dataset.json names labels up to %d", item->label, most,
                item->label_classes - 1);
}

static cover_status read_label(struct image *label, cover_context *context, const struct pack_plan *plan,
                               const struct pack_item *item, const struct image *image, struct packed_sample *sample) {
    const char *name = item->label ? item->label : "its segmentation";
    if (item->segmentation) TRY(pack_segments_read(label, context, plan, item));
    else TRY(label_map_read(label, context, item->label));
    if (memcmp(label->size, image->size, sizeof label->size) != 0)
        return fail(COVER_ERROR_SHAPE, "%s: it is %lldx%lldx%lld, but its image %s %lldx%lldx%lld", name, (long long)label->size[0],
                    (long long)label->size[1], (long long)label->size[2], item->path, (long long)image->size[0],
                    (long long)image->size[1], (long long)image->size[2]);
    cover_status status = image_check_place(image, label, "it");
    if (status != COVER_OK) return fail_in(status, "%s", name);
    if (item->label_number) renumber(label, item->label_number);
    return look_through(label, item, sample);
}

/* ---- sizes */

/* What a stored image may have is known before anything is resampled. */
static cover_status check_stored(const struct image *image, const struct image_rules *rules) {
    struct image like = *image;
    const struct turn turn = image_rules_turn(rules, image);
    struct dataset_row row = {.dtype = (uint8_t)dataset_dtype_code(image->dtype)};
    int64_t size[3];
    uint64_t bytes;
    image_take_dims(&like, rules->dims);
    image_turn_geometry(&like, &turn);
    TRY(image_rules_size(rules, &like, size));
    for (int a = 0; a < 3; a++) row.size[a] = size[a] > UINT32_MAX ? UINT32_MAX : (uint32_t)size[a];
    if (dataset_image_bytes(&row, rules->channels ? rules->channels : image->channels, &bytes)) return COVER_OK;
    return fail(COVER_ERROR_SHAPE,
                "%lldx%lldx%lld would be 4 GiB or more once packed; choose another size or spacing (are its units right?)",
                (long long)size[0], (long long)size[1], (long long)size[2]);
}

/* ---- all of it */

static cover_status prepare(struct image *image, struct image *label, struct packed_sample *sample, cover_context *context,
                            const struct pack_job *job, const struct pack_item *item) {
    const struct image_rules *rules = &job->rules;
    const struct cover_dicom *dicom = job->plan.dicom;
    if (item->volume) TRY(dicom_volume_image(image, dicom, (int)(item->volume - dicom->volumes), item->frame, true));
    else TRY(image_read_files(image, context, item->files, item->file_count));
    if (item->channels > 0 && rules->channels == 0 && image->channels != item->channels)
        return fail(COVER_ERROR_SHAPE,
                    "%d %s in %d %s, but dataset.json names %d; add what is missing, correct channel_names, or pass "
                    "channels grey or rgb to convert",
                    image->channels, image->channels == 1 ? "channel" : "channels", item->file_count,
                    item->file_count == 1 ? "file" : "files", item->channels);
    const bool labelled = item->label || item->segmentation;
    if (labelled) TRY(read_label(label, context, &job->plan, item, image, sample));
    TRY(check_stored(image, rules));
    const bool of_label = item->label && label->note[0] && !image->note[0];
    if (image->note[0] || of_label) sample->noted = of_label ? item->label : item->path;
    memcpy(sample->note, of_label ? label->note : image->note, sizeof sample->note);
    return image_rules_apply(rules, context, image, labelled ? label : NULL);
}

static cover_status store(struct packed_sample *sample, cover_context *context, const struct pack_item *item,
                          const struct image *image, const struct image *label) {
    uint64_t bytes, label_bytes = 0;
    struct dataset_row *row = &sample->row;
    *row = (struct dataset_row){.dtype = (uint8_t)dataset_dtype_code(image->dtype),
                                .label_dtype = DATASET_NO_LABEL,
                                .class_index = item->class_index,
                                .multilabel = item->multilabel,
                                .class_set = item->class_set,
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
    TRY(dataset_compress(context, image->data, bytes, cover_dtype_bytes(image->dtype), &sample->image, &row->image_bytes));
    if (label->data)
        TRY(dataset_compress(context, label->data, label_bytes, cover_dtype_bytes(label->dtype), &sample->label,
                             &row->label_bytes));
    return COVER_OK;
}

cover_status pack_image(struct packed_sample *sample, const struct pack_job *job, const struct pack_item *item) {
    cover_context *context = job->context;
    struct image image = {0}, label = {0};
    *sample = (struct packed_sample){.label_max = -1};
    if (item->unusable) return fail_text(COVER_ERROR_FORMAT, item->unusable);
    cover_status status = prepare(&image, &label, sample, context, job, item);
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
