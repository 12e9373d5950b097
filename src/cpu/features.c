/* CPU features by cpuid and xgetbv (Intel SDM vol. 1, 13 and 14; vol. 2, CPUID).  Called once a context. */
#include "features.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

static uint64_t saved_state(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

unsigned cpu_features(void) {
    unsigned a, b, c, d, features = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    bool fma = (c & bit_FMA) && (c & bit_F16C) && (c & bit_AVX);
    uint64_t state = saved_state();
    bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xe6) == 0xe6, tiles = (state & 0x60000) == 0x60000;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    unsigned seven_d = d;
    if (fma && ymm && (b & bit_AVX2)) features |= CPU_AVX2;
    unsigned foundation = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((features & CPU_AVX2) && zmm && (b & foundation) == foundation) features |= CPU_AVX512;
    if ((features & CPU_AVX512) && tiles && (seven_d & 1u << 22) && (seven_d & 1u << 24)) features |= CPU_AMX_BF16;
    if ((features & CPU_AVX512) && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5)) features |= CPU_AVX512_BF16;
    return features;
}

static const struct {
    const char *name;
    unsigned keeps;
} caps[] = {
    {"plain", 0},
    {"avx2", CPU_AVX2},
    {"avx512", CPU_AVX2 | CPU_AVX512},
};

cover_status cpu_features_capped(unsigned *features, const char *isa) {
    unsigned keeps = ~0u;
    if (isa) {
        size_t i = 0, count = sizeof caps / sizeof *caps;
        while (i < count && strcmp(caps[i].name, isa) != 0) i++;
        if (i == count) return fail(COVER_ERROR_ARGUMENT, "isa '%s' is not known; use plain, avx2 or avx512", isa);
        keeps = caps[i].keeps;
    }
    *features = cpu_features() & keeps;
    return COVER_OK;
}

void cpu_features_name(unsigned features, char *text) {
    snprintf(text, 64, "%s%s%s%s", features & CPU_AVX2 ? "avx2" : "plain", features & CPU_AVX512 ? " avx512" : "",
             features & CPU_AVX512_BF16 ? " avx512_bf16" : "", features & CPU_AMX_BF16 ? " amx_bf16" : "");
}
