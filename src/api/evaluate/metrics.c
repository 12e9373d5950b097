/* The figures of merit for tensors (include/libcover/metrics.h): brings any dtype and strides to the plain arrays that
 * core/metrics works on. */
#include "core/metrics/metrics.h"
#include "core/base/tensor.h"

#include <libcover/metrics.h>

#include <math.h>
#include <string.h>

enum { MOST_CLASSES = 65536 };

static bool is_integer(cover_dtype dtype) { return dtype < COVER_F16; }

static int64_t elements(const cover_tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
    return count;
}

/* A dense copy in another dtype. */
static cover_status dense(void **out, const cover_tensor *tensor, cover_dtype dtype) {
    cover_tensor *copy = NULL;
    void *data = memory_alloc(tensor->context, (size_t)elements(tensor) * cover_dtype_bytes(dtype));
    if (!data) return COVER_ERROR_MEMORY;
    cover_status status = cover_tensor_wrap(&copy, tensor->context, dtype, tensor->rank, tensor->shape, NULL, data);
    if (status == COVER_OK) status = cover_tensor_copy(copy, tensor);
    cover_tensor_destroy(copy);
    if (status == COVER_OK) *out = data;
    else memory_free(tensor->context, data);
    return status;
}

/* ---- label maps */

/* Both maps as uint16_t in one block, checked against `classes`. */
struct maps {
    int64_t pixels;
    uint16_t *block;
    struct labels prediction, truth;
};

static cover_status narrow(uint16_t *labels, const cover_tensor *tensor, int classes, const char *what) {
    int32_t *values; /* wider integers saturate, and so stay out of range */
    if (!is_integer(tensor->dtype))
        return fail(COVER_ERROR_ARGUMENT, "%s: dtype %s; label maps are integers", what, cover_dtype_name(tensor->dtype));
    TRY(dense((void **)&values, tensor, COVER_I32));
    cover_status status = COVER_OK;
    for (int64_t i = 0, count = elements(tensor); i < count && status == COVER_OK; i++) {
        if (values[i] < 0 || values[i] >= classes)
            status = fail(COVER_ERROR_ARGUMENT, "%s: pixel %lld has label %d; with %d classes labels are 0..%d", what, (long long)i,
                          values[i], classes, classes - 1);
        labels[i] = (uint16_t)values[i];
    }
    memory_free(tensor->context, values);
    return status;
}

static cover_status maps_read(struct maps *maps, const cover_tensor *prediction, const cover_tensor *truth, int classes) {
    *maps = (struct maps){0};
    if (!prediction || !truth) return fail(COVER_ERROR_ARGUMENT, "a label map is NULL");
    if (classes < 2 || classes > MOST_CLASSES)
        return fail(COVER_ERROR_ARGUMENT, "%d classes; use 2..%d, the background included", classes, MOST_CLASSES);
    if (prediction->rank != truth->rank || memcmp(prediction->shape, truth->shape, sizeof truth->shape) != 0) {
        char one[128], other[128];
        return fail(COVER_ERROR_SHAPE, "the prediction is %s, but the truth is %s",
                    tensor_shape_text(one, prediction->rank, prediction->shape),
                    tensor_shape_text(other, truth->rank, truth->shape));
    }
    maps->pixels = elements(truth);
    maps->block = memory_alloc(truth->context, 2 * (size_t)maps->pixels * sizeof *maps->block);
    if (!maps->block) return COVER_ERROR_MEMORY;
    maps->prediction = (struct labels){maps->block, true};
    maps->truth = (struct labels){maps->block + maps->pixels, true};
    TRY(narrow(maps->block, prediction, classes, "prediction"));
    return narrow(maps->block + maps->pixels, truth, classes, "truth");
}

cover_status cover_labels_dice(double *dice, const cover_tensor *prediction, const cover_tensor *truth, int classes) {
    struct maps maps;
    struct overlap *overlap = NULL;
    if (!dice) return fail(COVER_ERROR_ARGUMENT, "cover_labels_dice: the out-parameter is NULL");
    cover_status status = maps_read(&maps, prediction, truth, classes);
    if (status == COVER_OK) {
        overlap = memory_zero(truth->context, (size_t)classes * sizeof *overlap);
        status = overlap ? COVER_OK : COVER_ERROR_MEMORY;
    }
    if (status == COVER_OK) {
        overlap_add(overlap, classes, maps.prediction, maps.truth, maps.pixels);
        for (int c = 0; c < classes; c++) dice[c] = overlap_dice(&overlap[c]);
    }
    if (truth) memory_free(truth->context, overlap), memory_free(truth->context, maps.block);
    return status;
}

