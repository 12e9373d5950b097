/* Training with the objective of meeting.h, for the tests of CPU, ranks and emulated CUDA. */
#ifndef COVER_TESTS_MEETING_TRIAL_H
#define COVER_TESTS_MEETING_TRIAL_H

#include "../../blobs.h"
#include "api/pretrain/trainer.h"
#include "core/base/files.h"
#include "meeting.h"

#include <libcover/cover.h>

#include <stdio.h>
#include <unistd.h>

enum { TRIAL_STEPS = 7 };
struct trial {
    double loss[TRIAL_STEPS], norm[TRIAL_STEPS];
    float *weights;
    size_t bytes;
    struct meeting_state state;
};

static char trial_folder[64], trial_data[96];

static inline void trial_pack(void) {
    char images[128];
    cover_context *context;
    snprintf(trial_folder, sizeof trial_folder, "/tmp/cover-meeting-%ld", (long)getpid());
    snprintf(images, sizeof images, "%s/images", trial_folder);
    snprintf(trial_data, sizeof trial_data, "%s/data.h5", trial_folder);
    ck_assert_ok(folder_create(trial_folder));
    ck_assert_ok(cover_context_create(&context, NULL));
    write_blobs(context, images, 6, 1, 40, 44);
    ck_assert_ok(cover_dataset_pack(NULL, context, (const char *[]){images}, 1, trial_data, NULL));
    cover_context_destroy(context);
}
static inline void trial_remove(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", trial_folder);
    ck_assert_int_eq(system(command), 0);
}
static inline const char *trial_path(const char *name) {
    static char path[4][128];
    static int next;
    char *made = path[next++ % 4];
    snprintf(made, sizeof path[0], "%s/%s", trial_folder, name);
    return made;
}

/* The steps [from, to) in a context that has the rows. */
static inline void trial_train(struct trial *trial, cover_context *context, const char *lanes, int from, int to, const char *load,
                               const char *save) {
    cover_dataset *dataset;
    cover_config *config;
    cover_trainer *trainer;
    ck_assert_ok(cover_dataset_open(&dataset, context, trial_data));
    ck_assert_ok(two_levels_config(&config, context));
    ck_assert_ok(cover_config_set(config, "objective", "meeting"));
    ck_assert_ok(cover_config_set(config, "lanes", lanes));
    ck_assert_ok(cover_trainer_create(&trainer, context, dataset, config));
    if (load) ck_assert_ok(cover_trainer_load(trainer, load));
    for (int i = from; i < to; i++) {
        cover_step_report report = COVER_STEP_REPORT_INIT;
        ck_assert_ok(cover_trainer_step(&report, trainer));
        ck_assert_str_eq(report.figures[0].name, "apart");
        ck_assert(report.figures[0].value == report.loss);
        trial->loss[i] = report.loss, trial->norm[i] = report.grad_norm;
    }
    if (save) ck_assert_ok(cover_trainer_save(trainer, save));
    struct engine *engine = trainer->core.engine;
    ck_assert_ok(engine_fetch(engine));
    trial->state = *(const struct meeting_state *)trainer->run.state;
    free(trial->weights);
    trial->bytes = (size_t)engine->model.parameters.floats * sizeof(float);
    trial->weights = memcpy(malloc(trial->bytes), engine->weights, trial->bytes);
    cover_trainer_destroy(trainer);
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
}

static inline void trial_same(const struct trial *a, const struct trial *b, int from, int to) {
    for (int i = from; i < to; i++)
        ck_assert_msg(a->loss[i] == b->loss[i] && a->norm[i] == b->norm[i], "step %d: %.17g and %.17g", i + 1, a->loss[i],
                      b->loss[i]);
    ck_assert_uint_eq(a->bytes, b->bytes);
    ck_assert_mem_eq(a->weights, b->weights, a->bytes);
    ck_assert_mem_eq(a->state.centre, b->state.centre, sizeof a->state.centre);
    ck_assert(a->state.noise == b->state.noise && a->state.steps == b->state.steps);
}

#endif
