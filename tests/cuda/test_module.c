/* The whole CUDA module, emulated or on a GPU: training beside the CPU's, components, refusals before work starts, and every call of
 * the runtime failing in turn. */
#include "../blobs.h"
#include "device.h"

#include "api/pretrain/trainer.h"
#include "core/base/files.h"

#include <libcover/cover.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 10, IMAGES = 6 };

static char folder[64], data_path[96], module[4096];
static cover_context *host;

static cover_status open_context(cover_context **context, const char *device, int deterministic) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.device = device, options.threads = 2, options.deterministic = deterministic;
    if (strcmp(device, "cpu") != 0) options.device_module = module;
    return cover_context_create(context, &options);
}

static void setup(void) {
    char images[128];
    ssize_t length = readlink("/proc/self/exe", module, sizeof module - 1);
    module[length] = 0;
    snprintf(strrchr(module, '/'), 64, EMULATED ? "/../cudasim/libcover-cuda-emulated.so" : "/../../libcover-cuda.so");
    cudasim_reset();
    snprintf(folder, sizeof folder, "/tmp/cover-cuda-%ld", (long)getpid());
    ck_assert_ok(folder_create(folder));
    ck_assert_ok(open_context(&host, "cpu", 0));
    snprintf(images, sizeof images, "%s/images", folder);
    snprintf(data_path, sizeof data_path, "%s/data.h5", folder);
    write_blobs(host, images, IMAGES, 1, 40, 44);
    ck_assert_ok(cover_dataset_pack(NULL, host, (const char *[]){images}, 1, data_path, NULL));
}
static void teardown(void) {
    char command[128];
    cover_context_destroy(host);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static cover_status configure(cover_config **config, cover_context *context, const char *precision, const char *crop) {
    static const char *const settings[][2] = {{"widths", "8,8,8,16,16,16,8,8,8"},
                                              {"heads", "2,2,1,1,1"},
                                              {"work", "36x36"},
                                              {"batch", "3"},
                                              {"steps", "7"},
                                              {"warmup", "2"},
                                              {"radius", "2"},
                                              {"lr", "1e-4"}}; /* at a high rate roundings grow from step to step */
    TRY(cover_config_create(config, context, "demo"));
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) TRY(cover_config_set(*config, settings[i][0], settings[i][1]));
    TRY(cover_config_set(*config, "crop", crop));
    return cover_config_set(*config, "precision", precision);
}

/* A trainer with all that it stands on. */
struct job {
    cover_context *context;
    cover_dataset *dataset;
    cover_config *config;
    cover_trainer *trainer;
};
static cover_status job_open(struct job *job, const char *device, const char *precision, const char *crop, int deterministic) {
    *job = (struct job){0};
    TRY(open_context(&job->context, device, deterministic));
    TRY(cover_dataset_open(&job->dataset, job->context, data_path));
    TRY(configure(&job->config, job->context, precision, crop));
    return cover_trainer_create(&job->trainer, job->context, job->dataset, job->config);
}
static void job_close(struct job *job) {
    cover_trainer_destroy(job->trainer);
    cover_config_destroy(job->config);
    cover_dataset_destroy(job->dataset);
    cover_context_destroy(job->context);
}
static void job_steps(struct job *job, cover_step_report *reports, int steps) {
    for (int i = 0; i < steps; i++) {
        reports[i] = (cover_step_report)COVER_STEP_REPORT_INIT;
        ck_assert_ok(cover_trainer_step(&reports[i], job->trainer));
    }
}

static void near(double a, double b, double bound, const char *what, int step) {
    ck_assert_msg(fabs(a - b) <= bound * (fabs(a) + fabs(b)) / 2, "step %d: %s is %.9g on the CPU, %.9g on the device", step, what,
                  a, b);
}

static double figure(const cover_step_report *report, const char *name) {
    return cover_figure_value(report->figures, report->figure_count, name);
}

