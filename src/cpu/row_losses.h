/* Losses and figures over all rows of an image, which are its pixels: the other rows are what a row is compared with.  All in double;
 * they are next to nothing beside the network in front of them, so there is one form.  Called by ops_rows.c. */
#ifndef COVER_ROW_LOSSES_H
#define COVER_ROW_LOSSES_H

#include <stdint.h>

/* With u a row by its norm, which is taken as 1e-12 at least, and s_ik = <u_i, u_k> / temperature: loss[0] = the sum over rows i of
 * log(sum over k != i of exp(s_ik)) - s_ij, j being the row as far into the other half; loss[1] = how many have no s_ik above s_ij, and
 * none before it that is as large.  statistics (2, rows): 1 / norm, then the logarithm. */
void rows_nt_xent(double *loss, double *statistics, const float *z, int64_t rows, int64_t channels, double temperature);
/* The gradient of loss[0], rows [begin, end).  row: room for `channels`. */
void rows_nt_xent_grad(float *dz, const float *z, const double *statistics, int64_t rows, int64_t channels, double temperature,
                       int64_t begin, int64_t end, double *row);
/* How many rows of q have among the rows of k, by cosine, their own as the first of the largest.  inverse: room for `rows`. */
double rows_batch_right(const float *q, const float *k, int64_t rows, int64_t channels, double *inverse);
/* The mean over channels of the standard deviation of unit rows, times the root of `channels`.  inverse: room for `rows`. */
double rows_spread(const float *x, int64_t rows, int64_t channels, double *inverse);

#endif
