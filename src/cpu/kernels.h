/* Kernels of the CPU executor: one table of functions an instruction set.  plain/ holds the formulas (the oracle), simd/
 * one source compiled for avx2 and avx512; kernels_best() fills a table with plain C and overrides in rising order.
 *
 * All arrays are float32, channels last, one image, dense: element (pixel, channel) at pixel * channels + channel.
 * Gradients are written, not accumulated.  Buffers may not overlap unless a comment says so.  No kernel allocates; all
 * are thread-safe.  Arrays are aligned to their elements, workspaces to 64 bytes; a workspace belongs to one call at a time.
 * Slabs: a kernel with (slab, slabs) does its share of the image's rows; the result does not depend on how many slabs
 * there are.  NaN in an input shows in the output, wherever it takes part. */
#ifndef COVER_KERNELS_H
#define COVER_KERNELS_H

#include "../core/base/adam.h"
#include "../core/base/grid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct norm_shape { /* GroupNorm + LeakyReLU; slope 1 = no activation */
    int64_t pixels, channels, groups;
    float slope, epsilon;
};
/* A normalisation that the reader of x applies while it loads: y = leaky(fma(x, scale, offset)), a scale and an offset a
 * channel.  A pointer to one may be NULL: x as it is. */
struct norm_load {
    const float *scale, *offset;
    float slope;
};
struct mov_shape { /* channel c belongs to head c % heads; head_dim = channels / heads */
    struct grid grid;
    int64_t channels;
    int heads, radius;
};

struct softmax_loss { /* of one image */
    int64_t pixels, classes;
    float ce_weight, dice_weight, smooth; /* weights are of the gradient alone */
};

struct kernels {
    const char *isa;

    /* --- norm_act: y = leaky(gamma * (x + bias - mean) * rstd + beta).  bias may be NULL (zeros).
     * sums: of x + bias and of its square, over one of norm_blocks() blocks of pixels, in double: (2, groups), which
     * norm_statistics() adds up to mean and rstd.  apply: y may be x */
    void (*norm_sums)(double *sums, const float *x, const float *bias, const struct norm_shape *s, int block, int blocks);
    void (*norm_apply)(float *y, const float *x, const float *bias, const float *mean, const float *rstd,
                       const float *gamma, const float *beta, const struct norm_shape *s, int slab, int slabs);
    /* dx, dgamma, dbeta, dbias (dbias NULL when bias is) from dy; x is the input of the forward pass. dx may alias dy.
     * workspace: norm_workspace() bytes */
    void (*norm_grad)(float *dx, float *dgamma, float *dbeta, float *dbias, const float *dy, const float *x,
                      const float *bias, const float *mean, const float *rstd, const float *gamma, const float *beta,
                      const struct norm_shape *s, void *workspace);

    /* --- 2^ndim max pooling; index: position of the maximum within its window in memory order, the first of equals (and
     * of NaNs) wins.  grid: of the input; the last row of an odd axis is dropped and gets no gradient */
    void (*max_pool2)(float *y, uint8_t *index, const float *x, const struct grid *grid, int64_t channels, int slab,
                      int slabs);
    void (*max_pool2_grad)(float *dx, const float *dy, const uint8_t *index, const struct grid *grid,
                           int64_t channels);

    /* --- y = concat(skip, up2_half_pixel(deep)) over channels.  grid: of deep; skip and y are twice as large */
    void (*upsample_concat)(float *y, const float *skip, const float *deep, const struct grid *grid,
                            int64_t skip_channels, int64_t deep_channels, int slab, int slabs);
    void (*upsample_concat_grad)(float *dskip, float *ddeep, const float *dy, const struct grid *grid,
                                 int64_t skip_channels, int64_t deep_channels, int slab, int slabs);

    /* --- y = scale * linear resize with aligned corners from grid `from` to grid `to` */
    void (*resize_corners)(float *y, const float *x, const struct grid *from, const struct grid *to, int64_t channels,
                           float scale);
    void (*resize_corners_grad)(float *dx, const float *dy, const struct grid *from, const struct grid *to,
                                int64_t channels, float scale);

    /* --- y(p) = src(p + field(p)), linear, a tap outside counts zero; field: pixels x ndim in array-axis order;
     * coordinates released: position p is read at p * S / (S - 1) - 1/2 (an axis of one pixel has no such position and
     * reads nothing).  NaN or huge fields read nothing. */
    void (*warp)(float *y, const float *src, const float *field, const struct grid *grid, int64_t channels,
                 enum coordinates coordinates, int slab, int slabs);
    /* dsrc or dfield may be NULL.  On the lattice of src, where the field has a kink, the slope is that of the cell
     * above: taps floor(p + field) and the next */
    void (*warp_grad)(float *dsrc, float *dfield, const float *dy, const float *src, const float *field,
                      const struct grid *grid, int64_t channels, enum coordinates coordinates);

