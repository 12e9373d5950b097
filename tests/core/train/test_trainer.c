/* The trainer: the same numbers whatever the lanes, exact resume, run folders, refusals before work starts. */
#include "../../blobs.h"
#include "api/pretrain/trainer.h"
#include "core/base/added.h"
#include "core/base/files.h"
#include "core/base/philox.h"
#include "core/method/cover.h"
#include "io/image/image.h"

#include <libcover/plan.h>
#include <libcover/report.h>

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static cover_context *context;
static cover_config *config;
static char folder[64], data_path[96];

static cover_context *make_context(int threads) {
    cover_context *made;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = threads;
    ck_assert_ok(cover_context_create(&made, &options));
    return made;
}

static void set(cover_config *which, const char *name, const char *value) { ck_assert_ok(cover_config_set(which, name, value)); }

static void pack(const char *name, uint32_t variant, char *out, size_t bytes) {
    char images[128];
    snprintf(images, sizeof images, "%s/images-%u", folder, variant);
    write_blobs(context, images, 6, variant, 48, 56);
    snprintf(out, bytes, "%s/%s", folder, name);
    ck_assert_ok(cover_dataset_pack(NULL, context, (const char *[]){images}, 1, out, NULL));
}

static void setup(void) {
    context = make_context(2);
    snprintf(folder, sizeof folder, "/tmp/cover-train-%ld", (long)getpid());
    ck_assert_ok(folder_create(folder));
    pack("data.h5", 1, data_path, sizeof data_path);
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    set(config, "widths", "8,8,8,16,16,16,8,8,8");
    set(config, "heads", "2,2,1,1,1");
    set(config, "crop", "32x32");
    set(config, "work", "40x40");
    set(config, "batch", "5");
    set(config, "steps", "6");
    set(config, "warmup", "2");
    set(config, "log_every", "2");
    set(config, "save_every", "2");
    set(config, "radius", "2");
}

static void teardown(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    cover_config_destroy(config);
    cover_context_destroy(context);
}

static cover_dataset *open_data(cover_context *where, const char *path) {
    cover_dataset *dataset;
    ck_assert_ok(cover_dataset_open(&dataset, where, path));
    return dataset;
}

static char *in_folder(const char *name) {
    static char path[4][160];
    static int next;
    snprintf(path[next = (next + 1) % 4], sizeof path[0], "%s/%s", folder, name);
    return path[next];
}

static bool same_files(const char *a, const char *b) {
    uint8_t *x, *y;
    size_t m, n;
    ck_assert_ok(file_read(context, a, 0, &x, &m));
    ck_assert_ok(file_read(context, b, 0, &y, &n));
    bool same = m == n && memcmp(x, y, n) == 0;
    memory_free(context, x);
    memory_free(context, y);
    return same;
}

/* ---- numbers */

struct figures {
    double loss[3], norm[3];
    float *weights;
};

static struct figures train(int threads, const char *lanes, const char *batch) {
    cover_context *own = make_context(threads);
    cover_dataset *dataset = open_data(own, data_path);
    cover_config *settings;
    cover_trainer *trainer;
    struct figures figures;
    ck_assert_ok(cover_config_copy(&settings, config));
    set(settings, "lanes", lanes);
    set(settings, "batch", batch);
    ck_assert_ok(cover_trainer_create(&trainer, own, dataset, settings));
    for (int i = 0; i < 3; i++) {
        cover_step_report report = COVER_STEP_REPORT_INIT;
        ck_assert_ok(cover_trainer_step(&report, trainer));
        ck_assert(isfinite(report.loss) && report.count > 0);
        static const char *const names[] = {"l_vec", "l_con", "l_zero"};
        for (int k = 0; k < 3; k++) {
            ck_assert_str_eq(report.figures[k].name, names[k]);
            ck_assert_double_gt(report.figures[k].value, 0);
        }
        ck_assert_double_eq(report.loss, cover_figure_value(report.figures, report.figure_count, "l_vec") +
                                             cover_figure_value(report.figures, report.figure_count, "l_con"));
        ck_assert(report.figure_count == 3 && isnan(cover_figure_value(report.figures, report.figure_count, "dice")));
        figures.loss[i] = report.loss, figures.norm[i] = report.grad_norm;
    }
    size_t bytes = (size_t)trainer->core.engine->model.parameters.floats * sizeof(float);
    figures.weights = malloc(bytes + sizeof(size_t));
    memcpy(figures.weights, &bytes, sizeof bytes);
    memcpy((char *)figures.weights + sizeof bytes, trainer->core.engine->weights, bytes);
    cover_trainer_destroy(trainer);
    cover_dataset_destroy(dataset);
    cover_config_destroy(settings);
    cover_context_destroy(own);
    return figures;
}

