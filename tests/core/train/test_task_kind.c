/* The door of tasks: the library's kinds, and brightness.h's - which share of an image is bright - drawn, trained and predicted through
 * the same row. */
#include "../../check_main.h"
#include "api/predict/inference.h"
#include "core/base/philox.h"
#include "core/train/cases.h"
#include "core/views/augment.h"

#include "brightness.h"
#include <libcover/cover.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { IMAGES = 8, SIDE = 32, STEPS = 60 };

/* ---- images that are bright on the left, further each */

static cover_context *context;

static int edge(int64_t index) { return 2 + 4 * (int)index; }

static cover_status read_image(void *user, int64_t index, float **pixels, struct grid *grid, int *integer_max) {
    (void)user;
    struct random_stream stream = random_stream(3, RANDOM_TEST, 0, (uint32_t)index);
    *grid = (struct grid){.ndim = 2, .size = {1, SIDE, SIDE}};
    *integer_max = 0;
    *pixels = memory_alloc(context, SIDE * SIDE * sizeof **pixels);
    for (int p = 0; *pixels && p < SIDE * SIDE; p++)
        (*pixels)[p] = (p % SIDE < edge(index) ? 0.9f : 0.1f) + random_uniform(&stream, -0.1f, 0.1f);
    return *pixels ? COVER_OK : COVER_ERROR_MEMORY;
}

static const char *image_name(void *user, int64_t index) {
    (void)user;
    (void)index;
    return "stripe";
}

static const struct sample_reader reader = {
    .count = IMAGES, .channels = 1, .largest = {2, {1, SIDE, SIDE}}, .read = read_image, .name = image_name, .ignore = -1};

static cover_config *brightness_config(void) {
    static const char *const values[][2] = {{"widths", "8,8,8,8,8,8,8,8,8"},
                                            {"task", "brightness"},
                                            {"classes", "1"},
                                            {"crop", "32x32"},
                                            {"work", "0x0"},
                                            {"normalise", "none"},
                                            {"batch", "4"},
                                            {"lr", "0.01"},
                                            {"standardise", "off"},
                                            {"appearance_probability", "0"},
                                            {"inpaint_boxes", "0"}};
    cover_config *config;
    static const struct added_row rows[] = {{"task", "brightness", &task_kind_brightness}, {0}};
    context->added = rows;
    ck_assert_ok(cover_config_create(&config, context, "cls-2d"));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) ck_assert_ok(cover_config_set(config, values[i][0], values[i][1]));
    return config;
}

/* Train, and write the loss of each step. */
static void train(struct engine *engine, const struct sample_maker *maker, double *losses, int64_t steps) {
    struct prefetch *prefetch;
    ck_assert_ok(prefetch_create(&prefetch, engine, maker, 0, INT64_MAX));
    for (int64_t step = 0; step < steps; step++) {
        struct step_sums sums;
        double norm;
        ck_assert_ok(prefetch_step(&prefetch, engine, step, 0.01, &sums, &norm));
        losses[step] = sums.term[0] / (double)sums.count;
    }
    prefetch_destroy(prefetch);
    ck_assert_ok(engine_fetch(engine));
}

static float predicted(struct inference *inference, const struct settings *settings, int64_t index) {
    struct grid grid;
    float *pixels, *image, score;
    int integer_max;
    ck_assert_ok(read_image(NULL, index, &pixels, &grid, &integer_max));
    ck_assert_ok(augment_plain(context, settings, &image, &grid, pixels, 1, 0));
    ck_assert_int_eq(inference_scores(inference, &grid), 1);
    ck_assert_ok(inference_run(inference, &score, image, &grid));
    memory_free(context, pixels);
    memory_free(context, image);
    return score;
}

START_TEST(a_kind_of_ones_own_is_drawn_trained_and_predicted) {
    cover_config *config = brightness_config();
    const struct settings *settings = config_settings(config);
    const struct grid crop = settings_grid(&settings->views.crop, 2);
    int64_t cases[IMAGES];
    float weight;
    struct case_maker maker;
    struct engine *engine;
    struct inference *inference;
    double losses[STEPS], first = 0, last = 0;
    for (int64_t i = 0; i < IMAGES; i++) cases[i] = i;
    ck_assert_ok(case_class_weights(&weight, context, &task_kind_brightness, settings, &reader, cases, IMAGES, NULL));
    ck_assert_float_eq(weight, 1);
    ck_assert_ok(case_maker(&maker, context, &task_kind_brightness, settings, &reader, cases, IMAGES, &weight));
    ck_assert_ok(engine_create(&engine, context, settings, task_model, &crop, settings->common.batch));
    train(engine, &maker.maker, losses, STEPS);
    for (int i = 0; i < 10; i++) first += losses[i], last += losses[STEPS - 10 + i];
    ck_assert_double_lt(last, first);
    ck_assert_ok(inference_create(&inference, context, settings, &engine->model.parameters));
    ck_assert_ok(inference_weights(inference, engine->weights));
    ck_assert_float_gt(predicted(inference, settings, IMAGES - 1), predicted(inference, settings, 0) + 0.2f);
    inference_destroy(inference);
    engine_destroy(engine);
    cover_config_destroy(config);
}
END_TEST

START_TEST(rows_stand_in_the_order_of_the_settings_choices) {
    cover_config *config;
    ck_assert_ok(cover_config_create(&config, context, "seg-2d"));
    for (int i = 0; cover_config_key_at(i); i++) {
        if (strcmp(cover_config_key_at(i)->name, "task") != 0) continue;
        char choices[256];
        snprintf(choices, sizeof choices, "%s", cover_config_key_at(i)->choices);
        int count = 0;
        for (char *rest, *name = strtok_r(choices, "|", &rest); name; name = strtok_r(NULL, "|", &rest), count++) {
            ck_assert_ok(cover_config_set(config, "task", name));
            ck_assert_int_eq(config_settings(config)->task.task, count);
            ck_assert_str_eq(task_kind_of(context, &config_settings(config)->task)->name, name);
        }
        ck_assert_int_eq(count, 2);
    }
    cover_config_destroy(config);
}
END_TEST

static void setup(void) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = 2;
    ck_assert_ok(cover_context_create(&context, &options));
}
static void teardown(void) { cover_context_destroy(context); }

int main(void) {
    Suite *suite = suite_create("kinds of tasks");
    TCase *tcase = tcase_create("kinds");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    ADD(tcase, rows_stand_in_the_order_of_the_settings_choices);
    ADD(tcase, a_kind_of_ones_own_is_drawn_trained_and_predicted);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
