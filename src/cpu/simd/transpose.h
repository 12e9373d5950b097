/* Pixels of many channels turned into one row a channel, and back: blocks of 8 channels in registers, what is left
 * element by element.  place[c] tells where channel c's row begins.  Used by mov.c and task_losses.c. */
#ifndef COVER_TRANSPOSE_H
#define COVER_TRANSPOSE_H

#include "vec.h"

/* to[place[c] + p] = scale * from[p * channels + c] for 8 pixels and 8 channels. */
INLINE void apart8(float *to, const int64_t *place, const float *from, int64_t channels, float scale) {
    __m256 row[8], pair[8], quad[8];
    UNROLL for (int p = 0; p < 8; p++) row[p] = _mm256_set1_ps(scale) * _mm256_loadu_ps(from + p * channels);
    UNROLL for (int p = 0; p < 8; p += 2) {
        pair[p] = _mm256_unpacklo_ps(row[p], row[p + 1]);
        pair[p + 1] = _mm256_unpackhi_ps(row[p], row[p + 1]);
    }
    UNROLL for (int p = 0; p < 8; p += 4) UNROLL for (int k = 0; k < 2; k++) {
        quad[p + 2 * k] = _mm256_shuffle_ps(pair[p + k], pair[p + k + 2], 0x44);
        quad[p + 2 * k + 1] = _mm256_shuffle_ps(pair[p + k], pair[p + k + 2], 0xee);
    }
    UNROLL for (int c = 0; c < 4; c++) {
        _mm256_storeu_ps(to + place[c], _mm256_permute2f128_ps(quad[c], quad[c + 4], 0x20));
        _mm256_storeu_ps(to + place[c + 4], _mm256_permute2f128_ps(quad[c], quad[c + 4], 0x31));
    }
}

#ifdef __AVX512F__
/* The same for 16 pixels: pixels p and p + 4 of each half share a register, so that whole vectors are stored. */
INLINE void apart16(float *to, const int64_t *place, const float *from, int64_t channels, float scale) {
    __m512 row[8], pair[8], quad[8];
    UNROLL for (int p = 0; p < 8; p++) {
        const float *low = from + (p + p / 4 * 4) * channels, *high = low + 4 * channels;
        const __m512 half = _mm512_castps256_ps512(_mm256_loadu_ps(low));
        row[p] = v_all(scale) * _mm512_insertf32x8(half, _mm256_loadu_ps(high), 1);
    }
    UNROLL for (int p = 0; p < 8; p += 2) {
        pair[p] = _mm512_unpacklo_ps(row[p], row[p + 1]);
        pair[p + 1] = _mm512_unpackhi_ps(row[p], row[p + 1]);
    }
    UNROLL for (int p = 0; p < 8; p += 4) UNROLL for (int k = 0; k < 2; k++) {
        quad[p + 2 * k] = _mm512_shuffle_ps(pair[p + k], pair[p + k + 2], 0x44);
        quad[p + 2 * k + 1] = _mm512_shuffle_ps(pair[p + k], pair[p + k + 2], 0xee);
    }
    UNROLL for (int c = 0; c < 4; c++) {
        v_store(to + place[c], _mm512_shuffle_f32x4(quad[c], quad[c + 4], 0x88));
        v_store(to + place[c + 4], _mm512_shuffle_f32x4(quad[c], quad[c + 4], 0xdd));
    }
}
#endif

static inline void channels_apart(float *to, const int64_t *place, const float *from, int64_t pixels, int64_t channels,
                                  float scale) {
    const int64_t even = channels & ~7;
    int64_t p = 0;
#ifdef __AVX512F__
    for (; p + 16 <= pixels; p += 16)
        for (int64_t c = 0; c < even; c += 8) apart16(to + p, place + c, from + p * channels + c, channels, scale);
#endif
    for (; p + 8 <= pixels; p += 8)
        for (int64_t c = 0; c < even; c += 8) apart8(to + p, place + c, from + p * channels + c, channels, scale);
    const int64_t done = p;
    for (p = even < channels ? 0 : done; p < pixels; p++)
        for (int64_t c = p < done ? even : 0; c < channels; c++) to[place[c] + p] = scale * from[p * channels + c];
}

/* to[p * channels + c] = scale * from[place[c] + p] for 8 pixels and 8 channels. */
INLINE void together8(float *to, int64_t channels, const float *from, const int64_t *place, float scale) {
    __m256 row[8], pair[8], quad[8];
    UNROLL for (int c = 0; c < 8; c++) row[c] = _mm256_set1_ps(scale) * _mm256_loadu_ps(from + place[c]);
    UNROLL for (int c = 0; c < 8; c += 2) {
        pair[c] = _mm256_unpacklo_ps(row[c], row[c + 1]);
        pair[c + 1] = _mm256_unpackhi_ps(row[c], row[c + 1]);
    }
    UNROLL for (int c = 0; c < 8; c += 4) UNROLL for (int k = 0; k < 2; k++) {
        quad[c + 2 * k] = _mm256_shuffle_ps(pair[c + k], pair[c + k + 2], 0x44);
        quad[c + 2 * k + 1] = _mm256_shuffle_ps(pair[c + k], pair[c + k + 2], 0xee);
    }
    UNROLL for (int p = 0; p < 4; p++) {
        _mm256_storeu_ps(to + p * channels, _mm256_permute2f128_ps(quad[p], quad[p + 4], 0x20));
        _mm256_storeu_ps(to + (p + 4) * channels, _mm256_permute2f128_ps(quad[p], quad[p + 4], 0x31));
    }
}

static inline void channels_together(float *to, const float *from, const int64_t *place, int64_t pixels, int64_t channels,
                                     float scale) {
    const int64_t even = channels & ~7, done = pixels & ~7;
    for (int64_t p = 0; p < done; p += 8)
        for (int64_t c = 0; c < even; c += 8) together8(to + p * channels + c, channels, from + p, place + c, scale);
    for (int64_t p = even < channels ? 0 : done; p < pixels; p++)
        for (int64_t c = p < done ? even : 0; c < channels; c++) to[p * channels + c] = scale * from[place[c] + p];
}

#endif
