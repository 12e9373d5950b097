/* The ground floor: errors, option structs, memory, text, files, threads, settings, parameters, sample order. */
#include "../../check_main.h"
#include "core/base/files.h"
#include "core/base/philox.h"
#include "core/base/threads.h"
#include "core/graph/parameters.h"
#include "core/settings/settings.h"
#include "core/train/order.h"

#include <libcover/cover.h>

#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static cover_context *context;
static char folder[64];

static void setup(void) {
    ck_assert_ok(cover_context_create(&context, NULL));
    snprintf(folder, sizeof folder, "/tmp/cover-base-%ld", (long)getpid());
    ck_assert_ok(folder_create(folder));
}
static void teardown(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    cover_context_destroy(context);
}

START_TEST(an_error_keeps_its_text_even_when_it_is_built_from_the_old_one) {
    ck_assert_int_eq(fail(COVER_ERROR_FORMAT, "row %d", 7), COVER_ERROR_FORMAT);
    ck_assert_int_eq(fail_in(COVER_ERROR_FORMAT, "file %s", "a.png"), COVER_ERROR_FORMAT);
    ck_assert_str_eq(cover_error_text(), "file a.png: row 7");
    ck_assert_str_eq(cover_status_name(COVER_ERROR_FORMAT), "COVER_ERROR_FORMAT");
    ck_assert_str_eq(cover_status_name((cover_status)99), "unknown status");
}
END_TEST

START_TEST(every_status_has_a_name_and_a_text_of_its_own) {
    ck_assert_int_eq(cover_status_count(), COVER_ERROR_RANK + 1);
    for (int i = 0; i < cover_status_count(); i++) {
        ck_assert(!strncmp(cover_status_name((cover_status)i), "COVER_", 6));
        ck_assert(cover_status_text((cover_status)i)[0]);
        for (int k = 0; k < i; k++) {
            ck_assert_str_ne(cover_status_name((cover_status)i), cover_status_name((cover_status)k));
            ck_assert_str_ne(cover_status_text((cover_status)i), cover_status_text((cover_status)k));
        }
    }
    ck_assert_str_eq(cover_status_text((cover_status)-1), "a status of another version of libcover");
    ck_assert_str_eq(cover_status_text((cover_status)cover_status_count()), "a status of another version of libcover");
}
END_TEST

START_TEST(the_version_of_the_headers_is_that_of_the_build) {
    char text[40];
    snprintf(text, sizeof text, "%d.%d.%d", COVER_VERSION_MAJOR, COVER_VERSION_MINOR, COVER_VERSION_PATCH);
    ck_assert_str_eq(text, COVER_VERSION); /* as the build defines it */
    ck_assert_str_eq(text, cover_version());
    ck_assert_int_eq(cover_version_number(), COVER_VERSION_NUMBER);
    ck_assert_int_lt(COVER_VERSION_MINOR, 100);
    ck_assert_int_lt(COVER_VERSION_PATCH, 100);
}
END_TEST

START_TEST(options_that_do_not_start_at_zero_start_alike_by_macro_and_by_function) {
    cover_predictor_options predictor = COVER_PREDICTOR_OPTIONS_INIT;
    cover_feature_options features = COVER_FEATURE_OPTIONS_INIT;
    struct { /* a caller whose struct has grown */
        cover_predictor_options options;
        uint64_t newer;
    } later;
    memset(&later, 0xFF, sizeof later);
    cover_predictor_options_init(&later.options, sizeof later);
    ck_assert_uint_eq(later.options.struct_size, sizeof later);
    ck_assert_double_eq(later.options.overlap, predictor.overlap);
    ck_assert_int_eq(later.options.keep_component, predictor.keep_component);
    ck_assert(!later.options.mirror && !later.options.precision && !later.newer);
    cover_feature_options made, older;
    cover_feature_options_init(&made, sizeof made);
    ck_assert_uint_eq(made.struct_size, features.struct_size);
    ck_assert_int_eq(made.level, features.level);
    ck_assert(!made.images && !made.points && !made.progress);
    memset(&older, 0x5A, sizeof older); /* nothing is written behind the caller's struct */
    cover_feature_options_init(&older, offsetof(cover_feature_options, points));
    ck_assert_uint_eq(older.struct_size, offsetof(cover_feature_options, points));
    ck_assert_int_eq(older.level, features.level);
    ck_assert_int_eq(older.points, 0x5A5A5A5A5A5A5A5A);
    cover_feature_options_init(NULL, sizeof made);
}
END_TEST

