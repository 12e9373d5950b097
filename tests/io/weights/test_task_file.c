/* A task's weight file: everything comes back, from the file, a run folder or a checkpoint of fine-tuning, and what is
 * damaged or no task is refused by name. */
#include "weights_test.h"

#include "core/method/supervised.h"
#include "io/weights/checkpoint.h"
#include "io/weights/safetensors.h"
#include "io/weights/task_file.h"

static struct task_about about;
static struct parameters parameters;
static float *flat;

static void setup_task(void) {
    setup();
    about = (struct task_about){.context = test_context};
    ck_assert_ok(cover_config_create(&about.config, test_context, "seg-3d"));
    ck_assert_ok(cover_config_set(about.config, "widths", "8,8,8,8,8,8,8,8,8"));
    ck_assert_ok(cover_config_set(about.config, "classes", "3"));
    ck_assert_ok(cover_config_set(about.config, "overlap", "0.25"));
    about.class_names = memory_alloc(test_context, 3 * sizeof *about.class_names);
    about.class_names[0] = memory_text(test_context, "background");
    about.class_names[1] = memory_text(test_context, "left \"lung\"");
    about.class_names[2] = memory_text(test_context, "c\xc5\x93ur");
    about.rules = (struct image_rules){.dims = 3, .spacing_mm = {1, 0.7, 0.1}, .window = {-1000, 400}};
    ck_assert_ok(task_parameters(&parameters, test_context, config_settings(about.config)));
    flat = memory_zero(test_context, (size_t)parameters.floats * sizeof *flat);
    parameters_initialise(&parameters, flat, 4);
}
static void teardown_task(void) {
    memory_free(test_context, flat);
    parameters_free(&parameters);
    task_about_free(&about);
    teardown();
}

static void check_same(const struct task_about *read, const struct parameters *table, const float *values, float factor) {
    ck_assert_str_eq(cover_config_json(read->config), cover_config_json(about.config));
    for (int c = 0; c < 3; c++) ck_assert_str_eq(read->class_names[c], about.class_names[c]);
    ck_assert_mem_eq(&read->rules, &about.rules, sizeof about.rules);
    ck_assert_int_eq(table->floats, parameters.floats);
    for (int64_t i = 0; i < parameters.floats; i++) ck_assert(values[i] == factor * flat[i]);
}

static void check_reads(const char *path, float factor) {
    struct task_about read;
    struct parameters table;
    float *values;
    ck_assert_ok(task_weights_read(&read, &table, &values, test_context, path));
    check_same(&read, &table, values, factor);
    memory_free(test_context, values);
    parameters_free(&table);
    task_about_free(&read);
}

static void check_refused(const char *path, cover_status expected, const char *part) {
    struct task_about read;
    struct parameters table;
    float *values;
    cover_status status = task_weights_read(&read, &table, &values, test_context, path);
    ck_assert_msg(status == expected && strstr(cover_error_text(), part), "%s: %s", cover_status_name(status), cover_error_text());
    ck_assert_ptr_null(values);
}

START_TEST(a_task_comes_back_from_its_file_and_from_its_run_folder) {
    const char *path = in_folder("weights.safetensors");
    ck_assert_ok(task_weights_write(test_context, path, &parameters, flat, &about, 120));
    check_reads(path, 1);
    check_reads(test_folder, 1);
}
END_TEST

START_TEST(equal_tasks_give_equal_bytes) {
    uint8_t *bytes[2];
    size_t count[2];
    for (int i = 0; i < 2; i++) {
        const char *path = in_folder(i ? "b.safetensors" : "a.safetensors");
        ck_assert_ok(task_weights_write(test_context, path, &parameters, flat, &about, 120));
        ck_assert_ok(file_read(test_context, path, 1 << 24, &bytes[i], &count[i]));
    }
    ck_assert_uint_eq(count[0], count[1]);
    ck_assert_mem_eq(bytes[0], bytes[1], count[0]);
    memory_free(test_context, bytes[0]);
    memory_free(test_context, bytes[1]);
}
END_TEST

static void write_checkpoint(const struct checkpoint_state *states, int count) {
    struct checkpoint checkpoint = {.step = 7,
                                    .updates = 7,
                                    .backbone = "unet",
                                    .config = cover_config_json(about.config),
                                    .dataset_hash = "00",
                                    .objective = "task",
                                    .parameters = &parameters,
                                    .weights = flat,
                                    .m = flat,
                                    .v = flat,
                                    .states = states,
                                    .state_count = count};
    ck_assert_ok(checkpoint_write(test_context, in_folder("checkpoint.h5"), &checkpoint));
}

