/* The operands of the weight gradient by Winograd (winograd_weights.h): all transforms are in float, pairs of bf16 are
 * rounded once, when they are stored.  Called by winograd_weights.c. */
#include "winograd_weights.h"

/* ---- stores: floats, or two tiles as the halves of words */

struct operand {
    float *to;
    int64_t frequency, step;
    vec even[FREQUENCIES]; /* the first tile of a pair waits for the second */
};

INLINE void store_floats(void *to, int64_t tile, const vec v[FREQUENCIES]) {
    const struct operand *o = to;
    float *at = o->to + tile * o->step;
#pragma GCC unroll 16
    for (int f = 0; f < FREQUENCIES; f++) *(vec *)(at + f * o->frequency) = v[f];
}

#ifdef __AVX512BF16__
INLINE vec pair_of(vec even, vec odd) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20,
                                           4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (vec)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even));
}
INLINE void store_pairs(void *to, int64_t tile, const vec v[FREQUENCIES]) {
    struct operand *o = to;
    float *at = o->to + tile / 2 * o->step;
    if (tile % 2 == 0)
#pragma GCC unroll 16
        for (int f = 0; f < FREQUENCIES; f++) o->even[f] = v[f];
    else
#pragma GCC unroll 16
        for (int f = 0; f < FREQUENCIES; f++) *(vec *)(at + f * o->frequency) = pair_of(o->even[f], v[f]);
}
#else
#define store_pairs store_floats
#endif

/* The last tile of an odd number has a partner of zeros. */
INLINE void end_row(struct operand *o, int64_t count, const bool pairs) {
    const vec zeros[FREQUENCIES] = {{0}};
    if (pairs && count % 2) store_pairs(o, count, zeros);
}

/* ---- x */

INLINE void x_row(const struct tile_operand *operand, const struct tile_source *from, const enum element element,
                  const bool normed, const bool pairs, int64_t first, int64_t count, int64_t channel, int64_t left) {
    const struct tile_source source = *from; /* a copy that no store can change */
    struct operand o = {.to = operand->to, .frequency = operand->frequency, .step = operand->step};
    transform_tiles(&source, first, count, channel, left, element, normed, pairs ? store_pairs : store_floats, &o);
    end_row(&o, count, pairs);
}

typedef void x_row_fn(const struct tile_operand *operand, const struct tile_source *source, int64_t first, int64_t count,
                      int64_t channel, int64_t left);
#define DEFINE_X(name, element, normed, pairs)                                                                               \
    static void name(const struct tile_operand *operand, const struct tile_source *source, int64_t first, int64_t count,     \
                     int64_t channel, int64_t left) {                                                                        \
        x_row(operand, source, element, normed, pairs, first, count, channel, left);                                         \
    }
DEFINE_X(x_float, ELEMENT_F32, false, false)
DEFINE_X(x_float_normed, ELEMENT_F32, true, false)
DEFINE_X(x_bf16, ELEMENT_BF16, false, false)
DEFINE_X(x_bf16_normed, ELEMENT_BF16, true, false)
DEFINE_X(x_pairs, ELEMENT_BF16, false, HAS_PAIRS)
DEFINE_X(x_pairs_normed, ELEMENT_BF16, true, HAS_PAIRS)

void tiles_of_x(const struct tile_operand *operand, const struct tile_source *source, enum element element, int64_t first,
                int64_t count, int64_t channel, int64_t left) {
    static x_row_fn *const table[3][2] = {{x_float, x_float_normed}, {x_bf16, x_bf16_normed}, {x_pairs, x_pairs_normed}};
    const int kind = operand->pairs ? 2 : element == ELEMENT_BF16;
    table[kind][source->norm != NULL](operand, source, first, count, channel, left);
}

/* ---- the gradient of the output */

INLINE vec gradient_pixel(const struct gradient_source *source, int row, int64_t x, int64_t channel, int64_t left,
                          const enum element element, const bool checked) {
    if (checked && (!source->row[row] || x >= source->width)) return (vec){0};
    const void *from = element_at(source->row[row], element, x * source->channels + channel);
    return checked && left < LANES ? load_first(from, element, left) : load_vec(from, element);
}

/* One tile; returns the sum of its pixels. */
INLINE vec gradient_tile(struct operand *o, const struct gradient_source *source, int64_t first, int64_t tile, int64_t channel,
                         int64_t left, const enum element element, const bool pairs, const bool checked) {
    vec column[2][4], v[FREQUENCIES];
#pragma GCC unroll 2
    for (int c = 0; c < 2; c++) {
        const int64_t x = 2 * (first + tile) + c;
        const vec upper = gradient_pixel(source, 0, x, channel, left, element, checked);
        const vec lower = gradient_pixel(source, 1, x, channel, left, element, checked);
        column[c][0] = upper, column[c][1] = upper + lower, column[c][2] = upper - lower, column[c][3] = lower;
    }
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
        v[4 * r] = column[0][r], v[4 * r + 1] = column[0][r] + column[1][r];
        v[4 * r + 2] = column[0][r] - column[1][r], v[4 * r + 3] = column[1][r];
    }
    if (pairs) store_pairs(o, tile, v);
    else store_floats(o, tile, v);
    return v[5];
}

INLINE void gradient_row(const struct tile_operand *operand, const struct gradient_source *from, const enum element element,
                         const bool pairs, int64_t first, int64_t count, int64_t channel, int64_t left, double *sums) {
    const struct gradient_source source = *from;
    struct operand o = {.to = operand->to, .frequency = operand->frequency, .step = operand->step};
    const bool whole = source.row[0] && source.row[1] && left >= LANES;
    const int64_t inside = whole ? smaller(count, source.width / 2 - first) : 0;
    vec sum = {0};
    int64_t tile = 0;
    for (; tile < inside; tile++) sum += gradient_tile(&o, &source, first, tile, channel, left, element, pairs, false);
    for (; tile < count; tile++) sum += gradient_tile(&o, &source, first, tile, channel, left, element, pairs, true);
    end_row(&o, count, pairs);
    for (int l = 0; l < LANES; l++) sums[l] += (double)sum[l];
}

void tiles_of_gradient(const struct tile_operand *operand, const struct gradient_source *source, enum element element,
                       int64_t first, int64_t count, int64_t channel, int64_t left, double *sums) {
    if (operand->pairs) gradient_row(operand, source, ELEMENT_BF16, HAS_PAIRS, first, count, channel, left, sums);
    else if (element == ELEMENT_BF16) gradient_row(operand, source, ELEMENT_BF16, false, first, count, channel, left, sums);
    else gradient_row(operand, source, ELEMENT_F32, false, first, count, channel, left, sums);
}
