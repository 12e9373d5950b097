/* Whitening, k-means, orders and figures of labels: against the golden file, by hand and by brute force, and with the same bits for any
 * number of threads. */
#include "../../check_main.h"
#include "core/base/memory.h"
#include "core/base/philox.h"
#include "core/metrics/cluster.h"
#include "io/weights/tensor_file.h"

#include <math.h>

static cover_context *context;
static struct tensor_file *file;

static void setup(void) {
    ck_assert_ok(cover_context_create(&context, NULL));
    ck_assert_ok(tensor_file_open(&file, context, GOLDEN "/objective_components.safetensors"));
}
static void teardown(void) {
    tensor_file_close(file);
    cover_context_destroy(context);
}

static float *golden(const char *name, int64_t shape[2]) {
    const struct tensor_entry *entry = tensor_file_find(file, name);
    float *values;
    ck_assert_msg(entry && entry->rank <= 2, "%s", name);
    shape[0] = entry->shape[0], shape[1] = entry->rank == 2 ? entry->shape[1] : 1;
    ck_assert_ok(tensor_load_f32(file, entry, &values));
    return values;
}
static int32_t *golden_labels(const char *name, int64_t *count) {
    int64_t shape[2];
    float *values = golden(name, shape);
    int32_t *label = malloc((size_t)shape[0] * sizeof *label);
    for (int64_t i = 0; i < shape[0]; i++) label[i] = (int32_t)values[i];
    *count = shape[0];
    memory_free(context, values);
    return label;
}

/* max |a - b| / (1e-6 + rms(b)) against an entry of the file */
static void same(const float *values, const char *name, double bound) {
    int64_t shape[2];
    float *expected = golden(name, shape);
    double worst = 0, square = 0;
    for (int64_t i = 0; i < shape[0] * shape[1]; i++) {
        worst = fmax(worst, fabs((double)values[i] - (double)expected[i]));
        square += (double)expected[i] * (double)expected[i];
    }
    double error = worst / (1e-6 + sqrt(square / (double)(shape[0] * shape[1])));
    ck_assert_msg(error <= bound, "%s: %g", name, error);
    memory_free(context, expected);
}
static void same_numbers(const int32_t *values, const char *name) {
    int64_t count;
    int32_t *expected = golden_labels(name, &count);
    for (int64_t i = 0; i < count; i++) ck_assert_msg(values[i] == expected[i], "%s: %d at %d", name, (int)values[i], (int)i);
    free(expected);
}

START_TEST(whitened_rows_are_those_of_the_golden_file) {
    int64_t shape[2], dims[2];
    float *features = golden("whiten.in", shape), *rows = golden("whiten.out", dims);
    ck_assert_ok(whiten(rows, context, features, shape[0], shape[1], dims[1]));
    same(rows, "whiten.out", 5e-4);
    memory_free(context, features), memory_free(context, rows);
}
END_TEST

static void kmeans_golden(const char *name) {
    char entry[4][64];
    static const char *const parts[] = {"in", "first", "labels", "centroids"};
    for (int i = 0; i < 4; i++) snprintf(entry[i], sizeof entry[i], "%s.%s", name, parts[i]);
    int64_t shape[2], clusters[2];
    float *rows = golden(entry[0], shape), *centroid = golden(entry[1], clusters);
    int32_t *label = malloc((size_t)shape[0] * sizeof *label);
    double objective[6];
    ck_assert_ok(kmeans(label, centroid, objective, context, rows, shape[0], shape[1], clusters[0], 6));
    same_numbers(label, entry[2]);
    same(centroid, entry[3], 5e-4);
    snprintf(entry[0], sizeof entry[0], "%s.objective", name);
    same((float[6]){(float)objective[0], (float)objective[1], (float)objective[2], (float)objective[3], (float)objective[4],
                    (float)objective[5]},
         entry[0], 1e-4);
    memory_free(context, rows), memory_free(context, centroid), free(label);
}

START_TEST(clusters_are_those_of_the_golden_file_and_none_stays_empty) {
    kmeans_golden("kmeans");
    kmeans_golden("kmeans.empty");
}
END_TEST

