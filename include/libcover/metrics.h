/* Figures of merit: overlap and surface distance of label maps, ranking and confusion of class scores, correlation and
 * intervals.  docs/evaluation.md defines each.  NaN always means "has no value", and means leave it out.
 *
 * Owner:      arrays are the caller's, of the sizes stated
 * Lifetime:   nothing is lent
 * Threads:    all at once
 * Callbacks:  none but the log and the allocator of the context (context.h)
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_METRICS_H
#define LIBCOVER_METRICS_H

#include <libcover/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Dice = 2 |P and T| / (|P| + |T|) of each class of one image (Dice 1945).
 *
 *  @param[out] dice   [classes], background (label 0) included; NaN = the class is in neither map
 *  @param prediction  label map, any shape, integer dtype
 *  @param truth       label map of the same shape
 *  @param classes     labels are 0..classes-1, 2..65536
 *  @return COVER_OK; COVER_ERROR_SHAPE (shapes differ); COVER_ERROR_ARGUMENT names the first label that is not below
 *  `classes`, or a dtype that is no integer; COVER_ERROR_MEMORY */
COVER_API cover_status cover_labels_dice(double *dice, const cover_tensor *prediction, const cover_tensor *truth, int classes);

/** The 95 % surface distance (HD95) of each class of one image, in mm.
 *
 *  The surface of an object is those of its pixels with a face (2D: an edge) towards a pixel outside it or towards the
 *  outside of the image.  Each surface pixel's distance goes from its centre to the nearest centre on the other surface;
 *  HD95 is the larger of the two directions' 95th percentiles (linear between order statistics).
 *
 *  @param[out] mm     [classes], mm[0] (background) is NaN; NaN = the class is in neither map, INFINITY = in one only
 *  @param prediction  label map ([D,] H, W), integer dtype
 *  @param truth       label map of the same shape
 *  @param spacing_mm  [rank] pixel sizes along the axes, > 0; NULL = 1 mm each
 *  @return as cover_labels_dice(); COVER_ERROR_SHAPE when the rank is neither 2 nor 3 */
COVER_API cover_status cover_labels_hd95(double *mm, const cover_tensor *prediction, const cover_tensor *truth, int classes,
                                         const double *spacing_mm);

/** Area under the ROC curve of each class against the others, ties counting half (Mann-Whitney), and their mean.
 *
 *  @param[out] auc    [classes]; may be NULL.  Of two exclusive classes both are equal when the scores sum to one
 *  @param[out] mean   macro mean over the classes; may be NULL
 *  @param scores      (N, classes), float dtype: larger = more likely
 *  @param truth       (N), integer dtype: the class of each case; or (N, classes): 0 or 1 for each label (multi-label)
 *  @return COVER_OK; COVER_ERROR_SHAPE; COVER_ERROR_ARGUMENT names the class that all or no cases have, or a truth out of
 *  range; COVER_ERROR_NUMERIC names the case whose score is NaN; COVER_ERROR_MEMORY */
COVER_API cover_status cover_scores_auc(double *auc, double *mean, const cover_tensor *scores, const cover_tensor *truth);

/** Corners of the ROC curve of one class against the others, from (0, 0) to (1, 1).
 *
 *  @param[out] false_positives, true_positives  rates, [N + 1] each
 *  @param[out] threshold  [N + 1], cases with a score >= threshold count as found, the first is INFINITY; may be NULL
 *  @param[out] points     how many were written; fewer than N + 1 when scores tie
 *  @return as cover_scores_auc() */
COVER_API cover_status cover_scores_roc(double *false_positives, double *true_positives, double *threshold, int64_t *points,
                                        const cover_tensor *scores, const cover_tensor *truth, int class_index);

/** Which class was taken for which, and the share that was right; a case's class is that of its largest score, the first
 *  of equals.
 *
 *  @param[out] table     [classes * classes] cases of true class row and predicted class column; may be NULL
 *  @param[out] accuracy  share on the diagonal; may be NULL
 *  @param scores, truth  as cover_scores_auc(), exclusive classes
 *  @return as cover_scores_auc(); classes that no case has are fine */
COVER_API cover_status cover_scores_confusion(int64_t *table, double *accuracy, const cover_tensor *scores,
                                              const cover_tensor *truth);

/** Pearson's r and its two-sided p (Student's t with count - 2 degrees of freedom).
 *  @param[out] p may be NULL
 *  @return COVER_OK; COVER_ERROR_ARGUMENT: fewer than 3 pairs, or one side is constant; COVER_ERROR_NUMERIC: NaN or Inf */
COVER_API cover_status cover_values_pearson(double *r, double *p, const double *x, const double *y, int64_t count);

/** A mean and what is known about it. */
typedef struct cover_interval {
    size_t struct_size;
    double mean, low, high; /**< NaN when nothing is known */
    int64_t count;          /**< finite values that went in */
} cover_interval;
#define COVER_INTERVAL_INIT COVER_SIZED(cover_interval)

/** Percentile bootstrap interval of the mean over cases (Efron 1979); values that are not finite are left out.
 *  @param resamples   0 = 2000
 *  @param confidence  0 = 0.95
 *  @param seed        same values and seed, same interval
 *  @return COVER_OK; COVER_ERROR_ARGUMENT; COVER_ERROR_MEMORY */
COVER_API cover_status cover_interval_bootstrap(cover_interval *interval, cover_context *context, const double *values,
                                                int64_t count, int resamples, double confidence, uint64_t seed);

/** Mean and Student-t interval of a few values, as of several seeds; values that are not finite are left out.
 *  @param confidence  0 = 0.95 */
COVER_API cover_status cover_interval_student(cover_interval *interval, const double *values, int64_t count, double confidence);

#ifdef __cplusplus
}
#endif
#endif
