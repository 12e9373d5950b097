/* Ranks that train together: 1, 2 and 4 have the same bits, whatever number a run goes on with. */
#include "together.h"

#include "fixture.h"

enum { STEPS = 6 };

struct trial {
    int from, steps; /* steps before, and to make */
    const char *load, *save;
    double loss[STEPS], norm[STEPS];
    float *weights; /* of rank 0 */
    size_t bytes;
    int64_t share[TOGETHER_MOST];
    uint32_t sum[TOGETHER_MOST]; /* of each rank's weights */
};

static uint32_t checksum(const void *data, size_t bytes) {
    uint32_t sum = 2166136261u;
    for (size_t i = 0; i < bytes; i++) sum = (sum ^ ((const uint8_t *)data)[i]) * 16777619u;
    return sum;
}

static void train_work(cover_context *own, int rank, void *user) {
    struct trial *run = user;
    cover_dataset *dataset;
    cover_trainer *trainer;
    ck_assert_ok(cover_dataset_open(&dataset, own, data_path));
    cover_config *mine = own_config();
    ck_assert_ok(cover_trainer_create(&trainer, own, dataset, mine));
    cover_config_destroy(mine);
    if (run->load) ck_assert_ok(cover_trainer_load(trainer, run->load));
    for (int i = run->from; i < run->from + run->steps; i++) {
        cover_step_report report = COVER_STEP_REPORT_INIT;
        ck_assert_ok(cover_trainer_step(&report, trainer));
        ck_assert_int_eq(report.step, i + 1);
        if (rank == 0) run->loss[i] = report.loss, run->norm[i] = report.grad_norm;
    }
    size_t bytes = (size_t)trainer->core.engine->model.parameters.floats * sizeof(float);
    run->sum[rank] = checksum(trainer->core.engine->weights, bytes);
    run->share[rank] = trainer->core.engine->share.count;
    if (rank == 0) {
        run->weights = realloc(run->weights, bytes);
        run->bytes = bytes;
        memcpy(run->weights, trainer->core.engine->weights, bytes);
    }
    if (run->save) ck_assert_ok(cover_trainer_save(trainer, run->save));
    cover_trainer_destroy(trainer);
    cover_dataset_destroy(dataset);
}

static void train(struct trial *run, int ranks, int threads) {
    run_together(&(struct together){.ranks = ranks, .threads = threads, .work = train_work, .user = run});
    for (int r = 1; r < ranks; r++) ck_assert_uint_eq(run->sum[r], run->sum[0]);
}

static void check_same(const struct trial *a, const struct trial *b) {
    for (int i = 0; i < STEPS; i++) ck_assert(a->loss[i] == b->loss[i] && a->norm[i] == b->norm[i]);
    ck_assert_uint_eq(a->bytes, b->bytes);
    ck_assert_mem_eq(a->weights, b->weights, a->bytes);
}

START_TEST(one_two_and_four_ranks_give_the_same_bits) {
    struct trial one = {.steps = 3}, two = one, four = one;
    train(&one, 1, 2);
    train(&two, 2, 1);
    train(&four, 4, 1);
    check_same(&one, &two);
    check_same(&one, &four);
    ck_assert(two.share[0] == 2 && two.share[1] == 3);
    ck_assert(four.share[0] == 1 && four.share[3] == 2);
    free(one.weights), free(two.weights), free(four.weights);
}
END_TEST

START_TEST(a_run_goes_on_with_another_number_of_ranks) {
    struct trial whole = {.steps = 6}, part = {.steps = 2, .save = in_folder("a.h5")};
    char *second = in_folder("b.h5");
    train(&whole, 1, 1);
    train(&part, 2, 1);
    part.from = 2, part.load = part.save, part.save = second;
    train(&part, 4, 1);
    part.from = 4, part.load = second, part.save = NULL;
    train(&part, 1, 2);
    check_same(&whole, &part);
    free(whole.weights), free(part.weights);
}
END_TEST

START_TEST(three_ranks_share_a_batch_evenly_and_agree) {
    struct trial one = {.steps = 2}, three = one;
    train(&one, 1, 1);
    train(&three, 3, 1);
    ck_assert(three.share[0] == 1 && three.share[1] == 2 && three.share[2] == 2);
    ck_assert_double_eq_tol(one.loss[1], three.loss[1], 1e-4);
    free(one.weights), free(three.weights);
}
END_TEST

/* ---- what happens to one happens to all */

struct pair_of_trainers {
    cover_dataset *dataset;
    cover_trainer *trainer;
};
static struct pair_of_trainers begin(cover_context *own) {
    struct pair_of_trainers made;
    ck_assert_ok(cover_dataset_open(&made.dataset, own, data_path));
    cover_config *mine = own_config();
    ck_assert_ok(cover_trainer_create(&made.trainer, own, made.dataset, mine));
    cover_config_destroy(mine);
    ck_assert_ok(cover_trainer_step(NULL, made.trainer));
    return made;
}
static void end(struct pair_of_trainers *made) {
    cover_trainer_destroy(made->trainer);
    cover_dataset_destroy(made->dataset);
}

