/* Figures of merit against hand-computed cases, brute force over all pixels and pairs, and values of SciPy 1.17. */
#include "../../check_main.h"
#include "core/base/philox.h"
#include "core/metrics/metrics.h"

#include <libcover/metrics.h>

#include <math.h>
#include <string.h>

static cover_context *context;
static void setup(void) { ck_assert_ok(cover_context_create(&context, NULL)); }
static void teardown(void) { cover_context_destroy(context); }

static void near_to(double is, double expected, double relative) {
    ck_assert_msg(fabs(is - expected) <= relative * fmax(1e-300, fabs(expected)), "%.17g, expected %.17g", is, expected);
}
static struct random_stream random_for(uint32_t what) { return random_stream(11, RANDOM_TEST, what, 0); }
static int64_t below(struct random_stream *random, int64_t n) { return (int64_t)random_word(random) % n; }

/* ---- Dice */

START_TEST(dice_by_hand) {
    const uint8_t truth[8] = {0, 0, 1, 1, 1, 2, 0, 0}, prediction[8] = {0, 1, 1, 1, 0, 0, 0, 0};
    struct overlap overlap[4] = {0};
    ck_assert_int_eq(overlap_add(overlap, 4, (struct labels){prediction, false}, (struct labels){truth, false}, 8), -1);
    near_to(overlap_dice(&overlap[1]), 2.0 * 2 / (3 + 3), 1e-15);
    ck_assert(overlap_dice(&overlap[2]) == 0);   /* missed */
    ck_assert(isnan(overlap_dice(&overlap[3]))); /* in neither */
    near_to(overlap_mean_dice(overlap, 4), (2.0 / 3 + 0) / 2, 1e-15);
    ck_assert(isnan(overlap_mean_dice(overlap, 1)));
}
END_TEST

START_TEST(dice_does_not_depend_on_the_width_of_labels) {
    enum { PIXELS = 10007, CLASSES = 5 };
    static uint8_t narrow[2][PIXELS];
    static uint16_t wide[2][PIXELS];
    struct random_stream random = random_for(1);
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < PIXELS; i++) wide[m][i] = narrow[m][i] = (uint8_t)below(&random, CLASSES);
    struct overlap expected[CLASSES] = {0};
    for (int i = 0; i < PIXELS; i++)
        for (int c = 0; c < CLASSES; c++) {
            expected[c].prediction += narrow[0][i] == c, expected[c].truth += narrow[1][i] == c;
            expected[c].intersection += narrow[0][i] == c && narrow[1][i] == c;
        }
    for (int form = 0; form < 4; form++) {
        struct overlap overlap[CLASSES] = {0};
        struct labels maps[2];
        for (int m = 0; m < 2; m++) maps[m] = form >> m & 1 ? (struct labels){wide[m], true} : (struct labels){narrow[m], false};
        ck_assert_int_eq(overlap_add(overlap, CLASSES, maps[0], maps[1], PIXELS), -1);
        ck_assert_mem_eq(overlap, expected, sizeof expected);
    }
}
END_TEST

START_TEST(a_label_above_the_classes_is_found) {
    static uint8_t truth[9000], prediction[9000];
    struct overlap overlap[3] = {0};
    prediction[8123] = 3;
    ck_assert_int_eq(overlap_add(overlap, 3, (struct labels){prediction, false}, (struct labels){truth, false}, 9000), 8123);
}
END_TEST

/* ---- distances */

