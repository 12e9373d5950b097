/* The loops that measure peak rates, one set an instruction set.  Called by peak.c. */
#ifndef COVER_PEAK_LOOPS_H
#define COVER_PEAK_LOOPS_H

#include <stdint.h>

struct peak_loops {
    unsigned needs; /* features of the processor */
    /* `rounds` times `*_flops` operations that wait for nothing but the arithmetic; the sum of what came out */
    float (*multiply_add)(int64_t rounds);
    float (*dot)(int64_t rounds); /* of bfloat16; NULL = no such instruction */
    int multiply_add_flops, dot_flops;
    /* y = a + scale * b, y past the caches where there is an instruction for it; the sum of a.  count: a multiple of 64,
     * arrays aligned to 64 bytes */
    void (*triad)(float *y, const float *a, const float *b, float scale, int64_t count);
    float (*read)(const float *a, int64_t count);
};

extern const struct peak_loops peak_loops_generic;
#ifdef __x86_64__
extern const struct peak_loops peak_loops_avx2, peak_loops_avx512, peak_loops_avx512_bf16;
#endif

#endif
