/* Tasks in training: they learn, resume exactly, keep the best, start from what pretraining left, and are refused by name. */
#include "../task_data.h"

#include "io/weights/checkpoint.h"

#include <jansson.h>

/* ---- learning */

static double figure_of(const cover_task_report *report, const char *name) {
    return cover_figure_value(report->figures, report->figure_count, name);
}

static void learns_discs(struct scene scene, const char *settings, int steps, double wanted) {
    cover_dataset *dataset = make_data(scene, NULL);
    cover_task *task = make_task(dataset, "seg", NULL, settings);
    cover_task_report first = take_steps(task, 1), last = take_steps(task, steps - 1);
    ck_assert(isnan(first.score) && isnan(first.best_score) && first.best_step == 0);
    ck_assert_double_lt(last.loss, first.loss / 2);
    ck_assert_double_eq_tol(last.loss, figure_of(&last, "cross_entropy") + figure_of(&last, "dice_loss"), 1e-9);
    char *json;
    ck_assert_ok(cover_task_validate(&json, task));
    json_t *root = json_loads(json, 0, NULL), *one;
    ck_assert_int_eq(json_integer_value(json_object_get(root, "step")), steps);
    ck_assert_double_gt(json_number_value(json_object_get(root, "mean_dice")), wanted);
    ck_assert_double_gt(json_number_value(json_object_get(json_object_get(root, "classes"), "disc")), wanted);
    ck_assert_ptr_null(json_object_get(json_object_get(root, "classes"), "background"));
    ck_assert_uint_eq(json_array_size(json_object_get(root, "cases")), (size_t)task->split.val_count);
    one = json_array_get(json_object_get(root, "cases"), 0);
    ck_assert_int_eq(strncmp(json_string_value(json_object_get(one, "name")), "case_", 5), 0);
    ck_assert(json_is_number(json_object_get(json_object_get(one, "dice"), "disc")));
    json_decref(root);
    cover_text_release(context, json);
    cover_task_destroy(task);
    cover_dataset_destroy(dataset);
}

START_TEST(segmentation_in_2d_learns_a_disc) { learns_discs((struct scene){.kind = DISC}, "", 30, 0.8); }
END_TEST
START_TEST(segmentation_in_3d_learns_a_ball) { learns_discs((struct scene){.kind = DISC, .dims = 3}, "batch=2", 30, 0.8); }
END_TEST
START_TEST(segmentation_of_three_classes_and_unknown_rows_learns) {
    learns_discs((struct scene){.kind = DISC, .classes = 3, .ignore_rows = 3, .channels = 3}, "class_weights=balanced flip=all", 50,
                 0.6);
}
END_TEST

/* The coarsest level is two pixels wide here, or one: its norm must see several channels a group. */
#define WIDE "lr=0.003 widths=8,8,8,16,64,8,8,8,8"

static void learns_classes(struct scene scene, const char *settings, int steps, double wanted) {
    cover_dataset *dataset = make_data(scene, NULL);
    cover_task *task = make_task(dataset, "cls", NULL, settings);
    cover_task_report first = take_steps(task, 1), last = take_steps(task, steps - 1);
    ck_assert_double_lt(last.loss, first.loss);
    ck_assert(last.figure_count == 1 && last.loss == figure_of(&last, "cross_entropy"));
    char *json;
    ck_assert_ok(cover_task_validate(&json, task));
    json_t *root = json_loads(json, 0, NULL);
    ck_assert_double_gt(json_number_value(json_object_get(root, "auc")), wanted);
    ck_assert(json_is_number(json_object_get(root, "accuracy")));
    const json_t *scores = json_object_get(json_array_get(json_object_get(root, "cases"), 0), "scores");
    double rows = json_number_value(json_object_get(scores, "rows")),
           columns = json_number_value(json_object_get(scores, "columns"));
    ck_assert(rows > 0 && columns > 0 && (scene.kind == SET || scene.classes == 3 || fabs(rows + columns - 1) < 1e-5));
    json_decref(root);
    cover_text_release(context, json);
    cover_task_destroy(task);
    cover_dataset_destroy(dataset);
}

START_TEST(classification_in_2d_learns_patterns) {
    learns_classes((struct scene){.kind = PATTERN, .classes = 3, .samples = 18}, "rotate_degrees=5 " WIDE, 60, 0.8);
}
END_TEST
START_TEST(classification_in_3d_learns_patterns) {
    learns_classes((struct scene){.kind = PATTERN, .dims = 3, .samples = 12}, "rotate_degrees=5 " WIDE, 30, 0.9);
}
END_TEST
START_TEST(several_labels_an_image_are_learnt_each_on_its_own) {
    learns_classes((struct scene){.kind = SET, .samples = 40}, "rotate_degrees=5 class_weights=balanced " WIDE, 80, 0.8);
}
END_TEST

/* ---- the same bits */

struct ending {
    double loss, norm, score;
    int64_t best_step;
};

