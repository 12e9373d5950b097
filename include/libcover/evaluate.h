/* Comparing predictions with labels, files and folders of them: the command's `eval`.  docs/evaluation.md defines each figure;
 * metrics.h has them for data in memory.
 *
 * Owner:      the caller releases the JSON with cover_text_release()
 * Lifetime:   nothing is lent
 * Threads:    all at once, on different outputs
 * Callbacks:  progress, on the thread of the call or a worker's, as context.h says; non-zero cancels
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_EVALUATE_H
#define LIBCOVER_EVALUATE_H

#include <libcover/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Options of cover_evaluate(). */
typedef struct cover_evaluate_options {
    size_t struct_size;
    const char *classes;         /**< "lung,heart" names labels 1, 2, ...; "lung=255" gives the label; NULL = the names in
                                      dataset.json, or the labels that occur.  Scores: NULL = the columns' names */
    const char *negative;        /**< a label of a CSV that means "none of the classes"; NULL = none */
    int subset;                  /**< 1: labels without a prediction are passed over, not an error */
    const char *csv;             /**< file to write with a row a case; NULL = none */
    int resamples;               /**< bootstrap, 0 = 2000 */
    double confidence;           /**< of the intervals, 0 = 0.95 */
    uint64_t seed;               /**< of the bootstrap */
    cover_progress_fn *progress; /**< cases done, of how many; may be NULL */
    void *user;
} cover_evaluate_options;
#define COVER_EVALUATE_OPTIONS_INIT COVER_SIZED(cover_evaluate_options)

/** Compare predictions with labels (the command's `eval`; docs/evaluation.md).
 *
 *  @param prediction  label map, folder of label maps, or a CSV of class scores (header file,CLASS,CLASS,...)
 *  @param truth       of maps: label map, folder of them, nnU-Net raw dataset or its labelsTr; cases are matched by name
 *                     without extension.  Of scores: folder of class folders, or a CSV (file,label; several labels of a
 *                     file are joined by |)
 *  @param[out] json   maps: {kind, count, mean_dice, mean_dice_interval, mean_hd95, classes {NAME: dice}, ...};
 *                     scores: {kind, count, auc, auc_interval, accuracy, classes {NAME: auc}, confusion, ...}; both
 *                     with cases [...]; released with cover_text_release()
 *  @return COVER_OK; COVER_ERROR_MISMATCH: lists, sizes, spacings or affines that differ; COVER_ERROR_FORMAT: a label that
 *  no class has, a value that is no label; COVER_ERROR_ARGUMENT: a class that all or no cases have; COVER_ERROR_NUMERIC: a
 *  score that is NaN; COVER_ERROR_IO; COVER_ERROR_MEMORY; COVER_ERROR_CANCELLED.  All name the file */
COVER_API cover_status cover_evaluate(char **json, cover_context *context, const char *prediction, const char *truth,
                                      const cover_evaluate_options *options);

/** Do two evaluations of the same cases agree (test-retest)?  Pearson's r and p over the cases' Dice.
 *
 *  @param one, other  files with the JSON of cover_evaluate() of label maps, or result.json of fine-tuning runs
 *  @param[out] json   {count, r, p, mean_dice [one, other], mean_difference, classes {NAME: {r, p}}}, released with
 *                     cover_text_release(); r and p are null where all Dice of one side are equal
 *  @return COVER_OK; COVER_ERROR_MISMATCH: other cases; COVER_ERROR_ARGUMENT: fewer than 3 cases with a Dice in both;
 *  COVER_ERROR_FORMAT; COVER_ERROR_IO; COVER_ERROR_MEMORY */
COVER_API cover_status cover_evaluation_agreement(char **json, cover_context *context, const char *one, const char *other);

#ifdef __cplusplus
}
#endif
#endif
