/* Kernels of the CPU executor: one table of functions an instruction set and an element.  plain/ holds the formulas (the
 * oracle), simd/ one source compiled for avx2 and avx512; those over feature maps are compiled once more for bfloat16, and
 * for avx512_bf16, which rounds by an instruction (and takes numbers below 2^-126 for zero).
 *
 * Feature maps and their gradients are `void *`: arrays of the table's element.  Everything else (fields, masks, parameters
 * and their gradients, coefficients) is float32, sums are double.  Arithmetic is float32 for both elements; a bfloat16 result
 * is rounded once, when it is stored.
 *
 * All arrays are channels last, one image, dense: element (pixel, channel) at pixel * channels + channel.
 * Gradients are written, not accumulated.  Buffers may not overlap unless a comment says so.  No kernel allocates; all
 * are thread-safe.  Arrays are aligned to their elements, workspaces to 64 bytes; a workspace belongs to one call at a time.
 * Slabs: a kernel with (slab, slabs) does its share of the image; the result does not depend on how many slabs there are.
 * Blocks: a kernel with (block, blocks) gives the sum over one block; the caller takes the number of blocks from the shape
 * alone and adds in their order.  NaN in an input shows in the output, wherever it takes part. */
#ifndef COVER_KERNELS_H
#define COVER_KERNELS_H

#include "core/base/adam.h"
#include "core/base/element.h"
#include "core/base/grid.h"

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
    enum element element; /* of feature maps */

    /* --- norm_act: y = leaky(gamma * (x + bias - mean) * rstd + beta).  bias may be NULL (zeros).
     * sums: of x + bias and of its square, over one of norm_blocks() blocks of pixels, in double: (2, groups), which
     * norm_statistics() adds up to mean and rstd, of which norm_coefficients() makes a struct norm_load.
     * apply: y = leaky(fma(x, scale, offset)); y may be x */
    void (*norm_sums)(double *sums, const void *x, const float *bias, const struct norm_shape *s, int block, int blocks);
    void (*norm_apply)(void *y, const void *x, const struct norm_load *norm, int64_t pixels, int64_t channels, int slab,
                       int slabs);
    /* Backward in two passes, x and norm being those of the forward pass, d = dy * leaky'(fma(x, scale, offset)).
     * sums, (3, channels): of d, of d * x and of x over one of norm_blocks() blocks; norm_grad_finish() makes of them the
     * gradients of the parameters and coefficients (3, channels): dx = d * first + x * second + third.  dx may be dy */
    void (*norm_grad_sums)(double *sums, const void *dy, const void *x, const struct norm_load *norm, int64_t pixels,
                           int64_t channels, int block, int blocks);
    void (*norm_grad_apply)(void *dx, const void *dy, const void *x, const struct norm_load *norm, const float *coefficients,
                            int64_t pixels, int64_t channels, int slab, int slabs);

    /* --- 2^ndim max pooling of x, normalised where norm is not NULL; index: position of the maximum within its window in
     * memory order, the first of equals (and of NaNs) wins.  grid: of the input; the last row of an odd axis is dropped.
     * grad: dx = (dy where the maximum was, else 0) + plus; plus may be NULL (zeros), and may be dx */
    void (*max_pool2)(void *y, uint8_t *index, const void *x, const struct norm_load *norm, const struct grid *grid,
                      int64_t channels, int slab, int slabs);
    void (*max_pool2_grad)(void *dx, const void *plus, const void *dy, const uint8_t *index, const struct grid *grid,
                           int64_t channels, int slab, int slabs);

    /* --- y = deep, normalised where norm is not NULL, at twice its size (linear, half-pixel centres).  grid: of deep */
    void (*upsample)(void *y, const void *deep, const struct norm_load *norm, const struct grid *grid, int64_t channels,
                     int slab, int slabs);
    void (*upsample_grad)(void *ddeep, const void *dy, const struct grid *grid, int64_t channels, int slab, int slabs);

    /* --- y = scale * linear resize with aligned corners from grid `from` to grid `to` */
    void (*resize_corners)(float *y, const float *x, const struct grid *from, const struct grid *to, int64_t channels,
                           float scale, int slab, int slabs);
    void (*resize_corners_grad)(float *dx, const float *dy, const struct grid *from, const struct grid *to,
                                int64_t channels, float scale, int slab, int slabs);

    /* --- y(p) = src(p + field(p)), linear, a tap outside counts zero; field: pixels x ndim in array-axis order;
     * coordinates released: position p is read at p * S / (S - 1) - 1/2 (an axis of one pixel has no such position and
     * reads nothing).  NaN or huge fields read nothing. */
    void (*warp)(void *y, const void *src, const float *field, const struct grid *grid, int64_t channels,
                 enum coordinates coordinates, int slab, int slabs);
    /* dsrc or dfield may be NULL; slabs share the rows of both.  On the lattice of src, where the field has a kink, the slope is
     * that of the cell above: taps floor(p + field) and the next.  sums: (pixels, channels), one for all slabs, where a dsrc of
     * bfloat16 is added up before it is rounded; else it may be NULL */
    void (*warp_grad)(void *dsrc, float *dfield, const void *dy, const void *src, const float *field, const struct grid *grid,
                      int64_t channels, enum coordinates coordinates, int slab, int slabs, float *sums);

    /* --- MoV: field(p) = mean over heads of sum_o softmax_o(<query(p), key(p+o)> / sqrt(head_dim)) * o; a key outside has
     * logit -1000.  One fused pass; no more logits are kept than those of a few columns, backwards of 2 radius + 1 rows.
     * Slabs share the lines of each plane.  workspace: mov_workspace() bytes, one for each slab that is running */
    void (*mov)(float *field, const float *query, const float *key, const struct mov_shape *s, int slab, int slabs,
                void *workspace);
    void (*mov_grad)(float *dquery, float *dkey, const float *dfield, const float *query, const float *key,
                     const struct mov_shape *s, int slab, int slabs, void *workspace);

    /* --- losses: unscaled sums over valid pixels (mask > 0) of one of loss_blocks() blocks, in double */
    double (*vector_loss)(const float *prediction, const float *truth, const float *mask, int64_t pixels, int ndim, int block,
                          int blocks);
    void (*vector_loss_grad)(float *dprediction, const float *prediction, const float *truth, const float *mask,
                             int64_t pixels, int ndim, int slab, int slabs);
    /* sum over valid pixels of cos(a, b), each norm is max(|x|, 1e-12); gradients of MINUS that sum; da may be a, db b */
    double (*cosine_sum)(const void *a, const void *b, const float *mask, int64_t pixels, int64_t channels, int block,
                         int blocks);
    void (*cosine_sum_grad)(void *da, void *db, const void *a, const void *b, const float *mask, int64_t pixels,
                            int64_t channels, int slab, int slabs);

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
    void (*global_pool)(void *y, const void *x, int64_t pixels, int64_t channels);
    void (*global_pool_grad)(void *dx, const void *dy, int64_t pixels, int64_t channels);

    /* --- y = x as floats, normalised where norm is not NULL; y may be x where that is of floats */
    void (*widen)(float *y, const void *x, const struct norm_load *norm, int64_t pixels, int64_t channels, int slab, int slabs);

    /* --- flat vectors */
    void (*add)(void *y, const void *a, const void *b, int64_t count); /* y may be a or b */
    double (*square_sum)(const float *x, int64_t count);               /* NaN and Inf show in the result */
    void (*adam)(float *weights, float *m, float *v, const float *gradient, int64_t count, const struct adam *s);
};

