/* Samples that meet in a batch graph: the gradient is that of the whole batch at once, whatever the lanes; samples come back when a
 * step fails; links that do not fit are refused. */
#include "../../check_main.h"
#include "core/graph/session.h"
#include "core/train/engine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 7, IMAGES = 2, PIXELS = 3, CHANNELS = 4, WIDTH = 8, VALUES = IMAGES * PIXELS * CHANNELS };
enum { ROWS = IMAGES * BATCH * PIXELS };

/* Parameters of both graphs: those of the batch graph alone, of both, and of the sample graph alone. */
static int weights_of(struct graph *graph, const char *name, int64_t c_out, int64_t c_in) {
    return graph_parameter(graph, name, 4, (const int64_t[]){c_out, c_in, 1, 1}, c_in, INIT_KAIMING_NORMAL);
}
static int linear(struct graph *graph, int x, const char *name, int64_t c_out, int64_t c_in) {
    return graph_conv(graph, x, ABSENT, weights_of(graph, name, c_out, c_in), ABSENT, 1, ELEMENT_F32, NULL);
}
static int encode(struct graph *graph, int x) {
    return linear(graph, linear(graph, x, "sample", CHANNELS, CHANNELS), "both", CHANNELS, CHANNELS);
}
/* A batch norm between two linear layers, so that every row depends on every other. */
static int meet(struct graph *graph, int rows, int mask) {
    const int gamma = graph_parameter(graph, "gamma", 1, (const int64_t[]){WIDTH}, 1, INIT_ONE);
    const int beta = graph_parameter(graph, "beta", 1, (const int64_t[]){WIDTH}, 1, INIT_ZERO);
    const int hidden = linear(graph, linear(graph, rows, "both", CHANNELS, CHANNELS), "batch", WIDTH, CHANNELS);
    const int z = graph_norm_act(graph, hidden, gamma, beta, ABSENT, ABSENT, (struct norm_attributes){WIDTH, 1e-5f, 0});
    return graph_cosine_loss(graph, linear(graph, z, "last", CHANNELS, WIDTH), rows, mask);
}

static cover_status meeting_model(struct model *model, cover_context *context, const struct settings *settings,
                                  const struct grid *grid) {
    const struct grid all = {2, {1, 1, (int64_t)IMAGES * settings->common.batch * PIXELS}};
    struct graph *batch = &model->batch, *graph = &model->graph;
    model->parameters = (struct parameters){.context = context};
    graph_begin(batch, context, &model->parameters);
    const int rows = graph_input(batch, "rows", 1, &all, CHANNELS), mask = graph_input(batch, "mask", 1, &all, 1);
    const int loss = meet(batch, rows, mask);
    model->term[model->terms++] =
        (struct loss_term){.name = "loss", .result = graph_result(batch, loss), .of_batch = true, .weight = 1};
    struct derivative of_batch = {.outputs = 1, .output = {loss}, .gradient = {loss}, .wants = 1, .want = {rows}};
    graph_differentiate(batch, &of_batch);
    const int gradient = graph_result(batch, of_batch.want_gradient[0]);
    graph_begin(graph, context, &model->parameters);
    const int x = graph_input(graph, "x", IMAGES, grid, CHANNELS), ones = graph_input(graph, "ones", IMAGES, grid, 1);
    const int back = graph_input(graph, "gradient", IMAGES, grid, CHANNELS);
    const int encoded = encode(graph, x), kept = graph_result(graph, encoded);
    const int marks = graph_result(graph, graph_op(graph, OP_widen, (int[]){ones}, (struct attributes){0}));
    graph_differentiate(graph, &(struct derivative){.outputs = 1, .output = {encoded}, .gradient = {back}});
    model->link[model->links++] = (struct link){.result = kept, .input = 0, .gradient = gradient, .back = 2};
    model->link[model->links++] = (struct link){.result = marks, .input = 1, .gradient = ABSENT, .back = ABSENT};
    TRY(graph_finish(batch));
    return graph_finish(graph);
}