cover_status cover_labels_hd95(double *mm, const cover_tensor *prediction, const cover_tensor *truth, int classes,
                               const double *spacing_mm) {
    if (!mm) return fail(COVER_ERROR_ARGUMENT, "cover_labels_hd95: the out-parameter is NULL");
    if (truth && truth->rank != 2 && truth->rank != 3)
        return fail(COVER_ERROR_SHAPE, "cover_labels_hd95: label maps are ([D,] H, W), but the truth has %d axes", truth->rank);
    struct maps maps;
    double *found = NULL;
    cover_status status;
    GO(maps_read(&maps, prediction, truth, classes));
    found = memory_alloc(truth->context, (size_t)classes * sizeof *found);
    GO(found ? COVER_OK : COVER_ERROR_MEMORY);
    struct grid grid = {.ndim = truth->rank, .size = {1, 1, 1}};
    double spacing[3] = {1, 1, 1};
    for (int a = 0; a < truth->rank; a++) {
        grid.size[3 - truth->rank + a] = truth->shape[a];
        if (spacing_mm) spacing[3 - truth->rank + a] = spacing_mm[a];
        if (spacing_mm && !(spacing_mm[a] > 0 && isfinite(spacing_mm[a])))
            GO(fail(COVER_ERROR_ARGUMENT, "cover_labels_hd95: spacing_mm[%d] is %g; it must be a size in mm", a, spacing_mm[a]));
    }
    found[0] = NAN;
    GO(surface_hd95(found + 1, truth->context, maps.prediction, maps.truth, 1, classes - 1, &grid, spacing));
    memcpy(mm, found, (size_t)classes * sizeof *found);
done:
    if (truth) memory_free(truth->context, found), memory_free(truth->context, maps.block);
    return status;
}

/* ---- scores */

struct case_arrays { /* what struct scored_cases points to */
    float *score;
    int32_t *value; /* truth or labels as they came */
    uint8_t *label;
};

static cover_status read_cases(struct scored_cases *cases, struct case_arrays *arrays, const cover_tensor *scores,
                               const cover_tensor *truth) {
    char text[128];
    if (!scores || !truth) return fail(COVER_ERROR_ARGUMENT, "scores and truth may not be NULL");
    if (is_integer(scores->dtype) || !is_integer(truth->dtype))
        return fail(COVER_ERROR_ARGUMENT, "scores are %s and the truth is %s; scores are floats, the truth integers",
                    cover_dtype_name(scores->dtype), cover_dtype_name(truth->dtype));
    if (scores->rank != 2 || scores->shape[1] > MOST_CLASSES)
        return fail(COVER_ERROR_SHAPE, "scores are %s; (N, classes) is expected",
                    tensor_shape_text(text, scores->rank, scores->shape));
    const bool multilabel = truth->rank == 2;
    if (truth->shape[0] != scores->shape[0] || truth->rank > 2 || (multilabel && truth->shape[1] != scores->shape[1]))
        return fail(COVER_ERROR_SHAPE, "the truth is %s; with %lld cases of %lld classes (N) or (N, classes) is expected",
                    tensor_shape_text(text, truth->rank, truth->shape), (long long)scores->shape[0], (long long)scores->shape[1]);
    cover_context *context = scores->context;
    const int64_t values = elements(truth);
    const int classes = (int)scores->shape[1];
    TRY(dense((void **)&arrays->score, scores, COVER_F32));
    TRY(dense((void **)&arrays->value, truth, COVER_I32));
    for (int64_t i = 0; i < values; i++)
        if (arrays->value[i] < 0 || arrays->value[i] >= (multilabel ? 2 : classes))
            return fail(COVER_ERROR_ARGUMENT, "truth %lld is %d; %d..%d is expected", (long long)i, arrays->value[i], 0,
                        multilabel ? 1 : classes - 1);
    *cases = (struct scored_cases){.score = arrays->score, .count = scores->shape[0], .classes = classes};
    if (!multilabel) {
        cases->truth = arrays->value;
        return COVER_OK;
    }
    arrays->label = memory_alloc(context, (size_t)values);
    if (!arrays->label) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < values; i++) arrays->label[i] = (uint8_t)arrays->value[i];
    cases->label = arrays->label;
    return COVER_OK;
}

static void free_cases(struct case_arrays *arrays, const cover_tensor *scores) {
    if (!scores) return;
    memory_free(scores->context, arrays->score);
    memory_free(scores->context, arrays->value);
    memory_free(scores->context, arrays->label);
}

cover_status cover_scores_auc(double *auc, double *mean, const cover_tensor *scores, const cover_tensor *truth) {
    struct scored_cases cases;
    struct case_arrays arrays = {0};
    double *each = NULL, macro = NAN;
    cover_status status;
    GO(read_cases(&cases, &arrays, scores, truth));
    each = memory_alloc(scores->context, (size_t)cases.classes * sizeof *each);
    GO(each ? COVER_OK : COVER_ERROR_MEMORY);
    GO(ranking_auc_all(each, &macro, scores->context, &cases));
    if (auc) memcpy(auc, each, (size_t)cases.classes * sizeof *each);
    if (mean) *mean = macro;
done:
    if (scores) memory_free(scores->context, each);
    free_cases(&arrays, scores);
    return status;
}

