/* A period of DeepCluster against its golden file: features of all images, whitened, in clusters, and the order of its samples.  What is
 * drawn by chance (first centroids, the top layer, the order's numbers) is the file's. */
#include "core/metrics/cluster.h"
#include "golden_objective.h"

#include <stdio.h>
#include <string.h>

enum { FEATURES = 0 };                                   /* the result of the sample graph */
static const double bound_rows = 5e-4, bound_sum = 1e-4; /* labels and order: none */

static float *read_entry(struct golden *golden, const char *what, int period, int64_t floats) {
    char name[64];
    float *values = NULL;
    snprintf(name, sizeof name, "in.%s.%d", what, period);
    const struct tensor_entry *entry = tensor_file_find(golden->file, name);
    if (!entry || (floats > 0 && entry->elements != floats)) fail(COVER_ERROR_FORMAT, "%s: %s does not fit", golden->path, name);
    else (void)tensor_load_f32(golden->file, entry, &values);
    return values;
}

static void compare(struct golden *golden, const char *what, int period, const float *values, double bound) {
    char name[64];
    snprintf(name, sizeof name, "out.%s.%d", what, period);
    golden_tensor(golden, name, values, bound);
}
static void compare_numbers(struct golden *golden, const char *what, int period, const int32_t *values, int count) {
    float floats[SAMPLES];
    for (int i = 0; i < count; i++) floats[i] = (float)values[i];
    compare(golden, what, period, floats, 0);
}

struct batch_of {
    struct checked *checked;
    int first;
};
static cover_status take(void *user, int64_t index, const struct sample **sample) {
    const struct batch_of *batch = user;
    *sample = &batch->checked->sample[batch->first + index];
    return COVER_OK;
}
static void give_back(void *user, int64_t index, const struct sample *sample) { (void)user, (void)index, (void)sample; }

static cover_status embed(float *features, struct checked *checked, int64_t channels) {
    for (int first = 0; first + checked->batch <= checked->samples; first += checked->batch) {
        struct batch_of batch = {checked, first};
        const struct sample_source source = {take, give_back, &batch, NULL, false};
        TRY(engine_forward(checked->engine, &source, FEATURES, features + first * channels));
    }
    return COVER_OK;
}

/* Labels of all samples. */
static cover_status find_clusters(int32_t *label, struct checked *checked, float *features, int period) {
    struct golden *golden = checked->golden;
    const struct objective_settings *own = &checked->run.settings->objective;
    const int64_t dims = own->pca, clusters = own->clusters, count = checked->samples;
    const int64_t channels = graph_tensor(&checked->engine->model.graph, STORAGE_RESULT, FEATURES)->channels;
    double objective[SAMPLES];
    float sums[SAMPLES], *rows = memory_zero(golden->context, (size_t)(count * dims) * sizeof *rows);
    float *centroid = memory_zero(golden->context, (size_t)(clusters * dims) * sizeof *centroid);
    float *first = read_entry(golden, "first", period, clusters);
    cover_status status = rows && centroid && first && own->kmeans_iterations <= SAMPLES ? COVER_OK : COVER_ERROR_FORMAT;
    if (status != COVER_OK) goto done;
    GO(embed(features, checked, channels));
    GO(whiten(rows, golden->context, features, count, channels, dims));
    compare(golden, "whitened", period, rows, bound_rows);
    for (int64_t k = 0; k < clusters; k++)
        memcpy(centroid + k * dims, rows + (int64_t)first[k] * dims, (size_t)dims * sizeof *rows);
    GO(kmeans(label, centroid, objective, golden->context, rows, count, dims, clusters, (int)own->kmeans_iterations));
    for (int i = 0; i < own->kmeans_iterations; i++) sums[i] = (float)objective[i];
    compare_numbers(golden, "labels", period, label, checked->samples);
    compare(golden, "centroids", period, centroid, bound_rows);
    compare(golden, "objective", period, sums, bound_sum);
done:
    memory_free(golden->context, rows);
    memory_free(golden->context, centroid);
    memory_free(golden->context, first);
    return status;
}

static cover_status find_order(int32_t *order, struct checked *checked, const int32_t *label, int period) {
    struct golden *golden = checked->golden;
    const int64_t clusters = checked->run.settings->objective.clusters;
    int64_t members[SAMPLES], largest;
    const int64_t used = clusters_used(members, &largest, label, checked->samples, clusters);
    const int64_t picks = used * order_picks(checked->samples, used);
    float *draw = read_entry(golden, "draws", period, picks), *key = read_entry(golden, "keys", period, picks);
    cover_status status =
        draw && key ? order_uniform(order, golden->context, label, checked->samples, clusters, checked->samples, draw, key)
                    : COVER_ERROR_FORMAT;
    if (status == COVER_OK) compare_numbers(golden, "order", period, order, checked->samples);
    memory_free(golden->context, draw);
    memory_free(golden->context, key);
    return status;
}

static cover_status set_top(struct checked *checked, int period) {
    struct engine *engine = checked->engine;
    const struct parameters *parameters = &engine->model.parameters;
    const struct parameter *weight = &parameters->rows[parameters_find(parameters, "top.weight")],
                           *bias = &parameters->rows[parameters_find(parameters, "top.bias")];
    float *top = read_entry(checked->golden, "top", period, weight->count);
    if (!top) return COVER_ERROR_FORMAT;
    cover_status status = engine_fetch(engine);
    memcpy(engine->weights + weight->offset, top, (size_t)weight->count * sizeof *top);
    memset(engine->weights + bias->offset, 0, (size_t)bias->count * sizeof *top);
    memory_free(checked->golden->context, top);
    return status == COVER_OK ? engine_forget(engine, "top.") : status;
}

static cover_status begin(struct checked *checked, int32_t *order, int period) {
    const int64_t channels = graph_tensor(&checked->engine->model.graph, STORAGE_RESULT, FEATURES)->channels;
    int32_t label[SAMPLES];
    float *features = memory_zero(checked->golden->context, (size_t)(checked->samples * channels) * sizeof *features);
    if (!features || checked->run.settings->objective.clusters > SAMPLES) return fail(COVER_ERROR_FORMAT, "too many clusters");
    for (int i = 0; i < checked->samples; i++) checked->sample[i].input[1] = &checked->label[i];
    cover_status status = find_clusters(label, checked, features, period);
    memory_free(checked->golden->context, features);
    TRY(status);
    for (int i = 0; i < checked->samples; i++) checked->label[i] = (float)label[i];
    TRY(find_order(order, checked, label, period));
    return set_top(checked, period);
}

cover_status deepcluster_before(struct checked *checked, int step) {
    const char *text = tensor_file_metadata(checked->golden->file, "period");
    const int period = text ? atoi(text) : 0;
    if (period < 1 || period * checked->batch > checked->samples)
        return fail(COVER_ERROR_FORMAT, "%s: period %d", checked->golden->path, period);
    if (step % period == 0) TRY(begin(checked, checked->order, step / period));
    for (int i = 0; i < checked->batch; i++) checked->taken[i] = checked->order[step % period * checked->batch + i];
    return COVER_OK;
}