static void check_same(struct figures *a, struct figures *b) {
    size_t bytes;
    memcpy(&bytes, a->weights, sizeof bytes);
    for (int i = 0; i < 3; i++) ck_assert(a->loss[i] == b->loss[i] && a->norm[i] == b->norm[i]);
    ck_assert_int_eq(memcmp(a->weights, b->weights, bytes + sizeof bytes), 0);
}

START_TEST(lanes_and_threads_change_no_bit) {
    static const char *const batches[] = {"5", "4", "1", "5", "1"}, *const precisions[] = {"fp32", "fp32", "fp32", "bf16", "bf16"};
    for (int k = 0; k < 5; k++) {
        set(config, "precision", precisions[k]);
        struct figures one = train(1, "0", batches[k]);
        static const struct {
            int threads;
            const char *lanes;
        } ways[] = {{2, "0"}, {2, "1"}, {3, "3"}, {4, "4"}, {4, "2"}};
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            struct figures other = train(ways[i].threads, ways[i].lanes, batches[k]);
            check_same(&one, &other);
            free(other.weights);
        }
        free(one.weights);
    }
}
END_TEST

/* A row of the test's own: COVER's vector loss alone, under another name. */
static cover_status vectors_model(struct model *model, cover_context *of, const struct settings *settings,
                                  const struct grid *grid) {
    struct settings own = *settings;
    own.objective.loss_con = 0;
    return pair_model(model, of, &own, grid);
}