START_TEST(an_order_and_figures_of_labels_are_those_of_the_golden_file) {
    int64_t count, draws[2], keys[2], rows[2];
    int32_t *label = golden_labels("uniform_order.labels", &count), order[30];
    float *draw = golden("uniform_order.draws", draws), *key = golden("uniform_order.keys", keys);
    ck_assert_int_eq(order_picks(30, draws[0]), draws[1]);
    ck_assert_ok(order_uniform(order, context, label, count, 10, 30, draw, key));
    same_numbers(order, "uniform_order.out");
    free(label);
    int32_t *a = golden_labels("mutual_information.a", &count), *b = golden_labels("mutual_information.b", &count);
    double value;
    ck_assert_ok(mutual_information(&value, context, a, b, count, 10));
    same(&(float){(float)value}, "mutual_information.out", 2e-5);
    ck_assert_ok(mutual_information(&value, context, a, a, count, 10));
    ck_assert_double_eq_tol(value, 1, 1e-12);
    ck_assert_ok(mutual_information(&value, context, (int32_t[]){3, 3}, (int32_t[]){0, 0}, 2, 4));
    ck_assert(value == 1);
    free(a), free(b);
    float *row = golden("spread.in0", rows);
    ck_assert_ok(spread(&value, context, row, rows[0], rows[1]));
    same(&(float){(float)value}, "spread.out", 2e-5);
    ck_assert_ok(spread(&value, context, (float[]){1, 2, 1, 2, 2, 4}, 3, 2));
    ck_assert(value < 1e-7);
    memory_free(context, draw), memory_free(context, key), memory_free(context, row);
}
END_TEST

/* Every cluster with members comes as often as any other, up to one, and a large one's rows come once before any comes twice. */
START_TEST(an_order_has_the_same_share_of_each_cluster) {
    enum { LABELS = 100, COUNT = 60, CLUSTERS = 5, USED = 4, EACH = COUNT / USED + 1 };
    int32_t label[LABELS], order[COUNT];
    float draw[USED * EACH], key[USED * EACH];
    struct random_stream random = random_stream(1, RANDOM_TEST, 0, 0);
    for (int i = 0; i < LABELS; i++) label[i] = i < 3 ? 0 : i < 20 ? 1 : i < 50 ? 3 : 4;
    for (int i = 0; i < USED * EACH; i++) draw[i] = random_uniform(&random, 0, 1), key[i] = random_uniform(&random, 0, 1);
    ck_assert_ok(order_uniform(order, context, label, LABELS, CLUSTERS, COUNT, draw, key));
    int times[LABELS] = {0}, members[CLUSTERS] = {0};
    for (int i = 0; i < COUNT; i++) times[order[i]]++, members[label[order[i]]]++;
    for (int k = 0; k < CLUSTERS; k++) ck_assert(k == 2 ? members[k] == 0 : members[k] > 0 && members[k] <= EACH);
    for (int i = 3; i < LABELS; i++) ck_assert_int_le(times[i], 1);
}
END_TEST

