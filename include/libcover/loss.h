/* The two losses of COVER with their gradients, for training loops of your own.
 *
 * Owner:      the caller destroys the gradients
 * Lifetime:   nothing is lent
 * Threads:    all at once
 * Callbacks:  none but the log and the allocator of the context (context.h)
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_LOSS_H
#define LIBCOVER_LOSS_H

#include <libcover/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** L_vec (paper, eq. 6): sum over valid pixels and components of |truth - prediction| / number of valid pixels.
 *  @param[out] value
 *  @param[out] gradient  of the prediction, created by the call; NULL = not wanted
 *  @param      prediction, truth (N, d, [D,] H, W) pixels;  mask (N, 1, [D,] H, W), > 0 where valid
 *  @return COVER_OK; COVER_ERROR_SHAPE; COVER_ERROR_NUMERIC when no pixel is valid; COVER_ERROR_MEMORY */
COVER_API cover_status cover_loss_vector(double *value, cover_tensor **gradient, cover_context *context,
                                         const cover_tensor *prediction, const cover_tensor *truth, const cover_tensor *mask);

/** L_con: 1 - mean over valid pixels of the cosine between a(p) and b(p) over channels.
 *  @param[out] da, db  gradients, created by the call; both NULL = not wanted
 *  @param      a, b    (N, C, [D,] H, W);  mask (N, 1, [D,] H, W) */
COVER_API cover_status cover_loss_consistency(double *value, cover_tensor **da, cover_tensor **db, cover_context *context,
                                              const cover_tensor *a, const cover_tensor *b, const cover_tensor *mask);

#ifdef __cplusplus
}
#endif
#endif
