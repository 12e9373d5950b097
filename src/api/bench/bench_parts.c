/* The parts that bench times: a step, MoV alone, the U-Net alone, drawing views; on random data.  Called by bench.c. */
#include "bench_parts.h"

#include "core/base/philox.h"
#include "core/graph/session.h"
#include "core/nn/backbone.h"
#include "core/objective/objective.h"
#include "core/objective/pairs.h"

static void random_values(float *values, int64_t count, float low, float high, uint32_t what) {
    for (int64_t i = 0; i < count; i += 4) {
        struct random4 r = philox(1, (uint32_t)(i / 4), RANDOM_TEST, what, 0);
        for (int64_t k = i; k < i + 4 && k < count; k++) values[k] = low + (high - low) * uniform01(r.word[k - i]);
    }
}

/* ---- step */

struct step {
    cover_bench *bench;
    struct engine *engine;
    const struct objective *objective;
    struct objective_run run;
    struct sample_reader reader; /* of random images */
    struct sample *samples;
    float **blocks;
    double update_seconds; /* the least */
};

static cover_status take(void *user, int64_t index, const struct sample **sample) {
    *sample = &((struct step *)user)->samples[index];
    return COVER_OK;
}
static void give_back(void *user, int64_t index, const struct sample *sample) { (void)user, (void)index, (void)sample; }

static cover_status one_step(void *data) {
    struct step *step = data;
    struct sample_source source = {take, give_back, step};
    struct step_sums sums;
    TRY(engine_step(step->engine, &source, &sums));
    double start = seconds_now(), norm = engine_gradient_norm(step->engine, sums.count);
    TRY(engine_update(step->engine, sums.count, norm, 1e-4));
    if (step->objective->after_step) TRY(step->objective->after_step(&step->run));
    double spent = seconds_now() - start;
    if (!(step->update_seconds > 0) || spent < step->update_seconds) step->update_seconds = spent;
    return COVER_OK;
}

static cover_status only_convolutions(void *data) {
    struct step *step = data;
    struct sample_source source = {take, give_back, step};
    struct step_sums sums;
    return engine_step(step->engine, &source, &sums);
}

static cover_status make_pairs(struct step *step) {
    cover_bench *bench = step->bench;
    int64_t pixels = grid_pixels(&bench->grid);
    for (int64_t i = 0; i < bench->options.pairs; i++) {
        struct view_pair made, *pair = &made;
        TRY(pair_allocate(pair, &step->blocks[i], bench->context, &bench->grid, 1));
        random_values(pair->moving, 2 * pixels, 0, 1, (uint32_t)i);
        random_values(pair->field, pixels * bench->grid.ndim, -8, 8, 1000 + (uint32_t)i);
        for (int64_t p = 0; p < pixels; p++) pair->mask[p] = 1;
        pair->valid = pixels;
        step->samples[i] = pair_sample(pair);
    }
    return COVER_OK;
}

/* ---- samples of other objectives: as they make them of random images */

static cover_status read_random(void *user, int64_t index, float **pixels, struct grid *grid, int *integer_max) {
    const struct step *step = user;
    const int64_t count = grid_pixels(&step->bench->grid);
    *pixels = memory_alloc(step->bench->context, (size_t)count * sizeof **pixels);
    if (!*pixels) return COVER_ERROR_MEMORY;
    random_values(*pixels, count, 0, 1, (uint32_t)index);
    *grid = step->bench->grid, *integer_max = 0;
    return COVER_OK;
}
static const char *random_name(void *user, int64_t index) {
    (void)user, (void)index;
    return "random";
}

static cover_status draw_samples(struct step *step, struct sample_maker *maker) {
    void *worker;
    TRY(objective_maker(maker, step->objective, &step->run));
    TRY(maker->worker_create(&worker, maker));
    cover_status status = COVER_OK;
    for (int64_t i = 0; i < step->bench->options.pairs && status == COVER_OK; i++) {
        step->blocks[i] = memory_alloc(step->bench->context, (size_t)maker->floats * sizeof(float));
        status = step->blocks[i] ? maker->draw(maker, worker, &step->samples[i], step->blocks[i], i) : COVER_ERROR_MEMORY;
    }
    maker->worker_destroy(worker);
    return status;
}

static cover_status make_samples(struct step *step) {
    cover_bench *bench = step->bench;
    struct sample_maker *maker = memory_zero(bench->context, objective_maker_bytes(step->objective));
    if (!maker) return COVER_ERROR_MEMORY;
    step->reader = (struct sample_reader){.count = 4 * bench->options.pairs,
                                          .channels = 1,
                                          .largest = bench->grid,
                                          .read = read_random,
                                          .name = random_name,
                                          .user = step};
    const cover_status status = draw_samples(step, maker);
    memory_free(bench->context, maker);
    return status;
}

