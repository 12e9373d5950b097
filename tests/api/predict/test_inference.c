/* Windows over whole images: where they lie, what they add up to, mirrored copies, and the same bits for any threads. */
#include "../../check_main.h"
#include "api/predict/inference.h"
#include "core/base/philox.h"
#include "core/base/threads.h"
#include "core/graph/executor.h"
#include "core/method/supervised.h"

#include <libcover/cover.h>

#include <math.h>
#include <string.h>

/* One task with random weights. */
struct fixture {
    cover_context *context;
    cover_config *config;
    struct parameters parameters;
    float *weights;
    struct inference *inference;
};

static void open_fixture(struct fixture *fixture, int threads, const char *preset, const char *const *pairs) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = threads;
    *fixture = (struct fixture){0};
    ck_assert_ok(cover_context_create(&fixture->context, &options));
    ck_assert_ok(cover_config_create(&fixture->config, fixture->context, preset));
    ck_assert_ok(cover_config_set(fixture->config, "widths", "8,8,8,8,16,8,8,8,8"));
    ck_assert_ok(cover_config_set(fixture->config, "classes", "3"));
    for (; pairs && *pairs; pairs += 2) ck_assert_ok(cover_config_set(fixture->config, pairs[0], pairs[1]));
    const struct settings *settings = config_settings(fixture->config);
    ck_assert_ok(task_parameters(&fixture->parameters, fixture->context, settings));
    fixture->weights = memory_zero(fixture->context, (size_t)fixture->parameters.floats * sizeof(float));
    parameters_initialise(&fixture->parameters, fixture->weights, 11);
    ck_assert_ok(inference_create(&fixture->inference, fixture->context, settings, &fixture->parameters));
    ck_assert_ok(inference_weights(fixture->inference, fixture->weights));
}

static void close_fixture(struct fixture *fixture) {
    inference_destroy(fixture->inference);
    memory_free(fixture->context, fixture->weights);
    parameters_free(&fixture->parameters);
    cover_config_destroy(fixture->config);
    cover_context_destroy(fixture->context);
}

static float *parameter(const struct fixture *fixture, const char *name) {
    int row = parameters_find(&fixture->parameters, name);
    ck_assert_int_ge(row, 0);
    return fixture->weights + fixture->parameters.rows[row].offset;
}

static struct grid grid2(int64_t h, int64_t w) { return (struct grid){.ndim = 2, .size = {1, h, w}}; }
static struct grid grid3(int64_t d, int64_t h, int64_t w) { return (struct grid){.ndim = 3, .size = {d, h, w}}; }

static float *random_image(const struct grid *grid) {
    struct random_stream stream = random_stream(5, RANDOM_TEST, 0, 1);
    float *image = malloc((size_t)grid_pixels(grid) * sizeof *image);
    for (int64_t i = 0; i < grid_pixels(grid); i++) image[i] = random_uniform(&stream, 0, 1);
    return image;
}

static float *run(const struct fixture *fixture, const float *image, const struct grid *grid) {
    float *scores = malloc((size_t)inference_scores(fixture->inference, grid) * sizeof *scores);
    ck_assert_ok(inference_run(fixture->inference, scores, image, grid));
    return scores;
}

/* What the graph itself says of one image of a grid that the network takes. */
static float *direct(const struct fixture *fixture, const float *image, const struct grid *grid) {
    const struct settings *settings = config_settings(fixture->config);
    struct parameters parameters = fixture->parameters;
    struct task task;
    struct program *program;
    ck_assert_ok(task_build(&task, fixture->context, &parameters, task_kind_of(fixture->context, &settings->task), settings, grid,
                            1, TASK_KEEP));
    ck_assert_ok(executor_cpu.program_create(&program, fixture->context, &task.graph, 1));
    ck_assert_ok(executor_cpu.program_pack(program, fixture->weights));
    struct run run = {.input = {image}, .parameters = fixture->weights};
    run.arena = memory_alloc(fixture->context, executor_cpu.program_plan(program)->arena_bytes);
    ck_assert_ok(run_once(fixture->context, &executor_cpu, program, &run, 1));
    const float *logits = executor_cpu.program_result(program, &run, task.logits);
    int64_t places = task_kind_of(fixture->context, &settings->task)->dense ? grid_pixels(grid) : 1,
            classes = settings->task.classes;
    float *scores = malloc((size_t)(places * classes) * sizeof *scores);
    for (int64_t p = 0; p < places; p++) {
        double sum = 0;
        for (int64_t c = 0; c < classes; c++) sum += exp((double)logits[p * classes + c]);
        for (int64_t c = 0; c < classes; c++) {
            double value = exp((double)logits[p * classes + c]);
            scores[p * classes + c] = (float)(settings->task.multilabel ? value / (1 + value) : value / sum);
        }
    }
    memory_free(fixture->context, run.arena);
    executor_cpu.program_destroy(program);
    task_free(&task);
    return scores;
}

