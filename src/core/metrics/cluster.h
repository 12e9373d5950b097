/* Clusters of rows of numbers: whitening, k-means, and what is said and drawn from the labels.  Plain arrays and base/ alone.
 * Results are the same bits for any number of threads: rows are shared out, and every sum over them has one order.  What works for
 * long runs on the context's threads, asks for no more memory than its limit leaves, and ends with COVER_ERROR_CANCELLED when it is told to. */
#ifndef COVER_CLUSTER_H
#define COVER_CLUSTER_H

#include "core/base/base.h"

/* ---- eigen.c: the eigenvalues of a symmetric matrix (n, n), in falling order, and the `wanted` first eigenvectors, as rows of `vector`
 * (wanted, n), each of length 1 with its largest component positive.  The matrix is overwritten.  COVER_ERROR_NUMERIC where they are
 * not found, as of what is not finite. */
cover_status eigen_symmetric(double *value, double *vector, cover_context *context, double *matrix, int64_t n, int64_t wanted);

/* ---- whiten.c: rows (count, dims) of length 1 from features (count, channels): centred, which is left in `features`, projected on the
 * `dims` axes along which they scatter most, and each coordinate divided by the root of its axis' eigenvalue.  An axis along which they
 * do not scatter gives zeros.  COVER_ERROR_NUMERIC names the row with a number that is not finite. */
cover_status whiten(float *rows, cover_context *context, float *features, int64_t count, int64_t channels, int64_t dims);

/* ---- kmeans.c */

/* `centroid` (clusters, dims): the first ones, the last ones afterwards.  An iteration gives each row to the nearest centroid, the first
 * of equals, and moves each centroid to its rows' mean; then an empty cluster, in rising order, takes half of the largest one, whose mean
 * times 1 +- 1/1024, with alternating signs, becomes both means.  label[count]: by the last centroids.  objective[iterations]: the sum
 * of squared distances before each move. */
cover_status kmeans(int32_t *label, float *centroid, double *objective, cover_context *context, const float *rows, int64_t count,
                    int64_t dims, int64_t clusters, int iterations);

/* ---- labels.c: of labels in 0 .. clusters - 1 */

/* Clusters that have members; `largest`: the members of the one that has most.  members[clusters] is filled. */
int64_t clusters_used(int64_t *members, int64_t *largest, const int32_t *label, int64_t count, int64_t clusters);

/* Picks of each cluster so that `count` come together: with one more than needed, so that some are left over. */
static inline int64_t order_picks(int64_t count, int64_t used) { return count / used + 1; }
/* An order of `count` rows in which each cluster that has members has the same share.  draw (used, picks): pick j of n members is, where
 * there are more members than picks, the j-th of a shuffle, else member floor(draw n).  key (used * picks): picks go by rising key.
 * Both are numbers in [0, 1). */
cover_status order_uniform(int32_t *order, cover_context *context, const int32_t *label, int64_t labels, int64_t clusters,
                           int64_t count, const float *draw, const float *key);

/* 2 I(a; b) / (H(a) + H(b)) of two labellings of the same rows; 1 when both are constant. */
cover_status mutual_information(double *information, cover_context *context, const int32_t *a, const int32_t *b, int64_t count,
                                int64_t clusters);

/* How far rows are from all being alike: the mean over channels of the standard deviation of rows of length 1, times the root of the
 * channels.  1 when they lie evenly on the sphere, 0 when all are one. */
cover_status spread(double *result, cover_context *context, const float *rows, int64_t count, int64_t channels);

#endif
