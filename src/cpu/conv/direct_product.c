/* The product that direct convolution is made of (direct.h): sums in registers, one function for each number of rows
 * and vectors, so that the compiler keeps them there.  Called by direct.c and direct_weights.c. */
#include "direct.h"

static inline __attribute__((always_inline)) void product(const struct product *t, const int rows, const int vectors) {
    vec sum[ROWS_MAX][2];
#pragma GCC unroll 16
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) sum[m][v] = *(const vec *)(t->init + m * t->init_row + v * LANES);
    const float *b = t->b;
    const int64_t a_row = t->a_row, a_step = t->a_step, length = t->length;
    for (int64_t slice = 0; slice < t->slices; slice++)
        for (int64_t run = 0; run < t->runs; run++) {
            const float *a = t->a + slice * t->a_slice + run * t->a_run;
            for (int64_t k = 0; k < length; k++, a += a_step, b += vectors * LANES) {
                vec b0 = *(const vec *)b, b1 = *(const vec *)(b + (vectors - 1) * LANES);
#pragma GCC unroll 16
                for (int m = 0; m < rows; m++) {
                    vec spread = a[m * a_row] - (vec){0}; /* x - 0 is x, -0 too; 0 + x is not */
                    sum[m][0] += spread * b0;
                    if (vectors == 2) sum[m][1] += spread * b1;
                }
            }
        }
#pragma GCC unroll 16
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) *(vec *)(t->c + m * t->c_row + v * LANES) = sum[m][v];
}

#define DEFINE(m)                                                                                                                  \
    static void product_##m##_1(const struct product *t) { product(t, m, 1); }                                                     \
    static void product_##m##_2(const struct product *t) { product(t, m, 2); }
EACH_ROWS(DEFINE)

#define NAME_1(m) product_##m##_1,
#define NAME_2(m) product_##m##_2,
product_fn *const product_table[2][ROWS_MAX + 1] = {{NULL, EACH_ROWS(NAME_1)}, {NULL, EACH_ROWS(NAME_2)}};