enum { BLOCKS_MAX = 8 };
/* Blocks of an image's pixels for norm_sums(), by its shape alone: 1..BLOCKS_MAX. */
int norm_blocks(const struct norm_shape *s);
/* Blocks of an image's pixels for a loss: 1..BLOCKS_MAX. */
int loss_blocks(int64_t pixels);
/* mean and rstd of each group from the sums of all blocks, (blocks, 2, groups). */
void norm_statistics(float *mean, float *rstd, const double *sums, int blocks, const struct norm_shape *s);
/* y = fma(x, scale, offset) before the activation, a scale and an offset a channel; bias may be NULL. */
void norm_coefficients(float *scale, float *offset, const float *mean, const float *rstd, const float *gamma,
                       const float *beta, const float *bias, const struct norm_shape *s);
/* From the sums of all blocks of norm_grad_sums(), (blocks, 3, channels): gradients of one image's parameters (dbias may be
 * NULL) and the coefficients, (3, channels), of norm_grad_apply(). */
void norm_grad_finish(float *dgamma, float *dbeta, float *dbias, float *coefficients, const double *sums, int blocks,
                      const float *mean, const float *rstd, const float *gamma, const float *bias,
                      const struct norm_shape *s);
size_t mov_workspace(const struct mov_shape *s, bool gradient);

/* All tables for an element that this machine can run, plain first, best last; features as in features.h.  The element is
 * ELEMENT_F32 or ELEMENT_BF16. */
enum { KERNEL_TABLES = 4 };
int kernels_available(const struct kernels *tables[KERNEL_TABLES], unsigned features, enum element element);
const struct kernels *kernels_best(unsigned features, enum element element);

#endif
