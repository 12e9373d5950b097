/* TensorBoard event files, read back: frames, checksums, messages. */
#include "events_reader.h"
#include "report/events.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char folder[64], path[400];
static cover_context *context;

static void setup(void) {
    strcpy(folder, "/tmp/cover-events-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_ok(cover_context_create(&context, NULL));
}

static void each_file(void (*visit)(const char *file)) {
    DIR *directory = opendir(folder);
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            visit(path);
        }
    closedir(directory);
}

static void remove_file(const char *file) { ck_assert_int_eq(remove(file), 0); }

static void teardown(void) {
    each_file(remove_file);
    rmdir(folder);
    cover_context_destroy(context);
}

START_TEST(the_first_record_names_the_file_version_and_the_time) {
    struct events *events;
    ck_assert_ok(events_open(&events, context, folder, 0));
    events_close(events);
    each_file(read_records);
    ck_assert_int_eq(record_count, 1);
    struct part version = find(records[0], 3), wall = find(records[0], 1);
    ck_assert_int_eq(version.bytes.end - version.bytes.at, 13);
    ck_assert_mem_eq(version.bytes.at, "brain.Event:2", 13);
    double seconds;
    memcpy(&seconds, &wall.value, sizeof seconds);
    ck_assert(seconds > 1.6e9 && seconds <= (double)time(NULL) + 1);
    ck_assert_ptr_nonnull(strstr(path, "events.out.tfevents."));
}
END_TEST

START_TEST(an_appended_step_reads_back) {
    struct events *events;
    ck_assert_ok(events_open(&events, context, folder, 0));
    char long_tag[300];
    memset(long_tag, 't', sizeof long_tag - 1);
    long_tag[sizeof long_tag - 1] = 0;
    struct event_scalar scalars[] = {{"loss/l_vec", 3.25}, {long_tag, -1e-7}};
    ck_assert_ok(events_append(events, 1234567, scalars, 2));
    each_file(read_records); /* before the file is closed: each event is written at once */
    events_close(events);
    ck_assert_int_eq(record_count, 2);
    ck_assert_uint_eq(find(records[1], 2).value, 1234567);
    struct message summary = find(records[1], 5).bytes;
    for (int i = 0; i < 2; i++) {
        struct part value;
        ck_assert(next(&summary, &value) && value.field == 1);
        struct part tag = find(value.bytes, 1), simple = find(value.bytes, 2);
        ck_assert_uint_eq((size_t)(tag.bytes.end - tag.bytes.at), strlen(scalars[i].tag));
        ck_assert_mem_eq(tag.bytes.at, scalars[i].tag, strlen(scalars[i].tag));
        float number;
        uint32_t bits = (uint32_t)simple.value;
        memcpy(&number, &bits, sizeof number);
        ck_assert(number == (float)scalars[i].value);
    }
    ck_assert(summary.at == summary.end);
}
END_TEST

START_TEST(a_resumed_run_says_from_which_step) {
    struct events *first, *second;
    ck_assert_ok(events_open(&first, context, folder, 0));
    events_close(first);
    each_file(remove_file);
    ck_assert_ok(events_open(&second, context, folder, 300));
    events_close(second);
    each_file(read_records);
    ck_assert_int_eq(record_count, 2);
    ck_assert_uint_eq(find(records[1], 2).value, 300);
    ck_assert_uint_eq(find(find(records[1], 7).bytes, 1).value, 1);
}
END_TEST

static int files;
static void count_file(const char *file) {
    (void)file;
    files++;
}

START_TEST(two_writers_take_two_files) {
    struct events *one, *two;
    ck_assert_ok(events_open(&one, context, folder, 0));
    ck_assert_ok(events_open(&two, context, folder, 0));
    events_close(one);
    events_close(two);
    files = 0;
    each_file(count_file);
    ck_assert_int_eq(files, 2);
}
END_TEST

START_TEST(a_missing_folder_is_an_error) {
    struct events *events = NULL;
    ck_assert_int_eq(events_open(&events, context, "/nowhere/run", 0), COVER_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "/nowhere/run/events.out.tfevents."));
    ck_assert_ptr_null(events);
    events_close(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("events");
    TCase *tests = tcase_create("files");
    tcase_add_checked_fixture(tests, setup, teardown);
    ADD(tests, the_first_record_names_the_file_version_and_the_time);
    ADD(tests, an_appended_step_reads_back);
    ADD(tests, a_resumed_run_says_from_which_step);
    ADD(tests, two_writers_take_two_files);
    ADD(tests, a_missing_folder_is_an_error);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