START_TEST(the_distance_transform_is_exact) {
    static const struct {
        struct grid grid;
        double spacing[3];
        int one_in; /* this share of pixels are seeds */
    } cases[] = {
        {{2, {1, 17, 23}}, {1, 1, 1}, 40},       {{2, {1, 1, 31}}, {1, 1, 0.3}, 9},  {{2, {1, 29, 1}}, {1, 2, 1}, 5},
        {{3, {7, 9, 11}}, {3, 0.7, 1.1}, 60},    {{3, {5, 8, 6}}, {0.5, 4, 1}, 200}, {{3, {1, 6, 7}}, {9, 1, 2}, 10},
        {{3, {6, 6, 6}}, {1, 1, 1}, 1000000000},
    };
    float squared[1000];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct grid *grid = &cases[k].grid;
        const int64_t pixels = grid_pixels(grid), *size = grid->size;
        bool seed[1000];
        struct random_stream random = random_for(20 + (uint32_t)k);
        for (int64_t i = 0; i < pixels; i++) seed[i] = below(&random, cases[k].one_in) == 0, squared[i] = seed[i] ? 0 : INFINITY;
        ck_assert_ok(distance_transform(context, squared, grid, cases[k].spacing));
        for (int64_t i = 0; i < pixels; i++) {
            double best = INFINITY;
            for (int64_t j = 0; j < pixels; j++) {
                const double z = cases[k].spacing[0] * (double)(i / (size[1] * size[2]) - j / (size[1] * size[2]));
                const double y = cases[k].spacing[1] * (double)(i / size[2] % size[1] - j / size[2] % size[1]);
                const double x = cases[k].spacing[2] * (double)(i % size[2] - j % size[2]);
                if (seed[j]) best = fmin(best, z * z + y * y + x * x);
            }
            if (isinf(best)) ck_assert(isinf(squared[i]));
            else near_to(squared[i], best, 1e-6);
        }
    }
}
END_TEST

