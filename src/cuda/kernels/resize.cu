/* Upsampling to twice the size (half-pixel centres), linear resizing with aligned corners, and their gradients: cpu/plain/resize.c and
 * corners.c state the formulas.  Called by the executor's rows upsample, resize_corners and their gradients. */
#include "element.cuh"
#include "walk.cuh"

namespace {

/* ---- upsampling: between pixels i and i + 1 of the smaller side lie pixels 2i + 1 and 2i + 2 of the larger, which are linear in these
 * two.  A thread takes such a cell: 2^ndim pixels in, as many out.  Beyond an edge the pixel at the edge stands; the cells of an axis
 * are those of i = -1 .. size - 1. */

template <typename E, int V, int AXES>
__global__ void __launch_bounds__(BLOCK)
    upsample(E *y, const E *deep, cuda_norm norm, sizes from, sizes to, sizes cells, int64_t channels) {
    constexpr int CORNERS = 1 << AXES;
    const int64_t channel = my_vector() * V;
    const row at = my_row(cells);
    const int z = AXES == 3 ? at.z - 1 : 0, h = at.h - 1;
    if (channel >= channels) return;
    const norm_lanes<V> normalised(norm, at.image, channels, channel);
    EACH_COLUMN(column, cells.w) {
        const int w = column - 1;
        lanes<V> value[CORNERS];
#pragma unroll
        for (int k = 0; k < CORNERS; k++) {
            const int64_t pixel = pixel_at(from, at.image, clamped(z + (k >> 2), from.d), clamped(h + (k >> 1 & 1), from.h),
                                           clamped(w + (k & 1), from.w));
            value[k] = normalised(load<V>(deep + pixel * channels + channel));
        }
#pragma unroll
        for (int across = 1; across < CORNERS; across *= 2)
#pragma unroll
            for (int k = 0; k < CORNERS; k++) {
                if (k & across) continue;
#pragma unroll
                for (int i = 0; i < V; i++) {
                    const float low = value[k].at[i], high = value[k + across].at[i];
                    value[k].at[i] = 0.75f * low + 0.25f * high, value[k + across].at[i] = 0.25f * low + 0.75f * high;
                }
            }
#pragma unroll
        for (int k = 0; k < CORNERS; k++) {
            const int plane = AXES == 3 ? 2 * z + 1 + (k >> 2) : 0, line = 2 * h + 1 + (k >> 1 & 1), v = 2 * w + 1 + (k & 1);
            if (plane < 0 || plane >= to.d || line < 0 || line >= to.h || v < 0 || v >= to.w) continue;
            store<V>(y + pixel_at(to, at.image, plane, line, v) * channels + channel, value[k]);
        }
    }
}

/* Pixel j of the smaller side has 1/4, 3/4, 3/4, 1/4 of pixels 2j - 1 .. 2j + 2 of the larger; those beyond an edge are the pixel at
 * the edge again, which so has its whole share.  A thread gathers 4^ndim pixels. */
__device__ inline float share_of(int tap) { return tap == 0 || tap == 3 ? 0.25f : 0.75f; }

template <typename E, int V, int AXES>
__global__ void __launch_bounds__(BLOCK) upsample_grad(E *ddeep, const E *dy, sizes to, sizes from, int64_t channels) {
    constexpr int TAPS = 4, PLANES = AXES == 3 ? TAPS : 1;
    const int64_t channel = my_vector() * V;
    const row at = my_row(to);
    if (channel >= channels) return;
    EACH_COLUMN(w, to.w) {
        int64_t beside[TAPS];
#pragma unroll
        for (int t = 0; t < TAPS; t++) beside[t] = clamped(2 * w - 1 + t, from.w) * channels + channel;
        lanes<V> sum = {};
        for (int plane = 0; plane < PLANES; plane++) {
            const int z = AXES == 3 ? clamped(2 * at.z - 1 + plane, from.d) : 0;
#pragma unroll
            for (int line = 0; line < TAPS; line++) {
                const E *const first = dy + pixel_at(from, at.image, z, clamped(2 * at.h - 1 + line, from.h), 0) * channels;
                const float share = AXES == 3 ? share_of(plane) * share_of(line) : share_of(line);
                lanes<V> tap[TAPS];
#pragma unroll
                for (int t = 0; t < TAPS; t++) tap[t] = load<V>(first + beside[t]);
#pragma unroll
                for (int i = 0; i < V; i++) {
                    const float across = 0.25f * (tap[0].at[i] + tap[3].at[i]) + 0.75f * (tap[1].at[i] + tap[2].at[i]);
                    sum.at[i] = fmaf(share, across, sum.at[i]);
                }
            }
        }
        store<V>(ddeep + pixel_at(to, at.image, at.z, at.h, w) * channels + channel, sum);
    }
}

/* ---- aligned corners, m pixels from n: pixel i lies at i (n - 1) / (m - 1), exactly where integers tell, at 0 where m = 1.
 * A thread takes one number; fields have few channels.  Products of two positions are kept in 32 bits, which bounds an axis. */

constexpr int64_t AXIS_MOST = 1 << 16;
struct axis {
    unsigned n, m;
    float inverse; /* 1 / (m - 1) */
};
struct axes {
    axis of[3];
};
axes axes_of(const struct grid *from, const struct grid *to) {
    axes result;
    for (int a = 0; a < 3; a++)
        result.of[a] =
            axis{(unsigned)from->size[a], (unsigned)to->size[a], to->size[a] > 1 ? (float)(1 / (double)(to->size[a] - 1)) : 0};
    return result;
}
bool fits(const struct grid *grid) {
    return grid->size[0] <= AXIS_MOST && grid->size[1] <= AXIS_MOST && grid->size[2] <= AXIS_MOST;
}

struct taps {
    int low, high;
    float fraction;
};
__device__ inline taps taps_of(const axis &a, int i) {
    if (a.m == 1) return taps{0, 0, 0};
    const unsigned position = (unsigned)i * (a.n - 1), low = position / (a.m - 1), rest = position - low * (a.m - 1);
    return taps{(int)low, (int)low + (rest ? 1 : 0), (float)rest * a.inverse};
}

/* a + fraction (b - a), but a alone where the fraction is 0: what lies beside has no part, though it be NaN. */
__device__ inline float between(float a, float b, float fraction) {
    return fraction == 0 ? a : fmaf(fraction, b, (1 - fraction) * a);
}

__global__ void __launch_bounds__(BLOCK)
    resize_corners(float *y, const float *x, sizes from, sizes to, axes axes, int channels, float scale) {
    const int channel = (int)my_vector();
    const row at = my_row(to);
    if (channel >= channels) return;
    const taps z = taps_of(axes.of[0], at.z), h = taps_of(axes.of[1], at.h);
    EACH_COLUMN(w, to.w) {
        const taps v = taps_of(axes.of[2], w);
        float of_plane[2];
#pragma unroll
        for (int plane = 0; plane < 2; plane++) {
            float of_line[2];
#pragma unroll
            for (int line = 0; line < 2; line++) {
                const int64_t first =
                    pixel_at(from, at.image, plane ? z.high : z.low, line ? h.high : h.low, 0) * channels + channel;
                of_line[line] = between(x[first + (int64_t)v.low * channels], x[first + (int64_t)v.high * channels], v.fraction);
            }
            of_plane[plane] = between(of_line[0], of_line[1], h.fraction);
        }
        y[pixel_at(to, at.image, at.z, at.h, w) * channels + channel] = scale * between(of_plane[0], of_plane[1], z.fraction);
    }
}

/* The pixels of the larger side between j - 1 and j + 1, and how far pixel i lies from j: |i (n - 1) - j (m - 1)| / (m - 1). */
struct reach {
    int begin, end;
};
__device__ inline reach reach_of(const axis &a, int j) {
    if (a.m == 1 || a.n == 1) return reach{0, j == 0 ? (int)a.m : 0};
    const unsigned n = a.n - 1, begin = j == 0 ? 0 : (unsigned)(j - 1) * (a.m - 1) / n + 1;
    const unsigned end = ((unsigned)(j + 1) * (a.m - 1) + n - 1) / n;
    return reach{(int)begin, (int)(end < a.m ? end : a.m)};
}
__device__ inline float weight_of(const axis &a, int i, int j) {
    const int distance = (int)((unsigned)i * (a.n - 1) - (unsigned)j * (a.m - 1)); /* less than m, whatever the products */
    return 1 - (float)abs(distance) * a.inverse;
}

__global__ void __launch_bounds__(BLOCK, 3)
    resize_corners_grad(float *dx, const float *dy, sizes to, sizes from, axes axes, int channels, float scale) {
    const int channel = (int)my_vector();
    const row at = my_row(to);
    if (channel >= channels) return;
    const reach planes = reach_of(axes.of[0], at.z), lines = reach_of(axes.of[1], at.h);
    EACH_COLUMN(w, to.w) {
        const reach columns = reach_of(axes.of[2], w);
        float sum = 0;
        for (int z = planes.begin; z < planes.end; z++) {
            const float of_plane = weight_of(axes.of[0], z, at.z);
            for (int h = lines.begin; h < lines.end; h++) {
                const float of_line = of_plane * weight_of(axes.of[1], h, at.h);
                const int64_t first = pixel_at(from, at.image, z, h, 0) * channels + channel;
                for (int v = columns.begin; v < columns.end; v++)
                    sum = fmaf(of_line * weight_of(axes.of[2], v, w), dy[first + (int64_t)v * channels], sum);
            }
        }
        dx[pixel_at(to, at.image, at.z, at.h, w) * channels + channel] = scale * sum;
    }
}

sizes twice(const struct grid *grid) {
    return sizes{grid->ndim == 3 ? 2 * (int)grid->size[0] : 1, 2 * (int)grid->size[1], 2 * (int)grid->size[2]};
}
sizes cells_of(const struct grid *grid) {
    return sizes{grid->ndim == 3 ? (int)grid->size[0] + 1 : 1, (int)grid->size[1] + 1, (int)grid->size[2] + 1};
}

} // namespace

