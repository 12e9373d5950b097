/* Direct convolution, own fast form: sizes of one instruction set's vectors, and the one small product that all three
 * passes are made of.  direct*.c include it and are compiled once an instruction set (CONV_ISA); see meson.build. */
#ifndef COVER_CONV_DIRECT_H
#define COVER_CONV_DIRECT_H

#include "../features.h"
#include "form.h"

/* avx512: 14 x 2 sums, 2 vectors of B and one of A are 31 of 32 registers; avx2 and generic have 16. */
#if defined(__AVX512F__)
enum { LANES = 16, ROWS_MAX = 14 };
#elif defined(__AVX2__)
enum { LANES = 8, ROWS_MAX = 6 };
#else
enum { LANES = 4, ROWS_MAX = 6 };
#endif
/* X(1) .. X(ROWS_MAX): a product has one function for each number of rows. */
#define ROWS_1_TO_6(X) X(1) X(2) X(3) X(4) X(5) X(6)
#if defined(__AVX512F__)
#define EACH_ROWS(X) ROWS_1_TO_6(X) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#else
#define EACH_ROWS(X) ROWS_1_TO_6(X)
#endif
enum { BLOCK = 2 * LANES }; /* output channels that one product makes, at most */
typedef float vec __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* C(m, n) = init(m, n) + sum over s < slices, r < runs, k < length of A(m, s, r, k) * B(s, r, k, n), n < LANES or
 * BLOCK. A in any strides, B dense in the order it is read.  Pixels are m and input channels k when a pass convolves;
 * input channels are m and pixels k when it takes the gradient of the weights. */
struct product {
    float *c;
    const float *init, *a, *b;
    int64_t c_row, init_row, a_row; /* from m to m + 1 */
    int64_t a_slice, a_run, a_step; /* from s to s + 1, r to r + 1, k to k + 1 */
    int64_t slices, runs, length;
};
typedef void product_fn(const struct product *product);

#define JOIN(name, isa) name##_##isa
#define JOIN_ISA(name, isa) JOIN(name, isa)
#define ISA_NAME(name) JOIN_ISA(name, CONV_ISA)
#define TEXT(name) #name
#define TEXT_ISA(isa) TEXT(isa)
#define ISA_TEXT TEXT_ISA(CONV_ISA)
/* Products of floats are built once for instruction sets that multiply floats alike. */
#ifndef CONV_PRODUCTS
#define CONV_PRODUCTS CONV_ISA
#endif
#define PRODUCTS_NAME(name) JOIN_ISA(name, CONV_PRODUCTS)
#define product_table PRODUCTS_NAME(conv_product)
#define direct_weights_prepare ISA_NAME(conv_weights_prepare)
#define direct_weights ISA_NAME(conv_weights)

/* [one or two vectors wide][m = 1..ROWS_MAX] */
extern product_fn *const product_table[2][ROWS_MAX + 1];

cover_status direct_weights_prepare(struct prepared *prepared);
cover_status direct_weights(const struct prepared *prepared, float *dw, float *db, const struct conv_source source[CONV_SOURCES],
                            const void *dy, void *scratch, bool accumulate);

/* serves() of every form that is built once an instruction set. */
static inline bool isa_serves(enum conv_pass pass, unsigned features) {
    (void)pass;
    return (features & CONV_FEATURES) == CONV_FEATURES;
}

static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
/* The largest part when `total` is cut into as few parts as `most` allows, all about as large. */
static inline int64_t even_part(int64_t total, int64_t most) { return ceil_div(total, ceil_div(total, most)); }

/* Columns of block b: the last one is one vector wide when that is enough. */
static inline int64_t block_columns(int64_t channels, int64_t b) { return channels - b * BLOCK > LANES ? BLOCK : LANES; }

/* A run of floats, by hand: most are too short for a call of memcpy. */
static inline void copy_floats(float *restrict to, const float *restrict from, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] = from[i];
}
static inline void add_floats(float *restrict to, const float *restrict from, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] += from[i];
}
static inline void zero_floats(float *to, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] = 0;
}

#endif
