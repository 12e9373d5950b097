/* The log of a run: a line holds every value that was added, whatever their number and the length of their names. */
#include "../../fixture.h"

#include "api/run/run_log.h"
#include "core/base/files.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Of 117 classes, as TotalSegmentator has; their names differ behind the 90th letter alone. */
static void name_of(char *name, size_t bytes, int c) { snprintf(name, bytes, "val.dice.%0100d", c); }

START_TEST(all_classes_have_their_value_in_the_line) {
    struct run_log log;
    char name[160], path[96];
    ck_assert_ok(run_log_open(&log, context, folder, 0));
    for (int turn = 0; turn < 2; turn++)
        for (int c = 0; c < 117; c++) {
            name_of(name, sizeof name, c);
            run_log_add(&log, 5, name, c + turn);
        }
    run_log_set(&log, 5, "lr", 0.25);
    ck_assert_ok(run_log_flush(&log));
    ck_assert_ok(run_log_flush(&log)); /* nothing new: no line */
    ck_assert_ok(run_log_close(&log));
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    json_t *line = json_load_file(path, 0, NULL);
    ck_assert_uint_eq(json_object_size(line), 119);
    for (int c = 0; c < 117; c++) {
        name_of(name, sizeof name, c);
        ck_assert_double_eq(json_number_value(json_object_get(line, name)), c + 0.5);
    }
    ck_assert_double_eq(json_number_value(json_object_get(line, "lr")), 0.25);
    json_decref(line);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("run log");
    TCase *tcase = tcase_create("run log");
    tcase_add_checked_fixture(tcase, with_folder, without_folder);
    ADD(tcase, all_classes_have_their_value_in_the_line);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
