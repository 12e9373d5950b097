/* CSV files: what Excel and others write is read, what is no CSV is refused by its line, what is written is read back. */
#include "../../fixture.h"

#include "core/base/files.h"
#include "io/bytes/csv.h"

#include <stdio.h>
#include <string.h>

static struct csv csv;
static char path[96];

static void setup(void) {
    with_folder();
    snprintf(path, sizeof path, "%s/table.csv", folder);
}
static void teardown(void) {
    csv_free(&csv);
    without_folder();
}

static cover_status read_text(const char *text, size_t bytes, bool even) {
    ck_assert_ok(file_replace(context, path, text, bytes));
    return csv_read(&csv, context, path, even);
}

START_TEST(every_ending_of_lines_and_every_separator_is_read) {
    static const struct {
        const char *text;
        int64_t last; /* the line of the last row */
    } cases[] = {
        {"a,b\n1,\"x \"\"y\"\"\"\n", 2}, {"a,b\r\n1,\"x \"\"y\"\"\"\r\n", 2},
        {"a,b\r1,\"x \"\"y\"\"\"", 2},   {"\xef\xbb\xbf\"a\";\"b\"\n\n\r\n1;\"x \"\"y\"\"\"\n", 4},
        {"a\tb\n 1 \t x \"y\" \n", 2},   {"a,b\r\r\r1,\"x \"\"y\"\"\"", 4},
    };
    ck_assert_ok(read_text(cases[_i].text, strlen(cases[_i].text), true));
    ck_assert(csv.rows == 2 && csv.columns == 2 && csv.line[1] == cases[_i].last);
    ck_assert_str_eq(csv_cell(&csv, 0, 0), "a");
    ck_assert_str_eq(csv_cell(&csv, 1, 0), "1");
    ck_assert_str_eq(csv_cell(&csv, 1, 1), "x \"y\"");
}
END_TEST

START_TEST(the_line_of_an_error_counts_lines_within_quotes) {
    static const char *const breaks[] = {"\n", "\r\n", "\r"};
    char text[128], line[16];
    for (int depth = 0; depth < 3; depth++) {
        int length = snprintf(text, sizeof text, "a,b\n\"1");
        for (int i = 0; i < depth; i++) length += snprintf(text + length, sizeof text - (size_t)length, "%s2", breaks[_i]);
        length += snprintf(text + length, sizeof text - (size_t)length, "\",c\n\"d\"e,f\n");
        snprintf(line, sizeof line, "line %d: text", 3 + depth);
        ck_assert_fails(read_text(text, (size_t)length, true), COVER_ERROR_FORMAT, path, line, "text behind a closing quote");
    }
    ck_assert_fails(read_text("a\n\"b\nc\n", 7, true), COVER_ERROR_FORMAT, "line 2: a quote is not closed");
}
END_TEST

START_TEST(what_is_no_even_table_is_refused) {
    ck_assert_fails(read_text("", 0, true), COVER_ERROR_FORMAT, "no rows");
    ck_assert_fails(read_text("a,b\r\n", 5, true), COVER_ERROR_FORMAT, "no rows");
    ck_assert_fails(read_text("a\0b", 3, true), COVER_ERROR_FORMAT, "NUL byte");
    ck_assert_fails(read_text("a,b\n1\n", 6, true), COVER_ERROR_FORMAT, "line 2 has 1 values", "2 columns");
    ck_assert_ok(read_text("a,b\n1\n1,2,3", 11, false));
    ck_assert(csv.columns == 2 && csv_values(&csv, 1) == 1 && csv_values(&csv, 2) == 3);
    ck_assert_str_eq(csv_cell(&csv, 2, 2), "3");
    csv_free(&csv);
    ck_assert_ok(read_text("", 0, false));
    ck_assert(csv.rows == 0 && csv.columns == 0);
}
END_TEST

