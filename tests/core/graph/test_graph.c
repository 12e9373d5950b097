/* The graph: shape rules, differentiation against finite differences, recomputation, the planner's promises. */
#include "../../check_main.h"
#include "core/base/philox.h"
#include "core/graph/executor.h"
#include "core/graph/ops.h"
#include "core/method/cover.h"

#include <math.h>
#include <string.h>

static cover_context *context;
static void setup(void) {
    ck_assert_ok(
        cover_context_create(&context, &(cover_context_options){.struct_size = sizeof(cover_context_options), .threads = 2}));
}
static void teardown(void) { cover_context_destroy(context); }

static const struct grid square = {2, {1, 16, 32}}, cube = {3, {16, 16, 16}};

static struct settings small_settings(const struct grid *grid) {
    cover_config *config;
    ck_assert_ok(cover_config_create(&config, context, grid->ndim == 3 ? "paper-3d" : "paper-2d"));
    ck_assert_ok(cover_config_set(config, "widths", "8,8,8,8,8,8,8,8,8"));
    ck_assert_ok(cover_config_set(config, "heads", "2,1,1,1,1"));
    ck_assert_ok(cover_config_set(config, "head_dim", "4"));
    ck_assert_ok(cover_config_set(config, "radius", "1"));
    struct settings settings = *config_settings(config);
    cover_config_destroy(config);
    return settings;
}

START_TEST(every_op_has_a_shape_rule_and_every_forward_op_a_gradient) {
    for (int op = 0; op < OP_COUNT; op++) {
        ck_assert_ptr_nonnull((void *)op_shape[op]);
        ck_assert_int_eq(op_gradient[op] != NULL, !(op_rows[op].flags & (OP_GRADIENT | OP_FIGURE)));
        ck_assert_int_le(op_rows[op].inputs, NODE_INPUTS);
        ck_assert_int_le(op_rows[op].outputs, NODE_OUTPUTS);
    }
}
END_TEST

START_TEST(shapes_that_do_not_fit_are_refused_and_building_goes_on_as_nothing) {
    struct parameters parameters = {.context = context};
    struct graph graph;
    const struct grid other = {2, {1, 8, 8}};
    graph_begin(&graph, context, &parameters);
    int a = graph_input(&graph, "a", 1, &square, 8), b = graph_input(&graph, "b", 1, &other, 8);
    ck_assert_int_eq(graph_add(&graph, a, b), ABSENT);
    ck_assert_int_eq(graph_finish(&graph), COVER_ERROR_SHAPE);
    ck_assert_int_eq(graph_max_pool2(&graph, a), ABSENT);
    graph_free(&graph);
    parameters_free(&parameters);
}
END_TEST

/* ---- the whole pair against finite differences in its own arithmetic */

struct fixture {
    struct parameters parameters;
    struct pair_graph pair;
    struct program *program;
    struct run run;
    float *weights, *gradient, *views, *truth, *mask;
};

static void random_values(float *values, int64_t count, float low, float high, uint32_t what) {
    struct random_stream stream = random_stream(9, RANDOM_TEST, 0, what);
    for (int64_t i = 0; i < count; i++) values[i] = random_uniform(&stream, low, high);
}

static void build(struct fixture *f, const struct settings *settings, const struct grid *grid) {
    int64_t pixels = grid_pixels(grid);
    memset(f, 0, sizeof *f);
    ck_assert_ok(pair_parameters(&f->parameters, context, settings));
    ck_assert_ok(pair_graph_build(&f->pair, context, &f->parameters, settings, grid, PAIR_LOSS | PAIR_GRADIENT));
    ck_assert_ok(executor_cpu.program_create(&f->program, context, &f->pair.graph, 2));
    size_t flat = (size_t)f->parameters.floats * sizeof(float);
    f->weights = memory_alloc(context, flat), f->gradient = memory_zero(context, flat);
    f->views = memory_alloc(context, (size_t)(2 * pixels) * sizeof(float));
    f->truth = memory_alloc(context, (size_t)(pixels * grid->ndim) * sizeof(float));
    f->mask = memory_alloc(context, (size_t)pixels * sizeof(float));
    random_values(f->views, 2 * pixels, 0, 1, 1);
    random_values(f->truth, pixels * grid->ndim, -3, 3, 2);
    for (int64_t i = 0; i < pixels; i++) f->mask[i] = i % 5 > 0;
    parameters_initialise(&f->parameters, f->weights, 4);
    f->run = (struct run){.input = {f->views, f->truth, f->mask},
                          .parameters = f->weights,
                          .gradient = f->gradient,
                          .arena = memory_alloc(context, executor_cpu.program_plan(f->program)->arena_bytes)};
}