static bool on_surface(const uint8_t *map, int label, const struct grid *grid, int64_t i) {
    const int64_t *size = grid->size, at[3] = {i / (size[1] * size[2]), i / size[2] % size[1], i % size[2]};
    if (map[i] != label) return false;
    for (int axis = 3 - grid->ndim; axis < 3; axis++)
        for (int step = -1; step <= 1; step += 2) {
            int64_t to[3] = {at[0], at[1], at[2]};
            to[axis] += step;
            if (to[axis] < 0 || to[axis] >= size[axis] || map[(to[0] * size[1] + to[1]) * size[2] + to[2]] != label) return true;
        }
    return false;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* All pairs of surface pixels, as the definition says. */
static double brute_hd95(const uint8_t *one, const uint8_t *other, int label, const struct grid *grid, const double *mm) {
    double distance[2000], way[2];
    const uint8_t *map[2] = {one, other};
    const int64_t pixels = grid_pixels(grid), *size = grid->size;
    for (int w = 0; w < 2; w++) {
        int count = 0;
        for (int64_t i = 0; i < pixels; i++) {
            if (!on_surface(map[w], label, grid, i)) continue;
            double best = INFINITY;
            for (int64_t j = 0; j < pixels; j++) {
                if (!on_surface(map[!w], label, grid, j)) continue;
                const double z = mm[0] * (double)(i / (size[1] * size[2]) - j / (size[1] * size[2]));
                const double y = mm[1] * (double)(i / size[2] % size[1] - j / size[2] % size[1]);
                const double x = mm[2] * (double)(i % size[2] - j % size[2]);
                best = fmin(best, sqrt(z * z + y * y + x * x));
            }
            distance[count++] = best;
        }
        if (!count) return NAN;
        qsort(distance, (size_t)count, sizeof *distance, ascending);
        const double place = 0.95 * (count - 1);
        const int low = (int)place, high = low + 1 < count ? low + 1 : low;
        way[w] = distance[low] + (place - low) * (distance[high] - distance[low]);
        if (isinf(distance[0])) return INFINITY;
    }
    return fmax(way[0], way[1]);
}

START_TEST(hd95_is_what_brute_force_finds) {
    static const struct {
        struct grid grid;
        double spacing[3];
    } cases[] = {{{2, {1, 21, 26}}, {1, 0.5, 1.5}}, {{3, {8, 11, 9}}, {3, 1, 0.8}}, {{3, {1, 12, 12}}, {2, 1, 1}}};
    uint8_t map[2][1000];
    for (uint32_t k = 0; k < 3; k++)
        for (uint32_t round = 0; round < 8; round++) {
            const struct grid *grid = &cases[k].grid;
            const int64_t *size = grid->size;
            struct random_stream random = random_for(100 + 10 * k + round);
            for (int m = 0; m < 2; m++) { /* two overlapping boxes of labels 1 and 2, and a few loose pixels */
                int64_t low[3], high[3];
                for (int a = 0; a < 3; a++) low[a] = below(&random, size[a]), high[a] = low[a] + below(&random, size[a]);
                for (int64_t i = 0; i < grid_pixels(grid); i++) {
                    const int64_t at[3] = {i / (size[1] * size[2]), i / size[2] % size[1], i % size[2]};
                    bool inside = true;
                    for (int a = 0; a < 3; a++) inside = inside && at[a] >= low[a] && at[a] <= high[a];
                    map[m][i] = (uint8_t)(inside ? 1 : below(&random, 60) == 0 ? 1 + below(&random, 2) : 0);
                }
            }
            for (int label = 1; label < 3; label++) {
                double mm, all[2];
                ck_assert_ok(surface_hd95(all, context, (struct labels){map[0], false}, (struct labels){map[1], false}, 1, 2, grid,
                                          cases[k].spacing));
                ck_assert_ok(surface_hd95(&mm, context, (struct labels){map[0], false}, (struct labels){map[1], false}, label, 1,
                                          grid, cases[k].spacing));
                ck_assert_mem_eq(&mm, &all[label - 1], sizeof mm); /* together or alone */
                const double expected = brute_hd95(map[0], map[1], label, grid, cases[k].spacing);
                if (isfinite(expected)) near_to(mm, expected, 1e-6);
                else ck_assert(!isfinite(mm));
            }
        }
}
END_TEST

START_TEST(hd95_of_equal_maps_is_zero_and_of_a_shift_is_the_shift) {
    uint8_t one[400] = {0}, other[400] = {0};
    const struct grid grid = {2, {1, 20, 20}};
    const double spacing[3] = {1, 2, 0.5};
    double mm;
    for (int y = 5; y < 11; y++)
        for (int x = 5; x < 11; x++) one[20 * y + x] = other[20 * (y + 3) + x] = 1;
    struct labels a = {one, false}, b = {other, false};
    ck_assert_ok(surface_hd95(&mm, context, a, a, 1, 1, &grid, spacing));
    ck_assert(mm == 0);
    ck_assert_ok(surface_hd95(&mm, context, a, b, 1, 1, &grid, spacing));
    near_to(mm, 6, 1e-6); /* three rows of 2 mm */
}
END_TEST

START_TEST(hd95_of_an_empty_map_is_infinite_and_of_two_is_nan) {
    uint8_t empty[12] = {0}, some[12] = {0, 0, 1};
    const struct grid grid = {2, {1, 3, 4}};
    const double spacing[3] = {1, 1, 1};
    double mm;
    ck_assert_ok(surface_hd95(&mm, context, (struct labels){empty, false}, (struct labels){some, false}, 1, 1, &grid, spacing));
    ck_assert(isinf(mm));
    ck_assert_ok(surface_hd95(&mm, context, (struct labels){some, false}, (struct labels){empty, false}, 1, 1, &grid, spacing));
    ck_assert(isinf(mm));
    ck_assert_ok(surface_hd95(&mm, context, (struct labels){some, false}, (struct labels){some, false}, 2, 1, &grid, spacing));
    ck_assert(isnan(mm));
}
END_TEST

/* ---- ranking */

static double brute_auc(const struct scored_cases *cases, int c) {
    double won = 0, pairs = 0;
    for (int64_t i = 0; i < cases->count; i++)
        for (int64_t j = 0; j < cases->count; j++) {
            if (cases->truth[i] != c || cases->truth[j] == c) continue;
            const float x = cases->score[i * cases->classes + c], y = cases->score[j * cases->classes + c];
            won += x > y ? 1 : x == y ? 0.5 : 0, pairs++;
        }
    return won / pairs;
}

START_TEST(auc_is_the_share_of_pairs_in_order_and_ties_count_half) {
    enum { COUNT = 60, CLASSES = 3 };
    float score[COUNT * CLASSES];
    int truth[COUNT];
    struct random_stream random = random_for(3);
    for (int levels = 2; levels < 2000; levels *= 3) { /* few levels, many ties */
        for (int i = 0; i < COUNT * CLASSES; i++) score[i] = (float)below(&random, levels) / (float)levels;
        for (int i = 0; i < COUNT; i++) truth[i] = i < CLASSES ? i : (int)below(&random, CLASSES);
        const struct scored_cases cases = {.score = score, .count = COUNT, .classes = CLASSES, .truth = truth};
        double auc[CLASSES], mean;
        ck_assert_ok(ranking_auc_all(auc, &mean, context, &cases));
        for (int c = 0; c < CLASSES; c++) near_to(auc[c], brute_auc(&cases, c), 1e-12);
        near_to(mean, (auc[0] + auc[1] + auc[2]) / 3, 1e-15);
        /* the area under the corners of the ROC curve is the same number */
        struct roc_point point[COUNT + 1];
        int64_t points;
        double area = 0;
        ck_assert_ok(ranking_roc(point, &points, context, &cases, 1));
        for (int64_t i = 1; i < points; i++)
            area += (point[i].false_positives - point[i - 1].false_positives) *
                    (point[i].true_positives + point[i - 1].true_positives) / 2;
        near_to(area, auc[1], 1e-12);
        ck_assert(point[0].true_positives == 0 && isinf(point[0].threshold));
        ck_assert(point[points - 1].true_positives == 1 && point[points - 1].false_positives == 1);
    }
}
END_TEST

START_TEST(one_class_truth_names_what_is_missing) {
    const float score[4] = {0.9f, 0.1f, 0.3f, 0.7f};
    const int truth[2] = {0, 0};
    const char *const names[2] = {"healthy", "pneumonia"};
    const struct scored_cases cases = {.score = score, .count = 2, .classes = 2, .truth = truth, .names = names};
    double auc;
    ck_assert_int_eq(ranking_auc(&auc, context, &cases, 1), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "'pneumonia': none of the 2 cases"));
    ck_assert_int_eq(ranking_auc(&auc, context, &cases, 0), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "'healthy': all of the 2 cases"));
}
END_TEST

