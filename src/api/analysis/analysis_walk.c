/* Labelled images and their features: see analysis_walk.h. */
#include "analysis_walk.h"

#include "core/base/convert.h"
#include "core/base/philox.h"
#include "core/base/tensor.h"
#include "core/views/intensity.h"

#include <math.h>
#include <string.h>

enum { IMAGES_DEFAULT = 16 };

/* ---- which images */

static cover_status sample_of(const struct walk *walk, int64_t index, cover_sample_info *info) {
    *info = (cover_sample_info)COVER_SAMPLE_INFO_INIT;
    return cover_dataset_sample(info, walk->dataset, index);
}

/* All labelled samples, then the first of a shuffle (Fisher and Yates). */
static cover_status choose(struct walk *walk, int64_t samples, const char *data) {
    struct random_stream random = random_stream(walk->options.seed, RANDOM_ANALYSIS, 0, 0);
    int64_t labelled = 0;
    walk->chosen = memory_alloc(walk->context, (size_t)samples * sizeof *walk->chosen);
    if (!walk->chosen) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < samples; i++) {
        cover_sample_info info;
        TRY(sample_of(walk, i, &info));
        if (info.has_label || info.class_index >= 0) walk->chosen[labelled++] = i;
    }
    if (!labelled) return fail(COVER_ERROR_ARGUMENT, "%s: no image has a label map or a class; pack the labels, too", data);
    int64_t wanted = walk->options.images ? walk->options.images : IMAGES_DEFAULT;
    walk->images = wanted < labelled ? wanted : labelled;
    for (int64_t i = 0; i < walk->images; i++) {
        int64_t other = i + (int64_t)(((uint64_t)random_word(&random) * (uint64_t)(labelled - i)) >> 32), moved = walk->chosen[i];
        walk->chosen[i] = walk->chosen[other], walk->chosen[other] = moved;
    }
    return COVER_OK;
}

void cover_feature_options_init(cover_feature_options *options, size_t struct_size) {
    static const cover_feature_options fresh = COVER_FEATURE_OPTIONS_INIT;
    options_init(options, struct_size, &fresh, sizeof fresh);
}

cover_status walk_open(struct walk *walk, cover_context *context, const char *weights, const char *data,
                       const cover_feature_options *options) {
    *walk = (struct walk){.context = context, .options = COVER_FEATURE_OPTIONS_INIT};
    TRY(options_read(&walk->options, sizeof walk->options, options, "cover_feature_options"));
    TRY(cover_backbone_load(&walk->backbone, context, weights, NULL));
    walk->settings = *config_settings(cover_backbone_config(walk->backbone));
    walk->levels = backbone_levels(context, &walk->settings.network);
    if (walk->options.level < -1 || walk->options.level >= walk->levels.count || walk->options.images < 0 ||
        walk->options.points < 0)
        return fail(COVER_ERROR_ARGUMENT,
                    "features: level %d of %lld images at %lld points: levels are 0 (coarse) to %d, numbers "
                    "not negative",
                    walk->options.level, (long long)walk->options.images, (long long)walk->options.points, walk->levels.count - 1);
    TRY(cover_dataset_open(&walk->dataset, context, data));
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    TRY(cover_dataset_get_info(&info, walk->dataset));
    if (info.dims != walk->settings.network.dims || info.channels != walk->settings.network.channels)
        return fail(COVER_ERROR_SHAPE, "%s: %dD images with %d channel%s, but the network takes %dD with %d", data, info.dims,
                    info.channels, info.channels == 1 ? "" : "s", (int)walk->settings.network.dims,
                    (int)walk->settings.network.channels);
    return choose(walk, info.samples, data);
}

void walk_close(struct walk *walk) {
    cover_backbone_destroy(walk->backbone);
    cover_dataset_destroy(walk->dataset);
    memory_free(walk->context, walk->chosen);
}

cover_status walk_step(const struct walk *walk, int64_t at, int64_t total) {
    if (cancelled(walk->context)) return fail(COVER_ERROR_CANCELLED, "features: cancelled");
    return progress_call(walk->context, walk->options.progress, walk->options.user, at + 1, total, "features");
}

/* ---- labels */

static int label_value(const cover_tensor *map, int64_t pixel) {
    return cover_tensor_dtype(map) == COVER_U8 ? ((const uint8_t *)cover_tensor_data_const(map))[pixel]
                                               : ((const uint16_t *)cover_tensor_data_const(map))[pixel];
}

