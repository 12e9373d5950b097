/* Fine-tuning: a pretrained backbone and a new head trained on labelled images, for segmentation or classification (paper,
 * supplement C.2.2).  For using the result see predictor.h, for figures of merit metrics.h.
 *
 * Owner:      the caller destroys tasks and configs, and releases JSON with cover_text_release(); dataset and context must
 *             outlive the task, the config is copied
 * Lifetime:   settings: as long as the task; a report and what it points to: until the next step of the task or its end
 * Threads:    one thread at a time for a task
 * Callbacks:  on_step, on the thread of the call, one at a time with those of context.h; cover_context_cancel() stops the job
 *             there
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy takes NULL
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  experimental: cover_task_report, and how a task is chosen */
#ifndef LIBCOVER_TASK_H
#define LIBCOVER_TASK_H

#include <libcover/config.h>
#include <libcover/dataset.h>
#include <libcover/figure.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A task in training: network, labelled cases, validation.  Belongs to one thread at a time. */
typedef struct cover_task cover_task;

/** Settings for a task on this dataset, starting from these weights: the preset for its dimensions, then dims, channels, classes,
 *  multilabel, crop and work as the dataset's images ask for, the network and normalise as the backbone has them.
 *
 *  @param[out] config  change what you like with cover_config_set(); cover_config_destroy()
 *  @param dataset      with label maps for "seg", with classes for "cls"
 *  @param task         "seg" or "cls"
 *  @param init         run folder, checkpoint or weight file; "scratch" or NULL: fresh weights of the paper's widths
 *  @return COVER_OK; COVER_ERROR_ARGUMENT (task, a dataset without what it needs); COVER_ERROR_MISMATCH when the backbone has other
 *  dims or channels than the images (one channel is inflated to more, and logged); COVER_ERROR_IO; COVER_ERROR_FORMAT */
COVER_API cover_status cover_task_config(cover_config **config, cover_context *context, const cover_dataset *dataset,
                                         const char *task, const char *init);

/** What a step did.  Its figures are what the loss is made of: cross_entropy, over counted pixels or, in classification, the
 *  images; in segmentation also dice_loss, 1 - mean soft Dice of the classes above background, which the setting dice weighs. */
typedef struct cover_task_report {
    size_t struct_size;
    int64_t step;                /**< updates done, this one included */
    double loss;                 /**< what is minimised, mean over the batch */
    int figure_count;            /**< the terms of the loss; of one alone the log has none */
    const cover_figure *figures; /**< the task's, until its next step or its end */
    double grad_norm;            /**< global norm before clipping */
    double lr;                   /**< learning rate of this update */
    double seconds;              /**< wall time of this step */
    double samples_per_second;
    double score;      /**< of the newest validation: mean Dice, or mean AUC; NaN before one */
    double best_score; /**< of the best validation; NaN before one */
    int64_t best_step; /**< where it was; 0 before one */
} cover_task_report;
#define COVER_TASK_REPORT_INIT COVER_SIZED(cover_task_report)

/** Choose the cases (settings: shots, fraction, fold, folds, val, split_seed), build the network, load the backbone.
 *  @param init as in cover_task_config(); classification takes the encoder alone
 *  @return COVER_OK; COVER_ERROR_ARGUMENT: no validation cases, fewer cases than shots, a class that no training case has, a validation
 *  of one class; COVER_ERROR_SHAPE; COVER_ERROR_MISMATCH: another backbone or one of other settings, dims or channels; COVER_ERROR_MEMORY */
COVER_API cover_status cover_task_create(cover_task **task, cover_context *context, cover_dataset *dataset,
                                         const cover_config *config, const char *init);
COVER_API void cover_task_destroy(cover_task *task); /**< takes NULL */
/** The settings as they are in force; owned by the task. */
COVER_API const cover_config *cover_task_settings(const cover_task *task);

/** One optimiser step.  @param[out] report may be NULL.
 *  @return COVER_OK; COVER_ERROR_NUMERIC names the step and the first bad tensor, weights stay those before the step;
 *  COVER_ERROR_CANCELLED: the step was not made; reading errors of the dataset */
COVER_API cover_status cover_task_step(cover_task_report *report, cover_task *task);
/** Predict the validation cases with the weights of now; the best weights seen are kept.
 *  @param[out] json  {step, mean_dice, classes {NAME: dice}, cases [{name, dice {...}}]} or {step, auc, accuracy, cases [...]};
 *  released with cover_text_release(); may be NULL */
COVER_API cover_status cover_task_validate(char **json, cover_task *task);

/** Write everything that training needs to go on exactly.  Replaces `path` in one move. */
COVER_API cover_status cover_task_save(cover_task *task, const char *path);
/** Go on from there.  @return COVER_ERROR_MISMATCH names the setting or dataset that differs */
COVER_API cover_status cover_task_load(cover_task *task, const char *path);
/** Write the best weights (before a validation: those of now) with all that prediction needs; equal runs give equal bytes. */
COVER_API cover_status cover_task_export(cover_task *task, const char *path);

/** Options of cover_run_finetune(). */
typedef struct cover_finetune_options {
    size_t struct_size;
    int resume; /**< continue from the run's checkpoint; without one start anew */
    void (*on_step)(void *user, const cover_task_report *report, int64_t steps); /**< after each step, may be NULL */
    void *user;
    const char *segments; /**< codes of the classes for DICOM, as cover_seg_options (dicom.h) has them; NULL = by their names */
} cover_finetune_options;
#define COVER_FINETUNE_OPTIONS_INIT COVER_SIZED(cover_finetune_options)

/** The whole job into a run folder: config.json, log.jsonl, events, checkpoint.h5, weights.safetensors (the best), result.json,
 *  report.html (docs/finetune.md).  On cancel it saves checkpoint.h5 and returns COVER_ERROR_CANCELLED.
 *  @param[out] summary  result.json: {task, steps, seconds, train_cases, val_cases, best {step, mean_dice, classes {...} | auc,
 *  accuracy}, cases [...]}; released with cover_text_release(); may be NULL
 *  @return COVER_ERROR_IO when `run` exists and resume is 0, or cannot be written; else as the calls above */
COVER_API cover_status cover_run_finetune(char **summary, cover_context *context, cover_dataset *dataset,
                                          const cover_config *config, const char *init, const char *run,
                                          const cover_finetune_options *options);

#ifdef __cplusplus
}
#endif
#endif
