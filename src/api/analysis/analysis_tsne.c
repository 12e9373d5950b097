/* t-SNE of any points, and of a network's features, drawn with labels as colours (include/libcover/analysis.h). */
#include "core/base/files.h"
#include "core/metrics/tsne.h"
#include "report/plot.h"

#include <libcover/analysis.h>
#include <libcover/dataset.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EXACT_POINTS = 1000, PNG_SIDE = 1200, LABELS = 65536 };

/* ---- points to the plane */

static float value_at(const cover_tensor *points, int64_t row, int64_t column) {
    const int64_t *strides = cover_tensor_strides(points);
    return ((const float *)cover_tensor_data_const(points))[row * strides[0] + column * strides[1]];
}

/* Dense float32, checked. */
static cover_status read_points(float **out, cover_context *context, const cover_tensor *points) {
    const int64_t *shape = cover_tensor_shape(points);
    cover_tensor *converted = NULL;
    cover_status status = COVER_ERROR_MEMORY;
    float *values = memory_alloc(context, (size_t)(shape[0] * shape[1]) * sizeof *values);
    if (!values) goto done;
    if (cover_tensor_dtype(points) != COVER_F32) {
        GO(cover_tensor_create(&converted, context, COVER_F32, 2, shape));
        GO(cover_tensor_copy(converted, points));
        points = converted;
    }
    for (int64_t i = 0; i < shape[0]; i++)
        for (int64_t c = 0; c < shape[1]; c++) {
            float value = values[i * shape[1] + c] = value_at(points, i, c);
            if (!isfinite(value))
                GO(fail(COVER_ERROR_NUMERIC, "t-SNE: value %lld of point %lld is %g", (long long)c, (long long)i, (double)value));
        }
    *out = values, values = NULL;
    status = COVER_OK;
done:
    cover_tensor_destroy(converted);
    memory_free(context, values);
    return status;
}

cover_status cover_points_tsne(cover_tensor **plane, double *kl, cover_context *context, const cover_tensor *points,
                               const cover_tsne_options *given) {
    if (!plane || !context || !points) return fail(COVER_ERROR_ARGUMENT, "cover_points_tsne: an argument is NULL");
    cover_tsne_options options = COVER_TSNE_OPTIONS_INIT;
    TRY(options_read(&options, sizeof options, given, "cover_tsne_options"));
    if (cover_tensor_rank(points) != 2 || cover_tensor_shape(points)[0] < 4 || cover_tensor_shape(points)[0] > INT32_MAX)
        return fail(COVER_ERROR_SHAPE, "t-SNE: give points as (N, C) with at least 4 of them");
    int64_t count = cover_tensor_shape(points)[0], channels = cover_tensor_shape(points)[1];
    if (options.perplexity == 0) options.perplexity = fmin(30, (double)(count - 1) / 3);
    if (!(options.perplexity >= 1) || options.perplexity > (double)(count - 1) / 3 || options.iterations < 0)
        return fail(COVER_ERROR_ARGUMENT, "t-SNE: a perplexity of %g for %lld points: give 1 to %g", options.perplexity,
                    (long long)count, (double)(count - 1) / 3);
    struct tsne_options run = {.perplexity = options.perplexity,
                               .theta = options.theta < 0 || (options.theta == 0 && count <= EXACT_POINTS) ? 0
                                        : options.theta == 0                                               ? 0.5
                                                                                                           : options.theta,
                               .iterations = options.iterations ? options.iterations : 1000,
                               .seed = options.seed,
                               .progress = options.progress,
                               .user = options.user};
    float *values = NULL;
    double divergence, *y = memory_alloc(context, (size_t)(2 * count) * sizeof *y);
    cover_status status = COVER_ERROR_MEMORY;
    cover_tensor *made = NULL;
    if (!y) goto done;
    GO(read_points(&values, context, points));
    GO(tsne_run(y, &divergence, context, values, count, channels, &run));
    GO(cover_tensor_create(&made, context, COVER_F32, 2, (int64_t[]){count, 2}));
    for (int64_t i = 0; i < 2 * count; i++) ((float *)cover_tensor_data(made))[i] = (float)y[i];
    if (kl) *kl = divergence;
    *plane = made;
done:
    memory_free(context, values);
    memory_free(context, y);
    return status;
}

/* ---- drawn */

struct picture {
    cover_context *context;
    cover_tensor *features, *labels, *plane;
    int64_t count;
    int series_count;
    struct plot_series *series; /* one a label */
    char (*name)[64];           /* its class name, or its number */
    int *label;
    double *x, *y;
};