static void compare_training(const char *precision, double bound) {
    struct job cpu, cuda;
    cover_step_report a, b;
    ck_assert_ok(job_open(&cpu, "cpu", precision, "32x32", 0));
    ck_assert_ok(job_open(&cuda, "cuda", precision, "32x32", 0));
    for (int i = 0; i < STEPS; i++) {
        job_steps(&cpu, &a, 1);
        job_steps(&cuda, &b, 1);
        near(figure(&a, "l_vec"), figure(&b, "l_vec"), bound, "l_vec", i + 1);
        near(figure(&a, "l_zero"), figure(&b, "l_zero"), 1e-6, "l_zero", i + 1);
        near(1 - figure(&a, "l_con"), 1 - figure(&b, "l_con"), bound, "the mean cosine", i + 1);
        near(a.grad_norm, b.grad_norm, 20 * bound, "the norm of the gradient", i + 1);
        ck_assert_int_eq(a.count, b.count);
    }
    job_close(&cpu);
    job_close(&cuda);
}
START_TEST(ten_steps_in_float32_are_the_CPUs) { compare_training("fp32", 1e-3); }
END_TEST
START_TEST(ten_steps_in_bfloat16_are_near_the_CPUs) { compare_training("bf16", 3e-2); }
END_TEST

/* Streams that run in another order must not change a bit: what a step needs it waits for. */
START_TEST(no_order_of_streams_changes_a_bit) {
    char path[2][96];
    for (int i = 0; i < 2; i++) {
        struct job job;
        cover_step_report reports[4];
        cudasim_seed((uint64_t)i * 77);
        ck_assert_ok(job_open(&job, "cuda", "bf16", "16x16", 1));
        job_steps(&job, reports, 4);
        snprintf(path[i], sizeof path[i], "%s/weights-%d.safetensors", folder, i);
        ck_assert_ok(cover_trainer_export(job.trainer, path[i]));
        job_close(&job);
    }
    cudasim_seed(0);
    uint8_t *bytes[2];
    size_t sizes[2];
    for (int i = 0; i < 2; i++) ck_assert_ok(file_read(host, path[i], 0, &bytes[i], &sizes[i]));
    ck_assert_uint_eq(sizes[0], sizes[1]);
    ck_assert(memcmp(bytes[0], bytes[1], sizes[0]) == 0);
    for (int i = 0; i < 2; i++) memory_free(host, bytes[i]);
}
END_TEST

START_TEST(a_checkpoint_goes_on_on_the_other_device) {
    struct job cpu, cuda;
    cover_step_report reports[4], there, here = COVER_STEP_REPORT_INIT;
    char path[96];
    snprintf(path, sizeof path, "%s/checkpoint.h5", folder);
    ck_assert_ok(job_open(&cuda, "cuda", "fp32", "16x16", 0));
    job_steps(&cuda, reports, 3);
    ck_assert_ok(cover_trainer_save(cuda.trainer, path));
    ck_assert_ok(job_open(&cpu, "cpu", "fp32", "16x16", 0));
    ck_assert_ok(cover_trainer_load(cpu.trainer, path));
    job_steps(&cuda, &there, 1);
    ck_assert_ok(cover_trainer_step(&here, cpu.trainer));
    ck_assert_int_eq(here.step, there.step);
    near(here.loss, there.loss, 1e-4, "the loss", 4);
    ck_assert_ok(cover_trainer_load(cuda.trainer, path)); /* and back in time, with samples taken ahead */
    job_steps(&cuda, &here, 1);
    ck_assert_double_eq(here.loss, there.loss);
    job_close(&cpu);
    job_close(&cuda);
}
END_TEST

