/* Pretraining into a run folder (include/libcover/trainer.h): what run/driver.c is told of it. */
#include "api/run/driver.h"
#include "preview.h"

struct pretraining {
    struct run_job job;
    cover_dataset *dataset;
    const cover_config *config;
    cover_pretrain_options options;
    cover_trainer *trainer;
    bool collapsed; /* it was said */
};

static cover_status create(struct run_job *job) {
    struct pretraining *run = (struct pretraining *)job;
    TRY(cover_trainer_create(&run->trainer, job->context, run->dataset, run->config));
    job->core = &run->trainer->core;
    return COVER_OK;
}

static cover_status fresh(struct run_job *job) {
    struct pretraining *run = (struct pretraining *)job;
    return run->options.init ? cover_trainer_init_weights(run->trainer, run->options.init, run->options.allow_partial) : COVER_OK;
}

static cover_status write_preview(struct run_job *job) {
    char *path = run_path(job, "preview.safetensors");
    if (!path) return COVER_ERROR_MEMORY;
    cover_status status = core_prefetch(job->core);
    if (status == COVER_OK) status = preview_write(((struct pretraining *)job)->trainer, path);
    memory_free(job->context, path);
    return status;
}

/* Rows that are all alike have taught nothing, however low the loss is.  Once a run, when it has had time to begin. */
static void warn_of_collapse(struct pretraining *run) {
    enum { BEGINNING = 50 };
    static const double least = 0.05;
    const cover_step_report *report = &run->job.report;
    const double spread = cover_figure_value(report->figures, report->figure_count, "spread");
    if (run->collapsed || !run->job.writes || report->step <= BEGINNING || !(spread < least)) return;
    if (report->step % run->job.core->settings.common.log_every != 0) return;
    run->collapsed = true;
    log_line(run->job.context, COVER_LOG_WARNING,
             "step %lld: spread is %.3g: the images' rows are nearly all alike, which is collapse, whatever the loss says; a "
             "larger batch, "
             "head_norm=batch or a lower lr may help",
             (long long)report->step, spread);
}

static void tell(struct run_job *job) {
    struct pretraining *run = (struct pretraining *)job;
    warn_of_collapse(run);
    if (run->options.on_step) run->options.on_step(run->options.user, &job->report, job->core->settings.common.steps);
}

static cover_status finish(struct run_job *job) {
    char *weights = run_path(job, "weights.safetensors");
    if (!weights) return run_give_up(job, COVER_ERROR_MEMORY);
    cover_status status = cover_trainer_export(((struct pretraining *)job)->trainer, weights);
    memory_free(job->context, weights);
    return status == COVER_OK ? run_by_writer(job, run_report) : status;
}

static const struct run_kind kind = {.create = create, .fresh = fresh, .opened = write_preview, .tell = tell, .finish = finish};

cover_status cover_run_pretrain(cover_context *context, cover_dataset *dataset, const cover_config *config, const char *run,
                                const cover_pretrain_options *given) {
    if (!context || !dataset || !config || !run) return fail(COVER_ERROR_ARGUMENT, "cover_run_pretrain: an argument is NULL");
    struct pretraining made = {.job = {.kind = &kind, .context = context, .run = run},
                               .dataset = dataset,
                               .config = config,
                               .options = COVER_PRETRAIN_OPTIONS_INIT};
    TRY(options_read(&made.options, sizeof made.options, given, "cover_pretrain_options"));
    made.job.resume = made.options.resume;
    cover_status status = run_drive(&made.job, context->communicator);
    cover_trainer_destroy(made.trainer);
    return status;
}
