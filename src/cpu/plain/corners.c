/* Linear resizing with aligned corners, plain C: what the forms in simd/corners.c must equal.  Paper: VPA's up2.
 *
 *   y(i) = sum over j of W(i, j) x(j),  dx(j) = sum over i of W(i, j) dy(i),  W a product over the axes of
 *   max(0, 1 - |i * (n - 1) / (m - 1) - j|), m pixels from n; position 0 where m = 1 */
#include "../forms.h"

#include <string.h>

/* Row i of W on one axis: the pixels low and high with weights 1 - fraction and fraction. */
struct taps {
    int64_t low, high;
    float fraction;
};

static struct taps corners(int64_t i, int64_t n, int64_t m) {
    if (m == 1) return (struct taps){0, 0, 0};
    const int64_t low = i * (n - 1) / (m - 1), rest = i * (n - 1) % (m - 1);
    return (struct taps){low, rest ? low + 1 : low, (float)((double)rest / (double)(m - 1))};
}

/* Calls that walk over (output pixel, tap, weight) are the same for the resize and its transpose.  A slab is rows of what is
 * written. */
static void corners_walk(float *y, const float *x, float *dx, const float *dy, const struct grid *from, const struct grid *to,
                         int64_t channels, float scale, int slab, int slabs) {
    const struct grid *written = y ? to : from;
    int64_t begin, end;
    slab_share(written->size[0] * written->size[1], slab, slabs, &begin, &end);
    if (dx) memset(dx + begin * from->size[2] * channels, 0, (size_t)((end - begin) * from->size[2] * channels) * sizeof *dx);
    for (int64_t row = y ? begin : 0; row < (y ? end : to->size[0] * to->size[1]); row++)
        for (int64_t w = 0; w < to->size[2]; w++) {
            const struct taps axis[3] = {corners(row / to->size[1], from->size[0], to->size[0]),
                                         corners(row % to->size[1], from->size[1], to->size[1]),
                                         corners(w, from->size[2], to->size[2])};
            const int64_t out = (row * to->size[2] + w) * channels;
            if (y) memset(y + out, 0, (size_t)channels * sizeof *y);
            for (int k = 0; k < 8; k++) {
                int64_t in = 0;
                float share = scale;
                for (int a = 0; a < 3; a++) {
                    const bool high = k >> (2 - a) & 1;
                    in = in * from->size[a] + (high ? axis[a].high : axis[a].low);
                    share *= high ? axis[a].fraction : 1 - axis[a].fraction;
                }
                const int64_t in_row = in / from->size[2];
                if (share == 0 || (dx && (in_row < begin || in_row >= end))) continue;
                for (int64_t c = 0; c < channels; c++) {
                    if (y) y[out + c] += share * x[in * channels + c];
                    if (dx) dx[in * channels + c] += share * dy[out + c];
                }
            }
        }
}

void resize_corners_plain(float *y, const float *x, const struct grid *from, const struct grid *to, int64_t channels, float scale,
                          int slab, int slabs) {
    corners_walk(y, x, NULL, NULL, from, to, channels, scale, slab, slabs);
}

void resize_corners_grad_plain(float *dx, const float *dy, const struct grid *from, const struct grid *to, int64_t channels,
                               float scale, int slab, int slabs) {
    corners_walk(NULL, NULL, dx, dy, from, to, channels, scale, slab, slabs);
}
