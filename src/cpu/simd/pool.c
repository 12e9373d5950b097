/* Pooling: max_pool2_plain and global_pool_plain in plain/pool.c, vectors along the channels.  A window lies within the
 * image, also where an odd axis drops its last row.  Backward a row of dx at a time, so that slabs cover what is dropped. */
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

/* One row of windows, with `places` and whether there is a norm known to the compiler. */
INLINE void pool_row(element *y, uint8_t *index, const element *x, const struct norm_load *norm, const struct window *window,
                     int places, int64_t channels) {
    const int64_t ahead = 4 * channels * window->size[2]; /* the next row of windows: more streams than the processor follows */
    for (int64_t w = 0; w < window->size[2]; w++, x += 2 * channels, y += channels, index += channels)
        for (int64_t c = 0; c < channels; c += LANES) {
            const int64_t left = channels - c;
            vf scale, offset;
            v_load_norm(&scale, &offset, norm, c, left);
            UNROLL for (int k = 0; k < places; k++) _mm_prefetch((const char *)(x + window->offset[k] + ahead + c), _MM_HINT_T0);
            vf best = v_normed(v_load_first_e(x + c, left), norm, scale, offset);
            vi place = vi_all(0);
            UNROLL for (int k = 1; k < places; k++) {
                const vf value = v_normed(v_load_first_e(x + window->offset[k] + c, left), norm, scale, offset);
                /* larger, or the first NaN */
                const vm wins = vm_and(V_COMPARE(value, _CMP_NLE_UQ, best), V_COMPARE(best, _CMP_ORD_Q, best));
                best = v_select(wins, value, best);
                place = vi_select(wins, vi_all(k), place);
            }
            v_store_first_e(y + c, best, left);
            vi_store_bytes(index + c, place, left);
        }
}

void FORM(max_pool2)(void *y, uint8_t *index, const void *x, const struct norm_load *norm, const struct grid *grid,
                     int64_t channels, int slab, int slabs) {
    const struct window window = window_of(grid, channels);
    int64_t begin, end;
    slab_share(window.size[0] * window.size[1], slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const int64_t z = row / window.size[1], h = row % window.size[1], at = row * window.size[2] * channels;
        const element *corner = (const element *)x + (2 * z * grid->size[1] + 2 * h) * grid->size[2] * channels;
        element *out = (element *)y + at;
        if (grid->ndim == 3 && norm) pool_row(out, index + at, corner, norm, &window, 8, channels);
        else if (grid->ndim == 3) pool_row(out, index + at, corner, NULL, &window, 8, channels);
        else if (norm) pool_row(out, index + at, corner, norm, &window, 4, channels);
        else pool_row(out, index + at, corner, NULL, &window, 4, channels);
    }
}

/* The places `first` and `first + 1` of a row of windows, where they lie in one row of dx. */
INLINE void grad_row(element *dx, const element *plus, const element *dy, const uint8_t *index, int64_t windows, int first,
                     int64_t channels) {
    for (int64_t w = 0; w < windows; w++, dy += channels, index += channels)
        for (int64_t c = 0; c < channels; c += LANES) {
            const int64_t left = channels - c, at = 2 * w * channels + c;
            const vf gradient = v_load_first_e(dy + c, left);
            const vi place = vi_load_bytes(index + c, left);
            UNROLL for (int k = 0; k < 2; k++) {
                vf value = v_select(vi_equal(place, vi_all(first + k)), gradient, v_zero());
                if (plus) value += v_load_first_e(plus + at + k * channels, left);
                v_store_first_e(dx + at + k * channels, value, left);
            }
        }
}

/* Where no window lies. */
static void grad_dropped(element *dx, const element *plus, int64_t count) {
    if (!plus) memset(dx, 0, (size_t)count * sizeof *dx);
    else if (dx != plus) memcpy(dx, plus, (size_t)count * sizeof *dx);
}

void FORM(max_pool2_grad)(void *dx, const void *plus, const void *dy, const uint8_t *index, const struct grid *grid,
                          int64_t channels, int slab, int slabs) {
    const struct window window = window_of(grid, channels);
    const int64_t line = grid->size[2] * channels, windows = window.size[2] * channels;
    int64_t begin, end;
    slab_share(grid->size[0] * grid->size[1], slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const int64_t plane = row / grid->size[1], height = row % grid->size[1], z = grid->ndim == 3 ? plane / 2 : 0,
                      h = height / 2;
        element *out = (element *)dx + row * line;
        const element *more = plus ? (const element *)plus + row * line : NULL;
        const bool covered = z < window.size[0] && h < window.size[1];
        if (covered) {
            const int64_t in = (z * window.size[1] + h) * windows;
            const int first = (int)(grid->ndim == 3 ? 4 * (plane % 2) : 0) + (int)(2 * (height % 2));
            if (more) grad_row(out, more, (const element *)dy + in, index + in, window.size[2], first, channels);
            else grad_row(out, NULL, (const element *)dy + in, index + in, window.size[2], first, channels);
        }
        const int64_t done = covered ? 2 * windows : 0;
        grad_dropped(out + done, more ? more + done : NULL, line - done);
    }
}

/* ---- the mean over all pixels */

void FORM(global_pool)(void *y, const void *x, int64_t pixels, int64_t channels) {
    for (int64_t c = 0; c < channels; c += LANES) {
        vd low = vd_zero(), high = vd_zero();
        for (int64_t p = 0; p < pixels; p++) {
            const vf value = v_load_first_e((const element *)x + p * channels + c, channels - c);
            low += vd_low(value), high += vd_high(value);
        }
        double sum[LANES];
        vd_store(sum, low), vd_store(sum + LANES / 2, high);
        for (int64_t i = 0; i < LANES && c + i < channels; i++)
            ((element *)y)[c + i] = from_float((float)(sum[i] / (double)pixels));
    }
}

void FORM(global_pool_grad)(void *dx, const void *dy, int64_t pixels, int64_t channels) {
    element *out = dx;
    for (int64_t c = 0; c < channels; c++)
        out[c] = from_float((float)((double)to_float(((const element *)dy)[c]) / (double)pixels));
    for (int64_t p = 1; p < pixels; p++) memcpy(out + p * channels, out, (size_t)channels * sizeof *out);
}