static void bad_number_work(cover_context *own, int rank, void *user) {
    (void)user;
    struct pair_of_trainers made = begin(own);
    struct engine *engine = made.trainer->core.engine;
    int row = parameters_find(&engine->model.parameters, "backbone.up2.conv.double_conv.0.bias");
    if (rank == 1) engine->weights[engine->model.parameters.rows[row].offset] = NAN;
    ck_assert_ok(engine_weights_changed(engine));
    ck_assert_int_eq(cover_trainer_step(NULL, made.trainer), COVER_ERROR_NUMERIC);
    ck_assert_msg(strstr(cover_error_text(), "step 2, pair 2: ") != NULL, "%s",
                  cover_error_text()); /* the first that is rank 1's */
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "backbone.up2.conv.double_conv.0"));
    ck_assert_int_eq(made.trainer->core.step, 1);
    end(&made);
}
START_TEST(a_number_that_goes_bad_on_one_rank_is_named_on_all) {
    run_together(&(struct together){.ranks = 2, .work = bad_number_work});
}
END_TEST

static cover_status unreadable(void *user, int64_t index, float **pixels, struct grid *grid, int *integer_max) {
    (void)user, (void)index, (void)pixels, (void)grid, (void)integer_max;
    return fail(COVER_ERROR_IO, "the disk is gone");
}
static void bad_image_work(cover_context *own, int rank, void *user) {
    (void)user;
    struct pair_of_trainers made;
    ck_assert_ok(cover_dataset_open(&made.dataset, own, data_path));
    cover_config *mine = own_config();
    ck_assert_ok(cover_trainer_create(&made.trainer, own, made.dataset, mine));
    cover_config_destroy(mine);
    struct sample_reader right = made.trainer->core.reader;
    if (rank == 2) made.trainer->core.reader.read = unreadable;
    ck_assert_int_eq(cover_trainer_step(NULL, made.trainer), COVER_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "the disk is gone"));
    made.trainer->core.reader = right; /* the step can be made again */
    ck_assert_ok(cover_trainer_step(NULL, made.trainer));
    end(&made);
}
START_TEST(an_image_that_one_rank_cannot_read_stops_all_and_the_step_can_be_tried_again) {
    run_together(&(struct together){.ranks = 4, .work = bad_image_work});
}
END_TEST

static void cancel_work(cover_context *own, int rank, void *user) {
    uint32_t *sum = user;
    struct pair_of_trainers made = begin(own);
    if (rank == 1) cover_context_cancel(own);
    ck_assert_int_eq(cover_trainer_step(NULL, made.trainer), COVER_ERROR_CANCELLED);
    ck_assert_int_eq(made.trainer->core.step, 1);
    cover_context_resume(own);
    ck_assert_ok(cover_trainer_step(NULL, made.trainer));
    sum[rank] =
        checksum(made.trainer->core.engine->weights, (size_t)made.trainer->core.engine->model.parameters.floats * sizeof(float));
    end(&made);
}
START_TEST(a_cancelled_rank_stops_all_after_the_same_step) {
    uint32_t sum[2];
    struct trial straight = {.steps = 2};
    run_together(&(struct together){.ranks = 2, .work = cancel_work, .user = sum});
    train(&straight, 1, 1);
    ck_assert(sum[0] == sum[1] && sum[0] == checksum(straight.weights, straight.bytes));
    free(straight.weights);
}
END_TEST

/* ---- run folders: rank 0's alone */

static void folder_work(cover_context *own, int rank, void *user) {
    cover_dataset *dataset;
    cover_pretrain_options options = COVER_PRETRAIN_OPTIONS_INIT;
    options.resume = *(int *)user;
    ck_assert_ok(cover_dataset_open(&dataset, own, data_path));
    cover_config *mine = own_config();
    ck_assert_ok(cover_run_pretrain(own, dataset, mine, rank == 0 ? in_folder("run") : "/nowhere/run", &options));
    cover_config_destroy(mine);
    cover_dataset_destroy(dataset);
}
static void occupied_work(cover_context *own, int rank, void *user) {
    (void)user;
    cover_dataset *dataset;
    ck_assert_ok(cover_dataset_open(&dataset, own, data_path));
    cover_config *mine = own_config();
    ck_assert_int_eq(cover_run_pretrain(own, dataset, mine, rank == 0 ? in_folder("run") : "/nowhere/run", NULL), COVER_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "holds a run already"));
    cover_config_destroy(mine);
    cover_dataset_destroy(dataset);
}
START_TEST(rank_0_alone_sees_the_run_folder) {
    int resume = 0;
    set("schedule", "constant");
    set("steps", "4");
    run_together(&(struct together){.ranks = 2, .work = folder_work, .user = &resume});
    ck_assert(file_exists(in_folder("run/weights.safetensors")) && file_exists(in_folder("run/report.html")));
    run_together(&(struct together){.ranks = 2, .work = occupied_work});
    set("steps", "6");
    resume = 1;
    run_together(&(struct together){.ranks = 4, .work = folder_work, .user = &resume});
    ck_assert(!folder_exists("/nowhere"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("training by ranks");
    TCase *tcase = tcase_create("training by ranks");
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, one_two_and_four_ranks_give_the_same_bits);
    ADD(tcase, a_run_goes_on_with_another_number_of_ranks);
    ADD(tcase, three_ranks_share_a_batch_evenly_and_agree);
    ADD(tcase, a_number_that_goes_bad_on_one_rank_is_named_on_all);
    ADD(tcase, an_image_that_one_rank_cannot_read_stops_all_and_the_step_can_be_tried_again);
    ADD(tcase, a_cancelled_rank_stops_all_after_the_same_step);
    ADD(tcase, rank_0_alone_sees_the_run_folder);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
