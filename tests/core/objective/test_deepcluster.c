/* DeepCluster's periods: clusters and figures, the top layer, what is in its files; images that are too few, memory that does not suffice,
 * an end in the middle.  That bits are the same over threads, lanes, ranks and after a resume, test_objectives.c says of all objectives. */
#include "core/base/memory.h"
#include "deepcluster_trial.h"
#include "io/weights/checkpoint.h"

#include <math.h>

static cover_context *context;
static struct clustered made;
static void setup(void) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = 2;
    ck_assert_ok(cover_context_create(&context, &options));
    clustered_pack();
    made = clustered_open(context);
}
static void teardown(void) {
    clustered_close(&made);
    cover_context_destroy(context);
    clustered_remove();
}

static cover_step_report step(void) {
    cover_step_report report = COVER_STEP_REPORT_INIT;
    ck_assert_ok(cover_trainer_step(&report, made.trainer));
    return report;
}
static const char *checkpoint(void) {
    static char path[96];
    snprintf(path, sizeof path, "%s/checkpoint.h5", clustered_folder);
    return path;
}
/* An array of the state, as a checkpoint has it; free() it. */
static int32_t *saved(const char *name) {
    struct checkpoint_file *file;
    uint8_t *data;
    int64_t bytes;
    ck_assert_ok(cover_trainer_save(made.trainer, checkpoint()));
    ck_assert_ok(checkpoint_open(&file, context, checkpoint()));
    ck_assert_ok(checkpoint_read_state(file, name, &data, &bytes));
    ck_assert_int_eq(bytes, CLUSTERED_IMAGES * sizeof(int32_t));
    int32_t *copy = memcpy(malloc((size_t)bytes), data, (size_t)bytes);
    memory_free(context, data);
    checkpoint_close(file);
    return copy;
}
static const float *moments_of_top(int64_t *count) {
    struct engine *engine = made.trainer->core.engine;
    const struct parameters *parameters = &engine->model.parameters;
    const struct parameter *row = &parameters->rows[parameters_find(parameters, "top.weight")];
    ck_assert_ok(engine_fetch(engine));
    *count = row->count;
    return engine->m + row->offset;
}

START_TEST(a_period_has_the_clusters_that_its_figures_tell_and_the_next_one_has_others) {
    cover_step_report report = step(); /* its figures are the trainer's, until the next step */
    int32_t *label = saved("labels");
    int members[CLUSTERED] = {0}, used = 0, largest = 0;
    for (int i = 0; i < CLUSTERED_IMAGES; i++) ck_assert(label[i] >= 0 && label[i] < CLUSTERED), members[label[i]]++;
    for (int k = 0; k < CLUSTERED; k++) used += members[k] > 0, largest = members[k] > largest ? members[k] : largest;
    ck_assert(clustered_figure(&report, "used_clusters") == used);
    ck_assert_double_eq_tol(clustered_figure(&report, "zero"), log(used), 1e-12);
    ck_assert_double_eq_tol(clustered_figure(&report, "largest_cluster"), (double)largest / CLUSTERED_IMAGES, 1e-12);
    ck_assert_double_eq_tol(report.loss, log(CLUSTERED), 0.05); /* the top layer is new */
    const double distance = clustered_figure(&report, "cluster_distance");
    ck_assert(distance > 0 && clustered_figure(&report, "mutual_information") == 0);
    for (int i = 1; i < CLUSTERED_PERIOD; i++) {
        report = step();
        ck_assert(clustered_figure(&report, "cluster_distance") == distance);
    }
    report = step();
    int32_t *before = saved("labels_before");
    ck_assert_mem_eq(label, before, CLUSTERED_IMAGES * sizeof *label);
    ck_assert(clustered_figure(&report, "cluster_distance") != distance);
    ck_assert(clustered_figure(&report, "mutual_information") > 0 && clustered_figure(&report, "mutual_information") <= 1 + 1e-12);
    ck_assert_double_eq_tol(report.loss, log(CLUSTERED), 0.05);
    free(label), free(before);
}
END_TEST

