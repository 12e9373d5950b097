/* Comparing, printing and reordering for golden_check. */
#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void print(struct golden *golden, const char *name, double error, double bound) {
    bool ok = error <= bound; /* false for NaN */
    golden->quantities++;
    golden->failed += !ok;
    if (bound > 0 && !(error / bound <= golden->part)) {
        golden->part = error / bound;
        snprintf(golden->nearest, sizeof golden->nearest, "%s", name);
    }
    printf("%-64s %10.3g %10.3g %s\n", name, error, bound, ok ? "ok" : "FAIL");
}

void golden_error(struct golden *golden, const char *name) {
    golden->quantities++, golden->failed++;
    printf("%-64s %s FAIL\n", name, cover_error_text());
}

void golden_number(struct golden *golden, const char *name, double value, double expected, double bound) {
    print(golden, name, fabs(value - expected) / (fabs(expected) > 0 ? fabs(expected) : 1), bound);
}

/* Sums over a tensor and its entry in the file; false, and printed, when there is none. */
struct difference {
    double worst, square, expected_square, count;
};
static bool differ(struct difference *difference, struct golden *golden, const char *name, const float *values) {
    const struct tensor_entry *entry = tensor_file_find(golden->file, name);
    float *expected = NULL;
    if (!entry) fail(COVER_ERROR_FORMAT, "%s: %s is missing", golden->path, name);
    if (!entry || tensor_load_f32(golden->file, entry, &expected) != COVER_OK) {
        golden_error(golden, name);
        return false;
    }
    *difference = (struct difference){.count = (double)entry->elements};
    for (int64_t i = 0; i < entry->elements; i++) {
        double gap = fabs((double)values[i] - (double)expected[i]);
        difference->square += gap * gap, difference->expected_square += (double)expected[i] * (double)expected[i];
        if (!(gap <= difference->worst)) difference->worst = gap; /* keeps a NaN */
    }
    memory_free(golden->context, expected);
    return true;
}

void golden_tensor(struct golden *golden, const char *name, const float *values, double bound) {
    struct difference d;
    if (differ(&d, golden, name, values)) print(golden, name, d.worst / (1e-6 + sqrt(d.expected_square / d.count)), bound);
}
void golden_distance(struct golden *golden, const char *name, const float *values, double bound) {
    struct difference d;
    if (differ(&d, golden, name, values)) print(golden, name, sqrt(d.square / d.expected_square), bound);
}
void golden_cosine(struct golden *golden, const char *name, double product, double square_a, double square_b, double bound) {
    print(golden, name, 1 - product / sqrt(square_a * square_b), bound);
}

/* (N, C, *S) in the file is `channels last` here; both directions walk the same pairs of indices. */
static void reorder(const struct tensor *shape, float *to, const float *from, bool to_channels_last) {
    int64_t pixels = grid_pixels(&shape->grid), channels = shape->channels;
    for (int64_t n = 0; n < shape->images; n++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t p = 0; p < pixels; p++) {
                int64_t planar = (n * channels + c) * pixels + p, last = (n * pixels + p) * channels + c;
                if (to_channels_last) to[last] = from[planar];
                else to[planar] = from[last];
            }
}

float *golden_load(struct golden *golden, const char *name, struct tensor *shape) {
    const struct tensor_entry *entry = tensor_file_find(golden->file, name);
    float *stored = NULL, *values = NULL;
    if (!entry) fail(COVER_ERROR_FORMAT, "%s: %s is missing", golden->path, name);
    if (!entry || tensor_load_f32(golden->file, entry, &stored) != COVER_OK) {
        golden_error(golden, name);
        return NULL;
    }
    *shape = (struct tensor){.images = 1, .grid = {2, {1, 1, 1}}, .channels = entry->elements, .parent = ABSENT};
    if (entry->rank != 4 && entry->rank != 5) return stored;
    shape->images = (int)entry->shape[0], shape->channels = entry->shape[1], shape->grid.ndim = entry->rank - 2;
    for (int i = 2; i < entry->rank; i++) shape->grid.size[3 - entry->rank + i] = entry->shape[i];
    values = memory_alloc(golden->context, (size_t)entry->elements * sizeof *values);
    if (values) reorder(shape, values, stored, true);
    else golden_error(golden, name);
    memory_free(golden->context, stored);
    return values;
}

void golden_store(struct golden *golden, const struct tensor *shape, float *values) {
    size_t bytes = (size_t)tensor_elements(shape) * sizeof *values;
    float *copy = memory_copy(golden->context, values, bytes);
    if (!copy) return;
    reorder(shape, values, copy, false);
    memory_free(golden->context, copy);
}

void golden_file(struct golden *golden, const char *path) {
    golden->path = path;
    printf("%s\n", path);
    if (tensor_file_open(&golden->file, golden->context, path) != COVER_OK) {
        golden_error(golden, path);
        return;
    }
    const char *objective = tensor_file_metadata(golden->file, "objective");
    if (objective && strcmp(objective, "components") == 0) golden_components(golden);
    else if (golden_is_objective(golden)) golden_objective(golden);
    else if (tensor_file_metadata(golden->file, "pixpro_direction")) golden_dense(golden); /* of dense objectives' ops */
    else if (tensor_file_metadata(golden->file, "widths")) golden_model(golden);
    else golden_ops(golden);
    tensor_file_close(golden->file);
}
