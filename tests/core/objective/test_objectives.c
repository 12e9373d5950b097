/* Every objective of the table, as settings find it: the same bits over lanes, threads and ranks and after a resume at any step; in bf16
 * and in 3D; settings of others are refused; weights that fine-tuning takes. */
#include "../../blobs.h"
#include "../../comm/together.h"
#include "api/pretrain/trainer.h"
#include "core/base/files.h"

#include <libcover/cover.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 4 };
static const char *const common[][2] = {{"widths", "8,8,8,16,16,16,8,8,8"}, {"batch", "4"}, {"steps", "4"}, {"lr", "1e-3"}};

/* What a method wants otherwise, so that it fits small images. */
static const struct special {
    const char *objective, *setting[8][2];
} special[] = {
    {"cover", {{"heads", "2,2,1,1,1"}}},
    {"inpainting", {{"adversarial", "0.05"}, {"discriminator", "8,16"}}},
    {"deepcluster", {{"clusters", "3"}, {"reassign_least", "2"}}},
    {"densecl", {{"cell", "8"}, {"hidden", "32"}, {"projection", "16"}}},
    {"setsim", {{"cell", "8"}, {"hidden", "32"}, {"projection", "16"}, {"attention", "0.3"}}},
    {"pixpro", {{"cell", "8"}, {"hidden", "32"}, {"projection", "16"}}},
    {"dsc_pm", {{"cell", "8"}, {"hidden", "32"}, {"projection", "16"}, {"prototypes", "5"}}},
    {"vader", {{"cell", "8"}, {"hidden", "32"}, {"projection", "16"}, {"points", "6"}, {"queue", "50"}}},
};

static char folder[64], data[2][96];
static const char *path_of(const char *name) {
    static char path[4][128];
    static int next;
    char *made = path[next++ % 4];
    snprintf(made, sizeof path[0], "%s/%s", folder, name);
    return made;
}

static void pack_blobs(void) {
    cover_context *context;
    snprintf(folder, sizeof folder, "/tmp/cover-objectives-%ld", (long)getpid());
    ck_assert_ok(folder_create(folder));
    ck_assert_ok(cover_context_create(&context, NULL));
    for (int volume = 0; volume < 2; volume++) {
        const char *images = path_of(volume ? "volumes" : "images");
        snprintf(data[volume], sizeof data[volume], "%s/data%d.h5", folder, volume);
        if (volume) write_volumes(context, images, 5, 1, 36);
        else write_blobs(context, images, 10, 1, 44, 44);
        ck_assert_ok(cover_dataset_pack(NULL, context, (const char *[]){images}, 1, data[volume], NULL));
    }
    cover_context_destroy(context);
}
static void remove_blobs(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* Rows of the table; NULL past the end. */
static const char *name_at(int index) {
    static const char *const names[] = {
#define OBJECTIVE(name) #name,
#include "core/settings/objectives.def"
#undef OBJECTIVE
    };
    return index < (int)(sizeof names / sizeof *names) ? names[index] : NULL;
}
enum {
#define OBJECTIVE(name) OBJECTIVE_##name,
#include "core/settings/objectives.def"
#undef OBJECTIVE
    OBJECTIVES
};

static cover_config *config_of(cover_context *context, const char *objective, bool volume, bool half, const char *lanes) {
    cover_config *config;
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    if (volume) ck_assert_ok(cover_config_set(config, "dims", "3"));
    ck_assert_ok(cover_config_set(config, "crop", volume ? "32x32x32" : "32x32"));
    ck_assert_ok(cover_config_set(config, "work", volume ? "0x0x0" : "0x0"));
    ck_assert_ok(cover_config_set(config, "objective", objective));
    ck_assert_ok(cover_config_set(config, "precision", half ? "bf16" : "fp32"));
    ck_assert_ok(cover_config_set(config, "lanes", lanes));
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) ck_assert_ok(cover_config_set(config, common[i][0], common[i][1]));
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        for (int k = 0; k < 8 && special[i].setting[k][0]; k++)
            if (strcmp(special[i].objective, objective) == 0)
                ck_assert_ok(cover_config_set(config, special[i].setting[k][0], special[i].setting[k][1]));
    return config;
}

