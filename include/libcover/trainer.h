/* Pretraining: steps, reports, checkpoints and resume (method: paper, section 3; supplement C.2.1).
 *
 * Owner:      the caller destroys the trainer; dataset and context stay the caller's and must outlive it, the config is copied
 * Lifetime:   a report and what it points to: until the next step of the trainer or its end
 * Threads:    one thread at a time for a trainer
 * Callbacks:  on_step, on the thread of the call, one at a time with those of context.h; cover_context_cancel() stops the job
 *             there
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy takes NULL
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  experimental: cover_step_report, and how network and objective are chosen */
#ifndef LIBCOVER_TRAINER_H
#define LIBCOVER_TRAINER_H

#include <libcover/config.h>
#include <libcover/dataset.h>
#include <libcover/figure.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cover_trainer cover_trainer;

/** Figures of one step.  COVER's are l_vec (eq. 6), l_con (1 - mean cosine) and l_zero (l_vec of the zero field on the same truth): means
 *  over the batch's valid pixels, displacements in pixels. */
typedef struct cover_step_report {
    size_t struct_size;
    int64_t step;                /**< updates done, this one included */
    double loss;                 /**< what is minimised */
    int figure_count;            /**< what the objective tells beside it, in the order of log.jsonl */
    const cover_figure *figures; /**< the trainer's, until its next step or its end */
    double grad_norm;            /**< global norm before clipping */
    double lr;                   /**< learning rate of this update */
    double seconds;              /**< wall time of this step */
    double samples_per_second;   /**< COVER: view pairs */
    int64_t count;               /**< what means are over; COVER: M, the valid pixels; 0 = no update was made */
    const char *sample;          /**< what the objective calls a sample: "pair"; static text */
} cover_step_report;
#define COVER_STEP_REPORT_INIT COVER_SIZED(cover_step_report)

/** Build network, plan and data stream.  Everything that can be refused is refused here, before work starts.
 *  @return COVER_OK; COVER_ERROR_SHAPE (images smaller than the crop, channels); COVER_ERROR_MEMORY with the planned
 *  bytes against the limit; COVER_ERROR_ARGUMENT */
COVER_API cover_status cover_trainer_create(cover_trainer **trainer, cover_context *context, cover_dataset *dataset,
                                            const cover_config *config);
COVER_API void cover_trainer_destroy(cover_trainer *trainer);

/** One optimiser step.  @param[out] report may be NULL.
 *  @return COVER_OK; COVER_ERROR_NUMERIC names step and first bad tensor, weights stay those before the step;
 *  COVER_ERROR_CANCELLED: the step was not made; reading errors of the dataset */
COVER_API cover_status cover_trainer_step(cover_step_report *report, cover_trainer *trainer);

/** Write a checkpoint: weights, optimiser, step, seed, config, dataset hash.  Replaces `path` in one move. */
COVER_API cover_status cover_trainer_save(cover_trainer *trainer, const char *path);
/** Continue from a checkpoint, exactly.  @return COVER_ERROR_MISMATCH names the setting or dataset that differs. */
COVER_API cover_status cover_trainer_load(cover_trainer *trainer, const char *path);
/** Start from the weights of a safetensors file or run folder, authors' names.
 *  @param allow_partial 0: missing, unexpected or mis-shaped names are COVER_ERROR_MISMATCH and listed; 1: logged */
COVER_API cover_status cover_trainer_init_weights(cover_trainer *trainer, const char *path, int allow_partial);
/** Write the weights as safetensors; equal runs give equal bytes. */
COVER_API cover_status cover_trainer_export(cover_trainer *trainer, const char *path);

/** Options of cover_run_pretrain(). */
typedef struct cover_pretrain_options {
    size_t struct_size;
    int resume;        /**< continue from the run's checkpoint; without one start anew */
    const char *init;  /**< weights to start from, NULL = fresh */
    int allow_partial; /**< with init */
    void (*on_step)(void *user, const cover_step_report *report, int64_t steps); /**< after each step, may be NULL */
    void *user;
} cover_pretrain_options;
#define COVER_PRETRAIN_OPTIONS_INIT COVER_SIZED(cover_pretrain_options)

/** The whole job into a run folder: config.json, log.jsonl, events, checkpoints, weights.safetensors, report.html.
 *  On cancel it saves checkpoint.h5 and returns COVER_ERROR_CANCELLED.  Of several ranks (ranks.h) the first one reads and
 *  writes the
 *  folder; a cancel on any of them stops all after the same step.
 *  @return COVER_ERROR_IO when `run` exists and resume is 0, or cannot be written */
COVER_API cover_status cover_run_pretrain(cover_context *context, cover_dataset *dataset, const cover_config *config,
                                          const char *run, const cover_pretrain_options *options);

/** What the newest line of a pretraining run's log says: its objective's figures, means since the line before.
 *  @param[out] figures  room for COVER_FIGURES_MAX; one that the log does not have is left out
 *  @param[out] count    how many there are; 0 for a run whose objective is not known
 *  @param[out] step     of the line; may be NULL
 *  @return COVER_OK; COVER_ERROR_IO, COVER_ERROR_FORMAT (log.jsonl) */
COVER_API cover_status cover_run_figures(cover_figure *figures, int *count, int64_t *step, cover_context *context, const char *run);

#ifdef __cplusplus
}
#endif
#endif