START_TEST(features_of_an_image_are_the_CPUs) {
    const char *const devices[] = {"cpu", "cuda"};
    float pixels[40 * 36], *level[2] = {0};
    int64_t count = 0;
    for (int i = 0; i < 40 * 36; i++) pixels[i] = (float)(philox(5, (uint32_t)i, RANDOM_TEST, 0, 0).word[0] & 0xffff) / 65536;
    for (int d = 0; d < 2; d++) {
        cover_context *context;
        cover_config *config;
        cover_backbone *backbone;
        cover_features *features;
        cover_tensor *x;
        ck_assert_ok(open_context(&context, devices[d], 0));
        ck_assert_ok(configure(&config, context, "fp32", "32x32"));
        ck_assert_ok(cover_backbone_create(&backbone, context, config));
        ck_assert_ok(cover_tensor_wrap(&x, context, COVER_F32, 4, (int64_t[]){1, 1, 40, 36}, NULL, pixels));
        ck_assert_ok(cover_backbone_forward(&features, backbone, x));
        const cover_tensor *last = cover_features_level(features, cover_features_count(features) - 1);
        count = 1;
        for (int i = 0; i < cover_tensor_rank(last); i++) count *= cover_tensor_shape(last)[i];
        level[d] = malloc((size_t)count * sizeof(float));
        memcpy(level[d], cover_tensor_data((cover_tensor *)last), (size_t)count * sizeof(float));
        cover_features_destroy(features);
        cover_tensor_destroy(x);
        cover_backbone_destroy(backbone);
        cover_config_destroy(config);
        cover_context_destroy(context);
    }
    for (int64_t i = 0; i < count; i++) ck_assert_float_eq_tol(level[0][i], level[1][i], 1e-4f);
    free(level[0]), free(level[1]);
}
END_TEST

/* ---- refusals */

static void refused(const char *device, cover_status status, const char *words) {
    cover_context *context;
    ck_assert_int_eq(open_context(&context, device, 0), status);
    ck_assert_msg(strstr(cover_error_text(), words), "the text is: %s", cover_error_text());
}

START_TEST(what_is_missing_is_named) {
    cudasim_devices(0, 0, 0);
    refused("cuda", COVER_ERROR_DEVICE, "there is no GPU");
    cudasim_devices(1, 0, 0);
    refused("cuda:1", COVER_ERROR_ARGUMENT, "one GPU");
    refused("cuda:x", COVER_ERROR_ARGUMENT, "cuda:K");
    refused("toaster", COVER_ERROR_ARGUMENT, "use cpu, cuda");
    cover_context *context;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.device = "cuda", options.device_module = "libcover-cuda.so";
    ck_assert_int_eq(cover_context_create(&context, &options), COVER_ERROR_ARGUMENT);
    options.device_module = "/nowhere/libcover-cuda.so";
    ck_assert_int_eq(cover_context_create(&context, &options), COVER_ERROR_DEVICE);
    ck_assert(strstr(cover_error_text(), "/nowhere/libcover-cuda.so") && strstr(cover_error_text(), "device=cpu"));
}
END_TEST

START_TEST(a_module_made_with_other_headers_is_refused) {
    cover_context *context;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    ck_assert_int_gt(readlink("/proc/self/exe", module, sizeof module - 1), 0);
    snprintf(strrchr(module, '/'), 64, "/libcover-cuda-stale.so");
    options.device = "cuda", options.device_module = module;
    ck_assert_fails(cover_context_create(&context, &options), COVER_ERROR_DEVICE, module, "was not made with this libcover (0.",
                    "build and install both together");
}
END_TEST

START_TEST(too_little_memory_is_said_before_the_first_step) {
    struct job job;
    cudasim_devices(1, 600 << 10, 0);
    ck_assert_int_eq(job_open(&job, "cuda", "fp32", "32x32", 0), COVER_ERROR_MEMORY);
    ck_assert_msg(strstr(cover_error_text(), "the plan needs") && strstr(cover_error_text(), "are free"), "%s", cover_error_text());
    job_close(&job);
    cudasim_devices(1, 0, 0);
}
END_TEST

/* ---- faults */

static cover_status whole_life(void) {
    struct job job;
    char path[96];
    cover_status status = job_open(&job, "cuda", "fp32", "16x16", 0);
    for (int i = 0; i < 3 && status == COVER_OK; i++) status = cover_trainer_step(NULL, job.trainer);
    snprintf(path, sizeof path, "%s/life.safetensors", folder);
    if (status == COVER_OK) status = cover_trainer_export(job.trainer, path);
    job_close(&job);
    return status;
}

static void nothing_is_left(uint64_t call) {
    struct cudasim_alive alive;
    cudasim_alive(&alive);
    ck_assert_msg(alive.streams + alive.events + alive.graphs + alive.pinned + alive.allocations == 0,
                  "call %llu: %d streams, %d events, %d graphs, %d pinned, %d allocations are left", (unsigned long long)call,
                  alive.streams, alive.events, alive.graphs, alive.pinned, alive.allocations);
}

