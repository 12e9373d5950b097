/* The tables of kernels.h, one an instruction set in rising order, and what all forms share: the statistics of sums, sizes.
 * Called by the executor when a context's plan is built, and by the tests. */
#include "kernels.h"

#include "features.h"
#include "forms.h"

#include <math.h>

#define KERNEL_ENTRY(kernel, form) .kernel = kernel##_##form,

static const struct kernels plain = {.isa = "plain", KERNELS(KERNEL_ENTRY, plain)};
#ifdef __x86_64__
static const struct kernels avx2 = {.isa = "avx2", KERNELS(KERNEL_ENTRY, avx2)};
static const struct kernels avx512 = {.isa = "avx512", KERNELS(KERNEL_ENTRY, avx512)};
#endif

static const struct {
    const struct kernels *table;
    unsigned needs;
} forms[] = {
    {&plain, 0},
#ifdef __x86_64__
    {&avx2, CPU_AVX2},
    {&avx512, CPU_AVX2 | CPU_AVX512},
#endif
};

int kernels_available(const struct kernels *tables[4], unsigned features) {
    int count = 0;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if ((features & forms[i].needs) == forms[i].needs) tables[count++] = forms[i].table;
    return count;
}

const struct kernels *kernels_best(unsigned features) {
    const struct kernels *tables[4];
    return tables[kernels_available(tables, features) - 1];
}

int norm_blocks(const struct norm_shape *s) {
    enum { MOST = 8, ELEMENTS = 1 << 16 };
    const int64_t blocks = s->pixels * s->channels / ELEMENTS, most = s->pixels < MOST ? s->pixels : MOST;
    return blocks < 1 ? 1 : (int)(blocks < most ? blocks : most);
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

/* Per channel, or per element of a few pixels when there are few channels: 8 float coefficients and 3 double sums. */
size_t norm_workspace(const struct norm_shape *s) {
    size_t width = (size_t)s->channels + 256;
    return width * (8 * sizeof(float) + 3 * sizeof(double));
}

/* What prepare() in simd/mov.c lays out: rows padded by 16 columns on either side; more than plain/mov.c needs. */
size_t mov_workspace(const struct mov_shape *s, bool gradient) {
    const size_t margin = 16, held = 128 + 2 * margin, heads = (size_t)s->heads, channels = (size_t)s->channels;
    const size_t padded = ((size_t)s->grid.size[2] + margin - 1) / margin * margin + 2 * margin, row = channels * padded;
    const size_t window = 2 * (size_t)s->radius + 1, rows = s->grid.ndim == 3 ? window * window : window;
    size_t floats = 2 * padded                        /* where logits start */
                    + (rows + 1) * row                /* keys, query */
                    + rows * window * held            /* logits */
                    + (size_t)s->grid.ndim * padded;  /* mean */
    if (gradient)
        floats += (window - 1) * row                           /* more queries */
                  + window * heads * rows * window * padded    /* logit gradients */
                  + channels / heads * window * held           /* sums of products */
                  + row                                        /* dquery */
                  + (s->grid.ndim == 3 ? window * (size_t)s->grid.size[1] : 1) * row; /* unfinished dkey */
    return floats * sizeof(float) + 4 * rows * sizeof(void *) + channels * sizeof(int64_t) + 2 * 64;
}