struct trial {
    double loss[STEPS], norm[STEPS];
    float *weights;
    size_t bytes;
};
static void train(struct trial *trial, cover_context *context, const char *objective, bool volume, bool half, const char *lanes,
                  int from, int to, const char *load, const char *save) {
    cover_dataset *dataset;
    cover_trainer *trainer;
    cover_config *config = config_of(context, objective, volume, half, lanes);
    ck_assert_ok(cover_dataset_open(&dataset, context, data[volume]));
    ck_assert_ok(cover_trainer_create(&trainer, context, dataset, config));
    if (load) ck_assert_ok(cover_trainer_load(trainer, load));
    for (int i = from; i < to; i++) {
        cover_step_report report = COVER_STEP_REPORT_INIT;
        ck_assert_ok(cover_trainer_step(&report, trainer));
        ck_assert_msg(report.grad_norm > 0, "%s, step %d: the gradient is 0", objective, i + 1);
        trial->loss[i] = report.loss, trial->norm[i] = report.grad_norm;
    }
    if (save) ck_assert_ok(cover_trainer_save(trainer, save));
    struct engine *engine = trainer->core.engine;
    ck_assert_ok(engine_fetch(engine));
    free(trial->weights);
    trial->bytes = (size_t)engine->model.parameters.floats * sizeof(float);
    trial->weights = memcpy(malloc(trial->bytes), engine->weights, trial->bytes);
    cover_trainer_destroy(trainer);
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
}
static struct trial train_with(int threads, const char *objective, bool volume, bool half, const char *lanes, int from, int to,
                               const char *load, const char *save) {
    struct trial trial = {0};
    cover_context *context;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = threads;
    ck_assert_ok(cover_context_create(&context, &options));
    train(&trial, context, objective, volume, half, lanes, from, to, load, save);
    cover_context_destroy(context);
    return trial;
}
static void same(const char *what, const struct trial *a, struct trial *b, int from, int to) {
    for (int i = from; i < to; i++)
        ck_assert_msg(a->loss[i] == b->loss[i] && a->norm[i] == b->norm[i], "%s, step %d: %.17g and %.17g", what, i + 1, a->loss[i],
                      b->loss[i]);
    ck_assert_uint_eq(a->bytes, b->bytes);
    ck_assert_msg(memcmp(a->weights, b->weights, a->bytes) == 0, "%s: other weights", what);
    free(b->weights);
}

START_TEST(lanes_and_threads_change_no_bit) {
    const char *name = name_at(_i);
    struct trial one = train_with(1, name, false, false, "0", 0, STEPS, NULL, NULL);
    ck_assert_msg(one.loss[0] != one.loss[1], "%s: the loss does not move", name);
    static const struct {
        int threads;
        const char *lanes;
    } ways[] = {{2, "0"}, {2, "1"}, {3, "3"}, {8, "4"}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct trial other = train_with(ways[i].threads, name, false, false, ways[i].lanes, 0, STEPS, NULL, NULL);
        same(name, &one, &other, 0, STEPS);
    }
    free(one.weights);
}
END_TEST

START_TEST(a_run_is_resumed_exactly_at_every_step) {
    const char *name = name_at(_i);
    struct trial whole = train_with(2, name, false, false, "0", 0, STEPS, NULL, NULL);
    for (int cut = 1; cut < STEPS; cut++) {
        const char *path = path_of("checkpoint.h5");
        struct trial first = train_with(2, name, false, false, "2", 0, cut, NULL, path);
        struct trial second = train_with(1, name, false, false, "1", cut, STEPS, path, NULL);
        same(name, &whole, &second, cut, STEPS);
        free(first.weights);
    }
    free(whole.weights);
}
END_TEST

struct rank_trial {
    const char *name;
    struct trial rank[TOGETHER_MOST];
};
static void rank_work(cover_context *own, int rank, void *user) {
    struct rank_trial *trials = user;
    train(&trials->rank[rank], own, trials->name, false, false, "0", 0, STEPS, NULL, NULL);
}
START_TEST(ranks_change_no_bit) {
    struct rank_trial trials = {.name = name_at(_i)};
    struct trial alone = train_with(1, trials.name, false, false, "0", 0, STEPS, NULL, NULL);
    run_together(&(struct together){.ranks = 2, .work = rank_work, .user = &trials});
    for (int r = 0; r < 2; r++) same(trials.name, &alone, &trials.rank[r], 0, STEPS);
    free(alone.weights);
}
END_TEST

