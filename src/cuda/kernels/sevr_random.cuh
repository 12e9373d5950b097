/* Random images on the device: the numbers of core/views/sevr_random.c, bit for bit.  times() and plus() are roundings of their
 * own, which the compiler must not fuse.  Included by sevr.cu. */
#ifndef COVER_CUDA_SEVR_RANDOM_CUH
#define COVER_CUDA_SEVR_RANDOM_CUH

#include "../cuda.h"
#include "../sevr_kernels.h"

namespace sevr {

__device__ static inline float times(float a, float b) { return __fmul_rn(a, b); }
__device__ static inline float plus(float a, float b) { return __fadd_rn(a, b); }
__device__ static inline double times(double a, double b) { return __dmul_rn(a, b); }
__device__ static inline double plus(double a, double b) { return __dadd_rn(a, b); }

/* COUNTERS counters of WORDS words are a group; place i of the image is word (i % GROUP) / COUNTERS of counter
 * i / GROUP * COUNTERS + i % COUNTERS. */
enum { COUNTERS = 8, WORDS = 4, GROUP = COUNTERS * WORDS };

/* The place of a counter's first word; the next ones follow COUNTERS further on each. */
__device__ static inline int64_t place_of_counter(int64_t counter) { return counter / COUNTERS * GROUP + counter % COUNTERS; }
static inline int64_t counters_for(int64_t places) { return (places + GROUP - 1) / GROUP * COUNTERS; }

__device__ static inline void philox_words(uint32_t word[WORDS], int64_t counter, const struct cuda_random &random) {
    uint32_t k0 = (uint32_t)random.seed, k1 = (uint32_t)(random.seed >> 32);
    word[0] = (uint32_t)counter, word[1] = random.use | (uint32_t)(counter >> 32) << 16;
    word[2] = random.step, word[3] = random.sample;
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * word[0], p1 = (uint64_t)0xCD9E8D57u * word[2];
        word[0] = (uint32_t)(p1 >> 32) ^ word[1] ^ k0, word[1] = (uint32_t)p1;
        word[2] = (uint32_t)(p0 >> 32) ^ word[3] ^ k1, word[3] = (uint32_t)p0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
}

__device__ static inline float uniform_of(uint32_t word) { return times((float)(int32_t)(word >> 8), 0x1p-24f); }

__device__ static inline float uniform_at(int64_t place, const struct cuda_random &random) {
    uint32_t word[WORDS];
    philox_words(word, place / GROUP * COUNTERS + place % COUNTERS, random);
    return uniform_of(word[place % GROUP / COUNTERS]);
}

/* -2 ln(u), 0 < u <= 1 */
__device__ static inline float minus_two_log(float u) {
    const int32_t bits = __float_as_int(u), exponent = (bits - __float_as_int(0.70710678f)) >> 23;
    const float f = __int_as_float(bits - (int32_t)((uint32_t)exponent << 23)) - 1.0f;
    float p = 0.09126061f;
    p = plus(times(p, f), -0.14062281f);
    p = plus(times(p, f), 0.14694774f);
    p = plus(times(p, f), -0.16599189f);
    p = plus(times(p, f), 0.19984502f);
    p = plus(times(p, f), -0.25000781f);
    p = plus(times(p, f), 0.33333415f);
    const float series = plus(f, -times(times(f, f), plus(0.5f, -times(f, p))));
    return times(-2.0f, plus(times((float)exponent, 0.69314718f), series));
}

/* Cosine and sine of 2 pi u, 0 <= u < 1 */
__device__ static inline void cos_sin_turn(float u, float *cosine, float *sine) {
    const float quarters = times(4.0f, u);
    const int32_t quarter = (int32_t)plus(quarters, 0.5f);
    const float r = plus(quarters, -(float)quarter), z = times(r, r);
    const float s =
        times(r, plus(1.57079637f, times(z, plus(-0.64596349f, times(z, plus(0.07968003f, -times(z, 0.00460165786f)))))));
    const float c =
        plus(1.0f, times(z, plus(-1.23370051f, times(z, plus(0.25366917f, times(z, plus(-0.02085994f, times(z, 0.00090336f))))))));
    const bool odd = quarter & 1;
    const uint32_t of_cosine = __float_as_uint(odd ? s : c), of_sine = __float_as_uint(odd ? c : s);
    *cosine = __uint_as_float(of_cosine ^ ((uint32_t)(quarter + 1) << 30 & 0x80000000u));
    *sine = __uint_as_float(of_sine ^ ((uint32_t)quarter << 30 & 0x80000000u));
}

/* The standard normals of a counter. */
__device__ static inline void normals(float normal[WORDS], int64_t counter, const struct cuda_random &random) {
    uint32_t word[WORDS];
    philox_words(word, counter, random);
    for (int w = 0; w < WORDS; w += 2) {
        float cosine, sine;
        const float u = times((float)(int32_t)((word[w] >> 8) + 1), 0x1p-24f), radius = __fsqrt_rn(minus_two_log(u));
        cos_sin_turn(uniform_of(word[w + 1]), &cosine, &sine);
        normal[w] = times(radius, cosine), normal[w + 1] = times(radius, sine);
    }
}

} // namespace sevr
#endif
