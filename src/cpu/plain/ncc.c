/* Squared local correlation, plain C: what the forms in simd/ncc.c must equal (GVSL and GEMINI, He et al.).  Of a window of n pixels
 * around p, zeros outside the image, with sums s_a, s_b, s_ab, s_aa, s_bb in double:
 *
 *   cross = s_ab - s_a s_b / n    var_a = max(s_aa - s_a^2 / n, 0)    D = var_a var_b + 1e-5    cc = cross^2 / D
 *   g1 = mask 2 cross / D         g2 = -mask cross^2 var_b / D^2      g3 = g1 s_b / n + 2 g2 s_a / n
 *   da = scale (b box(g1) + 2 a box(g2) - box(g3)),  box = the sum over the windows that p is in */
#include "../forms.h"

/* The pixels of the window around p, one after the other: first..last along each axis. */
struct window {
    int64_t first[3], last[3];
};
static struct window window_at(const struct ncc_shape *s, int64_t p) {
    const int64_t *size = s->grid.size, at[3] = {p / (size[1] * size[2]), p / size[2] % size[1], p % size[2]};
    struct window window;
    for (int i = 0; i < 3; i++) {
        const int64_t half = i < 3 - s->grid.ndim ? 0 : s->window / 2;
        window.first[i] = at[i] < half ? 0 : at[i] - half;
        window.last[i] = at[i] + half < size[i] ? at[i] + half : size[i] - 1;
    }
    return window;
}
#define EACH_OF_WINDOW(q, window, size)                                                                                            \
    for (int64_t z_ = (window).first[0]; z_ <= (window).last[0]; z_++)                                                             \
        for (int64_t y_ = (window).first[1]; y_ <= (window).last[1]; y_++)                                                         \
            for (int64_t q = (z_ * (size)[1] + y_) * (size)[2] + (window).first[2],                                                \
                         end_ = (z_ * (size)[1] + y_) * (size)[2] + (window).last[2];                                              \
                 q <= end_; q++)

static double above_zero(double variance) { return variance > 0 ? variance : variance <= 0 ? 0 : variance; /* a NaN stays */ }

void ncc_loss_plain(double *sums, float *slopes, const float *a, const float *b, const float *mask, const struct ncc_shape *s,
                    int block, int blocks, void *workspace) {
    const int64_t c = s->channels, pixels = grid_pixels(&s->grid), all = pixels * c;
    const double n = s->grid.ndim == 2 ? s->window * s->window : s->window * s->window * s->window;
    double total = 0, counted = 0;
    int64_t begin, end;
    (void)workspace;
    slab_share(pixels, block, blocks, &begin, &end);
    for (int64_t i = begin * c; i < end * c; i++) {
        const double counts = mask ? (double)mask[i / c] : 1;
        const struct window window = window_at(s, i / c);
        double sa = 0, sb = 0, ab = 0, aa = 0, bb = 0;
        EACH_OF_WINDOW(q, window, s->grid.size) {
            const double x = a[q * c + i % c], y = b[q * c + i % c];
            sa += x, sb += y, ab += x * y, aa += x * x, bb += y * y;
        }
        const double cross = ab - sa * sb / n, var_b = above_zero(bb - sb * sb / n);
        const double below = above_zero(aa - sa * sa / n) * var_b + 1e-5;
        total += counts * cross * cross / below;
        if (i % c == 0) counted += counts;
        if (!slopes) continue;
        const double g1 = counts * 2 * cross / below, g2 = -counts * cross * cross * var_b / (below * below);
        slopes[i] = (float)g1, slopes[all + i] = (float)g2, slopes[2 * all + i] = (float)(g1 * sb / n + 2 * g2 * sa / n);
    }
    if (sums) sums[0] = total, sums[1] = counted;
}

void ncc_loss_grad_plain(float *da, const float *slopes, const float *a, const float *b, const struct ncc_shape *s, float scale,
                         int slab, int slabs, void *workspace) {
    const int64_t c = s->channels, pixels = grid_pixels(&s->grid), all = pixels * c;
    int64_t begin, end;
    (void)workspace;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t i = begin * c; i < end * c; i++) {
        const struct window window = window_at(s, i / c);
        double g1 = 0, g2 = 0, g3 = 0;
        EACH_OF_WINDOW(q, window, s->grid.size) {
            const float *const slope = slopes + q * c + i % c;
            g1 += slope[0], g2 += slope[all], g3 += slope[2 * all];
        }
        da[i] = (float)(scale * (b[i] * g1 + 2 * a[i] * g2 - g3));
    }
}
