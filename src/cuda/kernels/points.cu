/* Feature maps read at points, and the gradient back.  core/graph/dense.h states it, cpu/ops_cells.c is the oracle.  Called by the
 * executor's rows sample_points and sample_points_grad. */
#include "reduce.cuh"

namespace {

struct tap {
    int64_t pixel; /* of an image; -1: outside */
    float weight;
};
struct point_sizes {
    int size[3], ndim;
};
__device__ inline tap tap_of(const point_sizes &s, const float *point, int corner) {
    int at[3] = {0, 0, 0};
    float weight = 1;
#pragma unroll
    for (int axis = 0; axis < 3; axis++) {
        const int a = axis - (3 - s.ndim), up = corner >> (a < 0 ? 0 : a) & 1;
        if (a < 0) continue;
        const float low = floorf(point[a]), part = point[a] - low;
        if (!(low >= -1 && low < (float)s.size[axis])) return tap{-1, 0}; /* far away, or NaN */
        at[axis] = (int)low + up, weight *= up ? part : 1 - part;
        if (at[axis] < 0 || at[axis] >= s.size[axis]) return tap{-1, 0};
    }
    return tap{((int64_t)at[0] * s.size[1] + at[1]) * s.size[2] + at[2], weight};
}

/* A thread takes a channel of a point. */
template <typename E>
__global__ void __launch_bounds__(BLOCK) sample_points(float *y, const E *x, cuda_norm norm, const float *points, point_sizes s,
                                                       int64_t pixels, int64_t channels, int64_t each, int64_t count) {
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < count; i += (int64_t)gridDim.x * BLOCK) {
        const int64_t c = i % channels, row = i / channels, image = row / each;
        const norm_lanes<1> normed(norm, image, channels, c);
        double sum = 0;
        for (int corner = 0; corner < 1 << s.ndim; corner++) {
            const tap at = tap_of(s, points + row * s.ndim, corner);
            if (at.pixel < 0) continue;
            sum += (double)at.weight * (double)normed(load<1>(x + (image * pixels + at.pixel) * channels + c)).at[0];
        }
        y[i] = (float)sum;
    }
}

template <typename E> __global__ void __launch_bounds__(BLOCK) zeros(E *x, int64_t count) {
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < count; i += (int64_t)gridDim.x * BLOCK)
        store<1>(x + i, all_lanes<1>(0));
}
/* A warp takes a tap of a point: nothing, unless it is the first of its pixel; then the sum over all, in the order of the points. */
template <typename E>
__global__ void __launch_bounds__(BLOCK)
    sample_points_grad(E *dx, const float *dy, const float *points, point_sizes s, int64_t pixels, int64_t channels, int each) {
    const int corners = 1 << s.ndim, taps = each * corners;
    const int n = (int)blockIdx.x * WARPS + (int)threadIdx.x / WARP;
    const int64_t image = blockIdx.y;
    const float *const of_image = points + image * each * s.ndim;
    if (n >= taps) return;
    const tap at = tap_of(s, of_image + n / corners * s.ndim, n % corners);
    if (at.pixel < 0) return;
    for (int m = 0; m < n; m++)
        if (tap_of(s, of_image + m / corners * s.ndim, m % corners).pixel == at.pixel) return;
    for (int64_t c = threadIdx.x % WARP; c < channels; c += WARP) {
        double sum = 0;
        for (int m = n; m < taps; m++) {
            const tap other = tap_of(s, of_image + m / corners * s.ndim, m % corners);
            if (other.pixel == at.pixel) sum += (double)other.weight * (double)dy[(image * each + m / corners) * channels + c];
        }
        store<1>(dx + (image * pixels + at.pixel) * channels + c, all_lanes<1>((float)sum));
    }
}

point_sizes point_sizes_of(const struct grid *grid) {
    return point_sizes{{(int)grid->size[0], (int)grid->size[1], (int)grid->size[2]}, grid->ndim};
}

} // namespace

extern "C" cuda_error cuda_sample_points(cuda_stream stream, float *y, const void *x, enum element element,
                                         const struct cuda_norm *norm, const float *points, int images, const struct grid *grid,
                                         int64_t channels, int64_t each) {
    const int64_t count = images * each * channels;
    return with_element(element, [&](auto zero) -> cuda_error {
        typedef decltype(zero) E;
        return LAUNCH(sample_points<E>, grid_for_count(count, 1), dim3(BLOCK), 0, stream, y, static_cast<const E *>(x),
                      norm_or_none(norm), points, point_sizes_of(grid), grid_pixels(grid), channels, each, count);
    });
}
extern "C" cuda_error cuda_sample_points_grad(cuda_stream stream, void *dx, enum element element, const float *dy,
                                              const float *points, int images, const struct grid *grid, int64_t channels,
                                              int64_t each) {
    const int64_t count = images * grid_pixels(grid) * channels, taps = each << grid->ndim;
    return with_element(element, [&](auto zero) -> cuda_error {
        typedef decltype(zero) E;
        const cuda_error error = LAUNCH(zeros<E>, grid_for_count(count, 8), dim3(BLOCK), 0, stream, static_cast<E *>(dx), count);
        if (error) return error;
        return LAUNCH(sample_points_grad<E>, dim3((unsigned)ceil_div(taps, WARPS), (unsigned)images), dim3(BLOCK), 0, stream,
                      static_cast<E *>(dx), dy, points, point_sizes_of(grid), grid_pixels(grid), channels, (int)each);
    });
}
