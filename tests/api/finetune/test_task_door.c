/* The door of tasks as a program uses it: a kind that the library does not know (brightness.h) trains into a run folder, is judged, shown,
 * resumed and predicted by its rows alone. */
#include "../../core/train/brightness.h"
#include "../task_data.h"
#include "api/finetune/judge.h"
#include "api/predict/output.h"
#include "core/base/json.h"

/* ---- how it is judged: how far the answer is from the mean of the image */

static cover_status suits(const cover_dataset_info *info) {
    (void)info;
    return COVER_OK;
}
static cover_status check_data(const struct task_settings *task, const cover_dataset_info *info) {
    (void)task;
    return suits(info);
}
static bool usable(const struct task_settings *task, const struct dataset_row *row) {
    (void)task, (void)row;
    return true;
}
static cover_status check_validation(cover_task *task) {
    (void)task;
    return COVER_OK;
}

static cover_status judge_case(struct task_figures *figures, cover_task *task, int64_t index, int64_t row) {
    struct grid grid;
    float *scores, *pixels;
    int integer_max;
    double sum = 0;
    TRY(task_case_predict(task, index, &scores, &grid));
    const float score = *scores;
    memory_free(task->core.context, scores);
    TRY(task->core.reader.read(task->core.reader.user, index, &pixels, &grid, &integer_max));
    for (int64_t p = 0; p < grid_pixels(&grid); p++) sum += (double)pixels[p] / 255;
    memory_free(task->core.context, pixels);
    figures->class_figure[row] = 1 - fabs((double)score - sum / (double)grid_pixels(&grid));
    return COVER_OK;
}

static cover_status summarise(struct task_figures *figures, const cover_task *task) {
    (void)task;
    double sum = 0;
    for (int64_t i = 0; i < figures->cases; i++) sum += figures->class_figure[i];
    figures->figure[0] = *figures->class_mean = sum / (double)figures->cases;
    return COVER_OK;
}

static void write_case(struct text *text, const cover_task *task, const struct task_figures *figures, int64_t row) {
    text_add(text, ", \"nearness\": ");
    task_classes_write(text, task, figures->class_figure + row, 0);
}

static const struct task_section section = {.noun = "brightness", .figure = "nearness"};
static const struct task_judge judge = {.kind = &task_kind_brightness,
                                        .section = &section,
                                        .suits = suits,
                                        .check_data = check_data,
                                        .usable = usable,
                                        .figures = 1,
                                        .figure = {"nearness"},
                                        .class_figure = "nearness",
                                        .check_validation = check_validation,
                                        .judge_case = judge_case,
                                        .summarise = summarise,
                                        .write_case = write_case};

/* ---- what a prediction gives: is it bright? */

static void shape(struct image *label, const struct task_settings *task) {
    (void)task;
    label->dims = 1, label->size[0] = label->size[1] = label->size[2] = 1;
}

static cover_status label_image(struct image *label, float *scores, cover_context *where, const struct task_settings *task,
                                const float *values, const struct grid *grid) {
    (void)where, (void)task, (void)grid;
    label_set(label, 0, *values >= 0.5f);
    if (scores) *scores = *values;
    return COVER_OK;
}

static const struct task_output output = {.shape = shape,
                                          .label = label_image,
                                          .scores = true,
                                          .begin = output_csv_begin,
                                          .write = output_csv_row,
                                          .end = output_csv_end};

static const struct added_row rows[] = {{"task", "brightness", &task_kind_brightness},
                                        {"task.judge", "brightness", &judge},
                                        {"task.output", "brightness", &output},
                                        {0}};

/* ---- the door */

static cover_config *brightness_config(void) {
    cover_config *config;
    ck_assert_ok(cover_config_create(&config, context, "cls-2d"));
    set_all(config,
            "task=brightness classes=1 widths=8,8,8,8,8,8,8,8,8 crop=32x32 work=32x32 normalise=max batch=4 lr=0.01 warmup=0 "
            "schedule=constant steps=8 val_every=4 log_every=2 save_every=4 folds=3");
    return config;
}

static void check_report(const char *path) {
    uint8_t *html;
    size_t bytes;
    ck_assert_ok(file_read(context, path, 1 << 24, &html, &bytes));
    ck_assert_ptr_nonnull(strstr((char *)html, "fine-tuning &middot; brightness"));
    ck_assert_ptr_nonnull(strstr((char *)html, "nearness"));
    memory_free(context, html);
}

static void check_prediction(const char *run) {
    cover_predictor *predictor;
    cover_tensor *image, *label, *scores;
    ck_assert_ok(cover_predictor_load(&predictor, context, run, NULL));
    ck_assert_ok(cover_tensor_create(&image, context, COVER_U8, 3, (int64_t[]){1, 40, 36}));
    for (int p = 0; p < 40 * 36; p++) ((uint8_t *)cover_tensor_data(image))[p] = (uint8_t)(60 + p % 50);
    ck_assert_ok(cover_predictor_run(&label, &scores, predictor, image, NULL));
    ck_assert(cover_tensor_rank(label) == 1 && cover_tensor_shape(label)[0] == 1);
    ck_assert(cover_tensor_rank(scores) == 1 && cover_tensor_shape(scores)[0] == 1);
    const float score = *(const float *)cover_tensor_data_const(scores);
    ck_assert(score > 0 && score < 1);
    ck_assert_int_eq(*(const uint8_t *)cover_tensor_data_const(label), score >= 0.5f);
    cover_tensor_destroy(image);
    cover_tensor_destroy(label);
    cover_tensor_destroy(scores);
    cover_predictor_destroy(predictor);
}