/* Points sorted by label, each label a series. */
static cover_status make_series(struct picture *picture, const cover_dataset *dataset) {
    cover_context *context = picture->context;
    const uint16_t *labels = cover_tensor_data(picture->labels);
    const float *plane = cover_tensor_data(picture->plane);
    int64_t *place = memory_zero(context, (LABELS + 1) * sizeof *place);
    cover_status status = COVER_ERROR_MEMORY;
    picture->x = memory_alloc(context, (size_t)(2 * picture->count) * sizeof *picture->x);
    if (!place || !picture->x) goto done;
    picture->y = picture->x + picture->count;
    for (int64_t i = 0; i < picture->count; i++) picture->series_count += place[labels[i] + 1]++ == 0;
    picture->series = memory_zero(context, (size_t)picture->series_count * sizeof *picture->series);
    picture->name = memory_zero(context, (size_t)picture->series_count * sizeof *picture->name);
    picture->label = memory_zero(context, (size_t)picture->series_count * sizeof *picture->label);
    if (!picture->series || !picture->name || !picture->label) goto done;
    for (int label = 0, s = 0; label < LABELS; label++) {
        int64_t count = place[label + 1];
        place[label + 1] += place[label];
        if (!count) continue;
        const char *name = cover_dataset_class_name(dataset, label);
        if (name) snprintf(picture->name[s], sizeof picture->name[s], "%s", name);
        else snprintf(picture->name[s], sizeof picture->name[s], "%d", label);
        picture->label[s] = label;
        picture->series[s] = (struct plot_series){picture->name[s], count, picture->x + place[label], picture->y + place[label]};
        s++;
    }
    for (int64_t i = 0; i < picture->count; i++) {
        int64_t at = place[labels[i]]++;
        picture->x[at] = (double)plane[2 * i], picture->y[at] = (double)plane[2 * i + 1];
    }
    status = COVER_OK;
done:
    memory_free(context, place);
    return status;
}

static cover_status write_html(const struct picture *picture, const char *path) {
    struct text html = {.context = picture->context};
    char lead[160], *page = NULL;
    snprintf(lead, sizeof lead, "Features at %lld pixels in the plane; colours are labels.", (long long)picture->count);
    plot_page_begin(&html, "t-SNE", lead);
    plot_add(&html, &(struct plot){.title = "label", .dots = true}, picture->series, picture->series_count);
    plot_page_end(&html);
    cover_status status = text_take(&html, &page);
    if (status == COVER_OK) status = file_replace(picture->context, path, page, strlen(page));
    memory_free(picture->context, page);
    text_free(&html);
    return status;
}

static cover_status write_csv(const struct picture *picture, const char *path) {
    struct text csv = {.context = picture->context};
    char *table = NULL;
    text_add(&csv, "x,y,label\n");
    for (int s = 0; s < picture->series_count; s++)
        for (int64_t i = 0; i < picture->series[s].count; i++)
            text_add(&csv, "%.6g,%.6g,%d\n", picture->series[s].x[i], picture->series[s].y[i], picture->label[s]);
    cover_status status = text_take(&csv, &table);
    if (status == COVER_OK) status = file_replace(picture->context, path, table, strlen(table));
    memory_free(picture->context, table);
    text_free(&csv);
    return status;
}

static cover_status write_png(const struct picture *picture, const char *path) {
    uint8_t *png;
    size_t bytes;
    TRY(plot_png(picture->context, &png, &bytes, picture->series, picture->series_count, PNG_SIDE));
    cover_status status = file_replace(picture->context, path, png, bytes);
    memory_free(picture->context, png);
    return status;
}

static const struct {
    const char *ending;
    cover_status (*write)(const struct picture *picture, const char *path);
} writers[] = {{".html", write_html}, {".csv", write_csv}, {".png", write_png}};

static cover_status write_summary(char **summary, const struct picture *picture, const char *path, int level, double kl) {
    struct text json = {.context = picture->context};
    text_add(&json, "{\"output\": ");
    text_add_json(&json, path);
    text_add(&json, ", \"points\": %lld, \"channels\": %lld, \"level\": %d, \"classes\": {", (long long)picture->count,
             (long long)cover_tensor_shape(picture->features)[1], level);
    for (int s = 0; s < picture->series_count; s++) {
        text_add(&json, s ? ", " : "");
        text_add_json(&json, picture->series[s].name);
        text_add(&json, ": %lld", (long long)picture->series[s].count);
    }
    text_add(&json, "}, \"kl\": %.9g}", kl);
    cover_status status = text_take(&json, summary);
    text_free(&json);
    return status;
}

cover_status cover_analysis_tsne(char **summary, cover_context *context, const char *weights, const char *data, const char *path,
                                 const cover_feature_options *features, const cover_tsne_options *tsne) {
    if (!context || !weights || !data || !path) return fail(COVER_ERROR_ARGUMENT, "cover_analysis_tsne: an argument is NULL");
    struct picture picture = {.context = context};
    cover_dataset *dataset = NULL;
    size_t writer = 0, count = sizeof writers / sizeof *writers;
    double kl;
    cover_status status;
    while (writer < count && !has_suffix(path, writers[writer].ending)) writer++;
    if (writer == count) return fail(COVER_ERROR_ARGUMENT, "%s: give a name that ends in .html, .png or .csv", path);
    GO(output_is_not(path, weights));
    GO(output_is_not(path, data));
    GO(cover_analysis_features(&picture.features, &picture.labels, context, weights, data, features));
    picture.count = cover_tensor_shape(picture.features)[0];
    GO(cover_points_tsne(&picture.plane, &kl, context, picture.features, tsne));
    GO(cover_dataset_open(&dataset, context, data));
    GO(make_series(&picture, dataset));
    GO(writers[writer].write(&picture, path));
    if (summary) status = write_summary(summary, &picture, path, features ? features->level : 4, kl);
done:
    memory_free(context, picture.series);
    memory_free(context, picture.name);
    memory_free(context, picture.label);
    memory_free(context, picture.x);
    cover_dataset_destroy(dataset);
    cover_tensor_destroy(picture.features);
    cover_tensor_destroy(picture.labels);
    cover_tensor_destroy(picture.plane);
    return status;
}