START_TEST(volumes_and_bf16_train_and_keep_their_bits) {
    for (int way = 1; way < 4; way++) {
        const bool volume = way & 1, half = way & 2;
        struct trial one = train_with(1, name_at(_i), volume, half, "0", 0, 2, NULL, NULL);
        struct trial other = train_with(4, name_at(_i), volume, half, "2", 0, 2, NULL, NULL);
        same(name_at(_i), &one, &other, 0, 2);
        free(one.weights);
    }
}
END_TEST

/* One that only others have is told by its name. */
START_TEST(a_setting_of_another_objective_is_refused) {
    cover_context *context;
    ck_assert_ok(cover_context_create(&context, NULL));
    cover_config *config = config_of(context, "denoising", false, false, "0");
    cover_plan plan = COVER_PLAN_INIT;
    ck_assert_ok(cover_plan_compute(&plan, context, config, 1));
    ck_assert_ok(cover_config_set(config, "radius", "2"));
    ck_assert_int_eq(cover_plan_compute(&plan, context, config, 1), COVER_ERROR_ARGUMENT);
    ck_assert_msg(strstr(cover_error_text(), "radius=2: objective denoising has no such setting; leave it at 3"), "%s",
                  cover_error_text());
    cover_config_destroy(config);
    cover_context_destroy(context);
}
END_TEST

/* Cells must be of whole pixels of the level and fill the crop; a step's keys must have room in the queue. */
START_TEST(what_does_not_fit_a_dense_objective_is_refused_with_what_would_do) {
    static const struct {
        const char *setting, *value, *says;
    } cases[] = {
        {"cell", "12", "cell=12: cells are multiples of 1 pixels that fill the crop; set cell=8"},
        {"dense_level", "7", "dense_level=7: the backbone has 5 levels; set dense_level=4 or less"},
        {"dense_level", "0", "cell=8: cells are multiples of 16 pixels that fill the crop; set cell=16"},
        {"head_norm", "batch", "head_norm=batch: heads of cells see one image at a time; set head_norm=cells or none"},
        {"queue", "3", "queue=3: a step brings 4 keys; set queue=4 or more, or a smaller batch"},
    };
    cover_context *context;
    ck_assert_ok(cover_context_create(&context, NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cover_config *config = config_of(context, "densecl", false, false, "0");
        cover_plan plan = COVER_PLAN_INIT;
        ck_assert_ok(cover_config_set(config, cases[i].setting, cases[i].value));
        ck_assert_int_eq(cover_plan_compute(&plan, context, config, 1), COVER_ERROR_ARGUMENT);
        ck_assert_msg(strstr(cover_error_text(), cases[i].says) != NULL, "%s", cover_error_text());
        cover_config_destroy(config);
    }
    cover_context_destroy(context);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("every objective");
    TCase *tcase = tcase_create("objectives");
    tcase_set_timeout(tcase, 300);
    tcase_add_unchecked_fixture(tcase, pack_blobs, remove_blobs);
    tcase_add_loop_test(tcase, lanes_and_threads_change_no_bit, 0, OBJECTIVES);
    tcase_add_loop_test(tcase, a_run_is_resumed_exactly_at_every_step, 0, OBJECTIVES);
    tcase_add_loop_test(tcase, ranks_change_no_bit, 0, OBJECTIVES);
    tcase_add_loop_test(tcase, volumes_and_bf16_train_and_keep_their_bits, 0, OBJECTIVES);
    suite_add_tcase(suite, tcase);
    TCase *settings = tcase_create("settings");
    ADD(settings, a_setting_of_another_objective_is_refused);
    ADD(settings, what_does_not_fit_a_dense_objective_is_refused_with_what_would_do);
    suite_add_tcase(suite, settings);
    return run_suite(suite);
}