static void check_near(const float *a, const float *b, int64_t count, double bound) {
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(fabs((double)a[i] - (double)b[i]) <= bound, "value %lld: %g, not %g", (long long)i, (double)a[i],
                      (double)b[i]);
}

START_TEST(an_image_of_the_crops_size_is_one_window) {
    struct fixture fixture;
    const struct grid grid = grid2(48, 32);
    open_fixture(&fixture, 2, "seg-2d", (const char *[]){"crop", "48x32", NULL});
    float *image = random_image(&grid), *scores = run(&fixture, image, &grid), *truth = direct(&fixture, image, &grid);
    check_near(scores, truth, grid_pixels(&grid) * 3, 2e-6);
    free(image), free(scores), free(truth);
    close_fixture(&fixture);
}
END_TEST

START_TEST(a_small_image_lies_in_the_middle_of_zeros) {
    struct fixture fixture;
    const struct grid small = grid3(9, 32, 20), whole = grid3(16, 32, 32);
    open_fixture(&fixture, 2, "seg-3d", (const char *[]){"crop", "16x32x32", NULL});
    float *image = random_image(&small), *padded = calloc((size_t)grid_pixels(&whole), sizeof *padded);
    for (int64_t z = 0; z < 9; z++)
        for (int64_t y = 0; y < 32; y++)
            memcpy(padded + ((z + 3) * 32 + y) * 32 + 6, image + (z * 32 + y) * 20, 20 * sizeof *image);
    float *scores = run(&fixture, image, &small), *truth = run(&fixture, padded, &whole);
    for (int64_t z = 0; z < 9; z++)
        for (int64_t y = 0; y < 32; y++)
            ck_assert_mem_eq(scores + (z * 32 + y) * 20 * 3, truth + (((z + 3) * 32 + y) * 32 + 6) * 3, 60 * sizeof *scores);
    free(image), free(padded), free(scores), free(truth);
    close_fixture(&fixture);
}
END_TEST