START_TEST(an_objective_of_ones_own_trains_and_its_checkpoint_is_refused_by_name) {
    cover_dataset *dataset = open_data(context, data_path);
    cover_trainer *own, *other;
    cover_step_report report = COVER_STEP_REPORT_INIT;
    struct objective vectors = *objective_of(context, &config_settings(config)->objective);
    const struct added_row rows[] = {{"objective", "vectors", &vectors}, {0}};
    vectors.name = "vectors", vectors.build = vectors_model, context->added = rows;
    ck_assert_ok(cover_config_set(config, "objective", "vectors"));
    ck_assert_ok(cover_trainer_create(&own, context, dataset, config));
    for (int i = 0; i < 2; i++) ck_assert_ok(cover_trainer_step(&report, own));
    ck_assert_double_eq(report.loss, cover_figure_value(report.figures, report.figure_count, "l_vec"));
    ck_assert_ok(cover_trainer_save(own, in_folder("vectors.h5")));
    ck_assert_ok(cover_trainer_load(own, in_folder("vectors.h5")));
    ck_assert_ok(cover_config_set(config, "objective", "cover"));
    ck_assert_ok(cover_trainer_create(&other, context, dataset, config));
    ck_assert_int_eq(cover_trainer_load(other, in_folder("vectors.h5")), COVER_ERROR_MISMATCH);
    ck_assert_msg(strstr(cover_error_text(), "a checkpoint of objective 'vectors', not 'cover'"), "%s", cover_error_text());
    cover_trainer_destroy(own);
    cover_trainer_destroy(other);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(a_resumed_trainer_equals_an_unbroken_one) {
    cover_dataset *dataset = open_data(context, data_path);
    cover_trainer *whole, *first, *second;
    cover_step_report a = COVER_STEP_REPORT_INIT, b = COVER_STEP_REPORT_INIT;
    ck_assert_ok(cover_trainer_create(&whole, context, dataset, config));
    for (int i = 0; i < 6; i++) ck_assert_ok(cover_trainer_step(&a, whole));
    ck_assert_ok(cover_trainer_create(&first, context, dataset, config));
    for (int i = 0; i < 3; i++) ck_assert_ok(cover_trainer_step(NULL, first));
    ck_assert_ok(cover_trainer_save(first, in_folder("middle.h5")));
    cover_trainer_destroy(first);
    cover_context *other = make_context(3);
    cover_dataset *again = open_data(other, data_path);
    ck_assert_ok(cover_trainer_create(&second, other, again, config));
    ck_assert_ok(cover_trainer_load(second, in_folder("middle.h5")));
    for (int i = 0; i < 3; i++) ck_assert_ok(cover_trainer_step(&b, second));
    ck_assert_int_eq(b.step, 6);
    ck_assert(a.loss == b.loss && a.grad_norm == b.grad_norm && a.lr == b.lr);
    ck_assert_ok(cover_trainer_save(whole, in_folder("a.h5")));
    ck_assert_ok(cover_trainer_save(second, in_folder("b.h5")));
    ck_assert(same_files(in_folder("a.h5"), in_folder("b.h5")));
    ck_assert_ok(cover_trainer_export(whole, in_folder("a.safetensors")));
    ck_assert_ok(cover_trainer_export(second, in_folder("b.safetensors")));
    ck_assert(same_files(in_folder("a.safetensors"), in_folder("b.safetensors")));
    cover_trainer_destroy(second);
    cover_trainer_destroy(whole);
    cover_dataset_destroy(again);
    cover_context_destroy(other);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(schedules_warm_up_and_come_down) {
    struct settings s = *config_settings(config);
    s.common.lr = 1, s.common.warmup = 4, s.common.steps = 14, s.common.schedule = SCHEDULE_COSINE;
    ck_assert_double_eq(schedule_rate(&s.common, 0), 0.25);
    ck_assert_double_eq(schedule_rate(&s.common, 3), 1);
    ck_assert_double_eq(schedule_rate(&s.common, 4), 1);
    ck_assert_double_eq_tol(schedule_rate(&s.common, 9), 0.5, 1e-12);
    ck_assert_double_eq(schedule_rate(&s.common, 14), 0);
    s.common.schedule = SCHEDULE_CONSTANT;
    ck_assert_double_eq(schedule_rate(&s.common, 13), 1);
}
END_TEST

START_TEST(a_step_without_a_valid_pixel_updates_nothing) {
    cover_dataset *dataset = open_data(context, data_path);
    cover_trainer *trainer;
    set(config, "batch", "1");
    set(config, "translate", "10");
    set(config, "loss_con", "on");
    int seen = 0;
    ck_assert_ok(cover_trainer_create(&trainer, context, dataset, config));
    for (int i = 0; i < 6; i++) {
        cover_step_report report = COVER_STEP_REPORT_INIT;
        int64_t updates = trainer->core.engine->updates;
        ck_assert_ok(cover_trainer_step(&report, trainer));
        seen += report.count == 0;
        ck_assert_int_eq(trainer->core.engine->updates, updates + (report.count > 0));
    }
    ck_assert_int_gt(seen, 0);
    cover_trainer_destroy(trainer);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(numbers_that_go_bad_stop_the_step_and_name_the_tensor) {
    cover_dataset *dataset = open_data(context, data_path);
    cover_trainer *trainer;
    ck_assert_ok(cover_trainer_create(&trainer, context, dataset, config));
    ck_assert_ok(cover_trainer_step(NULL, trainer));
    int row = parameters_find(&trainer->core.engine->model.parameters, "backbone.up2.conv.double_conv.0.bias");
    trainer->core.engine->weights[trainer->core.engine->model.parameters.rows[row].offset] = NAN;
    ck_assert_ok(engine_weights_changed(trainer->core.engine));
    ck_assert_int_eq(cover_trainer_step(NULL, trainer), COVER_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "step 2"));
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "backbone.up2.conv.double_conv.0"));
    ck_assert_int_eq(trainer->core.step, 1);
    cover_trainer_destroy(trainer);
    cover_dataset_destroy(dataset);
}
END_TEST

/* ---- refusals before work starts */

static void refused(cover_status expected, const char *part) {
    cover_dataset *dataset = open_data(context, data_path);
    cover_trainer *trainer = NULL;
    ck_assert_int_eq(cover_trainer_create(&trainer, context, dataset, config), expected);
    ck_assert_ptr_null(trainer);
    ck_assert_msg(strstr(cover_error_text(), part) != NULL, "%s", cover_error_text());
    cover_dataset_destroy(dataset);
}

