/* Kernels of the CUDA executor: functions of C that start device kernels on a stream and return at once.  One file of kernels/ a
 * family; cpu/kernels.def states the formulas (plain/ is their oracle).  Called by ops_*.c, conv.c and training.c.
 *
 * All arrays lie in device memory, channels last, `images` dense images one behind the other.  `const void *` are feature maps of
 * `element`, float32 or bfloat16; all else (fields, masks, parameters and their gradients, coefficients) is float32, sums are double.
 * Arithmetic is float32; a bfloat16 result is rounded once, when it is stored.  Gradients are written, not accumulated, and those of
 * parameters are sums over all images.  Buffers do not overlap unless a comment says so.
 * Arrays begin at multiples of 16 bytes (an image of one may not); workspaces at multiples of 256.
 * No kernel allocates, waits or adds atomically in floating point: equal inputs give equal bits.  Each returns the first error of its
 * launches (cudaSuccess = 0).  Anything may be captured into a CUDA graph. */
#ifndef COVER_CUDA_KERNELS_H
#define COVER_CUDA_KERNELS_H

#include "core/base/adam.h"
#include "core/base/element.h"
#include "core/base/grid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CUstream_st *cuda_stream; /* cudaStream_t, where CUDA's headers are not needed */
typedef int cuda_error;                  /* cudaError_t */

/* Normalised while it is read: y = leaky(fma(x, scale, offset)); coefficients: (images, 2, channels), scales then offsets.
 * A pointer to one may be NULL: x as it is. */
struct cuda_norm {
    const float *coefficients;
    float slope;
};

/* ---- layout.cu: copies that normalise, convert, join, split and pad
 * join: channels [first, first + channels) of y, which has y_channels, are x; `zeros` channels behind them are set to zero.
 * With first 0 and y_channels = channels this is norm_apply and widen; y may be x then, where both have one element. */
cuda_error cuda_join(cuda_stream stream, void *y, enum element y_element, int64_t y_channels, int64_t first, int64_t zeros,
                     const void *x, enum element x_element, const struct cuda_norm *norm, int images, int64_t pixels,
                     int64_t channels);
/* x (channels) = channels [first, first + channels) of y. */
cuda_error cuda_split(cuda_stream stream, void *x, enum element x_element, int64_t channels, const void *y, enum element y_element,
                      int64_t y_channels, int64_t first, int64_t rows);
/* Weights of a convolution, (c_out, c_in, taps) as parameters lie, into (c_out_padded, taps, c_in_padded) with zeros as padding;
 * and their gradient back. */
cuda_error cuda_pack_weights(cuda_stream stream, void *packed, enum element element, int64_t c_out_padded, int64_t c_in_padded,
                             const float *weights, int64_t c_out, int64_t c_in, int taps);
cuda_error cuda_unpack_weights(cuda_stream stream, float *weights, int64_t c_out, int64_t c_in, int taps, const void *packed,
                               enum element element, int64_t c_out_padded, int64_t c_in_padded);
/* bias.cu: y (rows, channels) += bias (channels) */
cuda_error cuda_add_bias(cuda_stream stream, void *y, enum element element, const float *bias, int64_t rows, int64_t channels);
/* dbias (channels) = sum over rows of dy, in double. */
size_t cuda_bias_grad_workspace(int64_t rows, int64_t channels);
cuda_error cuda_bias_grad(cuda_stream stream, float *dbias, const void *dy, enum element element, int64_t rows, int64_t channels,
                          void *workspace);

/* ---- norm.cu: group norm with LeakyReLU, epsilon in `s` */
struct cuda_norm_shape {
    int64_t pixels, channels;
    int images, groups;
    float slope, epsilon;
};
/* statistics: (images, 2, groups), means then 1 / sigma; coefficients: (images, 2, channels) of a struct cuda_norm; bias may be
 * NULL. */