START_TEST(unknown_options_at_the_end_of_a_struct_are_refused_only_when_set) {
    struct {
        cover_pretrain_options known;
        int64_t newer;
    } given = {COVER_PRETRAIN_OPTIONS_INIT, 0};
    cover_pretrain_options read = COVER_PRETRAIN_OPTIONS_INIT;
    given.known.struct_size = sizeof given, given.known.resume = 1;
    ck_assert_ok(options_read(&read, sizeof read, &given, "options"));
    ck_assert_int_eq(read.resume, 1);
    given.newer = 5;
    ck_assert_int_eq(options_read(&read, sizeof read, &given, "options"), COVER_ERROR_ARGUMENT);
    given.known.struct_size = 0;
    ck_assert_int_eq(options_read(&read, sizeof read, &given, "options"), COVER_ERROR_ARGUMENT);
}
END_TEST

START_TEST(bad_context_options_are_refused_with_a_remedy) {
    cover_context *other = NULL;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.device = "abacus";
    ck_assert_int_eq(cover_context_create(&other, &options), COVER_ERROR_ARGUMENT);
    options = (cover_context_options)COVER_CONTEXT_OPTIONS_INIT;
    options.threads = -1;
    ck_assert_int_eq(cover_context_create(&other, &options), COVER_ERROR_ARGUMENT);
    options = (cover_context_options)COVER_CONTEXT_OPTIONS_INIT;
    options.isa = "altivec";
    ck_assert_int_eq(cover_context_create(&other, &options), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "avx2"));
    ck_assert_ptr_null(other);
    ck_assert_int_eq(cover_context_create(NULL, NULL), COVER_ERROR_ARGUMENT);
}
END_TEST

START_TEST(json_text_quotes_what_must_be_quoted) {
    struct text text = {.context = context};
    char *out;
    text_add_json(&text, "a\"b\\c\n\x01");
    ck_assert_ok(text_take(&text, &out));
    ck_assert_str_eq(out, "\"a\\\"b\\\\c\\u000a\\u0001\"");
    memory_free(context, out);
    ck_assert_ok(text_take(&text, &out));
    ck_assert_str_eq(out, "");
    memory_free(context, out);
}
END_TEST

START_TEST(a_replaced_file_is_the_old_or_the_new_one_when_the_writer_is_killed) {
    char path[128];
    snprintf(path, sizeof path, "%s/file", folder);
    enum { BYTES = 1 << 20 };
    char *old = memory_zero(context, BYTES), *fresh = memory_zero(context, BYTES);
    memset(old, 'a', BYTES), memset(fresh, 'b', BYTES);
    ck_assert_ok(file_replace(context, path, old, BYTES));
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();
        if (child == 0)
            for (int i = 0;; i++) file_replace(context, path, i % 2 ? old : fresh, BYTES);
        usleep(2000 + 700 * (useconds_t)round);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        uint8_t *data;
        size_t bytes;
        ck_assert_ok(file_read(context, path, 0, &data, &bytes));
        ck_assert_uint_eq(bytes, BYTES);
        ck_assert(data[0] == data[BYTES - 1] && (data[0] == 'a' || data[0] == 'b'));
        memory_free(context, data);
    }
    memory_free(context, old);
    memory_free(context, fresh);
}
END_TEST

START_TEST(a_full_disk_leaves_the_old_file) {
    char path[128];
    snprintf(path, sizeof path, "%s/file", folder);
    ck_assert_ok(file_replace(context, path, "old", 3));
    pid_t child = fork();
    if (child == 0) { /* a limit on file sizes stands for the full disk */
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, 1000});
        static char data[100000];
        _exit(file_replace(context, path, data, sizeof data) == COVER_ERROR_IO ? 0 : 1);
    }
    int result;
    waitpid(child, &result, 0);
    ck_assert_int_eq(result, 0);
    uint8_t *data;
    size_t bytes;
    ck_assert_ok(file_read(context, path, 0, &data, &bytes));
    ck_assert_str_eq((char *)data, "old");
    memory_free(context, data);
    char listing[256];
    snprintf(listing, sizeof listing, "test $(ls %s | wc -l) = 1", folder); /* no temporary file stays */
    ck_assert_int_eq(system(listing), 0);
}
END_TEST

