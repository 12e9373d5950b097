/* Measuring (include/libcover/bench.h): steps, MoV, inference and SeVR on random data, with the floor of a step. */
#include "../core/base/files.h"
#include "../core/base/philox.h"
#include "../core/nn/unet.h"
#include "../core/train/pairs.h"
#include "../core/train/prefetch.h"

#include <libcover/bench.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { ROUNDS_MAX = 64, ROUNDS_MIN = 3 };
static const double enough_seconds = 2; /* short parts are repeated so long */

struct bench {
    cover_context *context;
    cover_bench_options options;
    struct settings settings;
    struct grid grid;
    /* figures */
    double seconds[ROUNDS_MAX], floor_seconds, create_seconds, flops, op_seconds[OP_COUNT];
    int rounds;
    uint64_t peak_bytes;
};

static uint64_t resident_peak(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

static void random_values(float *values, int64_t count, float low, float high, uint32_t what) {
    for (int64_t i = 0; i < count; i += 4) {
        struct random4 r = philox(1, (uint32_t)(i / 4), RANDOM_TEST, what, 0);
        for (int64_t k = i; k < i + 4 && k < count; k++) values[k] = low + (high - low) * uniform01(r.word[k - i]);
    }
}

/* Warm up once, then measure until there is enough. */
static cover_status measure(struct bench *bench, cover_status (*part)(void *data), void *data) {
    double total = 0;
    TRY(part(data));
    while (bench->rounds < ROUNDS_MAX && (bench->rounds < ROUNDS_MIN || total < enough_seconds)) {
        if (cancelled(bench->context)) return fail(COVER_ERROR_CANCELLED, "bench: cancelled");
        double start = seconds_now();
        TRY(part(data));
        total += bench->seconds[bench->rounds++] = seconds_now() - start;
    }
    bench->peak_bytes = resident_peak();
    return COVER_OK;
}

/* ---- step */

struct step {
    struct bench *bench;
    struct engine *engine;
    struct sample *samples;
    float **blocks;
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
    double norm = engine_gradient_norm(step->engine, sums.count);
    return engine_update(step->engine, sums.count, norm, 1e-4);
}

static cover_status only_convolutions(void *data) {
    struct step *step = data;
    struct sample_source source = {take, give_back, step};
    struct step_sums sums;
    return engine_step(step->engine, &source, &sums);
}

static cover_status make_pairs(struct step *step) {
    struct bench *bench = step->bench;
    int64_t pixels = grid_pixels(&bench->grid);
    for (int64_t i = 0; i < bench->options.pairs; i++) {
        struct view_pair made, *pair = &made;
        TRY(pair_allocate(pair, &step->blocks[i], bench->context, &bench->grid, 1));
        random_values(pair->moving, 2 * pixels, 0, 1, (uint32_t)i);
        random_values(pair->field, pixels * bench->grid.ndim, -8, 8, 1000 + (uint32_t)i);
        for (int64_t p = 0; p < pixels; p++) pair->mask[p] = 1;
        pair->valid = pixels;
        step->samples[i] = objective_sample(pair);
    }
    return COVER_OK;
}

static double median(const double *values, int count) {
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    for (int i = 1; i < count; i++)
        for (int k = i; k > 0 && sorted[k] < sorted[k - 1]; k--) {
            double swap = sorted[k];
            sorted[k] = sorted[k - 1], sorted[k - 1] = swap;
        }
    return count % 2 ? sorted[count / 2] : 0.5 * (sorted[count / 2 - 1] + sorted[count / 2]);
}

static cover_status measure_floor(struct bench *bench, struct step *step) {
    double seconds[ROUNDS_MIN];
    step->engine->only_ops = UINT64_C(1) << OP_conv | UINT64_C(1) << OP_conv_grad_data | UINT64_C(1) << OP_conv_grad_weights;
    for (int i = 0; i < ROUNDS_MIN; i++) {
        double start = seconds_now();
        TRY(only_convolutions(step));
        seconds[i] = seconds_now() - start;
    }
    bench->floor_seconds = median(seconds, ROUNDS_MIN);
    return COVER_OK;
}

static cover_status bench_step(struct bench *bench) {
    cover_context *context = bench->context;
    size_t pairs = (size_t)bench->options.pairs;
    struct step step = {.bench = bench};
    cover_status status = COVER_ERROR_MEMORY;
    step.samples = memory_zero(context, pairs * sizeof *step.samples);
    step.blocks = memory_zero(context, pairs * sizeof *step.blocks);
    if (!step.samples || !step.blocks) goto done;
    GO(make_pairs(&step));
    GO(engine_create(&step.engine, context, &bench->settings, objective_model, &bench->grid, bench->options.pairs));
    bench->flops = engine_flops(step.engine);
    GO(measure(bench, one_step, &step));
    GO(engine_time(step.engine, &step.samples[0], bench->op_seconds));
    status = measure_floor(bench, &step);
done:
    engine_destroy(step.engine);
    for (size_t i = 0; step.blocks && i < pairs; i++) memory_free(context, step.blocks[i]);
    memory_free(context, step.blocks);
    memory_free(context, step.samples);
    return status;
}

/* ---- one graph, run alone: MoV, inference */

struct alone {
    struct bench *bench;
    struct parameters parameters;
    struct graph graph;
    struct program *program;
    struct run run;
    float *weights, *values[3];
};

static cover_status run_alone(void *data) {
    struct alone *alone = data;
    cover_context *context = alone->bench->context;
    return run_once(context, &executor_cpu, alone->program, &alone->run, context->threads);
}

/* The seconds of each op, on one thread. */
static void alone_worker(void *data, int worker) {
    struct alone *alone = data;
    if (worker == 0) executor_cpu.program_time(alone->program, &alone->run, alone->bench->op_seconds);
}
static cover_status time_alone(struct alone *alone) {
    struct pool *pool;
    TRY(context_pool(alone->bench->context, &pool));
    alone->run.team = 1;
    pool_run(pool, alone_worker, alone);
    return alone->run.status == COVER_OK ? COVER_OK : fail(alone->run.status, "%s", alone->run.error);
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
    int field = graph_mov(graph, query, key, 1, (int)alone->bench->settings.radius);
    struct derivative derivative = {.outputs = 1, .output = {field}, .gradient = {flow}, .wants = 2, .want = {query, key}};
    graph_result(graph, field);
    graph_differentiate(graph, &derivative);
    for (int i = 0; i < 2; i++) graph_result(graph, derivative.want_gradient[i]);
    return COVER_OK;
}

static cover_status build_infer(struct alone *alone) {
    int levels[LEVELS], x = graph_input(&alone->graph, "x", 1, &alone->bench->grid, 1);
    TRY(add_input(alone, 0, x));
    unet_build(&alone->graph, x, alone->bench->settings.widths.value, levels);
    for (int i = 0; i < LEVELS; i++) graph_result(&alone->graph, levels[i]);
    return COVER_OK;
}

static cover_status bench_alone(struct bench *bench, cover_status (*build)(struct alone *alone)) {
    cover_context *context = bench->context;
    struct alone alone = {.bench = bench, .parameters = {.context = context}};
    cover_status status;
    graph_begin(&alone.graph, context, &alone.parameters);
    GO(build(&alone));
    GO(graph_finish(&alone.graph));
    double start = seconds_now();
    GO(executor_cpu.program_create(&alone.program, context, &alone.graph, context->threads));
    bench->create_seconds = seconds_now() - start;
    const struct plan *plan = executor_cpu.program_plan(alone.program);
    alone.weights = memory_zero(context, (size_t)(alone.parameters.floats + 1) * sizeof *alone.weights);
    alone.run.arena = memory_alloc(context, plan->arena_bytes);
    if (!alone.weights || !alone.run.arena) GO(COVER_ERROR_MEMORY);
    parameters_initialise(&alone.parameters, alone.weights, 0);
    alone.run.parameters = alone.weights;
    start = seconds_now();
    GO(executor_cpu.program_pack(alone.program, alone.weights));
    bench->create_seconds += seconds_now() - start;
    bench->flops = plan->flops;
    GO(measure(bench, run_alone, &alone));
    status = time_alone(&alone);
done:
    executor_cpu.program_destroy(alone.program);
    graph_free(&alone.graph);
    parameters_free(&alone.parameters);
    memory_free(context, alone.weights);
    memory_free(context, alone.run.arena);
    for (int i = 0; i < 3; i++) memory_free(context, alone.values[i]);
    return status;
}

static cover_status bench_mov(struct bench *bench) { return bench_alone(bench, build_mov); }
static cover_status bench_infer(struct bench *bench) { return bench_alone(bench, build_infer); }

/* ---- SeVR */

struct views {
    struct bench *bench;
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

static cover_status bench_sevr(struct bench *bench) {
    cover_context *context = bench->context;
    struct views views = {.bench = bench, .grid = bench->grid};
    cover_status status = COVER_ERROR_MEMORY;
    for (int i = 3 - bench->grid.ndim; i < 3; i++) views.grid.size[i] = bench->grid.size[i] * 4 / 3;
    views.image = memory_alloc(context, (size_t)grid_pixels(&views.grid) * sizeof(float));
    if (!views.image) goto done;
    random_values(views.image, grid_pixels(&views.grid), 0, 255, 0);
    bench->settings.appearance_probability = 1, bench->settings.normalise = NORMALISE_MAX;
    for (int i = 0; i < bench->grid.ndim; i++) {
        bench->settings.crop.value[i] = grid_axis(&bench->grid, i);
        bench->settings.work.value[i] = grid_axis(&views.grid, i);
    }
    GO(sevr_create(&views.sevr, context, &bench->settings));
    GO(pair_allocate(&views.pair, &views.block, context, &bench->grid, 1));
    status = measure(bench, draw, &views);
done:
    sevr_destroy(views.sevr);
    memory_free(context, views.block);
    memory_free(context, views.image);
    return status;
}

/* ---- the table of parts, and the figures */

static const struct bench_part {
    const char *name;
    cover_status (*run)(struct bench *bench);
} parts[] = {{"step", bench_step}, {"mov", bench_mov}, {"infer", bench_infer}, {"sevr", bench_sevr}};

static cover_status read_options(struct bench *bench, const cover_bench_options *given, const struct bench_part **part) {
    cover_bench_options *o = &bench->options;
    *o = (cover_bench_options)COVER_BENCH_OPTIONS_INIT;
    TRY(options_read(o, sizeof *o, given, "cover_bench_options"));
    if (!o->dims) o->dims = 2;
    if (o->dims != 2 && o->dims != 3) return fail(COVER_ERROR_ARGUMENT, "bench: dims is %d; use 2 or 3", o->dims);
    if (!o->size) o->size = o->dims == 2 ? 384 : 64;
    if (!o->pairs) o->pairs = o->dims == 2 ? 2 : 1;
    if (!o->part) o->part = "step";
    if (!o->precision) o->precision = "fp32";
    if (strcmp(o->precision, "fp32") != 0)
        return fail(COVER_ERROR_ARGUMENT, "bench: precision '%s' is not in this build; use fp32", o->precision);
    if (o->size < 16 || o->size % 16 || o->size > 1 << 16)
        return fail(COVER_ERROR_ARGUMENT, "bench: size is %lld; use a multiple of 16 up to 65536", (long long)o->size);
    if (o->pairs < 1 || o->pairs > 1 << 16)
        return fail(COVER_ERROR_ARGUMENT, "bench: pairs is %lld; use 1..65536", (long long)o->pairs);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i].name, o->part) == 0) *part = &parts[i];
    return *part ? COVER_OK : fail(COVER_ERROR_ARGUMENT, "bench: part '%s' is not known; use step, mov, infer or sevr", o->part);
}