size_t cuda_norm_workspace(const struct cuda_norm_shape *s);
cuda_error cuda_norm_act(cuda_stream stream, float *statistics, float *coefficients, const void *x, enum element element,
                         const float *gamma, const float *beta, const float *bias, const struct cuda_norm_shape *s,
                         void *workspace);
/* dx may be dy; dgamma, dbeta and dbias may each be NULL; statistics and coefficients are cuda_norm_act()'s. */
size_t cuda_norm_grad_workspace(const struct cuda_norm_shape *s);
cuda_error cuda_norm_grad(cuda_stream stream, void *dx, float *dgamma, float *dbeta, float *dbias, const void *dy, const void *x,
                          enum element element, const float *gamma, const float *bias, const float *statistics,
                          const float *coefficients, const struct cuda_norm_shape *s, void *workspace);

/* ---- pool.cu: grid is that of the larger side.  max_pool2_grad: plus may be NULL, and may be dx */
cuda_error cuda_max_pool2(cuda_stream stream, void *y, uint8_t *index, const void *x, enum element element,
                          const struct cuda_norm *norm, int images, const struct grid *grid, int64_t channels);
cuda_error cuda_max_pool2_grad(cuda_stream stream, void *dx, const void *plus, const void *dy, const uint8_t *index,
                               enum element element, int images, const struct grid *grid, int64_t channels);
size_t cuda_global_pool_workspace(int images, int64_t pixels, int64_t channels);
cuda_error cuda_global_pool(cuda_stream stream, void *y, const void *x, enum element element, int images, int64_t pixels,
                            int64_t channels, void *workspace);
cuda_error cuda_global_pool_grad(cuda_stream stream, void *dx, const void *dy, enum element element, int images, int64_t pixels,
                                 int64_t channels);

/* ---- resize.cu: upsample's grid is that of the smaller side; resize_corners takes axes of up to 65,536 pixels */
cuda_error cuda_upsample(cuda_stream stream, void *y, const void *deep, enum element element, const struct cuda_norm *norm,
                         int images, const struct grid *grid, int64_t channels);
cuda_error cuda_upsample_grad(cuda_stream stream, void *ddeep, const void *dy, enum element element, int images,
                              const struct grid *grid, int64_t channels);
cuda_error cuda_resize_corners(cuda_stream stream, float *y, const float *x, int images, const struct grid *from,
                               const struct grid *to, int64_t channels, float scale);
cuda_error cuda_resize_corners_grad(cuda_stream stream, float *dx, const float *dy, int images, const struct grid *from,
                                    const struct grid *to, int64_t channels, float scale);

/* ---- warp.cu: y(p) = src(p + field(p)).  dsrc or dfield may be NULL.  dsrc is added up in 64-bit integers of a common scale, so
 * that the order does not matter. */
cuda_error cuda_warp(cuda_stream stream, void *y, const void *src, enum element element, const float *field, int images,
                     const struct grid *grid, int64_t channels, enum coordinates coordinates);
size_t cuda_warp_grad_workspace(int images, const struct grid *grid, int64_t channels, bool dsrc);
cuda_error cuda_warp_grad(cuda_stream stream, void *dsrc, float *dfield, const void *dy, const void *src, enum element element,
                          const float *field, int images, const struct grid *grid, int64_t channels, enum coordinates coordinates,
                          void *workspace);

/* ---- mov.cu: cpu/kernels.def states MoV.  mov_grad may use a workspace for a row of numbers a pixel (maxima, sums), no logits */
struct cuda_mov_shape {
    struct grid grid;
    int64_t channels;
    int images, heads, radius;
};
cuda_error cuda_mov(cuda_stream stream, float *field, const float *query, const float *key, const struct cuda_mov_shape *s);
size_t cuda_mov_grad_workspace(const struct cuda_mov_shape *s);
cuda_error cuda_mov_grad(cuda_stream stream, float *dquery, float *dkey, const float *dfield, const float *query, const float *key,
                         const struct cuda_mov_shape *s, void *workspace);

