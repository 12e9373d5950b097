/* What differentiation, planning and preparing must not lose in silence: gradients of many views and of second outputs, sums shared by
 * two tensors, holds, one weight used in two ways, losses that are not finite, bytes that overflow. */
#include "../../check_main.h"
#include "core/graph/convs.h"
#include "core/graph/executor.h"
#include "core/graph/objective_ops.h"

#include <math.h>
#include <string.h>

static cover_context *context;
static struct parameters parameters;
static struct graph graph;
static struct program *program;
static struct run run;

static void setup(void) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = 2;
    ck_assert_ok(cover_context_create(&context, &options));
    parameters = (struct parameters){.context = context};
    graph_begin(&graph, context, &parameters);
    program = NULL, run = (struct run){0};
}
static void teardown(void) {
    memory_free(context, run.arena);
    executor_cpu.program_destroy(program);
    graph_free(&graph);
    parameters_free(&parameters);
    cover_context_destroy(context);
}

static cover_status play(const float *weights, float *gradient) {
    ck_assert_ok(graph_finish(&graph));
    if (!program) {
        ck_assert_ok(executor_cpu.program_create(&program, context, &graph, 1));
        ck_assert_ok(executor_cpu.arena_create(&run.arena, program));
    }
    ck_assert_ok(executor_cpu.program_pack(program, weights));
    run.parameters = weights, run.gradient = gradient;
    return run_once(context, &executor_cpu, program, &run, 1);
}
static const void *result(int index) { return executor_cpu.program_result(program, &run, index); }

static const struct grid small = {2, {1, 2, 3}}, large = {2, {1, 4, 6}};
enum { PIXELS = 6, LARGE = 24 };

static int weights_of(const char *name, int64_t out, int64_t in) {
    return graph_parameter(&graph, name, 4, (const int64_t[]){out, in, 1, 1}, in, INIT_KAIMING_NORMAL);
}
/* The sum of the norms of a tensor of two channels on `large`; inputs 1 and 2 are its truth (zeros) and its mask (ones). */
static int norms(int tensor) {
    const int truth = graph_input(&graph, "truth", 1, &large, 2), mask = graph_input(&graph, "mask", 1, &large, 1);
    return graph_vector_loss(&graph, tensor, truth, mask);
}
static void differentiate(int loss) {
    graph_differentiate(&graph, &(struct derivative){.outputs = 1, .output = {loss}, .gradient = {loss}});
}
static float values[100 * LARGE], zeros[2 * LARGE], ones[LARGE];
static void fill(void) {
    for (int i = 0; i < LARGE; i++) ones[i] = 1;
    for (int i = 0; i < 100 * LARGE; i++) values[i] = (float)(1 + i % 7) / 8;
    run.input[0] = values, run.input[1] = zeros, run.input[2] = ones;
}

START_TEST(gradients_of_the_views_of_a_hundred_images_reach_the_whole) {
    enum { IMAGES = 100 };
    const float weights[] = {0.5f, -0.25f};
    float gradient[2] = {0, 0};
    const int x = graph_input(&graph, "x", IMAGES, &small, 1);
    const int y = graph_conv(&graph, x, ABSENT, weights_of("weights", 2, 1), ABSENT, 1, ELEMENT_F32, NULL);
    int sum = ABSENT;
    for (int i = 0; i < IMAGES; i++) {
        const int wide = graph_upsample(&graph, graph_image(&graph, y, i));
        sum = sum == ABSENT ? wide : graph_add(&graph, sum, wide);
    }
    const int loss = norms(sum), kept = graph_result(&graph, loss);
    differentiate(loss);
    fill();
    ck_assert_ok(play(weights, gradient));
    const double found = weights[0] * (double)gradient[0] + weights[1] * (double)gradient[1]; /* Euler: the loss is homogeneous */
    ck_assert_double_gt(found, 1);
    ck_assert_double_eq_tol(found / *(const double *)result(kept), 1, 1e-5);
}
END_TEST