START_TEST(while_it_trains_the_checkpoint_gives_the_best_weights) {
    struct text text = {.context = test_context};
    ck_assert_ok(task_about_write(&text, &about));
    float *best = memory_alloc(test_context, (size_t)parameters.floats * sizeof *best);
    for (int64_t i = 0; i < parameters.floats; i++) best[i] = 2 * flat[i];
    struct checkpoint_state states[2] = {{TASK_STATE_ABOUT, text.data, (int64_t)text.length},
                                         {TASK_STATE_BEST, best, parameters.floats * (int64_t)sizeof *best}};
    write_checkpoint(states, 1);
    check_reads(test_folder, 1);
    write_checkpoint(states, 2);
    check_reads(test_folder, 2);
    check_reads(in_folder("checkpoint.h5"), 2);
    states[1].bytes -= 4;
    write_checkpoint(states, 2);
    check_refused(test_folder, COVER_ERROR_FORMAT, "best weights");
    write_checkpoint(states, 0);
    check_refused(test_folder, COVER_ERROR_MISMATCH, "cover_run_finetune");
    memory_free(test_context, best);
    text_free(&text);
}
END_TEST

START_TEST(what_is_no_task_says_what_to_do) {
    struct tensor_output output = {.name = "backbone.x", .type = TENSOR_F32, .rank = 1, .shape = (int64_t[]){4}, .data = flat};
    const char *path = in_folder("plain.safetensors");
    ck_assert_ok(safetensors_write(test_context, path, &output, 1, NULL, 0));
    check_refused(path, COVER_ERROR_MISMATCH, "cover_run_finetune");
    check_refused(in_folder("nothing"), COVER_ERROR_IO, "nothing");
    check_refused(test_folder, COVER_ERROR_IO, "run folder");
}
END_TEST

/* The JSON text with one part replaced. */
static char *changed(const char *part, const char *by) {
    struct text text = {.context = test_context}, out = {.context = test_context};
    ck_assert_ok(task_about_write(&text, &about));
    const char *at = strstr(text.data, part);
    ck_assert_msg(at, "%s is not in %s", part, text.data);
    text_add(&out, "%.*s%s%s", (int)(at - text.data), text.data, by, at + strlen(part));
    text_free(&text);
    return out.data;
}

START_TEST(what_does_not_fit_together_is_refused) {
    static const struct {
        const char *part, *by, *text;
    } cases[] = {
        {"\"background\"", "\"c\xc5\x93ur\"", "two classes are named"},
        {"\"background\"", "\"\"", "class 0"},
        {"\"background\"", "\"a\\nb\"", "control characters"},
        {"\"background\", ", "", "list of 3 names"},
        {"\"classes\": 3", "\"classes\": 2", "list of 2 names"},
        {"\"classes\": 3", "\"classes\": 99999999", "out of range"},
        {"\"crop\": \"64x64x64\"", "\"crop\": \"60x64x64\"", "multiple of 16"},
        {"\"crop\"", "\"krop\"", "krop"},
        {"\"rules\": {\"dims\": 3", "\"rules\": {\"dims\": 2", "2D"},
        {"\"rules\": {\"dims\": 3", "\"rules\": {\"dims\": 9", "dims"},
        {"\"rules\": {\"dims\": 3, \"channels\": 0", "\"rules\": {\"dims\": 3, \"channels\": 3", "3 channels"},
        {"\"rules\"", "\"rulers\"", "rules"},
        {"\"settings\"", "\"setting\"", "settings"},
        {"{", "[", "task"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct task_about read = {0};
        char *json = changed(cases[i].part, cases[i].by);
        cover_status status = task_about_read(&read, test_context, json);
        ck_assert_msg(status == COVER_ERROR_FORMAT && strstr(cover_error_text(), cases[i].text), "%s: %s: %s", cases[i].by,
                      cover_status_name(status), cover_error_text());
        ck_assert_ptr_null(read.config);
        memory_free(test_context, json);
    }
}
END_TEST

START_TEST(damaged_files_are_errors) {
    const char *path = in_folder("t.safetensors"), *damaged = in_folder("d.safetensors");
    uint8_t *bytes;
    size_t count;
    ck_assert_ok(task_weights_write(test_context, path, &parameters, flat, &about, 120));
    ck_assert_ok(file_read(test_context, path, 1 << 24, &bytes, &count));
    for (size_t at = 0; at < count; at += count / 40) {
        struct task_about read;
        struct parameters table;
        float *values;
        write_bytes(damaged, bytes, at);
        ck_assert_int_ne(task_weights_read(&read, &table, &values, test_context, damaged), COVER_OK);
    }
    memory_free(test_context, bytes);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("task file");
    TCase *tcase = tcase_create("task file");
    tcase_add_checked_fixture(tcase, setup_task, teardown_task);
    ADD(tcase, a_task_comes_back_from_its_file_and_from_its_run_folder);
    ADD(tcase, equal_tasks_give_equal_bytes);
    ADD(tcase, while_it_trains_the_checkpoint_gives_the_best_weights);
    ADD(tcase, what_is_no_task_says_what_to_do);
    ADD(tcase, what_does_not_fit_together_is_refused);
    ADD(tcase, damaged_files_are_errors);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