/* A matrix of known spectrum, Q diag Q^T, with equal and vanishing eigenvalues among them. */
START_TEST(eigenvectors_diagonalise_and_are_at_right_angles) {
    static const int64_t sizes[] = {1, 2, 3, 10, 70};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const int64_t n = sizes[s];
        struct random_stream random = random_stream(2, RANDOM_TEST, (uint32_t)s, 0);
        double *axis = calloc((size_t)(n * n), sizeof *axis), *matrix = calloc((size_t)(n * n), sizeof *matrix);
        double *copy = malloc((size_t)(n * n) * sizeof *copy), *value = malloc((size_t)n * sizeof *value), worst = 0;
        double *vector = malloc((size_t)(n * n) * sizeof *vector);
        for (int64_t i = 0; i < n; i++) { /* Gram and Schmidt */
            for (int64_t c = 0; c < n; c++) axis[i * n + c] = (double)random_uniform(&random, -1, 1);
            for (int again = 0; again < 2; again++)
                for (int64_t j = 0; j < i; j++) {
                    double along = 0;
                    for (int64_t c = 0; c < n; c++) along += axis[i * n + c] * axis[j * n + c];
                    for (int64_t c = 0; c < n; c++) axis[i * n + c] -= along * axis[j * n + c];
                }
            double length = 0;
            for (int64_t c = 0; c < n; c++) length += axis[i * n + c] * axis[i * n + c];
            for (int64_t c = 0; c < n; c++) axis[i * n + c] /= sqrt(length);
        }
        for (int64_t i = 0; i < n; i++) /* 4, 4, 1/9, 1/16, ..., and 0 from the tenth on */
            for (int64_t r = 0; r < n; r++)
                for (int64_t c = 0; c < n; c++)
                    matrix[r * n + c] += (i < 2    ? 4
                                          : i < 10 ? 1 / (double)((i + 1) * (i + 1))
                                                   : 0) *
                                         axis[i * n + r] * axis[i * n + c];
        for (int64_t i = 0; i < n * n; i++) copy[i] = matrix[i];
        ck_assert_ok(eigen_symmetric(value, vector, context, matrix, n, n));
        for (int64_t i = 0; i < n; i++) {
            worst = fmax(worst, fabs(value[i] - (i < 2 ? 4 : i < 10 ? 1 / (double)((i + 1) * (i + 1)) : 0)));
            double most = 0, least = 0;
            for (int64_t r = 0; r < n; r++) {
                double product = 0, across = 0;
                for (int64_t c = 0; c < n; c++)
                    product += copy[r * n + c] * vector[i * n + c], across += vector[r * n + c] * vector[i * n + c];
                worst = fmax(worst, fabs(product - value[i] * vector[i * n + r]));
                worst = fmax(worst, fabs(across - (r == i)));
                most = fmax(most, vector[i * n + r]), least = fmin(least, vector[i * n + r]);
            }
            ck_assert(most >= -least);
        }
        ck_assert_msg(worst < 1e-13 * 10, "%d: %g", (int)n, worst);
        free(axis), free(matrix), free(copy), free(value), free(vector);
    }
}
END_TEST

enum { COUNT = 333, CHANNELS = 37, DIMS = 9, CLUSTERS = 21 };
static void random_features(float *features) {
    struct random_stream random = random_stream(3, RANDOM_TEST, 0, 0);
    for (int i = 0; i < COUNT * CHANNELS; i++) features[i] = random_uniform(&random, 3, 4);
}

START_TEST(whitened_coordinates_scatter_alike_and_a_plane_has_two) {
    float features[COUNT * CHANNELS], rows[COUNT * DIMS];
    random_features(features);
    for (int i = 0; i < COUNT; i++) /* all of it lies in a plane of two of the channels */
        for (int c = 2; c < CHANNELS; c++) features[i * CHANNELS + c] = features[i * CHANNELS] * (float)(c % 2);
    ck_assert_ok(whiten(rows, context, features, COUNT, CHANNELS, DIMS));
    double mean[2] = {0};
    for (int i = 0; i < COUNT; i++) {
        ck_assert_double_eq_tol(hypot((double)rows[i * DIMS], (double)rows[i * DIMS + 1]), 1, 1e-6);
        for (int k = 2; k < DIMS; k++) ck_assert(rows[i * DIMS + k] == 0);
        for (int k = 0; k < 2; k++) mean[k] += (double)rows[i * DIMS + k] * (double)rows[i * DIMS + k] / COUNT;
    }
    ck_assert_double_eq_tol(mean[0], mean[1], 0.1);
    for (int i = 0; i < COUNT * CHANNELS; i++) features[i] = 5; /* no axis at all */
    ck_assert_ok(whiten(rows, context, features, COUNT, CHANNELS, DIMS));
    for (int i = 0; i < COUNT * DIMS; i++) ck_assert(rows[i] == 0);
}
END_TEST