START_TEST(a_value_may_be_huge_but_a_line_has_bounds) {
    enum { BYTES = 4 << 20, VALUES = 65537 };
    char *text = malloc(BYTES + 16);
    memcpy(text, "a,b\n\"", 5);
    int length = 5;
    for (int i = 0; i < BYTES / 3; i++) memcpy(text + 5 + 3 * i, "\n\"\"", 3), length += 3;
    memcpy(text + length, "\",1\n", 4);
    ck_assert_ok(read_text(text, (size_t)length + 4, true));
    ck_assert_uint_eq(strlen(csv_cell(&csv, 1, 0)), 2 * (BYTES / 3));
    csv_free(&csv);
    memset(text, ',', VALUES);
    ck_assert_fails(read_text(text, VALUES, false), COVER_ERROR_FORMAT, "line 1: more than 65536 values");
    free(text);
}
END_TEST

START_TEST(what_is_written_is_read_back) {
    static const char *const values[] = {"plain",     "",           " ends with spaces ", "a,b",   "a;b\tc",     "\"",
                                         "say \"x\"", "line\nline", "return\rline\r\n",   "ends ", "\xc3\xa9\"", "\"\"\"",
                                         "x"};
    enum { COUNT = sizeof values / sizeof *values };
    struct text text = {.context = context};
    for (int row = 0; row < 2; row++)
        for (int i = 0; i < COUNT; i++) {
            csv_add(&text, values[(i + row) % COUNT]);
            text_add(&text, i + 1 < COUNT ? "," : "\n");
        }
    ck_assert(!text.failed);
    ck_assert_ok(read_text(text.data, text.length, true));
    ck_assert(csv.rows == 2 && csv.columns == COUNT);
    for (int row = 0; row < 2; row++)
        for (int i = 0; i < COUNT; i++) ck_assert_str_eq(csv_cell(&csv, row, i), values[(i + row) % COUNT]);
    text_free(&text);
}
END_TEST

START_TEST(no_value_is_a_formula_and_numbers_stay_numbers) {
    static const struct {
        const char *value, *cell;
    } rows[] = {
        {"=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"},
        {"@SUM(A1)", "'@SUM(A1)"},
        {"+1+1.png", "'+1+1.png"},
        {"-2-1", "'-2-1"},
        {"\t=1", "\"'\t=1\""},
        {"\r=1", "\"'\r=1\""},
        {"=a,\"b\"", "\"'=a,\"\"b\"\"\""},
        {"'=kept", "''=kept"},
        {"'plain'", "'plain'"},
        {"-0.25", "-0.25"},
        {"+3", "+3"},
        {"-1.5e-07", "-1.5e-07"},
        {"-1.5e+07", "-1.5e+07"},
        {"-nan", "-nan"},
        {"-inf", "-inf"},
        {"-", "'-"},
        {"-5e", "'-5e"},
    };
    enum { ROWS = sizeof rows / sizeof *rows };
    struct text text = {.context = context};
    for (int i = 0; i < ROWS; i++) {
        const size_t before = text.length;
        csv_add(&text, rows[i].value);
        ck_assert_str_eq(text.data + before, rows[i].cell);
        text_add(&text, "\n");
    }
    ck_assert_ok(read_text(text.data, text.length, false));
    ck_assert_int_eq(csv.rows, ROWS);
    for (int i = 0; i < ROWS; i++) ck_assert_str_eq(csv_cell(&csv, i, 0), rows[i].value);
    text_free(&text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("CSV");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, every_ending_of_lines_and_every_separator_is_read, 0, 6);
    tcase_add_loop_test(all, the_line_of_an_error_counts_lines_within_quotes, 0, 3);
    ADD(all, what_is_no_even_table_is_refused);
    ADD(all, a_value_may_be_huge_but_a_line_has_bounds);
    ADD(all, what_is_written_is_read_back);
    ADD(all, no_value_is_a_formula_and_numbers_stay_numbers);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