/* ---- losses.cu: sums over valid pixels, one double an image; workspace of cuda_loss_workspace() bytes */
size_t cuda_loss_workspace(int images, int64_t pixels);
cuda_error cuda_vector_loss(cuda_stream stream, double *loss, const float *prediction, const float *truth, const float *mask,
                            int images, int64_t pixels, int ndim, void *workspace);
cuda_error cuda_vector_loss_grad(cuda_stream stream, float *dprediction, const float *prediction, const float *truth,
                                 const float *mask, int images, int64_t pixels, int ndim);
/* loss: MINUS the sum of cosines; da may be a, db may be b; scale: one an image, of its gradient, NULL = ones */
cuda_error cuda_cosine_loss(cuda_stream stream, double *loss, const void *a, const void *b, enum element element, const float *mask,
                            int images, int64_t pixels, int64_t channels, void *workspace);
cuda_error cuda_cosine_loss_grad(cuda_stream stream, void *da, void *db, const void *a, const void *b, enum element element,
                                 const float *mask, const float *scale, int images, int64_t pixels, int64_t channels);

/* ---- ncc.cu: loss (images) = 1 - mean squared correlation; mask may be NULL; workspace of cuda_ncc_workspace() bytes for either */
struct cuda_ncc_shape {
    struct grid grid;
    int64_t channels;
    int images, window;
};
size_t cuda_ncc_workspace(const struct cuda_ncc_shape *s);
cuda_error cuda_ncc_loss(cuda_stream stream, double *loss, const float *a, const float *b, const float *mask,
                         const struct cuda_ncc_shape *s, void *workspace);
cuda_error cuda_ncc_loss_grad(cuda_stream stream, float *da, const float *a, const float *b, const float *mask,
                              const struct cuda_ncc_shape *s, float weight, void *workspace);

/* ---- regress.cu: workspace of cuda_loss_workspace() bytes; cosine_mean_loss wants an image's float more, and affine_field_grad
 * AFFINE_SUMS times as many bytes */
cuda_error cuda_smooth_loss(cuda_stream stream, double *loss, const float *field, int images, const struct grid *grid,
                            int64_t channels, void *workspace);
cuda_error cuda_smooth_loss_grad(cuda_stream stream, float *dfield, const float *field, int images, const struct grid *grid,
                                 int64_t channels, float weight);
cuda_error cuda_inside_mask(cuda_stream stream, float *mask, const float *field, int images, const struct grid *grid,
                            enum coordinates coordinates);
cuda_error cuda_affine_field(cuda_stream stream, float *field, const float *numbers, int images, const struct grid *grid);
cuda_error cuda_affine_field_grad(cuda_stream stream, float *dnumbers, const float *dfield, const float *numbers, int images,
                                  const struct grid *grid, void *workspace);
/* scale (images) = weight / (valid pixels, or all of them where mask is NULL, + least) */
cuda_error cuda_mask_scales(cuda_stream stream, float *scale, const float *mask, int images, int64_t pixels, float weight,
                            double least, void *workspace);
cuda_error cuda_cosine_mean_loss(cuda_stream stream, double *loss, const void *a, const void *b, enum element element,
                                 const float *mask, int images, int64_t pixels, int64_t channels, void *workspace);
cuda_error cuda_cosine_mean_loss_grad(cuda_stream stream, void *da, void *db, const void *a, const void *b, enum element element,
                                      const float *mask, int images, int64_t pixels, int64_t channels, float weight,
                                      void *workspace);
cuda_error cuda_region_blocks(cuda_stream stream, float *rows, const float *x, int images, const struct grid *grid,
                              int64_t channels);
cuda_error cuda_region_blocks_grad(cuda_stream stream, float *dx, const float *drows, int images, const struct grid *grid,
                                   int64_t channels);
