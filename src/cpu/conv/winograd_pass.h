/* A pass that convolves by Winograd's tiles (winograd.h): its plan, and the steps that winograd.c takes it through.
 * Forward and data gradient are one: `in` channels of a tensor become `out` channels of another. */
#ifndef COVER_CONV_WINOGRAD_PASS_H
#define COVER_CONV_WINOGRAD_PASS_H

#include "winograd.h"

/* The frequency (1, 1), sums along both axes, carries the mean of the image.  Forward keeps it in float, or the little
 * that normalisation leaves of a feature with a large mean would be lost in bf16. */
enum { MEAN_FREQUENCY = 5, NO_FREQUENCY = -1 };

/* Sizes of V and U are in words: a float, or a pair of bf16. */
struct winograd_plan {
    int64_t size[3], taps;               /* of the image; taps along z, 1 or 3 */
    int64_t tile_rows, row_tiles;        /* of a plane */
    int64_t in, out;                     /* channels */
    int64_t in_part[2], out_part[2];     /* of each source, of each target */
    int64_t in_place[2];                 /* where a source begins in V's rows, and in U's but for in_floats */
    enum element from, to;               /* elements of source and target */
    bool pairs;                          /* bf16 is multiplied as such, */
    int in_floats;                       /* but for this frequency */
    int64_t tiles, planes, slots;        /* tiles of a plane and planes that are worked on at once; slots for V's planes */
    int64_t v_row, v_frequency, v_slot;  /* V[slot][frequency][tile][input channel]; see winograd_v() for pairs */
    int64_t v_mean_row, v_mean_slot;     /* the frequency in floats: [slot][tile][input channel] */
    int64_t m_row, m_frequency, m_plane; /* M[plane][frequency][tile][output channel], floats */
    int64_t v_mean, m;                   /* where they begin in scratch, words */
    int64_t u[FREQUENCIES];              /* where U[block][tap][input channel][output channel of the block] begin */
};

/* Terms of the sum over input channels at one frequency, words. */
static inline int64_t winograd_length(const struct winograd_plan *plan, int frequency) {
    if (!plan->pairs || frequency == plan->in_floats) return plan->in;
    return ceil_div(plan->in_part[1] > 0 ? plan->in_place[1] + plan->in_part[1] : plan->in, 2);
}

/* V at a frequency.  Those of pairs are two and two in one place, as LANES channels of two frequencies are converted and
 * stored at once: V[slot][frequency / 2][tile][input channel / LANES][frequency % 2][input channel % LANES]. */
static inline int64_t winograd_v(const struct winograd_plan *plan, int frequency) {
    if (!plan->pairs) return frequency * plan->v_frequency;
    return frequency / 2 * plan->v_frequency + frequency % 2 * PAIRS_RUN;
}

/* Where a block of output channels begins in U. */
static inline int64_t winograd_block(const struct winograd_plan *plan, int frequency, int64_t block) {
    return plan->u[frequency] + block * BLOCK * plan->taps * winograd_length(plan, frequency);
}

/* Weights in PyTorch's order to U = G g G^T; turned: those of the data gradient. */
#define winograd_pack ISA_NAME(conv_winograd_pack)
void winograd_pack(const struct winograd_plan *plan, float *packed, const float *weights, bool turned);

/* V of tiles first .. first + count - 1, counted along the rows of tiles of plane z. */
#define winograd_input ISA_NAME(conv_winograd_input)
void winograd_input(const struct winograd_plan *plan, float *scratch, const struct conv_source source[CONV_SOURCES], int64_t z,
                    int64_t first, int64_t count);

/* Asks for the memory that winograd_input() will read for those tiles, `part` of `parts` of it: spread over the products
 * before, which read no more than the caches hold. */
#define winograd_fetch ISA_NAME(conv_winograd_fetch)
void winograd_fetch(const struct winograd_plan *plan, const struct conv_source source[CONV_SOURCES], int64_t z, int64_t first,
                    int64_t count, int64_t part, int64_t parts);

/* Rows of pixels that a slab writes; those of a tile that lie outside are some other slab's. */
struct winograd_rows {
    int64_t begin, end;
};
/* y = A^T m A + bias of the same tiles of plane z, from M's plane `plane`. */
#define winograd_output ISA_NAME(conv_winograd_output)
void winograd_output(const struct winograd_plan *plan, const struct conv_target *target, const float *bias, const float *scratch,
                     int64_t plane, int64_t z, struct winograd_rows rows, int64_t first, int64_t count);

#endif
