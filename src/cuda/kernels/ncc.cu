/* Squared local correlation, cpu/plain/ncc.c states it: window sums axis by axis, in double, a thread a number; the last axis comes with
 * what is made of them.  Called by the executor's rows ncc_loss and ncc_loss_grad. */
#include "reduce.cuh"

namespace {

enum { PRODUCTS = 5, SLOPES = 3, EACH = 16 };

/* Numbers of all images, and how far along an axis the windows reach. */
struct line {
    int64_t count, step, size; /* numbers; from one to its neighbour on the axis; of the axis */
    int half;
};
struct reach {
    int64_t low, high; /* numbers, from here */
};
__device__ inline reach reach_of(const line &l, int64_t i) {
    const int64_t at = i / l.step % l.size;
    return reach{at < l.half ? -at : -(int64_t)l.half, at + l.half < l.size ? (int64_t)l.half : l.size - 1 - at};
}
#define EACH_NUMBER(i, count)                                                                                                      \
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < (count); i += (int64_t)gridDim.x * BLOCK)

/* Rows of pixels: sums of a, b, ab, aa, bb. */
__global__ void __launch_bounds__(BLOCK) ncc_products(double *to, const float *a, const float *b, line l) {
    EACH_NUMBER(i, l.count) {
        const reach r = reach_of(l, i);
        double sums[PRODUCTS] = {};
        for (int64_t k = r.low; k <= r.high; k++) {
            const double x = (double)a[i + k * l.step], y = (double)b[i + k * l.step];
            sums[0] += x, sums[1] += y, sums[2] += x * y, sums[3] += x * x, sums[4] += y * y;
        }
#pragma unroll
        for (int q = 0; q < PRODUCTS; q++) to[q * l.count + i] = sums[q];
    }
}

template <int Q> __device__ inline void axis_sums(double (&sums)[Q], const double *from, const line &l, int64_t i) {
    const reach r = reach_of(l, i);
#pragma unroll
    for (int q = 0; q < Q; q++) {
        sums[q] = 0;
        for (int64_t k = r.low; k <= r.high; k++) sums[q] += from[q * l.count + i + k * l.step];
    }
}
template <int Q> __global__ void __launch_bounds__(BLOCK) ncc_axis(double *to, const double *from, line l) {
    EACH_NUMBER(i, l.count) {
        double sums[Q];
        axis_sums(sums, from, l, i);
#pragma unroll
        for (int q = 0; q < Q; q++) to[q * l.count + i] = sums[q];
    }
}

struct correlation {
    double cross, var_b, below;
};
__device__ inline double above_zero(double variance) { return variance <= 0 ? 0 : variance; /* a NaN stays */ }
__device__ inline correlation correlation_of(const double (&s)[PRODUCTS], double n) {
    correlation c;
    c.cross = s[2] - s[0] * s[1] / n, c.var_b = above_zero(s[4] - s[1] * s[1] / n);
    c.below = above_zero(s[3] - s[0] * s[0] / n) * c.var_b + 1e-5;
    return c;
}

/* A block's sums of cc mask and of the mask, (images, 2, blocks). */
__global__ void __launch_bounds__(BLOCK)
    ncc_total(double *partial, const double *from, const float *mask, line l, int64_t pixels, int64_t channels, double n) {
    const int64_t image = blockIdx.y, first = image * pixels * channels;
    double sums[2] = {0, 0};
    EACH_NUMBER(i, pixels * channels) {
        double window[PRODUCTS];
        axis_sums(window, from, l, first + i);
        const correlation c = correlation_of(window, n);
        const double counts = mask ? (double)mask[(first + i) / channels] : 1;
        sums[0] += counts * c.cross * c.cross / c.below;
        if (i % channels == 0) sums[1] += counts;
    }
    block_sum(sums, shared<block_tiles<2>>());
    if (threadIdx.x == 0)
        for (int q = 0; q < 2; q++) partial[(image * 2 + q) * gridDim.x + blockIdx.x] = sums[q];
}
__global__ void __launch_bounds__(BLOCK)
    ncc_finish(double *loss, const double *partial, int blocks, double channels, double least) {
    double sums[2] = {0, 0};
    for (int i = (int)threadIdx.x; i < blocks; i += BLOCK)
        for (int q = 0; q < 2; q++) sums[q] += partial[((int64_t)blockIdx.x * 2 + q) * blocks + i];
    block_sum(sums, shared<block_tiles<2>>());
    if (threadIdx.x == 0) loss[blockIdx.x] = 1 - sums[0] / channels / (sums[1] + least);
}

__global__ void __launch_bounds__(BLOCK)
    ncc_slopes(double *to, const double *from, const float *mask, line l, int64_t channels, double n) {
    EACH_NUMBER(i, l.count) {
        double window[PRODUCTS];
        axis_sums(window, from, l, i);
        const correlation c = correlation_of(window, n);
        const double counts = mask ? (double)mask[i / channels] : 1;
        const double g1 = counts * 2 * c.cross / c.below, g2 = -counts * c.cross * c.cross * c.var_b / (c.below * c.below);
        to[i] = g1, to[l.count + i] = g2, to[2 * l.count + i] = (g1 * window[1] + 2 * g2 * window[0]) / n;
    }
}
__global__ void __launch_bounds__(BLOCK)
    ncc_moved(float *da, const double *from, const float *a, const float *b, const float *scale, line l, int64_t each) {
    EACH_NUMBER(i, l.count) {
        double g[SLOPES];
        axis_sums(g, from, l, i);
        da[i] = (float)((double)scale[i / each] * ((double)b[i] * g[0] + 2 * (double)a[i] * g[1] - g[2]));
    }
}