cuda_error cuda_local_nce(cuda_stream stream, double *loss, const float *a, const float *b, int images, int64_t regions,
                          int64_t channels, float temperature);
cuda_error cuda_local_nce_grad(cuda_stream stream, float *da, float *db, const float *a, const float *b, int images,
                               int64_t regions, int64_t channels, float temperature, float weight);

/* ---- task_losses.cu: an image a row: loss (2), statistics (1 + 3 classes; of the sigmoid loss 1) in double */
struct cuda_task_loss {
    int images;
    int64_t pixels, classes;
    float ce_weight, dice_weight, smooth;
};
size_t cuda_task_loss_workspace(const struct cuda_task_loss *s);
cuda_error cuda_softmax_loss(cuda_stream stream, double *loss, double *statistics, const float *logits, const float *target,
                             const float *class_weights, const struct cuda_task_loss *s, void *workspace);
cuda_error cuda_softmax_loss_grad(cuda_stream stream, float *dlogits, const float *logits, const float *target,
                                  const float *class_weights, const double *statistics, const struct cuda_task_loss *s);
cuda_error cuda_sigmoid_loss(cuda_stream stream, double *loss, double *statistics, const float *logits, const float *target,
                             const float *class_weights, const struct cuda_task_loss *s, void *workspace);
cuda_error cuda_sigmoid_loss_grad(cuda_stream stream, float *dlogits, const float *logits, const float *target,
                                  const float *class_weights, const double *statistics, const struct cuda_task_loss *s);
cuda_error cuda_class_right(cuda_stream stream, double *right, const float *logits, const float *target, int images, int64_t pixels,
                            int64_t classes);

/* ---- cells.cu: grid is that of the cells, each of `cell` pixels an axis */
struct cuda_cells {
    int images, cell;
    struct grid grid;
    int64_t channels;
    float threshold, attention, similarity;
};
cuda_error cuda_cell_pool(cuda_stream stream, float *y, const void *x, enum element element, const struct cuda_norm *norm,
                          const struct cuda_cells *s);
cuda_error cuda_cell_pool_grad(cuda_stream stream, void *dx, enum element element, const float *dy, const struct cuda_cells *s);
/* indices (images, of_f, count) of rows of g */
size_t cuda_match_cells_workspace(int images, int64_t of_g);
cuda_error cuda_match_cells(cuda_stream stream, float *indices, const float *f, const float *g, int images, int64_t of_f,
                            int64_t of_g, int64_t channels, int count, void *workspace);
/* matches: the first of `each` numbers a cell */
cuda_error cuda_hit(cuda_stream stream, double *out, const float *matches, int each, const float *field,
                    const struct cuda_cells *s);

size_t cuda_set_positives_workspace(int images, int64_t cells);
cuda_error cuda_set_positives(cuda_stream stream, float *positives, double *shares, const float *f, const float *g,
                              const float *field, const struct cuda_cells *s, void *workspace);

/* ---- points.cu: x of a grid, read at `each` points an image */
cuda_error cuda_sample_points(cuda_stream stream, float *y, const void *x, enum element element, const struct cuda_norm *norm,
                              const float *points, int images, const struct grid *grid, int64_t channels, int64_t each);
cuda_error cuda_sample_points_grad(cuda_stream stream, void *dx, enum element element, const float *dy, const float *points,
                                   int images, const struct grid *grid, int64_t channels, int64_t each);

/* ---- pairs.cu: x of `channels`, values of `wide` channels */
struct cuda_propagation {
    int images;
    int64_t cells, channels, wide;
};
struct cuda_codes { /* codes of `channels` prototypes; each: indices a row, of which the first counts */
    int images, each;
    int64_t rows, channels, group; /* group: indices are of one of its rows */
    float scale, weight;           /* 1 / temperature; of the gradient */
};
cuda_error cuda_unit(cuda_stream stream, float *y, const float *x, int64_t rows, int64_t channels);
cuda_error cuda_unit_grad(cuda_stream stream, float *dx, const float *dy, const float *x, int64_t rows, int64_t channels);
size_t cuda_propagate_workspace(const struct cuda_propagation *s); /* of the gradient too */
cuda_error cuda_propagate(cuda_stream stream, float *y, const float *x, const float *value, const struct cuda_propagation *s,
                          void *workspace);
