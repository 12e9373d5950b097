/* What the processor can do, asked once a context; a cap ("plain", "avx2", "avx512") masks the rest. */
#ifndef COVER_FEATURES_H
#define COVER_FEATURES_H

#include "core/base/base.h"

enum cpu_feature {
    CPU_AVX2 = 1,   /* AVX2 + FMA + F16C, and the system saves ymm */
    CPU_AVX512 = 2, /* AVX-512 F, BW, DQ, VL, and the system saves zmm */
    CPU_AVX512_BF16 = 4,
    CPU_AMX_BF16 = 8
};
unsigned cpu_features(void);
/* The same under a cap, NULL = none; COVER_ERROR_ARGUMENT for an unknown name. */
cover_status cpu_features_capped(unsigned *features, const char *isa);
/* "avx2 avx512", or "plain", into text, at least 64 bytes. */
void cpu_features_name(unsigned features, char *text);

#endif
