/* Gaussian smoothing along one axis: the kernel, and a convolution of whole rows that serves every axis, since along
 * the last one row k is the same row k places on.  Called by the deformations and by the blur of SeVR. */
#include "sevr_parts.h"

#include <math.h>

int gaussian_radius(double sigma) { return (int)(4 * sigma + 0.5); }

void gaussian_weights(float *weights, double sigma, int first, int count) {
    double sum = 1;
    for (int k = 1; k <= gaussian_radius(sigma); k++) sum += 2 * exp(-0.5 * k * k / (sigma * sigma));
    for (int i = 0; i < count; i++) {
        const int k = first + i;
        weights[i] = (float)(exp(-0.5 * k * k / (sigma * sigma)) / sum);
    }
}

void gaussian_kernel(float *kernel, double sigma, int taps) { gaussian_weights(kernel, sigma, 0, taps + 1); }

typedef float quad __attribute__((vector_size(16), aligned(4), may_alias));

/* Blocks of 16 stay in registers over all taps; each place sees the same operations in the same order in both loops. */
void convolve_rows(float *out, const float *const *rows, const float *kernel, int taps, int64_t count) {
    int64_t x = 0;
    for (; x + 16 <= count; x += 16) {
        const quad *middle = (const quad *)(rows[0] + x);
        quad sum0 = kernel[0] * middle[0], sum1 = kernel[0] * middle[1], sum2 = kernel[0] * middle[2], sum3 = kernel[0] * middle[3];
        for (int k = 1; k <= taps; k++) {
            const quad *before = (const quad *)(rows[-k] + x), *behind = (const quad *)(rows[k] + x);
            sum0 += kernel[k] * (before[0] + behind[0]);
            sum1 += kernel[k] * (before[1] + behind[1]);
            sum2 += kernel[k] * (before[2] + behind[2]);
            sum3 += kernel[k] * (before[3] + behind[3]);
        }
        quad *to = (quad *)(out + x);
        to[0] = sum0, to[1] = sum1, to[2] = sum2, to[3] = sum3;
    }
    for (; x < count; x++) {
        float sum = kernel[0] * rows[0][x];
        for (int k = 1; k <= taps; k++) sum += kernel[k] * (rows[-k][x] + rows[k][x]);
        out[x] = sum;
    }
}
