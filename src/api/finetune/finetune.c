/* Fine-tuning into a run folder (include/libcover/task.h, docs/finetune.md): what run/driver.c is told of it. */
#include "api/run/driver.h"
#include "api/run/run_folder.h"
#include "judge.h"
#include "task_preview.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct finetuning {
    struct run_job job;
    cover_dataset *dataset;
    const cover_config *config;
    const char *init;
    cover_finetune_options options;
    char **summary;
    cover_task *task;
};

static cover_status create(struct run_job *job) {
    struct finetuning *run = (struct finetuning *)job;
    TRY(cover_task_create(&run->task, job->context, run->dataset, run->config, run->init));
    if (run->options.segments) TRY(task_take_segments(run->task, run->options.segments));
    job->core = &run->task->core, job->measured = &run->task->validated;
    return COVER_OK;
}

/* A figure of validation into the line of its step: val.NAME, or val.NAME.CLASS. */
static cover_status log_figure(struct run_job *job, const char *name, const char *of_class, double value) {
    struct text tag = {.context = job->context};
    text_add(&tag, of_class ? "val.%s.%s" : "val.%s", name, of_class);
    if (!tag.failed) run_log_set(&job->log, job->core->step, tag.data, value);
    const cover_status status = tag.failed ? COVER_ERROR_MEMORY : COVER_OK;
    text_free(&tag);
    return status;
}

static cover_status validate(struct run_job *job) {
    cover_task *task = ((struct finetuning *)job)->task;
    const struct task_judge *judge = task->judge;
    int64_t best = task->best_step;
    TRY(cover_task_validate(NULL, task));
    const struct task_figures *figures = task->best_step != best ? &task->best_figures : &task->figures;
    for (int i = 0; i < judge->figures; i++) TRY(log_figure(job, judge->figure[i], NULL, figures->figure[i]));
    for (int k = judge->first_class; k < job->core->settings.task.classes; k++)
        TRY(log_figure(job, judge->class_figure, task->about.class_names[k], figures->class_mean[k]));
    return COVER_OK;
}

static void tell(struct run_job *job) {
    struct finetuning *run = (struct finetuning *)job;
    const cover_task *task = run->task;
    if (!run->options.on_step) return;
    const cover_task_report report = task_report_of(task, &job->report);
    run->options.on_step(run->options.user, &report, job->core->settings.common.steps);
}

/* Inference takes the best weights, also for the report's pictures; figures that a resumed run does not know are made again. */
static cover_status best_figures(cover_task *task) {
    double score;
    if (!task->inference)
        TRY(inference_create(&task->inference, task->core.context, &task->core.settings, &task->core.engine->model.parameters));
    TRY(engine_fetch(task->core.engine));
    TRY(inference_weights(task->inference, task->best ? task->best : task->core.engine->weights));
    if (task->best_figures.class_mean && task->best) return COVER_OK;
    TRY(task_figures_compute(task, &score));
    struct task_figures swap = task->best_figures;
    task->best_figures = task->figures, task->figures = swap;
    return COVER_OK;
}

static cover_status result(const struct run_job *job, const cover_task *task, char **summary) {
    struct text text = {.context = job->context};
    text_add(&text, "{\"run\": ");
    text_add_json(&text, job->run);
    text_add(&text,
             ", \"task\": \"%s\", \"steps\": %lld, \"seconds\": %.3f, \"train_cases\": %lld, \"val_cases\": %lld, \"parameters\": "
             "%lld, \"class_names\": [",
             task->kind->name, (long long)task->core.step, job->seconds, (long long)task->split.train_count,
             (long long)task->split.val_count, (long long)task->core.engine->model.parameters.total);
    for (int k = 0; k < job->core->settings.task.classes; k++) {
        text_add(&text, k ? ", " : "");
        text_add_json(&text, task->about.class_names[k]);
    }
    text_add(&text, "], \"best\": {\"step\": %lld, ", (long long)task->best_step);
    task_figures_write(&text, task, &task->best_figures, true);
    text_add(&text, "}}\n");
    return text_take(&text, summary);
}

static cover_status finish(struct run_job *job) {
    struct finetuning *run = (struct finetuning *)job;
    char *weights = run_path(job, "weights.safetensors"), *preview = run_path(job, "preview.safetensors"), *json = NULL;
    cover_status status = COVER_ERROR_MEMORY;
    if (!weights || !preview) goto done;
    GO(best_figures(run->task));
    GO(cover_task_export(run->task, weights));
    GO(result(job, run->task, &json));
    GO(run_folder_write(job->context, job->run, "result.json", json));
    GO(task_preview_write(run->task, preview));
    GO(run_report(job));
    if (run->summary) *run->summary = json, json = NULL;
done:
    memory_free(job->context, weights);
    memory_free(job->context, preview);
    memory_free(job->context, json);
    return status;
}

static const struct run_kind kind = {.create = create, .measure = validate, .tell = tell, .finish = finish};

cover_status cover_run_finetune(char **summary, cover_context *context, cover_dataset *dataset, const cover_config *config,
                                const char *init, const char *run, const cover_finetune_options *given) {
    if (!context || !dataset || !config || !run) return fail(COVER_ERROR_ARGUMENT, "cover_run_finetune: an argument is NULL");
    struct finetuning made = {.job = {.kind = &kind, .context = context, .run = run},
                              .dataset = dataset,
                              .config = config,
                              .init = init,
                              .options = COVER_FINETUNE_OPTIONS_INIT,
                              .summary = summary};
    TRY(options_read(&made.options, sizeof made.options, given, "cover_finetune_options"));
    made.job.resume = made.options.resume;
    cover_status status = run_drive(&made.job, NULL);
    cover_task_destroy(made.task);
    return status;
}
