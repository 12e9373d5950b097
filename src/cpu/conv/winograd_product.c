/* The product that Winograd's passes are made of (winograd.h), of floats or of pairs of bf16: sums in registers, one
 * function for each number of rows and vectors, so that the compiler keeps them there.  Called by winograd.c and
 * winograd_weights.c. */
#include "winograd.h"

/* sum + a * b of floats; of pairs, the sum of both terms. */
INLINE vec multiply_add(vec sum, vec a, vec b, const bool pairs) {
#ifdef __AVX512BF16__
    if (pairs) return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#endif
    (void)pairs;
    return sum + a * b;
}

/* (An integer's broadcast: a pair of bf16 may look like a float that arithmetic would change.) */
INLINE vec spread_word(const uint32_t *from) { return (vec)(*from - (bits_vec){0}); }

INLINE void product(const struct tile_product *t, const int rows, const int vectors, const bool pairs) {
    const int64_t a_row = t->a_row, a_step = t->a_step, b_step = t->b_step, length = t->length, c_row = t->c_row;
    float *c = t->c;
    for (int64_t first = 0; first <= t->more * rows; first += rows, c += rows * c_row) {
        vec sum[ROWS_MAX][2];
#pragma GCC unroll 16
        for (int m = 0; m < rows; m++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) sum[m][v] = (vec){0};
        if (t->accumulate)
#pragma GCC unroll 16
            for (int m = 0; m < rows; m++)
#pragma GCC unroll 2
                for (int v = 0; v < vectors; v++) sum[m][v] = *(const vec *)(c + m * c_row + v * LANES);
        for (int64_t slice = 0; slice < t->slices; slice++) {
            const uint32_t *a = (const uint32_t *)t->a[slice] + first * a_row, *b = t->b[slice];
            for (int64_t k = 0, end; k < length; a += pairs ? t->a_skip : 0)
                for (end = pairs ? smaller(k + PAIRS_RUN, length) : length; k < end; k++, a += a_step, b += b_step) {
                    const vec b0 = *(const vec *)b, b1 = *(const vec *)(b + (vectors - 1) * LANES);
#pragma GCC unroll 16
                    for (int m = 0; m < rows; m++) {
                        const vec spread = spread_word(a + m * a_row);
                        sum[m][0] = multiply_add(sum[m][0], spread, b0, pairs);
                        if (vectors == 2) sum[m][1] = multiply_add(sum[m][1], spread, b1, pairs);
                    }
                }
        }
#pragma GCC unroll 16
        for (int m = 0; m < rows; m++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) *(vec *)(c + m * c_row + v * LANES) = sum[m][v];
    }
}

#define DEFINE(m)                                                                                                                  \
    static void floats_##m##_1(const struct tile_product *t) { product(t, m, 1, false); }                                          \
    static void floats_##m##_2(const struct tile_product *t) { product(t, m, 2, false); }
EACH_ROWS(DEFINE)
#define FLOATS_1(m) floats_##m##_1,
#define FLOATS_2(m) floats_##m##_2,

#ifdef __AVX512BF16__
#define DEFINE_PAIRS(m)                                                                                                            \
    static void pairs_##m##_1(const struct tile_product *t) { product(t, m, 1, true); }                                            \
    static void pairs_##m##_2(const struct tile_product *t) { product(t, m, 2, true); }
EACH_ROWS(DEFINE_PAIRS)
#define PAIRS_1(m) pairs_##m##_1,
#define PAIRS_2(m) pairs_##m##_2,
#endif

tile_product_fn *const tile_product_table[2][2][ROWS_MAX + 1] = {
    {{NULL, EACH_ROWS(FLOATS_1)}, {NULL, EACH_ROWS(FLOATS_2)}},
#ifdef __AVX512BF16__
    {{NULL, EACH_ROWS(PAIRS_1)}, {NULL, EACH_ROWS(PAIRS_2)}},
#endif
};