/* Eight steps, validated after 3 and 6, from a checkpoint in the middle where `cut` says so; its files are FOLDER/NAME.*. */
static struct ending eight_steps(const char *name, int threads, int cut, const char *kind, const char *settings) {
    cover_context *whole = context;
    cover_task_report report = COVER_TASK_REPORT_INIT;
    char checkpoint[256], weights[256];
    snprintf(checkpoint, sizeof checkpoint, "%s", at("%s.h5", name));
    snprintf(weights, sizeof weights, "%s", at("%s.safetensors", name));
    for (int step = 0, part = 0; part < (cut ? 2 : 1); part++) {
        context = make_context(part ? 3 : threads);
        cover_dataset *dataset = open_data(context, at("data.h5"));
        cover_task *task = make_task(dataset, kind, NULL, settings);
        if (part) ck_assert_ok(cover_task_load(task, checkpoint));
        for (; step < (cut && !part ? cut : 8); step++) {
            ck_assert_ok(cover_task_step(&report, task));
            ck_assert_int_eq(report.step, step + 1);
            if (report.step % 3 == 0) ck_assert_ok(cover_task_validate(NULL, task));
        }
        ck_assert_ok(cover_task_save(task, checkpoint));
        ck_assert_ok(cover_task_export(task, weights));
        cover_task_destroy(task);
        cover_dataset_destroy(dataset);
        cover_context_destroy(context);
    }
    context = whole;
    return (struct ending){report.loss, report.grad_norm, report.best_score, report.best_step};
}

static void check_ending(struct ending a, struct ending b, const char *first, const char *second) {
    ck_assert(a.loss == b.loss && a.norm == b.norm && a.score == b.score && a.best_step == b.best_step);
    ck_assert(same_files(at("%s.h5", first), at("%s.h5", second)));
    ck_assert(same_files(at("%s.safetensors", first), at("%s.safetensors", second)));
}

START_TEST(threads_and_lanes_change_no_bit_of_segmentation) {
    cover_dataset_destroy(make_data((struct scene){.kind = DISC}, NULL));
    struct ending one = eight_steps("one", 1, 0, "seg", "lanes=1");
    check_ending(one, eight_steps("two", 2, 0, "seg", "lanes=1"), "one", "two");
    check_ending(one, eight_steps("three", 3, 0, "seg", "lanes=1"), "one", "three");
}
END_TEST
START_TEST(threads_change_no_bit_of_classification) {
    cover_dataset_destroy(make_data((struct scene){.kind = PATTERN, .dims = 3}, NULL));
    struct ending one = eight_steps("one", 1, 0, "cls", "");
    check_ending(one, eight_steps("three", 3, 0, "cls", ""), "one", "three");
}
END_TEST

static void resumes(const char *kind, const char *settings) {
    struct ending whole = eight_steps("whole", 2, 0, kind, settings);
    static const int cuts[] = {1, 3, 5};
    for (int i = 0; i < 3; i++) check_ending(whole, eight_steps("cut", 1, cuts[i], kind, settings), "whole", "cut");
}
START_TEST(a_resumed_segmentation_equals_an_unbroken_one) {
    cover_dataset_destroy(make_data((struct scene){.kind = DISC, .ignore_rows = 2}, NULL));
    resumes("seg", "class_weights=balanced");
}
END_TEST
START_TEST(a_resumed_classification_equals_an_unbroken_one) {
    cover_dataset_destroy(make_data((struct scene){.kind = SET, .samples = 16}, NULL));
    resumes("cls", "schedule=cosine weight_decay=0.01");
}
END_TEST

/* A build with another compiler, or for another processor, reads the same numbers. */
START_TEST(scores_in_a_checkpoint_are_four_little_endian_words) {
    cover_dataset *dataset = make_data((struct scene){.kind = DISC}, NULL);
    cover_task *task = make_task(dataset, "seg", NULL, "");
    struct checkpoint_file *file;
    uint8_t *data, expected[32];
    int64_t bytes;
    ck_assert_ok(cover_task_validate(NULL, task));
    task->score = 0.625, task->best_score = 0.75, task->best_step = 0x0102, task->validated = 0x030405060708;
    ck_assert_ok(cover_task_save(task, at("task.h5")));
    memcpy(expected,
           "\0\0\0\0\0\0\xe4\x3f"
           "\0\0\0\0\0\0\xe8\x3f"
           "\x02\x01\0\0\0\0\0\0"
           "\x08\x07\x06\x05\x04\x03\0\0",
           sizeof expected);
    ck_assert_ok(checkpoint_open(&file, context, at("task.h5")));
    ck_assert_ok(checkpoint_read_state(file, "scores", &data, &bytes));
    ck_assert_int_eq(bytes, sizeof expected);
    ck_assert_mem_eq(data, expected, sizeof expected);
    memory_free(context, data);
    checkpoint_close(file);
    task->score = task->best_score = 0, task->best_step = task->validated = 0;
    ck_assert_ok(cover_task_load(task, at("task.h5")));
    ck_assert(task->score == 0.625 && task->best_score == 0.75 && task->best_step == 0x0102 && task->validated == 0x030405060708);
    cover_task_destroy(task);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(the_seed_changes_weights_but_not_the_cases) {
    cover_dataset *dataset = make_data((struct scene){.kind = DISC}, NULL);
    cover_task *one = make_task(dataset, "seg", NULL, "seed=1"), *two = make_task(dataset, "seg", NULL, "seed=2");
    int64_t count;
    const float *a = weights_of(one, "head.weight", &count), *b = weights_of(two, "head.weight", NULL);
    ck_assert_int_ne(memcmp(a, b, (size_t)count * sizeof *a), 0);
    ck_assert_int_eq(one->split.val_count, two->split.val_count);
    ck_assert_mem_eq(one->split.val, two->split.val, (size_t)one->split.val_count * sizeof *one->split.val);
    cover_task_destroy(one);
    cover_task_destroy(two);
    cover_dataset_destroy(dataset);
}
END_TEST

/* ---- what is trained */

/* Which parameters three steps change; names of those that they do, joined by spaces, modules only. */
static void check_trained(const char *kind, const char *settings, const char *const *trained) {
    cover_dataset *dataset = make_data((struct scene){.kind = kind[0] == 's' ? DISC : PATTERN}, NULL);
    cover_task *task = make_task(dataset, kind, NULL, settings);
    const struct parameters *parameters = &task->core.engine->model.parameters;
    size_t bytes = (size_t)parameters->floats * sizeof(float);
    float *before = malloc(bytes);
    memcpy(before, task->core.engine->weights, bytes);
    take_steps(task, 3);
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *row = &parameters->rows[i];
        bool wanted = false,
             same = memcmp(before + row->offset, task->core.engine->weights + row->offset, (size_t)row->count * sizeof(float)) == 0;
        for (const char *const *prefix = trained; *prefix; prefix++) wanted |= strncmp(row->name, *prefix, strlen(*prefix)) == 0;
        if (!wanted) ck_assert_msg(same, "%s was changed with %s", row->name, settings);
        else if (strstr(row->name, "weight")) ck_assert_msg(!same, "%s was not changed with %s", row->name, settings);
    }
    free(before);
    cover_task_destroy(task);
    cover_dataset_destroy(dataset);
}

