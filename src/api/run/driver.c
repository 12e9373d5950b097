/* Folder, steps, saves and stop of a run. */
#include "driver.h"

#include "core/base/collective.h"
#include "core/base/files.h"
#include "run_folder.h"

#include <libcover/report.h>

#include <stdio.h>
#include <string.h>

cover_status run_by_writer(struct run_job *job, cover_status (*work)(struct run_job *job)) {
    return collective_agree(job->ranks, job->writes ? work(job) : COVER_OK);
}

cover_status run_give_up(struct run_job *job, cover_status status) {
    if (job->ranks) job->ranks->abort(job->ranks, status, cover_error_text());
    return status;
}

char *run_path(const struct run_job *job, const char *name) { return path_join(job->context, job->run, name); }

/* ---- begin */

static cover_status look_for_run(struct run_job *job) { return job->resume ? COVER_OK : run_folder_unused(job->context, job->run); }

static cover_status open_folder(struct run_job *job) {
    TRY(folder_create(job->run));
    TRY(run_log_open(&job->log, job->context, job->run, job->core->step));
    TRY(temporaries_remove(job->context, job->run));
    TRY(run_folder_write(job->context, job->run, "config.json", cover_config_json(job->core->config)));
    return job->kind->opened ? job->kind->opened(job) : COVER_OK;
}

static cover_status begin(struct run_job *job) {
    bool resumes = job->writes && job->resume && file_exists(job->checkpoint);
    TRY(collective_broadcast(job->ranks, &resumes, sizeof resumes));
    if (resumes) {
        TRY(core_load(job->core, job->checkpoint));
        job->saved = job->core->step;
        if (job->writes) log_line(job->context, COVER_LOG_INFO, "%s: going on after step %lld", job->run, (long long)job->saved);
    } else {
        if (job->writes && job->resume)
            log_line(job->context, COVER_LOG_WARNING, "%s: there is no checkpoint to resume from; starting anew", job->run);
        if (job->kind->fresh) TRY(job->kind->fresh(job));
    }
    return run_by_writer(job, open_folder);
}

/* ---- steps */

static bool last(const struct run_job *job) { return job->core->step == job->core->settings.common.steps; }

static cover_status flush_log(struct run_job *job) { return run_log_flush(&job->log); }

static cover_status save(struct run_job *job) {
    TRY(run_by_writer(job, flush_log));
    TRY(core_save(job->core, job->checkpoint));
    job->saved = job->core->step;
    return COVER_OK;
}

/* What a full disk or short memory stops is tried again at the next turn; at the last one it is an error.  All ranks hear the same. */
static cover_status unless_it_can_wait(struct run_job *job, cover_status status, const char *what) {
    if ((status != COVER_ERROR_IO && status != COVER_ERROR_MEMORY) || last(job)) return status;
    if (job->writes)
        log_line(job->context, COVER_LOG_WARNING, "step %lld: %s is not saved, the next one may be: %s", (long long)job->core->step,
                 what, cover_error_text());
    return COVER_OK;
}

static cover_status save_numbered(struct run_job *job) {
    char name[64];
    snprintf(name, sizeof name, "checkpoint-%lld.h5", (long long)job->core->step);
    char *path = run_path(job, name);
    if (!path) return run_give_up(job, COVER_ERROR_MEMORY);
    cover_status status = core_save(job->core, path);
    memory_free(job->context, path);
    return status;
}

static bool due(const struct run_job *job, int64_t interval) { return interval > 0 && job->core->step % interval == 0; }
static bool must_measure(const struct run_job *job) {
    return job->kind->measure && (due(job, job->core->settings.task.val_every) || last(job));
}

static cover_status measure(struct run_job *job) {
    TRY(job->kind->measure(job));
    return run_by_writer(job, flush_log); /* into the line of its step */
}

/* A run that was cancelled in the validation after its last step has that still to do. */
static cover_status catch_up(struct run_job *job) {
    if (!must_measure(job) || job->core->step <= *job->measured) return COVER_OK;
    TRY(measure(job));
    return save(job);
}

/* A task's loss of one term is that term. */
static void log_step(struct run_job *job) {
    const struct trainer_kind *kind = job->core->kind;
    const cover_step_report *report = &job->report;
    struct run_log *log = &job->log;
    run_log_add(log, report->step, "loss", report->loss);
    for (int i = 0; i < report->figure_count && (report->figure_count > 1 || !kind->task); i++)
        run_log_add(log, report->step, report->figures[i].name, report->figures[i].value);
    run_log_add(log, report->step, "grad_norm", report->grad_norm);
    run_log_set(log, report->step, "lr", report->lr);
    run_log_add(log, report->step, "seconds", report->seconds);
    char speed[64];
    snprintf(speed, sizeof speed, "%ss_per_s", report->sample);
    run_log_add(log, report->step, speed, report->samples_per_second);
}

