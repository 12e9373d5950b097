/* Losses of segmentation and classification, what the table-driven checker cannot see: values worked out by hand, slopes
 * in double, pixels without a class, NaN and huge logits, one pixel alone, class weights. */
#include "../check_main.h"
#include "cpu/features.h"
#include "operations.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const struct kernels *tables[KERNEL_TABLES];
static int count_tables;

static void setup(void) {
    unsigned features;
    ck_assert_ok(cpu_features_capped(&features, NULL));
    count_tables = kernels_available(tables, features, ELEMENT_F32);
}

/* The body that follows runs for every form. */
#define EACH_FORM(k) for (const struct kernels **at = tables, *k; at < tables + count_tables && (k = *at, true); at++)
#define EACH(value, list)                                                                                                          \
    for (size_t i_##value = 0; i_##value < sizeof list / sizeof *list && (value = list[i_##value], true); i_##value++)

static const int64_t class_counts[] = {2, 3, 4, 5, 8, 17, 30, 64, 65, 300}, pixel_counts[] = {1, 7, 16, 67};

/* One image of a softmax loss and what comes out. */
struct softmax_run {
    struct softmax_loss s;
    struct array logits, target, weights, statistics, dlogits;
    double loss[2];
};

static struct softmax_run softmax_make(int64_t pixels, int64_t classes) {
    struct random_stream random = random_stream(3, RANDOM_TEST, (uint32_t)classes, (uint32_t)pixels);
    struct softmax_run run = {.s = {pixels, classes, 1, 1, 1},
                              .logits = array_make(pixels * classes),
                              .target = array_make(pixels),
                              .weights = array_make(classes),
                              .dlogits = array_make(pixels * classes),
                              .statistics = workspace_make((size_t)(1 + 3 * classes) * sizeof(double))};
    for (int64_t i = 0; i < pixels * classes; i++) run.logits.data[i] = random_uniform(&random, -3, 3);
    for (int64_t p = 0; p < pixels; p++) run.target.data[p] = p % 7 == 3 ? -1 : (float)(random_word(&random) % (uint32_t)classes);
    for (int64_t c = 0; c < classes; c++) run.weights.data[c] = random_uniform(&random, 0.2f, 2);
    return run;
}
static void softmax_free(struct softmax_run *run) {
    array_free(&run->logits), array_free(&run->target), array_free(&run->weights);
    array_free(&run->statistics), array_free(&run->dlogits);
}
static double *statistics(struct softmax_run *run) { return (double *)(void *)run->statistics.data; }
static void softmax_both(const struct kernels *k, struct softmax_run *run, bool weighted) {
    const float *weights = weighted ? run->weights.data : NULL;
    k->softmax_loss(run->loss, statistics(run), run->logits.data, run->target.data, weights, &run->s);
    k->softmax_loss_grad(run->dlogits.data, run->logits.data, run->target.data, weights, statistics(run), &run->s);
}
/* (A ck_assert an element would write a message each.) */
static bool all_zero(const struct array *array) {
    for (int64_t i = 0; i < array->count; i++)
        if (array->data[i] != 0) return false;
    return true;
}

START_TEST(equal_logits_cost_the_logarithm_of_the_number_of_classes) {
    int64_t classes, pixels;
    EACH_FORM(k) EACH(classes, class_counts) EACH(pixels, pixel_counts) {
        struct softmax_run run = softmax_make(pixels, classes);
        for (int64_t i = 0; i < run.logits.count; i++) run.logits.data[i] = 5;
        softmax_both(k, &run, false);
        ck_assert_double_eq_tol(run.loss[0], log((double)classes), 1e-6);
        softmax_free(&run);
    }
}
END_TEST

/* Two classes, p_1 = 3/4 at each of four pixels, t = 1, 1, 0, none:
 * I = 3/2, P = 9/4, T = 2, Dice = (3 + 1) / (17/4 + 1) */
START_TEST(losses_of_four_pixels_are_those_of_pen_and_paper) {
    EACH_FORM(k) {
        struct softmax_run run = softmax_make(4, 2);
        for (int p = 0; p < 4; p++) run.logits.data[2 * p] = 0, run.logits.data[2 * p + 1] = logf(3);
        memcpy(run.target.data, (float[]){1, 1, 0, -1}, 4 * sizeof(float));
        softmax_both(k, &run, false);
        ck_assert_double_eq_tol(run.loss[0], (2 * log(4.0 / 3) + log(4)) / 3, 1e-6);
        ck_assert_double_eq_tol(run.loss[1], 1 - 4 / 5.25, 1e-6);
        const double expected[] = {3, 0.25, 1.5, 0.75, 2.25, 1, 2};
        for (int i = 0; i < 7; i++) ck_assert_double_eq_tol(statistics(&run)[i], expected[i], 1e-6);
        softmax_free(&run);
    }
}
END_TEST

START_TEST(softmax_gradients_are_the_slopes_of_the_loss) {
    static const float weights[][2] = {{1, 1}, {1, 0}, {0, 1}, {0.5f, 2}};
    int64_t classes, pixels;
    EACH(classes, class_counts) EACH(pixels, pixel_counts) for (int w = 0; w < 4; w++) {
        struct softmax_run run = softmax_make(pixels, classes);
        run.s.ce_weight = weights[w][0], run.s.dice_weight = weights[w][1];
        softmax_both(tables[0], &run, w % 2);
        for (int64_t i = 0; i < run.logits.count; i += 1 + run.logits.count / 40) {
            const float step = 0x1p-8f, kept = run.logits.data[i];
            double side[2];
            for (int high = 0; high < 2; high++) {
                double loss[2], sums[1 + 3 * 300];
                run.logits.data[i] = high ? kept + step : kept - step;
                const double wide = run.logits.data[i] - kept;
                tables[0]->softmax_loss(loss, sums, run.logits.data, run.target.data, w % 2 ? run.weights.data : NULL, &run.s);
                const double before = run.s.ce_weight * run.loss[0] + run.s.dice_weight * run.loss[1];
                side[high] = (run.s.ce_weight * loss[0] + run.s.dice_weight * loss[1] - before) / wide;
            }
            run.logits.data[i] = kept;
            ck_assert_double_eq_tol(run.dlogits.data[i], (side[0] + side[1]) / 2, 1e-5 / (double)pixels);
        }
        softmax_free(&run);
    }
}
END_TEST

START_TEST(pixels_without_a_class_have_no_part_whatever_lies_there) {
    static const float none[] = {-1, -0.5f, -INFINITY, INFINITY, NAN, 1e30f};
    int64_t classes;
    EACH_FORM(k) EACH(classes, class_counts) {
        struct softmax_run run = softmax_make(67, classes), clean = softmax_make(67, classes);
        for (int64_t p = 0; p < 67; p++) {
            if (run.target.data[p] >= 0) continue;
            run.target.data[p] = p % 2 ? none[p / 7 % 6] : (float)classes;
            for (int64_t c = 0; c < classes; c++) run.logits.data[p * classes + c] = c % 2 ? NAN : INFINITY;
        }
        softmax_both(k, &run, true), softmax_both(k, &clean, true);
        ck_assert(run.loss[0] == clean.loss[0] && run.loss[1] == clean.loss[1]);
        ck_assert_mem_eq(run.statistics.data, clean.statistics.data, (size_t)(1 + 3 * classes) * sizeof(double));
        ck_assert_mem_eq(run.dlogits.data, clean.dlogits.data, (size_t)run.dlogits.count * sizeof(float));
        softmax_free(&run), softmax_free(&clean);
    }
}
END_TEST

START_TEST(an_image_without_a_valid_pixel_has_no_loss_and_no_gradient) {
    int64_t classes;
    EACH_FORM(k) EACH(classes, class_counts) {
        struct softmax_run run = softmax_make(67, classes);
        for (int64_t p = 0; p < 67; p++) run.target.data[p] = -1;
        run.logits.data[5] = NAN;
        softmax_both(k, &run, true);
        ck_assert(run.loss[0] == 0 && run.loss[1] == 0);
        ck_assert(all_zero(&run.dlogits));
        softmax_free(&run);
    }
}
END_TEST

START_TEST(huge_logits_are_certain_and_stay_finite) {
    static const float huge[] = {100, 1e4f, FLT_MAX};
    int64_t classes;
    EACH_FORM(k) EACH(classes, class_counts) for (int h = 0; h < 3; h++) {
        struct softmax_run run = softmax_make(67, classes);
        for (int64_t p = 0; p < 67; p++)
            for (int64_t c = 0; c < classes; c++)
                run.logits.data[p * classes + c] = (float)c == run.target.data[p] ? huge[h] : h == 2 ? -huge[h] : 0;
        softmax_both(k, &run, true);
        ck_assert_double_eq_tol(run.loss[0], 0, 1e-6);
        ck_assert_double_eq_tol(run.loss[1], 0, 1e-6);
        for (int64_t i = 0; i < run.dlogits.count; i++)
            if (!(fabsf(run.dlogits.data[i]) < 1e-6f)) ck_abort_msg("gradient %d is %g", (int)i, run.dlogits.data[i]);
        /* certain of a wrong class */
        for (int64_t i = 0; i < run.logits.count; i++) run.logits.data[i] = 0;
        for (int64_t p = 0; p < 67; p++)
            if (run.target.data[p] >= 0) run.logits.data[p * classes + ((int64_t)run.target.data[p] + 1) % classes] = 1e4f;
        softmax_both(k, &run, false);
        ck_assert_double_eq_tol(run.loss[0], 1e4, 1e-2);
        softmax_free(&run);
    }
}
END_TEST

START_TEST(a_nan_in_a_logit_shows_in_both_losses_and_at_its_pixel) {
    int64_t classes;
    EACH_FORM(k) EACH(classes, class_counts) for (int64_t c = 0; c < classes; c += 1 + classes / 3) {
        struct softmax_run run = softmax_make(67, classes);
        run.logits.data[13 * classes + c] = NAN;
        run.target.data[13] = 1;
        run.s.dice_weight = 0;
        softmax_both(k, &run, false);
        ck_assert(isnan(run.loss[0]) && isnan(run.loss[1]));
        for (int64_t i = 0; i < run.dlogits.count; i++)
            if ((bool)isnan(run.dlogits.data[i]) != (i / classes == 13))
                ck_abort_msg("gradient %d is %g", (int)i, run.dlogits.data[i]);
        softmax_free(&run);
    }
}
END_TEST

START_TEST(class_weights_scale_the_cross_entropy_of_their_class_alone) {
    int64_t classes;
    EACH_FORM(k) EACH(classes, class_counts) {
        struct softmax_run run = softmax_make(67, classes), ones = softmax_make(67, classes), twice = softmax_make(67, classes);
        for (int64_t c = 0; c < classes; c++) ones.weights.data[c] = 1, twice.weights.data[c] = 2;
        run.s.dice_weight = ones.s.dice_weight = twice.s.dice_weight = 0;
        softmax_both(k, &run, false), softmax_both(k, &ones, true), softmax_both(k, &twice, true);
        ck_assert(run.loss[0] == ones.loss[0] && run.loss[1] == ones.loss[1]);
        ck_assert_mem_eq(run.dlogits.data, ones.dlogits.data, (size_t)run.dlogits.count * sizeof(float));
        ck_assert_double_eq_tol(twice.loss[0], 2 * run.loss[0], 1e-9);
        ck_assert(twice.loss[1] == run.loss[1]);
        for (int64_t i = 0; i < run.dlogits.count; i++)
            if (twice.dlogits.data[i] != 2 * run.dlogits.data[i]) ck_abort_msg("gradient %d is not twice as large", (int)i);
        softmax_free(&run), softmax_free(&ones), softmax_free(&twice);
    }
}
END_TEST

START_TEST(sums_of_many_pixels_lose_nothing) {
    const int64_t pixels = 300007;
    EACH_FORM(k) {
        struct softmax_run run = softmax_make(pixels, 2);
        for (int64_t p = 0; p < pixels; p++) {
            run.target.data[p] = (float)(p % 2);
            run.logits.data[2 * p] = 0, run.logits.data[2 * p + 1] = 1;
        }
        softmax_both(k, &run, false);
        const double p1 = 1 / (1 + exp(-1)), half = (double)(pixels / 2);
        ck_assert(statistics(&run)[0] == pixels && statistics(&run)[6] == half);
        ck_assert_double_eq_tol(statistics(&run)[4] / (double)pixels, p1, 1e-7);
        ck_assert_double_eq_tol(statistics(&run)[2] / half, p1, 1e-7);
        ck_assert_double_eq_tol(run.loss[0], -(half * log(p1) + (half + 1) * log(1 - p1)) / (double)pixels, 2e-7);
        softmax_free(&run);
    }
}
END_TEST

/* ---- sigmoid */

START_TEST(the_sigmoid_loss_is_the_mean_over_known_entries) {
    EACH_FORM(k) for (int64_t classes = 1; classes < 40; classes++) {
        const int64_t count = 5 * classes;
        struct array z = array_make(count), t = array_make(count), w = array_make(classes), dz = array_make(count);
        double known = 0, sum = 0, found;
        for (int64_t i = 0; i < count; i++) {
            z.data[i] = (float)(i * 37 % 101) / 10 - 5, t.data[i] = (float)(i % 3) - 1;
            w.data[i % classes] = 0.5f + (float)(i % classes);
            if (t.data[i] < 0) z.data[i] = NAN;
            else known++, sum -= w.data[i % classes] * log(1 / (1 + exp(t.data[i] > 0 ? -z.data[i] : z.data[i])));
        }
        const double loss = k->sigmoid_loss(&found, z.data, t.data, w.data, 5, classes);
        ck_assert(found == known);
        ck_assert_double_eq_tol(loss, sum / known, 1e-6 * (1 + loss));
        k->sigmoid_loss_grad(dz.data, z.data, t.data, w.data, &found, 5, classes);
        for (int64_t i = 0; i < count; i++) {
            const double slope = t.data[i] < 0 ? 0 : w.data[i % classes] * (1 / (1 + exp(-z.data[i])) - t.data[i]) / known;
            if (!(fabs(slope - dz.data[i]) < 1e-6 * (1 + fabs(slope)))) ck_abort_msg("gradient %d is %g", (int)i, dz.data[i]);
        }
        array_free(&z), array_free(&t), array_free(&w), array_free(&dz);
    }
}
END_TEST

START_TEST(a_sigmoid_loss_of_nothing_known_is_zero_and_of_huge_logits_finite) {
    EACH_FORM(k) {
        struct array z = array_make(21), t = array_make(21), dz = array_make(21);
        double known;
        for (int i = 0; i < 21; i++) z.data[i] = i % 2 ? NAN : INFINITY, t.data[i] = -1;
        ck_assert(k->sigmoid_loss(&known, z.data, t.data, NULL, 7, 3) == 0 && known == 0);
        k->sigmoid_loss_grad(dz.data, z.data, t.data, NULL, &known, 7, 3);
        ck_assert(all_zero(&dz));
        for (int i = 0; i < 21; i++) z.data[i] = i % 2 ? 1e4f : -FLT_MAX, t.data[i] = (float)(i % 2);
        ck_assert_double_eq_tol(k->sigmoid_loss(&known, z.data, t.data, NULL, 7, 3), 0, 1e-7);
        k->sigmoid_loss_grad(dz.data, z.data, t.data, NULL, &known, 7, 3);
        ck_assert(all_zero(&dz));
        for (int i = 0; i < 21; i++) z.data[i] = i % 2 ? -1e4f : 1e4f;
        ck_assert_double_eq_tol(k->sigmoid_loss(&known, z.data, t.data, NULL, 7, 3), 1e4, 1e-2);
        z.data[20] = NAN;
        ck_assert(isnan(k->sigmoid_loss(&known, z.data, t.data, NULL, 7, 3)));
        array_free(&z), array_free(&t), array_free(&dz);
    }
}
END_TEST

/* ---- global_pool */

START_TEST(a_pool_of_one_pixel_is_a_copy_and_of_many_loses_nothing) {
    EACH_FORM(k) for (int64_t channels = 1; channels < 140; channels += 1 + channels / 3) {
        struct array x = array_make(channels), y = array_make(channels), many = array_make(70001 * channels);
        for (int64_t i = 0; i < many.count; i++) many.data[i] = 1.1f + (float)(i % channels);
        memcpy(x.data, many.data, (size_t)channels * sizeof(float));
        k->global_pool(y.data, x.data, 1, channels);
        ck_assert_mem_eq(y.data, x.data, (size_t)channels * sizeof(float));
        k->global_pool(y.data, many.data, 70001, channels);
        ck_assert_mem_eq(y.data, x.data, (size_t)channels * sizeof(float));
        k->global_pool_grad(y.data, x.data, 1, channels);
        ck_assert_mem_eq(y.data, x.data, (size_t)channels * sizeof(float));
        array_free(&x), array_free(&y), array_free(&many);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("losses of a task");
    TCase *tcase = tcase_create("losses of a task");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 120);
    ADD(tcase, equal_logits_cost_the_logarithm_of_the_number_of_classes);
    ADD(tcase, losses_of_four_pixels_are_those_of_pen_and_paper);
    ADD(tcase, softmax_gradients_are_the_slopes_of_the_loss);
    ADD(tcase, pixels_without_a_class_have_no_part_whatever_lies_there);
    ADD(tcase, an_image_without_a_valid_pixel_has_no_loss_and_no_gradient);
    ADD(tcase, huge_logits_are_certain_and_stay_finite);
    ADD(tcase, a_nan_in_a_logit_shows_in_both_losses_and_at_its_pixel);
    ADD(tcase, class_weights_scale_the_cross_entropy_of_their_class_alone);
    ADD(tcase, sums_of_many_pixels_lose_nothing);
    ADD(tcase, the_sigmoid_loss_is_the_mean_over_known_entries);
    ADD(tcase, a_sigmoid_loss_of_nothing_known_is_zero_and_of_huge_logits_finite);
    ADD(tcase, a_pool_of_one_pixel_is_a_copy_and_of_many_loses_nothing);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