START_TEST(missing_unreadable_and_oversized_files_are_named) {
    uint8_t *data;
    size_t bytes;
    ck_assert_int_eq(file_read(context, "/no/such/file", 0, &data, &bytes), COVER_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "/no/such/file"));
    ck_assert_int_eq(file_read(context, folder, 0, &data, &bytes), COVER_ERROR_IO);
    char path[128];
    snprintf(path, sizeof path, "%s/file", folder);
    ck_assert_ok(file_replace(context, path, "12345", 5));
    ck_assert_int_eq(file_read(context, path, 4, &data, &bytes), COVER_ERROR_FORMAT);
    ck_assert_int_eq(file_replace(context, "/no/such/folder/file", "x", 1), COVER_ERROR_IO);
}
END_TEST

static void count(void *data, int64_t index) { atomic_fetch_add((atomic_llong *)data, index); }

START_TEST(the_pool_runs_each_index_once) {
    struct pool *pool;
    atomic_llong sum = 0;
    ck_assert_ok(pool_create(&pool, context, 4));
    for (int round = 0; round < 100; round++) pool_each(pool, 100, count, &sum);
    ck_assert_int_eq(sum, 100 * 4950);
    pool_destroy(pool);
}
END_TEST

struct meeting {
    struct team_barrier barrier;
    atomic_int inside;
    atomic_int wrong;
};
static void meet(void *data, int worker) {
    struct meeting *meeting = data;
    (void)worker;
    for (int i = 0; i < 500; i++) {
        atomic_fetch_add(&meeting->inside, 1);
        team_wait(&meeting->barrier);
        if (atomic_load(&meeting->inside) != 3 * (i + 1)) atomic_store(&meeting->wrong, 1);
        team_wait(&meeting->barrier);
    }
}
START_TEST(nobody_leaves_a_barrier_before_all_have_come) {
    struct pool *pool;
    struct meeting meeting = {.barrier = {.size = 3}};
    ck_assert_ok(pool_create(&pool, context, 3));
    pool_run(pool, meet, &meeting);
    ck_assert_int_eq(meeting.wrong, 0);
    pool_destroy(pool);
}
END_TEST

START_TEST(an_epoch_takes_every_sample_once_and_epochs_differ) {
    const int64_t counts[] = {1, 2, 3, 7, 64, 1000, 4097};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        char *seen = memory_zero(context, (size_t)counts[c]);
        int moved = 0;
        for (int64_t i = 0; i < counts[c]; i++) {
            int64_t at = order_sample(5, 3, i, counts[c]);
            ck_assert(at >= 0 && at < counts[c] && !seen[at]);
            seen[at] = 1;
            moved += at != order_sample(5, 4, i, counts[c]);
        }
        ck_assert(counts[c] < 7 || moved > 0);
        memory_free(context, seen);
    }
}
END_TEST

START_TEST(fresh_weights_have_the_variance_that_they_should) {
    struct parameters parameters = {.context = context};
    int row;
    const int64_t shape[] = {64, 32, 3, 3};
    ck_assert_ok(parameters_add(&parameters, "conv.weight", 4, shape, 288, INIT_KAIMING_NORMAL, &row));
    ck_assert_ok(parameters_add(&parameters, "conv.bias", 1, shape, 288, INIT_UNIFORM_FAN, &row));
    ck_assert_ok(parameters_add(&parameters, "conv.weight", 4, shape, 288, INIT_KAIMING_NORMAL, &row));
    ck_assert_int_eq(row, 0);
    ck_assert_int_eq(parameters_add(&parameters, "conv.weight", 3, shape, 288, INIT_KAIMING_NORMAL, &row), COVER_ERROR_SHAPE);
    float *values = memory_alloc(context, (size_t)parameters.floats * sizeof *values);
    parameters_initialise(&parameters, values, 3);
    double sum = 0, square = 0, n = (double)parameters.rows[0].count;
    for (int64_t i = 0; i < parameters.rows[0].count; i++) sum += values[i], square += (double)values[i] * values[i];
    ck_assert_double_eq_tol(sum / n, 0, 0.003);
    ck_assert_double_eq_tol(square / n, 2.0 / 288, 2e-4);
    for (int64_t i = 0; i < 64; i++) ck_assert(fabsf(values[parameters.rows[1].offset + i]) <= 1 / sqrtf(288));
    memory_free(context, values);
    parameters_free(&parameters);
}
END_TEST

