/* A network that the library does not know, on the emulated device: the CPU's numbers, and its own bits after a resume. */
#include "../blobs.h"
#include "device.h"

#include "../core/nn/two_levels.h"
#include "api/pretrain/trainer.h"
#include "core/base/files.h"

#include <libcover/cover.h>

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 4 };

static char folder[64], data_path[96], module[4096];

static cover_context *context_of(const char *device) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    cover_context *made;
    options.device = device, options.threads = 2, options.deterministic = 1;
    if (strcmp(device, "cpu") != 0) options.device_module = module;
    ck_assert_ok(cover_context_create(&made, &options));
    made->added = two_levels_rows;
    return made;
}

static void setup(void) {
    char images[128];
    ssize_t length = readlink("/proc/self/exe", module, sizeof module - 1);
    module[length] = 0;
    snprintf(strrchr(module, '/'), 64, "/../cudasim/libcover-cuda-emulated.so");
    cudasim_reset();
    snprintf(folder, sizeof folder, "/tmp/cover-cuda-backbone-%ld", (long)getpid());
    ck_assert_ok(folder_create(folder));
    snprintf(images, sizeof images, "%s/images", folder);
    snprintf(data_path, sizeof data_path, "%s/data.h5", folder);
    cover_context *host = context_of("cpu");
    write_blobs(host, images, 6, 1, 40, 44);
    ck_assert_ok(cover_dataset_pack(NULL, host, (const char *[]){images}, 1, data_path, NULL));
    cover_context_destroy(host);
}
static void teardown(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

struct figures {
    double loss[STEPS], norm[STEPS];
};

/* The steps [from, to) on a device. */
static void train(struct figures *figures, const char *device, int from, int to, const char *load, const char *save) {
    cover_context *context = context_of(device);
    cover_dataset *dataset;
    cover_config *config;
    cover_trainer *trainer;
    ck_assert_ok(cover_dataset_open(&dataset, context, data_path));
    ck_assert_ok(two_levels_config(&config, context));
    ck_assert_ok(cover_trainer_create(&trainer, context, dataset, config));
    if (load) ck_assert_ok(cover_trainer_load(trainer, load));
    for (int i = from; i < to; i++) {
        cover_step_report report = COVER_STEP_REPORT_INIT;
        ck_assert_ok(cover_trainer_step(&report, trainer));
        figures->loss[i] = report.loss, figures->norm[i] = report.grad_norm;
    }
    if (save) ck_assert_ok(cover_trainer_save(trainer, save));
    cover_trainer_destroy(trainer);
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
    cover_context_destroy(context);
}

static void near(double a, double b, double bound, int step) {
    ck_assert_msg(fabs(a - b) <= bound * fabs(a), "step %d: %.9g on the CPU, %.9g on the device", step, a, b);
}

START_TEST(another_network_trains_and_resumes_on_a_device) {
    char path[128];
    struct figures cpu, whole, parts;
    snprintf(path, sizeof path, "%s/checkpoint.h5", folder);
    train(&cpu, "cpu", 0, STEPS, NULL, NULL);
    train(&whole, "cuda", 0, STEPS, NULL, NULL);
    train(&parts, "cuda", 0, 2, NULL, path);
    train(&parts, "cuda", 2, STEPS, path, NULL);
    for (int i = 0; i < STEPS; i++) {
        near(cpu.loss[i], whole.loss[i], 1e-3, i + 1);
        near(cpu.norm[i], whole.norm[i], 2e-2, i + 1);
        ck_assert(whole.loss[i] == parts.loss[i] && whole.norm[i] == parts.norm[i]);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cuda backbone");
    TCase *tcase = tcase_create("backbone");
    tcase_set_timeout(tcase, 200);
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, another_network_trains_and_resumes_on_a_device);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
