/* Foreign text in texts for people: what steers a terminal or forges a line is shown, numbers are as printf has them. */
#include "../../check_main.h"
#include "core/base/base.h"

#include <libcover/cover.h>

#include <float.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *given, *shown;
} names[] = {
    {"plain.png", "plain.png"},
    {"with space, \"quotes\" and \\", "with space, \"quotes\" and \\"},
    {"M\xc3\xbcller \xe5\xbd\xb1 \xf0\x9f\xab\x81", "M\xc3\xbcller \xe5\xbd\xb1 \xf0\x9f\xab\x81"},
    {"\x1b]0;title\x07", "\\x1B]0;title\\x07"},
    {"a\nwarning: forged\r\tb\x7f", "a\\x0Awarning: forged\\x0D\\x09b\\x7F"},
    {"\xc2\x9b[2J", "\\xC2\\x9B[2J"},                                                   /* C1: CSI in one character */
    {"\xe2\x80\xaegnp.exe\xe2\x80\xac", "\\xE2\\x80\\xAEgnp.exe\\xE2\\x80\\xAC"},       /* right-to-left override */
    {"\xe2\x81\xa6x\xe2\x81\xa9\xd8\x9c", "\\xE2\\x81\\xA6x\\xE2\\x81\\xA9\\xD8\\x9C"}, /* isolates, Arabic mark */
    {"\xe2\x80\xa8\xe2\x80\x8e", "\\xE2\\x80\\xA8\\xE2\\x80\\x8E"},                     /* line separator, mark of direction */
    {"\xff\xc3(\xed\xa0\x80\xe2\x82", "\\xFF\\xC3(\\xED\\xA0\\x80\\xE2\\x82"},          /* broken, a surrogate, cut short */
};
enum { NAMES = sizeof names / sizeof *names };

START_TEST(what_steers_is_shown_and_letters_of_all_languages_stay) {
    char text[200];
    ck_assert_int_eq(shown_print(text, sizeof text, "<%s>", names[_i].given), (int)strlen(names[_i].shown) + 2);
    ck_assert_int_eq(text[0], '<');
    ck_assert_int_eq(strncmp(text + 1, names[_i].shown, strlen(names[_i].shown)), 0);
    ck_assert_str_eq(text + 1 + strlen(names[_i].shown), ">");
}
END_TEST

#define SAME(...)                                                                                                                  \
    do {                                                                                                                           \
        char want[900], got[900];                                                                                                  \
        int length = snprintf(want, sizeof want, __VA_ARGS__);                                                                     \
        ck_assert_int_eq(shown_print(got, sizeof got, __VA_ARGS__), length);                                                       \
        ck_assert_str_eq(got, want);                                                                                               \
    } while (0)

START_TEST(numbers_are_as_printf_has_them) {
    SAME("nothing");
    SAME("100 %% of %d", 7);
    SAME("%5d|%-5d|%+d|%05d|%.3d|%x|%X|%02x|%#o", 42, 42, 42, 42, 7, 255U, 255U, 10U, 8U);
    SAME("%hhd %hd %ld %lld %zu %jd %td", (signed char)-1, (short)-2, LONG_MIN, LLONG_MIN, SIZE_MAX, INTMAX_MAX, (ptrdiff_t)-9);
    SAME("%u %lu %llu", UINT_MAX, ULONG_MAX, ULLONG_MAX);
    SAME("%g %.3g %10.2f %e %.17g %f %a", 0.1, 1e-9, 3.14159, 1e300, 0.1, DBL_MAX, 0.5);
    SAME("%.*g %*d %.*s|", 3, 2.0 / 3, 6, 42, 2, "abc");
    SAME("%s and %.2s, %c", "all", "cut", 'x');
    SAME("[%5s|%-5s|%*s|%-*.1s|%2s]", "ab", "cd", 4, "e", 3, "fg", "long");
}
END_TEST

START_TEST(columns_count_characters) {
    char text[64];
    shown_print(text, sizeof text, "%4s|%-4s|%6s|", "\xc3\xbc", "\xc3\xbc", "\x1b");
    ck_assert_str_eq(text, "   \xc3\xbc|\xc3\xbc   |  \\x1B|");
}
END_TEST

