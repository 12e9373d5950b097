/* The types of a tensor's elements, and bfloat16: the upper half of a float32.  Used by graph, executors and kernels. */
#ifndef COVER_ELEMENT_H
#define COVER_ELEMENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum element { ELEMENT_F32, ELEMENT_BF16, ELEMENT_U8, ELEMENT_F64 };

static inline size_t element_bytes(enum element element) {
    static const size_t bytes[] = {[ELEMENT_F32] = 4, [ELEMENT_BF16] = 2, [ELEMENT_U8] = 1, [ELEMENT_F64] = 8};
    return bytes[element];
}

typedef uint16_t bf16;

static inline float bf16_to_float(bf16 value) {
    const uint32_t bits = (uint32_t)value << 16;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}
/* To the nearest, ties to even, as AVX512_BF16 does; NaN stays NaN. */
static inline bf16 bf16_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (bf16)(bits >> 16 | 0x40);
    return (bf16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