START_TEST(what_is_not_trained_keeps_every_bit) {
    check_trained("seg", "trained=head weight_decay=0.1", (const char *const[]){"head.", NULL});
    check_trained("seg", "trained=last last_k=0", (const char *const[]){"head.", NULL});
    check_trained("seg", "trained=last last_k=2", (const char *const[]){"head.", "backbone.up4.", "backbone.up3.", NULL});
    check_trained("seg", "trained=last last_k=9", (const char *const[]){"head.", "backbone.", NULL});
    check_trained("cls", "trained=head " WIDE, (const char *const[]){"head.", NULL});
    check_trained("cls", "trained=last last_k=1 " WIDE, (const char *const[]){"head.", "backbone.down4.", NULL});
}
END_TEST

/* ---- what it starts from */

static void check_backbone(cover_dataset *dataset, const char *kind, const char *init, const cover_backbone *wanted) {
    cover_task *task = make_task(dataset, kind, init, "");
    const struct parameters *parameters = &task->core.engine->model.parameters;
    int compared = 0;
    for (int i = 0; i < parameters->count; i++) {
        cover_tensor *value;
        if (strncmp(parameters->rows[i].name, "backbone.", 9) != 0) continue;
        ck_assert_ok(cover_backbone_get(&value, wanted, parameters->rows[i].name));
        ck_assert_mem_eq(task->core.engine->weights + parameters->rows[i].offset, cover_tensor_data(value),
                         (size_t)parameters->rows[i].count * sizeof(float));
        cover_tensor_destroy(value);
        compared++;
    }
    ck_assert_int_gt(compared, 20);
    ck_assert_str_eq(cover_config_get(cover_task_settings(task), "normalise"), "max");
    ck_assert_ok(cover_task_step(NULL, task));
    cover_task_destroy(task);
}

START_TEST(a_task_starts_from_a_run_folder_a_weight_file_and_a_checkpoint) {
    make_backbone("run", 2, 1, "");
    cover_backbone *backbone;
    ck_assert_ok(cover_backbone_load(&backbone, context, at("run"), NULL));
    cover_dataset *discs = make_data((struct scene){.kind = DISC}, NULL);
    cover_dataset *patterns = make_data((struct scene){.kind = PATTERN}, at("patterns.h5"));
    static const char *const names[] = {"run", "run/weights.safetensors", "run/checkpoint.h5"};
    for (int i = 0; i < 3; i++) {
        check_backbone(discs, "seg", at("%s", names[i]), backbone);
        check_backbone(patterns, "cls", at("%s", names[i]), backbone);
    }
    cover_dataset_destroy(patterns);
    cover_dataset_destroy(discs);
    cover_backbone_destroy(backbone);
}
END_TEST

START_TEST(an_inflated_network_says_of_three_equal_channels_what_it_said_of_one) {
    const char *init = make_backbone("run", 2, 1, "");
    float *score[2];
    for (int i = 0; i < 2; i++) {
        cover_dataset *dataset = make_data((struct scene){.kind = PATTERN, .channels = i ? 3 : 1}, NULL);
        cover_task *task = make_task(dataset, "cls", init, "standardise=off");
        ck_assert_ok(cover_task_validate(NULL, task));
        size_t bytes = (size_t)(task->split.val_count * 2) * sizeof(float);
        score[i] = memcpy(malloc(bytes), task->best_figures.score, bytes);
        for (int64_t k = 0; i && k < task->split.val_count * 2; k++) ck_assert_float_eq_tol(score[0][k], score[1][k], 1e-5f);
        cover_task_destroy(task);
        cover_dataset_destroy(dataset);
    }
    ck_assert_ptr_nonnull(strstr(logged, "inflated to the images' 3"));
    free(score[0]);
    free(score[1]);
}
END_TEST

/* ---- weights of classes, the best weights */