int64_t numbers_of(const cuda_ncc_shape *s) { return s->images * grid_pixels(&s->grid) * s->channels; }
line line_of(const cuda_ncc_shape *s, int axis) {
    line l = {numbers_of(s), s->channels, s->grid.size[axis], s->window / 2};
    for (int i = axis + 1; i < 3; i++) l.step *= s->grid.size[i];
    return l;
}
double pixels_of_window(const cuda_ncc_shape *s) {
    const double w = s->window;
    return s->grid.ndim == 2 ? w * w : w * w * w;
}
int blocks_for(const cuda_ncc_shape *s) {
    return (int)at_least_one(ceil_div(grid_pixels(&s->grid) * s->channels, (int64_t)BLOCK * EACH));
}

/* Where a workspace has its parts: two sets of sums, then those of blocks and the images' scales. */
struct parts {
    double *here, *there, *partial;
    float *scale;
    void *counting;
};
size_t rounded(size_t bytes) { return (bytes + 255) / 256 * 256; }
size_t lay_out(parts *p, const cuda_ncc_shape *s, char *base) {
    const size_t sums = rounded(PRODUCTS * (size_t)numbers_of(s) * sizeof(double));
    const size_t of_blocks = rounded((size_t)s->images * 2 * (size_t)blocks_for(s) * sizeof(double));
    const size_t scales = rounded((size_t)s->images * sizeof(float));
    p->here = reinterpret_cast<double *>(base), p->there = reinterpret_cast<double *>(base + sums);
    p->partial = reinterpret_cast<double *>(base + 2 * sums), p->scale = reinterpret_cast<float *>(base + 2 * sums + of_blocks);
    p->counting = base + 2 * sums + of_blocks + scales;
    return 2 * sums + of_blocks + scales + rounded(cuda_loss_workspace(s->images, grid_pixels(&s->grid)));
}

/* Sums over all axes but the first, into `here`. */
cuda_error inner_products(cuda_stream stream, parts *p, const float *a, const float *b, const cuda_ncc_shape *s) {
    const dim3 grid = grid_for_count(numbers_of(s), 1);
    cuda_error error = LAUNCH(ncc_products, grid, dim3(BLOCK), 0, stream, p->here, a, b, line_of(s, 2));
    if (error || s->grid.ndim == 2) return error;
    error = LAUNCH(ncc_axis<PRODUCTS>, grid, dim3(BLOCK), 0, stream, p->there, p->here, line_of(s, 1));
    double *const swapped = p->here;
    p->here = p->there, p->there = swapped;
    return error;
}

} // namespace

extern "C" size_t cuda_ncc_workspace(const struct cuda_ncc_shape *s) {
    parts p;
    return lay_out(&p, s, nullptr);
}

extern "C" cuda_error cuda_ncc_loss(cuda_stream stream, double *loss, const float *a, const float *b, const float *mask,
                                    const struct cuda_ncc_shape *s, void *workspace) {
    parts p;
    lay_out(&p, s, static_cast<char *>(workspace));
    const int blocks = blocks_for(s);
    cuda_error error = inner_products(stream, &p, a, b, s);
    if (!error)
        error =
            LAUNCH(ncc_total, dim3((unsigned)blocks, (unsigned)s->images), dim3(BLOCK), sizeof(block_tiles<2>), stream, p.partial,
                   p.here, mask, line_of(s, 3 - s->grid.ndim), grid_pixels(&s->grid), s->channels, pixels_of_window(s));
    if (error) return error;
    return LAUNCH(ncc_finish, dim3((unsigned)s->images), dim3(BLOCK), sizeof(block_tiles<2>), stream, loss, p.partial, blocks,
                  (double)s->channels, mask ? 1e-5 : 0.0);
}

extern "C" cuda_error cuda_ncc_loss_grad(cuda_stream stream, float *da, const float *a, const float *b, const float *mask,
                                         const struct cuda_ncc_shape *s, float weight, void *workspace) {
    parts p;
    lay_out(&p, s, static_cast<char *>(workspace));
    const dim3 grid = grid_for_count(numbers_of(s), 1);
    const line outer = line_of(s, 3 - s->grid.ndim);
    const int64_t pixels = grid_pixels(&s->grid);
    cuda_error error = inner_products(stream, &p, a, b, s);
    if (!error)
        error = LAUNCH(ncc_slopes, grid, dim3(BLOCK), 0, stream, p.there, p.here, mask, outer, s->channels, pixels_of_window(s));
    if (!error) error = LAUNCH(ncc_axis<SLOPES>, grid, dim3(BLOCK), 0, stream, p.here, p.there, line_of(s, 2));
    if (!error && s->grid.ndim == 3) {
        error = LAUNCH(ncc_axis<SLOPES>, grid, dim3(BLOCK), 0, stream, p.there, p.here, line_of(s, 1));
        double *const swapped = p.here;
        p.here = p.there, p.there = swapped;
    }
    if (!error)
        error =
            cuda_mask_scales(stream, p.scale, mask, s->images, pixels, -weight / (float)s->channels, mask ? 1e-5 : 0.0, p.counting);
    if (error) return error;
    return LAUNCH(ncc_moved, grid, dim3(BLOCK), 0, stream, da, p.here, a, b, p.scale, outer, pixels * s->channels);
}