START_TEST(labels_are_the_nearest_centroids_by_brute_force_and_the_objective_falls) {
    float features[COUNT * CHANNELS], centroid[CLUSTERS * CHANNELS];
    int32_t label[COUNT];
    double objective[12];
    random_features(features);
    memcpy(centroid, features, sizeof centroid);
    memcpy(centroid + 5 * CHANNELS, features,
           CHANNELS * sizeof *centroid); /* equal to the first, so that one of them starts empty */
    ck_assert_ok(kmeans(label, centroid, objective, context, features, COUNT, CHANNELS, CLUSTERS, 12));
    for (int i = 1; i < 12; i++) ck_assert(objective[i] < objective[i - 1] * (i == 1 ? 1.001 : 1 + 1e-9));
    for (int i = 0; i < COUNT; i++) {
        int best = 0;
        double nearest = INFINITY;
        for (int k = 0; k < CLUSTERS; k++) {
            double square = 0;
            for (int c = 0; c < CHANNELS; c++) {
                double away = (double)features[i * CHANNELS + c] - (double)centroid[k * CHANNELS + c];
                square += away * away;
            }
            if (square < nearest) nearest = square, best = k;
        }
        ck_assert_int_eq(label[i], best);
    }
}
END_TEST

START_TEST(threads_change_no_bit_of_clusters) {
    static float rows[3][COUNT * DIMS], centroid[3][CLUSTERS * DIMS];
    static int32_t label[3][COUNT];
    static const int threads[] = {1, 2, 5};
    for (int t = 0; t < 3; t++) {
        float features[COUNT * CHANNELS];
        double objective[4];
        cover_context *own;
        cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
        options.threads = threads[t];
        ck_assert_ok(cover_context_create(&own, &options));
        random_features(features);
        ck_assert_ok(whiten(rows[t], own, features, COUNT, CHANNELS, DIMS));
        memcpy(centroid[t], rows[t], sizeof centroid[t]);
        ck_assert_ok(kmeans(label[t], centroid[t], objective, own, rows[t], COUNT, DIMS, CLUSTERS, 4));
        cover_context_destroy(own);
        ck_assert_mem_eq(rows[0], rows[t], sizeof rows[0]);
        ck_assert_mem_eq(label[0], label[t], sizeof label[0]);
        ck_assert_mem_eq(centroid[0], centroid[t], sizeof centroid[0]);
    }
}
END_TEST

START_TEST(what_is_not_finite_too_large_or_cancelled_ends_with_its_reason) {
    static float features[COUNT * CHANNELS], rows[COUNT * DIMS], centroid[CLUSTERS * CHANNELS];
    int32_t label[COUNT];
    double objective[2];
    cover_context *small;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    random_features(features);
    features[7 * CHANNELS + 3] = NAN;
    ck_assert_fails(whiten(rows, context, features, COUNT, CHANNELS, DIMS), COVER_ERROR_NUMERIC, "row 7 are not finite");
    random_features(features);
    options.memory_limit_bytes = 8000;
    ck_assert_ok(cover_context_create(&small, &options));
    ck_assert_int_eq(whiten(rows, small, features, COUNT, CHANNELS, DIMS), COVER_ERROR_MEMORY);
    ck_assert_int_eq(kmeans(label, centroid, objective, small, features, COUNT, CHANNELS, CLUSTERS, 2), COVER_ERROR_MEMORY);
    ck_assert_uint_eq(memory_now(small), 0);
    cover_context_destroy(small);
    cover_context_cancel(context);
    ck_assert_int_eq(whiten(rows, context, features, COUNT, CHANNELS, DIMS), COVER_ERROR_CANCELLED);
    ck_assert_int_eq(kmeans(label, centroid, objective, context, features, COUNT, CHANNELS, CLUSTERS, 2), COVER_ERROR_CANCELLED);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("clusters");
    TCase *tcase = tcase_create("cluster");
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, whitened_rows_are_those_of_the_golden_file);
    ADD(tcase, clusters_are_those_of_the_golden_file_and_none_stays_empty);
    ADD(tcase, an_order_and_figures_of_labels_are_those_of_the_golden_file);
    ADD(tcase, an_order_has_the_same_share_of_each_cluster);
    ADD(tcase, eigenvectors_diagonalise_and_are_at_right_angles);
    ADD(tcase, whitened_coordinates_scatter_alike_and_a_plane_has_two);
    ADD(tcase, labels_are_the_nearest_centroids_by_brute_force_and_the_objective_falls);
    ADD(tcase, threads_change_no_bit_of_clusters);
    ADD(tcase, what_is_not_finite_too_large_or_cancelled_ends_with_its_reason);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