START_TEST(settings_survive_the_way_through_json) {
    cover_config *a, *b;
    for (int i = 0; cover_config_preset_at(i); i++) {
        ck_assert_ok(cover_config_create(&a, context, cover_config_preset_at(i)));
        ck_assert_ok(cover_config_validate(a));
        bool task = strcmp(cover_config_preset_scope(i), "task") == 0;
        ck_assert_ok(cover_config_create(&b, context, task ? "seg-2d" : "paper-2d"));
        ck_assert_ok(cover_config_read_json(b, cover_config_json(a)));
        ck_assert_str_eq(cover_config_json(a), cover_config_json(b));
        cover_config_destroy(a);
        cover_config_destroy(b);
    }
    ck_assert_int_ge(cover_config_preset_at(0) != NULL, 1);
}
END_TEST

START_TEST(a_config_knows_the_settings_of_its_kind_alone) {
    cover_config *pretrain, *task;
    ck_assert_ok(cover_config_create(&pretrain, context, "paper-2d"));
    ck_assert_ok(cover_config_create(&task, context, "seg-2d"));
    ck_assert_ptr_null(cover_config_get(pretrain, "shots"));
    ck_assert_ptr_null(cover_config_get(task, "radius"));
    ck_assert_ptr_null(strstr(cover_config_json(pretrain), "shots"));
    ck_assert_ptr_nonnull(strstr(cover_config_json(task), "shots"));
    ck_assert_int_eq(cover_config_set(task, "radius", "2"), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "setting of pretraining"));
    ck_assert_int_eq(cover_config_read_json(pretrain, "{\"shots\": 5}"), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "setting of fine-tuning"));
    cover_config_destroy(pretrain);
    cover_config_destroy(task);
}
END_TEST

START_TEST(wrong_settings_say_what_is_taken) {
    cover_config *config;
    ck_assert_int_eq(cover_config_create(&config, context, "nosuch"), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "released-3d"));
    ck_assert_ok(cover_config_create(&config, context, "paper-2d"));
    static const char *const wrong[][2] = {{"nosuch", "1"},
                                           {"dims", "4"},
                                           {"lr", "fast"},
                                           {"lr", "nan"},
                                           {"batch", "1.5"},
                                           {"batch", ""},
                                           {"crop", "16"},
                                           {"crop", "16x"},
                                           {"widths", "8,x"},
                                           {"coordinates", "me"},
                                           {"seed", "99999999999999999999"},
                                           {"crop", "1x2x3x4"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(cover_config_set(config, wrong[i][0], wrong[i][1]), COVER_ERROR_ARGUMENT);
    static const char *const unfit[][2] = {{"crop", "100x100"}, {"crop", "640x640"}, {"widths", "8,8"},
                                           {"heads", "1"},      {"dims", "3"},       {"widths", "12,16,16,24,32,24,16,16,8"}};
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++) {
        cover_config *copy;
        ck_assert_ok(cover_config_copy(&copy, config));
        ck_assert_ok(cover_config_set(copy, unfit[i][0], unfit[i][1]));
        ck_assert_int_ne(cover_config_validate(copy), COVER_OK);
        cover_config_destroy(copy);
    }
    ck_assert_int_eq(cover_config_read_json(config, "{\"lr\": \"x\"}"), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_config_read_json(config, "[1]"), COVER_ERROR_FORMAT);
    ck_assert_int_eq(cover_config_read_json(config, "{"), COVER_ERROR_FORMAT);
    ck_assert_ok(cover_config_read_json(config, "{\"widths\": [8,8,8,8,8,8,8,8,8], \"lr\": 0.5}"));
    ck_assert_str_eq(cover_config_get(config, "widths"), "8,8,8,8,8,8,8,8,8");
    ck_assert_str_eq(cover_config_get(config, "lr"), "0.5");
    cover_config_destroy(config);
}
END_TEST