/* An image file becomes a row of the kind's file. */
static void check_files(const char *run) {
    uint8_t pixels[40 * 36], *csv;
    size_t bytes;
    for (int p = 0; p < 40 * 36; p++) pixels[p] = (uint8_t)(60 + p % 50);
    const struct image image = {.dtype = COVER_U8, .dims = 2, .channels = 1, .size = {1, 40, 36}, .data = pixels};
    ck_assert_ok(label_write(context, at("one.png"), &image, NULL));
    ck_assert_ok(cover_images_predict(NULL, context, run, at("one.png"), at("out"), NULL));
    ck_assert_ok(file_read(context, at("out/scores.csv"), 1 << 16, &csv, &bytes));
    ck_assert_int_eq(strncmp((char *)csv, "file,rows\none.png,0.", 20), 0);
    memory_free(context, csv);
}

/* A task is no pretraining: its file says so. */
static void check_objective(const char *path) {
    uint8_t *bytes;
    size_t count;
    ck_assert_ok(file_read(context, path, 1 << 24, &bytes, &count));
    ck_assert_ptr_nonnull(memmem(bytes, count, "\"objective\":\"task\"", 18));
    memory_free(context, bytes);
}

START_TEST(a_kind_of_ones_own_trains_resumes_reports_and_predicts) {
    context->added = rows;
    cover_dataset *dataset = make_data((struct scene){.kind = PATTERN, .classes = 1}, NULL);
    cover_config *config = brightness_config();
    cover_finetune_options options = COVER_FINETUNE_OPTIONS_INIT;
    char *summary;
    for (options.resume = 0; options.resume < 2; options.resume++) {
        ck_assert_ok(cover_run_finetune(&summary, context, dataset, config, NULL, at("run"), &options));
        json_t *result;
        ck_assert_ok(json_read(&result, "the summary", summary, strlen(summary)));
        const json_t *best = json_object_get(result, "best");
        ck_assert_str_eq(json_string_value(json_object_get(result, "task")), "brightness");
        ck_assert_double_gt(json_number_value(json_object_get(best, "nearness")), 0.5);
        ck_assert(json_is_number(
            json_object_get(json_object_get(json_array_get(json_object_get(best, "cases"), 0), "nearness"), "rows")));
        json_decref(result);
        cover_text_release(context, summary);
    }
    check_report(at("run/report.html"));
    check_objective(at("run/weights.safetensors"));
    check_prediction(at("run"));
    check_files(at("run"));
    cover_context *stranger = make_context(1);
    cover_predictor *predictor;
    ck_assert_fails(cover_predictor_load(&predictor, stranger, at("run"), NULL), COVER_ERROR_FORMAT, "brightness");
    cover_context_destroy(stranger);
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(names_of_kinds_are_told) {
    cover_dataset *dataset = make_data((struct scene){.kind = PATTERN, .classes = 1}, NULL);
    cover_config *config;
    ck_assert_fails(cover_task_config(&config, context, dataset, "brightness", NULL), COVER_ERROR_ARGUMENT, "'brightness'",
                    "seg, cls");
    ck_assert_fails(cover_task_config(&config, context, dataset, "cls", NULL), COVER_ERROR_ARGUMENT,
                    "1 class; classification needs at least 2");
    context->added = rows;
    ck_assert_fails(cover_task_config(&config, context, dataset, "sizes", NULL), COVER_ERROR_ARGUMENT, "seg, cls, brightness");
    cover_dataset_destroy(dataset);
}
END_TEST

/* ---- memory */

static void *count_allocate(void *user, size_t bytes, size_t alignment) {
    void *memory = NULL;
    if (posix_memalign(&memory, alignment < sizeof(void *) ? sizeof(void *) : alignment, bytes) != 0) return NULL;
    __atomic_add_fetch((int *)user, 1, __ATOMIC_RELAXED);
    return memory;
}
static void count_release(void *user, void *memory) {
    if (memory) __atomic_sub_fetch((int *)user, 1, __ATOMIC_RELAXED);
    free(memory);
}

START_TEST(a_task_gives_all_its_memory_back) {
    int open = 0;
    const cover_allocator allocator = {count_allocate, count_release, &open};
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = 2, options.allocator = &allocator;
    cover_context *whole = context;
    ck_assert_ok(cover_context_create(&context, &options));
    cover_dataset *dataset = make_data((struct scene){.kind = DISC}, NULL);
    cover_task *task = make_task(dataset, "seg", NULL, "");
    take_steps(task, 1);
    ck_assert_ok(cover_task_validate(NULL, task));
    cover_task_destroy(task);
    cover_dataset_destroy(dataset);
    cover_context_destroy(context);
    ck_assert_int_eq(open, 0);
    context = whole;
}
END_TEST

int main(void) {
    Suite *suite = suite_create("a kind of task of one's own");
    TCase *tcase = tcase_create("door");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, a_kind_of_ones_own_trains_resumes_reports_and_predicts);
    ADD(tcase, names_of_kinds_are_told);
    ADD(tcase, a_task_gives_all_its_memory_back);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
