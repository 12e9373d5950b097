/* The public task: cases, network, steps, validation, files (include/libcover/task.h). */
#include "judge.h"

#include "core/base/json.h"
#include "core/views/augment.h"
#include "io/dicom/codes.h"
#include "io/weights/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what the core asks of a task */

/* What a resumed run needs beside weights, optimiser and the states that prediction reads (task_file.h). */
#define STATE_SCORES "scores"
/* Four words of 8 bytes, little-endian: score, best score (float64), best step, last validated step (int64).  Another form will have
 * another name, so that neither build reads the other's numbers as its own. */
enum { SCORES_BYTES = 32 };
static void scores_write(uint8_t bytes[SCORES_BYTES], const cover_task *task) {
    uint64_t word[4];
    memcpy(&word[0], &task->score, 8), memcpy(&word[1], &task->best_score, 8);
    word[2] = (uint64_t)task->best_step, word[3] = (uint64_t)task->validated;
    for (int i = 0; i < SCORES_BYTES; i++) bytes[i] = (uint8_t)(word[i / 8] >> 8 * (i % 8));
}
static void scores_read(double score[2], int64_t step[2], const uint8_t bytes[SCORES_BYTES]) {
    uint64_t word[4] = {0};
    for (int i = 0; i < SCORES_BYTES; i++) word[i / 8] |= (uint64_t)bytes[i] << 8 * (i % 8);
    memcpy(score, word, 16);
    step[0] = (int64_t)word[2], step[1] = (int64_t)word[3];
}

static cover_status save(struct trainer_core *core, const char *path) {
    cover_task *task = (cover_task *)core;
    struct text text = {.context = core->context};
    char *about = NULL;
    uint8_t scores[SCORES_BYTES];
    scores_write(scores, task);
    cover_status status = task_about_write(&text, &task->about);
    if (status == COVER_OK) status = text_take(&text, &about);
    else text_free(&text);
    if (status != COVER_OK) return status;
    struct checkpoint_state states[] = {
        {TASK_STATE_ABOUT, about, (int64_t)strlen(about)},
        {STATE_SCORES, scores, sizeof scores},
        {TASK_STATE_BEST, task->best, (int64_t)((size_t)core->engine->model.parameters.floats * sizeof(float))},
    };
    status = core_write(core, path, states, task->best ? 3 : 2);
    memory_free(core->context, about);
    return status;
}

static cover_status load_states(struct trainer_core *core, struct checkpoint_file *file) {
    cover_task *task = (cover_task *)core;
    uint8_t *data;
    int64_t bytes;
    double score[2];
    int64_t step[2];
    TRY(checkpoint_read_state(file, STATE_SCORES, &data, &bytes));
    bool fits = bytes == SCORES_BYTES;
    if (fits) scores_read(score, step, data);
    memory_free(task->core.context, data);
    if (!fits) return fail(COVER_ERROR_FORMAT, "%s: state \"" STATE_SCORES "\" has %lld bytes", file->path, (long long)bytes);
    data = NULL;
    if (!isnan(score[1])) {
        TRY(checkpoint_read_state(file, TASK_STATE_BEST, &data, &bytes));
        if (bytes != (int64_t)((size_t)task->core.engine->model.parameters.floats * sizeof(float))) {
            memory_free(task->core.context, data);
            return fail(COVER_ERROR_FORMAT, "%s: the best weights have %lld bytes", file->path, (long long)bytes);
        }
    }
    memory_free(task->core.context, task->best);
    task->best = (float *)data;
    task->score = score[0], task->best_score = score[1];
    task->best_step = step[0], task->validated = step[1];
    task_figures_free(&task->best_figures, task->core.context); /* they were of other weights */
    return COVER_OK;
}

static cover_status samples(const struct sample_maker **maker, struct trainer_core *core) {
    *maker = &((cover_task *)core)->maker.maker;
    return COVER_OK;
}

static const struct trainer_kind fine_tuning = {.objective = OBJECTIVE_OF_TASKS,
                                                .foreign =
                                                    "a checkpoint of pretraining is what fine-tuning starts from: give it as INIT",
                                                .sample = "sample",
                                                .task = true,
                                                .model = task_model,
                                                .samples = samples,
                                                .save = save,
                                                .load_states = load_states};