/* ---- callbacks that call back */

static int lines_seen, inner_lines;
static cover_context *called;
static void log_that_logs(void *user, cover_log_level level, const char *line) {
    (void)user, (void)level;
    if (strcmp(line, "from within") == 0) inner_lines++;
    else lines_seen++;
    log_line(called, COVER_LOG_INFO, "from within");
}
static int progress_that_logs(void *user, int64_t done, int64_t total, const char *what) {
    (void)user, (void)done, (void)total, (void)what;
    log_line(called, COVER_LOG_INFO, "progress");
    return progress_call(called, NULL, NULL, 0, 0, "inner") != COVER_OK;
}

START_TEST(a_callback_may_call_the_library) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.log = log_that_logs;
    ck_assert_ok(cover_context_create(&called, &options));
    log_line(called, COVER_LOG_INFO, "outer");
    ck_assert_ok(progress_call(called, progress_that_logs, NULL, 0, 1, "outer"));
    ck_assert_int_eq(lines_seen, 2);
    ck_assert_int_eq(inner_lines, 0);
    cover_context_destroy(called);
}
END_TEST

START_TEST(an_array_grows_and_keeps_what_it_had) {
    int *values = NULL;
    int64_t capacity = 0;
    for (int i = 0; i < 1000; i++) {
        ck_assert(array_grow(context, &values, &capacity, i + 1, sizeof *values));
        values[i] = i;
    }
    for (int i = 0; i < 1000; i++) ck_assert_int_eq(values[i], i);
    const int64_t before = capacity;
    ck_assert(!array_grow(context, &values, &capacity, INT64_MAX / 2, sizeof *values));
    ck_assert(capacity == before && values[999] == 999);
    memory_free(context, values);
}
END_TEST

START_TEST(texts_of_a_config_live_until_it_changes) {
    cover_config *made;
    ck_assert_ok(cover_config_create(&made, context, "paper-2d"));
    const cover_config *config = made;
    const char *lr = cover_config_get(config, "lr"), *batch = cover_config_get(config, "batch"), *json = cover_config_json(config);
    ck_assert_str_eq(cover_config_get(config, "crop"), "384x384");
    ck_assert_str_eq(lr, "0.0001");
    ck_assert_str_eq(batch, "24");
    ck_assert_ptr_eq(cover_config_json(config), json);
    ck_assert_ok(cover_config_set(made, "batch", "+25"));
    ck_assert_str_eq(lr, "0.0001");
    ck_assert_str_eq(cover_config_get(config, "batch"), "25");
    ck_assert_ptr_nonnull(strstr(cover_config_json(config), "\"batch\": 25,"));
    ck_assert_str_ne(cover_config_key_at(0)->name, cover_config_key_at(1)->name);
    ck_assert_ptr_eq(cover_config_key_at(0), cover_config_key_at(0));
    cover_config_destroy(made);
}
END_TEST

START_TEST(json_arrays_and_long_texts_are_taken_whole_or_not) {
    cover_config *config;
    char json[2048], widths[600] = "8";
    ck_assert_ok(cover_config_create(&config, context, "paper-2d"));
    ck_assert_int_eq(cover_config_read_json(config, "{\"work\": [\"x\", 512]}"), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "work: value 1 of the array is no whole number"));
    ck_assert_int_eq(cover_config_read_json(config, "{\"work\": [512, 512.5]}"), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_config_read_json(config, "{\"work\": []}"), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_config_read_json(config, "{\"lr\": [1]}"), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "lr: give text or a number"));
    snprintf(json, sizeof json, "{\"batch\": 5, \"widths\": [8%0400d]}", 0); /* its digits go on behind any buffer */
    ck_assert_int_ne(cover_config_read_json(config, json), COVER_OK);
    while (strlen(widths) < 590) strcat(widths, ",8");
    snprintf(json, sizeof json, "{\"batch\": 5, \"widths\": \"%s\"}", widths);
    ck_assert_int_eq(cover_config_read_json(config, json), COVER_ERROR_ARGUMENT);
    ck_assert_str_eq(cover_config_get(config, "batch"), "24");
    ck_assert_str_eq(cover_config_get(config, "work"), "512x512");
    ck_assert_ok(cover_config_set(config, "widths", "65536,65528,65520,65512,65504,65496,65488,65480,65472,8,8,8,8,8,8,65528"));
    ck_assert_str_eq(cover_config_get(config, "widths"), "65536,65528,65520,65512,65504,65496,65488,65480,65472,8,8,8,8,8,8,65528");
    cover_config_destroy(config);
}
END_TEST

