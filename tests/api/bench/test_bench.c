/* Measuring as a call: what was asked for is measured, and told as structs and as JSON. */
#include "../../fixture.h"

#include <libcover/cover.h>

#include <jansson.h>
#include <math.h>

START_TEST(a_part_is_measured_in_as_many_rounds_as_asked_for) {
    cover_bench_options options = COVER_BENCH_OPTIONS_INIT;
    cover_bench_info info = COVER_BENCH_INFO_INIT;
    cover_bench_row row = COVER_BENCH_ROW_INIT;
    char part[] = "mov", *json = NULL;
    cover_bench *bench;
    options.size = 16, options.part = part, options.rounds = 3, options.brief = 1;
    ck_assert_ok(cover_bench_run(&bench, context, &options));
    part[0] = 0; /* names belong to what was measured */
    ck_assert_ok(cover_bench_get_info(&info, bench));
    ck_assert_str_eq(info.part, "mov");
    ck_assert_str_eq(info.precision, "fp32");
    ck_assert(info.struct_size == sizeof info && info.dims == 2 && info.size == 16 && info.rounds == 3 && info.threads == 2);
    for (int i = 0; i < 3; i++) ck_assert(info.round_seconds[i] >= info.seconds_min && info.seconds_min > 0);
    ck_assert(info.operations == 0 && info.layers == 0 && info.one_thread.bytes_per_s == 0);
    ck_assert_fails(cover_bench_operation_at(&row, bench, 0), COVER_ERROR_ARGUMENT, "operation 0: there are 0");
    ck_assert_ok(cover_bench_json(&json, bench));
    ck_assert(strstr(json, "\"part\": \"mov\"") && strstr(json, "\"rounds\": 3") && strstr(json, "\"seconds_min\": "));
    cover_text_release(context, json);
    cover_bench_destroy(bench);
    options.part = "nosuch";
    ck_assert_int_eq(cover_bench_run(&bench, context, &options), COVER_ERROR_ARGUMENT);
    options.part = "mov", options.size = 20;
    ck_assert_int_eq(cover_bench_run(&bench, context, &options), COVER_ERROR_ARGUMENT);
}
END_TEST

START_TEST(operations_and_layers_are_rows_that_add_up) {
    cover_bench_options options = COVER_BENCH_OPTIONS_INIT;
    cover_bench_info info = COVER_BENCH_INFO_INIT;
    cover_bench *bench;
    char *json;
    double seconds = 0, bytes = 0, last = INFINITY;
    int nodes = 0;
    options.size = 16, options.part = "mov", options.rounds = 1, options.layers = 1;
    ck_assert_ok(cover_bench_run(&bench, context, &options));
    ck_assert_ok(cover_bench_get_info(&info, bench));
    ck_assert_ok(cover_bench_json(&json, bench));
    json_t *text = json_loads(json, 0, NULL);
    cover_text_release(context, json);
    ck_assert(info.operations > 0 && info.layers >= info.operations && info.one_thread.fp32_flops_per_s > 0);
    ck_assert_uint_eq(json_array_size(json_object_get(text, "layers")), (size_t)info.layers);
    for (int i = 0; i < info.operations; i++) {
        cover_bench_row row = COVER_BENCH_ROW_INIT;
        ck_assert_ok(cover_bench_operation_at(&row, bench, i));
        const json_t *told = json_array_get(json_object_get(text, "operations"), (size_t)i);
        ck_assert_str_eq(row.op, json_string_value(json_object_get(told, "op")));
        ck_assert_double_eq_tol(row.seconds, json_number_value(json_object_get(told, "seconds")), 1e-5 * row.seconds);
        ck_assert_int_eq(row.memory_bound, strcmp(json_string_value(json_object_get(told, "bound")), "memory") == 0);
        ck_assert(row.seconds <= last && !*row.layer && !*row.size);
        seconds += row.seconds, bytes += row.bytes, nodes += row.count, last = row.seconds;
    }
    ck_assert_double_eq_tol(seconds, info.operations_seconds, 1e-9);
    ck_assert_int_eq(nodes, info.layers);
    for (int i = 0; i < info.layers; i++) {
        cover_bench_row row = COVER_BENCH_ROW_INIT;
        ck_assert_ok(cover_bench_layer_at(&row, bench, i));
        ck_assert(*row.layer && *row.size && row.count == 1);
        bytes -= row.bytes;
    }
    ck_assert_double_eq_tol(bytes, 0, 1);
    json_decref(text);
    cover_bench_destroy(bench);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("bench");
    TCase *tcase = tcase_create("calls");
    tcase_add_checked_fixture(tcase, with_context, without_context);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    ADD(tcase, a_part_is_measured_in_as_many_rounds_as_asked_for);
    ADD(tcase, operations_and_layers_are_rows_that_add_up);
    return run_suite(suite);
}