static cover_status default_settings(struct bench *bench) {
    cover_config *config;
    TRY(cover_config_create(&config, bench->context, bench->options.dims == 3 ? "paper-3d" : "paper-2d"));
    cover_status status = cover_config_set(config, "radius", "2");
    bench->settings = *config_settings(config);
    cover_config_destroy(config);
    bench->grid = (struct grid){.ndim = bench->options.dims, .size = {1, bench->options.size, bench->options.size}};
    if (bench->options.dims == 3) bench->grid.size[0] = bench->options.size;
    return status;
}

static cover_status write_figures(const struct bench *bench, char **json) {
    const cover_bench_options *o = &bench->options;
    double least = bench->seconds[0];
    struct text text = {.context = bench->context};
    for (int i = 1; i < bench->rounds; i++) least = bench->seconds[i] < least ? bench->seconds[i] : least;
    text_add(&text, "{\"part\": \"%s\", \"dims\": %d, \"size\": %lld, \"pairs\": %lld, \"precision\": \"%s\", \"threads\": %d, ",
             o->part, o->dims, (long long)o->size, (long long)o->pairs, o->precision, bench->context->threads);
    text_add(&text, "\"rounds\": %d, \"seconds\": %.6g, \"seconds_min\": %.6g, \"peak_bytes\": %llu, \"flops\": %.6g, ",
             bench->rounds, median(bench->seconds, bench->rounds), least, (unsigned long long)bench->peak_bytes, bench->flops);
    text_add(&text, "\"floor_seconds\": %.6g, \"create_seconds\": %.6g, \"ops\": {", bench->floor_seconds,
             bench->create_seconds);
    bool first = true;
    for (int i = 0; i < OP_COUNT; i++) {
        if (bench->op_seconds[i] <= 0) continue;
        text_add(&text, "%s\"%s\": %.6g", first ? "" : ", ", op_rows[i].name, bench->op_seconds[i]);
        first = false;
    }
    text_add(&text, "}}");
    return text_take(&text, json);
}

cover_status cover_bench(cover_context *context, const cover_bench_options *options, char **json) {
    if (!context || !json) return fail(COVER_ERROR_ARGUMENT, "cover_bench: an argument is NULL");
    struct bench *bench = memory_zero(context, sizeof *bench);
    if (!bench) return COVER_ERROR_MEMORY;
    bench->context = context;
    const struct bench_part *part = NULL;
    cover_status status;
    GO(read_options(bench, options, &part));
    GO(default_settings(bench));
    GO(part->run(bench));
    status = write_figures(bench, json);
done:
    memory_free(context, bench);
    return status;
}
