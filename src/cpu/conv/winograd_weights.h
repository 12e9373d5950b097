/* The operands of the weight gradient by Winograd (winograd_weights.c): rows of tiles of x and of its output's gradient,
 * transformed, at each frequency one value a tile and channel; as floats, or as pairs of bf16 of two neighbouring tiles. */
#ifndef COVER_CONV_WINOGRAD_WEIGHTS_H
#define COVER_CONV_WINOGRAD_WEIGHTS_H

#include "winograd.h"

/* Where LANES channels of a row of tiles go, all in words of 32 bits: a step is a tile, or a pair of tiles. */
struct tile_operand {
    float *to;
    int64_t frequency, step; /* from one to the next */
    bool pairs;              /* only where HAS_PAIRS */
};

/* Tiles first .. first + count - 1, channels channel .. channel + left - 1; lanes behind them get zero. */
#define tiles_of_x ISA_NAME(conv_tiles_of_x)
void tiles_of_x(const struct tile_operand *operand, const struct tile_source *source, enum element element, int64_t first,
                int64_t count, int64_t channel, int64_t left);

/* W = A e A^T of the 2 x 2 pixels e of a tile, but with the sign of its last row and column turned, as that costs nothing
 * when the sums are transformed back.  Adds all pixels to sums[LANES]. */
#define tiles_of_gradient ISA_NAME(conv_tiles_of_gradient)
struct gradient_source {
    const void *row[2]; /* column 0, channel 0; NULL = outside the image */
    int64_t width, channels;
};
void tiles_of_gradient(const struct tile_operand *operand, const struct gradient_source *source, enum element element,
                       int64_t first, int64_t count, int64_t channel, int64_t left, double *sums);

#endif
