/* A net of two convolutions whose first one's output is kept, and samples that are numbers: what many samples give is known by hand.
 * For the tests of embed.h on the CPU, over ranks and on the emulated device. */
#ifndef COVER_TESTS_EMBEDDING_H
#define COVER_TESTS_EMBEDDING_H

#include "../../check_main.h"
#include "core/train/embed.h"
#include "core/train/ranks.h"

#include <math.h>
#include <string.h>

enum { EMBED_BATCH = 5, EMBED_PIXELS = 12, EMBED_FLOATS = 2 * EMBED_PIXELS, EMBED_COUNT = 13 };
static const struct grid embed_grid = {2, {1, 3, 4}};

static inline cover_status embed_model(struct model *model, cover_context *context, const struct settings *settings,
                                       const struct grid *of) {
    struct graph *graph = &model->graph;
    (void)settings;
    model->parameters = (struct parameters){.context = context};
    graph_begin(graph, context, &model->parameters);
    const int x = graph_input(graph, "x", 1, of, 1), truth = graph_input(graph, "truth", 1, of, 2),
              mask = graph_input(graph, "mask", 1, of, 1);
    const int first = graph_parameter(graph, "first.weight", 4, (const int64_t[]){2, 1, 1, 1}, 1, INIT_KAIMING_NORMAL),
              last = graph_parameter(graph, "last.weight", 4, (const int64_t[]){2, 2, 1, 1}, 2, INIT_KAIMING_NORMAL);
    const int middle = graph_conv(graph, x, ABSENT, first, ABSENT, 1, ELEMENT_F32, NULL), kept = graph_result(graph, middle);
    const int loss = graph_vector_loss(graph, graph_conv(graph, middle, ABSENT, last, ABSENT, 1, ELEMENT_F32, NULL), truth, mask);
    ck_assert_int_eq(kept, 0);
    model->term[model->terms++] = (struct loss_term){.name = "error", .result = graph_result(graph, loss), .weight = 1};
    graph_differentiate(graph, &(struct derivative){.outputs = 1, .output = {loss}, .gradient = {loss}});
    return graph_finish(graph);
}

struct embed_maker {
    struct sample_maker maker;
    int64_t bad; /* that cannot be drawn; -1 = none */
};
static inline float embed_value(int64_t number, int pixel) { return (float)((number * 31 + pixel * 7) % 101) / 33; }
static inline cover_status embed_worker(void **worker, const struct sample_maker *maker) {
    (void)maker;
    *worker = NULL;
    return COVER_OK;
}
static inline void embed_worker_end(void *worker) { (void)worker; }
static inline cover_status embed_draw(const struct sample_maker *maker, void *worker, struct sample *sample, float *memory,
                                      int64_t number) {
    (void)worker;
    if (number == ((const struct embed_maker *)maker)->bad) return fail(COVER_ERROR_IO, "number %lld is gone", (long long)number);
    for (int p = 0; p < EMBED_PIXELS; p++) {
        memory[p] = embed_value(number, p), memory[EMBED_PIXELS + p] = 1;
        memory[2 * EMBED_PIXELS + 2 * p] = 3, memory[2 * EMBED_PIXELS + 2 * p + 1] = -2;
    }
    *sample = (struct sample){.input = {memory, memory + 2 * EMBED_PIXELS, memory + EMBED_PIXELS}, .count = EMBED_PIXELS};
    return COVER_OK;
}
static inline struct embed_maker embed_numbers(int64_t bad) {
    return (struct embed_maker){.maker = {.floats = 4 * EMBED_PIXELS,
                                          .worker_create = embed_worker,
                                          .worker_destroy = embed_worker_end,
                                          .draw = embed_draw},
                                .bad = bad};
}

static inline struct engine *embed_engine(cover_context *context, int lanes, struct communicator *ranks) {
    const struct settings settings = {.common = {.batch = EMBED_BATCH, .lanes = lanes, .seed = 3, .steps = 4}};
    struct engine *engine;
    struct share share;
    ck_assert_ok(share_with(&share, ranks, EMBED_BATCH));
    ck_assert_ok(engine_create(&engine, context, &settings, embed_model, &embed_grid, share.count));
    ck_assert_ok(ranks_join(engine, &share));
    return engine;
}

/* The first convolution of each sample's numbers, by hand. */
static inline void embed_check(const float *rows, const struct engine *engine) {
    const struct parameters *parameters = &engine->model.parameters;
    const float *weight = engine->weights + parameters->rows[parameters_find(parameters, "first.weight")].offset;
    for (int64_t i = 0; i < EMBED_COUNT; i++)
        for (int p = 0; p < EMBED_PIXELS; p++)
            for (int c = 0; c < 2; c++)
                ck_assert_float_eq_tol(rows[i * EMBED_FLOATS + 2 * p + c], weight[c] * embed_value(i, p), 1e-6f);
}

/* A step, what is kept of samples then, another step without the moments of the first convolution. */
static inline void embed_trial(cover_context *context, int lanes, struct communicator *ranks,
                               float rows[EMBED_COUNT * EMBED_FLOATS]) {
    struct engine *engine = embed_engine(context, lanes, ranks);
    struct embed_maker numbers = embed_numbers(-1);
    struct prefetch *prefetch;
    struct step_sums sums;
    double norm;
    ck_assert_ok(prefetch_create(&prefetch, engine, &numbers.maker, 0, 4));
    ck_assert_ok(prefetch_step(&prefetch, engine, 0, 1e-2, &sums, &norm));
    prefetch_destroy(prefetch);
    ck_assert_ok(embed_samples(rows, engine, &numbers.maker, EMBED_COUNT, 0));
    ck_assert_ok(engine_fetch(engine));
    embed_check(rows, engine);
    const struct parameters *parameters = &engine->model.parameters;
    const int64_t first = parameters->rows[parameters_find(parameters, "first.weight")].offset,
                  last = parameters->rows[parameters_find(parameters, "last.weight")].offset;
    const float m = engine->m[last], v = engine->v[last];
    ck_assert(engine->m[first] != 0 && engine->v[first] != 0 && m != 0 && v != 0);
    engine->weights[first] = 7;
    ck_assert_ok(engine_forget(engine, "first."));
    ck_assert_ok(engine_fetch(engine));
    ck_assert(engine->m[first] == 0 && engine->v[first] == 0 && engine->m[first + 1] == 0 && engine->m[last] == m &&
              engine->v[last] == v);
    ck_assert_int_eq(engine->updates, 1);
    ck_assert_ok(embed_samples(rows, engine, &numbers.maker, EMBED_COUNT, 0));
    embed_check(rows, engine);
    ck_assert_ok(prefetch_create(&prefetch, engine, &numbers.maker, 1, 4));
    ck_assert_ok(prefetch_step(&prefetch, engine, 1, 1e-2, &sums, &norm));
    prefetch_destroy(prefetch);
    ck_assert_ok(engine_fetch(engine));
    ck_assert(engine->m[first] != 0 && engine->weights[first] != 7);
    engine_destroy(engine);
}

#endif