struct samples {
    float x[BATCH][VALUES], ones[IMAGES * PIXELS];
    struct sample sample[BATCH];
    int64_t bad;
    atomic_int out;
};
static cover_status take(void *user, int64_t index, const struct sample **sample) {
    struct samples *samples = user;
    if (index == samples->bad) return fail(COVER_ERROR_IO, "sample %lld cannot be read", (long long)index);
    *sample = &samples->sample[index];
    atomic_fetch_add(&samples->out, 1);
    return COVER_OK;
}
static void give_back(void *user, int64_t index, const struct sample *sample) {
    struct samples *samples = user;
    ck_assert(sample == &samples->sample[index]);
    atomic_fetch_sub(&samples->out, 1);
}
static struct sample_source source_of(struct samples *samples) {
    for (int i = 0; i < BATCH; i++) {
        for (int k = 0; k < VALUES; k++) samples->x[i][k] = (float)((i * 31 + k * 17 + i * k) % 103) / 50 - 1;
        samples->sample[i] = (struct sample){.input = {samples->x[i], samples->ones}, .count = IMAGES * PIXELS};
    }
    for (int p = 0; p < IMAGES * PIXELS; p++) samples->ones[p] = p % 4 != 1;
    samples->bad = -1, atomic_init(&samples->out, 0);
    return (struct sample_source){take, give_back, samples, NULL, false};
}

static const struct grid grid = {2, {1, 1, PIXELS}};
static cover_context *make_context(int threads) {
    cover_context *made;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = threads;
    ck_assert_ok(cover_context_create(&made, &options));
    return made;
}
static struct engine *make_engine(cover_context *context, int lanes, struct settings *settings) {
    struct engine *engine;
    *settings = (struct settings){.common = {.batch = BATCH, .lanes = lanes, .seed = 5}};
    ck_assert_ok(engine_create(&engine, context, settings, meeting_model, &grid, BATCH));
    return engine;
}

/* The whole batch as one image, rows in the batch graph's order. */
static double whole_gradient(float *gradient, const struct engine *engine, const struct samples *samples) {
    const struct grid all = {2, {1, 1, ROWS}};
    struct parameters parameters = engine->model.parameters;
    struct graph graph;
    static float x[ROWS * CHANNELS], mask[ROWS];
    for (int image = 0; image < IMAGES; image++)
        for (int i = 0; i < BATCH; i++) {
            const int row = (image * BATCH + i) * PIXELS;
            memcpy(x + row * CHANNELS, samples->x[i] + image * PIXELS * CHANNELS, PIXELS * CHANNELS * sizeof *x);
            memcpy(mask + row, samples->ones + image * PIXELS, PIXELS * sizeof *mask);
        }
    graph_begin(&graph, engine->context, &parameters);
    const int in = graph_input(&graph, "x", 1, &all, CHANNELS), marks = graph_input(&graph, "mask", 1, &all, 1);
    const int loss = meet(&graph, encode(&graph, in), marks), kept = graph_result(&graph, loss);
    graph_differentiate(&graph, &(struct derivative){.outputs = 1, .output = {loss}, .gradient = {loss}});
    struct session session;
    struct run run = {.input = {x, mask}, .parameters = engine->weights, .gradient = gradient};
    ck_assert_ok(session_open(&session, engine->context, &graph, engine->weights, 1));
    ck_assert_ok(session_begin(&session, &run));
    ck_assert_ok(session_run(&session, &run));
    const double value = *(const double *)session_result(&session, &run, kept);
    session_end(&session, &run);
    session_close(&session);
    graph_free(&graph);
    return value;
}

START_TEST(the_gradient_is_that_of_the_whole_batch_at_once) {
    cover_context *context = make_context(2);
    struct samples samples;
    struct settings settings;
    struct step_sums sums;
    const struct sample_source source = source_of(&samples);
    struct engine *engine = make_engine(context, 2, &settings);
    const int64_t floats = engine->model.parameters.floats;
    float *whole = calloc((size_t)floats, sizeof *whole);
    const double value = whole_gradient(whole, engine, &samples);
    for (int again = 0; again < 3; again++) { /* buffers come round with an earlier step's sums in them */
        ck_assert_ok(engine_step(engine, &source, &sums));
        ck_assert_double_eq_tol(sums.term[0], value, 1e-9 * fabs(value));
        ck_assert_int_eq(sums.count, BATCH * IMAGES * PIXELS);
        double most = 0, apart = 0;
        for (int64_t i = 0; i < floats; i++) {
            most = fmax(most, fabs((double)whole[i])), apart = fmax(apart, fabs((double)whole[i] - (double)engine->gradient[i]));
        }
        ck_assert_msg(most > 0.1 && apart < 2e-6 * most, "gradient apart by %g of %g", apart, most);
        for (int i = 0; i < engine->model.parameters.count; i++) ck_assert(engine->has_gradient[i]);
    }
    ck_assert_int_eq(atomic_load(&samples.out), 0);
    free(whole);
    engine_destroy(engine);
    cover_context_destroy(context);
}
END_TEST

