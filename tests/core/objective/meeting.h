/* A second objective, which the library does not know: two looks of each image, whose pooled features meet in a batch norm and are drawn
 * to what a slowly following twin of the head says of them.  It keeps a state, a period changes it, and samples depend on it.  A
 * context takes it as an added row (core/base/added.h), beside the network of two levels. */
#ifndef COVER_TESTS_MEETING_H
#define COVER_TESTS_MEETING_H

#include "../nn/two_levels.h"
#include "core/base/philox.h"
#include "core/objective/objective.h"
#include "core/train/order.h"

#include <math.h>
#include <string.h>

enum { MEETING_LOOKS = 2, MEETING_WIDTH = 8, MEETING_PERIOD = 2 };
enum { MEETING_IMAGES, MEETING_MARKS, MEETING_BACK }; /* inputs of a sample's graph */

struct meeting_state {
    float centre[MEETING_WIDTH]; /* of the rows, over the steps */
    float noise;                 /* of the looks in this period */
    int64_t steps;
};

/* ---- graphs */

static int meeting_linear(struct graph *graph, int x, const char *name, int64_t c_in) {
    const int64_t shape[] = {MEETING_WIDTH, c_in, 1, 1};
    return graph_conv(graph, x, ABSENT, graph_parameter(graph, name, 4, shape, c_in, INIT_KAIMING_NORMAL), ABSENT, 1, ELEMENT_F32,
                      NULL);
}

static void meeting_batch(struct model *model, cover_context *context, const struct settings *settings, int64_t channels,
                          struct link *rows) {
    const struct grid all = {2, {1, 1, MEETING_LOOKS * settings->common.batch}};
    struct graph *graph = &model->batch;
    graph_begin(graph, context, &model->parameters);
    const int x = graph_input(graph, "rows", 1, &all, channels), twin = graph_input(graph, "twin's rows", 1, &all, MEETING_WIDTH),
              marks = graph_input(graph, "marks", 1, &all, 1);
    const int gamma = graph_parameter(graph, "norm.weight", 1, (const int64_t[]){MEETING_WIDTH}, 1, INIT_ONE),
              beta = graph_parameter(graph, "norm.bias", 1, (const int64_t[]){MEETING_WIDTH}, 1, INIT_ZERO);
    const int z = graph_norm_act(graph, meeting_linear(graph, x, "head.weight", channels), gamma, beta, ABSENT, ABSENT,
                                 (struct norm_attributes){MEETING_WIDTH, 1e-5f, 1});
    const int loss = graph_cosine_loss(graph, z, twin, marks);
    struct derivative derivative = {.outputs = 1, .output = {loss}, .gradient = {loss}, .wants = 1, .want = {x}};
    model->term[model->terms++] =
        (struct loss_term){.name = "apart", .result = graph_result(graph, loss), .of_batch = true, .offset = 1, .weight = 1};
    graph_differentiate(graph, &derivative);
    rows->gradient = graph_result(graph, derivative.want_gradient[0]);
}

static cover_status meeting_build(struct model *model, cover_context *context, const struct settings *settings,
                                  const struct grid *grid) {
    const struct levels levels = backbone_levels(context, &settings->network);
    const int last = levels.count - 1;
    const struct grid one = {grid->ndim, {1, 1, 1}};
    struct link rows = {.input = 0, .back = MEETING_BACK}, twin = {.input = 1, .gradient = ABSENT, .back = ABSENT}, marks = twin;
    struct graph *graph = &model->graph;
    int level[LEVELS_MAX];
    marks.input = 2;
    model->parameters = (struct parameters){.context = context};
    meeting_batch(model, context, settings, levels.at[last].channels, &rows);
    graph_begin(graph, context, &model->parameters);
    graph->features = settings_features(&settings->network);
    const int images = graph_input(graph, "looks", MEETING_LOOKS, grid, settings->network.channels),
              ones = graph_input(graph, "marks", MEETING_LOOKS, &one, 1),
              back = graph_input(graph, "gradient", MEETING_LOOKS, &one, levels.at[last].channels);
    backbone_of(context, &settings->network)->build(graph, images, &settings->network, level);
    const int pooled = graph_floats(graph, graph_global_pool(graph, level[last]));
    rows.result = graph_result(graph, pooled);
    marks.result = graph_result(graph, graph_op(graph, OP_widen, (int[]){ones}, (struct attributes){0}));
    model->parameters.hold = true;
    twin.result = graph_result(graph, meeting_linear(graph, pooled, "twin.head.weight", levels.at[last].channels));
    graph_differentiate(graph, &(struct derivative){.outputs = 1, .output = {pooled}, .gradient = {back}});
    model->link[0] = rows, model->link[1] = twin, model->link[2] = marks, model->links = 3;
    TRY(graph_finish(&model->batch));
    return graph_finish(graph);
}

/* ---- samples: windows of the image, with noise */

struct meeting_maker {
    struct sample_maker maker;
    const struct objective_run *run;
    struct grid crop;
};

static cover_status meeting_worker(void **worker, const struct sample_maker *maker) {
    (void)maker;
    *worker = NULL;
    return COVER_OK;
}
static void meeting_worker_end(void *worker) { (void)worker; }