cuda_error cuda_propagate_grad(cuda_stream stream, float *dx, float *dvalue, const float *dy, const float *x, const float *value,
                               const struct cuda_propagation *s, void *workspace);
size_t cuda_pair_cosine_workspace(const struct cuda_cells *s);
cuda_error cuda_pair_cosine(cuda_stream stream, double *loss, const float *y, const float *k, const float *field, bool turned,
                            const struct cuda_cells *s, void *workspace);
cuda_error cuda_pair_cosine_grad(cuda_stream stream, float *dy, const float *y, const float *k, const float *field,
                                 const double *loss, bool turned, float weight, const struct cuda_cells *s);
size_t cuda_soft_cross_entropy_workspace(const struct cuda_codes *s);
cuda_error cuda_soft_cross_entropy(cuda_stream stream, double *loss, const float *scores, const float *codes, const float *indices,
                                   const struct cuda_codes *s, void *workspace);
cuda_error cuda_soft_cross_entropy_grad(cuda_stream stream, float *dscores, const float *scores, const float *codes,
                                        const float *indices, const struct cuda_codes *s);
size_t cuda_sinkhorn_workspace(const struct cuda_codes *s);
cuda_error cuda_sinkhorn(cuda_stream stream, float *codes, const float *scores, int rounds, const struct cuda_codes *s,
                         void *workspace);

/* ---- nce.cu: core/graph/dense.h has the formulas.  An image a row of two numbers; indices may be NULL; keys are the queue's rows */
struct cuda_nce {
    int images, positives;
    int64_t rows, of_k, keys, channels;
    float scale, weight; /* 1 / temperature; of the gradient */
};
size_t cuda_nce_workspace(const struct cuda_nce *s);
cuda_error cuda_matched_nce(cuda_stream stream, double *loss, float *log_sums, const float *q, const float *k, const float *indices,
                            const float *queue, const struct cuda_nce *s, void *workspace);
cuda_error cuda_matched_nce_grad(cuda_stream stream, float *dq, const float *q, const float *k, const float *indices,
                                 const float *queue, const float *log_sums, const struct cuda_nce *s);
/* log_sums: (images, rows, 2), then how many positives; rows_with: how many rows have any */
size_t cuda_set_nce_workspace(const struct cuda_nce *s);
cuda_error cuda_set_nce(cuda_stream stream, double *loss, float *log_sums, double *rows_with, const float *q, const float *k,
                        const float *positives, const float *queue, const struct cuda_nce *s, void *workspace);
cuda_error cuda_set_nce_grad(cuda_stream stream, float *dq, const float *q, const float *k, const float *positives,
                             const float *queue, const float *log_sums, const double *rows_with, const struct cuda_nce *s,
                             void *workspace);

/* ---- vector.cu: flat vectors */
cuda_error cuda_add(cuda_stream stream, void *y, const void *a, const void *b, enum element element,
                    int64_t count); /* y may be a, b */
size_t cuda_square_sum_workspace(int64_t count);
/* *sum = sum of squares in double; NaN and Inf show. */
cuda_error cuda_square_sum(cuda_stream stream, double *sum, const float *x, int64_t count, void *workspace);
/* y = y + rate (x - y); with rate 1 y becomes x. */
cuda_error cuda_follow(cuda_stream stream, float *y, const float *x, int64_t count, float rate);
/* Rows of x (count, width), each made unit (norm at least 1e-12), overwrite rows of the ring (rows, width) from `place` on, going round;
 * count <= rows. */
