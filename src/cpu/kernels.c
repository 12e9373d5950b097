/* The tables of kernels.h, one an instruction set and an element, and what all forms share: what lies between two passes
 * of a normalisation, sizes.
 * Called by the executor when a context's plan is built, and by the tests. */
#include "kernels.h"

#include "features.h"
#include "forms.h"

#include <math.h>

enum { PLAIN, BF16_PLAIN, AVX2, BF16_AVX2, AVX512, BF16_AVX512, BF16_AVX512_BF16, TABLES };

#ifdef __x86_64__
#define ON_X86(...) __VA_ARGS__
#else
#define ON_X86(...)
#endif
#define ENTRY(table, name, form) [table].name = name##_##form,
#define ENTRIES_FLOATS(name)                                                                                                       \
    ENTRY(PLAIN, name, plain)                                                                                                      \
    ENTRY(BF16_PLAIN, name, plain)                                                                                                 \
    ON_X86(ENTRY(AVX2, name, avx2) ENTRY(BF16_AVX2, name, avx2) ENTRY(AVX512, name, avx512) ENTRY(BF16_AVX512, name, avx512)       \
               ENTRY(BF16_AVX512_BF16, name, avx512))
#define ENTRIES_FEATURES(name)                                                                                                     \
    ENTRY(PLAIN, name, plain)                                                                                                      \
    ENTRY(BF16_PLAIN, name, bf16_plain)                                                                                            \
    ON_X86(ENTRY(AVX2, name, avx2) ENTRY(BF16_AVX2, name, bf16_avx2) ENTRY(AVX512, name, avx512)                                   \
               ENTRY(BF16_AVX512, name, bf16_avx512) ENTRY(BF16_AVX512_BF16, name, bf16_avx512_bf16))
#define KERNEL(kind, type, name, arguments) ENTRIES_##kind(name)
#define HEAD(table, name, of) [table].isa = name, [table].element = of

static const struct kernels tables_of[TABLES] = {
    HEAD(PLAIN, "plain", ELEMENT_F32),
    HEAD(BF16_PLAIN, "plain", ELEMENT_BF16),
    HEAD(AVX2, "avx2", ELEMENT_F32),
    HEAD(BF16_AVX2, "avx2", ELEMENT_BF16),
    HEAD(AVX512, "avx512", ELEMENT_F32),
    HEAD(BF16_AVX512, "avx512", ELEMENT_BF16),
    HEAD(BF16_AVX512_BF16, "avx512_bf16", ELEMENT_BF16),
#include "kernels.def"
};
static const unsigned needs[TABLES] = {
    /* features: none where there is plain C alone */
    [AVX2] = CPU_AVX2,
    [BF16_AVX2] = CPU_AVX2,
    [AVX512] = CPU_AVX2 | CPU_AVX512,
    [BF16_AVX512] = CPU_AVX2 | CPU_AVX512,
    [BF16_AVX512_BF16] = CPU_AVX2 | CPU_AVX512 | CPU_AVX512_BF16,
};

int kernels_available(const struct kernels *tables[KERNEL_TABLES], unsigned features, enum element element) {
    int count = 0;
    for (int i = 0; i < TABLES; i++)
        if (tables_of[i].element == element && (features & needs[i]) == needs[i]) tables[count++] = &tables_of[i];
    return count;
}

const struct kernels *kernels_best(unsigned features, enum element element) {
    const struct kernels *tables[KERNEL_TABLES];
    return tables[kernels_available(tables, features, element) - 1];
}

/* As many blocks of `pixels` as there is work for, none of them empty. */
static int blocks_of(int64_t work, int64_t pixels) {
    const int64_t most = pixels < BLOCKS_MAX ? pixels : BLOCKS_MAX;
    return work < 1 ? 1 : (int)(work < most ? work : most);
}

int norm_blocks(const struct norm_shape *s) {
    enum { ELEMENTS = 1 << 16 };
    return blocks_of(s->pixels * s->channels / ELEMENTS, s->pixels);
}

int loss_blocks(int64_t pixels) {
    enum { PIXELS = 1 << 12 };
    return blocks_of(pixels / PIXELS, pixels);
}

void norm_statistics(float *mean, float *rstd, const double *sums, int blocks, const struct norm_shape *s) {
    const double count = (double)(s->pixels * (s->channels / s->groups));
    for (int64_t g = 0; g < s->groups; g++) {
        double sum = 0, square = 0;
        for (int block = 0; block < blocks; block++)
            sum += sums[2 * block * s->groups + g], square += sums[(2 * block + 1) * s->groups + g];
        const double middle = sum / count, variance = square / count - middle * middle;
        mean[g] = (float)middle;
        rstd[g] = (float)(1 / sqrt((variance < 0 ? 0 : variance) + (double)s->epsilon));
    }
}