/* At a period's first step Adam knows nothing of the top layer: after it |m| is a tenth of that step's gradient alone. */
START_TEST(the_top_layer_of_a_period_is_new_and_so_are_its_moments) {
    int64_t count;
    float old[64 * CLUSTERED];
    for (int i = 0; i < CLUSTERED_PERIOD; i++) (void)step();
    const float *m = moments_of_top(&count);
    ck_assert_int_le(count, (int64_t)(sizeof old / sizeof *old));
    memcpy(old, m, (size_t)count * sizeof *old);
    (void)step();
    m = moments_of_top(&count);
    const struct engine *engine = made.trainer->core.engine;
    const struct parameters *parameters = &engine->model.parameters;
    const int64_t at = parameters->rows[parameters_find(parameters, "top.weight")].offset;
    double largest = 0;
    for (int64_t i = 0; i < count; i++) {
        ck_assert_float_eq_tol(m[i], 0.1f * engine->gradient[at + i] / 4, 1e-6f);
        largest = fmax(largest, fabs((double)engine->weights[at + i]));
    }
    ck_assert(largest < 0.06 && memcmp(old, m, (size_t)count * sizeof *old) != 0);
    ck_assert_int_eq(engine->updates, CLUSTERED_PERIOD + 1);
}
END_TEST

static cover_status create_with(const char *name, const char *value, const char *another, const char *its) {
    cover_config *config = clustered_config(context);
    cover_trainer *trainer = NULL;
    ck_assert_ok(cover_config_set(config, name, value));
    if (another) ck_assert_ok(cover_config_set(config, another, its));
    cover_status status = cover_trainer_create(&trainer, context, made.dataset, config);
    cover_trainer_destroy(trainer);
    cover_config_destroy(config);
    return status;
}

START_TEST(fewer_images_than_clusters_and_more_axes_than_channels_are_refused_with_what_would_do) {
    ck_assert_fails(create_with("clusters", "13", NULL, NULL), COVER_ERROR_ARGUMENT,
                    "clusters=13: the dataset has 12 images; use no more clusters than images, or 0 for a 40th of them");
    ck_assert_fails(create_with("clusters", "1", NULL, NULL), COVER_ERROR_ARGUMENT, "clusters=1: use 2 at least");
    ck_assert_fails(create_with("pca", "17", NULL, NULL), COVER_ERROR_ARGUMENT,
                    "pca=17: the coarsest features have 16 channels; use 16 at most, or 0");
    ck_assert_ok(create_with("clusters", "12", "pca", "16"));
    ck_assert_ok(create_with("clusters", "0", "pca", "0"));
}
END_TEST

START_TEST(memory_of_a_period_is_planned_and_refused_before_a_run_begins) {
    cover_plan plan = COVER_PLAN_INIT, own = COVER_PLAN_INIT;
    cover_config *config = clustered_config(context);
    char *json;
    ck_assert_ok(cover_config_set(config, "pca", "3"));
    ck_assert_ok(cover_plan_compute(&plan, context, config, 1));
    ck_assert_uint_eq(plan.image_bytes, (16 + 2 * 3 + 2) * sizeof(float));
    ck_assert_ok(cover_trainer_plan(&own, made.trainer));
    ck_assert_uint_eq(own.image_bytes, plan.image_bytes);
    ck_assert_uint_eq(own.total_bytes, plan.total_bytes + CLUSTERED_IMAGES * plan.image_bytes);
    ck_assert_ok(cover_plan_json(&json, context, &plan));
    ck_assert_ptr_nonnull(strstr(json, "\"per_image\": 96"));
    cover_text_release(context, json);
    cover_config_destroy(config);
    context->memory_limit_bytes = memory_now(context) + 100;
    ck_assert_fails(create_with("clusters", "3", NULL, NULL), COVER_ERROR_MEMORY, "memory limit");
    context->memory_limit_bytes = 0;
}
END_TEST