static void release(struct fixture *f) {
    executor_cpu.program_destroy(f->program);
    pair_graph_free(&f->pair);
    parameters_free(&f->parameters);
    memory_free(context, f->weights), memory_free(context, f->gradient), memory_free(context, f->views);
    memory_free(context, f->truth), memory_free(context, f->mask), memory_free(context, f->run.arena);
}

static double loss(struct fixture *f, int team) {
    ck_assert_ok(executor_cpu.program_pack(f->program, f->weights));
    ck_assert_ok(run_once(context, &executor_cpu, f->program, &f->run, team));
    const double *vector = executor_cpu.program_result(f->program, &f->run, f->pair.vector_sum);
    const double *cosine = executor_cpu.program_result(f->program, &f->run, f->pair.cosine_sum);
    return *vector + *cosine;
}

/* How the loss changes along `direction` within one parameter, by a step to both sides. */
static double slope(struct fixture *f, const struct parameter *parameter, const float *at, const float *direction, double step) {
    double sides[2];
    for (int side = 0; side < 2; side++) {
        for (int64_t i = parameter->offset; i < parameter->offset + parameter->count; i++)
            f->weights[i] = at[i] + (float)((side ? step : -step) * direction[i]);
        sides[side] = loss(f, 1);
    }
    memcpy(f->weights + parameter->offset, at + parameter->offset, (size_t)parameter->count * sizeof *at);
    return (sides[1] - sides[0]) / (2 * step);
}

/* Along one parameter alone, in the direction of its gradient, the loss changes as the gradient says, within 1 %.  Short steps show
 * float's rounding, long ones the kinks of |x|, max and LeakyReLU: one in between must show neither.  Where the gradient is zero, the
 * loss may not change at all. */
static void check_parameter(struct fixture *f, int row, const float *at, float *direction) {
    const struct parameter *parameter = &f->parameters.rows[row];
    double square = 0, off = INFINITY;
    for (int64_t i = 0; i < parameter->count; i++)
        square += (double)direction[parameter->offset + i] * direction[parameter->offset + i];
    const double norm = sqrt(square);
    for (int64_t i = 0; i < parameter->count; i++)
        direction[parameter->offset + i] = norm > 0 ? (float)(direction[parameter->offset + i] / norm) : 1;
    for (double step = 1.25e-5; off > 0.01 && step < 2e-2; step *= 2) {
        const double found = slope(f, parameter, at, direction, step), error = fabs(found - norm) / (norm > 0 ? norm : 1);
        if (error < off) off = error;
    }
    ck_assert_msg(off <= 0.01, "%s: the slope is off by %g of %g", parameter->name, off, norm);
}

static void check_slopes(const struct settings *settings, const struct grid *grid) {
    struct fixture f;
    build(&f, settings, grid);
    loss(&f, 1);
    const size_t flat = (size_t)f.parameters.floats * sizeof(float);
    float *at = memory_copy(context, f.weights, flat), *gradient = memory_copy(context, f.gradient, flat);
    for (int row = 0; row < f.parameters.count; row++) check_parameter(&f, row, at, gradient);
    memory_free(context, at), memory_free(context, gradient);
    release(&f);
}

START_TEST(the_gradient_of_the_objective_is_its_slope_along_each_parameter_alone) {
    struct settings settings = small_settings(&square);
    check_slopes(&settings, &square);
    settings = small_settings(&cube);
    check_slopes(&settings, &cube);
}
END_TEST

