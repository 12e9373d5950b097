/* Fine-tuning into a run folder (include/libcover/task.h, docs/finetune.md). */
#include "core/base/files.h"
#include "api/run/run_folder.h"
#include "api/run/run_log.h"
#include "task.h"
#include "task_preview.h"

#include <libcover/report.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

struct job {
    cover_context *context;
    cover_task *task;
    struct settings settings;
    cover_finetune_options options;
    const char *run;
    char *checkpoint;
    struct run_log log;
    int64_t saved;  /* step of checkpoint.h5 */
    double seconds; /* of steps and validations in this process */
};

static char *in_run(struct job *job, const char *name) { return path_join(job->context, job->run, name); }

static cover_status begin(struct job *job) {
    if (job->options.resume && file_exists(job->checkpoint)) {
        TRY(cover_task_load(job->task, job->checkpoint));
        job->saved = job->task->core.step;
        log_line(job->context, COVER_LOG_INFO, "%s: going on after step %lld", job->run, (long long)job->saved);
    }
    TRY(folder_create(job->run));
    TRY(run_log_open(&job->log, job->context, job->run, job->task->core.step));
    run_folder_clean(job->context, job->run);
    return run_folder_write(job->context, job->run, "config.json", cover_config_json(job->task->core.config));
}

static cover_status save(struct job *job) {
    TRY(run_log_flush(&job->log));
    TRY(cover_task_save(job->task, job->checkpoint));
    job->saved = job->task->core.step;
    return COVER_OK;
}

static void log_step(struct job *job, const cover_task_report *report) {
    const double terms[] = {report->cross_entropy, report->dice_loss};
    const struct task_kind *kind = job->task->kind;
    run_log_add(&job->log, report->step, &(struct event_scalar){"loss", report->loss}, 1);
    for (int i = 0; i < kind->terms && kind->terms > 1; i++)
        run_log_add(&job->log, report->step, &(struct event_scalar){kind->term[i], terms[i]}, 1);
    const struct event_scalar means[] = {{"grad_norm", report->grad_norm}, {"seconds", report->seconds},
                                         {"samples_per_s", report->samples_per_second}};
    run_log_add(&job->log, report->step, means, sizeof means / sizeof *means);
    run_log_set(&job->log, report->step, "lr", report->lr);
}

/* Validation figures go into the line of their step. */
static cover_status validate(struct job *job) {
    cover_task *task = job->task;
    bool segmentation = task->kind->dense;
    int64_t best = task->best_step;
    TRY(cover_task_validate(NULL, task));
    const struct task_figures *figures = task->best_step != best ? &task->best_figures : &task->figures;
    run_log_set(&job->log, task->core.step, segmentation ? "val.mean_dice" : "val.auc", task->score);
    if (!segmentation) run_log_set(&job->log, task->core.step, "val.accuracy", figures->accuracy);
    for (int k = segmentation; k < job->settings.task.classes; k++) {
        char tag[RUN_LOG_TAG];
        snprintf(tag, sizeof tag, "val.%s.%.48s", segmentation ? "dice" : "auc", task->about.class_names[k]);
        run_log_set(&job->log, task->core.step, tag, figures->class_mean[k]);
    }
    return run_log_flush(&job->log);
}

static bool due(int64_t step, int64_t interval) { return interval > 0 && step % interval == 0; }

/* A run that was cancelled in the validation after its last step has that still to do. */
static cover_status catch_up(struct job *job) {
    int64_t step = job->task->core.step;
    bool last = step == job->settings.common.steps;
    if (step <= job->task->validated || !(due(step, job->settings.task.val_every) || last)) return COVER_OK;
    TRY(validate(job));
    return save(job);
}

static cover_status train(struct job *job) {
    const struct settings *s = &job->settings;
    TRY(catch_up(job));
    while (job->task->core.step < s->common.steps) {
        cover_task_report report = COVER_TASK_REPORT_INIT;
        double start = seconds_now();
        TRY(cover_task_step(&report, job->task));
        bool last = report.step == s->common.steps;
        log_step(job, &report);
        if (due(report.step, s->task.val_every) || last) TRY(validate(job));
        else if (due(report.step, s->common.log_every)) TRY(run_log_flush(&job->log));
        if (due(report.step, s->common.save_every) || last) TRY(save(job));
        job->seconds += seconds_now() - start;
        if (!job->options.on_step) continue;
        report.score = job->task->score, report.best_score = job->task->best_score, report.best_step = job->task->best_step;
        pthread_mutex_lock(&job->context->callback_lock);
        job->options.on_step(job->options.user, &report, s->common.steps);
        pthread_mutex_unlock(&job->context->callback_lock);
    }
    return COVER_OK;
}