/* ---- life */

static cover_status check_data(const cover_task *task, const cover_dataset_info *info) {
    const struct settings *s = &task->core.settings;
    if (info->dims != s->network.dims || info->channels != s->network.channels)
        return fail(COVER_ERROR_SHAPE,
                    "the dataset has %dD images of %d channel%s, the settings say dims=%d and channels=%d; set them as "
                    "the data is",
                    info->dims, info->channels, info->channels == 1 ? "" : "s", (int)s->network.dims, (int)s->network.channels);
    TRY(task->judge->check_data(&s->task, info));
    const char *region = info->has_labels && task->kind->dense ? dataset_region(task->core.dataset) : NULL;
    if (region)
        return fail(
            COVER_ERROR_UNSUPPORTED,
            "dataset.json's label '%s' is a region of several values, and a pixel has one class here; give each value a name of "
            "its own in dataset.json, and pack it again",
            region);
    if (info->classes > s->task.classes)
        return fail(COVER_ERROR_SHAPE, "the dataset has %d classes, but classes=%d; set classes=%d", info->classes,
                    (int)s->task.classes, info->classes);
    return augment_accepts(s, &task->core.reader.largest, info->channels);
}

static cover_status prepare_data(cover_task *task, const cover_dataset *dataset) {
    const struct settings *s = &task->core.settings;
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    TRY(cover_dataset_get_info(&info, dataset));
    core_data(&task->core, dataset, &info);
    TRY(check_data(task, &info));
    TRY(dataset_rules(&task->about.rules, task->core.dataset));
    TRY(task_names(&task->about.class_names, task->core.dataset, (int)s->task.classes));
    TRY(task_split(&task->split, task->core.dataset, s, task->about.class_names));
    if (!(task->class_weights = memory_alloc(task->core.context, (size_t)s->task.classes * sizeof *task->class_weights)))
        return COVER_ERROR_MEMORY;
    TRY(case_class_weights(task->class_weights, task->core.context, task->kind, s, &task->core.reader, task->split.train,
                           task->split.train_count, task->about.class_names));
    TRY(task->judge->check_validation(task));
    return case_maker(&task->maker, task->core.context, task->kind, s, &task->core.reader, task->split.train,
                      task->split.train_count, task->class_weights);
}

cover_status cover_task_create(cover_task **out, cover_context *context, cover_dataset *dataset, const cover_config *config,
                               const char *init) {
    if (!out || !context || !dataset || !config) return fail(COVER_ERROR_ARGUMENT, "cover_task_create: an argument is NULL");
    cover_task *task = handle_make(context, sizeof *task);
    if (!task) return COVER_ERROR_MEMORY;
    task->about.context = context;
    task->score = task->best_score = NAN;
    cover_status status;
    GO(core_begin(&task->core, &fine_tuning, context, config, NULL));
    task->about.config = task->core.config;
    task->judge = task_judge_of(context, &task->core.settings.task);
    task->kind = task->judge->kind;
    GO(prepare_data(task, dataset));
    GO(core_engine(&task->core));
    if (!task_from_scratch(init)) GO(task_load_backbone(task, init));
    if (task->core.settings.task.standardise) GO(task_measure_features(task));
    *out = task;
done:
    if (status != COVER_OK) cover_task_destroy(task);
    return status;
}

cover_status task_take_segments(cover_task *task, const char *json) {
    cover_context *context = task->core.context;
    struct text text = {.context = context};
    struct dicom_segment *segments;
    json_t *object;
    int count;
    TRY(dicom_segments_make(&segments, &count, context, (const char *const *)task->about.class_names,
                            (int)task->core.settings.task.classes, json));
    memory_free(context, segments);
    TRY(json_read(&object, "segments", json, strlen(json)));
    text_add_value(&text, object);
    json_decref(object);
    return text_take(&text, &task->about.segments);
}

