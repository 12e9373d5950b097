/* Group normalisation and leaky ReLU, plain C: what the forms in simd/norm.c must equal.
 * Paper: the U-Net's [conv, GroupNorm, LeakyReLU] and the projection's GroupNorm; Wu and He, ECCV 2018.
 *
 *   mean_g = sum over group g of (x + bias) / n     rstd_g = 1 / sqrt(sum (x + bias)^2 / n - mean_g^2 + epsilon)
 *   xhat   = (x + bias - mean_g) * rstd_g                y = leaky(gamma * xhat + beta) */
#include "../forms.h"

static float shift(const float *bias, int64_t channel) { return bias ? bias[channel] : 0.0f; }

void norm_sums_plain(double *sums, const float *x, const float *bias, const struct norm_shape *s, int block, int blocks) {
    const int64_t width = s->channels / s->groups;
    int64_t begin, end;
    slab_share(s->pixels, block, blocks, &begin, &end);
    for (int64_t g = 0; g < s->groups; g++) {
        double sum = 0, square = 0;
        for (int64_t p = begin; p < end; p++)
            for (int64_t c = g * width; c < (g + 1) * width; c++) {
                const double value = (double)x[p * s->channels + c] + shift(bias, c);
                sum += value, square += value * value;
            }
        sums[g] = sum, sums[s->groups + g] = square;
    }
}

void norm_apply_plain(float *y, const float *x, const float *bias, const float *mean, const float *rstd,
                      const float *gamma, const float *beta, const struct norm_shape *s, int slab, int slabs) {
    const int64_t width = s->channels / s->groups;
    int64_t begin, end;
    slab_share(s->pixels, slab, slabs, &begin, &end);
    for (int64_t p = begin; p < end; p++)
        for (int64_t c = 0; c < s->channels; c++) {
            const int64_t i = p * s->channels + c, g = c / width;
            const float u = gamma[c] * (x[i] + shift(bias, c) - mean[g]) * rstd[g] + beta[c];
            y[i] = u > 0 ? u : s->slope * u;
        }
}

/* With d = dy * leaky'(gamma * xhat + beta), n the elements of a group, and means over the group:
 *
 *   dbeta = sum over pixels of d          dgamma = sum over pixels of d * xhat
 *   dx    = rstd * (gamma * d - mean(gamma * d) - xhat * mean(gamma * d * xhat))
 *   dbias = sum over pixels of dx */
void norm_grad_plain(float *dx, float *dgamma, float *dbeta, float *dbias, const float *dy, const float *x,
                     const float *bias, const float *mean, const float *rstd, const float *gamma, const float *beta,
                     const struct norm_shape *s, void *workspace) {
    const int64_t width = s->channels / s->groups;
    const double count = (double)(s->pixels * width);
    (void)workspace;
    for (int64_t g = 0; g < s->groups; g++) {
        double mean_d = 0, mean_d_xhat = 0;
        for (int64_t c = g * width; c < (g + 1) * width; c++) {
            double sum_d = 0, sum_d_xhat = 0;
            for (int64_t p = 0; p < s->pixels; p++) {
                const int64_t i = p * s->channels + c;
                const float xhat = (x[i] + shift(bias, c) - mean[g]) * rstd[g];
                const float d = gamma[c] * xhat + beta[c] > 0 ? dy[i] : s->slope * dy[i];
                sum_d += d;
                sum_d_xhat += (double)d * xhat;
            }
            dbeta[c] = (float)sum_d;
            dgamma[c] = (float)sum_d_xhat;
            mean_d += gamma[c] * sum_d / count;
            mean_d_xhat += gamma[c] * sum_d_xhat / count;
        }
        for (int64_t c = g * width; c < (g + 1) * width; c++) {
            double sum_dx = 0;
            for (int64_t p = 0; p < s->pixels; p++) {
                const int64_t i = p * s->channels + c;
                const float xhat = (x[i] + shift(bias, c) - mean[g]) * rstd[g];
                const float d = gamma[c] * xhat + beta[c] > 0 ? dy[i] : s->slope * dy[i];
                const double result = rstd[g] * (gamma[c] * (double)d - mean_d - xhat * mean_d_xhat);
                sum_dx += result;
                dx[i] = (float)result;
            }
            if (dbias) dbias[c] = (float)sum_dx;
        }
    }
}