static cover_status meeting_draw(const struct sample_maker *maker, void *worker, struct sample *sample, float *memory,
                                 int64_t number) {
    const struct meeting_maker *own = (const struct meeting_maker *)maker;
    const struct objective_run *run = own->run;
    const struct meeting_state *state = run->state;
    const int64_t seed = run->settings->common.seed, count = run->reader->count, *size = own->crop.size;
    const int64_t index = order_sample((uint64_t)seed, number / count, number % count, count);
    struct grid grid;
    float *pixels, *to = memory;
    int most;
    (void)worker;
    TRY(run->reader->read(run->reader->user, index, &pixels, &grid, &most));
    struct random_stream random = random_stream((uint64_t)seed, RANDOM_TEST, (uint32_t)number, 0);
    for (int look = 0; look < MEETING_LOOKS; look++) {
        const int64_t y0 = random_word(&random) % (uint64_t)(grid.size[1] - size[1] + 1),
                      x0 = random_word(&random) % (uint64_t)(grid.size[2] - size[2] + 1);
        for (int64_t y = 0; y < size[1]; y++)
            for (int64_t x = 0; x < size[2]; x++)
                *to++ =
                    pixels[(y0 + y) * grid.size[2] + x0 + x] / (float)most + random_uniform(&random, -state->noise, state->noise);
    }
    memory_free(run->context, pixels);
    for (int look = 0; look < MEETING_LOOKS; look++) to[look] = 1;
    *sample = (struct sample){.input = {[MEETING_IMAGES] = memory, [MEETING_MARKS] = to}, .count = MEETING_LOOKS};
    return COVER_OK;
}

static cover_status meeting_make(struct sample_maker *maker, const struct objective_run *run) {
    struct meeting_maker *own = (struct meeting_maker *)maker;
    *own = (struct meeting_maker){
        .maker = {.worker_create = meeting_worker, .worker_destroy = meeting_worker_end, .draw = meeting_draw},
        .run = run,
        .crop = settings_grid(&run->settings->views.crop, 2)};
    own->maker.floats = MEETING_LOOKS * (grid_pixels(&own->crop) + 1);
    return COVER_OK;
}
static cover_status meeting_accepts(const struct settings *settings, const struct grid *grid, int channels) {
    (void)settings, (void)grid, (void)channels;
    return COVER_OK;
}

/* ---- state */

static cover_status meeting_start(struct objective_run *run) {
    *(struct meeting_state *)run->state = (struct meeting_state){.noise = 0.01f};
    return engine_follow(run->engine, "twin.", 0);
}
static cover_status meeting_after_step(struct objective_run *run) {
    struct meeting_state *state = run->state;
    const struct model *model = &run->engine->model;
    const struct tensor *rows = link_input(model, &model->link[0]);
    float *values = memory_alloc(run->context, tensor_bytes(rows));
    if (!values) return COVER_ERROR_MEMORY;
    cover_status status = engine_rows(run->engine, 0, values);
    for (int64_t row = 0; status == COVER_OK && row < grid_pixels(&rows->grid); row++)
        for (int k = 0; k < MEETING_WIDTH; k++) state->centre[k] += 0.1f * (values[row * rows->channels + k] - state->centre[k]);
    memory_free(run->context, values);
    state->steps++;
    return status == COVER_OK ? engine_follow(run->engine, "twin.", 0.9) : status;
}
static int64_t meeting_period(const struct objective_run *run) {
    (void)run;
    return MEETING_PERIOD;
}
static cover_status meeting_begin(struct objective_run *run) {
    struct meeting_state *state = run->state;
    state->noise = 0.01f * (float)(1 + run->step) + 0.1f * fminf(fabsf(state->centre[1]), 1);
    return COVER_OK;
}
static void meeting_visit(struct objective_run *run, struct visitor *visitor) {
    struct meeting_state *state = run->state;
    visitor->array(visitor, "centre", state->centre, sizeof state->centre);
    visitor->array(visitor, "noise", &state->noise, sizeof state->noise);
    visitor->array(visitor, "steps", &state->steps, sizeof state->steps);
}
static cover_status meeting_loaded(struct objective_run *run) {
    const float noise = ((const struct meeting_state *)run->state)->noise;
    return noise >= 0 && noise <= 1 ? COVER_OK : fail(COVER_ERROR_FORMAT, "noise %g", (double)noise);
}

static const struct figure_words meeting_figures[] = {{.name = "apart", .title = "what the looks are apart"}, {0}};
static const struct objective_picture meeting_pictures[] = {{"look", MEETING_IMAGES, 0}, {0}};
static const struct objective objective_meeting = {
    .name = "meeting",
    .title = "Meeting",
    .sample = "look pair",
    .counts = "row",
    .build = meeting_build,
    .accepts = meeting_accepts,
    .maker_bytes = sizeof(struct meeting_maker),
    .maker = meeting_make,
    .figure = meeting_figures,
    .picture = meeting_pictures,
    .state_bytes = sizeof(struct meeting_state),
    .start = meeting_start,
    .visit = meeting_visit,
    .loaded = meeting_loaded,
    .after_step = meeting_after_step,
    .period = meeting_period,
    .begin_period = meeting_begin,
};
static const struct added_row meeting_rows[] = {
    {"backbone", "two_levels", &backbone_two_levels}, {"objective", "meeting", &objective_meeting}, {NULL, NULL, NULL}};

#endif