/* Inference takes the best weights, also for the report's pictures; figures that a resumed run does not know are made again. */
static cover_status best_figures(struct job *job) {
    cover_task *task = job->task;
    double score;
    if (!task->inference)
        TRY(inference_create(&task->inference, task->core.context, task->kind, &task->core.settings, &task->core.engine->model.parameters));
    TRY(engine_fetch(task->core.engine));
    TRY(inference_weights(task->inference, task->best ? task->best : task->core.engine->weights));
    if (task->best_figures.class_mean && task->best) return COVER_OK;
    TRY(task_figures_compute(task, &score));
    struct task_figures swap = task->best_figures;
    task->best_figures = task->figures, task->figures = swap;
    return COVER_OK;
}

static cover_status result(struct job *job, char **summary) {
    const cover_task *task = job->task;
    struct text text = {.context = job->context};
    text_add(&text, "{\"run\": ");
    text_add_json(&text, job->run);
    text_add(&text, ", \"task\": \"%s\", \"steps\": %lld, \"seconds\": %.3f, \"train_cases\": %lld, \"val_cases\": %lld, \"parameters\": "
             "%lld, \"class_names\": [", task->kind->name, (long long)task->core.step,
             job->seconds, (long long)task->split.train_count, (long long)task->split.val_count,
             (long long)task->core.engine->model.parameters.total);
    for (int k = 0; k < job->settings.task.classes; k++) {
        text_add(&text, k ? ", " : "");
        text_add_json(&text, task->about.class_names[k]);
    }
    text_add(&text, "], \"best\": {\"step\": %lld, ", (long long)task->best_step);
    task_figures_write(&text, task, &task->best_figures, true);
    text_add(&text, "}}\n");
    return text_take(&text, summary);
}

static cover_status finish(struct job *job, char **summary) {
    char *weights = in_run(job, "weights.safetensors"), *preview = in_run(job, "preview.safetensors"), *json = NULL;
    char *report = in_run(job, "report.html");
    cover_status status = COVER_ERROR_MEMORY;
    if (!weights || !preview || !report) goto done;
    GO(best_figures(job));
    GO(cover_task_export(job->task, weights));
    GO(result(job, &json));
    GO(run_folder_write(job->context, job->run, "result.json", json));
    GO(task_preview_write(job->task, preview));
    GO(cover_report_write(job->context, job->run, report));
    if (summary) *summary = json, json = NULL;
done:
    memory_free(job->context, weights);
    memory_free(job->context, preview);
    memory_free(job->context, report);
    memory_free(job->context, json);
    return status;
}

/* Stopped on request: what was done is kept. */
static cover_status stop(struct job *job) {
    cover_status status = job->task->core.step > job->saved ? save(job) : run_log_flush(&job->log);
    if (status != COVER_OK) return status;
    return fail(COVER_ERROR_CANCELLED, "%s: stopped after step %lld of %lld; checkpoint.h5 is saved", job->run,
                (long long)job->task->core.step, (long long)job->settings.common.steps);
}

cover_status cover_run_finetune(char **summary, cover_context *context, cover_dataset *dataset, const cover_config *config,
                                const char *init, const char *run, const cover_finetune_options *given) {
    if (!context || !dataset || !config || !run) return fail(COVER_ERROR_ARGUMENT, "cover_run_finetune: an argument is NULL");
    struct job job = {.context = context, .settings = *config_settings(config), .options = COVER_FINETUNE_OPTIONS_INIT, .run = run,
                      .log = {.descriptor = -1}};
    TRY(options_read(&job.options, sizeof job.options, given, "cover_finetune_options"));
    if (!job.options.resume) TRY(run_folder_unused(context, run));
    cover_status status = COVER_ERROR_MEMORY;
    if (!(job.checkpoint = in_run(&job, "checkpoint.h5"))) goto done;
    GO(cover_task_create(&job.task, context, dataset, config, init));
    GO(begin(&job));
    status = train(&job);
    if (status == COVER_ERROR_CANCELLED) status = stop(&job);
    else if (status == COVER_OK) status = finish(&job, summary);
done:
    if (job.log.context) run_log_close(&job.log);
    cover_task_destroy(job.task);
    memory_free(context, job.checkpoint);
    return status;
}
