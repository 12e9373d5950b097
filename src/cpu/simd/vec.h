/* Vectors of LANES floats: the few operations that the kernels in this folder need, over AVX2 + FMA or AVX-512.  Each
 * source is compiled once with -mavx2 and once with -mavx512*; FORM(warp) is warp_avx2 or warp_avx512, FORM(add) also
 * add_bf16_avx2, add_bf16_avx512 or, with -mavx512bf16, add_bf16_avx512_bf16.  Everything here is static, so no instruction leaks into functions that run on other machines. */
#ifndef COVER_VEC_H
#define COVER_VEC_H

#include "../forms.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

#ifdef __AVX512F__
#ifdef __AVX512BF16__
#define FORM(kernel) ELEMENT_FORM(kernel, avx512_bf16)
#else
#define FORM(kernel) ELEMENT_FORM(kernel, avx512)
#endif
enum { LANES = 16 };
typedef __m512 vf;    /* LANES floats */
typedef __m512i vi;   /* LANES int32 */
typedef __m512d vd;   /* LANES / 2 doubles */
typedef __mmask16 vm; /* a condition a lane */
#define V(operation) _mm512_##operation
#define V_LOAD_INT _mm512_loadu_si512
#define V_STORE_INT _mm512_storeu_si512
#else
#define FORM(kernel) ELEMENT_FORM(kernel, avx2)
enum { LANES = 8 };
typedef __m256 vf;
typedef __m256i vi;
typedef __m256d vd;
typedef __m256 vm;
#define V(operation) _mm256_##operation
#define V_LOAD_INT(from) _mm256_loadu_si256((const __m256i *)(from))
#define V_STORE_INT(to, value) _mm256_storeu_si256((__m256i *)(to), value)
#endif

/* ---- what both have under one name; the compiler's + - * / work on vf and vd */
INLINE vf v_zero(void) { return V(setzero_ps)(); }
INLINE vf v_all(float value) { return V(set1_ps)(value); }
INLINE vf v_load(const float *from) { return V(loadu_ps)(from); }
INLINE void v_store(float *to, vf value) { V(storeu_ps)(to, value); }
INLINE vf v_fma(vf a, vf b, vf c) { return V(fmadd_ps)(a, b, c); }
INLINE vf v_max(vf a, vf b) { return V(max_ps)(a, b); } /* b where either is NaN */
INLINE vf v_sqrt(vf a) { return V(sqrt_ps)(a); }
INLINE vi vi_all(int32_t value) { return V(set1_epi32)(value); }
INLINE vi vi_load(const int32_t *from) { return V_LOAD_INT(from); }
INLINE void vi_store(int32_t *to, vi value) { V_STORE_INT(to, value); }
INLINE vi vi_add(vi a, vi b) { return V(add_epi32)(a, b); }
INLINE vi vi_multiply(vi a, vi b) { return V(mullo_epi32)(a, b); }
INLINE vi v_to_int(vf a) { return V(cvttps_epi32)(a); }
INLINE vf vi_to_float(vi a) { return V(cvtepi32_ps)(a); }
INLINE vd vd_zero(void) { return V(setzero_pd)(); }
INLINE vd vd_load(const double *from) { return V(loadu_pd)(from); }
INLINE void vd_store(double *to, vd value) { V(storeu_pd)(to, value); }
INLINE vd vd_fma(vd a, vd b, vd c) { return V(fmadd_pd)(a, b, c); }