START_TEST(images_smaller_than_the_crop_are_refused) {
    set(config, "crop", "64x64");
    set(config, "work", "0x0");
    refused(COVER_ERROR_SHAPE, "64");
}
END_TEST
START_TEST(another_number_of_channels_is_refused) {
    set(config, "channels", "3");
    refused(COVER_ERROR_SHAPE, "channels");
}
END_TEST
START_TEST(other_dimensions_are_refused) {
    set(config, "dims", "3");
    set(config, "crop", "16x16x16");
    set(config, "work", "16x16x16");
    refused(COVER_ERROR_SHAPE, "2D");
}
END_TEST
START_TEST(a_plan_above_the_memory_limit_is_refused_with_its_bytes) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.memory_limit_bytes = 1 << 20;
    cover_context *poor;
    cover_plan plan = COVER_PLAN_INIT;
    ck_assert_ok(cover_context_create(&poor, &options));
    ck_assert_int_eq(cover_plan_compute(&plan, poor, config, 1), COVER_ERROR_MEMORY);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "limit"));
    ck_assert_uint_eq(plan.total_bytes, 0); /* untouched */
    cover_context_destroy(poor);
    ck_assert_ok(cover_plan_compute(&plan, context, config, 1));
    ck_assert_uint_gt(plan.total_bytes, 1 << 20);
}
END_TEST
START_TEST(a_memory_limit_costs_lanes_before_it_refuses) {
    cover_plan plan = COVER_PLAN_INIT;
    ck_assert_ok(cover_plan_compute(&plan, context, config, 1));
    ck_assert_int_eq(plan.lanes, 2);
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.memory_limit_bytes = plan.total_bytes - 1, options.threads = 2;
    cover_context *poor;
    ck_assert_ok(cover_context_create(&poor, &options));
    ck_assert_ok(cover_plan_compute(&plan, poor, config, 1));
    ck_assert_int_eq(plan.lanes, 1);
    cover_context_destroy(poor);
}
END_TEST
START_TEST(a_trainer_takes_what_its_plan_said) {
    cover_plan plan = COVER_PLAN_INIT, own = COVER_PLAN_INIT;
    cover_dataset *dataset = open_data(context, data_path);
    cover_trainer *trainer;
    ck_assert_ok(cover_plan_compute(&plan, context, config, 1));
    ck_assert_ok(cover_trainer_create(&trainer, context, dataset, config));
    ck_assert_ok(cover_trainer_plan(&own, trainer));
    ck_assert_int_eq(own.parameters, plan.parameters);
    ck_assert_double_eq(own.flops_per_step, plan.flops_per_step);
    ck_assert_uint_eq(own.total_bytes, plan.total_bytes);
    ck_assert_int_eq(cover_trainer_plan(&own, NULL), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_trainer_plan(NULL, trainer), COVER_ERROR_ARGUMENT);
    cover_trainer_destroy(trainer);
    cover_dataset_destroy(dataset);
}
END_TEST
START_TEST(a_plan_of_ranks_tells_the_largest_share_and_what_is_sent) {
    cover_plan one = COVER_PLAN_INIT, two = COVER_PLAN_INIT;
    char *json;
    ck_assert_ok(cover_plan_compute(&one, context, config, 1));
    ck_assert_uint_eq(one.reduction_bytes, 0);
    ck_assert_ok(cover_plan_json(&json, context, &one));
    ck_assert_ptr_nonnull(strstr(json, "\"arena_per_lane\": "));
    ck_assert_ptr_null(strstr(json, "\"ranks\""));
    cover_text_release(context, json);
    ck_assert_ok(cover_plan_compute(&two, context, config, 2));
    ck_assert_int_eq(two.ranks, 2);
    ck_assert(two.same_bits && two.reduction_bytes >= 4 * (uint64_t)two.parameters);
    ck_assert_int_eq(two.samples_per_rank, (one.samples_per_rank + 1) / 2);
    ck_assert_ok(cover_plan_json(&json, context, &two));
    ck_assert_ptr_nonnull(strstr(json, "{\"ranks\": 2, \"pairs_per_rank\": "));
    cover_text_release(context, json);
    ck_assert_int_eq(cover_plan_compute(&two, context, config, 0), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_plan_compute(NULL, context, config, 1), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_plan_json(&json, context, NULL), COVER_ERROR_ARGUMENT);
}
END_TEST

