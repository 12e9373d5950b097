/* Figures of merit from plain arrays: overlap and surface distance of label maps, ranking of scores, and what can be
 * said about a mean.  Knows base/ alone; called by the trainer's validation, by evaluation and by the public metrics.h.
 * NaN always means "has no value" (a class that is in neither map); means leave it out. */
#ifndef COVER_METRICS_INTERNAL_H
#define COVER_METRICS_INTERNAL_H

#include "core/base/base.h"
#include "core/base/grid.h"

/* ---- overlap.c: Dice */

/* A dense label map, D, H, W order. */
struct labels {
    const void *data;
    bool wide; /* uint16_t; otherwise uint8_t */
};
static inline int label_at(const struct labels *labels, int64_t pixel) {
    return labels->wide ? ((const uint16_t *)labels->data)[pixel] : ((const uint8_t *)labels->data)[pixel];
}

/* Pixels of one class; sums over several images are counts, too. */
struct overlap {
    int64_t intersection, prediction, truth;
};
/* Add the pixels of one image to overlap[classes], in one pass.  Returns -1, or the first pixel whose label in either
 * map is not below `classes`; nothing is promised about the counts then. */
int64_t overlap_add(struct overlap *overlap, int classes, struct labels prediction, struct labels truth, int64_t pixels);
/* 2 |P and T| / (|P| + |T|); NaN when both are empty. */
double overlap_dice(const struct overlap *overlap);
/* Mean of the Dice of classes 1..classes-1 that have one; NaN when none has. */
double overlap_mean_dice(const struct overlap *overlap, int classes);
/* Mean of the finite values; NaN when there are none. */
double mean_known(const double *values, int64_t count);

/* ---- surface.c: the 95 % surface distance
 * The surface of an object is those of its pixels with a face (2D: an edge) towards a pixel outside it or the outside
 * of the image.  Distances go from each surface pixel's centre to the nearest one of the other surface, in mm.  HD95 is
 * the larger of both directions' 95th percentiles, which interpolate linearly between order statistics. */

/* Of the labels first .. first + count - 1 into mm[count]: NaN when a label is in neither map, INFINITY when it is in
 * one only.  spacing_mm: D, H, W. */
cover_status surface_hd95(double *mm, cover_context *context, struct labels prediction, struct labels truth, int first, int count,
                          const struct grid *grid, const double spacing_mm[3]);
/* Exact squared Euclidean distance of each pixel to the nearest one with squared[pixel] = 0, in place; the others hold
 * INFINITY on entry, and keep it where there is no such pixel (Felzenszwalb and Huttenlocher 2012). */
cover_status distance_transform(cover_context *context, float *squared, const struct grid *grid, const double spacing_mm[3]);

/* A mean, or another figure, and the bounds that a bootstrap or Student's t gives it. */
struct interval {
    double mean, low, high;
    int64_t count; /* values that were known */
};

/* ---- ranking.c: class scores against truth */

struct scored_cases {
    const float *score; /* (count, classes), larger = more likely */
    int64_t count;
    int classes;
    const int *truth;         /* class of each case; NULL: multi-label */
    const uint8_t *label;     /* multi-label: (count, classes), 0 or 1 */
    const char *const *names; /* of classes, for messages; may be NULL */
};
/* Area under the ROC curve of a class against the rest, by mid-ranks (Mann-Whitney), so ties count half.  Needs both
 * positives and negatives: COVER_ERROR_ARGUMENT names the class and which are missing; COVER_ERROR_NUMERIC names a case
 * whose score is NaN. */
cover_status ranking_auc(double *auc, cover_context *context, const struct scored_cases *cases, int class_index);
/* Of every class into auc[classes], and their macro mean. */
cover_status ranking_auc_all(double *auc, double *mean, cover_context *context, const struct scored_cases *cases);
/* Percentile bootstrap of the macro mean over the cases; draws without both kinds of case for a class are left out. */
cover_status ranking_auc_interval(struct interval *interval, cover_context *context, const struct scored_cases *cases,
                                  int resamples, double confidence, uint64_t seed);
struct roc_point {
    double false_positives, true_positives; /* rates among the cases with a score >= threshold */
    double threshold;
};
/* The corners of the ROC curve from (0, 0) (threshold INFINITY) to (1, 1), a point a distinct score: point[count + 1].
 */
cover_status ranking_roc(struct roc_point *point, int64_t *points, cover_context *context, const struct scored_cases *cases,
                         int class_index);
/* The class of the largest score; the first of equals; -1 when one is NaN. */
int ranking_best(const float *score, int classes);
/* Exclusive classes: table[classes * classes] of (truth, best), the share right.  Multi-label: no table (NULL), the
 * share of labels for which (score >= 0.5) is right.  COVER_ERROR_NUMERIC names a case with a NaN. */
cover_status ranking_confusion(int64_t *table, double *accuracy, const struct scored_cases *cases);

/* ---- statistics.c */

/* Linear interpolation at (count - 1) * part between the sorted values; part 0..1, count > 0. */
double percentile_sorted(const double *sorted, int64_t count, double part);
/* I_x(a, b), the regularised incomplete beta function; a, b > 0, x in 0..1. */
double incomplete_beta(double a, double b, double x);
/* P(|T| >= |t|) for Student's t with `freedom` degrees. */
double student_two_sided(double t, double freedom);
/* t with P(|T| <= t) = confidence. */
double student_quantile(double confidence, double freedom);
/* Pearson's r and its two-sided p.  NaN for both when a value is not finite, with fewer than 3 pairs (r: 2), or
 * when one side is constant. */
void pearson(double *r, double *p, const double *x, const double *y, int64_t count);

enum { BOOTSTRAP_RESAMPLES = 2000, BOOTSTRAP_MOST = 1000000 }; /* unless asked otherwise; at most */
/* One resample: drawn[i] of `count` draws with replacement, which depend on (seed, resample, count) alone. */
void bootstrap_draw(uint32_t *drawn, int64_t count, uint64_t seed, uint32_t resample);
/* The bounds from the figures of all resamples, which it sorts; NaN when there are none. */
void bootstrap_bounds(struct interval *interval, double *figures, int64_t count, double confidence);
/* Percentile bootstrap of the mean of the finite values; low = high = mean for one value, NaN for none. */
cover_status bootstrap_interval(struct interval *interval, cover_context *context, const double *values, int64_t count,
                                int resamples, double confidence, uint64_t seed);
/* Mean and Student-t interval of a few values, as of several seeds; the interval is NaN below two values. */
void student_interval(struct interval *interval, const double *values, int64_t count, double confidence);

#endif