#ifdef __AVX512F__
INLINE vi vi_count(void) { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
INLINE vm vm_first(int64_t count) { return (vm)(count >= LANES ? 0xffff : (1u << count) - 1); } /* count >= 0 */
INLINE vm vm_and(vm a, vm b) { return a & b; }
INLINE bool vm_none(vm a) { return a == 0; }
INLINE unsigned vm_bits(vm a) { return a; }
#define V_COMPARE(a, how, b) _mm512_cmp_ps_mask(a, b, how)
INLINE vf v_select(vm condition, vf yes, vf no) { return _mm512_mask_blend_ps(condition, no, yes); }
INLINE vi vi_select(vm condition, vi yes, vi no) { return _mm512_mask_blend_epi32(condition, no, yes); }
INLINE vm vi_equal(vi a, vi b) { return _mm512_cmpeq_epi32_mask(a, b); }
INLINE vm vi_within(vi a, int32_t low, int32_t high) {
    return _mm512_cmpge_epi32_mask(a, vi_all(low)) & _mm512_cmple_epi32_mask(a, vi_all(high));
}
INLINE vf v_load_some(const float *from, vm lanes) { return _mm512_maskz_loadu_ps(lanes, from); }
INLINE void v_store_some(float *to, vf value, vm lanes) { _mm512_mask_storeu_ps(to, lanes, value); }
INLINE vf v_gather(const float *from, vi index, vm lanes) { return _mm512_mask_i32gather_ps(v_zero(), lanes, index, from, 4); }
INLINE vf v_permute(vf a, vi index) { return _mm512_permutexvar_ps(index, a); }
INLINE vf v_abs(vf a) { return _mm512_abs_ps(a); }
INLINE vf v_floor(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
INLINE vf v_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vf v_scale2(vf a, vf power) { return _mm512_scalef_ps(a, power); } /* a * 2^power */
INLINE float v_sum(vf a) { return _mm512_reduce_add_ps(a); }
INLINE double vd_sum(vd a) { return _mm512_reduce_add_pd(a); }
INLINE vd vd_low(vf a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
INLINE vd vd_high(vf a) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)); }
INLINE vi v_as_int(vf a) { return _mm512_castps_si512(a); }
INLINE vf v_from_int(vi a) { return _mm512_castsi512_ps(a); }
INLINE vi vi_load_bytes(const uint8_t *from, int64_t count) {
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(vm_first(count), from));
}
INLINE void vi_store_bytes(uint8_t *to, vi value, int64_t count) { _mm512_mask_cvtepi32_storeu_epi8(to, vm_first(count), value); }
INLINE __m256 v_halves(vf a) { return _mm512_castps512_ps256(a) + _mm512_extractf32x8_ps(a, 1); }
#else
INLINE __m256 v_halves(vf a) { return a; }
INLINE vi vi_count(void) { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
INLINE vm vm_first(int64_t count) {
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(vi_all(count >= LANES ? LANES : (int)count), vi_count()));
}
INLINE vm vm_and(vm a, vm b) { return _mm256_and_ps(a, b); }
INLINE unsigned vm_bits(vm a) { return (unsigned)_mm256_movemask_ps(a); }
INLINE bool vm_none(vm a) { return vm_bits(a) == 0; }
#define V_COMPARE(a, how, b) _mm256_cmp_ps(a, b, how)
INLINE vf v_select(vm condition, vf yes, vf no) { return _mm256_blendv_ps(no, yes, condition); }
INLINE vi vi_select(vm condition, vi yes, vi no) {
    return _mm256_castps_si256(v_select(condition, _mm256_castsi256_ps(yes), _mm256_castsi256_ps(no)));
}
INLINE vm vi_equal(vi a, vi b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)); }
INLINE vm vi_within(vi a, int32_t low, int32_t high) {
    const vi outside = _mm256_or_si256(_mm256_cmpgt_epi32(vi_all(low), a), _mm256_cmpgt_epi32(a, vi_all(high)));
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(outside, vi_all(0)));
}
INLINE vf v_load_some(const float *from, vm lanes) { return _mm256_maskload_ps(from, _mm256_castps_si256(lanes)); }
INLINE void v_store_some(float *to, vf value, vm lanes) { _mm256_maskstore_ps(to, _mm256_castps_si256(lanes), value); }
INLINE vf v_gather(const float *from, vi index, vm lanes) { return _mm256_mask_i32gather_ps(v_zero(), from, index, lanes, 4); }
INLINE vf v_permute(vf a, vi index) { return _mm256_permutevar8x32_ps(a, index); }
INLINE vf v_abs(vf a) { return _mm256_andnot_ps(v_all(-0.0f), a); }
INLINE vf v_floor(vf a) { return _mm256_floor_ps(a); }
INLINE vf v_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vf v_scale2(vf a, vf power) { /* a * 2^power; a near 1, power an integer, 2^-126 for less */
    vi exponent = _mm256_cvtps_epi32(v_max(v_all(-126), power));
    return _mm256_castsi256_ps(vi_add(_mm256_castps_si256(a), _mm256_slli_epi32(exponent, 23)));
}
INLINE double vd_sum(vd a) {
    const __m128d half = _mm256_castpd256_pd128(a) + _mm256_extractf128_pd(a, 1);
    return _mm_cvtsd_f64(half) + _mm_cvtsd_f64(_mm_unpackhi_pd(half, half));
}
INLINE float v_sum(vf a) {
    __m128 half = _mm256_castps256_ps128(a) + _mm256_extractf128_ps(a, 1);
    half += _mm_movehl_ps(half, half);
    return _mm_cvtss_f32(half) + _mm_cvtss_f32(_mm_shuffle_ps(half, half, 1));
}
INLINE vd vd_low(vf a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
INLINE vd vd_high(vf a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }
INLINE vi v_as_int(vf a) { return _mm256_castps_si256(a); }
INLINE vf v_from_int(vi a) { return _mm256_castsi256_ps(a); }
INLINE vi vi_load_bytes(const uint8_t *from, int64_t count) {
    uint64_t bytes = 0;
    memcpy(&bytes, from, count >= LANES ? LANES : (size_t)count);
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes));
}
INLINE void vi_store_bytes(uint8_t *to, vi value, int64_t count) {
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
    const uint64_t bytes = (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(words, words));
    memcpy(to, &bytes, count >= LANES ? LANES : (size_t)count);
}
#endif