START_TEST(ablations_have_the_right_gradients_too) {
    struct settings settings = small_settings(&square);
    settings.objective.pyramid = PYRAMID_DIRECT;
    struct fixture f;
    build(&f, &settings, &square);
    ck_assert(!graph_has_gradient(&f.pair.graph, parameters_find(&f.parameters, "proj.0.proj.weight")));
    ck_assert(graph_has_gradient(&f.pair.graph, parameters_find(&f.parameters, "proj.4.proj.weight")));
    loss(&f, 1);
    release(&f);
    settings = small_settings(&square);
    settings.objective.loss_vec = 0;
    build(&f, &settings, &square);
    ck_assert(!graph_has_gradient(&f.pair.graph, parameters_find(&f.parameters, "proj.4.proj.weight")));
    ck_assert(graph_has_gradient(&f.pair.graph, parameters_find(&f.parameters, "backbone.inc.double_conv.0.weight")));
    loss(&f, 1);
    release(&f);
}
END_TEST

/* Large enough for convolutions to be cut into slabs. */
static const struct grid wide = {2, {1, 96, 128}};

START_TEST(a_team_computes_what_one_thread_computes_bit_for_bit) {
    const struct grid *const grids[] = {&square, &cube, &wide, &square, &cube, &wide};
    for (int g = 0; g < 6; g++) {
        struct settings settings = small_settings(grids[g]);
        settings.network.precision = g < 3 ? PRECISION_FP32 : PRECISION_BF16;
        if (grids[g] == &wide) settings.network.widths.value[0] = settings.network.widths.value[8] = 16;
        struct fixture f;
        build(&f, &settings, grids[g]);
        double alone = loss(&f, 1);
        size_t bytes = (size_t)f.parameters.floats * sizeof(float);
        float *gradient = memory_copy(context, f.gradient, bytes);
        ck_assert(loss(&f, 2) == alone);
        ck_assert_int_eq(memcmp(gradient, f.gradient, bytes), 0);
        memory_free(context, gradient);
        release(&f);
    }
}
END_TEST

START_TEST(the_first_tensor_that_is_not_finite_is_named) {
    struct settings settings = small_settings(&square);
    struct fixture f;
    build(&f, &settings, &square);
    int row = parameters_find(&f.parameters, "backbone.down2.maxpool_conv.1.double_conv.3.weight");
    f.weights[f.parameters.rows[row].offset] = NAN;
    ck_assert_ok(executor_cpu.program_pack(f.program, f.weights));
    f.run.check = true;
    ck_assert_int_eq(run_once(context, &executor_cpu, f.program, &f.run, 1), COVER_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "backbone.down2.maxpool_conv.1.double"));
    release(&f);
}
END_TEST

/* ---- the planner */

struct life {
    int first, last;
};

static int root_of(const struct graph *graph, int tensor) {
    while (graph->tensors[tensor].parent != ABSENT) tensor = graph->tensors[tensor].parent;
    return tensor;
}

static bool in_place(const struct graph *graph, int n, int in, int out) {
    const struct node *node = &graph->nodes[n];
    return op_rows[node->op].flags & OP_IN_PLACE && node->input[0] != ABSENT && graph_stored(graph, node->input[0]) == in &&
           node->output[0] == out;
}

