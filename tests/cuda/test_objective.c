/* An objective that mixes its batch and keeps a state, on the emulated device: the CPU's numbers, its own bits after a resume, and with
 * a GPU each those of one rank; what is kept of many samples. */
#include "device.h"

#include "../comm/together.h"
#include "../core/objective/deepcluster_trial.h"
#include "../core/objective/meeting_trial.h"
#include "../core/train/embedding.h"

static char module[4096];

static void setup(void) {
    ssize_t length = readlink("/proc/self/exe", module, sizeof module - 1);
    module[length] = 0;
    snprintf(strrchr(module, '/'), 64, "/../cudasim/libcover-cuda-emulated.so");
    cudasim_reset();
    cudasim_devices(2, 0, 0);
    trial_pack();
}

static struct trial train(const char *device, int from, int to, const char *load, const char *save) {
    struct trial trial = {0};
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    cover_context *context;
    options.device = device, options.threads = 2, options.deterministic = 1;
    if (strcmp(device, "cpu") != 0) options.device_module = module;
    ck_assert_ok(cover_context_create(&context, &options));
    context->added = meeting_rows;
    trial_train(&trial, context, "0", from, to, load, save);
    cover_context_destroy(context);
    return trial;
}

static void near(double a, double b, double bound, int step) {
    ck_assert_msg(fabs(a - b) <= bound * fabs(a), "step %d: %.9g and %.9g", step, a, b);
}
static void check_near(const struct trial *a, const struct trial *b) {
    for (int i = 0; i < TRIAL_STEPS; i++) near(a->loss[i], b->loss[i], 1e-3, i + 1), near(a->norm[i], b->norm[i], 2e-2, i + 1);
    near((double)a->state.centre[1], (double)b->state.centre[1], 1e-3, TRIAL_STEPS);
}

START_TEST(samples_meet_on_a_device_as_they_do_on_the_cpu) {
    const char *path = trial_path("checkpoint.h5");
    struct trial cpu = train("cpu", 0, TRIAL_STEPS, NULL, NULL), whole = train("cuda", 0, TRIAL_STEPS, NULL, NULL);
    check_near(&cpu, &whole);
    struct trial first = train("cuda", 0, 3, NULL, path), second = train("cuda", 3, TRIAL_STEPS, path, NULL);
    trial_same(&whole, &second, 3, TRIAL_STEPS);
    free(cpu.weights), free(whole.weights), free(first.weights), free(second.weights);
}
END_TEST

static struct trial of_rank[2];
static void rank_work(cover_context *own, int rank, void *user) {
    (void)user;
    own->added = meeting_rows;
    trial_train(&of_rank[rank], own, "0", 0, TRIAL_STEPS, NULL, NULL);
}
START_TEST(samples_of_two_devices_meet) {
    struct trial alone = train("cuda", 0, TRIAL_STEPS, NULL, NULL);
    run_together(&(struct together){.ranks = 2, .module = module, .work = rank_work});
    trial_same(&of_rank[0], &of_rank[1], 0, TRIAL_STEPS);
    check_near(&alone, &of_rank[0]);
    free(alone.weights), free(of_rank[0].weights), free(of_rank[1].weights);
}
END_TEST

static float kept[3][EMBED_COUNT * EMBED_FLOATS];
static void embed_work(cover_context *own, int rank, void *user) {
    (void)user;
    embed_trial(own, 0, own->communicator, kept[rank]);
}
START_TEST(devices_keep_what_the_net_gives_of_many_samples) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    cover_context *context;
    options.device = "cuda", options.device_module = module;
    ck_assert_ok(cover_context_create(&context, &options));
    embed_trial(context, 0, NULL, kept[2]);
    cover_context_destroy(context);
    run_together(&(struct together){.ranks = 2, .module = module, .work = embed_work});
    ck_assert_mem_eq(kept[0], kept[1], sizeof kept[0]);
}
END_TEST

/* Two periods: the device embeds, the host clusters, and the top layer goes back to the device. */
static void clustered_on(const char *device, double loss[CLUSTERED_STEPS], double norm[CLUSTERED_STEPS]) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    cover_context *context;
    options.device = device, options.threads = 2;
    if (strcmp(device, "cpu") != 0) options.device_module = module;
    ck_assert_ok(cover_context_create(&context, &options));
    struct clustered made = clustered_open(context);
    for (int i = 0; i < CLUSTERED_STEPS; i++) {
        cover_step_report report = COVER_STEP_REPORT_INIT;
        ck_assert_ok(cover_trainer_step(&report, made.trainer));
        loss[i] = report.loss, norm[i] = report.grad_norm;
    }
    clustered_close(&made);
    cover_context_destroy(context);
}
START_TEST(clusters_on_a_device_are_those_of_the_cpu) {
    double loss[2][CLUSTERED_STEPS], norm[2][CLUSTERED_STEPS];
    clustered_pack();
    clustered_on("cpu", loss[0], norm[0]);
    clustered_on("cuda", loss[1], norm[1]);
    clustered_remove();
    for (int i = 0; i < CLUSTERED_STEPS; i++) near(loss[0][i], loss[1][i], 1e-3, i + 1), near(norm[0][i], norm[1][i], 2e-2, i + 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cuda objective");
    TCase *tcase = tcase_create("objective");
    tcase_set_timeout(tcase, 200);
    tcase_add_checked_fixture(tcase, setup, trial_remove);
    ADD(tcase, samples_meet_on_a_device_as_they_do_on_the_cpu);
    ADD(tcase, samples_of_two_devices_meet);
    ADD(tcase, clusters_on_a_device_are_those_of_the_cpu);
    ADD(tcase, devices_keep_what_the_net_gives_of_many_samples);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
