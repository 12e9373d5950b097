/* Ranks with a GPU each, emulated, one a thread: they train as one does, over the double of NCCL; and what happens when one is lost. */
#include "../comm/together.h"

#include "../comm/fixture.h"

#include <cudasim.h>
#include <cudasim_nccl.h>

enum { STEPS = 10 };

static char module[4096];

static void devices(void) {
    ssize_t length = readlink("/proc/self/exe", module, sizeof module - 64);
    module[length] = 0;
    snprintf(strrchr(module, '/'), 64, "/../cudasim/libcover-cuda-emulated.so");
    cudasim_reset();
    cudasim_devices(2, 0, 0);
    setup();
    set("crop", "16x16");
    set("batch", "3");
    set("lr", "1e-4");
}

struct trial {
    int steps;
    cover_step_report report[2][STEPS];
    /* of the last call */
    cover_status status[2];
    char text[2][512];
    double seconds[2];
    int fault_at; /* before this step rank 1 is lost; 0 = never */
    void (*fault)(int rank);
};

static void work(cover_context *own, int rank, void *user) {
    struct trial *trial = user;
    cover_dataset *dataset;
    cover_trainer *trainer;
    ck_assert_ok(cover_dataset_open(&dataset, own, data_path));
    cover_config *mine = own_config();
    ck_assert_ok(cover_trainer_create(&trainer, own, dataset, mine));
    cover_config_destroy(mine);
    for (int i = 0; i < trial->steps && trial->status[rank] == COVER_OK; i++) {
        if (trial->fault_at == i + 1) trial->fault(1); /* twice is no harm */
        double start = seconds_now();
        trial->report[rank][i] = (cover_step_report)COVER_STEP_REPORT_INIT;
        trial->status[rank] = cover_trainer_step(&trial->report[rank][i], trainer);
        trial->seconds[rank] = seconds_now() - start;
        if (trial->status[rank] != COVER_OK) snprintf(trial->text[rank], sizeof trial->text[rank], "%s", cover_error_text());
    }
    cover_trainer_destroy(trainer);
    cover_dataset_destroy(dataset);
}

static void train(struct trial *trial, int ranks, double deadline) {
    run_together(&(struct together){
        .ranks = ranks, .threads = 1, .deadline_seconds = deadline, .module = module, .work = work, .user = trial});
}

static void nothing_is_left(void) {
    struct cudasim_alive alive;
    cudasim_alive(&alive);
    ck_assert_int_eq(alive.streams + alive.events + alive.graphs + alive.pinned + alive.allocations, 0);
    ck_assert_int_eq(cudasim_nccl_alive(), 0);
}

START_TEST(ten_steps_of_two_ranks_are_those_of_one) {
    struct trial one = {.steps = STEPS}, two = one;
    train(&one, 1, 0);
    train(&two, 2, 0);
    for (int rank = 0; rank < 2; rank++)
        ck_assert_msg(two.status[rank] == COVER_OK, "rank %d: %s; %s", rank, two.text[rank], cudasim_message());
    for (int i = 0; i < STEPS; i++) {
        const cover_step_report *a = &one.report[0][i], *b = &two.report[0][i], *c = &two.report[1][i];
        ck_assert_msg(fabs(a->loss - b->loss) <= 1e-3 * a->loss, "step %d: %.9g of one rank, %.9g of two", i + 1, a->loss, b->loss);
        ck_assert_int_eq(a->count, b->count);
        ck_assert(b->loss == c->loss && b->grad_norm == c->grad_norm); /* every rank has the same gradient */
    }
    nothing_is_left();
}
END_TEST

static void lost(void (*fault)(int rank), double deadline, double least, double most) {
    struct trial trial = {.steps = STEPS, .fault_at = 4, .fault = fault};
    train(&trial, 2, deadline);
    for (int rank = 0; rank < 2; rank++) {
        ck_assert_msg(trial.status[rank] == COVER_ERROR_RANK, "rank %d: %s: %s", rank, cover_status_name(trial.status[rank]),
                      trial.text[rank]);
        ck_assert_msg(trial.seconds[rank] >= least && trial.seconds[rank] <= most, "rank %d was told after %.2f seconds: %s", rank,
                      trial.seconds[rank], trial.text[rank]);
    }
    nothing_is_left();
}
START_TEST(a_GPU_whose_reduction_hangs_is_noticed_at_the_deadline) { lost(cudasim_nccl_hang, 3, 2.9, 5); }
END_TEST
START_TEST(a_rank_that_NCCL_reports_dead_stops_all) { lost(cudasim_nccl_kill, 20, 0, 5); }
END_TEST

START_TEST(a_GPU_that_fails_in_one_rank_stops_all_with_its_error) {
    struct trial trial = {.steps = STEPS, .fault_at = 3};
    void lose(int rank) { cudasim_lose_device(rank, cudaErrorLaunchFailure); }
    trial.fault = lose;
    train(&trial, 2, 20);
    for (int rank = 0; rank < 2; rank++)
        ck_assert_msg(trial.status[rank] == COVER_ERROR_DEVICE && strstr(trial.text[rank], "CUDA"), "rank %d: %s: %s", rank,
                      cover_status_name(trial.status[rank]), trial.text[rank]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ranks");
    TCase *tcase = tcase_create("ranks");
    tcase_add_checked_fixture(tcase, devices, teardown);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, ten_steps_of_two_ranks_are_those_of_one);
    ADD(tcase, a_GPU_whose_reduction_hangs_is_noticed_at_the_deadline);
    ADD(tcase, a_rank_that_NCCL_reports_dead_stops_all);
    ADD(tcase, a_GPU_that_fails_in_one_rank_stops_all_with_its_error);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
