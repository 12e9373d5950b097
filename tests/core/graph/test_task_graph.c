/* Graphs of tasks: losses and global pooling as nodes, an image a row, against finite differences; frozen parameters. */
#include "../../check_main.h"
#include "core/base/philox.h"
#include "core/graph/executor.h"
#include "core/nn/backbone.h"
#include "core/nn/layers.h"

#include <math.h>
#include <string.h>

static cover_context *context;
static void setup(void) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = 2;
    ck_assert_ok(cover_context_create(&context, &options));
}
static void teardown(void) { cover_context_destroy(context); }

static const struct grid square = {2, {1, 16, 32}}, cube = {3, {16, 16, 32}}, one_pixel = {2, {1, 1, 1}};

/* ---- a task: images in, losses of each image and the gradient of what is not frozen out */

enum task_kind { SEGMENTATION, CLASSIFICATION, MULTILABEL, TASK_KINDS };
enum { CLASSES = 5, IMAGES = 2 };

struct task {
    struct parameters parameters;
    struct graph graph;
    struct program *program;
    struct run run;
    int result;
    size_t flat;
    float *memory[6]; /* images, target, class weights, parameters, gradient, arena */
};

static float *values(int64_t count, float low, float high, uint32_t what) {
    float *made = memory_alloc(context, (size_t)count * sizeof *made);
    struct random_stream stream = random_stream(5, RANDOM_TEST, 0, what);
    for (int64_t i = 0; i < count; i++) made[i] = random_uniform(&stream, low, high);
    return made;
}

typedef void freeze_fn(const struct parameters *parameters, bool *frozen);

static void task_build(struct task *task, enum task_kind kind, const struct grid *grid, int images, freeze_fn *freeze) {
    static const struct network_settings settings = {.widths = {9, {8, 8, 8, 8, 8, 8, 8, 8, 8}}};
    enum { FULL_SIZE = 4 };
    memset(task, 0, sizeof *task);
    task->parameters.context = context;
    struct graph *graph = &task->graph;
    graph_begin(graph, context, &task->parameters);
    int levels[LEVELS_MAX], x = graph_input(graph, "images", images, grid, 1);
    struct grid pooled = {grid->ndim, {1, 1, 1}};
    int target = graph_input(graph, "target", images, kind == SEGMENTATION ? grid : &pooled, kind == MULTILABEL ? CLASSES : 1);
    int weights = graph_input(graph, "class weights", 1, &one_pixel, CLASSES);
    backbone_unet.build(graph, x, &settings, levels);
    int features = kind == SEGMENTATION ? levels[FULL_SIZE] : graph_global_pool(graph, levels[0]);
    int logits = layer_conv1(graph, "head", features, CLASSES, true, INIT_UNIFORM_FAN);
    int loss = kind == MULTILABEL ? graph_sigmoid_loss(graph, logits, target, weights)
                                  : graph_softmax_loss(graph, logits, target, weights, 0.75f, kind == SEGMENTATION ? 1.5f : 0);
    task->result = graph_result(graph, loss);
    bool *frozen = memory_zero(context, (size_t)task->parameters.count * sizeof *frozen);
    if (freeze) freeze(&task->parameters, frozen);
    struct derivative derivative = {.outputs = 1, .output = {loss}, .gradient = {loss}, .frozen = freeze ? frozen : NULL};
    graph_differentiate(graph, &derivative);
    memory_free(context, frozen);
    ck_assert_ok(graph_finish(graph));
    ck_assert_ok(executor_cpu.program_create(&task->program, context, graph, 2));
    task->flat = (size_t)task->parameters.floats;
    int64_t targets = tensor_elements(&graph->tensors[target]);
    float **memory = task->memory;
    memory[0] = values(images * grid_pixels(grid), 0, 1, 1);
    memory[1] = values(targets, -1, kind == MULTILABEL ? 2 : CLASSES, 2);
    memory[2] = values(CLASSES, 0.5f, 1.5f, 3);
    memory[3] = memory_alloc(context, task->flat * sizeof(float));
    memory[4] = memory_zero(context, task->flat * sizeof(float));
    memory[5] = memory_alloc(context, executor_cpu.program_plan(task->program)->arena_bytes);
    for (int64_t i = 0; i < targets; i++) memory[1][i] = kind == CLASSIFICATION ? (float)(1 + i % 4) : floorf(memory[1][i]);
    parameters_initialise(&task->parameters, memory[3], 4);
    task->run = (struct run){
        .input = {memory[0], memory[1], memory[2]}, .parameters = memory[3], .gradient = memory[4], .arena = memory[5]};
}

static void task_free(struct task *task) {
    executor_cpu.program_destroy(task->program);
    graph_free(&task->graph);
    parameters_free(&task->parameters);
    for (int i = 0; i < 6; i++) memory_free(context, task->memory[i]);
}

