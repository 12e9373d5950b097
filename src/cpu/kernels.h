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

struct ncc_shape { /* of one image; the window is odd */
    struct grid grid;
    int64_t channels;
    int window;
};

/* kernels.def says what each of them computes. */
struct kernels {
    const char *isa;
    enum element element; /* of feature maps */
#define KERNEL(kind, type, name, arguments) type(*name) arguments;
#include "kernels.def"
};

enum { BLOCKS_MAX = 8 };
/* Blocks of an image's pixels for norm_sums(), by its shape alone: 1..BLOCKS_MAX. */
int norm_blocks(const struct norm_shape *s);
/* Blocks of an image's pixels for a loss: 1..BLOCKS_MAX. */
int loss_blocks(int64_t pixels);
/* mean and rstd of each group from the sums of all blocks, (blocks, 2, groups). */
void norm_statistics(float *mean, float *rstd, const double *sums, int blocks, const struct norm_shape *s);
/* y = fma(x, scale, offset) before the activation, a scale and an offset a channel; bias may be NULL. */
void norm_coefficients(float *scale, float *offset, const float *mean, const float *rstd, const float *gamma, const float *beta,
                       const float *bias, const struct norm_shape *s);
/* From the sums of all blocks of norm_grad_sums(), (blocks, 3, channels): gradients of one image's parameters (dbias may be
 * NULL) and the coefficients, (3, channels), of norm_grad_apply(). */
void norm_grad_finish(float *dgamma, float *dbeta, float *dbias, float *coefficients, const double *sums, int blocks,
                      const float *mean, const float *rstd, const float *gamma, const float *bias, const struct norm_shape *s);
size_t mov_workspace(const struct mov_shape *s, bool gradient);
size_t ncc_workspace(const struct ncc_shape *s);

/* All tables for an element that this machine can run, plain first, best last; features as in features.h.  The element is
 * ELEMENT_F32 or ELEMENT_BF16. */
enum { KERNEL_TABLES = 4 };
int kernels_available(const struct kernels *tables[KERNEL_TABLES], unsigned features, enum element element);
const struct kernels *kernels_best(unsigned features, enum element element);

#endif
