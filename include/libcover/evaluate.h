/* Comparing predictions with labels, files and folders of them: the command's `eval`.  docs/evaluation.md defines each figure;
 * metrics.h has them for data in memory.
 *
 * Owner:      the caller destroys evaluations, and releases JSON with cover_text_release()
 * Lifetime:   names and arrays that an evaluation shows: as long as it; the context: longer
 * Threads:    all at once, several may ask one evaluation; destroy it alone
 * Callbacks:  progress, on the thread of the call or a worker's, as context.h says; non-zero cancels
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy takes NULL
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_EVALUATE_H
#define LIBCOVER_EVALUATE_H

#include <libcover/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Options of cover_evaluation_compute(). */
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

typedef struct cover_evaluation cover_evaluation;

/** Compare predictions with labels (the command's `eval`; docs/evaluation.md).
 *
 *  @param prediction  label map, folder of label maps, or a CSV of class scores (header file,CLASS,CLASS,...)
 *  @param truth       of maps: label map, folder of them, nnU-Net raw dataset or its labelsTr; cases are matched by name
 *                     without extension.  Of scores: folder of class folders, or a CSV (file,label; several labels of a
 *                     file are joined by |)
 *  @return COVER_OK; COVER_ERROR_MISMATCH: lists, sizes, spacings or affines that differ; COVER_ERROR_FORMAT: a label that
 *  no class has, a value that is no label; COVER_ERROR_ARGUMENT: a class that all or no cases have; COVER_ERROR_NUMERIC: a
 *  score that is NaN; COVER_ERROR_IO; COVER_ERROR_MEMORY; COVER_ERROR_CANCELLED.  All name the file */
COVER_API cover_status cover_evaluation_compute(cover_evaluation **evaluation, cover_context *context, const char *prediction,
                                                const char *truth, const cover_evaluate_options *options);
COVER_API void cover_evaluation_destroy(cover_evaluation *evaluation); /**< takes NULL */

/** Of what the figures are: label maps; scores of classes that exclude each other; scores of labels that a case may have several of. */
typedef enum cover_evaluation_kind {
    COVER_EVALUATION_MAPS,
    COVER_EVALUATION_CLASSES,
    COVER_EVALUATION_LABELS
} cover_evaluation_kind;

/** All cases.  A figure that the kind does not have, or that nothing is known of, is NaN. */
typedef struct cover_evaluation_info {
    size_t struct_size;
    cover_evaluation_kind kind;
    int classes; /**< of maps without the background */
    int64_t cases;
    double confidence; /**< of the intervals, which are of means over cases */
    int resamples;     /**< of the bootstrap that they come from */
    uint64_t seed;     /**< of it */
    double mean_dice;  /**< maps: of the cases' means over classes */
    double mean_dice_interval[2];
    double mean_hd95;  /**< maps: mm, of the cases' means where both maps have the class */
    int spacing_known; /**< maps: 0 = of some case not, and HD95 counts 1 mm a pixel */
    double auc;        /**< scores: mean over classes */
    double auc_interval[2];
    double accuracy; /**< scores: share of cases that are right, of labels the mean of their shares */
    double accuracy_interval[2];
    const int64_t
        *confusion; /**< [classes * classes] cases of true class row and predicted class column; NULL of maps and labels, and
                                   of more than 4096 classes */
} cover_evaluation_info;
#define COVER_EVALUATION_INFO_INIT COVER_SIZED(cover_evaluation_info)
COVER_API cover_status cover_evaluation_get_info(cover_evaluation_info *info, const cover_evaluation *evaluation);

/** One class over all cases; NaN as above. */
typedef struct cover_evaluation_class {
    size_t struct_size;
    const char *name;
    double dice; /**< maps: mean over the cases that have it */
    double dice_interval[2];
    double hd95;         /**< maps: mm, mean over the cases in which both maps have it */
    int64_t hd95_missed; /**< maps: cases in which one map alone has it */
    double auc;          /**< scores: against all others */
} cover_evaluation_class;
#define COVER_EVALUATION_CLASS_INIT COVER_SIZED(cover_evaluation_class)
COVER_API cover_status cover_evaluation_class_at(cover_evaluation_class *one, const cover_evaluation *evaluation, int index);

/** One case; NaN and NULL as above. */
typedef struct cover_evaluation_case {
    size_t struct_size;
    const char *name; /**< path without extension below its folder; of scores the file as the CSV has it */
    double mean_dice; /**< maps: over the classes that it has */
    double mean_hd95;
    const double *dice;    /**< maps: [classes], NaN = in neither map */
    const double *hd95;    /**< maps: [classes], mm; INFINITY = in one map alone */
    double right;          /**< scores: 1 or 0; of labels the share of them that is right */
    int class_index;       /**< scores of classes: the true one; else -1 */
    const uint8_t *labels; /**< scores: [classes], 1 = it has this one */
    const float *scores;   /**< scores: [classes] */
} cover_evaluation_case;
#define COVER_EVALUATION_CASE_INIT COVER_SIZED(cover_evaluation_case)
COVER_API cover_status cover_evaluation_case_at(cover_evaluation_case *one, const cover_evaluation *evaluation, int64_t index);

/** All of it as a text.
 *  @param[out] json   maps: {kind, count, mean_dice, mean_dice_interval, mean_hd95, classes {NAME: dice}, ...};
 *                     scores: {kind, count, auc, auc_interval, accuracy, classes {NAME: auc}, confusion, ...}; both
 *                     with cases [...]; released with cover_text_release() */
COVER_API cover_status cover_evaluation_json(char **json, const cover_evaluation *evaluation);

/** Do two evaluations of the same cases agree (test-retest)?  Pearson's r and p over the cases' Dice.
 *
 *  @param one, other  files with the JSON of evaluations of label maps, or result.json of fine-tuning runs
 *  @param[out] json   {count, r, p, mean_dice [one, other], mean_difference, classes {NAME: {r, p}}}, released with
 *                     cover_text_release(); r and p are null where all Dice of one side are equal
 *  @return COVER_OK; COVER_ERROR_MISMATCH: other cases; COVER_ERROR_ARGUMENT: fewer than 3 cases with a Dice in both;
 *  COVER_ERROR_FORMAT; COVER_ERROR_IO; COVER_ERROR_MEMORY */
COVER_API cover_status cover_evaluation_agreement(char **json, cover_context *context, const char *one, const char *other);

#ifdef __cplusplus
}
#endif
#endif