START_TEST(a_nan_score_names_its_case) {
    const float score[6] = {0.9f, 0.1f, NAN, 0.7f, 0.5f, 0.5f};
    const int truth[3] = {0, 1, 0};
    const struct scored_cases cases = {.score = score, .count = 3, .classes = 2, .truth = truth};
    double number;
    ck_assert_int_eq(ranking_auc(&number, context, &cases, 0), COVER_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "case 2"));
    ck_assert_int_eq(ranking_confusion(NULL, &number, &cases), COVER_ERROR_NUMERIC);
}
END_TEST

START_TEST(the_confusion_table_has_the_truth_in_rows) {
    const float score[12] = {0.8f, 0.1f, 0.1f, 0.1f, 0.2f, 0.7f, 0.4f, 0.4f, 0.2f, 0, 1, 0};
    const int truth[4] = {0, 1, 1, 1};
    const struct scored_cases cases = {.score = score, .count = 4, .classes = 3, .truth = truth};
    const int64_t expected[9] = {1, 0, 0, 1, 1, 1, 0, 0, 0};
    int64_t table[9];
    double accuracy;
    ck_assert_ok(ranking_confusion(table, &accuracy, &cases));
    ck_assert_mem_eq(table, expected, sizeof table);
    ck_assert(accuracy == 0.5);
}
END_TEST

START_TEST(labels_of_multi_label_cases_are_judged_one_by_one) {
    const float score[8] = {0.9f, 0.4f, 0.2f, 0.6f, 0.7f, 0.5f, 0.1f, 0.45f};
    const uint8_t label[8] = {1, 0, 0, 1, 1, 0, 0, 1};
    const struct scored_cases cases = {.score = score, .count = 4, .classes = 2, .label = label};
    double auc[2], mean, accuracy;
    ck_assert_ok(ranking_auc_all(auc, &mean, context, &cases));
    ck_assert(auc[0] == 1 && auc[1] == 0.75);
    ck_assert_ok(ranking_confusion(NULL, &accuracy, &cases));
    ck_assert(accuracy == 6.0 / 8);
}
END_TEST

