/* More products for thin convolutions (thin.h), beside that of direct.h: where the rows of A lie side by side, so that one
 * pointer reaches them all; the same that also fetches what comes next from memory; and where C is less than half a vector wide, so that lanes are better filled with several
 * input channels at once.  Sums in registers, one function for each number of rows.  Called by thin.c, thin_weights.c. */
#include "thin.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE void beside(const struct product *t, const struct thin_product *fetch, const int rows, const int vectors) {
    const vec zero = {0}, init0 = *(const vec *)t->init, init1 = *(const vec *)(t->init + (vectors - 1) * LANES);
    vec sum[ROWS_MAX][2];
#pragma GCC unroll 16
    for (int m = 0; m < rows; m++) sum[m][0] = init0, sum[m][1] = init1;
    const float *b = t->b;
    const int64_t a_step = t->a_step, length = t->length, a_run = t->a_run, runs = t->runs;
    const char *ahead0 = fetch ? fetch->ahead[0] : NULL, *ahead1 = fetch ? fetch->ahead[1] : NULL;
    const int64_t step0 = fetch ? fetch->ahead_step[0] : 0, step1 = fetch ? fetch->ahead_step[1] : 0;
    for (int64_t run = 0; run < runs; run++) {
        const float *a = t->a + run * a_run;
        for (int64_t k = 0; k < length; k++, a += a_step, b += vectors * LANES) {
            if (fetch) {
                __builtin_prefetch(ahead0), __builtin_prefetch(ahead0 + 64), __builtin_prefetch(ahead1);
                ahead0 += step0, ahead1 += step1;
            }
            const vec b0 = *(const vec *)b, b1 = *(const vec *)(b + (vectors - 1) * LANES);
#pragma GCC unroll 16
            for (int m = 0; m < rows; m++) {
                const vec spread = a[m] - zero; /* x - 0 is x, -0 too; 0 + x is not */
                sum[m][0] += spread * b0;
                if (vectors == 2) sum[m][1] += spread * b1;
            }
        }
    }
    float *c = t->c;
    const int64_t c_row = t->c_row;
#pragma GCC unroll 16
    for (int m = 0; m < rows; m++, c += c_row)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) *(vec *)(c + v * LANES) = sum[m][v];
}

/* `group` floats, again and again. */
INLINE vec spread_group(const float *a, const int group) {
#if defined(__AVX512F__)
    if (group == 2) {
        double pair;
        memcpy(&pair, a, sizeof pair);
        return (vec)_mm512_set1_pd(pair);
    }
    if (group == 4) return (vec)_mm512_broadcast_f32x4(_mm_loadu_ps(a));
    if (group == 8) return (vec)_mm512_broadcast_f32x8(_mm256_loadu_ps(a));
#elif defined(__AVX2__)
    if (group == 2) {
        double pair;
        memcpy(&pair, a, sizeof pair);
        return (vec)_mm256_set1_pd(pair);
    }
    if (group == 4) return (vec)_mm256_set_m128(_mm_loadu_ps(a), _mm_loadu_ps(a));
#else
    if (group == 2) return (vec){a[0], a[1], a[0], a[1]};
#endif
    return *(const vec *)a;
}

typedef int lanes __attribute__((vector_size(LANES * sizeof(int))));

INLINE vec pick(vec a, const lanes number) {
#ifdef __clang__
    vec picked;
#pragma clang loop unroll(full)
    for (int l = 0; l < LANES; l++) picked[l] = a[number[l]];
    return picked;
#else
    return __builtin_shuffle(a, number);
#endif
}

/* Lane n * group + j is column n, input channels j, j + group, ... */
INLINE void grouped(const struct product *t, const int rows, const int group) {
    if (group > LANES) return;
    const vec init = *(const vec *)t->init;
    vec sum[ROWS_MAX];
#pragma GCC unroll 16
    for (int m = 0; m < rows; m++) sum[m] = init;
    const float *a = t->a, *b = t->b;
    const int64_t a_row = t->a_row, length = t->length;
    for (int64_t k = 0; k < length; k += group, a += group, b += LANES) {
        const vec weights = *(const vec *)b;
#pragma GCC unroll 16
        for (int m = 0; m < rows; m++) sum[m] += spread_group(a + m * a_row, group) * weights;
    }
    float *c = t->c;
    const int64_t c_row = t->c_row;
    lanes first;
#pragma GCC unroll 16
    for (int l = 0; l < LANES; l++) first[l] = l * group % LANES;
#pragma GCC unroll 16
    for (int m = 0; m < rows; m++, c += c_row) {
#pragma GCC unroll 4
        for (int s = 1; s < group; s *= 2) {
            lanes other;
#pragma GCC unroll 16
            for (int l = 0; l < LANES; l++) other[l] = l ^ s;
            sum[m] += pick(sum[m], other);
        }
        *(vec *)c = pick(sum[m], first);
    }
}

#define DEFINE(m)                                                                                                                  \
    static void beside_##m##_1(const struct product *t) { beside(t, NULL, m, 1); }                                                 \
    static void beside_##m##_2(const struct product *t) { beside(t, NULL, m, 2); }                                                 \
    static void across_##m##_1(const struct thin_product *t) { beside(&t->product, t, m, 1); }                                     \
    static void across_##m##_2(const struct thin_product *t) { beside(&t->product, t, m, 2); }                                     \
    static void grouped_##m##_2(const struct product *t) { grouped(t, m, 2); }                                                     \
    static void grouped_##m##_4(const struct product *t) { grouped(t, m, 4); }                                                     \
    static void grouped_##m##_8(const struct product *t) { grouped(t, m, 8); }                                                     \
    static void grouped_##m##_16(const struct product *t) { grouped(t, m, 16); }
EACH_ROWS(DEFINE)

#define BESIDE_1(m) beside_##m##_1,
#define BESIDE_2(m) beside_##m##_2,
#define ACROSS_1(m) across_##m##_1,
#define ACROSS_2(m) across_##m##_2,
#define GROUPED_2(m) grouped_##m##_2,
#define GROUPED_4(m) grouped_##m##_4,
#define GROUPED_8(m) grouped_##m##_8,
#define GROUPED_16(m) grouped_##m##_16,
product_fn *const thin_beside[2][ROWS_MAX + 1] = {{NULL, EACH_ROWS(BESIDE_1)}, {NULL, EACH_ROWS(BESIDE_2)}};
thin_product_fn *const thin_across[2][ROWS_MAX + 1] = {{NULL, EACH_ROWS(ACROSS_1)}, {NULL, EACH_ROWS(ACROSS_2)}};
product_fn *const thin_grouped[4][ROWS_MAX + 1] = {
    {NULL, EACH_ROWS(GROUPED_2)}, {NULL, EACH_ROWS(GROUPED_4)}, {NULL, EACH_ROWS(GROUPED_8)}, {NULL, EACH_ROWS(GROUPED_16)}};
