/* Names of layers: as long as published networks have them, and never cut in silence. */
#include "../../check_main.h"
#include "core/nn/layers.h"

#include <string.h>

static cover_context *context;
static struct parameters parameters;
static struct graph graph;
static const struct grid grid = {2, {1, 4, 4}};

static void setup(void) {
    ck_assert_ok(cover_context_create(&context, NULL));
    parameters = (struct parameters){.context = context};
    graph_begin(&graph, context, &parameters);
}
static void teardown(void) {
    graph_free(&graph);
    parameters_free(&parameters);
    cover_context_destroy(context);
}

static void add_convolution(const char *prefix) {
    int x = graph_input(&graph, "x", 1, &grid, 8);
    layer_conv1(&graph, prefix, x, 8, true, INIT_UNIFORM_FAN);
}

START_TEST(the_longest_published_name_is_kept_whole) {
    const char *prefix = "backbone.transformer.embeddings.hybrid_model.body.block1.unit1.downsample";
    add_convolution(prefix);
    ck_assert_ok(graph_finish(&graph));
    ck_assert_str_eq(parameters.rows[0].name, "backbone.transformer.embeddings.hybrid_model.body.block1.unit1.downsample.weight");
    ck_assert_str_eq(graph.scope, prefix);
}
END_TEST

START_TEST(a_name_that_is_too_long_is_refused) {
    char prefix[PARAMETER_NAME_BYTES];
    memset(prefix, 'a', sizeof prefix);
    prefix[PARAMETER_NAME_BYTES - sizeof ".weight"] = 0; /* the longest that fits */
    add_convolution(prefix);
    ck_assert_ok(graph_finish(&graph));
    ck_assert_uint_eq(strlen(parameters.rows[0].name), PARAMETER_NAME_BYTES - 1);
    strcat(prefix, "a");
    add_convolution(prefix);
    ck_assert_int_eq(graph_finish(&graph), COVER_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "at most 127 characters"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("layers");
    TCase *layers = tcase_create("names");
    tcase_add_checked_fixture(layers, setup, teardown);
    ADD(layers, the_longest_published_name_is_kept_whole);
    ADD(layers, a_name_that_is_too_long_is_refused);
    suite_add_tcase(suite, layers);
    return run_suite(suite);
}