    /* --- MoV: field(p) = mean over heads of sum_o softmax_o(<query(p), key(p+o)> / sqrt(head_dim)) * o; a key outside has
     * logit -1000.  One fused pass; no more logits are kept than those of a few columns, backwards of 2 radius + 1 rows.
     * Slabs share the lines of each plane.  workspace: mov_workspace() bytes, one for each slab that is running */
    void (*mov)(float *field, const float *query, const float *key, const struct mov_shape *s, int slab, int slabs,
                void *workspace);
    void (*mov_grad)(float *dquery, float *dkey, const float *dfield, const float *query, const float *key,
                     const struct mov_shape *s, int slab, int slabs, void *workspace);

    /* --- losses: unscaled sums over valid pixels (mask > 0), accumulated in double over fixed blocks */
    double (*vector_loss)(const float *prediction, const float *truth, const float *mask, int64_t pixels, int ndim);
    void (*vector_loss_grad)(float *dprediction, const float *prediction, const float *truth, const float *mask,
                             int64_t pixels, int ndim);
    /* sum over valid pixels of cos(a, b), each norm is max(|x|, 1e-12); gradients of MINUS that sum */
    double (*cosine_sum)(const float *a, const float *b, const float *mask, int64_t pixels, int64_t channels);
    void (*cosine_sum_grad)(float *da, float *db, const float *a, const float *b, const float *mask, int64_t pixels,
                            int64_t channels);

    /* --- losses of a task; class_weights: one a class, NULL = ones.
     * softmax_loss: loss[0] = sum over valid pixels of class_weights[t] * -log softmax_t(logits), by their number;
     * loss[1] = 1 - mean over classes k >= 1 of (2 I_k + smooth) / (P_k + T_k + smooth), with sums over valid pixels
     * I_k = sum of p_k where t = k, P_k = sum of p_k, T_k = number of t = k.  target: t of each pixel, a whole number; a
     * pixel whose target is none of 0 .. classes - 1 is not valid and has no part.  Without a valid pixel all is zero.
     * statistics, 1 + 3 * classes: number of valid pixels, then all I, all P, all T.
     * dlogits: gradient of ce_weight * loss[0] + dice_weight * loss[1] (of the first alone if dice_weight is 0). */
    void (*softmax_loss)(double *loss, double *statistics, const float *logits, const float *target,
                         const float *class_weights, const struct softmax_loss *s);
    void (*softmax_loss_grad)(float *dlogits, const float *logits, const float *target, const float *class_weights,
                              const double *statistics, const struct softmax_loss *s);
    /* mean over known entries (target >= 0; 0 or 1, or a probability) of class_weights[k] * binary cross-entropy; zero
     * without one.  statistics, 1: their number */
    double (*sigmoid_loss)(double *statistics, const float *logits, const float *target, const float *class_weights,
                           int64_t pixels, int64_t classes);
    void (*sigmoid_loss_grad)(float *dlogits, const float *logits, const float *target, const float *class_weights,
                              const double *statistics, int64_t pixels, int64_t classes);

    /* --- y (channels) = mean of x over pixels, accumulated in double */
    void (*global_pool)(float *y, const float *x, int64_t pixels, int64_t channels);
    void (*global_pool_grad)(float *dx, const float *dy, int64_t pixels, int64_t channels);

    /* --- flat vectors */
    void (*add)(float *y, const float *a, const float *b, int64_t count); /* y may be a or b */
    double (*square_sum)(const float *x, int64_t count);                  /* NaN and Inf show in the result */
    void (*adam)(float *weights, float *m, float *v, const float *gradient, int64_t count, const struct adam *s);
};

/* Blocks of an image's pixels for norm_sums(), by its shape alone: 1..8. */
int norm_blocks(const struct norm_shape *s);
/* mean and rstd of each group from the sums of all blocks, (blocks, 2, groups). */
void norm_statistics(float *mean, float *rstd, const double *sums, int blocks, const struct norm_shape *s);
size_t norm_workspace(const struct norm_shape *s);
size_t mov_workspace(const struct mov_shape *s, bool gradient);

/* All tables that this machine can run, plain first, best last; features as in features.h. */
int kernels_available(const struct kernels *tables[4], unsigned features);
const struct kernels *kernels_best(unsigned features);

#endif