START_TEST(tensors_that_live_at_once_never_share_memory_and_the_arena_is_tight) {
    struct settings settings = small_settings(&square);
    struct fixture f;
    build(&f, &settings, &square);
    const struct graph *graph = &f.pair.graph;
    const struct plan *plan = executor_cpu.program_plan(f.program);
    struct life *lives = memory_zero(context, (size_t)graph->tensor_count * sizeof *lives);
    for (int t = 0; t < graph->tensor_count; t++) lives[t] = (struct life){graph->node_count, -1};
    for (int n = 0; n < graph->node_count; n++)
        for (int i = 0; i < NODE_INPUTS + NODE_OUTPUTS; i++) {
            int t = i < NODE_INPUTS ? graph->nodes[n].input[i] : graph->nodes[n].output[i - NODE_INPUTS];
            if (t == ABSENT) continue;
            int reads[] = {graph_stored(graph, t),
                           graph->tensors[t].storage == STORAGE_NORMALISED ? graph->tensors[t].coefficients : t};
            for (int r = 0; r < 2; r++) {
                struct life *life = &lives[root_of(graph, reads[r])];
                life->first = life->first < n ? life->first : n, life->last = n;
            }
        }
    for (int a = 0; a < graph->tensor_count; a++)
        for (int b = 0; b < a; b++) {
            const struct tensor *x = &graph->tensors[a], *y = &graph->tensors[b];
            bool placed = x->storage == STORAGE_ARENA && y->storage == STORAGE_ARENA && x->parent == ABSENT && y->parent == ABSENT;
            if (!placed || lives[a].last < 0 || lives[b].last < 0 || lives[a].last < lives[b].first ||
                lives[b].last < lives[a].first)
                continue;
            if (lives[a].last == lives[b].first && in_place(graph, lives[a].last, a, b)) continue;
            if (lives[b].last == lives[a].first && in_place(graph, lives[b].last, b, a)) continue;
            ck_assert_msg(plan->offset[a] + tensor_bytes(x) <= plan->offset[b] ||
                              plan->offset[b] + tensor_bytes(y) <= plan->offset[a],
                          "%s and %s overlap", x->name, y->name);
        }
    ck_assert_uint_le(plan->tensor_peak_bytes, plan->arena_bytes);
    ck_assert_double_le((double)plan->arena_bytes, 1.25 * (double)plan->tensor_peak_bytes);
    memory_free(context, lives);
    release(&f);
}
END_TEST

static int count(const struct graph *graph, enum op op) {
    int found = 0;
    for (int n = 0; n < graph->node_count; n++) found += graph->nodes[n].op == op;
    return found;
}

/* x -> conv -> norm_act -> add, with the convolution's output kept or not: does what is written take its place? */
static bool written_in_place(bool keep) {
    struct parameters parameters = {.context = context};
    struct graph graph;
    struct program *program;
    graph_begin(&graph, context, &parameters);
    int x = graph_input(&graph, "x", 2, &square, 8);
    int weights = graph_parameter(&graph, "weights", 4, (const int64_t[]){8, 8, 3, 3}, 72, INIT_KAIMING_NORMAL);
    int gamma = graph_parameter(&graph, "gamma", 1, (const int64_t[]){8}, 8, INIT_ONE);
    int beta = graph_parameter(&graph, "beta", 1, (const int64_t[]){8}, 8, INIT_ZERO);
    int y = graph_conv(&graph, x, ABSENT, weights, ABSENT, 3, ELEMENT_F32, NULL);
    int z = graph_norm_act(&graph, y, gamma, beta, ABSENT, ABSENT, (struct norm_attributes){1, 1e-5f, 0.2f});
    graph_conv(&graph, z, ABSENT, weights, ABSENT, 3, ELEMENT_F32, NULL);
    ck_assert_int_eq(count(&graph, OP_norm_apply), 0); /* a convolution normalises as it reads */
    if (keep) graph_result(&graph, y);
    graph_result(&graph, graph_add(&graph, z, z));
    ck_assert_int_eq(count(&graph, OP_norm_apply), 1); /* one copy for both */
    ck_assert_ok(graph_finish(&graph));
    ck_assert_ok(executor_cpu.program_create(&program, context, &graph, 2));
    const struct plan *plan = executor_cpu.program_plan(program);
    bool same = plan->offset[y] == plan->offset[graph.tensors[z].written];
    executor_cpu.program_destroy(program);
    graph_free(&graph);
    parameters_free(&parameters);
    return same;
}

START_TEST(normalisation_is_written_only_where_it_must_be_and_in_place_unless_its_input_is_wanted) {
    ck_assert(written_in_place(false));
    ck_assert(!written_in_place(true));
}
END_TEST

