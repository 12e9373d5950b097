/* The public task: cases, network, steps, validation, files (include/libcover/task.h). */
#include "task.h"

#include "core/views/augment.h"
#include "io/weights/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- life */

static cover_status check_data(const cover_task *task, const cover_dataset_info *info) {
    const struct settings *s = &task->settings;
    if (info->dims != s->network.dims || info->channels != s->network.channels)
        return fail(COVER_ERROR_SHAPE, "the dataset has %dD images of %d channels, the settings say dims=%d and channels=%d; set them as "
                    "the data is", info->dims, info->channels, (int)s->network.dims, (int)s->network.channels);
    if (s->task.task == TASK_SEGMENTATION && !info->has_labels)
        return fail(COVER_ERROR_ARGUMENT, "task=seg, but the dataset has no label maps; use task=cls, or pack images with labels");
    if (s->task.task == TASK_CLASSIFICATION && info->has_labels)
        return fail(COVER_ERROR_ARGUMENT, "task=cls, but the dataset has label maps in place of classes of images; use task=seg");
    if (s->task.task == TASK_CLASSIFICATION && s->task.multilabel != info->multilabel)
        return fail(COVER_ERROR_ARGUMENT, "multilabel=%s, but the dataset has %s an image; set multilabel=%s", s->task.multilabel ? "on" : "off",
                    info->multilabel ? "a set of classes" : "one class", info->multilabel ? "on" : "off");
    if (info->classes > s->task.classes)
        return fail(COVER_ERROR_SHAPE, "the dataset has %d classes, but classes=%d; set classes=%d", info->classes, (int)s->task.classes,
                    info->classes);
    if (s->task.multilabel && s->task.classes > 64) return fail(COVER_ERROR_SHAPE, "classes=%d: at most 64 with multilabel=on", (int)s->task.classes);
    return augment_accepts(s, &task->reader.largest, info->channels);
}

static cover_status prepare_data(cover_task *task) {
    const struct settings *s = &task->settings;
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    TRY(cover_dataset_get_info(&info, task->dataset));
    memcpy(task->hash, info.hash, sizeof task->hash);
    task->reader = dataset_reader(task->dataset);
    TRY(check_data(task, &info));
    TRY(dataset_rules(&task->about.rules, task->dataset));
    TRY(task_names(&task->about.class_names, task->dataset, (int)s->task.classes));
    TRY(task_split(&task->split, task->dataset, s, task->about.class_names));
    if (!(task->class_weights = memory_alloc(task->context, (size_t)s->task.classes * sizeof *task->class_weights)))
        return COVER_ERROR_MEMORY;
    TRY(case_class_weights(task->class_weights, task->context, s, &task->reader, task->split.train, task->split.train_count,
                           task->about.class_names));
    TRY(task_check_validation(task));
    return case_maker(&task->maker, task->context, s, &task->reader, task->split.train, task->split.train_count, task->class_weights);
}

cover_status cover_task_create(cover_task **out, cover_context *context, cover_dataset *dataset, const cover_config *config,
                               const char *init) {
    if (!out || !context || !dataset || !config) return fail(COVER_ERROR_ARGUMENT, "cover_task_create: an argument is NULL");
    TRY(config_expect(config, true));
    TRY(cover_config_validate(config));
    cover_task *task = memory_zero(context, sizeof *task);
    if (!task) return COVER_ERROR_MEMORY;
    task->context = context, task->dataset = dataset, task->about.context = context;
    task->score = task->best_score = NAN;
    cover_status status;
    GO(cover_config_copy(&task->about.config, config));
    task->settings = *config_settings(config);
    GO(prepare_data(task));
    struct grid crop = settings_grid(&task->settings.views.crop, (int)task->settings.network.dims);
    GO(engine_create(&task->engine, context, &task->settings, task_model, &crop, task->settings.common.batch));
    if (!task_from_scratch(init)) GO(task_load_backbone(task, init));
    if (task->settings.task.standardise) GO(task_measure_features(task));
    *out = task;
done:
    if (status != COVER_OK) cover_task_destroy(task);
    return status;
}