static double bias_of(const float *bias, int64_t channel) { return bias ? (double)bias[channel] : 0; }

void norm_coefficients(float *scale, float *offset, const float *mean, const float *rstd, const float *gamma, const float *beta,
                       const float *bias, const struct norm_shape *s) {
    const int64_t width = s->channels / s->groups;
    for (int64_t c = 0; c < s->channels; c++) {
        const int64_t g = c / width;
        const double gain = (double)gamma[c] * rstd[g];
        scale[c] = (float)gain;
        offset[c] = (float)((bias_of(bias, c) - mean[g]) * gain + beta[c]);
    }
}

/* With xhat = (x + bias - mean) rstd, n the elements of a group, and means over the group:
 *
 *   dbeta = sum of d        dgamma = sum of d xhat = rstd (sum of d x + (bias - mean) sum of d)
 *   dx    = rstd (gamma d - mean(gamma d) - xhat mean(gamma d xhat)),  a multiple of d, one of x, and a constant
 *   dbias = sum of dx */
void norm_grad_finish(float *dgamma, float *dbeta, float *dbias, float *coefficients, const double *sums, int blocks,
                      const float *mean, const float *rstd, const float *gamma, const float *bias, const struct norm_shape *s) {
    const int64_t channels = s->channels, width = channels / s->groups;
    const double pixels = (double)s->pixels, count = pixels * (double)width;
    for (int64_t g = 0; g < s->groups; g++) {
        const int64_t first = g * width, last = first + width;
        double mean_d = 0, mean_d_xhat = 0;
        for (int64_t c = first; c < last; c++) {
            double d = 0, product = 0;
            for (int block = 0; block < blocks; block++)
                d += sums[3 * block * channels + c], product += sums[(3 * block + 1) * channels + c];
            const double d_xhat = rstd[g] * (product + (bias_of(bias, c) - mean[g]) * d);
            dbeta[c] = (float)d, dgamma[c] = (float)d_xhat;
            mean_d += gamma[c] * d / count, mean_d_xhat += gamma[c] * d_xhat / count;
        }
        for (int64_t c = first; c < last; c++) {
            const double of_x = -mean_d_xhat * rstd[g] * rstd[g], shift = bias_of(bias, c) - mean[g];
            const double constant = of_x * shift - mean_d * rstd[g];
            coefficients[c] = gamma[c] * rstd[g];
            coefficients[channels + c] = (float)of_x;
            coefficients[2 * channels + c] = (float)constant;
            if (!dbias) continue;
            double d = 0, x = 0;
            for (int block = 0; block < blocks; block++)
                d += sums[3 * block * channels + c], x += sums[(3 * block + 2) * channels + c];
            dbias[c] = (float)((double)gamma[c] * rstd[g] * d + of_x * x + pixels * constant);
        }
    }
}

/* What prepare() in simd/mov.c lays out: rows padded by 16 columns on either side; more than plain/mov.c needs. */
size_t mov_workspace(const struct mov_shape *s, bool gradient) {
    const size_t margin = 16, held = 128 + 2 * margin, heads = (size_t)s->heads, channels = (size_t)s->channels;
    const size_t padded = ((size_t)s->grid.size[2] + margin - 1) / margin * margin + 2 * margin, row = channels * padded;
    const size_t window = 2 * (size_t)s->radius + 1, rows = s->grid.ndim == 3 ? window * window : window;
    size_t floats = 2 * padded                       /* where logits start */
                    + (rows + 1) * row               /* keys, query */
                    + rows * window * held           /* logits */
                    + (size_t)s->grid.ndim * padded; /* mean */
    if (gradient)
        floats += (window - 1) * row                                                  /* more queries */
                  + window * heads * rows * window * padded                           /* logit gradients */
                  + channels / heads * window * held                                  /* sums of products */
                  + row                                                               /* dquery */
                  + (s->grid.ndim == 3 ? window * (size_t)s->grid.size[1] : 1) * row; /* unfinished dkey */
    return floats * sizeof(float) + 4 * rows * sizeof(void *) + channels * sizeof(int64_t) + 2 * 64;
}

/* What sweep_of() in simd/ncc.c lays out; plain/ncc.c needs nothing. */
size_t ncc_workspace(const struct ncc_shape *s) {
    const size_t lanes = 16, quantities = 5, channels = (size_t)s->channels, window = (size_t)s->window;
    const size_t stride = ((size_t)s->grid.size[2] * channels + lanes - 1) / lanes * lanes;
    const size_t rows = s->grid.ndim == 3 ? (size_t)s->grid.size[1] : 1;
    return quantities * (stride * (2 + rows * (1 + window)) + 2 * (window / 2) * channels) * sizeof(double);
}
