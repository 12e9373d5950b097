/* Training with DeepCluster on a dozen images, two periods of three steps, for the tests of the CPU and of emulated CUDA. */
#ifndef COVER_TESTS_DEEPCLUSTER_TRIAL_H
#define COVER_TESTS_DEEPCLUSTER_TRIAL_H

#include "../../blobs.h"
#include "api/pretrain/trainer.h"
#include "core/base/files.h"

#include <libcover/cover.h>

#include <stdio.h>
#include <unistd.h>

enum { CLUSTERED_IMAGES = 12, CLUSTERED_STEPS = 6, CLUSTERED_PERIOD = 3, CLUSTERED = 3 };
static char clustered_folder[64], clustered_data[96];

static inline void clustered_pack(void) {
    char images[96];
    cover_context *context;
    snprintf(clustered_folder, sizeof clustered_folder, "/tmp/cover-deepcluster-%ld", (long)getpid());
    snprintf(images, sizeof images, "%s/images", clustered_folder);
    snprintf(clustered_data, sizeof clustered_data, "%s/data.h5", clustered_folder);
    ck_assert_ok(folder_create(clustered_folder));
    ck_assert_ok(cover_context_create(&context, NULL));
    write_blobs(context, images, CLUSTERED_IMAGES, 1, 44, 44);
    ck_assert_ok(cover_dataset_pack(NULL, context, (const char *[]){images}, 1, clustered_data, NULL));
    cover_context_destroy(context);
}
static inline void clustered_remove(void) {
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", clustered_folder);
    ck_assert_int_eq(system(command), 0);
}

static inline cover_config *clustered_config(cover_context *context) {
    static const char *const values[][2] = {{"objective", "deepcluster"},
                                            {"widths", "8,8,8,16,16,16,8,8,8"},
                                            {"crop", "32x32"},
                                            {"work", "0x0"},
                                            {"batch", "4"},
                                            {"steps", "6"},
                                            {"lr", "1e-3"},
                                            {"clusters", "3"},
                                            {"reassign_least", "3"}};
    cover_config *config;
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) ck_assert_ok(cover_config_set(config, values[i][0], values[i][1]));
    return config;
}

struct clustered {
    cover_dataset *dataset;
    cover_config *config;
    cover_trainer *trainer;
};
static inline struct clustered clustered_open(cover_context *context) {
    struct clustered made = {.config = clustered_config(context)};
    ck_assert_ok(cover_dataset_open(&made.dataset, context, clustered_data));
    ck_assert_ok(cover_trainer_create(&made.trainer, context, made.dataset, made.config));
    return made;
}
static inline void clustered_close(struct clustered *made) {
    cover_trainer_destroy(made->trainer);
    cover_config_destroy(made->config);
    cover_dataset_destroy(made->dataset);
}

static inline double clustered_figure(const cover_step_report *report, const char *name) {
    for (int i = 0; i < report->figure_count; i++)
        if (strcmp(report->figures[i].name, name) == 0) return report->figures[i].value;
    ck_abort_msg("no figure %s", name);
    return 0;
}

#endif
