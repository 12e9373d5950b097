/* The last step of a weight gradient: from (tap, input channel, column) as products leave it to PyTorch's order (column,
 * input channel, tap), by transpositions in registers.  Included by direct_weights.c and winograd_weights.c. */
#ifndef COVER_CONV_UNPACK_H
#define COVER_CONV_UNPACK_H

#include "direct.h"

typedef int lanes __attribute__((vector_size(LANES * sizeof(int))));

/* Lanes of a, then b, by number. */
static inline __attribute__((always_inline)) vec pick(vec a, vec b, lanes number) {
#ifdef __clang__
    vec picked;
#pragma clang loop unroll(full)
    for (int l = 0; l < LANES; l++) picked[l] = number[l] < LANES ? a[number[l]] : b[number[l] - LANES];
    return picked;
#else
    return __builtin_shuffle(a, b, number);
#endif
}

/* v as a square matrix, turned over its diagonal: halves, quarters, ... change places. */
static inline __attribute__((always_inline)) void transpose(vec v[LANES]) {
#pragma GCC unroll 4
    for (int s = LANES / 2; s > 0; s /= 2) {
        lanes upper, lower;
#pragma GCC unroll 16
        for (int l = 0; l < LANES; l++) upper[l] = l & s ? LANES + l - s : l, lower[l] = l & s ? LANES + l : l + s;
#pragma GCC unroll 16
        for (int r = 0; r < LANES; r++) {
            if (r & s) continue;
            vec a = v[r], b = v[r + s];
            v[r] = pick(a, b, upper), v[r + s] = pick(a, b, lower);
        }
    }
}

/* Of LANES (channel, tap) pairs, at from[pair], LANES columns: turned into LANES columns of pairs.  Of these `count` pairs and
 * `rows` columns exist; whole = all do. */
static inline __attribute__((always_inline)) void unpack_square(float *to, int64_t column, const float *const from[LANES],
                                                                int64_t count, int64_t rows, bool accumulate, const bool whole) {
    vec v[LANES];
#pragma GCC unroll 16
    for (int p = 0; p < LANES; p++) v[p] = whole || p < count ? *(const vec *)from[p] : (vec){0};
    transpose(v);
    if (whole && accumulate)
#pragma GCC unroll 16
        for (int r = 0; r < LANES; r++) *(vec *)(to + r * column) += v[r];
    else if (whole)
#pragma GCC unroll 16
        for (int r = 0; r < LANES; r++) *(vec *)(to + r * column) = v[r];
    else if (accumulate)
        for (int64_t r = 0; r < rows; r++) add_floats(to + r * column, (const float *)&v[r], count);
    else
        for (int64_t r = 0; r < rows; r++) copy_floats(to + r * column, (const float *)&v[r], count);
}

/* One finished tile (tap, input channel, column), `columns` wide of which `here` exist, to where its first column and
 * channel lie in dw, `in` input channels a column: LANES columns and as many (channel, tap) pairs at a time. */
static void unpack(float *dw, int64_t in, int64_t taps, const float *tile, int64_t channels, int64_t columns, int64_t here,
                   bool accumulate) {
    const int64_t pairs = taps * channels;
    int64_t channel = 0, tap = 0;
    for (int64_t pair = 0; pair < pairs; pair += LANES) {
        const int64_t count = smaller(LANES, pairs - pair);
        const float *from[LANES];
        for (int64_t p = 0; p < count; p++) {
            from[p] = tile + (tap * channels + channel) * columns;
            if (++tap == taps) tap = 0, channel++;
        }
        for (int64_t n = 0; n < here; n += LANES) {
            float *to = dw + n * in * taps + pair;
            if (count == LANES && here - n >= LANES) unpack_square(to, in * taps, from, LANES, LANES, accumulate, true);
            else unpack_square(to, in * taps, from, count, smaller(LANES, here - n), accumulate, false);
            for (int64_t p = 0; p < count; p++) from[p] += LANES;
        }
    }
}

#endif