START_TEST(names_in_a_message_end_in_dots_where_they_do_not_fit) {
    struct names names = {0};
    char long_name[301];
    memset(long_name, 'n', sizeof long_name - 1), long_name[sizeof long_name - 1] = 0;
    names_add(&names, "one");
    ck_assert_str_eq(names.text, "one");
    names_add(&names, "two");
    ck_assert_str_eq(names.text, "one, two");
    names_add(&names, long_name);
    ck_assert_uint_eq(strlen(names.text), 310);
    names_add(&names, long_name);
    ck_assert_str_eq(names.text + 310, ", ...");
    names_add(&names, "short");
    ck_assert_str_eq(names.text + 310, ", ...");
    struct names first = {0};
    for (int i = 0; i < 600; i++) names_add(&first, "n");
    ck_assert_uint_lt(strlen(first.text), sizeof first.text);
    ck_assert_str_eq(first.text + strlen(first.text) - 8, ", n, ...");
}
END_TEST

START_TEST(characters_of_UTF_8_are_told_from_other_bytes) {
    static const struct {
        const char *bytes;
        size_t length;
    } cases[] = {{"a", 1},
                 {"\xc3\xa9", 2},
                 {"\xe2\x80\x93", 3},
                 {"\xf0\x9f\x99\x82", 4},
                 {"\x80", 0},
                 {"\xc0\x80", 0},
                 {"\xc3", 0},
                 {"\xc3x", 0},
                 {"\xe0\x80\x80", 0},
                 {"\xed\xa0\x80", 0},
                 {"\xf0\x80\x80\x80", 0},
                 {"\xf4\x90\x80\x80", 0},
                 {"\xff", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_uint_eq(utf8_length((const unsigned char *)cases[i].bytes), cases[i].length);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("base");
    TCase *tcase = tcase_create("base");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, an_error_keeps_its_text_even_when_it_is_built_from_the_old_one);
    ADD(tcase, options_that_do_not_start_at_zero_start_alike_by_macro_and_by_function);
    ADD(tcase, the_version_of_the_headers_is_that_of_the_build);
    ADD(tcase, names_in_a_message_end_in_dots_where_they_do_not_fit);
    ADD(tcase, characters_of_UTF_8_are_told_from_other_bytes);
    ADD(tcase, every_status_has_a_name_and_a_text_of_its_own);
    ADD(tcase, unknown_options_at_the_end_of_a_struct_are_refused_only_when_set);
    ADD(tcase, bad_context_options_are_refused_with_a_remedy);
    ADD(tcase, json_text_quotes_what_must_be_quoted);
    ADD(tcase, a_replaced_file_is_the_old_or_the_new_one_when_the_writer_is_killed);
    ADD(tcase, a_full_disk_leaves_the_old_file);
    ADD(tcase, missing_unreadable_and_oversized_files_are_named);
    ADD(tcase, the_pool_runs_each_index_once);
    ADD(tcase, nobody_leaves_a_barrier_before_all_have_come);
    ADD(tcase, an_epoch_takes_every_sample_once_and_epochs_differ);
    ADD(tcase, fresh_weights_have_the_variance_that_they_should);
    ADD(tcase, settings_survive_the_way_through_json);
    ADD(tcase, a_config_knows_the_settings_of_its_kind_alone);
    ADD(tcase, wrong_settings_say_what_is_taken);
    ADD(tcase, a_callback_may_call_the_library);
    ADD(tcase, an_array_grows_and_keeps_what_it_had);
    ADD(tcase, texts_of_a_config_live_until_it_changes);
    ADD(tcase, json_arrays_and_long_texts_are_taken_whole_or_not);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