void cover_task_destroy(cover_task *task) {
    if (!task) return;
    cover_context *context = task->context;
    prefetch_destroy(task->prefetch);
    inference_destroy(task->inference);
    engine_destroy(task->engine);
    task_figures_free(&task->figures, context);
    task_figures_free(&task->best_figures, context);
    split_free(&task->split);
    task_about_free(&task->about);
    memory_free(context, task->class_weights);
    memory_free(context, task->best);
    memory_free(context, task);
}

const cover_config *cover_task_settings(const cover_task *task) { return task ? task->about.config : NULL; }

/* ---- a step */

static void stop_prefetch(cover_task *task) {
    prefetch_destroy(task->prefetch);
    task->prefetch = NULL;
}

cover_status cover_task_step(cover_task_report *given, cover_task *task) {
    if (!task) return fail(COVER_ERROR_ARGUMENT, "cover_task_step: the task is NULL");
    double start = seconds_now();
    struct step_sums sums;
    if (cancelled(task->context)) return fail(COVER_ERROR_CANCELLED, "step %lld: cancelled", (long long)task->step + 1);
    double norm, rate = schedule_rate(&task->settings.common, task->step);
    TRY(prefetch_step(&task->prefetch, task->engine, &task->maker.maker, task->step, rate, &sums, &norm));
    double count = (double)sums.count;
    bool segmentation = task->settings.task.task == TASK_SEGMENTATION; /* the Dice of one pixel means nothing */
    double cross_entropy = sums.term[TERM_CROSS_ENTROPY] / count, dice_loss = segmentation ? sums.term[TERM_DICE] / count : 0;
    double loss = cross_entropy + task->settings.task.dice * dice_loss;
    if (!step_finite(&sums, norm)) return prefetch_diagnose(&task->prefetch, task->engine, task->step, "sample");
    task->step++;
    double seconds = seconds_now() - start;
    cover_task_report report = {.struct_size = sizeof report, .step = task->step, .loss = loss, .cross_entropy = cross_entropy,
                                .dice_loss = dice_loss, .grad_norm = norm, .lr = rate, .seconds = seconds,
                                .samples_per_second = (double)task->settings.common.batch / seconds, .score = task->score,
                                .best_score = task->best_score, .best_step = task->best_step};
    report_write(given, &report, sizeof report);
    return COVER_OK;
}

/* ---- validation */

static cover_status keep_best(cover_task *task) {
    size_t bytes = (size_t)task->engine->model.parameters.floats * sizeof(float);
    if (!task->best && !(task->best = memory_alloc(task->context, bytes))) return COVER_ERROR_MEMORY;
    memcpy(task->best, task->engine->weights, bytes);
    task->best_score = task->score, task->best_step = task->step;
    struct task_figures swap = task->best_figures; /* the old ones are overwritten by the next validation */
    task->best_figures = task->figures, task->figures = swap;
    return COVER_OK;
}