START_TEST(any_call_of_the_runtime_may_fail) {
    cudasim_fail_at(0, 0);
    ck_assert_ok(whole_life());
    const uint64_t calls = cudasim_calls();
    nothing_is_left(0);
    ck_assert_uint_gt(calls, 300);
    for (uint64_t call = 1; call <= calls; call += call < 30 ? 1 : calls / 40) { /* the first ones open the device */
        cudasim_reset();
        cudasim_fail_at(call, call % 3 ? cudaErrorLaunchFailure : cudaErrorMemoryAllocation);
        cover_status status = whole_life();
        cudasim_fail_at(0, 0);
        /* a graph that cannot be captured is done without */
        ck_assert_msg(status == COVER_OK || status == COVER_ERROR_DEVICE || status == COVER_ERROR_MEMORY, "call %llu: %s: %s",
                      (unsigned long long)call, cover_status_name(status), cover_error_text());
        nothing_is_left(call);
    }
    cudasim_reset();
    ck_assert_ok(whole_life());
}
END_TEST

START_TEST(a_lost_device_is_an_error_and_the_checkpoint_stays) {
    struct job job;
    cover_step_report reports[2];
    char path[96];
    snprintf(path, sizeof path, "%s/last.h5", folder);
    ck_assert_ok(job_open(&job, "cuda", "fp32", "16x16", 0));
    job_steps(&job, reports, 2);
    ck_assert_ok(cover_trainer_save(job.trainer, path));
    job_steps(&job, reports, 1);
    cudasim_lose_device(0, cudaErrorLaunchFailure);
    ck_assert_int_eq(cover_trainer_step(NULL, job.trainer), COVER_ERROR_DEVICE);
    ck_assert_int_eq(cover_trainer_save(job.trainer, path), COVER_ERROR_DEVICE);
    job_close(&job);
    cudasim_reset();
    ck_assert_ok(job_open(&job, "cuda", "fp32", "16x16", 0));
    ck_assert_ok(cover_trainer_load(job.trainer, path));
    job_close(&job);
}
END_TEST

START_TEST(a_number_gone_bad_is_named_and_nothing_is_updated) {
    struct job job;
    cover_step_report report;
    ck_assert_ok(job_open(&job, "cuda", "fp32", "16x16", 0));
    job_steps(&job, &report, 1);
    ck_assert_ok(engine_fetch(job.trainer->core.engine));
    struct engine *engine = job.trainer->core.engine;
    const float kept = engine->weights[0];
    const int row = engine->model.parameters.count / 2;
    engine->weights[engine->model.parameters.rows[row].offset] = NAN;
    ck_assert_ok(engine_weights_changed(engine));
    ck_assert_msg(cover_trainer_step(NULL, job.trainer) == COVER_ERROR_NUMERIC, "%s: %s", cover_error_text(), cudasim_message());
    ck_assert_msg(strstr(cover_error_text(), "is not finite"), "%s", cover_error_text());
    ck_assert_ok(engine_fetch(engine));
    ck_assert_float_eq(engine->weights[0], kept);
    job_close(&job);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("module");
    TCase *tcase = tcase_create("module");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 180);
    ADD(tcase, ten_steps_in_float32_are_the_CPUs);
    ADD(tcase, ten_steps_in_bfloat16_are_near_the_CPUs);
    ADD(tcase, no_order_of_streams_changes_a_bit);
    ADD(tcase, a_checkpoint_goes_on_on_the_other_device);
    ADD(tcase, features_of_an_image_are_the_CPUs);
    ADD_EMULATED(tcase, what_is_missing_is_named);
    ADD_EMULATED(tcase, too_little_memory_is_said_before_the_first_step);
    ADD_EMULATED(tcase, a_lost_device_is_an_error_and_the_checkpoint_stays);
    ADD(tcase, a_module_made_with_other_headers_is_refused);
    ADD(tcase, a_number_gone_bad_is_named_and_nothing_is_updated);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("faults"); /* $CK_RUN_CASE chooses one */
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 180);
    ADD_EMULATED(tcase, any_call_of_the_runtime_may_fail);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