START_TEST(a_gradient_into_a_second_output_is_refused_not_dropped) {
    const int x = graph_input(&graph, "x", 1, &large, 2);
    const int y = graph_conv(&graph, x, ABSENT, weights_of("weights", 2, 2), ABSENT, 1, ELEMENT_F32, NULL);
    int pooled[NODE_OUTPUTS];
    ck_assert(graph_node(&graph, OP_max_pool2, &y, &(struct attributes){0}, pooled));
    const int loss = norms(graph_upsample(&graph, pooled[1]));
    differentiate(loss);
    ck_assert_int_eq(graph_finish(&graph), COVER_ERROR_INTERNAL);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "not the first output"));
}
END_TEST

START_TEST(a_gradient_that_two_tensors_share_is_not_added_to_in_place) {
    const float weights[] = {0.5f, -0.25f, 0.75f, 1};
    float gradient[4];
    const int x = graph_input(&graph, "x", 1, &large, 1), a = weights_of("a", 2, 1), b = weights_of("b", 2, 1);
    const int left = graph_conv(&graph, x, ABSENT, a, ABSENT, 1, ELEMENT_F32, NULL);
    const int right = graph_conv(&graph, x, ABSENT, b, ABSENT, 1, ELEMENT_F32, NULL);
    const int once = graph_add(&graph, left, right), twice = graph_add(&graph, once, left); /* 2 left + right */
    const int loss = norms(twice);
    graph_result(&graph, loss);
    differentiate(loss);
    fill();
    float flat[64] = {0}, flat_gradient[64] = {0};
    for (int i = 0; i < 2; i++) memcpy(flat + parameters.rows[i].offset, weights + 2 * i, 2 * sizeof *weights);
    ck_assert_ok(play(flat, flat_gradient));
    for (int i = 0; i < 2; i++) memcpy(gradient + 2 * i, flat_gradient + parameters.rows[i].offset, 2 * sizeof *gradient);
    for (int i = 0; i < 2; i++) ck_assert_float_eq_tol(gradient[i], 2 * gradient[2 + i], 1e-4f);
    ck_assert_float_gt(fabsf(gradient[0]), 1);
}
END_TEST

/* y1 = conv(x) + bias as floats and y2 = conv(x) as bfloat16, of one weight on one grid */
START_TEST(behind_a_hold_of_zero_nothing_is_differentiated) {
    const int x = graph_input(&graph, "x", 1, &large, 1), first = weights_of("first", 2, 1), second = weights_of("second", 2, 2);
    const int held = graph_hold(&graph, graph_conv(&graph, x, ABSENT, first, ABSENT, 1, ELEMENT_F32, NULL), 0);
    differentiate(norms(graph_conv(&graph, held, ABSENT, second, ABSENT, 1, ELEMENT_F32, NULL)));
    ck_assert_ok(graph_finish(&graph));
    ck_assert(graph_has_gradient(&graph, graph.tensors[second].index) && !graph_has_gradient(&graph, graph.tensors[first].index));
    for (int n = 0; n < graph.node_count; n++) ck_assert_int_ne(graph.nodes[n].op, OP_conv_grad_data);
}
END_TEST

START_TEST(one_weight_used_in_two_ways_on_one_grid_is_two_convolutions) {
    enum { CHANNELS = 16 };
    const int x = graph_input(&graph, "x", 1, &large, 1), weights = weights_of("weights", CHANNELS, 1);
    const int bias = graph_parameter(&graph, "bias", 1, (const int64_t[]){CHANNELS}, 1, INIT_ZERO);
    const int first = graph_conv(&graph, x, ABSENT, weights, bias, 1, ELEMENT_F32, NULL);
    const int second = graph_conv(&graph, x, ABSENT, weights, ABSENT, 1, ELEMENT_BF16, NULL);
    const int kept[] = {graph_result(&graph, first), graph_result(&graph, second)};
    struct conv_use uses[8];
    int use_of_node[8];
    ck_assert_int_eq(graph_convs(&graph, 1, uses, use_of_node), 2);
    ck_assert(uses[0].bias && uses[0].y == ELEMENT_F32 && !uses[1].bias && uses[1].y == ELEMENT_BF16);
    float flat[64] = {0};
    for (int c = 0; c < CHANNELS; c++) flat[parameters.rows[0].offset + c] = (float)c, flat[parameters.rows[1].offset + c] = 0.5f;
    fill();
    ck_assert_ok(play(flat, NULL));
    const float *y1 = result(kept[0]), *y2 = result(kept[1]);
    for (int i = 0; i < LARGE * CHANNELS; i++) {
        const float product = values[i / CHANNELS] * (float)(i % CHANNELS);
        ck_assert_float_eq_tol(y1[i], product + 0.5f, 1e-4f);
        ck_assert_float_eq_tol(y2[i], product, 0.01f * (1 + product));
    }
}
END_TEST