cover_status cover_task_validate(char **json, cover_task *task) {
    if (!task) return fail(COVER_ERROR_ARGUMENT, "cover_task_validate: the task is NULL");
    if (!task->inference)
        TRY(inference_create(&task->inference, task->context, &task->settings, &task->engine->model.parameters));
    TRY(engine_fetch(task->engine));
    TRY(inference_weights(task->inference, task->engine->weights));
    TRY(task_figures_compute(task, &task->score));
    task->validated = task->step;
    struct text text = {.context = task->context};
    if (json) {
        text_add(&text, "{\"step\": %lld, ", (long long)task->step);
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

/* What a resumed run needs beside weights, optimiser and the states that prediction reads (task_file.h). */
#define STATE_SCORES "scores"
struct scores_state {
    double score, best_score;
    int64_t best_step, validated;
};

cover_status cover_task_save(cover_task *task, const char *path) {
    if (!task || !path) return fail(COVER_ERROR_ARGUMENT, "cover_task_save: an argument is NULL");
    struct engine *engine = task->engine;
    TRY(engine_fetch(engine));
    struct text text = {.context = task->context};
    char *about = NULL;
    struct scores_state scores = {task->score, task->best_score, task->best_step, task->validated};
    cover_status status = task_about_write(&text, &task->about);
    if (status == COVER_OK) status = text_take(&text, &about);
    else text_free(&text);
    if (status != COVER_OK) return status;
    const char *json = cover_config_json(task->about.config); /* after task_about_write(), which asks for this text, too */
    struct checkpoint_state states[] = {
        {TASK_STATE_ABOUT, about, (int64_t)strlen(about)},
        {STATE_SCORES, &scores, sizeof scores},
        {TASK_STATE_BEST, task->best, (int64_t)((size_t)engine->model.parameters.floats * sizeof(float))},
    };
    struct checkpoint checkpoint = {.step = task->step, .updates = engine->updates, .seed = task->settings.common.seed, .config = json,
                                    .dataset_hash = task->hash, .objective = "task", .parameters = &engine->model.parameters,
                                    .weights = engine->weights, .m = engine->m, .v = engine->v, .states = states,
                                    .state_count = task->best ? 3 : 2};
    status = json ? checkpoint_write(task->context, path, &checkpoint) : COVER_ERROR_MEMORY;
    memory_free(task->context, about);
    return status;
}

static cover_status load_best(cover_task *task, struct checkpoint_file *file) {
    uint8_t *data;
    int64_t bytes;
    struct scores_state scores;
    TRY(checkpoint_read_state(file, STATE_SCORES, &data, &bytes));
    bool fits = bytes == sizeof scores;
    if (fits) memcpy(&scores, data, sizeof scores);
    memory_free(task->context, data);
    if (!fits) return fail(COVER_ERROR_FORMAT, "%s: state \"" STATE_SCORES "\" has %lld bytes", file->path, (long long)bytes);
    data = NULL;
    if (!isnan(scores.best_score)) {
        TRY(checkpoint_read_state(file, TASK_STATE_BEST, &data, &bytes));
        if (bytes != (int64_t)((size_t)task->engine->model.parameters.floats * sizeof(float))) {
            memory_free(task->context, data);
            return fail(COVER_ERROR_FORMAT, "%s: the best weights have %lld bytes", file->path, (long long)bytes);
        }
    }
    memory_free(task->context, task->best);
    task->best = (float *)data;
    task->score = scores.score, task->best_score = scores.best_score;
    task->best_step = scores.best_step, task->validated = scores.validated;
    task_figures_free(&task->best_figures, task->context); /* they were of other weights */
    return COVER_OK;
}

static cover_status load(cover_task *task, struct checkpoint_file *file) {
    struct engine *engine = task->engine;
    if (strcmp(file->objective, "task") != 0)
        return fail(COVER_ERROR_MISMATCH, "%s: a checkpoint of pretraining, not of a task; give it as INIT", file->path);
    TRY(config_resumes(task->about.config, file->path, file->config));
    if (strcmp(file->dataset_hash, task->hash) != 0)
        return fail(COVER_ERROR_MISMATCH, "%s: the run was made with another dataset (content %.12s, not %.12s); give the dataset of "
                    "the run, or start a new run", file->path, file->dataset_hash, task->hash);
    TRY(checkpoint_read(file, &engine->model.parameters, engine->weights, engine->m, engine->v));
    TRY(load_best(task, file));
    task->step = file->step, engine->updates = file->updates;
    stop_prefetch(task);
    return engine_weights_changed(engine);
}

cover_status cover_task_load(cover_task *task, const char *path) {
    if (!task || !path) return fail(COVER_ERROR_ARGUMENT, "cover_task_load: an argument is NULL");
    struct checkpoint_file *file;
    TRY(checkpoint_open(&file, task->context, path));
    cover_status status = load(task, file);
    checkpoint_close(file);
    return status;
}

cover_status cover_task_export(cover_task *task, const char *path) {
    if (!task || !path) return fail(COVER_ERROR_ARGUMENT, "cover_task_export: an argument is NULL");
    TRY(engine_fetch(task->engine));
    return task_weights_write(task->context, path, &task->engine->model.parameters, task->best ? task->best : task->engine->weights,
                              &task->about, task->best ? task->best_step : task->step);
}