START_TEST(activations_that_are_cheap_are_computed_again_in_backward) {
    struct settings settings = small_settings(&square);
    struct fixture f;
    build(&f, &settings, &square);
    const struct graph *graph = &f.pair.graph;
    int again = 0;
    for (int n = graph->forward_nodes; n < graph->node_count; n++) again += graph->nodes[n].op == OP_upsample;
    ck_assert_int_eq(again, f.pair.levels - 1);
    for (int n = graph->forward_nodes; n < graph->node_count; n++)
        for (int i = 0; i < NODE_INPUTS; i++) {
            int t = graph->nodes[n].input[i];
            if (t == ABSENT || graph->tensors[t].producer == ABSENT || graph->tensors[t].producer >= graph->forward_nodes) continue;
            enum op producer = graph->nodes[graph->tensors[t].producer].op;
            const bool soon = n - graph->tensors[t].producer <= 16; /* the losses, where backward begins */
            ck_assert_msg(soon || (producer != OP_norm_apply && producer != OP_upsample), "%s is kept", graph->tensors[t].name);
        }
    release(&f);
}
END_TEST

/* ---- a failing allocator, counted up one call at a time */

struct failing {
    atomic_llong left, live; /* convolutions are made by several threads */
};
static void *failing_allocate(void *user, size_t bytes, size_t alignment) {
    struct failing *failing = user;
    void *memory = NULL;
    if (failing->left-- <= 0 || posix_memalign(&memory, alignment, bytes) != 0) return NULL;
    failing->live++;
    return memory;
}
static void failing_release(void *user, void *memory) {
    ((struct failing *)user)->live--;
    free(memory);
}

START_TEST(a_refused_allocation_is_an_error_and_loses_nothing) {
    struct settings settings = small_settings(&square);
    for (int64_t calls = 1;; calls = calls < 40 ? calls + 1 : calls + 37) {
        struct failing failing = {.left = calls};
        cover_allocator allocator = {failing_allocate, failing_release, &failing};
        cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
        options.allocator = &allocator, options.threads = 2, options.isa = "avx2";
        cover_context *poor;
        if (cover_context_create(&poor, &options) != COVER_OK) continue;
        struct parameters parameters = {.context = poor};
        struct pair_graph pair = {0};
        struct program *program = NULL;
        cover_status status = pair_parameters(&parameters, poor, &settings);
        if (status == COVER_OK) status = pair_graph_build(&pair, poor, &parameters, &settings, &square, PAIR_LOSS | PAIR_GRADIENT);
        if (status == COVER_OK) status = executor_cpu.program_create(&program, poor, &pair.graph, 1);
        executor_cpu.program_destroy(program);
        pair_graph_free(&pair);
        parameters_free(&parameters);
        cover_context_destroy(poor);
        ck_assert_int_eq(atomic_load(&failing.live), 0);
        if (status == COVER_OK) break;
        ck_assert_int_eq(status, COVER_ERROR_MEMORY);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("graph");
    TCase *tcase = tcase_create("graph"), *slopes = tcase_create("slopes");
    tcase_set_timeout(slopes, 200);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_checked_fixture(slopes, setup, teardown);
    ADD(tcase, every_op_has_a_shape_rule_and_every_forward_op_a_gradient);
    ADD(tcase, shapes_that_do_not_fit_are_refused_and_building_goes_on_as_nothing);
    ADD(slopes, the_gradient_of_the_objective_is_its_slope_along_each_parameter_alone);
    ADD(tcase, ablations_have_the_right_gradients_too);
    ADD(tcase, a_team_computes_what_one_thread_computes_bit_for_bit);
    ADD(tcase, the_first_tensor_that_is_not_finite_is_named);
    ADD(tcase, tensors_that_live_at_once_never_share_memory_and_the_arena_is_tight);
    ADD(tcase, normalisation_is_written_only_where_it_must_be_and_in_place_unless_its_input_is_wanted);
    ADD(tcase, activations_that_are_cheap_are_computed_again_in_backward);
    ADD(tcase, a_refused_allocation_is_an_error_and_loses_nothing);
    suite_add_tcase(suite, tcase);
    suite_add_tcase(suite, slopes);
    return run_suite(suite);
}