/* ---- statistics */

START_TEST(the_incomplete_beta_function_is_that_of_scipy) {
    static const double cases[][4] = {
        {0.5, 0.5, 0.3, 0.36901011956554536},     {2, 3, 0.4, 0.52479999999999993},       {10, 0.5, 0.9, 0.15164090963470994},
        {0.5, 10, 0.01, 0.34207182484321541},     {500, 0.5, 0.999, 0.31731044730971725}, {50, 70, 0.45, 0.77176100175256257},
        {5e4, 0.5, 0.99999, 0.31731050785796622},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        near_to(incomplete_beta(cases[i][0], cases[i][1], cases[i][2]), cases[i][3], 1e-9);
    ck_assert(incomplete_beta(2, 3, 0) == 0 && incomplete_beta(2, 3, 1) == 1);
}
END_TEST

START_TEST(quantiles_of_student_are_those_of_scipy) {
    static const double cases[][3] = {{0.95, 1, 12.706204736174694},
                                      {0.95, 2, 4.3026527297494619},
                                      {0.95, 9, 2.2621571627982049},
                                      {0.99, 4, 4.6040948713499921},
                                      {0.5, 30, 0.68275569332129271}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        near_to(student_quantile(cases[i][0], cases[i][1]), cases[i][2], 1e-11);
}
END_TEST

START_TEST(pearson_is_that_of_scipy) {
    const double a[8] = {0.81, 0.83, 0.92, 0.77, 0.88, 0.9, 0.69, 0.95};
    const double b[8] = {0.8, 0.85, 0.9, 0.79, 0.84, 0.93, 0.71, 0.9};
    double r, p;
    pearson(&r, &p, a, b, 8);
    near_to(r, 0.94020628392761696, 1e-12), near_to(p, 0.00051076854304657709, 1e-10);
    const double c[5] = {1, 2, 3, 4, 5}, d[5] = {2, 1, 4, 3, 5.5};
    pearson(&r, &p, c, d, 5);
    near_to(r, 0.81482171438266671, 1e-13), near_to(p, 0.092954836790652945, 1e-11);
    pearson(&r, &p, c, c, 5);
    near_to(r, 1, 1e-15);
    ck_assert(p < 1e-12);
}
END_TEST

START_TEST(pearson_of_a_constant_is_not_defined) {
    const double x[4] = {0.1, 0.1, 0.1, 0.1}, y[4] = {1, 2, 3, 4};
    double r, p;
    pearson(&r, &p, x, y, 4);
    ck_assert(isnan(r) && isnan(p));
    ck_assert_int_eq(cover_values_pearson(&r, &p, y, x, 4), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_values_pearson(&r, &p, y, y, 2), COVER_ERROR_ARGUMENT);
    const double bad[4] = {1, 2, NAN, 4};
    ck_assert_int_eq(cover_values_pearson(&r, &p, y, bad, 4), COVER_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "pair 2"));
}
END_TEST

START_TEST(percentiles_interpolate_linearly) {
    const double sorted[4] = {1, 2, 4, 8};
    near_to(percentile_sorted(sorted, 4, 0.95), 4 + 0.85 * 4, 1e-14); /* numpy.percentile */
    ck_assert(percentile_sorted(sorted, 4, 0) == 1 && percentile_sorted(sorted, 4, 1) == 8);
    ck_assert(percentile_sorted(sorted, 1, 0.95) == 1);
}
END_TEST

START_TEST(a_bootstrap_interval_covers_as_it_says) {
    enum { CASES = 40, TRIALS = 300 };
    struct random_stream random = random_for(5);
    int covered = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        double values[CASES];
        for (int i = 0; i < CASES; i += 2) {
            float pair[2];
            normal2(random_word(&random), random_word(&random), pair);
            values[i] = 3 + (double)pair[0], values[i + 1] = 3 + (double)pair[1];
        }
        struct interval interval;
        ck_assert_ok(bootstrap_interval(&interval, context, values, CASES, 400, 0.95, 1));
        covered += interval.low <= 3 && interval.high >= 3;
        ck_assert(interval.low < interval.mean && interval.mean < interval.high);
    }
    ck_assert_int_ge(covered, (int)(0.88 * TRIALS)); /* 0.93 is expected of this size; three standard errors */
    ck_assert_int_le(covered, (int)(0.98 * TRIALS));
}
END_TEST

