/* Features at drawn pixels, and how far apart those of neighbours are (include/libcover/analysis.h). */
#include "analysis_walk.h"

#include "core/base/json.h"
#include "core/base/philox.h"

#include <math.h>
#include <string.h>

enum { POINTS_DEFAULT = 2000, LABELS = 65536 };

/* ---- points: as many of each class as far as it has them, each pixel of a class with the same chance */

struct points {
    struct walk walk;
    int64_t *left, *wanted; /* of each label: pixels not yet seen, and still to be drawn of them */
    int64_t count, taken;
    float *features; /* count x channels */
    int64_t channels;
    cover_tensor *labels;
};

/* Classes with few pixels give all, and what they lack is shared by the others. */
static cover_status share_out(struct points *points) {
    const struct walk *walk = &points->walk;
    points->left = memory_zero(walk->context, 2 * LABELS * sizeof *points->left);
    if (!points->left) return COVER_ERROR_MEMORY;
    points->wanted = points->left + LABELS;
    for (int64_t at = 0; at < walk->images; at++) {
        uint16_t *labels;
        struct grid grid;
        TRY(walk_labels(walk, at, walk->options.level, &labels, &grid));
        for (int64_t i = 0; i < grid_pixels(&grid); i++) points->left[labels[i]]++;
        memory_free(walk->context, labels);
    }
    int64_t rest = walk->options.points ? walk->options.points : POINTS_DEFAULT;
    for (bool more = true; rest > 0 && more;) {
        int64_t open = 0;
        for (int label = 0; label < LABELS; label++) open += points->wanted[label] < points->left[label];
        int64_t each = open && rest > open ? rest / open : 1;
        more = false;
        for (int label = 0; label < LABELS && rest > 0; label++) {
            int64_t room = points->left[label] - points->wanted[label], take = room < each ? room : each;
            if (take > rest) take = rest;
            points->wanted[label] += take, points->count += take, rest -= take;
            more = more || take > 0;
        }
    }
    return COVER_OK;
}

/* Selection sampling (Knuth 3.4.2, S): a pixel is taken with the chance that is left to it. */
static bool draws(struct points *points, int label, uint32_t word) {
    bool taken = (double)word * 0x1p-32 * (double)points->left[label]-- < (double)points->wanted[label];
    points->wanted[label] -= taken;
    return taken;
}

static cover_status take_image(struct points *points, int64_t at) {
    struct walk *walk = &points->walk;
    struct random_stream random = random_stream(walk->options.seed, RANDOM_ANALYSIS, 1, (uint32_t)at);
    cover_features *features = NULL;
    float *values = NULL;
    uint16_t *labels = NULL, *taken_labels;
    struct grid grid;
    cover_status status;
    GO(walk_labels(walk, at, walk->options.level, &labels, &grid));
    GO(walk_features(walk, at, &features));
    GO(walk_level(walk, features, walk->options.level, &values, &points->channels));
    if (!points->features) {
        points->features = memory_alloc(walk->context, (size_t)(points->count * points->channels) * sizeof(float));
        status = COVER_ERROR_MEMORY;
        if (!points->features) goto done;
    }
    taken_labels = cover_tensor_data(points->labels);
    for (int64_t i = 0; i < grid_pixels(&grid); i++) {
        if (!draws(points, labels[i], random_word(&random))) continue;
        memcpy(points->features + points->taken * points->channels, values + i * points->channels,
               (size_t)points->channels * sizeof(float));
        taken_labels[points->taken++] = labels[i];
    }
    status = walk_step(walk, at, walk->images);
done:
    memory_free(walk->context, labels);
    memory_free(walk->context, values);
    cover_features_destroy(features);
    return status;
}

static void release_values(void *user, void *values) { memory_free(user, values); }

cover_status cover_analysis_features(cover_tensor **features, cover_tensor **labels, cover_context *context, const char *weights,
                                     const char *data, const cover_feature_options *options) {
    if (!features || !labels || !context || !weights || !data)
        return fail(COVER_ERROR_ARGUMENT, "cover_analysis_features: an argument is NULL");
    struct points points = {0};
    cover_status status;
    GO(walk_open(&points.walk, context, weights, data, options));
    if (points.walk.options.level < 0) GO(fail(COVER_ERROR_ARGUMENT, "cover_analysis_features: points are of one level"));
    GO(share_out(&points));
    GO(cover_tensor_create(&points.labels, context, COVER_U16, 1, &points.count));
    for (int64_t at = 0; at < points.walk.images; at++) GO(take_image(&points, at));
    GO(cover_tensor_adopt(features, context, COVER_F32, 2, (int64_t[]){points.count, points.channels}, NULL, points.features,
                          release_values, context));
    *labels = points.labels, points.labels = NULL, points.features = NULL;
done:
    cover_tensor_destroy(points.labels);
    memory_free(context, points.features);
    memory_free(context, points.left);
    walk_close(&points.walk);
    return status;
}

