/* The operands of the weight gradient by Winograd (winograd_weights.h): all transforms are in float, pairs of bf16 are
 * rounded once, when they are stored.  Called by winograd_weights.c. */
#include "winograd_weights.h"

/* What lies in a word: a tile's value, or two tiles' as a pair. */
INLINE vec word_of(vec even, vec odd, const bool pairs) {
#ifdef __AVX512BF16__
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
                                           19, 3, 18, 2, 17, 1, 16, 0);
    if (pairs) return (vec)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even));
#endif
    (void)odd, (void)pairs;
    return even;
}

/* ---- x */

/* A tile reads columns 0 .. 3, the second one of a pair columns 2 .. 5; row after row, so that all stays in registers. */
INLINE void store_x(const struct tile_operand *o, int64_t step, vec column[6][4], const bool pairs) {
    float *at = o->to + step * o->step;
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
        const vec c0 = column[0][r], c1 = column[1][r], c2 = column[2][r], c3 = column[3][r];
        const vec c4 = pairs ? column[4][r] : c2, c5 = pairs ? column[5][r] : c3;
        *(vec *)at = word_of(c0 - c2, c2 - c4, pairs), at += o->frequency;
        *(vec *)at = word_of(c1 + c2, c3 + c4, pairs), at += o->frequency;
        *(vec *)at = word_of(c2 - c1, c4 - c3, pairs), at += o->frequency;
        *(vec *)at = word_of(c1 - c3, c3 - c5, pairs), at += o->frequency;
    }
}

/* One step: its new columns from x on; the last two are the next step's first. */
INLINE void x_step(const struct tile_operand *o, const struct tile_source *source, int64_t step, int64_t x, vec column[6][4],
                   int64_t channel, int64_t left, const enum element element, const struct vec_norm *norm, const bool pairs,
                   const bool checked) {
    const int columns = pairs ? 6 : 4;
#pragma GCC unroll 4
    for (int c = 2; c < columns; c++) tile_column(column[c], source, x + c - 2, channel, left, element, norm, checked);
    store_x(o, step, column, pairs);
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) column[0][r] = column[columns - 2][r], column[1][r] = column[columns - 1][r];
}

/* As transform_tiles(), a tile or a pair of tiles at a time; the partner of a last odd one is multiplied by zeros of dy. */
INLINE void x_row(const struct tile_operand *operand, const struct tile_source *from, const enum element element, const bool normed,
                  const bool pairs, int64_t first, int64_t count, int64_t channel, int64_t left) {
    const struct tile_source own = *from, *source = &own; /* copies, which no store can change */
    const struct tile_operand o = *operand;
    struct vec_norm of_channels;
    if (normed) of_channels = load_norm(source->norm, channel, left);
    const struct vec_norm *norm = normed ? &of_channels : NULL;
    const bool whole = source->row[0] && source->row[1] && source->row[2] && source->row[3] && left >= LANES;
    const int64_t wide = pairs ? 2 : 1, steps = ceil_div(count, wide);
    const int64_t inside = whole ? smaller(steps, ((source->width - 1) / 2 - first) / wide) : 0;
    vec column[6][4];
    int64_t x = 2 * first - 1, step = 0;
#pragma GCC unroll 2
    for (int c = 0; c < 2; c++, x++) tile_column(column[c], source, x, channel, left, element, norm, true);
    for (; step < inside; step++, x += 2 * wide) x_step(&o, source, step, x, column, channel, left, element, norm, pairs, false);
    for (; step < steps; step++, x += 2 * wide) x_step(&o, source, step, x, column, channel, left, element, norm, pairs, true);
}

typedef void x_row_fn(const struct tile_operand *operand, const struct tile_source *source, int64_t first, int64_t count,
                      int64_t channel, int64_t left);
#define DEFINE_X(name, element, normed, pairs)                                                                                     \
    static void name(const struct tile_operand *operand, const struct tile_source *source, int64_t first, int64_t count,           \
                     int64_t channel, int64_t left) {                                                                              \
        x_row(operand, source, element, normed, pairs, first, count, channel, left);                                               \
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
    return load_left(from, element, checked ? left : LANES);
}

/* Column x of a row of tiles, along y: A e. */
INLINE void gradient_column(vec out[4], const struct gradient_source *source, int64_t x, int64_t channel, int64_t left,
                            const enum element element, const bool checked) {
    const vec upper = gradient_pixel(source, 0, x, channel, left, element, checked);
    const vec lower = gradient_pixel(source, 1, x, channel, left, element, checked);
    out[0] = upper, out[1] = upper + lower, out[2] = upper - lower, out[3] = lower;
}

/* One tile, or a pair of them; returns the sum of the pixels. */
INLINE vec gradient_step(const struct tile_operand *o, const struct gradient_source *source, int64_t first, int64_t step,
                         int64_t channel, int64_t left, const enum element element, const bool pairs, const bool checked) {
    vec a[2][4], b[2][4] = {{{0}}};
    const int64_t x = 2 * (first + (pairs ? 2 * step : step));
    float *at = o->to + step * o->step;
#pragma GCC unroll 2
    for (int c = 0; c < 2; c++) {
        gradient_column(a[c], source, x + c, channel, left, element, checked);
        if (pairs) gradient_column(b[c], source, x + 2 + c, channel, left, element, checked);
    }
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
        const vec sum = a[0][r] + a[1][r], difference = a[0][r] - a[1][r];
        *(vec *)at = word_of(a[0][r], b[0][r], pairs), at += o->frequency;
        *(vec *)at = word_of(sum, b[0][r] + b[1][r], pairs), at += o->frequency;
        *(vec *)at = word_of(difference, b[0][r] - b[1][r], pairs), at += o->frequency;
        *(vec *)at = word_of(a[1][r], b[1][r], pairs), at += o->frequency;
    }
    vec sum = a[0][1] + a[1][1];
    if (pairs) sum += b[0][1] + b[1][1];
    return sum;
}

INLINE void gradient_row(const struct tile_operand *operand, const struct gradient_source *from, const enum element element,
                         const bool pairs, int64_t first, int64_t count, int64_t channel, int64_t left, double *sums) {
    const struct gradient_source source = *from;
    const struct tile_operand o = *operand;
    const int64_t wide = pairs ? 2 : 1, steps = ceil_div(count, wide);
    const bool whole = source.row[0] && source.row[1] && left >= LANES;
    const int64_t inside = whole ? smaller(count, source.width / 2 - first) / wide : 0;
    vec sum = {0};
    int64_t step = 0;
    for (; step < inside; step++) sum += gradient_step(&o, &source, first, step, channel, left, element, pairs, false);
    for (; step < steps; step++) sum += gradient_step(&o, &source, first, step, channel, left, element, pairs, true);
    for (int l = 0; l < LANES; l++) sums[l] += (double)sum[l];
}

void tiles_of_gradient(const struct tile_operand *operand, const struct gradient_source *source, enum element element,
                       int64_t first, int64_t count, int64_t channel, int64_t left, double *sums) {
    if (operand->pairs) gradient_row(operand, source, ELEMENT_BF16, HAS_PAIRS, first, count, channel, left, sums);
    else if (element == ELEMENT_BF16) gradient_row(operand, source, ELEMENT_BF16, false, first, count, channel, left, sums);
    else gradient_row(operand, source, ELEMENT_F32, false, first, count, channel, left, sums);
}
