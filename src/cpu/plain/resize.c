/* Upsampling, plain C: what the forms in simd/resize.c must equal.
 * Paper: the U-Net's way up (half-pixel centres).
 *
 *   y(i) = sum over j of W(i, j) x(j),  dx(j) = sum over i of W(i, j) dy(i),  W a product over the axes of
 *   max(0, 1 - |clamp((i + 1/2) / 2 - 1/2, 0, n - 1) - j|), 2n pixels from n */
#include "load.h"

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

static float weight(struct taps t, int64_t j) { return (t.low == j ? 1 - t.fraction : 0) + (t.high == j ? t.fraction : 0); }

/* The axis that 2D does not have is not resized. */
static struct taps half_pixel_plane(int64_t i, const struct grid *grid) {
    return grid->ndim == 3 ? half_pixel(i, grid->size[0]) : (struct taps){i, i, 0};
}

static int64_t planes_of(const struct grid *grid) { return grid->ndim == 3 ? 2 * grid->size[0] : 1; }

/* One channel of pixel `w` of row `row` of y. */
static float up(const element *deep, const struct norm_load *norm, const struct grid *grid, int64_t row, int64_t w,
                int64_t channels, int64_t c) {
    const int64_t height = 2 * grid->size[1];
    const struct taps z = half_pixel_plane(row / height, grid), h = half_pixel(row % height, grid->size[1]),
                      v = half_pixel(w, grid->size[2]);
    float sum = 0;
    for (int k = 0; k < 8; k++) {
        const int64_t plane = k & 4 ? z.high : z.low, line = k & 2 ? h.high : h.low;
        const float share =
            (k & 4 ? z.fraction : 1 - z.fraction) * (k & 2 ? h.fraction : 1 - h.fraction) * (k & 1 ? v.fraction : 1 - v.fraction);
        const int64_t at = (plane * grid->size[1] + line) * grid->size[2] + (k & 1 ? v.high : v.low);
        if (share != 0) sum += share * load(deep[at * channels + c], norm, c);
    }
    return sum;
}

/* One channel of pixel j of row `row` of ddeep. */
static float down(const element *dy, const struct grid *grid, int64_t row, int64_t j, int64_t channels, int64_t c) {
    const int64_t plane = row / grid->size[1], line = row % grid->size[1];
    const int64_t height = 2 * grid->size[1], width = 2 * grid->size[2];
    float sum = 0;
    for (int64_t z = 2 * plane - 1; z <= 2 * plane + 2; z++)
        for (int64_t h = 2 * line - 1; h <= 2 * line + 2; h++)
            for (int64_t w = 2 * j - 1; w <= 2 * j + 2; w++) {
                if (z < 0 || z >= planes_of(grid) || h < 0 || h >= height || w < 0 || w >= width) continue;
                const float share = weight(half_pixel_plane(z, grid), plane) * weight(half_pixel(h, grid->size[1]), line) *
                                    weight(half_pixel(w, grid->size[2]), j);
                sum += share * to_float(dy[((z * height + h) * width + w) * channels + c]);
            }
    return sum;
}

void PLAIN(upsample)(void *y, const void *deep, const struct norm_load *norm, const struct grid *grid, int64_t channels, int slab,
                     int slabs) {
    const int64_t width = 2 * grid->size[2];
    int64_t begin, end;
    slab_share(planes_of(grid) * 2 * grid->size[1], slab, slabs, &begin, &end);
    element *out = (element *)y + begin * width * channels;
    for (int64_t row = begin; row < end; row++)
        for (int64_t w = 0; w < width; w++)
            for (int64_t c = 0; c < channels; c++) *out++ = from_float(up(deep, norm, grid, row, w, channels, c));
}

void PLAIN(upsample_grad)(void *ddeep, const void *dy, const struct grid *grid, int64_t channels, int slab, int slabs) {
    int64_t begin, end;
    slab_share(grid->size[0] * grid->size[1], slab, slabs, &begin, &end);
    element *out = (element *)ddeep + begin * grid->size[2] * channels;
    for (int64_t row = begin; row < end; row++)
        for (int64_t j = 0; j < grid->size[2]; j++)
            for (int64_t c = 0; c < channels; c++) *out++ = from_float(down(dy, grid, row, j, channels, c));
}
