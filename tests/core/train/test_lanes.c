/* The lanes of the engine with a net of one convolution: many of them, in an order that is hard on the gradient tree; what planning
 * costs; errors of a lane. */
#include "../../check_main.h"
#include "core/base/base.h"
#include "core/train/engine.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 512, LANES = 400, EARLY = 200 };
static const struct grid grid = {2, {1, 3, 4}};
enum { PIXELS = 12 };

static cover_context *make_context(int threads) {
    cover_context *made;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = threads;
    ck_assert_ok(cover_context_create(&made, &options));
    return made;
}

/* x -> 1 x 1 convolution to two channels -> vector loss */
static cover_status tiny_model(struct model *model, cover_context *context, const struct settings *settings,
                               const struct grid *of) {
    (void)settings;
    struct graph *graph = &model->graph;
    model->parameters = (struct parameters){.context = context};
    graph_begin(graph, context, &model->parameters);
    const int x = graph_input(graph, "x", 1, of, 1), truth = graph_input(graph, "truth", 1, of, 2),
              mask = graph_input(graph, "mask", 1, of, 1);
    const int weights = graph_parameter(graph, "weights", 4, (const int64_t[]){2, 1, 1, 1}, 1, INIT_KAIMING_NORMAL);
    const int loss = graph_vector_loss(graph, graph_conv(graph, x, ABSENT, weights, ABSENT, 1, ELEMENT_F32, NULL), truth, mask);
    model->term[model->terms++] = (struct loss_term){.name = "error", .result = graph_result(graph, loss), .weight = 1};
    graph_differentiate(graph, &(struct derivative){.outputs = 1, .output = {loss}, .gradient = {loss}});
    return graph_finish(graph);
}

/* Samples of which the odd ones wait until EARLY even ones are through, so that as many sums wait for their sibling. */
struct uneven {
    float x[BATCH][PIXELS], truth[2 * PIXELS], mask[PIXELS];
    struct sample sample[BATCH];
    pthread_mutex_t lock;
    pthread_cond_t given;
    int early, given_back;
};
static cover_status uneven_take(void *user, int64_t index, const struct sample **sample) {
    struct uneven *uneven = user;
    pthread_mutex_lock(&uneven->lock);
    while (index % 2 && uneven->given_back < uneven->early) pthread_cond_wait(&uneven->given, &uneven->lock);
    pthread_mutex_unlock(&uneven->lock);
    *sample = &uneven->sample[index];
    return COVER_OK;
}
static void uneven_give_back(void *user, int64_t index, const struct sample *sample) {
    struct uneven *uneven = user;
    (void)index, (void)sample;
    pthread_mutex_lock(&uneven->lock);
    uneven->given_back++;
    pthread_cond_broadcast(&uneven->given);
    pthread_mutex_unlock(&uneven->lock);
}
static struct uneven *uneven_samples(int early) {
    struct uneven *uneven = calloc(1, sizeof *uneven);
    pthread_mutex_init(&uneven->lock, NULL);
    pthread_cond_init(&uneven->given, NULL);
    uneven->early = early;
    for (int p = 0; p < PIXELS; p++) uneven->mask[p] = 1, uneven->truth[p] = 0.1f * (float)p;
    for (int i = 0; i < BATCH; i++) {
        for (int p = 0; p < PIXELS; p++) uneven->x[i][p] = (float)((i * 31 + p * 7) % 101) / 33;
        uneven->sample[i] = (struct sample){.input = {uneven->x[i], uneven->truth, uneven->mask}, .count = PIXELS};
    }
    return uneven;
}

static void step_of(int threads, int early, struct step_sums *sums, float gradient[2]) {
    cover_context *context = make_context(threads);
    struct settings settings = {0};
    struct engine *engine;
    struct uneven *uneven = uneven_samples(early);
    const struct sample_source source = {uneven_take, uneven_give_back, uneven, NULL, false};
    ck_assert_ok(engine_create(&engine, context, &settings, tiny_model, &grid, BATCH));
    ck_assert_int_eq(engine->lanes, threads);
    ck_assert_ok(engine_step(engine, &source, sums));
    memcpy(gradient, engine->gradient, 2 * sizeof *gradient);
    engine_destroy(engine);
    free(uneven);
    cover_context_destroy(context);
}