/* ---- run folders */

static cover_status pretrain(cover_context *where, const char *data, const char *run, int resume) {
    cover_dataset *dataset = open_data(where, data);
    cover_pretrain_options options = COVER_PRETRAIN_OPTIONS_INIT;
    options.resume = resume;
    cover_status status = cover_run_pretrain(where, dataset, config, run, &options);
    cover_dataset_destroy(dataset);
    return status;
}

START_TEST(a_run_folder_holds_what_it_should_and_is_not_overwritten) {
    static const char *const files[] = {"config.json",         "log.jsonl",           "checkpoint.h5", "checkpoint-4.h5",
                                        "weights.safetensors", "preview.safetensors", "report.html"};
    set(config, "checkpoint_every", "4");
    char *run = in_folder("run");
    ck_assert_ok(pretrain(context, data_path, run, 0));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/run/%s", folder, files[i]);
        ck_assert_msg(file_exists(path), "%s", path);
    }
    uint8_t *log;
    size_t bytes;
    ck_assert_ok(file_read(context, in_folder("run/log.jsonl"), 0, &log, &bytes));
    ck_assert_ptr_nonnull(strstr((char *)log, "{\"step\": 6, \"loss\": "));
    ck_assert_int_eq(strncmp((char *)log, "{\"step\": 2,", 11), 0);
    memory_free(context, log);
    ck_assert_int_eq(pretrain(context, data_path, run, 0), COVER_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "option resume"));
    ck_assert_ok(pretrain(context, data_path, run, 1)); /* finished: nothing left to do */
    ck_assert_ok(cover_report_write(context, run, in_folder("again.html")));
}
END_TEST

START_TEST(resuming_with_other_settings_or_data_is_refused) {
    char other[96];
    ck_assert_ok(pretrain(context, data_path, in_folder("run"), 0));
    set(config, "lr", "0.5");
    ck_assert_int_eq(pretrain(context, data_path, in_folder("run"), 1), COVER_ERROR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "lr=0.001"));
    set(config, "lr", "0.001");
    set(config, "precision", "bf16");
    ck_assert_int_eq(pretrain(context, data_path, in_folder("run"), 1), COVER_ERROR_MISMATCH);
    set(config, "precision", "fp32");
    set(config, "log_every", "3");
    ck_assert_ok(pretrain(context, data_path, in_folder("run"), 1));
    pack("other.h5", 2, other, sizeof other);
    ck_assert_int_eq(pretrain(context, other, in_folder("run"), 1), COVER_ERROR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "dataset"));
}
END_TEST

static void cancel_at_three(void *user, const cover_step_report *report, int64_t steps) {
    (void)steps;
    if (report->step == 3) cover_context_cancel(user);
}

START_TEST(a_cancelled_run_is_saved_and_goes_on_to_the_same_end) {
    ck_assert_ok(pretrain(context, data_path, in_folder("whole"), 0));
    cover_dataset *dataset = open_data(context, data_path);
    cover_pretrain_options options = COVER_PRETRAIN_OPTIONS_INIT;
    options.on_step = cancel_at_three, options.user = context;
    ck_assert_int_eq(cover_run_pretrain(context, dataset, config, in_folder("cut"), &options), COVER_ERROR_CANCELLED);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "step 3"));
    cover_context_resume(context);
    cover_dataset_destroy(dataset);
    ck_assert_ok(pretrain(context, data_path, in_folder("cut"), 1));
    ck_assert(same_files(in_folder("whole/weights.safetensors"), in_folder("cut/weights.safetensors")));
    ck_assert(same_files(in_folder("whole/checkpoint.h5"), in_folder("cut/checkpoint.h5")));
}
END_TEST

START_TEST(a_killed_run_goes_on_to_the_same_end) {
    set(config, "save_every", "1");
    ck_assert_ok(pretrain(context, data_path, in_folder("whole"), 0));
    for (int round = 0; round < 6; round++) {
        pid_t child = fork();
        if (child == 0) {
            cover_context *own = make_context(2);
            _exit(pretrain(own, data_path, in_folder("cut"), 1) == COVER_OK ? 0 : 1);
        }
        usleep(60000 + 40000 * (useconds_t)round);
        kill(child, SIGKILL);
        int result;
        waitpid(child, &result, 0);
        ck_assert(WIFSIGNALED(result) || WEXITSTATUS(result) == 0);
    }
    ck_assert_ok(pretrain(context, data_path, in_folder("cut"), 1));
    ck_assert(same_files(in_folder("whole/weights.safetensors"), in_folder("cut/weights.safetensors")));
    ck_assert(same_files(in_folder("whole/checkpoint.h5"), in_folder("cut/checkpoint.h5")));
}
END_TEST