void cover_task_destroy(cover_task *task) {
    if (!task) return;
    cover_context *context = task->core.context;
    inference_destroy(task->inference);
    core_free(&task->core); /* with the config that `about` has, too */
    task_figures_free(&task->figures, context);
    task_figures_free(&task->best_figures, context);
    split_free(&task->split);
    task_names_free(context, task->about.class_names, (int)task->core.settings.task.classes);
    memory_free(context, task->about.segments);
    memory_free(context, task->class_weights);
    memory_free(context, task->best);
    handle_free(context, task);
}

const cover_config *cover_task_settings(const cover_task *task) { return task ? task->core.config : NULL; }

/* ---- a step */

cover_task_report task_report_of(const cover_task *task, const cover_step_report *made) {
    return (cover_task_report){.struct_size = sizeof(cover_task_report),
                               .step = made->step,
                               .loss = made->loss,
                               .figure_count = made->figure_count,
                               .figures = made->figures,
                               .grad_norm = made->grad_norm,
                               .lr = made->lr,
                               .seconds = made->seconds,
                               .samples_per_second = made->samples_per_second,
                               .score = task->score,
                               .best_score = task->best_score,
                               .best_step = task->best_step};
}

cover_status cover_task_step(cover_task_report *given, cover_task *task) {
    if (!task) return fail(COVER_ERROR_ARGUMENT, "cover_task_step: the task is NULL");
    cover_step_report made = COVER_STEP_REPORT_INIT;
    TRY(core_step(&made, &task->core));
    const cover_task_report report = task_report_of(task, &made);
    report_write(given, &report, sizeof report);
    return COVER_OK;
}

/* ---- validation */

static cover_status keep_best(cover_task *task) {
    size_t bytes = (size_t)task->core.engine->model.parameters.floats * sizeof(float);
    if (!task->best && !(task->best = memory_alloc(task->core.context, bytes))) return COVER_ERROR_MEMORY;
    memcpy(task->best, task->core.engine->weights, bytes);
    task->best_score = task->score, task->best_step = task->core.step;
    struct task_figures swap = task->best_figures; /* the old ones are overwritten by the next validation */
    task->best_figures = task->figures, task->figures = swap;
    return COVER_OK;
}

cover_status cover_task_validate(char **json, cover_task *task) {
    if (!task) return fail(COVER_ERROR_ARGUMENT, "cover_task_validate: the task is NULL");
    if (!task->inference)
        TRY(inference_create(&task->inference, task->core.context, &task->core.settings, &task->core.engine->model.parameters));
    TRY(engine_fetch(task->core.engine));
    TRY(inference_weights(task->inference, task->core.engine->weights));
    TRY(task_figures_compute(task, &task->score));
    task->validated = task->core.step;
    struct text text = {.context = task->core.context};
    if (json) {
        text_add(&text, "{\"step\": %lld, ", (long long)task->core.step);
        task_figures_write(&text, task, &task->figures, true);
        text_add(&text, "}");
    }
    if (!(task->score <= task->best_score)) { /* also when there is none yet */
        cover_status status = keep_best(task);
        if (status != COVER_OK) {
            text_free(&text);
            return status;
        }
    }
    return json ? text_take(&text, json) : COVER_OK;
}

/* ---- to and from files */

cover_status cover_task_save(cover_task *task, const char *path) {
    if (!task || !path) return fail(COVER_ERROR_ARGUMENT, "cover_task_save: an argument is NULL");
    return core_save(&task->core, path);
}

cover_status cover_task_load(cover_task *task, const char *path) {
    if (!task || !path) return fail(COVER_ERROR_ARGUMENT, "cover_task_load: an argument is NULL");
    return core_load(&task->core, path);
}

cover_status cover_task_export(cover_task *task, const char *path) {
    if (!task || !path) return fail(COVER_ERROR_ARGUMENT, "cover_task_export: an argument is NULL");
    TRY(engine_fetch(task->core.engine));
    return task_weights_write(task->core.context, path, &task->core.engine->model.parameters,
                              task->best ? task->best : task->core.engine->weights, &task->about,
                              task->best ? task->best_step : task->core.step);
}
