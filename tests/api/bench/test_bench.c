/* cover_bench() as a call. */
#include "../../fixture.h"

#include <libcover/cover.h>

#include <string.h>

START_TEST(a_part_is_measured_in_as_many_rounds_as_asked_for) {
    cover_bench_options options = COVER_BENCH_OPTIONS_INIT;
    options.size = 16, options.part = "mov", options.rounds = 3, options.brief = 1;
    char *json = NULL;
    ck_assert_ok(cover_bench(&json, context, &options));
    ck_assert_ptr_nonnull(strstr(json, "\"part\": \"mov\""));
    ck_assert_ptr_nonnull(strstr(json, "\"rounds\": 3"));
    ck_assert_ptr_nonnull(strstr(json, "\"seconds_min\": "));
    cover_text_release(context, json);
    options.part = "nosuch";
    ck_assert_int_eq(cover_bench(&json, context, &options), COVER_ERROR_ARGUMENT);
    options.part = "mov", options.size = 20;
    ck_assert_int_eq(cover_bench(&json, context, &options), COVER_ERROR_ARGUMENT);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("bench");
    TCase *tcase = tcase_create("calls");
    tcase_add_checked_fixture(tcase, with_context, without_context);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    ADD(tcase, a_part_is_measured_in_as_many_rounds_as_asked_for);
    return run_suite(suite);
}
