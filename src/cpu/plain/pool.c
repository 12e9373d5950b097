/* Max pooling over windows of 2^ndim pixels, and the mean over all, plain C: what the forms in simd/pool.c must equal.
 * Paper: the U-Net's way down; the classifier's head.
 *
 *   y(p) = max over k in {0,1}^ndim of x(2p + k)   dx(2p + k) = plus(2p + k) + (dy(p) where k is the maximum's place, else 0)
 *   global_pool: y = sum over p of x(p) / pixels              dx(p) = dy / pixels */
#include "load.h"

#include <math.h>

/* Places of a window, their order being memory order; the window has one plane in 2D. */
struct window {
    int64_t size[3]; /* of the pooled grid */
    int places;
    int64_t offset[8]; /* in pixels of the input */
};

static struct window window_of(const struct grid *grid) {
    struct window window = {.places = 1 << grid->ndim};
    for (int i = 0; i < 3; i++) window.size[i] = i < 3 - grid->ndim ? 1 : grid->size[i] / 2;
    for (int k = 0; k < window.places; k++) window.offset[k] = ((k >> 2) * grid->size[1] + (k >> 1 & 1)) * grid->size[2] + (k & 1);
    return window;
}

void PLAIN(max_pool2)(void *y, uint8_t *index, const void *x, const struct norm_load *norm, const struct grid *grid,
                      int64_t channels, int slab, int slabs) {
    const struct window window = window_of(grid);
    int64_t begin, end;
    slab_share(window.size[0] * window.size[1], slab, slabs, &begin, &end);
    element *out = (element *)y + begin * window.size[2] * channels;
    index += begin * window.size[2] * channels;
    for (int64_t row = begin; row < end; row++)
        for (int64_t w = 0; w < window.size[2]; w++) {
            const int64_t z = row / window.size[1], h = row % window.size[1];
            const element *corner = (const element *)x + ((2 * z * grid->size[1] + 2 * h) * grid->size[2] + 2 * w) * channels;
            for (int64_t c = 0; c < channels; c++) {
                float best = load(corner[c], norm, c);
                int place = 0;
                for (int k = 1; k < window.places; k++) {
                    const float value = load(corner[window.offset[k] * channels + c], norm, c);
                    if (!(value <= best) && !isnan(best)) best = value, place = k;
                }
                *out++ = from_float(best);
                *index++ = (uint8_t)place;
            }
        }
}

void PLAIN(max_pool2_grad)(void *dx, const void *plus, const void *dy, const uint8_t *index, const struct grid *grid,
                           int64_t channels, int slab, int slabs) {
    const struct window window = window_of(grid);
    int64_t begin, end;
    slab_share(grid->size[0] * grid->size[1], slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        for (int64_t i = row * grid->size[2] * channels; i < (row + 1) * grid->size[2] * channels; i++) {
            const int64_t w = i / channels % grid->size[2], h = row % grid->size[1], z = row / grid->size[1];
            const int64_t plane = grid->ndim == 3 ? z / 2 : 0, place = (grid->ndim == 3 ? z % 2 * 4 : 0) + h % 2 * 2 + w % 2;
            const bool covered = plane < window.size[0] && h / 2 < window.size[1] && w / 2 < window.size[2];
            const int64_t in = ((plane * window.size[1] + h / 2) * window.size[2] + w / 2) * channels + i % channels;
            const float gradient = covered && index[in] == place ? to_float(((const element *)dy)[in]) : 0;
            ((element *)dx)[i] = from_float(gradient + (plus ? to_float(((const element *)plus)[i]) : 0));
        }
}

void PLAIN(global_pool)(void *y, const void *x, int64_t pixels, int64_t channels) {
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0;
        for (int64_t p = 0; p < pixels; p++) sum += to_float(((const element *)x)[p * channels + c]);
        ((element *)y)[c] = from_float((float)(sum / (double)pixels));
    }
}

void PLAIN(global_pool_grad)(void *dx, const void *dy, int64_t pixels, int64_t channels) {
    for (int64_t i = 0; i < pixels * channels; i++)
        ((element *)dx)[i] = from_float((float)((double)to_float(((const element *)dy)[i % channels]) / (double)pixels));
}
