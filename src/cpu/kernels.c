/* The tables of kernels.h, one an instruction set in rising order, and the sizes of the workspaces that all forms share.
 * Called by the executor when a context's plan is built, and by the tests. */
#include "kernels.h"

#include "features.h"
#include "forms.h"

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

/* Per channel, or per element of a few pixels when there are few channels: 8 float coefficients and 3 double sums. */
size_t norm_workspace(const struct norm_shape *s) {
    size_t width = (size_t)s->channels + 256;
    return width * (8 * sizeof(float) + 3 * sizeof(double));
}

/* The widest form's needs, as prepare() in simd/mov.c lays them out: rows of a padded image, channel by channel. */
size_t mov_workspace(const struct mov_shape *s, bool gradient) {
    const size_t lanes = 16, window = 2 * (size_t)s->radius + 1, planes = s->grid.ndim == 3 ? window : 1;
    const size_t padded = (size_t)s->grid.size[2] + lanes + 2 * ((size_t)s->radius + lanes);
    const size_t row = padded * (size_t)s->channels, keys = planes * window * window;
    const size_t floats = row * (planes * window + 1 + gradient) /* ring, query; a row of dquery or dkey */
                          + padded                               /* where logits start */
                          + keys * (gradient ? padded : lanes);  /* logits */
    return floats * sizeof(float) + planes * window * sizeof(void *) + 2 * 64;
}