cover_status cover_scores_roc(double *false_positives, double *true_positives, double *threshold, int64_t *points,
                              const cover_tensor *scores, const cover_tensor *truth, int class_index) {
    struct scored_cases cases;
    struct case_arrays arrays = {0};
    struct roc_point *point = NULL;
    int64_t count;
    cover_status status;
    if (!false_positives || !true_positives || !points)
        return fail(COVER_ERROR_ARGUMENT, "cover_scores_roc: an out-parameter is NULL");
    GO(read_cases(&cases, &arrays, scores, truth));
    if (class_index < 0 || class_index >= cases.classes)
        GO(fail(COVER_ERROR_ARGUMENT, "cover_scores_roc: class %d; use 0..%d", class_index, cases.classes - 1));
    point = memory_alloc(scores->context, (size_t)(cases.count + 1) * sizeof *point);
    GO(point ? COVER_OK : COVER_ERROR_MEMORY);
    GO(ranking_roc(point, &count, scores->context, &cases, class_index));
    for (int64_t i = 0; i < count; i++) {
        false_positives[i] = point[i].false_positives, true_positives[i] = point[i].true_positives;
        if (threshold) threshold[i] = point[i].threshold;
    }
    *points = count;
done:
    if (scores) memory_free(scores->context, point);
    free_cases(&arrays, scores);
    return status;
}

cover_status cover_scores_confusion(int64_t *table, double *accuracy, const cover_tensor *scores, const cover_tensor *truth) {
    struct scored_cases cases;
    struct case_arrays arrays = {0};
    double share;
    cover_status status;
    GO(read_cases(&cases, &arrays, scores, truth));
    if (!cases.truth)
        GO(fail(COVER_ERROR_SHAPE, "cover_scores_confusion: classes are exclusive here; the truth is (N), a class a case"));
    GO(ranking_confusion(table, &share, &cases));
    if (accuracy) *accuracy = share;
done:
    free_cases(&arrays, scores);
    return status;
}

/* ---- numbers */

cover_status cover_values_pearson(double *r, double *p, const double *x, const double *y, int64_t count) {
    double found, chance;
    if (!r || !x || !y) return fail(COVER_ERROR_ARGUMENT, "cover_values_pearson: an argument is NULL");
    if (count < 3) return fail(COVER_ERROR_ARGUMENT, "cover_values_pearson: %lld pairs; at least 3 are needed", (long long)count);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(x[i]) || !isfinite(y[i]))
            return fail(COVER_ERROR_NUMERIC, "cover_values_pearson: pair %lld is (%g, %g); leave it out", (long long)i, x[i], y[i]);
    pearson(&found, &chance, x, y, count);
    if (isnan(found)) return fail(COVER_ERROR_ARGUMENT, "cover_values_pearson: all values of one side are equal: r is not defined");
    *r = found;
    if (p) *p = chance;
    return COVER_OK;
}

static void write_interval(cover_interval *given, const struct interval *found) {
    const cover_interval known = {sizeof known, found->mean, found->low, found->high, found->count};
    report_write(given, &known, sizeof known);
}

static cover_status check_confidence(double *confidence) {
    if (*confidence == 0) *confidence = 0.95;
    if (*confidence > 0 && *confidence < 1) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT, "confidence is %g; it must be between 0 and 1", *confidence);
}

cover_status cover_interval_bootstrap(cover_interval *interval, cover_context *context, const double *values, int64_t count,
                                      int resamples, double confidence, uint64_t seed) {
    struct interval found;
    if (!interval || !context || !values || count < 0)
        return fail(COVER_ERROR_ARGUMENT, "cover_interval_bootstrap: an argument is NULL, or count is negative");
    if (resamples < 0 || resamples > BOOTSTRAP_MOST || count > UINT32_MAX)
        return fail(COVER_ERROR_ARGUMENT, "cover_interval_bootstrap: %d resamples of %lld values; use 1..%d of less than 2^32",
                    resamples, (long long)count, BOOTSTRAP_MOST);
    TRY(check_confidence(&confidence));
    TRY(bootstrap_interval(&found, context, values, count, resamples ? resamples : BOOTSTRAP_RESAMPLES, confidence, seed));
    write_interval(interval, &found);
    return COVER_OK;
}

cover_status cover_interval_student(cover_interval *interval, const double *values, int64_t count, double confidence) {
    struct interval found;
    if (!interval || !values || count < 0)
        return fail(COVER_ERROR_ARGUMENT, "cover_interval_student: an argument is NULL, or count is negative");
    TRY(check_confidence(&confidence));
    student_interval(&found, values, count, confidence);
    write_interval(interval, &found);
    return COVER_OK;
}
