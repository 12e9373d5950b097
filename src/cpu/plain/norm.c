/* Group normalisation and leaky ReLU, plain C: what the forms in simd/norm.c must equal.
 * Paper: the U-Net's [conv, GroupNorm, LeakyReLU] and the projection's GroupNorm; Wu and He, ECCV 2018.
 *
 *   mean_g = sum over group g of (x + bias) / n     rstd_g = 1 / sqrt(sum (x + bias)^2 / n - mean_g^2 + epsilon)
 *   y = leaky(gamma (x + bias - mean_g) rstd_g + beta) = leaky(x scale + offset), the coefficients by norm_coefficients() */
#include "load.h"

#include <string.h>

void PLAIN(norm_sums)(double *sums, const void *x, const float *bias, const struct norm_shape *s, int block, int blocks) {
    const int64_t width = s->channels / s->groups;
    const element *in = x;
    int64_t begin, end;
    slab_share(s->pixels, block, blocks, &begin, &end);
    for (int64_t g = 0; g < s->groups; g++) {
        double sum = 0, square = 0;
        for (int64_t p = begin; p < end; p++)
            for (int64_t c = g * width; c < (g + 1) * width; c++) {
                const double value = (double)to_float(in[p * s->channels + c]) + (bias ? bias[c] : 0);
                sum += value, square += value * value;
            }
        sums[g] = sum, sums[s->groups + g] = square;
    }
}

void PLAIN(norm_apply)(void *y, const void *x, const struct norm_load *norm, int64_t pixels, int64_t channels, int slab,
                       int slabs) {
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t i = begin * channels; i < end * channels; i++)
        ((element *)y)[i] = from_float(load(((const element *)x)[i], norm, i % channels));
}

/* dy behind the activation. */
static float activation_grad(const void *dy, float x, const struct norm_load *norm, int64_t i, int64_t channel) {
    const float gradient = to_float(((const element *)dy)[i]);
    return affine(x, norm, channel) > 0 ? gradient : norm->slope * gradient;
}

void PLAIN(norm_grad_sums)(double *sums, const void *dy, const void *x, const struct norm_load *norm, int64_t pixels,
                           int64_t channels, int block, int blocks) {
    int64_t begin, end;
    slab_share(pixels, block, blocks, &begin, &end);
    memset(sums, 0, 3 * (size_t)channels * sizeof *sums);
    for (int64_t i = begin * channels; i < end * channels; i++) {
        const int64_t c = i % channels;
        const double value = (double)to_float(((const element *)x)[i]);
        const double d = (double)activation_grad(dy, (float)value, norm, i, c);
        sums[c] += d, sums[channels + c] += d * value, sums[2 * channels + c] += value;
    }
}

void PLAIN(norm_grad_apply)(void *dx, const void *dy, const void *x, const struct norm_load *norm, const float *coefficients,
                            int64_t pixels, int64_t channels, int slab, int slabs) {
    const float *const of_d = coefficients, *const of_x = of_d + channels, *const constant = of_x + channels;
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t i = begin * channels; i < end * channels; i++) {
        const int64_t c = i % channels;
        const float value = to_float(((const element *)x)[i]), d = activation_grad(dy, value, norm, i, c);
        ((element *)dx)[i] = from_float(of_d[c] * d + of_x[c] * value + constant[c]);
    }
}