/* Runs; two losses an image. */
static const double *task_run(struct task *task) {
    ck_assert_ok(executor_cpu.program_pack(task->program, task->memory[3]));
    ck_assert_ok(run_once(context, &executor_cpu, task->program, &task->run, 2));
    return executor_cpu.program_result(task->program, &task->run, task->result);
}

static double objective(struct task *task, enum task_kind kind) {
    const double *loss = task_run(task);
    double sum = 0;
    for (int i = 0; i < IMAGES; i++)
        sum += kind == MULTILABEL ? loss[2 * i] : 0.75 * loss[2 * i] + (kind == SEGMENTATION ? 1.5 * loss[2 * i + 1] : 0);
    return sum;
}

START_TEST(the_gradient_of_a_task_is_the_slope_of_its_loss) {
    const struct grid *const grids[] = {&square, &cube};
    struct task task;
    task_build(&task, _i % TASK_KINDS, grids[_i / TASK_KINDS], IMAGES, NULL);
    task_run(&task);
    float *at = memory_copy(context, task.memory[3], task.flat * sizeof(float));
    float *gradient = memory_copy(context, task.memory[4], task.flat * sizeof(float));
    double square_sum = 0, sides[2];
    for (size_t i = 0; i < task.flat; i++) square_sum += (double)gradient[i] * gradient[i];
    ck_assert_double_gt(square_sum, 1e-6);
    const double norm = sqrt(square_sum), step = 1e-4;
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < task.flat; i++) task.memory[3][i] = at[i] + (float)((side ? step : -step) * gradient[i] / norm);
        sides[side] = objective(&task, _i % TASK_KINDS);
    }
    ck_assert_double_eq_tol((sides[1] - sides[0]) / (2 * step) / norm, 1, 0.01);
    memory_free(context, at), memory_free(context, gradient);
    task_free(&task);
}
END_TEST

START_TEST(each_image_has_its_own_losses_and_the_gradient_is_their_sum) {
    for (int kind = 0; kind < TASK_KINDS; kind++) {
        struct task both, one;
        task_build(&both, kind, &square, IMAGES, NULL), task_build(&one, kind, &square, 1, NULL);
        double loss[2 * IMAGES];
        memcpy(loss, task_run(&both), sizeof loss);
        float *sum = memory_zero(context, one.flat * sizeof(float));
        size_t targets = (size_t)tensor_elements(&one.graph.tensors[1]);
        for (int i = 0; i < IMAGES; i++) {
            one.run.input[0] = both.memory[0] + i * grid_pixels(&square);
            one.run.input[1] = both.memory[1] + (size_t)i * targets;
            ck_assert_mem_eq(task_run(&one), loss + 2 * i, 2 * sizeof *loss);
            for (size_t k = 0; k < one.flat; k++) sum[k] += one.memory[4][k];
        }
        ck_assert_mem_eq(sum, both.memory[4], one.flat * sizeof(float));
        memory_free(context, sum);
        task_free(&both), task_free(&one);
    }
}
END_TEST

START_TEST(losses_refuse_what_does_not_fit) {
    const struct grid other = {2, {1, 8, 8}};
    for (int wrong = 0; wrong < 7; wrong++) {
        struct parameters parameters = {.context = context};
        struct graph graph;
        graph_begin(&graph, context, &parameters);
        int64_t classes = wrong == 0 ? 1 : 3;
        int logits = graph_input(&graph, "logits", 2, &square, classes);
        int target = graph_input(&graph, "target", wrong == 1 ? 1 : 2, wrong == 2 ? &other : &square, wrong == 3 ? 2 : 1);
        int vectors = wrong == 4 ? 2 : 1, channels = wrong == 6 ? 4 : 3;
        const struct grid *vector_grid = wrong == 5 ? &square : &one_pixel;
        int weights = graph_input(&graph, "weights", vectors, vector_grid, channels);
        ck_assert_int_eq(graph_softmax_loss(&graph, logits, target, weights, 1, 1), ABSENT);
        ck_assert_int_eq(graph_finish(&graph), COVER_ERROR_SHAPE);
        graph_free(&graph);
        graph_begin(&graph, context, &parameters);
        logits = graph_input(&graph, "logits", 2, &square, 3);
        classes = wrong == 3 || wrong == 0 ? 2 : 3;
        target = graph_input(&graph, "target", wrong == 1 ? 1 : 2, wrong == 2 ? &other : &square, classes);
        weights = graph_input(&graph, "weights", vectors, vector_grid, channels);
        ck_assert_int_eq(graph_sigmoid_loss(&graph, logits, target, weights), ABSENT);
        ck_assert_int_eq(graph_finish(&graph), COVER_ERROR_SHAPE);
        graph_free(&graph);
        parameters_free(&parameters);
    }
}
END_TEST

/* ---- frozen parameters */

