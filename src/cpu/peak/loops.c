/* The loops of loops.h: one source, built once an instruction set.  Enough chains of multiply-adds, within the registers, to
 * hide the latency of any processor of today: 4 to 6 cycles (bfloat16: 8), two a cycle. */
#include "loops.h"

#include "../features.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define JOIN(a, b) a##b
#define NAMED(a, b) JOIN(a, b)
#define UNROLL _Pragma("GCC unroll 16")

#if defined __AVX512F__
#define REGISTER 64
#define CHAINS 16
#define STREAM(to, value) _mm512_stream_ps(to, (__m512)(value))
#elif defined __AVX2__
#define REGISTER 32
#define CHAINS 12
#define STREAM(to, value) _mm256_stream_ps(to, (__m256)(value))
#else
#define REGISTER 16
#define CHAINS 12
#define STREAM(to, value) (*(vf *)(to) = (value))
#endif

typedef float vf __attribute__((vector_size(REGISTER)));
enum { LANES = REGISTER / sizeof(float) };

static float sum_of(const vf *values, int count) {
    float sum = 0;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < LANES; k++) sum += values[i][k];
    return sum;
}

static float multiply_add(int64_t rounds) {
    vf chain[CHAINS], factor, term;
    for (int k = 0; k < LANES; k++) factor[k] = 0.5f, term[k] = 1;
    for (int i = 0; i < CHAINS; i++) chain[i] = term * (float)i; /* or they would be one chain */
    for (; rounds > 0; rounds--) {
        UNROLL for (int i = 0; i < CHAINS; i++) chain[i] = chain[i] * factor + term;
    }
    return sum_of(chain, CHAINS);
}

#ifdef __AVX512BF16__
static float dot(int64_t rounds) {
    const __m512bh ones = (__m512bh)_mm512_set1_epi32(0x3f803f80);
    __m512 chain[CHAINS];
    for (int i = 0; i < CHAINS; i++) chain[i] = _mm512_set1_ps((float)i);
    for (; rounds > 0; rounds--) {
        UNROLL for (int i = 0; i < CHAINS; i++) chain[i] = _mm512_dpbf16_ps(chain[i], ones, ones);
    }
    return sum_of((const vf *)chain, CHAINS);
}
#endif

static void triad(float *y, const float *a, const float *b, float scale, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) STREAM(y + i, *(const vf *)(a + i) + scale * *(const vf *)(b + i));
#ifdef __AVX2__
    _mm_sfence();
#endif
}

static float read_all(const float *a, int64_t count) {
    enum { SUMS = 64 / LANES < 4 ? 4 : 64 / LANES };
    vf sum[SUMS] = {0};
    for (int64_t i = 0; i + SUMS * LANES <= count; i += SUMS * LANES) {
        UNROLL for (int k = 0; k < SUMS; k++) sum[k] += *(const vf *)(a + i + k * LANES);
    }
    return sum_of(sum, SUMS);
}

const struct peak_loops NAMED(peak_loops_, PEAK_ISA) = {
    .needs = PEAK_FEATURES,
    .multiply_add = multiply_add,
    .multiply_add_flops = 2 * CHAINS * LANES,
#ifdef __AVX512BF16__
    .dot = dot,
    .dot_flops = 4 * CHAINS * LANES,
#endif
    .triad = triad,
    .read = read_all,
};