START_TEST(a_bootstrap_interval_leaves_out_what_has_no_value) {
    const double values[5] = {0.5, NAN, 0.7, INFINITY, 0.9}, known[3] = {0.5, 0.7, 0.9};
    struct interval one, other;
    ck_assert_ok(bootstrap_interval(&one, context, values, 5, 2000, 0.95, 7));
    ck_assert_ok(bootstrap_interval(&other, context, known, 3, 2000, 0.95, 7));
    ck_assert_mem_eq(&one, &other, sizeof one);
    ck_assert_int_eq(one.count, 3);
    near_to(one.low, 0.5, 1e-15), near_to(one.high, 0.9, 1e-15); /* 1 of 27 draws is one value alone */
    ck_assert_ok(bootstrap_interval(&one, context, values + 1, 1, 2000, 0.95, 7));
    ck_assert(isnan(one.mean) && isnan(one.low) && one.count == 0);
}
END_TEST

START_TEST(an_interval_over_seeds_is_that_of_student) {
    const double values[3] = {0.71, 0.74, 0.69};
    struct interval interval;
    student_interval(&interval, values, 3, 0.95);
    near_to(interval.low, 0.6508172385395754, 1e-12), near_to(interval.high, 0.77584942812709112, 1e-12);
    student_interval(&interval, values, 1, 0.95);
    ck_assert(interval.mean == 0.71 && isnan(interval.low));
}
END_TEST

/* ---- the public calls */

START_TEST(tensors_of_any_integer_and_strides_are_taken) {
    int64_t truth[6] = {0, 1, 1, 0, 2, 2}, shape[2] = {2, 3}, turned[2] = {1, 2};
    uint8_t prediction[6] = {0, 0, 1, 2, 2, 2}; /* the same shape, columns first: rows 0 1 2 / 0 2 2 */
    cover_tensor *a, *b;
    double dice[3], mm[3];
    ck_assert_ok(cover_tensor_wrap(&a, context, COVER_U8, 2, shape, turned, prediction));
    ck_assert_ok(cover_tensor_wrap(&b, context, COVER_I64, 2, shape, NULL, truth));
    ck_assert_ok(cover_labels_dice(dice, a, b, 3));
    near_to(dice[0], 1, 1e-15), near_to(dice[1], 2.0 / 3, 1e-15), near_to(dice[2], 4.0 / 5, 1e-15);
    ck_assert_ok(cover_labels_hd95(mm, a, b, 3, NULL));
    ck_assert(isnan(mm[0]) && isfinite(mm[1]) && isfinite(mm[2]));
    truth[4] = -1;
    ck_assert_int_eq(cover_labels_dice(dice, a, b, 3), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "truth: pixel 4 has label -1"));
    truth[4] = INT64_C(1) << 40;
    ck_assert_int_eq(cover_labels_dice(dice, a, b, 3), COVER_ERROR_ARGUMENT);
    cover_tensor_destroy(a), cover_tensor_destroy(b);
}
END_TEST

