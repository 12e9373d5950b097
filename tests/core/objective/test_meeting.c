/* An objective of one's own whose samples meet and which keeps a state: the same bits over lanes, threads and ranks and after a resume;
 * what is in its files. */
#include "../../comm/together.h"
#include "io/weights/checkpoint.h"
#include "meeting_trial.h"

static cover_context *context_of(int threads) {
    cover_context *made;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = threads;
    ck_assert_ok(cover_context_create(&made, &options));
    made->added = meeting_rows;
    return made;
}

static struct trial train(int threads, const char *lanes, int from, int to, const char *load, const char *save) {
    struct trial trial = {0};
    cover_context *context = context_of(threads);
    trial_train(&trial, context, lanes, from, to, load, save);
    cover_context_destroy(context);
    return trial;
}

START_TEST(lanes_and_threads_change_no_bit_of_an_objective_that_mixes_its_batch) {
    struct trial one = train(1, "0", 0, TRIAL_STEPS, NULL, NULL);
    ck_assert(one.norm[0] > 1e-3 && one.loss[0] != one.loss[1] && one.state.steps == TRIAL_STEPS);
    static const struct {
        int threads;
        const char *lanes;
    } ways[] = {{2, "0"}, {2, "1"}, {3, "3"}, {4, "2"}, {5, "5"}, {10, "5"}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct trial other = train(ways[i].threads, ways[i].lanes, 0, TRIAL_STEPS, NULL, NULL);
        trial_same(&one, &other, 0, TRIAL_STEPS);
        free(other.weights);
    }
    free(one.weights);
}
END_TEST

START_TEST(a_run_with_a_state_is_resumed_exactly_at_every_step) {
    struct trial whole = train(2, "0", 0, TRIAL_STEPS, NULL, NULL);
    for (int cut = 1; cut < TRIAL_STEPS; cut++) {
        const char *path = trial_path("checkpoint.h5");
        struct trial first = train(2, "2", 0, cut, NULL, path), second = train(1, "1", cut, TRIAL_STEPS, path, NULL);
        trial_same(&whole, &second, cut, TRIAL_STEPS);
        free(first.weights), free(second.weights);
    }
    free(whole.weights);
}
END_TEST

struct rank_trial {
    int from, to;
    const char *load, *save;
    struct trial rank[TOGETHER_MOST];
};
static void rank_work(cover_context *own, int rank, void *user) {
    struct rank_trial *trials = user;
    own->added = meeting_rows;
    trial_train(&trials->rank[rank], own, "0", trials->from, trials->to, trials->load, trials->save);
}

START_TEST(ranks_change_no_bit_of_an_objective_that_mixes_its_batch) {
    struct trial alone = train(1, "0", 0, TRIAL_STEPS, NULL, NULL);
    for (int ranks = 2; ranks <= 4; ranks *= 2) {
        struct rank_trial trials = {.to = TRIAL_STEPS};
        run_together(&(struct together){.ranks = ranks, .work = rank_work, .user = &trials});
        for (int r = 0; r < ranks; r++) trial_same(&alone, &trials.rank[r], 0, TRIAL_STEPS), free(trials.rank[r].weights);
    }
    free(alone.weights);
}
END_TEST

START_TEST(a_run_with_a_state_goes_on_with_another_number_of_ranks) {
    struct trial whole = train(1, "0", 0, TRIAL_STEPS, NULL, NULL);
    const char *path = trial_path("checkpoint.h5");
    struct rank_trial trials = {.to = 3, .save = path};
    run_together(&(struct together){.ranks = 2, .work = rank_work, .user = &trials});
    trials.from = 3, trials.to = TRIAL_STEPS, trials.load = path, trials.save = NULL;
    run_together(&(struct together){.ranks = 4, .work = rank_work, .user = &trials});
    for (int r = 0; r < 4; r++) trial_same(&whole, &trials.rank[r], 3, TRIAL_STEPS), free(trials.rank[r].weights);
    free(whole.weights);
}
END_TEST

