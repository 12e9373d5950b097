/* Vectors of a tensor's elements, float or bf16, in and out of registers, where all arithmetic is float: whole ones or
 * their first few lanes, normalised on the way in.  Included by the own forms of convolution that take bf16; compiled
 * once an instruction set, see direct.h. */
#ifndef COVER_CONV_ELEMENTS_H
#define COVER_CONV_ELEMENTS_H

#include "direct.h"

#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

typedef uint32_t bits_vec __attribute__((vector_size(LANES * sizeof(uint32_t)), aligned(4), may_alias));
typedef uint16_t half_vec __attribute__((vector_size(LANES * sizeof(uint16_t)), aligned(2), may_alias));

/* (By name: compilers make two halves of a conversion between vectors.) */
INLINE vec vec_of_bf16(half_vec half) {
#if defined(__AVX512F__)
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)half), 16);
#elif defined(__AVX2__)
    return (vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)half), 16);
#else
    return (vec)(__builtin_convertvector(half, bits_vec) << 16);
#endif
}

/* As bf16_from_float() rounds, but that AVX512_BF16 takes what is below the normal floats as zero. */
INLINE half_vec bf16_of_vec(vec value) {
#ifdef __AVX512BF16__
    return (half_vec)_mm512_cvtneps_pbh((__m512)value);
#else
    const bits_vec bits = (bits_vec)value, nan = (bits_vec)((bits & 0x7fffffff) > 0x7f800000);
    const bits_vec rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40;
    return __builtin_convertvector((nan & quiet) | (~nan & rounded), half_vec);
#endif
}

INLINE const void *element_at(const void *data, enum element element, int64_t i) {
    return (const char *)data + i * (element == ELEMENT_BF16 ? 2 : 4);
}

INLINE vec load_vec(const void *from, enum element element) {
    return element == ELEMENT_BF16 ? vec_of_bf16(*(const half_vec *)from) : *(const vec *)from;
}
/* The first `count` lanes, 1 .. LANES - 1; the others are zero and are not read. */
INLINE vec load_first(const void *from, enum element element, int64_t count) {
#ifdef __AVX512F__
    if (element == ELEMENT_BF16) return vec_of_bf16((half_vec)_mm256_maskz_loadu_epi16((__mmask16)((1u << count) - 1), from));
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
#else
    float some[LANES] = {0};
    for (int64_t i = 0; i < count; i++)
        some[i] = element == ELEMENT_BF16 ? bf16_to_float(((const bf16 *)from)[i]) : ((const float *)from)[i];
    return *(const vec *)some;
#endif
}

INLINE void store_vec(void *to, enum element element, vec value) {
    if (element == ELEMENT_BF16) *(half_vec *)to = bf16_of_vec(value);
    else *(vec *)to = value;
}
INLINE void store_first(void *to, enum element element, vec value, int64_t count) {
#ifdef __AVX512F__
    const __mmask16 lanes = (__mmask16)((1u << count) - 1);
    if (element == ELEMENT_BF16) _mm256_mask_storeu_epi16(to, lanes, (__m256i)bf16_of_vec(value));
    else _mm512_mask_storeu_ps(to, lanes, (__m512)value);
#else
    const half_vec half = bf16_of_vec(value);
    for (int64_t i = 0; i < count; i++) {
        if (element == ELEMENT_BF16) ((bf16 *)to)[i] = half[i];
        else ((float *)to)[i] = value[i];
    }
#endif
}

/* Where `left` channels are left: a whole vector, or the first lanes of one. */
INLINE vec load_left(const void *from, enum element element, int64_t left) {
    return left < LANES ? load_first(from, element, left) : load_vec(from, element);
}
INLINE void store_left(void *to, enum element element, vec value, int64_t left) {
    if (left < LANES) store_first(to, element, value, left);
    else store_vec(to, element, value);
}

/* A normalisation on load, of LANES channels; lanes without a channel get zero. */
struct vec_norm {
    vec scale, offset, slope;
};
INLINE struct vec_norm load_norm(const struct norm_load *norm, int64_t channel, int64_t left) {
    return (struct vec_norm){.scale = load_left(norm->scale + channel, ELEMENT_F32, left),
                             .offset = load_left(norm->offset + channel, ELEMENT_F32, left),
                             .slope = norm->slope - (vec){0}};
}
INLINE vec normed_vec(struct vec_norm n, vec x) {
    x = x * n.scale + n.offset;
#ifdef __AVX512F__
    return (vec)_mm512_mask_mul_ps((__m512)x, _mm512_cmp_ps_mask((__m512)x, _mm512_setzero_ps(), _CMP_NGT_UQ), (__m512)x,
                                   (__m512)n.slope);
#elif defined(__AVX2__)
    return (vec)_mm256_blendv_ps((__m256)(x * n.slope), (__m256)x, (__m256)(x > 0));
#else
    const bits_vec positive = (bits_vec)(x > 0);
    return (vec)((positive & (bits_vec)x) | (~positive & (bits_vec)(x * n.slope)));
#endif
}

#endif
