/* The dataset behind core/method/reader.h: images as floats, label maps, classes; its rules. */
#include "reader.h"

static cover_status read_image(void *user, int64_t index, float **pixels, struct grid *grid, int *integer_max) {
    return dataset_read_f32(user, index, pixels, grid, integer_max);
}

static const char *sample_name(void *user, int64_t index) {
    cover_sample_info info = COVER_SAMPLE_INFO_INIT;
    return cover_dataset_sample(&info, user, index) == COVER_OK ? info.name : "?";
}

static cover_status read_label(void *user, int64_t index, uint16_t **out, struct grid *grid) {
    const cover_dataset *dataset = user;
    struct dataset_row row;
    uint64_t bytes;
    TRY(dataset_row(dataset, index, &row));
    if (row.label_dtype == DATASET_NO_LABEL) return fail(COVER_ERROR_ARGUMENT, "it has no label map");
    dataset_label_bytes(&row, &bytes);
    *grid = (struct grid){.ndim = dataset->directory.dims, .size = {row.size[0], row.size[1], row.size[2]}};
    int64_t pixels = grid_pixels(grid);
    uint16_t *label = memory_alloc(dataset->context, (size_t)pixels * sizeof *label);
    if (!label) return COVER_ERROR_MEMORY;
    /* bytes are read into the end of the buffer and spread from the front: the read place never lies behind the written one */
    uint8_t *stored = (uint8_t *)label + (size_t)pixels * sizeof *label - bytes;
    cover_status status = dataset_label(dataset, index, &row, stored);
    if (status == COVER_OK && bytes == (uint64_t)pixels)
        for (int64_t p = 0; p < pixels; p++) {
            uint8_t value = stored[p];
            label[p] = value;
        }
    if (status == COVER_OK) *out = label;
    else memory_free(dataset->context, label);
    return status;
}

static cover_status read_target(void *user, int64_t index, float *target, int targets) {
    const cover_dataset *dataset = user;
    struct dataset_row row;
    TRY(dataset_row(dataset, index, &row));
    if (dataset->directory.multilabel) {
        for (int k = 0; k < targets; k++) target[k] = (float)(row.class_set >> k & 1);
        return COVER_OK;
    }
    if (row.class_index < 0) return fail(COVER_ERROR_ARGUMENT, "it has no class");
    *target = (float)row.class_index;
    return COVER_OK;
}

struct sample_reader dataset_reader(const cover_dataset *dataset) {
    const struct dataset_directory *d = &dataset->directory;
    return (struct sample_reader){.count = d->samples,
                                  .channels = d->channels,
                                  .largest = {d->dims, {d->max_size[0], d->max_size[1], d->max_size[2]}},
                                  .read = read_image,
                                  .name = sample_name,
                                  .label = read_label,
                                  .target = read_target,
                                  .ignore = dataset->ignore_label,
                                  .user = (void *)(uintptr_t)dataset};
}

cover_status dataset_rules(struct image_rules *rules, const cover_dataset *dataset) {
    const json_t *about;
    TRY(dataset_about_json(dataset, &about));
    TRY(image_rules_read(rules, json_object_get(about, "options"), dataset->path));
    rules->dims = dataset->directory.dims;
    return COVER_OK;
}
