/* Max pooling over windows of 2^ndim pixels, and the mean over all, plain C: what the forms in simd/pool.c must equal.
 * Paper: the U-Net's way down; the classifier's head.
 *
 *   y(p) = max over k in {0,1}^ndim of x(2p + k)          dx(2p + k) = dy(p) where k is the maximum's place, else 0
 *   global_pool: y = sum over p of x(p) / pixels              dx(p) = dy / pixels */
#include "../forms.h"

#include <math.h>
#include <string.h>

/* Places of a window, their order being memory order; the window has one plane in 2D. */
struct window {
    int64_t size[3]; /* of the pooled grid */
    int places;
    int64_t offset[8]; /* in pixels of the input */
};

static struct window window_of(const struct grid *grid) {
    struct window window = {.places = 1 << grid->ndim};
    for (int i = 0; i < 3; i++) window.size[i] = i < 3 - grid->ndim ? 1 : grid->size[i] / 2;
    for (int k = 0; k < window.places; k++)
        window.offset[k] = ((k >> 2) * grid->size[1] + (k >> 1 & 1)) * grid->size[2] + (k & 1);
    return window;
}

void max_pool2_plain(float *y, uint8_t *index, const float *x, const struct grid *grid, int64_t channels, int slab,
                     int slabs) {
    const struct window window = window_of(grid);
    int64_t begin, end;
    slab_share(window.size[0] * window.size[1], slab, slabs, &begin, &end);
    y += begin * window.size[2] * channels, index += begin * window.size[2] * channels;
    for (int64_t row = begin; row < end; row++)
        for (int64_t w = 0; w < window.size[2]; w++) {
            const int64_t z = row / window.size[1], h = row % window.size[1];
            const float *corner = x + ((2 * z * grid->size[1] + 2 * h) * grid->size[2] + 2 * w) * channels;
            for (int64_t c = 0; c < channels; c++) {
                float best = corner[c];
                int place = 0;
                for (int k = 1; k < window.places; k++) {
                    const float value = corner[window.offset[k] * channels + c];
                    if (!(value <= best) && !isnan(best)) best = value, place = k;
                }
                *y++ = best;
                *index++ = (uint8_t)place;
            }
        }
}

void max_pool2_grad_plain(float *dx, const float *dy, const uint8_t *index, const struct grid *grid,
                          int64_t channels) {
    const struct window window = window_of(grid);
    memset(dx, 0, (size_t)(grid_pixels(grid) * channels) * sizeof *dx);
    for (int64_t z = 0; z < window.size[0]; z++)
        for (int64_t h = 0; h < window.size[1]; h++)
            for (int64_t w = 0; w < window.size[2]; w++) {
                float *corner = dx + ((2 * z * grid->size[1] + 2 * h) * grid->size[2] + 2 * w) * channels;
                for (int64_t c = 0; c < channels; c++) corner[window.offset[*index++] * channels + c] = *dy++;
            }
}

void global_pool_plain(float *y, const float *x, int64_t pixels, int64_t channels) {
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0;
        for (int64_t p = 0; p < pixels; p++) sum += x[p * channels + c];
        y[c] = (float)(sum / (double)pixels);
    }
}

void global_pool_grad_plain(float *dx, const float *dy, int64_t pixels, int64_t channels) {
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < channels; c++) dx[p * channels + c] = (float)((double)dy[c] / (double)pixels);
}