/* Each step tries again from where it is. */
START_TEST(a_period_that_ends_in_the_middle_is_begun_again) {
    cover_step_report report = COVER_STEP_REPORT_INIT, whole[CLUSTERED_STEPS];
    for (int i = 0; i < CLUSTERED_STEPS; i++) whole[i] = step();
    clustered_close(&made);
    made = clustered_open(context);
    for (int i = 0; i < CLUSTERED_STEPS; i++) {
        if (i % CLUSTERED_PERIOD == 0) {
            context->memory_limit_bytes = 1;
            ck_assert_int_eq(cover_trainer_step(&report, made.trainer), COVER_ERROR_MEMORY);
            context->memory_limit_bytes = 0;
            cover_context_cancel(context);
            ck_assert_int_eq(cover_trainer_step(&report, made.trainer), COVER_ERROR_CANCELLED);
            cover_context_resume(context);
        }
        report = step();
        ck_assert(report.loss == whole[i].loss && report.grad_norm == whole[i].grad_norm);
    }
}
END_TEST

START_TEST(labels_of_a_file_that_are_no_clusters_are_refused) {
    struct state { /* as far as its arrays lie */
        int32_t *label, *before;
        double figure[1];
    } *state = made.trainer->run.state;
    (void)step();
    for (int way = 0; way < 3; way++) {
        const int32_t label = state->label[2], before = state->before[3];
        const double figure = state->figure[0];
        if (way == 0) state->label[2] = CLUSTERED;
        if (way == 1) state->before[3] = -1;
        if (way == 2) state->figure[0] = NAN;
        ck_assert_ok(cover_trainer_save(made.trainer, checkpoint()));
        state->label[2] = label, state->before[3] = before, state->figure[0] = figure;
        static const char *const texts[] = {"checkpoint.h5: image 2 is in cluster 3 of 3",
                                            "checkpoint.h5: image 3 is in cluster -1 of 3",
                                            "checkpoint.h5: figure 0 of a period is not finite"};
        ck_assert_fails(cover_trainer_load(made.trainer, checkpoint()), COVER_ERROR_FORMAT, texts[way]);
        clustered_close(&made);
        made = clustered_open(context);
        state = made.trainer->run.state;
        (void)step();
    }
}
END_TEST

/* Whatever the clusters' sizes: twelve samples of three clusters are four of each. */
START_TEST(the_samples_of_a_period_have_the_same_share_of_each_cluster) {
    struct objective_run *run = &made.trainer->run;
    const struct objective *objective = made.trainer->objective;
    struct sample_maker *maker = malloc(objective->maker_bytes);
    float *memory;
    void *worker;
    int members[CLUSTERED] = {0};
    (void)step();
    ck_assert_ok(objective->maker(maker, run));
    ck_assert_ok(maker->worker_create(&worker, maker));
    memory = malloc((size_t)maker->floats * sizeof *memory);
    for (int64_t number = 0; number < CLUSTERED_PERIOD * 4; number++) {
        struct sample sample;
        ck_assert_ok(maker->draw(maker, worker, &sample, memory, number));
        members[(int)sample.input[1][0]]++;
    }
    for (int k = 0; k < CLUSTERED; k++) ck_assert_int_le(members[k], 5);
    maker->worker_destroy(worker);
    free(maker), free(memory);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("deepcluster");
    TCase *tcase = tcase_create("deepcluster");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, a_period_has_the_clusters_that_its_figures_tell_and_the_next_one_has_others);
    ADD(tcase, the_top_layer_of_a_period_is_new_and_so_are_its_moments);
    ADD(tcase, fewer_images_than_clusters_and_more_axes_than_channels_are_refused_with_what_would_do);
    ADD(tcase, memory_of_a_period_is_planned_and_refused_before_a_run_begins);
    ADD(tcase, a_period_that_ends_in_the_middle_is_begun_again);
    ADD(tcase, labels_of_a_file_that_are_no_clusters_are_refused);
    ADD(tcase, the_samples_of_a_period_have_the_same_share_of_each_cluster);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