START_TEST(hundreds_of_lanes_whose_sums_wait_for_each_other_give_what_one_gives) {
    struct step_sums one, many;
    float gradient_of_one[2], gradient_of_many[2];
    step_of(1, 0, &one, gradient_of_one);
    step_of(LANES, EARLY, &many, gradient_of_many);
    ck_assert(one.term[0] == many.term[0] && one.count == many.count);
    ck_assert_int_eq(memcmp(gradient_of_one, gradient_of_many, sizeof gradient_of_one), 0);
}
END_TEST

/* ---- planning under a memory limit */

static int programs;
static cover_status counted_create(struct program **program, cover_context *context, const struct graph *graph, int team) {
    programs++;
    return executor_cpu.program_create(program, context, graph, team);
}

START_TEST(a_memory_limit_takes_the_widest_plan_that_fits_and_makes_few_programs_to_find_it) {
    cover_context *context = make_context(256);
    struct settings settings = {0};
    struct engine *engine;
    struct executor counted = *context->executor;
    counted.program_create = counted_create;
    context->executor = &counted;
    ck_assert_ok(engine_plan(&engine, context, &settings, tiny_model, &grid, BATCH));
    ck_assert_int_eq(engine->lanes, 256);
    const struct engine_bytes all = engine_bytes(engine);
    engine_destroy(engine);
    for (int fits = 1; fits < 256; fits += 51) {
        settings.common.lanes = fits, context->memory_limit_bytes = 0;
        ck_assert_ok(engine_plan(&engine, context, &settings, tiny_model, &grid, BATCH));
        const uint64_t limit = engine_bytes(engine).total; /* what so many lanes need */
        engine_destroy(engine);
        settings.common.lanes = 0, context->memory_limit_bytes = limit, programs = 0;
        ck_assert_ok(engine_plan(&engine, context, &settings, tiny_model, &grid, BATCH));
        ck_assert_int_eq(engine->lanes, fits);
        ck_assert_uint_le(engine_bytes(engine).total, limit);
        ck_assert_int_le(programs, 2 * 16);
        engine_destroy(engine);
    }
    ck_assert_uint_gt(all.total, context->memory_limit_bytes);
    context->memory_limit_bytes = 1, programs = 0;
    ck_assert_int_eq(engine_plan(&engine, context, &settings, tiny_model, &grid, BATCH), COVER_ERROR_MEMORY);
    ck_assert_int_le(programs, 2 * 16);
    context->executor = &executor_cpu;
    cover_context_destroy(context);
}
END_TEST

/* ---- a run that fails */

static void failing_run(const struct program *program, struct run *run, int member) {
    (void)program;
    if (member == 0) run->status = COVER_ERROR_NUMERIC, snprintf(run->error, sizeof run->error, "the run failed");
}
static const void *no_result(const struct program *program, const struct run *run, int result) {
    (void)program, (void)run, (void)result;
    ck_abort_msg("a run that failed has no results");
    return NULL;
}

START_TEST(a_run_that_fails_fails_the_step_and_its_results_are_not_read) {
    cover_context *context = make_context(2);
    struct settings settings = {0};
    struct engine *engine;
    struct step_sums sums;
    struct uneven *uneven = uneven_samples(0);
    const struct sample_source source = {uneven_take, uneven_give_back, uneven, NULL, false};
    struct executor failing = *context->executor;
    failing.program_run = failing_run, failing.program_result = no_result;
    context->executor = &failing;
    ck_assert_ok(engine_create(&engine, context, &settings, tiny_model, &grid, BATCH));
    ck_assert_int_eq(engine_step(engine, &source, &sums), COVER_ERROR_NUMERIC);
    ck_assert_str_eq(cover_error_text(), "the run failed");
    engine_destroy(engine);
    free(uneven);
    context->executor = &executor_cpu;
    cover_context_destroy(context);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lanes");
    TCase *tcase = tcase_create("lanes");
    tcase_set_timeout(tcase, 120);
    ADD(tcase, hundreds_of_lanes_whose_sums_wait_for_each_other_give_what_one_gives);
    ADD(tcase, a_memory_limit_takes_the_widest_plan_that_fits_and_makes_few_programs_to_find_it);
    ADD(tcase, a_run_that_fails_fails_the_step_and_its_results_are_not_read);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