/* ---- to[k] = the sum of a[k]'s lanes for four vectors, cheaper together */
INLINE void v_sum4(float *to, const vf *a) {
    const __m256 ab = _mm256_hadd_ps(v_halves(a[0]), v_halves(a[1])), cd = _mm256_hadd_ps(v_halves(a[2]), v_halves(a[3]));
    const __m256 abcd = _mm256_hadd_ps(ab, cd);
    _mm_storeu_ps(to, _mm256_castps256_ps128(abcd) + _mm256_extractf128_ps(abcd, 1));
}

/* ---- the first `count` lanes, others zero and untouched; any count > 0 */
INLINE vf v_load_first(const float *from, int64_t count) {
    return count >= LANES ? v_load(from) : v_load_some(from, vm_first(count));
}
INLINE void v_store_first(float *to, vf value, int64_t count) {
    if (count >= LANES) v_store(to, value);
    else v_store_some(to, value, vm_first(count));
}

/* ---- elements of feature maps: floats in registers, whatever they are in memory */
#ifdef ELEMENT_IS_BF16
#ifdef __AVX512F__
INLINE vf v_load_e(const element *from) {
    return v_from_int(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from)), 16));
}
INLINE vf v_load_first_e(const element *from, int64_t count) {
    if (count >= LANES) return v_load_e(from);
    const __m256i halves = _mm256_maskz_loadu_epi16(vm_first(count), from);
    return v_from_int(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
/* To the nearest, ties to even, NaN to a quiet NaN, as bf16_from_float() does; the instruction takes what is too small for a
 * normal number for zero. */
#ifdef __AVX512BF16__
INLINE __m256i v_to_bf16(vf value) { return (__m256i)_mm512_cvtneps_pbh(value); }
#else
INLINE __m256i v_to_bf16(vf value) {
    const vi bits = v_as_int(value), high = _mm512_srli_epi32(bits, 16);
    const vi half = vi_add(vi_all(0x7fff), _mm512_and_si512(high, vi_all(1)));
    const vi rounded = _mm512_srli_epi32(vi_add(bits, half), 16);
    const vm nan = V_COMPARE(value, _CMP_UNORD_Q, value);
    return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(rounded, nan, high, vi_all(0x40)));
}
#endif
INLINE void v_store_e(element *to, vf value) { _mm256_storeu_si256((__m256i *)to, v_to_bf16(value)); }
INLINE void v_store_first_e(element *to, vf value, int64_t count) {
    if (count >= LANES) v_store_e(to, value);
    else _mm256_mask_storeu_epi16(to, vm_first(count), v_to_bf16(value));
}
#else
INLINE vf v_load_e(const element *from) {
    return v_from_int(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)from)), 16));
}
INLINE vf v_load_first_e(const element *from, int64_t count) {
    element some[LANES] = {0};
    if (count >= LANES) return v_load_e(from);
    memcpy(some, from, (size_t)count * sizeof *some);
    return v_load_e(some);
}
INLINE void v_store_e(element *to, vf value) {
    const vi bits = v_as_int(value), high = _mm256_srli_epi32(bits, 16);
    const vi half = vi_add(vi_all(0x7fff), _mm256_and_si256(high, vi_all(1)));
    const vi rounded = _mm256_srli_epi32(vi_add(bits, half), 16), quiet = _mm256_or_si256(high, vi_all(0x40));
    const vi words = vi_select(V_COMPARE(value, _CMP_UNORD_Q, value), quiet, rounded);
    const vi packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0x08);
    _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(packed));
}
INLINE void v_store_first_e(element *to, vf value, int64_t count) {
    element some[LANES];
    if (count >= LANES) {
        v_store_e(to, value);
        return;
    }
    v_store_e(some, value);
    memcpy(to, some, (size_t)count * sizeof *some);
}
#endif
#else
INLINE vf v_load_e(const element *from) { return v_load(from); }
INLINE vf v_load_first_e(const element *from, int64_t count) { return v_load_first(from, count); }
INLINE void v_store_e(element *to, vf value) { v_store(to, value); }
INLINE void v_store_first_e(element *to, vf value, int64_t count) { v_store_first(to, value, count); }
#endif