cuda_error cuda_push(cuda_stream stream, float *ring, const float *x, int64_t count, int64_t rows, int64_t width, int64_t place);
/* One Adam update.  What changes from step to step lies in device memory, so that a captured graph can be played again: */
struct cuda_update {
    struct adam adam; /* its scale: 1 / M, or 0 for no update */
    double
        clip; /* 0 = none: the scale is multiplied by clip / (norm + adam.clip_epsilon) where norm = sqrt(*square_sum) * scale is above */
};
/* Nothing is changed where the scale is 0 or *square_sum is not finite. */
cuda_error cuda_adam(cuda_stream stream, float *weights, float *m, float *v, const float *gradient, int64_t count,
                     const struct cuda_update *update, const double *square_sum);
/* *mark = NaN where any of count values is not finite, else 0. */
cuda_error cuda_guard(cuda_stream stream, float *mark, const double *values, int64_t count);
/* *bad = 1 where any of count values is not finite (never set to 0). */
cuda_error cuda_not_finite(cuda_stream stream, int *bad, const void *x, enum element element, int64_t count);

/* ---- values.cu: element by element; y may be x, dx may be dy */
cuda_error cuda_scaled(cuda_stream stream, void *y, const void *x, enum element element, float scale, int64_t count);
cuda_error cuda_leaky(cuda_stream stream, void *y, const void *x, enum element element, float slope, int64_t count);
cuda_error cuda_leaky_grad(cuda_stream stream, void *dx, const void *dy, const void *y, enum element element, float slope,
                           int64_t count);

/* ---- image_loss.cu: sums of mask (p - truth)^2, one double an image; p = sigmoid(prediction) where asked; mask: one a pixel, or NULL */
struct cuda_image_sizes {
    int images;
    int64_t pixels, channels;
    bool sigmoid;
};
size_t cuda_image_loss_workspace(const struct cuda_image_sizes *s);
cuda_error cuda_image_loss(cuda_stream stream, double *loss, const float *prediction, const float *truth, const float *mask,
                           const struct cuda_image_sizes *s, void *workspace);
cuda_error cuda_image_loss_grad(cuda_stream stream, float *dprediction, const float *prediction, const float *truth,
                                const float *mask, const struct cuda_image_sizes *s);
/* y = mask a + (1 - mask) b over all rows of channels, mask one a row; da or db may be NULL. */
cuda_error cuda_blend(cuda_stream stream, float *y, const float *mask, const float *a, const float *b, int64_t rows,
                      int64_t channels);
cuda_error cuda_blend_grad(cuda_stream stream, float *da, float *db, const float *mask, const float *dy, int64_t rows,
                           int64_t channels);

/* ---- rows.cu: rows are the pixels of an image; cpu/row_losses.h states what is computed over them
 * rows: the pixels of each sample in their order, as images of y_pixels instead of x_pixels; pixels: of all images of a sample. */
cuda_error cuda_rows(cuda_stream stream, void *y, const void *x, enum element element, int samples, int64_t y_pixels,
                     int64_t x_pixels, int64_t pixels, int64_t channels);
struct cuda_row_sizes { /* of each image */
    int images;
    int64_t rows, channels;
};
size_t cuda_rows_workspace(const struct cuda_row_sizes *s);
cuda_error cuda_nt_xent(cuda_stream stream, double *loss, double *statistics, const float *z, const struct cuda_row_sizes *s,
                        float temperature, void *workspace);
cuda_error cuda_nt_xent_grad(cuda_stream stream, float *dz, const float *z, const double *statistics,
                             const struct cuda_row_sizes *s, float temperature);
cuda_error cuda_batch_right(cuda_stream stream, double *count, const float *q, const float *k, const struct cuda_row_sizes *s,
                            void *workspace);
cuda_error cuda_spread(cuda_stream stream, double *spread, const float *x, const struct cuda_row_sizes *s, void *workspace);

#ifdef __cplusplus
}
#endif
#endif