START_TEST(a_layer_before_the_head_is_measured_once_and_then_stays) {
    cover_dataset *dataset = make_data((struct scene){.kind = DISC}, NULL);
    cover_task *task = make_task(dataset, "seg", NULL, "");
    const struct parameters *parameters = &task->core.engine->model.parameters;
    const struct parameter *weight = &parameters->rows[parameters_find(parameters, "standardise.weight")];
    const float *values = task->core.engine->weights + weight->offset;
    float before[64];
    ck_assert_int_eq(weight->count, 64);
    memcpy(before, values, sizeof before);
    for (int i = 0; i < 64; i++) ck_assert((before[i] > 0) == (i % 9 == 0)); /* a diagonal */
    take_steps(task, 3);
    ck_assert_mem_eq(before, values, sizeof before);
    cover_task_destroy(task);
    task = make_task(dataset, "seg", NULL, "standardise=off");
    ck_assert_int_eq(parameters_find(&task->core.engine->model.parameters, "standardise.weight"), -1);
    cover_task_destroy(task);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(balanced_weights_are_inverse_to_how_often_a_class_comes) {
    cover_dataset *dataset = make_data((struct scene){.kind = DISC, .classes = 3, .ignore_rows = 4}, NULL);
    cover_task *task = make_task(dataset, "seg", NULL, "class_weights=balanced"), *plain = make_task(dataset, "seg", NULL, "");
    double found[3] = {0}, sum = 0;
    for (int64_t i = 0; i < task->split.train_count; i++) {
        cover_tensor *label;
        ck_assert_ok(cover_dataset_read_label(&label, dataset, task->split.train[i]));
        const uint8_t *values = cover_tensor_data(label);
        for (int p = 0; p < 32 * 32; p++)
            if (values[p] < 3) found[values[p]]++;
        cover_tensor_destroy(label);
    }
    for (int k = 0; k < 3; k++) sum += 1 / found[k];
    for (int k = 0; k < 3; k++) {
        ck_assert_float_eq_tol(task->class_weights[k], (float)(3 / (found[k] * sum)), 1e-6f);
        ck_assert(plain->class_weights[k] == 1);
    }
    cover_task_destroy(task);
    cover_task_destroy(plain);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(the_best_weights_are_kept_and_written) {
    cover_dataset *dataset = make_data((struct scene){.kind = DISC}, NULL);
    cover_task *task = make_task(dataset, "seg", NULL, "");
    take_steps(task, 12);
    ck_assert_ok(cover_task_export(task, at("none-yet.safetensors")));
    ck_assert_ok(cover_task_validate(NULL, task));
    ck_assert_ok(cover_task_export(task, at("best.safetensors")));
    ck_assert(same_files(at("none-yet.safetensors"), at("best.safetensors")));
    /* ruin the network: what was best stays best */
    float *head = weights_of(task, "head.bias", NULL);
    head[0] = 1000;
    ck_assert_ok(engine_weights_changed(task->core.engine));
    ck_assert_ok(cover_task_validate(NULL, task));
    ck_assert_double_eq(task->score, 0);
    ck_assert_int_eq(task->best_step, 12);
    ck_assert_ok(cover_task_export(task, at("still.safetensors")));
    ck_assert(same_files(at("still.safetensors"), at("best.safetensors")));
    cover_task_destroy(task);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(a_checkpoint_tells_prediction_the_best_weights_so_far) {
    cover_dataset *dataset = make_data((struct scene){.kind = DISC}, NULL);
    for (int validated = 0; validated < 2; validated++) {
        cover_task *task = make_task(dataset, "seg", NULL, "");
        take_steps(task, 2);
        if (validated) ck_assert_ok(cover_task_validate(NULL, task));
        size_t bytes = (size_t)task->core.engine->model.parameters.floats * sizeof(float);
        float *wanted = memcpy(malloc(bytes), task->core.engine->weights, bytes), *flat;
        if (validated) take_steps(task, 2);
        ck_assert_ok(cover_task_save(task, at("checkpoint.h5")));
        struct task_about about;
        struct parameters parameters;
        ck_assert_ok(task_weights_read(&about, &parameters, &flat, context, at("checkpoint.h5")));
        for (int i = 0; i < parameters.count; i++)
            ck_assert_mem_eq(flat + parameters.rows[i].offset, wanted + parameters.rows[i].offset,
                             (size_t)parameters.rows[i].count * sizeof(float));
        ck_assert_str_eq(about.class_names[1], "disc");
        memory_free(context, flat);
        parameters_free(&parameters);
        task_about_free(&about);
        free(wanted);
        cover_task_destroy(task);
    }
    cover_dataset_destroy(dataset);
}
END_TEST

/* ---- refusals */

/* Settings as they come for the scene, then `settings`, are refused when the task is made. */
static void refused_by(struct scene scene, const char *kind, const char *init, const char *settings, cover_status expected,
                       const char *value, const char *remedy) {
    cover_dataset *dataset = make_data(scene, NULL);
    cover_config *config = make_config(dataset, kind, init, settings);
    cover_task *task = NULL;
    ck_assert_fails(cover_task_create(&task, context, dataset, config, init), expected, value, remedy);
    ck_assert_ptr_null(task);
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
}
/* The settings themselves cannot be made. */
static void unfit(struct scene scene, const char *kind, const char *init, cover_status expected, const char *value,
                  const char *remedy) {
    cover_dataset *dataset = make_data(scene, NULL);
    cover_config *config = NULL;
    ck_assert_fails(cover_task_config(&config, context, dataset, kind, init), expected, value, remedy);
    ck_assert_ptr_null(config);
    cover_dataset_destroy(dataset);
}

static const struct scene discs = {.kind = DISC}, patterns = {.kind = PATTERN}, sets = {.kind = SET, .samples = 16};

START_TEST(settings_are_refused_for_data_that_lack_what_the_task_needs) {
    unfit(patterns, "seg", NULL, COVER_ERROR_ARGUMENT, "no label maps", "labelsTr");
    unfit(discs, "cls", NULL, COVER_ERROR_ARGUMENT, "no classes", "a folder a class");
    unfit(discs, "segment", NULL, COVER_ERROR_ARGUMENT, "'segment'", "use one of seg, cls");
    unfit((struct scene){.kind = PATTERN, .classes = 1}, "cls", NULL, COVER_ERROR_ARGUMENT, "1 class", "needs at least 2");
}
END_TEST

START_TEST(settings_that_do_not_fit_the_data_are_refused_by_name) {
    refused_by(discs, "seg", NULL, "channels=3", COVER_ERROR_SHAPE, "channels=3", "set them");
    refused_by((struct scene){.kind = DISC, .classes = 3}, "seg", NULL, "classes=2", COVER_ERROR_SHAPE, "has 3 classes",
               "set classes=3");
    refused_by(discs, "seg", NULL, "task=cls", COVER_ERROR_ARGUMENT, "task=cls", "use task=seg");
    refused_by(patterns, "cls", NULL, "task=seg", COVER_ERROR_ARGUMENT, "no label maps", "use task=cls");
    refused_by(patterns, "cls", NULL, "multilabel=on", COVER_ERROR_ARGUMENT, "multilabel=on", "set multilabel=off");
    refused_by(sets, "cls", NULL, "multilabel=off", COVER_ERROR_ARGUMENT, "a set of classes", "set multilabel=on");
}
END_TEST

static int never_one(int64_t i) { return i % 2 ? 2 : 0; }
static uint8_t ones_validate(int64_t i) { return i % 2 ? 2 : 1; }
static uint8_t first_validates(int64_t i) { return i < 2 ? 2 : 1; }
static int all_zero(int64_t i) { return i < 2 ? 0 : i % 2; }
static int first_bit(int64_t i) { return i % 2; }
static uint8_t all_test(int64_t i) { return i < 0 ? 1 : 3; }

START_TEST(cases_that_cannot_be_had_are_refused_with_the_remedy) {
    refused_by(discs, "seg", NULL, "shots=8", COVER_ERROR_ARGUMENT, "shots=8", "use fewer");
    refused_by(patterns, "cls", NULL, "shots=5", COVER_ERROR_ARGUMENT, "of class 'rows'", "use fewer");
    refused_by(discs, "seg", NULL, "shots=2 fraction=0.5", COVER_ERROR_ARGUMENT, "fraction=0.5", "choose one");
    refused_by((struct scene){.kind = DISC, .samples = 3}, "seg", NULL, "folds=7 fold=7", COVER_ERROR_ARGUMENT, "fold 7 of 7",
               "use fewer folds");
    refused_by((struct scene){.kind = DISC, .split_of = all_test}, "seg", NULL, "", COVER_ERROR_ARGUMENT, "test samples",
               "pack some");
    refused_by((struct scene){.kind = PATTERN, .classes = 3, .class_of = never_one}, "cls", NULL, "", COVER_ERROR_ARGUMENT,
               "'columns'", "another fold");
    refused_by((struct scene){.kind = SET, .class_of = first_bit}, "cls", NULL, "", COVER_ERROR_ARGUMENT, "'columns'",
               "take the class out");
    refused_by((struct scene){.kind = DISC, .classes = 3, .odd_case = 4, .odd_value = 3}, "seg", NULL, "fold=2", COVER_ERROR_FORMAT,
               "case case_03", "there are 3 classes");
}
END_TEST

START_TEST(a_validation_that_tells_nothing_is_refused_before_training) {
    refused_by((struct scene){.kind = PATTERN, .split_of = first_validates, .class_of = all_zero}, "cls", NULL, "",
               COVER_ERROR_ARGUMENT, "'rows': all of the 2 cases", "use another fold");
    refused_by((struct scene){.kind = SET, .samples = 16, .split_of = first_validates}, "cls", NULL, "", COVER_ERROR_ARGUMENT,
               "'columns'", "more val cases");
    for (int odd = 2; odd <= 10; odd += 2) /* one case of validation or training has labels of classes that are not there */
        refused_by((struct scene){.kind = DISC, .odd_case = odd, .odd_value = 9, .split_of = ones_validate}, "seg", NULL, "",
                   COVER_ERROR_FORMAT, at("case_%02d", odd - 1) + strlen(folder) + 1, "label holds 9");
    refused_by((struct scene){.kind = DISC, .samples = 3, .odd_case = 2, .odd_value = 0, .split_of = ones_validate}, "seg", NULL,
               "", COVER_ERROR_ARGUMENT, "background alone", "another fold");
}
END_TEST

START_TEST(networks_that_do_not_fit_are_refused) {
    make_backbone("grey", 2, 1, ""), make_backbone("colour", 2, 3, ""), make_backbone("volume", 3, 1, "");
    unfit(discs, "seg", at("volume"), COVER_ERROR_MISMATCH, "3D network", "scratch");
    unfit(discs, "seg", at("colour"), COVER_ERROR_MISMATCH, "3 channels", "pack them so");
    unfit(discs, "seg", at("nowhere"), COVER_ERROR_IO, "nowhere", "");
    ck_assert_ok(file_replace(context, at("text.safetensors"), "not weights", 11));
    unfit(discs, "seg", at("text.safetensors"), COVER_ERROR_FORMAT, "text.safetensors", "");
    refused_by(discs, "seg", at("grey"), "widths=8,8,8,8,8,8,8,8,16", COVER_ERROR_MISMATCH, "8,8,8,8,8,8,8,8,16",
               "start from scratch");
}
END_TEST

START_TEST(a_classification_starts_another_one_but_no_segmentation) {
    cover_dataset *dataset = make_data(patterns, NULL);
    cover_task *task = make_task(dataset, "cls", NULL, "");
    take_steps(task, 1);
    ck_assert_ok(cover_task_export(task, at("cls.safetensors")));
    ck_assert_ok(cover_task_save(task, at("cls.h5")));
    cover_task_destroy(task);
    for (int i = 0; i < 2; i++) {
        const char *init = at(i ? "cls.h5" : "cls.safetensors");
        task = make_task(dataset, "cls", init, "");
        take_steps(task, 1);
        cover_task_destroy(task);
    }
    cover_dataset_destroy(dataset);
    refused_by(discs, "seg", at("cls.safetensors"), "", COVER_ERROR_MISMATCH, "no decoder", "scratch");
}
END_TEST

START_TEST(a_pixel_that_is_no_number_stops_the_step_and_names_the_case) {
    for (int kind = 0; kind < 2; kind++) { /* in training, then in validation */
        struct scene scene = {.kind = DISC, .nan_case = kind ? 2 : 1, .split_of = ones_validate, .samples = 4};
        cover_dataset *dataset = make_data(scene, NULL);
        cover_task *task = make_task(dataset, "seg", NULL, "standardise=off"); /* which looks at images before the first step */
        if (kind) {
            ck_assert_ok(cover_task_step(NULL, task));
            ck_assert_fails(cover_task_validate(NULL, task), COVER_ERROR_NUMERIC, "case case_01");
            ck_assert(isnan(task->best_score));
        } else {
            ck_assert_fails(cover_task_step(NULL, task), COVER_ERROR_NUMERIC, "case case_00");
            ck_assert_int_eq(task->core.step, 0);
        }
        cover_task_destroy(task);
        cover_dataset_destroy(dataset);
    }
}
END_TEST

START_TEST(weights_that_are_no_numbers_stop_the_step_and_name_the_tensor) {
    cover_dataset *dataset = make_data(discs, NULL);
    cover_task *task = make_task(dataset, "seg", NULL, "");
    take_steps(task, 1);
    *weights_of(task, "backbone.down2.maxpool_conv.1.double_conv.0.weight", NULL) = NAN;
    ck_assert_ok(engine_weights_changed(task->core.engine));
    ck_assert_fails(cover_task_step(NULL, task), COVER_ERROR_NUMERIC, "step 2", "backbone.down2");
    ck_assert_int_eq(task->core.step, 1);
    cover_task_destroy(task);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(configs_and_checkpoints_of_other_jobs_are_refused) {
    cover_dataset *dataset = make_data(discs, NULL);
    cover_config *config;
    cover_task *task = NULL;
    make_backbone("run", 2, 1, "");
    ck_assert_ok(cover_config_create(&config, context, "paper-2d"));
    ck_assert_fails(cover_task_create(&task, context, dataset, config, NULL), COVER_ERROR_ARGUMENT, "pretrain");
    cover_config_destroy(config);
    task = make_task(dataset, "seg", NULL, "");
    take_steps(task, 1);
    ck_assert_ok(cover_task_save(task, at("task.h5")));
    ck_assert_fails(cover_task_load(task, at("run/checkpoint.h5")), COVER_ERROR_MISMATCH, "checkpoint of pretraining", "INIT");
    cover_task_destroy(task);
    task = make_task(dataset, "seg", NULL, "lr=0.5");
    ck_assert_fails(cover_task_load(task, at("task.h5")), COVER_ERROR_MISMATCH, "lr=0.01, not 0.5", "new run");
    cover_task_destroy(task);
    cover_dataset *other = make_data((struct scene){.kind = DISC, .variant = 7}, at("other.h5"));
    task = make_task(other, "seg", NULL, "");
    ck_assert_fails(cover_task_load(task, at("task.h5")), COVER_ERROR_MISMATCH, "another dataset", "start a new run");
    ck_assert_int_eq(task->core.step, 0);
    cover_task_destroy(task);
    cover_dataset_destroy(other);
    cover_dataset_destroy(dataset);
    ck_assert_fails(cover_task_step(NULL, NULL), COVER_ERROR_ARGUMENT, "NULL");
    ck_assert_fails(cover_task_validate(NULL, NULL), COVER_ERROR_ARGUMENT, "NULL");
    ck_assert_fails(cover_task_save(NULL, "x"), COVER_ERROR_ARGUMENT, "NULL");
    ck_assert_fails(cover_task_load(NULL, "x"), COVER_ERROR_ARGUMENT, "NULL");
    ck_assert_fails(cover_task_export(NULL, "x"), COVER_ERROR_ARGUMENT, "NULL");
    ck_assert_ptr_null(cover_task_settings(NULL));
    cover_task_destroy(NULL);
}
END_TEST

START_TEST(regions_of_several_labels_are_not_trained_in_silence) {
    cover_dataset *dataset = make_data((struct scene){.kind = DISC, .classes = 3, .regions = 1}, NULL);
    cover_config *config = make_config(dataset, "seg", NULL, "");
    cover_task *task = NULL;
    ck_assert_fails(cover_task_create(&task, context, dataset, config, NULL), COVER_ERROR_UNSUPPORTED,
                    "label 'disc' is a region of several values");
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(a_plan_above_the_memory_limit_is_refused) {
    cover_dataset *dataset = make_data(discs, NULL);
    cover_config *config = make_config(dataset, "seg", NULL, "widths=64,64,64,64,64,64,64,64,64");
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.memory_limit_bytes = 4 << 20;
    cover_context *poor;
    cover_task *task = NULL;
    ck_assert_ok(cover_context_create(&poor, &options));
    ck_assert_fails(cover_task_create(&task, poor, dataset, config, NULL), COVER_ERROR_MEMORY, "limit");
    cover_context_destroy(poor);
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
}
END_TEST

/* ---- run folders */

static cover_status finetune(cover_dataset *dataset, const char *run, const cover_finetune_options *options, const char *settings,
                             char **summary) {
    cover_config *config = make_config(dataset, "seg", NULL, settings);
    cover_status status = cover_run_finetune(summary, context, dataset, config, NULL, run, options);
    cover_config_destroy(config);
    return status;
}

START_TEST(a_run_folder_holds_all_and_is_not_overwritten) {
    static const char *const files[] = {"config.json",         "log.jsonl",   "checkpoint.h5",
                                        "weights.safetensors", "result.json", "report.html"};
    cover_dataset *dataset = make_data(discs, NULL);
    char *summary = NULL, *again = NULL;
    ck_assert_ok(finetune(dataset, at("run"), NULL, "save_every=4", &summary));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) ck_assert_msg(file_exists(at("run/%s", files[i])), "%s", files[i]);
    json_t *result = json_loads(summary, 0, NULL), *stored = json_load_file(at("run/result.json"), 0, NULL);
    ck_assert(json_equal(result, stored));
    const json_t *best = json_object_get(result, "best");
    ck_assert_str_eq(json_string_value(json_object_get(result, "task")), "seg");
    ck_assert_int_eq(json_integer_value(json_object_get(result, "steps")), 8);
    ck_assert_int_eq(json_integer_value(json_object_get(result, "train_cases")), 6);
    ck_assert_uint_eq(json_array_size(json_object_get(best, "cases")), 4);
    int64_t step = json_integer_value(json_object_get(best, "step"));
    ck_assert(step == 4 || step == 8);
    json_decref(result);
    json_decref(stored);
    cover_text_release(context, summary);
    FILE *log = fopen(at("run/log.jsonl"), "r");
    char line[2048];
    int64_t wanted = 0;
    while (fgets(line, sizeof line, log)) {
        static const char *const keys[] = {"loss", "cross_entropy", "dice_loss", "grad_norm", "lr", "seconds", "samples_per_s"};
        json_t *root = json_loads(line, 0, NULL);
        ck_assert_int_eq(json_integer_value(json_object_get(root, "step")), wanted += 2);
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            ck_assert_msg(json_object_get(root, keys[i]) != NULL, "%s", keys[i]);
        ck_assert(json_is_number(json_object_get(root, "val.mean_dice")) == (wanted % 4 == 0));
        ck_assert(json_is_number(json_object_get(root, "val.dice.disc")) == (wanted % 4 == 0));
        json_decref(root);
    }
    fclose(log);
    ck_assert_int_eq(wanted, 8);
    ck_assert_fails(finetune(dataset, at("run"), NULL, "", &again), COVER_ERROR_IO, "config.json", "option resume");
    ck_assert_ptr_null(again);
    cover_finetune_options options = COVER_FINETUNE_OPTIONS_INIT;
    options.resume = 1;
    ck_assert_ok(finetune(dataset, at("run"), &options, "", NULL)); /* finished: nothing left to do */
    ck_assert_fails(finetune(dataset, at("run"), &options, "val_every=3", NULL), COVER_ERROR_MISMATCH, "val_every=4");
    ck_assert_ok(file_replace(context, at("file"), "x", 1));
    ck_assert_fails(finetune(dataset, at("file/run"), NULL, "", NULL), COVER_ERROR_IO, "file");
    options.struct_size = 3;
    ck_assert_fails(finetune(dataset, at("new"), &options, "", NULL), COVER_ERROR_ARGUMENT, "cover_finetune_options");
    cover_dataset_destroy(dataset);
}
END_TEST

struct stop {
    int64_t step;
    int64_t calls;
};
static void cancel_at(void *user, const cover_task_report *report, int64_t steps) {
    struct stop *stop = user;
    ck_assert_int_eq(steps, 8);
    ck_assert_int_eq(report->step, ++stop->calls);
    ck_assert(isnan(report->score) == (report->step < 4));
    if (report->step == stop->step) cover_context_cancel(context);
}

START_TEST(a_cancelled_run_goes_on_to_the_same_end) {
    cover_dataset *dataset = make_data(discs, NULL);
    ck_assert_ok(finetune(dataset, at("whole"), NULL, "", NULL));
    for (int step = 2; step <= 7; step += 5) {
        struct stop stop = {step, 0};
        cover_finetune_options options = COVER_FINETUNE_OPTIONS_INIT;
        options.on_step = cancel_at, options.user = &stop;
        ck_assert_fails(finetune(dataset, at("cut%d", step), &options, "", NULL), COVER_ERROR_CANCELLED,
                        at("step %d", step) + strlen(folder) + 1, "is saved");
        cover_context_resume(context);
        options = (cover_finetune_options)COVER_FINETUNE_OPTIONS_INIT;
        options.resume = 1;
        ck_assert_ok(finetune(dataset, at("cut%d", step), &options, "", NULL));
        ck_assert(same_files(at("whole/weights.safetensors"), at("cut%d/weights.safetensors", step)));
        ck_assert(same_files(at("whole/checkpoint.h5"), at("cut%d/checkpoint.h5", step)));
    }
    cover_dataset_destroy(dataset);
}
END_TEST

/* Cancels while the second case of validation is read: the step before is done, its validation is not. */
static struct sample_reader inner;
static int64_t reads_left;
static cover_status cancelling_label(void *user, int64_t index, uint16_t **label, struct grid *grid) {
    if (--reads_left == 0) cover_context_cancel(context);
    return inner.label(user, index, label, grid);
}

START_TEST(a_validation_that_was_cancelled_is_made_up_for) {
    cover_dataset *dataset = make_data(discs, NULL);
    ck_assert_ok(finetune(dataset, at("whole"), NULL, "val_every=2", NULL));
    for (int last = 0; last < 2; last++) { /* after step 2, and after the last */
        const char *run = at("cut");
        char checkpoint[256];
        snprintf(checkpoint, sizeof checkpoint, "%s", at("cut/checkpoint.h5"));
        cover_task *task = make_task(dataset, "seg", NULL, "val_every=2");
        for (int step = 1; step <= (last ? 8 : 2); step++) {
            take_steps(task, 1);
            if (step % 2 == 0 && step < (last ? 8 : 2)) ck_assert_ok(cover_task_validate(NULL, task));
        }
        prefetch_destroy(task->core.prefetch); /* nobody else reads now */
        task->core.prefetch = NULL;
        inner = task->core.reader;
        task->core.reader.label = cancelling_label, reads_left = 2;
        ck_assert_fails(cover_task_validate(NULL, task), COVER_ERROR_CANCELLED, "cancelled");
        task->core.reader = inner;
        cover_context_resume(context);
        ck_assert_ok(folder_create(run));
        ck_assert_ok(cover_task_save(task, checkpoint));
        cover_task_destroy(task);
        cover_finetune_options options = COVER_FINETUNE_OPTIONS_INIT;
        options.resume = 1;
        ck_assert_ok(finetune(dataset, run, &options, "val_every=2", NULL));
        ck_assert(same_files(at("whole/weights.safetensors"), at("cut/weights.safetensors")));
        ck_assert(same_files(at("whole/checkpoint.h5"), at("cut/checkpoint.h5")));
    }
    cover_dataset_destroy(dataset);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("task");
    TCase *tcase = tcase_create("task");
    tcase_set_timeout(tcase, 100);
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, segmentation_in_2d_learns_a_disc);
    ADD(tcase, segmentation_in_3d_learns_a_ball);
    ADD(tcase, segmentation_of_three_classes_and_unknown_rows_learns);
    ADD(tcase, classification_in_2d_learns_patterns);
    ADD(tcase, classification_in_3d_learns_patterns);
    ADD(tcase, several_labels_an_image_are_learnt_each_on_its_own);
    ADD(tcase, threads_and_lanes_change_no_bit_of_segmentation);
    ADD(tcase, threads_change_no_bit_of_classification);
    ADD(tcase, a_resumed_segmentation_equals_an_unbroken_one);
    ADD(tcase, a_resumed_classification_equals_an_unbroken_one);
    ADD(tcase, scores_in_a_checkpoint_are_four_little_endian_words);
    ADD(tcase, the_seed_changes_weights_but_not_the_cases);
    ADD(tcase, what_is_not_trained_keeps_every_bit);
    ADD(tcase, a_task_starts_from_a_run_folder_a_weight_file_and_a_checkpoint);
    ADD(tcase, an_inflated_network_says_of_three_equal_channels_what_it_said_of_one);
    ADD(tcase, a_layer_before_the_head_is_measured_once_and_then_stays);
    ADD(tcase, balanced_weights_are_inverse_to_how_often_a_class_comes);
    ADD(tcase, the_best_weights_are_kept_and_written);
    ADD(tcase, a_checkpoint_tells_prediction_the_best_weights_so_far);
    ADD(tcase, settings_are_refused_for_data_that_lack_what_the_task_needs);
    ADD(tcase, settings_that_do_not_fit_the_data_are_refused_by_name);
    ADD(tcase, cases_that_cannot_be_had_are_refused_with_the_remedy);
    ADD(tcase, a_validation_that_tells_nothing_is_refused_before_training);
    ADD(tcase, networks_that_do_not_fit_are_refused);
    ADD(tcase, a_classification_starts_another_one_but_no_segmentation);
    ADD(tcase, a_pixel_that_is_no_number_stops_the_step_and_names_the_case);
    ADD(tcase, weights_that_are_no_numbers_stop_the_step_and_name_the_tensor);
    ADD(tcase, configs_and_checkpoints_of_other_jobs_are_refused);
    ADD(tcase, regions_of_several_labels_are_not_trained_in_silence);
    ADD(tcase, a_plan_above_the_memory_limit_is_refused);
    ADD(tcase, a_run_folder_holds_all_and_is_not_overwritten);
    ADD(tcase, a_cancelled_run_goes_on_to_the_same_end);
    ADD(tcase, a_validation_that_was_cancelled_is_made_up_for);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