static cover_status prepare_step(struct step *step) {
    cover_bench *bench = step->bench;
    step->objective = objective_of(bench->context, &bench->settings.objective);
    TRY(engine_create(&step->engine, bench->context, &bench->settings, objective_build, &bench->grid, bench->options.pairs));
    step->run = (struct objective_run){
        .context = bench->context, .settings = &bench->settings, .reader = &step->reader, .engine = step->engine};
    if (!(step->run.state = memory_zero(bench->context, step->objective->state_bytes))) return COVER_ERROR_MEMORY;
    if (step->objective->pairs) return make_pairs(step);
    if (step->objective->start) TRY(step->objective->start(&step->run));
    return make_samples(step);
}

/* The convolutions of a step alone: what nothing else in it can undercut. */
static cover_status measure_convolutions(cover_bench *bench, struct step *step) {
    double seconds[ROUNDS_MIN];
    int rounds = bench->figures.rounds < ROUNDS_MIN ? bench->figures.rounds : ROUNDS_MIN;
    step->engine->only_convolutions = true;
    for (int i = 0; i < rounds; i++) {
        double start = seconds_now();
        TRY(only_convolutions(step));
        seconds[i] = seconds_now() - start;
    }
    bench->figures.floor_seconds = bench_median(seconds, rounds);
    return COVER_OK;
}

static cover_status time_step(void *data, double *node_seconds) {
    struct step *step = data;
    return engine_time(step->engine, &step->samples[0], node_seconds);
}

static cover_status bench_step(cover_bench *bench) {
    cover_context *context = bench->context;
    size_t pairs = (size_t)bench->options.pairs;
    struct step step = {.bench = bench};
    cover_status status = COVER_ERROR_MEMORY;
    step.samples = memory_zero(context, pairs * sizeof *step.samples);
    step.blocks = memory_zero(context, pairs * sizeof *step.blocks);
    if (!step.samples || !step.blocks) goto done;
    GO(prepare_step(&step));
    bench->figures.flops = engine_flops(step.engine);
    bench->figures.lanes = step.engine->lanes, bench->figures.team = step.engine->team;
    GO(bench_measure(bench, one_step, &step));
    bench->figures.update_seconds = step.update_seconds;
    if (bench->options.brief) goto done;
    GO(bench_nodes(bench, &step.engine->model.graph, time_step, &step));
    status = measure_convolutions(bench, &step);
done:
    if (step.run.state && step.objective->end) step.objective->end(&step.run);
    memory_free(context, step.run.state);
    engine_destroy(step.engine);
    for (size_t i = 0; step.blocks && i < pairs; i++) memory_free(context, step.blocks[i]);
    memory_free(context, step.blocks);
    memory_free(context, step.samples);
    return status;
}

/* ---- one graph, run alone: MoV, inference */

struct alone {
    cover_bench *bench;
    struct parameters parameters;
    struct graph graph;
    struct session session;
    struct run run;
    float *weights, *values[3];
};

static cover_status run_alone(void *data) {
    struct alone *alone = data;
    return session_run(&alone->session, &alone->run);
}
static cover_status time_alone(void *data, double *node_seconds) {
    struct alone *alone = data;
    return session_time(&alone->session, &alone->run, node_seconds);
}

static cover_status add_input(struct alone *alone, int index, int tensor) {
    const struct tensor *shape = &alone->graph.tensors[tensor];
    if (alone->graph.status != COVER_OK) return alone->graph.status;
    float *values = alone->values[index] = memory_alloc(alone->bench->context, tensor_bytes(shape));
    if (!values) return COVER_ERROR_MEMORY;
    random_values(values, tensor_elements(shape), -1, 1, (uint32_t)index);
    alone->run.input[index] = values;
    return COVER_OK;
}

static cover_status build_mov(struct alone *alone) {
    struct graph *graph = &alone->graph;
    const struct grid *grid = &alone->bench->grid;
    int query = graph_input(graph, "query", 1, grid, 8), key = graph_input(graph, "key", 1, grid, 8);
    int flow = graph_input(graph, "gradient", 1, grid, grid->ndim);
    TRY(add_input(alone, 0, query));
    TRY(add_input(alone, 1, key));
    TRY(add_input(alone, 2, flow));
    int field = graph_mov(graph, query, key, 1, (int)alone->bench->settings.objective.radius);
    struct derivative derivative = {.outputs = 1, .output = {field}, .gradient = {flow}, .wants = 2, .want = {query, key}};
    graph_result(graph, field);
    graph_differentiate(graph, &derivative);
    for (int i = 0; i < 2; i++) graph_result(graph, derivative.want_gradient[i]);
    return COVER_OK;
}