/* ---- dispersion */

struct dispersion {
    double within, across, spread; /* sums */
    int64_t within_pairs, across_pairs, channels, images;
};

static double distance(const float *a, const float *b, int64_t channels) {
    double square = 0;
    for (int64_t c = 0; c < channels; c++) square += ((double)a[c] - (double)b[c]) * ((double)a[c] - (double)b[c]);
    return sqrt(square);
}

/* The mean square distance of any two vectors of length 1 is 2 (1 - |their mean|^2). */
static double spread(const float *values, int64_t pixels, int64_t channels) {
    double square = 0;
    for (int64_t c = 0; c < channels; c++) {
        double mean = 0;
        for (int64_t i = 0; i < pixels; i++) mean += (double)values[i * channels + c] / (double)pixels;
        square += mean * mean;
    }
    return fmax(0, 2 * (1 - square));
}

/* Each pixel and its next one along every axis. */
static void add_image(struct dispersion *sum, const float *values, const uint16_t *labels, const struct grid *grid) {
    const int64_t stride[3] = {grid->size[1] * grid->size[2], grid->size[2], 1}, channels = sum->channels;
    for (int64_t pixel = 0; pixel < grid_pixels(grid); pixel++)
        for (int axis = 0; axis < 3; axis++) {
            if (pixel / stride[axis] % grid->size[axis] + 1 == grid->size[axis]) continue;
            int64_t next = pixel + stride[axis];
            double away = distance(values + pixel * channels, values + next * channels, channels);
            if (labels[pixel] == labels[next]) sum->within += away, sum->within_pairs++;
            else sum->across += away, sum->across_pairs++;
        }
    sum->spread += spread(values, grid_pixels(grid), channels), sum->images++;
}

static cover_status add_levels(struct dispersion sums[LEVELS_MAX], const struct walk *walk, int64_t at) {
    cover_features *features;
    TRY(walk_features(walk, at, &features));
    cover_status status = COVER_OK;
    for (int level = 0; level < walk->levels.count && status == COVER_OK; level++) {
        if (walk->options.level >= 0 && walk->options.level != level) continue;
        uint16_t *labels = NULL;
        float *values = NULL;
        struct grid grid;
        status = walk_labels(walk, at, level, &labels, &grid);
        if (status == COVER_OK) status = walk_level(walk, features, level, &values, &sums[level].channels);
        if (status == COVER_OK) add_image(&sums[level], values, labels, &grid);
        memory_free(walk->context, labels);
        memory_free(walk->context, values);
    }
    cover_features_destroy(features);
    return status == COVER_OK ? walk_step(walk, at, walk->images) : status;
}

static void add_number(struct text *json, const char *name, double value) {
    text_add(json, ", \"%s\": ", name);
    text_add_number(json, value, 9);
}

cover_status cover_analysis_dispersion(char **json, cover_context *context, const char *weights, const char *data,
                                       const cover_feature_options *options) {
    if (!context || !weights || !data || !json) return fail(COVER_ERROR_ARGUMENT, "cover_analysis_dispersion: an argument is NULL");
    cover_feature_options each = COVER_FEATURE_OPTIONS_INIT;
    each.level = -1;
    struct dispersion sums[LEVELS_MAX] = {0};
    struct walk walk;
    struct text text = {.context = context};
    cover_status status;
    GO(walk_open(&walk, context, weights, data, options ? options : &each));
    for (int64_t at = 0; at < walk.images; at++) GO(add_levels(sums, &walk, at));
    text_add(&text, "{\"images\": %lld, \"levels\": [", (long long)walk.images);
    for (int level = 0, listed = 0; level < walk.levels.count; level++) {
        const struct dispersion *sum = &sums[level];
        if (!sum->images) continue;
        double within = sum->within / (double)sum->within_pairs, across = sum->across / (double)sum->across_pairs;
        text_add(&text, "%s{\"level\": %d, \"stride\": %d, \"channels\": %lld", listed++ ? ", " : "", level,
                 walk.levels.at[level].stride, (long long)sum->channels);
        add_number(&text, "within", within);
        add_number(&text, "across", across);
        add_number(&text, "ratio", across / within);
        text_add(&text, ", \"within_pairs\": %lld, \"across_pairs\": %lld", (long long)sum->within_pairs,
                 (long long)sum->across_pairs);
        add_number(&text, "spread", sqrt(sum->spread / (double)sum->images));
        text_add(&text, "}");
    }
    text_add(&text, "]}");
    status = text_take(&text, json);
done:
    text_free(&text);
    walk_close(&walk);
    return status;
}
