/* What the processor and the operating system can do: cpuid, and xgetbv for the registers that the system saves.
 * Called once a context; kernels_best() and conv_create() choose their forms by it. */
#include "features.h"

#include <stdio.h>
#include <string.h>

static const struct {
    unsigned feature;
    const char *name;
} names[] = {{CPU_AVX2, "avx2"}, {CPU_AVX512, "avx512"}, {CPU_AVX512_BF16, "avx512_bf16"}, {CPU_AMX_BF16, "amx_bf16"}};

/* A cap keeps what it names and everything below. */
static const struct {
    const char *name;
    unsigned keeps;
} caps[] = {
    {"plain", 0}, {"avx2", CPU_AVX2}, {"avx512", CPU_AVX2 | CPU_AVX512}, {"avx512_bf16", CPU_AVX2 | CPU_AVX512 | CPU_AVX512_BF16}};

enum { COUNT_NAMES = sizeof names / sizeof *names, COUNT_CAPS = sizeof caps / sizeof *caps };

#ifdef __x86_64__
#include <cpuid.h>

/* XCR0, the register sets that the system saves for us: bit 1 xmm, 2 ymm, 5..7 zmm and masks, 17..18 tiles. */
enum { SAVES_YMM = 0x6, SAVES_ZMM = 0xe6, SAVES_TILES = 0x60000 };

static unsigned saved_registers(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool has(unsigned word, unsigned bits) { return (word & bits) == bits; }

static unsigned detect(void) {
    unsigned eax, ebx, ecx, edx, features = 0;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return 0;
    if (!has(ecx, bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C)) return 0;
    unsigned saves = saved_registers();
    if (!has(saves, SAVES_YMM) || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return 0;
    unsigned sub_leaves = eax, ebx7 = ebx, edx7 = edx;
    if (!has(ebx7, bit_AVX2)) return 0;
    features |= CPU_AVX2;
    if (!has(saves, SAVES_ZMM) || !has(ebx7, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL)) return features;
    features |= CPU_AVX512;
    const unsigned avx512_bf16 = 1u << 5, amx_bf16 = 1u << 22, amx_tile = 1u << 24;
    if (sub_leaves >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && has(eax, avx512_bf16)) features |= CPU_AVX512_BF16;
    if (has(saves, SAVES_TILES) && has(edx7, amx_bf16 | amx_tile)) features |= CPU_AMX_BF16;
    return features;
}
#else
static unsigned detect(void) { return 0; }
#endif

unsigned cpu_features(void) { return detect() & CPU_FEATURES_USED; }

cover_status cpu_features_capped(unsigned *features, const char *isa) {
    unsigned keeps = ~0u;
    if (isa) {
        int i = 0;
        while (i < COUNT_CAPS && strcmp(isa, caps[i].name) != 0) i++;
        if (i == COUNT_CAPS)
            return fail(COVER_ERROR_ARGUMENT, "isa '%s' is not known; use plain, avx2, avx512 or avx512_bf16", isa);
        keeps = caps[i].keeps;
    }
    *features = cpu_features() & keeps;
    return COVER_OK;
}

void cpu_features_name(unsigned features, char *text) {
    const char *separator = "";
    strcpy(text, features ? "" : "plain");
    for (int i = 0; i < COUNT_NAMES; i++)
        if (features & names[i].feature) {
            text += sprintf(text, "%s%s", separator, names[i].name);
            separator = " ";
        }
}