extern "C" cuda_error cuda_upsample(cuda_stream stream, void *y, const void *deep, enum element element, const cuda_norm *norm,
                                    int images, const struct grid *grid, int64_t channels) {
    return with_form(element, channels, [&](auto form) -> cuda_error {
        typedef typename decltype(form)::element E;
        constexpr int V = decltype(form)::V;
        const auto kernel = grid->ndim == 3 ? upsample<E, V, 3> : upsample<E, V, 2>;
        const sizes cells = cells_of(grid);
        const dim3 block = block_for(channels / V, cells.w);
        return LAUNCH(kernel, grid_of_rows(cells, images, channels / V, block), block, 0, stream, static_cast<E *>(y),
                      static_cast<const E *>(deep), norm_or_none(norm), sizes_of(grid), twice(grid), cells, channels);
    });
}

extern "C" cuda_error cuda_upsample_grad(cuda_stream stream, void *ddeep, const void *dy, enum element element, int images,
                                         const struct grid *grid, int64_t channels) {
    return with_form(element, channels, [&](auto form) -> cuda_error {
        typedef typename decltype(form)::element E;
        constexpr int V = decltype(form)::V;
        const auto kernel = grid->ndim == 3 ? upsample_grad<E, V, 3> : upsample_grad<E, V, 2>;
        const sizes to = sizes_of(grid);
        const dim3 block = block_for(channels / V, to.w);
        return LAUNCH(kernel, grid_of_rows(to, images, channels / V, block), block, 0, stream, static_cast<E *>(ddeep),
                      static_cast<const E *>(dy), to, twice(grid), channels);
    });
}

extern "C" cuda_error cuda_resize_corners(cuda_stream stream, float *y, const float *x, int images, const struct grid *from,
                                          const struct grid *to, int64_t channels, float scale) {
    if (!fits(from) || !fits(to)) return cudaErrorInvalidValue;
    const sizes written = sizes_of(to);
    const dim3 block = block_for(channels, written.w);
    return LAUNCH(resize_corners, grid_of_rows(written, images, channels, block), block, 0, stream, y, x, sizes_of(from), written,
                  axes_of(from, to), (int)channels, scale);
}

extern "C" cuda_error cuda_resize_corners_grad(cuda_stream stream, float *dx, const float *dy, int images, const struct grid *from,
                                               const struct grid *to, int64_t channels, float scale) {
    if (!fits(from) || !fits(to)) return cudaErrorInvalidValue;
    const sizes written = sizes_of(from);
    const dim3 block = block_for(channels, written.w);
    return LAUNCH(resize_corners_grad, grid_of_rows(written, images, channels, block), block, 0, stream, dx, dy, written,
                  sizes_of(to), axes_of(from, to), (int)channels, scale);
}