/* ---- leaky ReLU, and a normalisation on load */
INLINE vf v_leaky(vf u, vf slope) { return v_select(V_COMPARE(u, _CMP_GT_OQ, v_zero()), u, u * slope); }
/* Coefficients of channels c .. c + LANES, `left` of which exist; norm NULL = none. */
INLINE void v_load_norm(vf *scale, vf *offset, const struct norm_load *norm, int64_t c, int64_t left) {
    *scale = norm ? v_load_first(norm->scale + c, left) : v_zero();
    *offset = norm ? v_load_first(norm->offset + c, left) : v_zero();
}
INLINE vf v_normed(vf value, const struct norm_load *norm, vf scale, vf offset) {
    return norm ? v_leaky(v_fma(value, scale, offset), v_all(norm->slope)) : value;
}

/* 2^a within one unit in the last place for a <= 0: an integer power times a polynomial on [-1/2, 1/2] (minimax in
 * relative error).  NaN stays NaN. */
INLINE vf v_exp2(vf a) {
    const vf whole = v_round(a), f = a - whole;
    vf p = v_all(0x1.41fbbcp-13f);
    p = v_fma(p, f, v_all(0x1.5f3e52p-10f));
    p = v_fma(p, f, v_all(0x1.3b2d4cp-7f));
    p = v_fma(p, f, v_all(0x1.c6aee8p-5f));
    p = v_fma(p, f, v_all(0x1.ebfbdcp-3f));
    p = v_fma(p, f, v_all(0x1.62e430p-1f));
    p = v_fma(p, f, v_all(1));
    return v_scale2(p, whole);
}

/* Natural logarithm for finite a >= 1, within two units in the last place or 2^-24: a = 2^whole * m with m in
 * [sqrt(1/2), sqrt(2)), log m = 2 artanh r, r = (m - 1) / (m + 1).  NaN stays NaN. */
INLINE vf v_log(vf a) {
    const vi half_root = vi_all(0x3f3504f3), whole = V(srai_epi32)(V(sub_epi32)(v_as_int(a), half_root), 23);
    const vf m = v_from_int(V(sub_epi32)(v_as_int(a), V(slli_epi32)(whole, 23)));
    const vf r = (m - v_all(1)) / (m + v_all(1)), s = r * r;
    vf p = v_all(2.0f / 9);
    p = v_fma(p, s, v_all(2.0f / 7));
    p = v_fma(p, s, v_all(2.0f / 5));
    p = v_fma(p, s, v_all(2.0f / 3));
    p = v_fma(p * s, r, r + r);
    return v_fma(vi_to_float(whole), v_all(0x1.62e430p-1f), p) + (a - a);
}

#endif