START_TEST(a_precision_ends_a_text_that_has_no_end_of_its_own) {
    char *bytes = malloc(3), text[64];
    memcpy(bytes, "ab\xe2", 3); /* the first byte of three: those behind it are not ours to look at */
    shown_print(text, sizeof text, "%.*s", 3, bytes);
    ck_assert_str_eq(text, "ab\\xE2");
    free(bytes);
}
END_TEST

START_TEST(a_text_that_has_no_room_ends_with_a_whole_character) {
    char text[8];
    ck_assert_int_eq(shown_print(text, sizeof text, "%s", "abcde\xc3\xbcxy"), 9);
    ck_assert_str_eq(text, "abcde\xc3\xbc");
    ck_assert_int_eq(shown_print(text, 7, "%s", "abcde\xc3\xbcxy"), 9);
    ck_assert_str_eq(text, "abcde");
    ck_assert_int_eq(shown_print(text, sizeof text, "%s", "abcdef\x1b"), 10);
    ck_assert_str_eq(text, "abcdef");
    ck_assert_int_eq(shown_print(NULL, 0, "%s", "\x1b"), 4);
}
END_TEST

START_TEST(errors_show_what_is_foreign_and_keep_their_own_line_breaks) {
    cover_context *context;
    ck_assert_ok(cover_context_create(&context, NULL));
    struct text lines = {.context = context};
    fail(COVER_ERROR_FORMAT, "%s: bad\nsecond line", "a\nb\x1b");
    ck_assert_str_eq(cover_error_text(), "a\\x0Ab\\x1B: bad\nsecond line");
    fail_in(COVER_ERROR_FORMAT, "%s", "c\rd");
    ck_assert_str_eq(cover_error_text(), "c\\x0Dd: a\\x0Ab\\x1B: bad\nsecond line");
    fail_text(COVER_ERROR_FORMAT, cover_error_text());
    ck_assert_str_eq(cover_error_text(), "c\\x0Dd: a\\x0Ab\\x1B: bad\nsecond line");
    text_say(&lines, "\n  %s", "x\ny");
    fail_list(COVER_ERROR_FORMAT, &lines, "%d of %s:", 1, "2\t");
    ck_assert_str_eq(cover_error_text(), "1 of 2\\x09:\n  x\\x0Ay");
    fail_text(COVER_ERROR_FORMAT, "raw \x1b[2J \xc2\x9b \xff end"); /* the last line of defence */
    ck_assert_str_eq(cover_error_text(), "raw ?[2J ?? ? end");
    text_free(&lines);
    cover_context_destroy(context);
}
END_TEST

static void keep_line(void *user, cover_log_level level, const char *line) {
    (void)level;
    snprintf(user, 200, "%s", line);
}

START_TEST(log_lines_are_one_line) {
    char seen[200] = "";
    cover_context *context;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.log = keep_line, options.log_user = seen;
    ck_assert_ok(cover_context_create(&context, &options));
    log_line(context, COVER_LOG_WARNING, "pack: %s", names[4].given);
    ck_assert_str_eq(seen, "pack: a\\x0Awarning: forged\\x0D\\x09b\\x7F");
    cover_context_destroy(context);
}
END_TEST

START_TEST(json_holds_the_name_and_steers_nobody) {
    cover_context *context;
    char *json;
    ck_assert_ok(cover_context_create(&context, NULL));
    struct text text = {.context = context};
    text_add_json(&text, "\x1b\n\"\x7f\xc2\x9b\xe2\x80\xae\xc3\xbc\xff");
    ck_assert_ok(text_take(&text, &json));
    ck_assert_str_eq(json, "\"\\u001b\\u000a\\\"\\u007f\\u009b\\u202e\xc3\xbc\xef\xbf\xbd\"");
    cover_text_release(context, json);
    cover_context_destroy(context);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("shown");
    TCase *tcase = tcase_create("shown");
    tcase_add_loop_test(tcase, what_steers_is_shown_and_letters_of_all_languages_stay, 0, NAMES);
    ADD(tcase, numbers_are_as_printf_has_them);
    ADD(tcase, columns_count_characters);
    ADD(tcase, a_precision_ends_a_text_that_has_no_end_of_its_own);
    ADD(tcase, a_text_that_has_no_room_ends_with_a_whole_character);
    ADD(tcase, errors_show_what_is_foreign_and_keep_their_own_line_breaks);
    ADD(tcase, log_lines_are_one_line);
    ADD(tcase, json_holds_the_name_and_steers_nobody);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