START_TEST(forward_and_gradients_of_one_layer_share_one_convolution) {
    const int x = graph_input(&graph, "x", 1, &large, 1),
              bias = graph_parameter(&graph, "bias", 1, (const int64_t[]){3}, 1, INIT_ZERO);
    const int first = graph_conv(&graph, x, ABSENT, weights_of("first", 3, 1), bias, 1, ELEMENT_F32, NULL);
    const int loss = norms(graph_conv(&graph, first, first, weights_of("second", 2, 6), ABSENT, 1, ELEMENT_F32, NULL));
    differentiate(loss);
    struct conv_use uses[32];
    int use_of_node[32];
    ck_assert_ok(graph_finish(&graph));
    ck_assert_int_lt(graph.node_count, 32);
    ck_assert_int_eq(graph_convs(&graph, 1, uses, use_of_node), 2);
    ck_assert(uses[0].forward && uses[0].grad_weights && !uses[0].grad_data && uses[0].bias);
    ck_assert(uses[1].forward && uses[1].grad_weights && uses[1].grad_data && uses[1].c_second == 3);
}
END_TEST

START_TEST(a_loss_that_is_not_finite_is_named) {
    const float weights[] = {INFINITY, 0};
    const int x = graph_input(&graph, "x", 1, &large, 2);
    const int loss = norms(x);
    graph_result(&graph, loss);
    fill();
    values[3] = INFINITY;
    run.check = true;
    ck_assert_int_eq(play(weights, NULL), COVER_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "vector_loss is not finite"));
}
END_TEST

START_TEST(tensors_whose_bytes_cannot_be_counted_are_refused) {
    const struct grid huge = {2, {1, INT64_C(1) << 31, INT64_C(1) << 31}}; /* with four channels 2^64 values */
    const int x = graph_input(&graph, "x", 1, &huge, 4);
    graph_result(&graph, graph_add(&graph, x, x));
    ck_assert_ok(graph_finish(&graph));
    ck_assert_int_eq(executor_cpu.program_create(&program, context, &graph, 1), COVER_ERROR_SHAPE);
    program = NULL;
}
END_TEST

START_TEST(more_inputs_than_a_run_has_places_for_are_refused) {
    for (int i = 0; i < GRAPH_INPUTS; i++) ck_assert_int_ne(graph_input(&graph, "x", 1, &small, 1), ABSENT);
    ck_assert_ok(graph_finish(&graph));
    ck_assert_int_eq(graph_input(&graph, "one more", 1, &small, 1), ABSENT);
    ck_assert_int_eq(graph_finish(&graph), COVER_ERROR_INTERNAL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("differentiate");
    TCase *tcase = tcase_create("differentiate");
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, gradients_of_the_views_of_a_hundred_images_reach_the_whole);
    ADD(tcase, a_gradient_into_a_second_output_is_refused_not_dropped);
    ADD(tcase, a_gradient_that_two_tensors_share_is_not_added_to_in_place);
    ADD(tcase, behind_a_hold_of_zero_nothing_is_differentiated);
    ADD(tcase, one_weight_used_in_two_ways_on_one_grid_is_two_convolutions);
    ADD(tcase, forward_and_gradients_of_one_layer_share_one_convolution);
    ADD(tcase, a_loss_that_is_not_finite_is_named);
    ADD(tcase, tensors_whose_bytes_cannot_be_counted_are_refused);
    ADD(tcase, more_inputs_than_a_run_has_places_for_are_refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