static cover_status build_infer(struct alone *alone) {
    const struct network_settings *network = &alone->bench->settings.network;
    int levels[LEVELS_MAX], x = graph_input(&alone->graph, "x", 1, &alone->bench->grid, 1);
    TRY(add_input(alone, 0, x));
    alone->graph.features = settings_features(&alone->bench->settings.network);
    backbone_of(alone->graph.context, network)->build(&alone->graph, x, network, levels);
    for (int i = 0; i < backbone_levels(alone->graph.context, network).count; i++) graph_result(&alone->graph, levels[i]);
    return COVER_OK;
}

static cover_status bench_alone(cover_bench *bench, cover_status (*build)(struct alone *alone)) {
    cover_context *context = bench->context;
    struct alone alone = {.bench = bench, .parameters = {.context = context}};
    cover_status status;
    graph_begin(&alone.graph, context, &alone.parameters);
    GO(build(&alone));
    GO(graph_finish(&alone.graph));
    alone.weights = memory_zero(context, (size_t)(alone.parameters.floats + 1) * sizeof *alone.weights);
    if (!alone.weights) GO(COVER_ERROR_MEMORY);
    parameters_initialise(&alone.parameters, alone.weights, 0);
    alone.run.parameters = alone.weights;
    double start = seconds_now();
    GO(session_open(&alone.session, context, &alone.graph, alone.weights, context->threads));
    bench->figures.create_seconds = seconds_now() - start;
    bench->figures.flops = context->executor->program_plan(alone.session.program)->flops;
    GO(session_begin(&alone.session, &alone.run));
    bench->figures.lanes = 1, bench->figures.team = context->threads;
    GO(bench_measure(bench, run_alone, &alone));
    status = bench_nodes(bench, &alone.graph, time_alone, &alone);
done:
    session_end(&alone.session, &alone.run);
    session_close(&alone.session);
    graph_free(&alone.graph);
    parameters_free(&alone.parameters);
    memory_free(context, alone.weights);
    for (int i = 0; i < 3; i++) memory_free(context, alone.values[i]);
    return status;
}

static cover_status bench_mov(cover_bench *bench) { return bench_alone(bench, build_mov); }
static cover_status bench_infer(cover_bench *bench) { return bench_alone(bench, build_infer); }

/* ---- SeVR */

struct views {
    cover_bench *bench;
    struct sevr *sevr;
    struct view_pair pair;
    struct grid grid; /* of the image */
    float *block, *image;
    uint32_t sample;
};

static cover_status draw(void *data) {
    struct views *views = data;
    return sevr_draw(views->sevr, &views->pair, views->image, &views->grid, 1, 255, 0, 0, views->sample++);
}

static cover_status bench_sevr(cover_bench *bench) {
    cover_context *context = bench->context;
    struct views views = {.bench = bench, .grid = bench->grid};
    cover_status status = COVER_ERROR_MEMORY;
    for (int i = 3 - bench->grid.ndim; i < 3; i++) views.grid.size[i] = bench->grid.size[i] * 4 / 3;
    views.image = memory_alloc(context, (size_t)grid_pixels(&views.grid) * sizeof(float));
    if (!views.image) goto done;
    random_values(views.image, grid_pixels(&views.grid), 0, 255, 0);
    bench->settings.views.appearance_probability = 1, bench->settings.views.normalise = NORMALISE_MAX;
    for (int i = 0; i < bench->grid.ndim; i++) {
        bench->settings.views.crop.value[i] = grid_axis(&bench->grid, i);
        bench->settings.views.work.value[i] = grid_axis(&views.grid, i);
    }
    GO(sevr_create(&views.sevr, context, &bench->settings));
    GO(pair_allocate(&views.pair, &views.block, context, &bench->grid, 1));
    bench->figures.lanes = bench->figures.team = 1;
    GO(bench_measure(bench, draw, &views));
    /* the image is read; two views, field and mask are written */
    int64_t floats = grid_pixels(&views.grid) + grid_pixels(&bench->grid) * (3 + bench->grid.ndim);
    status = bench_alone_row(bench, "sevr", bench->figures.seconds_min, (double)floats * sizeof(float));
done:
    sevr_destroy(views.sevr);
    memory_free(context, views.block);
    memory_free(context, views.image);
    return status;
}

const struct bench_part bench_parts[BENCH_PARTS] = {
    {"step", bench_step}, {"mov", bench_mov}, {"infer", bench_infer}, {"sevr", bench_sevr}};
