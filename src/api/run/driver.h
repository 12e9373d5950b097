/* The whole job into a run folder, whatever is trained (docs/run-folder.md): settings, log, checkpoints, then what the kind makes at the
 * end.  Of several ranks the first one writes, and alone sees the folder; the others hear how it went.  Called by pretrain.c and
 * finetune.c. */
#ifndef COVER_RUN_DRIVER_H
#define COVER_RUN_DRIVER_H

#include "run_log.h"
#include "trainer_core.h"

struct run_job;

struct run_kind {
    cover_status (*create)(struct run_job *job);  /* the trainer: sets job->core; the caller destroys it after run_drive() */
    cover_status (*fresh)(struct run_job *job);   /* NULL, or: what a run without a checkpoint starts from */
    cover_status (*opened)(struct run_job *job);  /* NULL, or the writer's: the folder is there and no step was made yet */
    cover_status (*measure)(struct run_job *job); /* NULL, or: validate, the figures into job->log */
    void (*tell)(struct run_job *job);            /* the caller hears of job->report; under the context's lock of callbacks */
    cover_status (*finish)(struct run_job *job);  /* all steps are made and saved */
};

struct run_job { /* the first member of each kind's own */
    const struct run_kind *kind;
    cover_context *context;
    const char *run;
    bool resume;

    /* set on the way */
    struct trainer_core *core;
    struct communicator *ranks; /* the core's */
    bool writes;                /* rank 0 */
    char *checkpoint;           /* path */
    struct run_log log;
    cover_step_report report; /* of the newest step */
    int64_t saved;            /* step of checkpoint.h5 */
    const int64_t *measured;  /* with measure: the step of the newest validation */
    double seconds;           /* of steps and validations in this process */
};

/* From an empty folder, or with `resume` from its checkpoint, to the end.  On cancel what was done is saved: COVER_ERROR_CANCELLED. */
cover_status run_drive(struct run_job *job, struct communicator *ranks);

/* Work of the writer alone, whose result is everybody's. */
cover_status run_by_writer(struct run_job *job, cover_status (*work)(struct run_job *job));
/* What went wrong here alone: the others must not wait for this rank. */
cover_status run_give_up(struct run_job *job, cover_status status);
/* A path in the folder (memory_free); NULL = memory ran out. */
char *run_path(const struct run_job *job, const char *name);
/* report.html from what the folder holds. */
cover_status run_report(struct run_job *job);

#endif
