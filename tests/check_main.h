/* Shared by every test program: run one Check suite, print what failed, exit 1 when anything did.
 * Usage:  int main(void) { Suite *s = suite_create("png"); ...; return run_suite(s); } */
#ifndef COVER_CHECK_MAIN_H
#define COVER_CHECK_MAIN_H

#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#undef fail /* an old name of Check; ours is in base.h */

/* As a host program that has called setlocale(): tests/locale runs programs so. */
static inline int run_suite(Suite *suite) {
    const char *locale = getenv("TEST_LOCALE");
    if (locale && !setlocale(LC_ALL, locale)) return fprintf(stderr, "no locale '%s' below LOCPATH\n", locale), 1;
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int ran = srunner_ntests_run(runner), failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return ran == 0 || failed > 0; /* a suite that ran nothing has not passed */
}

/* START_TEST functions by name: ADD(case, test_function) */
#define ADD(tcase, function) tcase_add_test(tcase, function)

#define ck_assert_ok(call)                                                                                                         \
    do {                                                                                                                           \
        cover_status ok_status = (call);                                                                                           \
        ck_assert_msg(ok_status == COVER_OK, "%s: %s: %s", #call, cover_status_name(ok_status), cover_error_text());               \
    } while (0)

/* A status, and parts that its text must have. */
#define ck_assert_fails(call, expected, ...)                                                                                       \
    do {                                                                                                                           \
        cover_status got_status = (call);                                                                                          \
        const char *parts[] = {__VA_ARGS__};                                                                                       \
        ck_assert_msg(got_status == (expected), "%s: %s", cover_status_name(got_status), cover_error_text());                      \
        for (size_t part_ = 0; part_ < sizeof parts / sizeof *parts; part_++)                                                      \
            ck_assert_msg(strstr(cover_error_text(), parts[part_]) != NULL, "no \"%s\" in: %s", parts[part_], cover_error_text()); \
    } while (0)

#endif
