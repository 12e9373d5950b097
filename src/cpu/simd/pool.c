/* Pooling: max_pool2_plain and global_pool_plain in plain/pool.c, vectors along the channels.  A window lies within the image, also where
 * an odd axis drops its last row, so there are no edges but the last channels. */
#include "vec.h"

/* A window's places in memory order; the first is its corner. */
struct window {
    int64_t size[3]; /* of the pooled grid */
    int places;
    int64_t offset[8]; /* in elements of the input */
};

static struct window window_of(const struct grid *grid, int64_t channels) {
    struct window window = {.places = 1 << grid->ndim};
    for (int i = 0; i < 3; i++) window.size[i] = i < 3 - grid->ndim ? 1 : grid->size[i] / 2;
    for (int k = 0; k < window.places; k++)
        window.offset[k] = (((k >> 2) * grid->size[1] + (k >> 1 & 1)) * grid->size[2] + (k & 1)) * channels;
    return window;
}

/* One row of windows, with `places` known to the compiler. */
INLINE void pool_row(float *y, uint8_t *index, const float *x, const struct window *window, int places,
                     int64_t channels) {
    for (int64_t w = 0; w < window->size[2]; w++, x += 2 * channels, y += channels, index += channels)
        for (int64_t c = 0; c < channels; c += LANES) {
            vf best = v_load_first(x + c, channels - c);
            vi place = vi_all(0);
            UNROLL for (int k = 1; k < places; k++) {
                const vf value = v_load_first(x + window->offset[k] + c, channels - c);
                /* larger, or the first NaN */
                const vm wins = vm_and(V_COMPARE(value, _CMP_NLE_UQ, best), V_COMPARE(best, _CMP_ORD_Q, best));
                best = v_select(wins, value, best);
                place = vi_select(wins, vi_all(k), place);
            }
            v_store_first(y + c, best, channels - c);
            vi_store_bytes(index + c, place, channels - c);
        }
}

INLINE void pool_row_grad(float *dx, const float *dy, const uint8_t *index, const struct window *window, int places,
                          int64_t channels) {
    for (int64_t w = 0; w < window->size[2]; w++, dx += 2 * channels, dy += channels, index += channels)
        for (int64_t c = 0; c < channels; c += LANES) {
            const vf gradient = v_load_first(dy + c, channels - c);
            const vi place = vi_load_bytes(index + c, channels - c);
            UNROLL for (int k = 0; k < places; k++) {
                const vf value = v_select(vi_equal(place, vi_all(k)), gradient, v_zero());
                v_store_first(dx + window->offset[k] + c, value, channels - c);
            }
        }
}

void FORM(max_pool2)(float *y, uint8_t *index, const float *x, const struct grid *grid, int64_t channels, int slab,
                     int slabs) {
    const struct window window = window_of(grid, channels);
    int64_t begin, end;
    slab_share(window.size[0] * window.size[1], slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const int64_t z = row / window.size[1], h = row % window.size[1], out = row * window.size[2] * channels;
        const float *corner = x + (2 * z * grid->size[1] + 2 * h) * grid->size[2] * channels;
        if (grid->ndim == 3) pool_row(y + out, index + out, corner, &window, 8, channels);
        else pool_row(y + out, index + out, corner, &window, 4, channels);
    }
}

/* Zero what odd axes drop: pixels that no window covers. */
static void zero_dropped(float *dx, const struct grid *grid, const struct window *window, int64_t channels) {
    const int64_t line = grid->size[2] * channels;
    for (int64_t z = 0; z < grid->size[0]; z++)
        for (int64_t h = 0; h < grid->size[1]; h++) {
            const bool covered = (grid->ndim == 2 || z < 2 * window->size[0]) && h < 2 * window->size[1];
            const int64_t first = covered ? 2 * window->size[2] * channels : 0;
            memset(dx + (z * grid->size[1] + h) * line + first, 0, (size_t)(line - first) * sizeof *dx);
        }
}

void FORM(max_pool2_grad)(float *dx, const float *dy, const uint8_t *index, const struct grid *grid,
                          int64_t channels) {
    const struct window window = window_of(grid, channels);
    for (int64_t row = 0; row < window.size[0] * window.size[1]; row++) {
        const int64_t z = row / window.size[1], h = row % window.size[1], in = row * window.size[2] * channels;
        float *corner = dx + (2 * z * grid->size[1] + 2 * h) * grid->size[2] * channels;
        if (grid->ndim == 3) pool_row_grad(corner, dy + in, index + in, &window, 8, channels);
        else pool_row_grad(corner, dy + in, index + in, &window, 4, channels);
    }
    zero_dropped(dx, grid, &window, channels);
}

void FORM(global_pool)(float *y, const float *x, int64_t pixels, int64_t channels) {
    for (int64_t c = 0; c < channels; c += LANES) {
        vd low = vd_zero(), high = vd_zero();
        for (int64_t p = 0; p < pixels; p++) {
            const vf value = v_load_first(x + p * channels + c, channels - c);
            low += vd_low(value), high += vd_high(value);
        }
        double sum[LANES];
        vd_store(sum, low), vd_store(sum + LANES / 2, high);
        for (int64_t i = 0; i < LANES && c + i < channels; i++) y[c + i] = (float)(sum[i] / (double)pixels);
    }
}

void FORM(global_pool_grad)(float *dx, const float *dy, int64_t pixels, int64_t channels) {
    for (int64_t c = 0; c < channels; c++) dx[c] = (float)((double)dy[c] / (double)pixels);
    for (int64_t p = 1; p < pixels; p++) memcpy(dx + p * channels, dx, (size_t)channels * sizeof *dx);
}