/* The twin moves, but has no moments; what a file says is looked at before it is believed. */
START_TEST(held_rows_and_the_state_are_in_the_checkpoint_and_a_bad_state_is_refused) {
    const char *path = trial_path("checkpoint.h5");
    uint8_t *data;
    int64_t bytes;
    struct checkpoint_file *file;
    cover_context *context = context_of(2);
    cover_dataset *dataset;
    cover_config *config;
    cover_trainer *trainer;
    struct trial trial = train(2, "0", 0, 3, NULL, path);
    ck_assert_ok(checkpoint_open(&file, context, path));
    ck_assert_str_eq(file->objective, "meeting");
    ck_assert_ok(checkpoint_read_state(file, "centre", &data, &bytes));
    ck_assert_int_eq(bytes, sizeof trial.state.centre);
    ck_assert_mem_eq(data, trial.state.centre, (size_t)bytes);
    memory_free(context, data);
    checkpoint_close(file);
    ck_assert_ok(cover_dataset_open(&dataset, context, trial_data));
    ck_assert_ok(two_levels_config(&config, context));
    ck_assert_ok(cover_config_set(config, "objective", "meeting"));
    ck_assert_ok(cover_trainer_create(&trainer, context, dataset, config));
    struct parameters *parameters = &trainer->core.engine->model.parameters;
    cover_plan plan = COVER_PLAN_INIT;
    char *json;
    ck_assert_ok(cover_trainer_plan(&plan, trainer));
    ck_assert_uint_gt(plan.batch_bytes, 0);
    ck_assert_uint_eq(plan.total_bytes, plan.weight_bytes + plan.gradient_bytes + plan.optimiser_bytes +
                                            (uint64_t)plan.lanes * plan.arena_bytes + plan.packed_weight_bytes + plan.sample_bytes +
                                            plan.batch_bytes);
    ck_assert_ok(cover_plan_json(&json, context, &plan));
    ck_assert_ptr_nonnull(strstr(json, "\"batch_graph\": "));
    cover_text_release(context, json);
    const int twin = parameters_find(parameters, "twin.head.weight"), head = parameters_find(parameters, "head.weight");
    ck_assert(!parameter_trained(parameters, twin) && parameter_trained(parameters, head));
    ck_assert_int_eq(parameters->trained, parameters->rows[twin].offset);
    const float *weights = trainer->core.engine->weights;
    ck_assert_mem_eq(weights + parameters->rows[twin].offset, weights + parameters->rows[head].offset, 64 * sizeof(float));
    ck_assert_mem_ne(trial.weights + parameters->rows[twin].offset, trial.weights + parameters->rows[head].offset,
                     64 * sizeof(float));
    struct meeting_state *state = trainer->run.state;
    state->noise = -1;
    ck_assert_ok(cover_trainer_save(trainer, path));
    ck_assert_int_eq(cover_trainer_load(trainer, path), COVER_ERROR_FORMAT);
    ck_assert_msg(strstr(cover_error_text(), "checkpoint.h5: noise -1"), "%s", cover_error_text());
    cover_trainer_destroy(trainer);
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
    cover_context_destroy(context);
    free(trial.weights);
}
END_TEST

/* The U-Net, its features in bf16: rows are floats all the same. */
START_TEST(rows_of_bf16_features_meet) {
    static const char *const values[][2] = {{"objective", "meeting"}, {"widths", "8,8,8,16,16,16,8,8,8"},
                                            {"heads", "2,2,1,1,1"},   {"crop", "32x32"},
                                            {"batch", "5"},           {"steps", "4"}};
    double loss[2][2];
    for (int precision = 0; precision < 2; precision++) {
        cover_context *context = context_of(2);
        cover_dataset *dataset;
        cover_config *config;
        cover_trainer *trainer;
        ck_assert_ok(cover_dataset_open(&dataset, context, trial_data));
        ck_assert_ok(cover_config_create(&config, context, "demo"));
        for (size_t i = 0; i < sizeof values / sizeof *values; i++)
            ck_assert_ok(cover_config_set(config, values[i][0], values[i][1]));
        ck_assert_ok(cover_config_set(config, "precision", precision ? "bf16" : "fp32"));
        ck_assert_ok(cover_trainer_create(&trainer, context, dataset, config));
        for (int i = 0; i < 2; i++) {
            cover_step_report report = COVER_STEP_REPORT_INIT;
            ck_assert_ok(cover_trainer_step(&report, trainer));
            ck_assert(report.grad_norm > 0);
            loss[precision][i] = report.loss;
        }
        cover_trainer_destroy(trainer);
        cover_config_destroy(config);
        cover_dataset_destroy(dataset);
        cover_context_destroy(context);
    }
    for (int i = 0; i < 2; i++) ck_assert_double_eq_tol(loss[0][i], loss[1][i], 0.05);
    ck_assert(loss[0][0] != loss[1][0]);
}
END_TEST

START_TEST(a_whole_run_has_a_folder_with_its_page_and_its_weights) {
    const char *run = trial_path("run"), *page = trial_path("run/report.html"), *weights = trial_path("run/weights.safetensors");
    cover_context *context = context_of(2);
    cover_dataset *dataset;
    cover_config *config;
    uint8_t *text;
    size_t bytes;
    char *info;
    ck_assert_ok(cover_dataset_open(&dataset, context, trial_data));
    ck_assert_ok(two_levels_config(&config, context));
    ck_assert_ok(cover_config_set(config, "objective", "meeting"));
    ck_assert_ok(cover_run_pretrain(context, dataset, config, run, NULL));
    ck_assert_ok(file_read(context, page, 1 << 24, &text, &bytes));
    ck_assert_ptr_nonnull(strstr((char *)text, "Meeting"));
    ck_assert_ptr_nonnull(strstr((char *)text, "what the looks are apart"));
    memory_free(context, text);
    ck_assert_ok(cover_weights_info(&info, context, weights));
    ck_assert_msg(strstr(info, "\"objective\": \"meeting\"") != NULL, "%s", info);
    cover_text_release(context, info);
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
    cover_context_destroy(context);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("an objective that mixes its batch");
    TCase *tcase = tcase_create("meeting");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, trial_pack, trial_remove);
    ADD(tcase, lanes_and_threads_change_no_bit_of_an_objective_that_mixes_its_batch);
    ADD(tcase, a_run_with_a_state_is_resumed_exactly_at_every_step);
    ADD(tcase, ranks_change_no_bit_of_an_objective_that_mixes_its_batch);
    ADD(tcase, a_run_with_a_state_goes_on_with_another_number_of_ranks);
    ADD(tcase, held_rows_and_the_state_are_in_the_checkpoint_and_a_bad_state_is_refused);
    ADD(tcase, rows_of_bf16_features_meet);
    ADD(tcase, a_whole_run_has_a_folder_with_its_page_and_its_weights);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