START_TEST(lanes_and_threads_give_the_same_bits) {
    struct samples samples;
    const struct sample_source source = source_of(&samples);
    float *first = NULL;
    double loss = 0;
    static const int of[][2] = {{1, 1}, {2, 2}, {3, 1}, {8, 3}, {8, 7}, {16, 7}}; /* threads, lanes; 7: one a sample, which rests */
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        cover_context *context = make_context(of[i][0]);
        struct settings settings;
        struct step_sums sums;
        struct engine *engine = make_engine(context, of[i][1], &settings);
        const size_t bytes = (size_t)engine->model.parameters.floats * sizeof(float);
        ck_assert_int_eq(engine->lanes, of[i][1]);
        ck_assert_int_eq(engine->holds, BATCH);
        for (int step = 0; step < 3; step++) {
            double norm;
            ck_assert_ok(engine_train(engine, &source, 0.01, &sums, &norm));
        }
        if (!first) first = malloc(bytes), memcpy(first, engine->weights, bytes), loss = sums.term[0];
        ck_assert(sums.term[0] == loss);
        ck_assert_mem_eq(first, engine->weights, bytes);
        engine_destroy(engine);
        cover_context_destroy(context);
    }
    free(first);
}
END_TEST

START_TEST(a_step_that_fails_gives_all_samples_back_and_the_next_one_is_whole) {
    for (int lanes = 1; lanes <= BATCH; lanes += 3) {
        cover_context *context = make_context(BATCH);
        struct samples samples;
        struct settings settings;
        struct step_sums good, again;
        const struct sample_source source = source_of(&samples);
        struct engine *engine = make_engine(context, lanes, &settings);
        ck_assert_ok(engine_step(engine, &source, &good));
        for (samples.bad = 0; samples.bad < BATCH; samples.bad++) {
            ck_assert_int_eq(engine_step(engine, &source, &again), COVER_ERROR_IO);
            ck_assert_int_eq(atomic_load(&samples.out), 0);
        }
        samples.bad = -1;
        ck_assert_ok(engine_step(engine, &source, &again));
        ck_assert(good.term[0] == again.term[0]);
        samples.x[3][5] = NAN;
        ck_assert_int_eq(engine_diagnose(engine, &samples.sample[3]), COVER_ERROR_NUMERIC);
        ck_assert_ok(engine_diagnose(engine, &samples.sample[2]));
        engine_destroy(engine);
        cover_context_destroy(context);
    }
}
END_TEST

static cover_status misfit_model(struct model *model, cover_context *context, const struct settings *settings,
                                 const struct grid *of) {
    TRY(meeting_model(model, context, settings, of));
    model->link[0].back = 1;
    return COVER_OK;
}
START_TEST(links_that_do_not_fit_are_refused) {
    cover_context *context = make_context(1);
    struct engine *engine;
    struct settings settings = {.common = {.batch = BATCH}};
    ck_assert_int_eq(engine_create(&engine, context, &settings, misfit_model, &grid, BATCH), COVER_ERROR_INTERNAL);
    ck_assert_msg(strstr(cover_error_text(), "gradient of link 0"), "%s", cover_error_text());
    cover_context_destroy(context);
}
END_TEST

START_TEST(rows_that_are_held_come_last) {
    cover_context *context = make_context(1);
    struct parameters parameters = {.context = context};
    int row;
    ck_assert_ok(parameters_add(&parameters, "a", 1, (const int64_t[]){5}, 1, INIT_ONE, &row));
    parameters.hold = true;
    ck_assert_ok(parameters_add(&parameters, "twin.a", 1, (const int64_t[]){5}, 1, INIT_ONE, &row));
    ck_assert(parameter_trained(&parameters, 0) && !parameter_trained(&parameters, 1));
    ck_assert_int_eq(parameters.trained, PARAMETER_ALIGNMENT);
    ck_assert_int_eq(parameters.floats, 2 * PARAMETER_ALIGNMENT);
    parameters.hold = false;
    ck_assert_ok(parameters_add(&parameters, "a", 1, (const int64_t[]){5}, 1, INIT_ONE, &row));
    ck_assert_int_eq(parameters_add(&parameters, "b", 1, (const int64_t[]){5}, 1, INIT_ONE, &row), COVER_ERROR_INTERNAL);
    parameters_free(&parameters);
    cover_context_destroy(context);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("samples that meet");
    TCase *tcase = tcase_create("batch graph");
    suite_add_tcase(suite, tcase);
    ADD(tcase, the_gradient_is_that_of_the_whole_batch_at_once);
    ADD(tcase, lanes_and_threads_give_the_same_bits);
    ADD(tcase, a_step_that_fails_gives_all_samples_back_and_the_next_one_is_whole);
    ADD(tcase, links_that_do_not_fit_are_refused);
    ADD(tcase, rows_that_are_held_come_last);
    return run_suite(suite);
}