static cover_status one_step(struct run_job *job) {
    const struct common_settings *s = &job->core->settings.common;
    double start = seconds_now();
    job->report = (cover_step_report)COVER_STEP_REPORT_INIT;
    TRY(core_step(&job->report, job->core));
    if (job->writes) log_step(job);
    if (must_measure(job)) TRY(measure(job));
    else if (due(job, s->log_every) || last(job)) TRY(run_by_writer(job, flush_log));
    if (due(job, s->save_every) || last(job)) TRY(unless_it_can_wait(job, save(job), "checkpoint.h5"));
    if (!job->core->kind->task && due(job, s->checkpoint_every)) /* a setting of pretraining */
        TRY(unless_it_can_wait(job, save_numbered(job), "the numbered checkpoint"));
    job->seconds += seconds_now() - start;
    return COVER_OK;
}

static cover_status train(struct run_job *job) {
    TRY(catch_up(job));
    while (job->core->step < job->core->settings.common.steps) {
        TRY(one_step(job));
        const struct callback_turn turn = callback_enter(job->context);
        job->kind->tell(job);
        callback_leave(job->context, turn);
    }
    return COVER_OK;
}

/* ---- end */

static cover_status close_log(struct run_job *job) { return run_log_close(&job->log); }

/* Stopped on request: what was done is kept.  The request has been served, so that saving is not cancelled too. */
static cover_status stop(struct run_job *job) {
    TRY(job->core->step > job->saved ? save(job) : run_by_writer(job, flush_log));
    TRY(run_by_writer(job, close_log));
    return fail(COVER_ERROR_CANCELLED, "%s: stopped after step %lld of %lld; checkpoint.h5 is saved", job->run,
                (long long)job->core->step, (long long)job->core->settings.common.steps);
}

/* Whatever has failed, the steps before it are sound unless their numbers were not, or the device that holds them is lost.  They are kept
 * where that is possible, without the other ranks, which may be gone; `status` and its text stay. */
static cover_status keep(struct run_job *job, cover_status status) {
    const bool sound = status != COVER_ERROR_NUMERIC && status != COVER_ERROR_INTERNAL && status != COVER_ERROR_DEVICE &&
                       !(status == COVER_ERROR_RANK && job->context->device);
    if (!job->writes || !sound || job->core->step <= job->saved) return status;
    char text[ERROR_TEXT_BYTES];
    memcpy(text, error_slot(), sizeof text);
    const bool saved = job->core->kind->save(job->core, job->checkpoint) == COVER_OK;
    (void)flush_log(job); /* the error to tell is the first one */
    log_line(job->context, COVER_LOG_WARNING,
             saved ? "%s: stopped by an error; checkpoint.h5 holds step %lld of %lld"
                   : "%s: stopped by an error, and step %lld of %lld cannot be saved",
             job->run, (long long)job->core->step, (long long)job->core->settings.common.steps);
    memcpy(error_slot(), text, sizeof text);
    return status;
}

cover_status run_report(struct run_job *job) {
    char *report = run_path(job, "report.html");
    cover_status status = report ? cover_report_write(job->context, job->run, report) : COVER_ERROR_MEMORY;
    memory_free(job->context, report);
    return status;
}

cover_status run_drive(struct run_job *job, struct communicator *ranks) {
    job->ranks = ranks, job->writes = !ranks || ranks->rank == 0;
    job->log.lines.descriptor = -1;
    cover_status status;
    TRY(run_by_writer(job, look_for_run));
    job->checkpoint = run_path(job, "checkpoint.h5");
    GO(collective_agree(ranks, job->checkpoint ? COVER_OK : COVER_ERROR_MEMORY));
    GO(job->kind->create(job));
    GO(begin(job));
    status = train(job);
    if (status == COVER_ERROR_CANCELLED) status = stop(job);
    else if (status != COVER_OK) status = keep(job, status);
    else {
        GO(job->kind->finish(job));
        status = run_by_writer(job, close_log);
    }
done:
    run_log_abandon(&job->log);
    memory_free(job->context, job->checkpoint);
    return status;
}