START_TEST(the_weights_of_all_windows_sum_to_one) {
    static const struct {
        int64_t size[3];
        const char *overlap;
    } cases[] = {{{1, 45, 71}, "0.5"}, {{1, 32, 33}, "0"}, {{1, 20, 48}, "0.9"}, {{24, 17, 33}, "0.5"}, {{16, 16, 16}, "0.3"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture fixture;
        int dims = cases[i].size[0] > 1 ? 3 : 2;
        struct grid grid = {.ndim = dims, .size = {cases[i].size[0], cases[i].size[1], cases[i].size[2]}};
        open_fixture(
            &fixture, 1, dims == 3 ? "seg-3d" : "seg-2d",
            (const char *[]){"crop", dims == 3 ? "16x16x16" : "32x32", "overlap", cases[i].overlap, "mirror", "horizontal", NULL});
        memset(parameter(&fixture, "head.weight"), 0, 3 * 8 * sizeof(float));
        memcpy(parameter(&fixture, "head.bias"), (const float[]){1, 2, -1}, 3 * sizeof(float));
        ck_assert_ok(inference_weights(fixture.inference, fixture.weights));
        float *image = random_image(&grid), *scores = run(&fixture, image, &grid);
        double sum = exp(1) + exp(2) + exp(-1);
        const float constant[3] = {(float)(exp(1) / sum), (float)(exp(2) / sum), (float)(exp(-1) / sum)};
        for (int64_t p = 0; p < grid_pixels(&grid); p++) check_near(scores + 3 * p, constant, 3, 2e-6);
        free(image), free(scores);
        close_fixture(&fixture);
    }
}
END_TEST

static float *flipped(const float *values, const struct grid *grid, int64_t channels, unsigned flips) {
    float *to = malloc((size_t)(grid_pixels(grid) * channels) * sizeof *to);
    const int64_t *size = grid->size;
    for (int64_t z = 0; z < size[0]; z++)
        for (int64_t y = 0; y < size[1]; y++)
            for (int64_t x = 0; x < size[2]; x++) {
                int64_t fz = flips & 1 ? size[0] - 1 - z : z, fy = flips & 2 ? size[1] - 1 - y : y,
                        fx = flips & 4 ? size[2] - 1 - x : x;
                memcpy(to + ((z * size[1] + y) * size[2] + x) * channels, values + ((fz * size[1] + fy) * size[2] + fx) * channels,
                       (size_t)channels * sizeof *to);
            }
    return to;
}

START_TEST(mirrored_averaging_commutes_with_mirroring) {
    static const struct {
        const char *mirror;
        unsigned flips;
    } cases[] = {{"all", 6}, {"all", 2}, {"horizontal", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture fixture;
        const struct grid grid = grid2(44, 60);
        open_fixture(&fixture, 1, "seg-2d", (const char *[]){"crop", "32x32", "mirror", cases[i].mirror, NULL});
        float *image = random_image(&grid), *turned = flipped(image, &grid, 1, cases[i].flips);
        float *scores = run(&fixture, image, &grid), *of_turned = run(&fixture, turned, &grid);
        float *back = flipped(of_turned, &grid, 3, cases[i].flips);
        check_near(scores, back, grid_pixels(&grid) * 3, 2e-6);
        free(image), free(turned), free(scores), free(of_turned), free(back);
        close_fixture(&fixture);
    }
}
END_TEST

static const char *const threaded[] = {"crop", "16x32x16", "mirror", "horizontal", NULL};

START_TEST(any_number_of_threads_gives_the_same_bits) {
    const struct grid grid = grid3(20, 32, 24);
    float *image = random_image(&grid), *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        struct fixture fixture;
        open_fixture(&fixture, threads, "seg-3d", threaded);
        float *scores = run(&fixture, image, &grid);
        if (!first) first = scores;
        else {
            ck_assert_mem_eq(scores, first, (size_t)inference_scores(fixture.inference, &grid) * sizeof *first);
            free(scores);
        }
        close_fixture(&fixture);
    }
    free(first), free(image);
}
END_TEST

struct caller {
    pthread_t thread;
    struct fixture *fixture;
    const float *image;
    struct grid grid;
    float *scores;
};
static void *call(void *data) {
    struct caller *caller = data;
    caller->scores = run(caller->fixture, caller->image, &caller->grid);
    return NULL;
}

START_TEST(several_threads_may_run_one_inference_at_once) {
    struct fixture fixture;
    struct caller callers[6];
    open_fixture(&fixture, 2, "seg-2d", (const char *[]){"crop", "32x32", NULL});
    for (int i = 0; i < 6; i++) {
        callers[i] = (struct caller){.fixture = &fixture, .grid = grid2(40 + 16 * (i % 3), 33)};
        callers[i].image = random_image(&callers[i].grid);
        ck_assert_int_eq(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(callers[i].thread, NULL);
        float *alone = run(&fixture, callers[i].image, &callers[i].grid);
        ck_assert_mem_eq(callers[i].scores, alone, (size_t)grid_pixels(&callers[i].grid) * 3 * sizeof *alone);
        free(alone), free(callers[i].scores), free((float *)callers[i].image);
    }
    close_fixture(&fixture);
}
END_TEST

START_TEST(classification_takes_the_image_as_a_whole) {
    for (int multilabel = 0; multilabel < 2; multilabel++) {
        struct fixture fixture;
        const struct grid grid = grid2(48, 64);
        open_fixture(&fixture, 2, "cls-2d", (const char *[]){"crop", "32x32", "multilabel", multilabel ? "on" : "off", NULL});
        float *image = random_image(&grid), *scores = run(&fixture, image, &grid), *truth = direct(&fixture, image, &grid);
        ck_assert_int_eq(inference_scores(fixture.inference, &grid), 3);
        check_near(scores, truth, 3, 2e-6);
        free(image), free(scores), free(truth);
        close_fixture(&fixture);
    }
}
END_TEST

START_TEST(new_weights_change_the_scores) {
    struct fixture fixture;
    const struct grid grid = grid2(32, 32);
    open_fixture(&fixture, 2, "seg-2d", (const char *[]){"crop", "32x32", NULL});
    float *image = random_image(&grid), *before = run(&fixture, image, &grid);
    parameters_initialise(&fixture.parameters, fixture.weights, 12);
    ck_assert_ok(inference_weights(fixture.inference, fixture.weights));
    float *after = run(&fixture, image, &grid), *truth = direct(&fixture, image, &grid);
    ck_assert_int_ne(memcmp(before, after, (size_t)grid_pixels(&grid) * 3 * sizeof *after), 0);
    check_near(after, truth, grid_pixels(&grid) * 3, 2e-6);
    free(image), free(before), free(after), free(truth);
    close_fixture(&fixture);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("inference");
    TCase *tcase = tcase_create("windows");
    ADD(tcase, an_image_of_the_crops_size_is_one_window);
    ADD(tcase, a_small_image_lies_in_the_middle_of_zeros);
    ADD(tcase, the_weights_of_all_windows_sum_to_one);
    ADD(tcase, mirrored_averaging_commutes_with_mirroring);
    ADD(tcase, any_number_of_threads_gives_the_same_bits);
    ADD(tcase, several_threads_may_run_one_inference_at_once);
    ADD(tcase, classification_takes_the_image_as_a_whole);
    ADD(tcase, new_weights_change_the_scores);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