START_TEST(scores_and_truth_must_fit) {
    float score[6] = {0.9f, 0.1f, 0.2f, 0.8f, 0.6f, 0.4f};
    uint8_t truth[6] = {0, 1, 1};
    cover_tensor *scores, *classes, *few, *labels;
    double mean, accuracy, rate[2][4];
    int64_t points, table[4];
    ck_assert_ok(cover_tensor_wrap(&scores, context, COVER_F32, 2, (int64_t[]){3, 2}, NULL, score));
    ck_assert_ok(cover_tensor_wrap(&classes, context, COVER_U8, 1, (int64_t[]){3}, NULL, truth));
    ck_assert_ok(cover_tensor_wrap(&few, context, COVER_U8, 1, (int64_t[]){2}, NULL, truth));
    ck_assert_ok(cover_tensor_wrap(&labels, context, COVER_U8, 2, (int64_t[]){3, 2}, NULL, truth));
    ck_assert_ok(cover_scores_auc(NULL, &mean, scores, classes));
    ck_assert(mean == 1);
    ck_assert_ok(cover_scores_confusion(table, &accuracy, scores, classes));
    near_to(accuracy, 2.0 / 3, 1e-15);
    ck_assert(table[0] == 1 && table[1] == 0 && table[2] == 1 && table[3] == 1);
    ck_assert_ok(cover_scores_roc(rate[0], rate[1], NULL, &points, scores, classes, 1));
    ck_assert_int_eq(points, 4);
    ck_assert_int_eq(cover_scores_auc(NULL, &mean, scores, few), COVER_ERROR_SHAPE);
    ck_assert_int_eq(cover_scores_roc(rate[0], rate[1], NULL, &points, scores, classes, 2), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_scores_confusion(NULL, &accuracy, scores, labels), COVER_ERROR_SHAPE);
    ck_assert_int_eq(cover_scores_auc(NULL, &mean, classes, classes), COVER_ERROR_ARGUMENT);
    truth[1] = 2;
    ck_assert_int_eq(cover_scores_auc(NULL, &mean, scores, classes), COVER_ERROR_ARGUMENT);
    cover_tensor_destroy(scores), cover_tensor_destroy(classes), cover_tensor_destroy(few), cover_tensor_destroy(labels);
}
END_TEST

START_TEST(missing_arguments_are_refused) {
    double number;
    cover_interval interval = COVER_INTERVAL_INIT;
    ck_assert_int_eq(cover_labels_dice(NULL, NULL, NULL, 2), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_labels_dice(&number, NULL, NULL, 2), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_labels_hd95(&number, NULL, NULL, 2, NULL), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_scores_auc(NULL, &number, NULL, NULL), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_interval_bootstrap(&interval, context, &number, 1, -1, 0, 0), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_interval_bootstrap(&interval, context, &number, 1, 0, 1, 0), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_interval_student(&interval, NULL, 1, 0), COVER_ERROR_ARGUMENT);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("metrics");
    TCase *tcase = tcase_create("metrics");
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, dice_by_hand);
    ADD(tcase, dice_does_not_depend_on_the_width_of_labels);
    ADD(tcase, a_label_above_the_classes_is_found);
    ADD(tcase, the_distance_transform_is_exact);
    ADD(tcase, hd95_is_what_brute_force_finds);
    ADD(tcase, hd95_of_equal_maps_is_zero_and_of_a_shift_is_the_shift);
    ADD(tcase, hd95_of_an_empty_map_is_infinite_and_of_two_is_nan);
    ADD(tcase, auc_is_the_share_of_pairs_in_order_and_ties_count_half);
    ADD(tcase, one_class_truth_names_what_is_missing);
    ADD(tcase, a_nan_score_names_its_case);
    ADD(tcase, the_confusion_table_has_the_truth_in_rows);
    ADD(tcase, labels_of_multi_label_cases_are_judged_one_by_one);
    ADD(tcase, the_incomplete_beta_function_is_that_of_scipy);
    ADD(tcase, quantiles_of_student_are_those_of_scipy);
    ADD(tcase, pearson_is_that_of_scipy);
    ADD(tcase, pearson_of_a_constant_is_not_defined);
    ADD(tcase, percentiles_interpolate_linearly);
    ADD(tcase, a_bootstrap_interval_covers_as_it_says);
    ADD(tcase, a_bootstrap_interval_leaves_out_what_has_no_value);
    ADD(tcase, an_interval_over_seeds_is_that_of_student);
    ADD(tcase, tensors_of_any_integer_and_strides_are_taken);
    ADD(tcase, scores_and_truth_must_fit);
    ADD(tcase, missing_arguments_are_refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