cover_status walk_labels(const struct walk *walk, int64_t at, int level, uint16_t **out, struct grid *grid) {
    cover_sample_info info;
    cover_tensor *map = NULL;
    const int64_t stride = walk->levels.at[level].stride;
    TRY(sample_of(walk, walk->chosen[at], &info));
    *grid = (struct grid){.ndim = (int)walk->settings.network.dims, .size = {1, 1, 1}};
    for (int i = 3 - grid->ndim; i < 3; i++) grid->size[i] = info.size[i];
    const struct grid full = *grid;
    *grid = level_grid(&full, (int)stride);
    if (info.has_label) TRY(cover_dataset_read_label(&map, walk->dataset, walk->chosen[at]));
    uint16_t *labels = memory_alloc(walk->context, (size_t)grid_pixels(grid) * sizeof *labels);
    for (int64_t pixel = 0; labels && pixel < grid_pixels(grid); pixel++) {
        int64_t place[3] = {pixel / grid->size[2] / grid->size[1], pixel / grid->size[2] % grid->size[1], pixel % grid->size[2]};
        for (int i = 3 - grid->ndim; i < 3; i++) { /* the centre of what the pixel covers */
            place[i] = place[i] * stride + stride / 2;
            if (place[i] >= info.size[i]) place[i] = info.size[i] - 1;
        }
        labels[pixel] =
            (uint16_t)(map ? label_value(map, (place[0] * info.size[1] + place[1]) * info.size[2] + place[2]) : info.class_index);
    }
    cover_tensor_destroy(map);
    *out = labels;
    return labels ? COVER_OK : COVER_ERROR_MEMORY;
}

/* ---- features */

/* Channels-last memory as a tensor (1, C, [D,] H, W). */
static cover_status wrap(cover_tensor **tensor, const struct walk *walk, float *values, const struct grid *grid) {
    int64_t channels = walk->settings.network.channels, shape[5] = {1, channels}, strides[5] = {0, 1};
    int rank = grid->ndim + 2;
    for (int i = 3 - grid->ndim, axis = 2; i < 3; i++, axis++) shape[axis] = grid->size[i];
    for (int64_t axis = rank - 1, stride = channels; axis >= 2; stride *= shape[axis--]) strides[axis] = stride;
    return cover_tensor_wrap(tensor, walk->context, COVER_F32, rank, shape, strides, values);
}

cover_status walk_features(const struct walk *walk, int64_t at, cover_features **features) {
    const int dims = (int)walk->settings.network.dims;
    float *values = NULL;
    struct tensor_layout layout;
    struct intensity intensity;
    cover_tensor *packed = NULL, *image = NULL;
    cover_status status;
    GO(cover_dataset_read(&packed, walk->dataset, walk->chosen[at]));
    GO(tensor_layout(&layout, packed, dims, "image"));
    int64_t count = grid_pixels(&layout.grid) * layout.channels;
    values = memory_alloc(walk->context, (size_t)count * sizeof *values);
    status = COVER_ERROR_MEMORY;
    if (!values) goto done;
    GO(tensor_to_channels_last(values, packed, dims));
    status = image_intensity(&intensity, values, &layout.grid, (int)layout.channels, walk->settings.views.normalise,
                             (float)dtype_integer_max(cover_tensor_dtype(packed)));
    if (status != COVER_OK) {
        cover_sample_info info;
        if (sample_of(walk, walk->chosen[at], &info) == COVER_OK) fail_in(status, "%s", info.name);
        goto done;
    }
    intensity_apply(values, count, &intensity);
    GO(wrap(&image, walk, values, &layout.grid));
    status = cover_backbone_forward(features, walk->backbone, image);
done:
    cover_tensor_destroy(packed);
    cover_tensor_destroy(image);
    memory_free(walk->context, values);
    return status;
}

cover_status walk_level(const struct walk *walk, const cover_features *features, int level, float **out, int64_t *channels) {
    const cover_tensor *tensor = cover_features_level(features, level);
    struct tensor_layout layout;
    TRY(tensor_layout(&layout, tensor, (int)walk->settings.network.dims, "features"));
    int64_t pixels = grid_pixels(&layout.grid);
    float *values = memory_alloc(walk->context, (size_t)(pixels * layout.channels) * sizeof *values);
    if (!values) return COVER_ERROR_MEMORY;
    cover_status status = tensor_to_channels_last(values, tensor, (int)walk->settings.network.dims);
    for (int64_t pixel = 0; pixel < pixels && status == COVER_OK; pixel++) {
        float *value = values + pixel * layout.channels;
        double square = 0;
        for (int64_t c = 0; c < layout.channels; c++) square += (double)value[c] * (double)value[c];
        if (!isfinite(square)) status = fail(COVER_ERROR_NUMERIC, "features of level %d: NaN or Inf", level);
        for (int64_t c = 0; c < layout.channels && square > 0; c++) value[c] = (float)((double)value[c] / sqrt(square));
    }
    if (status == COVER_OK) *out = values, *channels = layout.channels;
    else memory_free(walk->context, values);
    return status;
}