START_TEST(weights_of_one_run_start_another) {
    ck_assert_ok(pretrain(context, data_path, in_folder("run"), 0));
    cover_dataset *dataset = open_data(context, data_path);
    cover_trainer *trainer;
    ck_assert_ok(cover_trainer_create(&trainer, context, dataset, config));
    ck_assert_ok(cover_trainer_init_weights(trainer, in_folder("run"), 0));
    ck_assert_ok(cover_trainer_export(trainer, in_folder("same.safetensors")));
    cover_trainer_destroy(trainer);
    set(config, "widths", "8,8,8,16,16,16,8,8,16");
    ck_assert_ok(cover_trainer_create(&trainer, context, dataset, config));
    ck_assert_int_eq(cover_trainer_init_weights(trainer, in_folder("run/weights.safetensors"), 0), COVER_ERROR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "up4"));
    ck_assert_ok(cover_trainer_init_weights(trainer, in_folder("run/weights.safetensors"), 1));
    cover_trainer_destroy(trainer);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(an_unwritable_run_folder_is_an_error_before_training) {
    ck_assert_ok(file_replace(context, in_folder("file"), "x", 1));
    ck_assert_int_eq(pretrain(context, data_path, in_folder("file/run"), 0), COVER_ERROR_IO);
    ck_assert_int_eq(pretrain(context, data_path, "/proc/nosuch/run", 0), COVER_ERROR_IO);
}
END_TEST

START_TEST(a_folder_takes_one_trainer_at_a_time_and_loses_leftovers) {
    ck_assert_ok(pretrain(context, data_path, in_folder("run"), 0));
    ck_assert_ok(file_replace(context, in_folder("run/.cover-0123456789abcdef"), "half", 4));
    int log = open(in_folder("run/log.jsonl"), O_RDONLY);
    ck_assert_int_eq(flock(log, LOCK_EX), 0);
    ck_assert_int_eq(pretrain(context, data_path, in_folder("run"), 1), COVER_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "another process"));
    close(log);
    ck_assert_ok(pretrain(context, data_path, in_folder("run"), 1));
    ck_assert(!file_exists(in_folder("run/.cover-0123456789abcdef")));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("trainer");
    TCase *tcase = tcase_create("trainer");
    tcase_set_timeout(tcase, 200);
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, lanes_and_threads_change_no_bit);
    ADD(tcase, an_objective_of_ones_own_trains_and_its_checkpoint_is_refused_by_name);
    ADD(tcase, a_resumed_trainer_equals_an_unbroken_one);
    ADD(tcase, schedules_warm_up_and_come_down);
    ADD(tcase, a_step_without_a_valid_pixel_updates_nothing);
    ADD(tcase, numbers_that_go_bad_stop_the_step_and_name_the_tensor);
    ADD(tcase, images_smaller_than_the_crop_are_refused);
    ADD(tcase, another_number_of_channels_is_refused);
    ADD(tcase, other_dimensions_are_refused);
    ADD(tcase, a_plan_above_the_memory_limit_is_refused_with_its_bytes);
    ADD(tcase, a_memory_limit_costs_lanes_before_it_refuses);
    ADD(tcase, a_trainer_takes_what_its_plan_said);
    ADD(tcase, a_plan_of_ranks_tells_the_largest_share_and_what_is_sent);
    ADD(tcase, a_run_folder_holds_what_it_should_and_is_not_overwritten);
    ADD(tcase, resuming_with_other_settings_or_data_is_refused);
    ADD(tcase, a_cancelled_run_is_saved_and_goes_on_to_the_same_end);
    ADD(tcase, a_killed_run_goes_on_to_the_same_end);
    ADD(tcase, weights_of_one_run_start_another);
    ADD(tcase, a_folder_takes_one_trainer_at_a_time_and_loses_leftovers);
    ADD(tcase, an_unwritable_run_folder_is_an_error_before_training);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
