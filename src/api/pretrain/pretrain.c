/* The whole job into a run folder (docs/run-folder.md): settings, log, checkpoints, weights, report.  Of several ranks the first one
 * writes, and alone sees the folder; the others hear how it went. */
#include "core/base/collective.h"
#include "core/base/files.h"
#include "preview.h"
#include "api/run/run_folder.h"
#include "api/run/run_log.h"
#include "trainer.h"

#include <libcover/report.h>

#include <stdio.h>

struct job {
    cover_context *context;
    cover_trainer *trainer;
    struct settings settings;
    cover_pretrain_options options;
    const char *run;
    char *checkpoint;
    struct run_log log;
    int64_t saved; /* step of checkpoint.h5 */
    bool writes;   /* rank 0 */
    struct communicator *ranks;
};

/* Work of rank 0 alone, whose result is everybody's. */
static cover_status by_writer(struct job *job, cover_status (*work)(struct job *job)) {
    return collective_agree(job->ranks, job->writes ? work(job) : COVER_OK);
}

/* What went wrong here alone: the others must not wait for this rank. */
static cover_status give_up(struct job *job, cover_status status) {
    if (job->ranks) job->ranks->abort(job->ranks, status, cover_error_text());
    return status;
}

static char *in_run(struct job *job, const char *name) { return path_join(job->context, job->run, name); }

static cover_status write_preview(struct job *job) {
    char *path = in_run(job, "preview.safetensors");
    if (!path) return COVER_ERROR_MEMORY;
    cover_status status = core_prefetch(&job->trainer->core);
    if (status == COVER_OK) status = preview_write(job->trainer, path);
    memory_free(job->context, path);
    return status;
}

static cover_status open_folder(struct job *job) {
    TRY(folder_create(job->run));
    TRY(run_log_open(&job->log, job->context, job->run, job->trainer->core.step));
    run_folder_clean(job->context, job->run);
    TRY(run_folder_write(job->context, job->run, "config.json", cover_config_json(job->trainer->core.config)));
    return write_preview(job);
}

static cover_status begin(struct job *job) {
    bool resumes = job->writes && job->options.resume && file_exists(job->checkpoint);
    TRY(collective_broadcast(job->ranks, &resumes, sizeof resumes));
    if (resumes) {
        TRY(cover_trainer_load(job->trainer, job->checkpoint));
        job->saved = job->trainer->core.step;
        if (job->writes) log_line(job->context, COVER_LOG_INFO, "%s: going on after step %lld", job->run, (long long)job->saved);
    } else if (job->options.init)
        TRY(cover_trainer_init_weights(job->trainer, job->options.init, job->options.allow_partial));
    return by_writer(job, open_folder);
}

static cover_status flush_log(struct job *job) { return run_log_flush(&job->log); }

static cover_status save(struct job *job) {
    TRY(by_writer(job, flush_log));
    TRY(cover_trainer_save(job->trainer, job->checkpoint));
    job->saved = job->trainer->core.step;
    return COVER_OK;
}

static cover_status save_numbered(struct job *job) {
    char name[64];
    snprintf(name, sizeof name, "checkpoint-%lld.h5", (long long)job->trainer->core.step);
    char *path = in_run(job, name);
    if (!path) return give_up(job, COVER_ERROR_MEMORY);
    cover_status status = cover_trainer_save(job->trainer, path);
    memory_free(job->context, path);
    return status;
}

static bool due(int64_t step, int64_t interval) { return interval > 0 && step % interval == 0; }

static void log_step(struct job *job, const cover_step_report *report) {
    const struct event_scalar means[] = {
        {"loss", report->loss},       {"l_vec", report->l_vec},         {"l_con", report->l_con},
        {"l_zero", report->l_zero},   {"grad_norm", report->grad_norm},
    };
    const struct event_scalar speed[] = {{"seconds", report->seconds}, {"pairs_per_s", report->pairs_per_second}};
    run_log_add(&job->log, report->step, means, sizeof means / sizeof *means);
    run_log_set(&job->log, report->step, "lr", report->lr);
    run_log_add(&job->log, report->step, speed, sizeof speed / sizeof *speed);
}

static cover_status train(struct job *job) {
    const struct settings *s = &job->settings;
    while (job->trainer->core.step < s->common.steps) {
        cover_step_report report = COVER_STEP_REPORT_INIT;
        TRY(cover_trainer_step(&report, job->trainer));
        if (job->writes) log_step(job, &report);
        if (job->options.on_step) {
            pthread_mutex_lock(&job->context->callback_lock);
            job->options.on_step(job->options.user, &report, s->common.steps);
            pthread_mutex_unlock(&job->context->callback_lock);
        }
        bool last = report.step == s->common.steps;
        if (due(report.step, s->common.log_every) || last) TRY(by_writer(job, flush_log));
        if (due(report.step, s->common.save_every) || last) TRY(save(job));
        if (due(report.step, s->common.checkpoint_every)) TRY(save_numbered(job));
    }
    return COVER_OK;
}

static cover_status write_report(struct job *job) {
    char *report = in_run(job, "report.html");
    cover_status status = report ? cover_report_write(job->context, job->run, report) : COVER_ERROR_MEMORY;
    memory_free(job->context, report);
    return status;
}

static cover_status finish(struct job *job) {
    char *weights = in_run(job, "weights.safetensors");
    if (!weights) return give_up(job, COVER_ERROR_MEMORY);
    cover_status status = cover_trainer_export(job->trainer, weights);
    memory_free(job->context, weights);
    return status == COVER_OK ? by_writer(job, write_report) : status;
}

/* Stopped on request: what was done is kept.  The request has been served, so that saving is not cancelled too. */
static cover_status stop(struct job *job) {
    cover_status status = job->trainer->core.step > job->saved ? save(job) : by_writer(job, flush_log);
    if (status != COVER_OK) return status;
    return fail(COVER_ERROR_CANCELLED, "%s: stopped after step %lld of %lld; checkpoint.h5 is saved", job->run,
                (long long)job->trainer->core.step, (long long)job->settings.common.steps);
}

static cover_status look_for_run(struct job *job) {
    return job->options.resume ? COVER_OK : run_folder_unused(job->context, job->run);
}

cover_status cover_run_pretrain(cover_context *context, cover_dataset *dataset, const cover_config *config, const char *run,
                                const cover_pretrain_options *given) {
    if (!context || !dataset || !config || !run) return fail(COVER_ERROR_ARGUMENT, "cover_run_pretrain: an argument is NULL");
    struct job job = {.context = context, .settings = *config_settings(config), .options = COVER_PRETRAIN_OPTIONS_INIT, .run = run,
                      .log = {.descriptor = -1}, .ranks = context->communicator};
    job.writes = !job.ranks || job.ranks->rank == 0;
    TRY(options_read(&job.options, sizeof job.options, given, "cover_pretrain_options"));
    TRY(by_writer(&job, look_for_run));
    cover_status status;
    job.checkpoint = in_run(&job, "checkpoint.h5");
    GO(collective_agree(job.ranks, job.checkpoint ? COVER_OK : COVER_ERROR_MEMORY));
    GO(cover_trainer_create(&job.trainer, context, dataset, config));
    GO(begin(&job));
    status = train(&job);
    if (status == COVER_ERROR_CANCELLED) status = stop(&job);
    else if (status == COVER_OK) status = finish(&job);
done:
    if (job.log.context) run_log_close(&job.log);
    cover_trainer_destroy(job.trainer);
    memory_free(context, job.checkpoint);
    return status;
}