static int count_nodes(const struct graph *graph, enum op op) {
    int count = 0;
    for (int n = 0; n < graph->node_count; n++) count += graph->nodes[n].op == op;
    return count;
}

static void freeze_all_but(const char *prefix, const struct parameters *parameters, bool *frozen) {
    for (int i = 0; i < parameters->count; i++) frozen[i] = strncmp(parameters->rows[i].name, prefix, strlen(prefix)) != 0;
}
static void all_but_the_head(const struct parameters *parameters, bool *frozen) { freeze_all_but("head", parameters, frozen); }
static void all_but_down2(const struct parameters *parameters, bool *frozen) {
    freeze_all_but("backbone.down2", parameters, frozen);
}
static void all_but_up4(const struct parameters *parameters, bool *frozen) { freeze_all_but("backbone.up4", parameters, frozen); }
static void biases_alone(const struct parameters *parameters, bool *frozen) {
    for (int i = 0; i < parameters->count; i++) frozen[i] = !strstr(parameters->rows[i].name, "0.bias");
}
static void weights_alone(const struct parameters *parameters, bool *frozen) {
    for (int i = 0; i < parameters->count; i++) frozen[i] = !strstr(parameters->rows[i].name, ".weight");
}
static void everything(const struct parameters *parameters, bool *frozen) {
    for (int i = 0; i < parameters->count; i++) frozen[i] = true;
}
static void nothing(const struct parameters *parameters, bool *frozen) { (void)parameters, (void)frozen; }

START_TEST(a_frozen_backbone_is_left_out_of_backward) {
    struct task task;
    task_build(&task, SEGMENTATION, &square, IMAGES, all_but_the_head);
    ck_assert_int_eq(count_nodes(&task.graph, OP_conv_grad_data), 0);
    ck_assert_int_eq(count_nodes(&task.graph, OP_conv_grad_weights), 1);
    ck_assert_int_eq(count_nodes(&task.graph, OP_norm_grad), 0);
    task_free(&task);
    task_build(&task, CLASSIFICATION, &cube, IMAGES, all_but_the_head);
    ck_assert_int_eq(count_nodes(&task.graph, OP_conv_grad_data) + count_nodes(&task.graph, OP_global_pool_grad), 0);
    task_free(&task);
    task_build(&task, SEGMENTATION, &square, IMAGES, all_but_up4); /* its second half, and the head above it */
    ck_assert_int_eq(count_nodes(&task.graph, OP_conv_grad_data), 2);
    ck_assert_int_eq(count_nodes(&task.graph, OP_conv_grad_weights), 2);
    ck_assert_int_eq(count_nodes(&task.graph, OP_upsample_grad), 0);
    task_free(&task);
    task_build(&task, SEGMENTATION, &square, IMAGES, everything);
    ck_assert_int_eq(task.graph.node_count, task.graph.forward_nodes);
    task_run(&task);
    task_free(&task);
}
END_TEST

START_TEST(gradients_that_are_not_frozen_are_the_same_bits) {
    static freeze_fn *const ways[] = {all_but_the_head, all_but_down2, all_but_up4, biases_alone, weights_alone, nothing};
    for (int kind = 0; kind < TASK_KINDS; kind++) {
        struct task whole;
        task_build(&whole, kind, &square, IMAGES, NULL);
        task_run(&whole);
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            struct task task;
            task_build(&task, kind, &square, IMAGES, ways[w]);
            bool frozen[256] = {false};
            ck_assert_int_le(task.parameters.count, 256);
            ways[w](&task.parameters, frozen);
            for (size_t i = 0; i < task.flat; i++) task.memory[4][i] = NAN; /* nobody writes to a frozen row */
            task_run(&task);
            for (int row = 0; row < task.parameters.count; row++) {
                const struct parameter *parameter = &task.parameters.rows[row];
                bool has = graph_has_gradient(&task.graph, row);
                ck_assert_int_eq(has, graph_has_gradient(&whole.graph, row) && !frozen[row]);
                const float *found = task.memory[4] + parameter->offset, *expected = whole.memory[4] + parameter->offset;
                if (has) ck_assert_mem_eq(found, expected, (size_t)parameter->count * sizeof(float));
                else ck_assert(isnan(*found));
            }
            task_free(&task);
        }
        task_free(&whole);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("graphs of tasks");
    TCase *tcase = tcase_create("graphs of tasks");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, the_gradient_of_a_task_is_the_slope_of_its_loss, 0, 2 * TASK_KINDS);
    ADD(tcase, each_image_has_its_own_losses_and_the_gradient_is_their_sum);
    ADD(tcase, losses_refuse_what_does_not_fit);
    ADD(tcase, a_frozen_backbone_is_left_out_of_backward);
    ADD(tcase, gradients_that_are_not_frozen_are_the_same_bits);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
