/* Linear resizing, plain C: what the forms in simd/resize.c must equal.
 * Paper: the U-Net's way up (half-pixel centres, then concatenation) and VPA's up2 (aligned corners).
 *
 *   y(i) = sum over j of W(i, j) x(j),  dx(j) = sum over i of W(i, j) dy(i),  W a product over the axes of
 *   half-pixel centres, 2n pixels from n:  W = max(0, 1 - |clamp((i + 1/2) / 2 - 1/2, 0, n - 1) - j|)
 *   aligned corners, m pixels from n:      W = max(0, 1 - |i * (n - 1) / (m - 1) - j|),  position 0 where m = 1 */
#include "../forms.h"

#include <string.h>

/* Row i of W on one axis: the pixels low and high with weights 1 - fraction and fraction. */
struct taps {
    int64_t low, high;
    float fraction;
};

static struct taps half_pixel(int64_t i, int64_t n) {
    const int64_t j = i / 2;
    if (i % 2) return (struct taps){j, j + 1 < n ? j + 1 : j, 0.25f};
    return (struct taps){j > 0 ? j - 1 : 0, j, 0.75f};
}

static struct taps corners(int64_t i, int64_t n, int64_t m) {
    if (m == 1) return (struct taps){0, 0, 0};
    const int64_t low = i * (n - 1) / (m - 1), rest = i * (n - 1) % (m - 1);
    return (struct taps){low, rest ? low + 1 : low, (float)((double)rest / (double)(m - 1))};
}

static float weight(struct taps t, int64_t j) {
    return (t.low == j ? 1 - t.fraction : 0) + (t.high == j ? t.fraction : 0);
}

/* The axis that 2D does not have is not resized. */
static struct taps half_pixel_plane(int64_t i, const struct grid *grid) {
    return grid->ndim == 3 ? half_pixel(i, grid->size[0]) : (struct taps){i, i, 0};
}

void upsample_concat_plain(float *y, const float *skip, const float *deep, const struct grid *grid,
                           int64_t skip_channels, int64_t deep_channels, int slab, int slabs) {
    const int64_t height = 2 * grid->size[1], width = 2 * grid->size[2];
    const int64_t planes = grid->ndim == 3 ? 2 * grid->size[0] : 1;
    int64_t begin, end;
    slab_share(planes * height, slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        for (int64_t w = 0; w < width; w++) {
            const int64_t pixel = row * width + w;
            float *out = y + pixel * (skip_channels + deep_channels);
            memcpy(out, skip + pixel * skip_channels, (size_t)skip_channels * sizeof *out);
            const struct taps z = half_pixel_plane(row / height, grid), h = half_pixel(row % height, grid->size[1]),
                              v = half_pixel(w, grid->size[2]);
            for (int64_t c = 0; c < deep_channels; c++) {
                float sum = 0;
                for (int k = 0; k < 8; k++) {
                    const int64_t plane = k & 4 ? z.high : z.low, line = k & 2 ? h.high : h.low;
                    const float share = (k & 4 ? z.fraction : 1 - z.fraction) * (k & 2 ? h.fraction : 1 - h.fraction) *
                                        (k & 1 ? v.fraction : 1 - v.fraction);
                    const int64_t at = (plane * grid->size[1] + line) * grid->size[2] + (k & 1 ? v.high : v.low);
                    if (share != 0) sum += share * deep[at * deep_channels + c];
                }
                out[skip_channels + c] = sum;
            }
        }
}

void upsample_concat_grad_plain(float *dskip, float *ddeep, const float *dy, const struct grid *grid,
                                int64_t skip_channels, int64_t deep_channels, int slab, int slabs) {
    const int64_t height = 2 * grid->size[1], width = 2 * grid->size[2], channels = skip_channels + deep_channels;
    const int64_t planes = grid->ndim == 3 ? 2 * grid->size[0] : 1;
    int64_t begin, end;
    slab_share(planes * height, slab, slabs, &begin, &end);
    for (int64_t p = begin * width; p < end * width; p++)
        memcpy(dskip + p * skip_channels, dy + p * channels, (size_t)skip_channels * sizeof *dskip);

    slab_share(grid->size[0] * grid->size[1], slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        for (int64_t j = 0; j < grid->size[2]; j++)
            for (int64_t c = 0; c < deep_channels; c++) {
                const int64_t plane = row / grid->size[1], line = row % grid->size[1];
                float sum = 0;
                for (int64_t z = 2 * plane - 1; z <= 2 * plane + 2; z++)
                    for (int64_t h = 2 * line - 1; h <= 2 * line + 2; h++)
                        for (int64_t w = 2 * j - 1; w <= 2 * j + 2; w++) {
                            if (z < 0 || z >= planes || h < 0 || h >= height || w < 0 || w >= width) continue;
                            const float share = weight(half_pixel_plane(z, grid), plane) *
                                                weight(half_pixel(h, grid->size[1]), line) *
                                                weight(half_pixel(w, grid->size[2]), j);
                            sum += share * dy[((z * height + h) * width + w) * channels + skip_channels + c];
                        }
                ddeep[(row * grid->size[2] + j) * deep_channels + c] = sum;
            }
}

/* Calls that walk over (output pixel, tap, weight) are the same for the resize and its transpose. */
static void corners_walk(float *y, const float *x, float *dx, const float *dy, const struct grid *from,
                         const struct grid *to, int64_t channels, float scale) {
    for (int64_t z = 0; z < to->size[0]; z++)
        for (int64_t h = 0; h < to->size[1]; h++)
            for (int64_t w = 0; w < to->size[2]; w++) {
                const struct taps axis[3] = {corners(z, from->size[0], to->size[0]),
                                             corners(h, from->size[1], to->size[1]),
                                             corners(w, from->size[2], to->size[2])};
                const int64_t out = ((z * to->size[1] + h) * to->size[2] + w) * channels;
                if (y) memset(y + out, 0, (size_t)channels * sizeof *y);
                for (int k = 0; k < 8; k++) {
                    int64_t in = 0;
                    float share = scale;
                    for (int a = 0; a < 3; a++) {
                        const bool high = k >> (2 - a) & 1;
                        in = in * from->size[a] + (high ? axis[a].high : axis[a].low);
                        share *= high ? axis[a].fraction : 1 - axis[a].fraction;
                    }
                    if (share == 0) continue;
                    for (int64_t c = 0; c < channels; c++) {
                        if (y) y[out + c] += share * x[in * channels + c];
                        if (dx) dx[in * channels + c] += share * dy[out + c];
                    }
                }
            }
}

void resize_corners_plain(float *y, const float *x, const struct grid *from, const struct grid *to, int64_t channels,
                          float scale) {
    corners_walk(y, x, NULL, NULL, from, to, channels, scale);
}

void resize_corners_grad_plain(float *dx, const float *dy, const struct grid *from, const struct grid *to,
                               int64_t channels, float scale) {
    memset(dx, 0, (size_t)(grid_pixels(from) * channels) * sizeof *dx);
    corners_walk(NULL, NULL, dx, dy, from, to, channels, scale);
}
