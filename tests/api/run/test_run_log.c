/* The log of a run: a line holds every value that was added, whatever their number and the length of their names; TensorBoard shows the
 * same steps. */
#include "../../fixture.h"
#include "../../report/events_reader.h"

#include "api/run/run_log.h"
#include "core/base/files.h"

#include <dirent.h>
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

/* ---- events as TensorBoard takes them: file after file, in the order of their names; a SessionLog START drops what is of its step or
 * later */

enum { POINTS_MAX = 64 };
static struct point {
    int64_t step;
    char tag[32];
} points[POINTS_MAX];
static int point_count, file_count;

static void take_record(struct message record) {
    struct part part, value;
    int64_t step = 0;
    for (struct message m = record; next(&m, &part);)
        if (part.field == 2) step = (int64_t)part.value;
    while (next(&record, &part)) {
        if (part.field == 7) {
            int kept = 0;
            for (int i = 0; i < point_count; i++)
                if (points[i].step < step) points[kept++] = points[i];
            point_count = kept;
        }
        if (part.field != 5) continue;
        while (next(&part.bytes, &value)) {
            const struct part tag = find(value.bytes, 1);
            ck_assert_int_lt(point_count, POINTS_MAX);
            struct point *point = &points[point_count++];
            *point = (struct point){.step = step};
            memcpy(point->tag, tag.bytes.at, (size_t)(tag.bytes.end - tag.bytes.at));
        }
    }
}

static int is_events(const struct dirent *entry) { return strncmp(entry->d_name, "events.out.tfevents.", 20) == 0; }

static void read_as_tensorboard(void) {
    struct dirent **entries;
    point_count = 0;
    file_count = scandir(folder, &entries, is_events, alphasort);
    for (int f = 0; f < file_count; f++) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", folder, entries[f]->d_name);
        read_records(path);
        for (int r = 0; r < record_count; r++) take_record(records[r]);
        free(entries[f]);
    }
    free(entries);
}

/* Is the series of a tag these steps, each once, in this order? */
static void check_series(const char *tag, int64_t first, int64_t last) {
    int64_t step = first;
    for (int i = 0; i < point_count; i++) {
        if (strcmp(points[i].tag, tag) != 0) continue;
        ck_assert_msg(points[i].step == step, "%s: step %lld where %lld is expected", tag, (long long)points[i].step,
                      (long long)step);
        step++;
    }
    ck_assert_msg(step == last + 1, "%s ends at %lld", tag, (long long)step - 1);
}

/* Steps first..last, each with its line; validated at the last. */
static void log_steps(int64_t resumed, int64_t first, int64_t last) {
    struct run_log log;
    ck_assert_ok(run_log_open(&log, context, folder, resumed));
    for (int64_t step = first; step <= last; step++) {
        run_log_add(&log, step, "loss", 1);
        if (step == last) run_log_set(&log, step, "val.dice", 0.5);
        ck_assert_ok(run_log_flush(&log));
    }
    ck_assert_ok(run_log_close(&log));
}

START_TEST(tensorboard_shows_every_step_of_a_run_that_was_resumed) {
    log_steps(0, 1, 8); /* killed; its checkpoint is of step 6 */
    log_steps(6, 7, 12);
    read_as_tensorboard();
    check_series("loss", 1, 12);
    check_series("val.dice", 12, 12); /* that of step 8 belongs to what was lost */
    ck_assert_int_eq(file_count, 2);
}
END_TEST

START_TEST(a_resume_at_a_validated_step_keeps_its_figures) {
    log_steps(0, 1, 6);
    log_steps(6, 7, 7);
    read_as_tensorboard();
    check_series("loss", 1, 7);
    check_series("val.dice", 6, 7);
}
END_TEST

START_TEST(a_validation_made_up_for_after_the_last_step_joins_it) {
    struct run_log log;
    log_steps(0, 1, 3);
    ck_assert_ok(run_log_open(&log, context, folder, 3));
    run_log_set(&log, 3, "val.late", 0.5);
    ck_assert_ok(run_log_flush(&log));
    ck_assert_ok(run_log_close(&log));
    read_as_tensorboard();
    check_series("loss", 1, 3);
    check_series("val.late", 3, 3);
}
END_TEST

START_TEST(a_run_with_nothing_left_to_do_adds_no_events) {
    log_steps(0, 1, 5);
    log_steps(5, 6, 5);
    read_as_tensorboard();
    check_series("loss", 1, 5);
    ck_assert_int_eq(file_count, 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("run log");
    TCase *tcase = tcase_create("run log");
    tcase_add_checked_fixture(tcase, with_folder, without_folder);
    ADD(tcase, tensorboard_shows_every_step_of_a_run_that_was_resumed);
    ADD(tcase, a_resume_at_a_validated_step_keeps_its_figures);
    ADD(tcase, a_validation_made_up_for_after_the_last_step_joins_it);
    ADD(tcase, a_run_with_nothing_left_to_do_adds_no_events);
    ADD(tcase, all_classes_have_their_value_in_the_line);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
