/* Warping images by displacement fields and its gradients: plain/warp.c says the formulas.
 *
 * A warp has 32 neighbours along a row: pixels, and the channels of each, N to a thread; every thread works out its pixel's cell.
 * The gradient of the field is a sum over channels, shared by up to 32 lanes.  The gradient of the source is added up in 64-bit
 * integers, whose order does not matter: every term is at most the image's largest |dy|, no pixel of the source gets more terms
 * than the image has pixels, so a power of two is known by which all terms are multiplied without any overflow. */
#include "../kernels.h"
#include "pack.cuh"

#include <math.h>

/* Tests build a copy whose last column counts as outside, which they must find. */
#ifndef FAULT
#define FAULT 0
#endif

namespace warp {

enum { LANES = 32, ROWS = 8, RUN = 8 /* pixels of a thread that adds up dsrc */ };

struct frame {
    int size[3]; /* D, H, W */
    int rows;    /* of all images */
    int64_t channels;
    bool released;
};

/* Where a pixel is read: the cell's low corner and the place within the cell, along D, H, W. */
struct cell {
    int low[3];
    float fraction[3];
    bool inside; /* false when no corner is in the image */
};

/* A row's image, and its place therein. */
struct row {
    int64_t image; /* its first pixel */
    int z, y;
};

__device__ static struct row row_at(int number, const struct frame &f) {
    const int line = number / f.size[1], depth = line / f.size[0];
    return {(int64_t)depth * f.size[0] * f.size[1] * f.size[2], line - depth * f.size[0], number - line * f.size[1]};
}

template <int NDIM> __device__ static struct cell cell_of(const struct row &row, int x, const float *v, const struct frame &f) {
    const int p[3] = {row.z, row.y, x};
    struct cell cell = {{0, 0, 0}, {0, 0, 0}, true};
    for (int a = 3 - NDIM; a < 3; a++) {
        const float size = (float)f.size[a];
        float d = v[a - (3 - NDIM)];
        if (f.released) d = d + ((float)p[a] + d) / (size - 1) - 0.5f;
        const float whole = floorf(d), low = (float)p[a] + whole;
        cell.inside = cell.inside && low >= -1 && low < size; /* NaN and huge ones are not */
        cell.low[a] = p[a] + (cell.inside ? (int)whole : 0);
        cell.fraction[a] = d - whole;
    }
    return cell;
}

/* Corner k of a cell: its pixel within the image, or -1 outside; bit 2 of k is the plane's, 1 the row's, 0 the column's. */
__device__ static int64_t corner(const struct cell &cell, int k, const struct frame &f) {
    const int z = cell.low[0] + (k >> 2 & 1), y = cell.low[1] + (k >> 1 & 1), x = cell.low[2] + (k & 1);
    const bool inside = z >= 0 && z < f.size[0] && y >= 0 && y < f.size[1] && x >= 0 && x < f.size[2] - FAULT;
    return inside ? ((int64_t)z * f.size[1] + y) * f.size[2] + x : -1;
}

/* The product of the weights over the axes but one (none left out: -1). */
template <int NDIM> __device__ static float weight(const struct cell &cell, int k, int without) {
    float product = 1;
    for (int a = 3 - NDIM; a < 3; a++)
        if (a != without) product *= k >> (2 - a) & 1 ? cell.fraction[a] : 1 - cell.fraction[a];
    return product;
}

template <typename E, int N, int NDIM>
__global__ void warp_rows(E *__restrict__ y, const E *__restrict__ src, const float *__restrict__ field, const struct frame f) {
    const unsigned vectors = (unsigned)(f.channels / N), item = blockIdx.x * LANES + threadIdx.x, x = item / vectors;
    const int64_t first = (int64_t)(item - x * vectors) * N;
    if (x >= (unsigned)f.size[2]) return;
    for (int number = blockIdx.y * ROWS + threadIdx.y; number < f.rows; number += gridDim.y * ROWS) {
        const struct row row = row_at(number, f);
        const int64_t pixel = (int64_t)number * f.size[2] + x;
        const struct cell cell = cell_of<NDIM>(row, (int)x, field + pixel * NDIM, f);
        pack<E, N> sum = {}, tap;
        if (cell.inside) {
#pragma unroll
            for (int k = 0; k < 1 << NDIM; k++) {
                const int64_t at = corner(cell, k, f);
                if (at < 0) continue;
                const float w = weight<NDIM>(cell, k, -1);
                tap.load(src + (row.image + at) * f.channels + first);
                for (int i = 0; i < N; i++) sum.value[i] += w * tap.value[i];
            }
        }
        sum.store(y + pixel * f.channels + first);
    }
}

/* ---- dfield: `group` lanes, a power of two, share the channels of a pixel */

template <typename E, int N, int NDIM>
__global__ void field_gradient(float *__restrict__ dfield, const E *__restrict__ dy, const E *__restrict__ src,
                               const float *__restrict__ field, unsigned group, const struct frame f) {
    const unsigned item = blockIdx.x * LANES + threadIdx.x, lane = item & (group - 1), place = item / group;
    const bool wanted = place < (unsigned)f.size[2]; /* the others come along for the shuffles */
    const int x = wanted ? (int)place : f.size[2] - 1;
    for (int number = blockIdx.y * ROWS + threadIdx.y; number < f.rows; number += gridDim.y * ROWS) {
        const struct row row = row_at(number, f);
        const int64_t pixel = (int64_t)number * f.size[2] + x;
        const struct cell cell = cell_of<NDIM>(row, x, field + pixel * NDIM, f);
        float product[1 << NDIM] = {}, slope[NDIM] = {};
        for (int64_t c = (int64_t)lane * N; cell.inside && c < f.channels; c += (int64_t)group * N) {
            pack<E, N> gradient, tap;
            gradient.load(dy + pixel * f.channels + c);
#pragma unroll
            for (int k = 0; k < 1 << NDIM; k++) {
                const int64_t at = corner(cell, k, f);
                if (at < 0) continue;
                tap.load(src + (row.image + at) * f.channels + c);
                for (int i = 0; i < N; i++) product[k] += tap.value[i] * gradient.value[i];
            }
        }
#pragma unroll
        for (int a = 0; a < NDIM; a++) {
            const int axis = 3 - NDIM + a;
#pragma unroll
            for (int k = 0; k < 1 << NDIM; k++) {
                const float share = weight<NDIM>(cell, k, axis) * product[k];
                if (corner(cell, k, f) >= 0) slope[a] += k >> (2 - axis) & 1 ? share : -share;
            }
            for (unsigned other = group / 2; other; other /= 2) slope[a] += __shfl_xor_sync(~0u, slope[a], (int)other);
            const float size = (float)f.size[axis];
            if (wanted && lane == 0) dfield[pixel * NDIM + a] = cell.inside ? slope[a] * (f.released ? size / (size - 1) : 1) : 0;
        }
    }
}

/* ---- dsrc: the largest |dy| of each image, sums in integers, and these as elements */

/* Bits of floats without a sign have the order of the numbers; Inf and NaN come last. */
template <typename E, int N>
__global__ void largest_bits(unsigned *__restrict__ largest, const E *__restrict__ dy, int64_t image_values) {
    unsigned most = 0;
    dy += blockIdx.y * image_values;
    for (int64_t i = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * N; i < image_values;
         i += (int64_t)gridDim.x * blockDim.x * N) {
        pack<E, N> gradient;
        gradient.load(dy + i);
        for (int k = 0; k < N; k++) most = max(most, __float_as_uint(fabsf(gradient.value[k])));
    }
    for (int other = LANES / 2; other; other /= 2) most = max(most, __shfl_xor_sync(~0u, most, other));
    if (threadIdx.x % LANES == 0) atomicMax(largest + blockIdx.y, most);
}

__device__ static bool finite(unsigned largest) { return largest < 0x7f800000; }

/* The power of two by which an image's terms are multiplied: with m < 2^e the largest |dy|, m 2^s <= 2^61 / pixels. */
__device__ static int scale_of(unsigned largest, const struct frame &f) {
    int exponent = 0, bits = 0;
    const int64_t pixels = (int64_t)f.size[0] * f.size[1] * f.size[2];
    while ((int64_t)1 << bits < pixels) bits++;
    if (finite(largest)) frexpf(__uint_as_float(largest), &exponent);
    return 61 - bits - exponent;
}

template <int NDIM> struct column_sums { /* what is to be added to one column of a cell's corners */
    static constexpr int corners = 1 << (NDIM - 1);
    long long sum[corners];

    __device__ void clear() {
        for (int r = 0; r < corners; r++) sum[r] = 0;
    }
    __device__ void flush(unsigned long long *to, const struct cell &cell, int side, const struct frame &f) {
        for (int r = 0; r < corners; r++) {
            const int64_t at = corner(cell, 2 * r + side, f);
            if (at >= 0 && sum[r]) atomicAdd(to + at * f.channels, (unsigned long long)sum[r]);
        }
        clear();
    }
};

/* A thread has one channel of RUN pixels of a row.  Where a cell is its predecessor's or the next one along the row, as it is in
 * smooth fields, what both add to a corner is added here. */
template <typename E, int NDIM>
__global__ void scatter(unsigned long long *__restrict__ sums, const E *__restrict__ dy, const float *__restrict__ field,
                        const unsigned *__restrict__ largest, const struct frame f) {
    const unsigned channels = (unsigned)f.channels, item = blockIdx.x * LANES + threadIdx.x, run = item / channels;
    const unsigned channel = item - run * channels;
    const int first = (int)run * RUN, end = min(first + RUN, f.size[2]);
    for (int number = blockIdx.y * ROWS + threadIdx.y; number < f.rows; number += gridDim.y * ROWS) {
        const struct row row = row_at(number, f);
        const unsigned most = largest[number / (f.size[0] * f.size[1])];
        if (!finite(most)) continue;
        const double scale = ldexp(1.0, scale_of(most, f));
        unsigned long long *to = sums + row.image * f.channels + channel;
        struct column_sums<NDIM> left, right;
        struct cell open = {};
        left.clear(), right.clear();
        for (int x = first; x < end; x++) {
            const int64_t pixel = (int64_t)number * f.size[2] + x;
            const struct cell cell = cell_of<NDIM>(row, x, field + pixel * NDIM, f);
            if (!cell.inside) continue;
            if (open.inside) {
                const bool line = cell.low[0] == open.low[0] && cell.low[1] == open.low[1];
                const int step = cell.low[2] - open.low[2];
                if (!line || step != 0) left.flush(to, open, 0, f);
                if (line && step == 1) left = right, right.clear();
                else if (!line || step != 0) right.flush(to, open, 1, f);
            }
            open = cell;
            const float gradient = (float)dy[pixel * f.channels + channel];
            for (int r = 0; r < column_sums<NDIM>::corners; r++) {
                left.sum[r] += llrint((double)(weight<NDIM>(cell, 2 * r, -1) * gradient) * scale);
                right.sum[r] += llrint((double)(weight<NDIM>(cell, 2 * r + 1, -1) * gradient) * scale);
            }
        }
        if (open.inside) left.flush(to, open, 0, f), right.flush(to, open, 1, f);
    }
}

/* An image whose dy is not finite somewhere has a gradient of NaN. */
template <typename E>
__global__ void sums_to_elements(E *__restrict__ dsrc, const long long *__restrict__ sums, const unsigned *__restrict__ largest,
                                 const struct frame f) {
    const int64_t values = (int64_t)f.size[0] * f.size[1] * f.size[2] * f.channels;
    const unsigned most = largest[blockIdx.y];
    const double scale = ldexp(1.0, -scale_of(most, f));
    dsrc += blockIdx.y * values, sums += blockIdx.y * values;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < values; i += (int64_t)gridDim.x * blockDim.x)
        dsrc[i] = (E)(finite(most) ? (float)((double)sums[i] * scale) : __uint_as_float(0x7fffffff));
}

/* ---- host */

/* What all launches share; `fits` is false where sizes are beyond those that the kernels count in. */
struct job {
    struct frame frame;
    int images;
    dim3 threads;
    unsigned row_blocks;
    bool fits;
};

static struct job job_of(int images, const struct grid *grid, int64_t channels, enum coordinates coordinates) {
    struct job job = {};
    const int64_t rows = images * grid->size[0] * grid->size[1];
    job.images = images, job.fits = rows <= INT32_MAX && grid->size[2] <= INT32_MAX / LANES / channels;
    for (int a = 0; a < 3; a++) job.frame.size[a] = (int)grid->size[a];
    job.frame.rows = (int)rows, job.frame.channels = channels, job.frame.released = coordinates == COORDINATES_RELEASED;
    const int64_t blocks = (rows + ROWS - 1) / ROWS, most = 4096;
    job.threads = dim3(LANES, ROWS), job.row_blocks = (unsigned)(blocks < most ? blocks : most);
    return job;
}

/* A launch over rows with `items` threads a row. */
static dim3 blocks_of(const struct job &job, int64_t items) {
    return dim3((unsigned)((items + LANES - 1) / LANES), job.row_blocks);
}

/* Calls one of a family of launches by how many elements a thread has. */
template <typename E, template <typename, int, int> class Launch, int NDIM, typename... Arguments>
static cudaError_t by_width(int64_t channels, Arguments... arguments) {
    if (sizeof(E) == 2 && channels % 8 == 0) return Launch<E, 16 / sizeof(E), NDIM>::run(arguments...);
    if (channels % 4 == 0) return Launch<E, 4, NDIM>::run(arguments...);
    if (channels == 3) return Launch<E, 3, NDIM>::run(arguments...);
    if (channels % 2 == 0) return Launch<E, 2, NDIM>::run(arguments...);
    return Launch<E, 1, NDIM>::run(arguments...);
}
template <template <typename, int, int> class Launch, typename... Arguments>
static cuda_error by_type(enum element element, const struct grid *grid, int64_t channels, Arguments... arguments) {
    const bool volume = grid->ndim == 3;
    if (element == ELEMENT_BF16)
        return volume ? by_width<__nv_bfloat16, Launch, 3>(channels, arguments...)
                      : by_width<__nv_bfloat16, Launch, 2>(channels, arguments...);
    return volume ? by_width<float, Launch, 3>(channels, arguments...) : by_width<float, Launch, 2>(channels, arguments...);
}

template <typename E, int N, int NDIM> struct launch_warp {
    static cudaError_t run(cuda_stream stream, const struct job *job, void *y, const void *src, const float *field) {
        const dim3 blocks = blocks_of(*job, job->frame.size[2] * (job->frame.channels / N));
        return LAUNCH((warp_rows<E, N, NDIM>), blocks, job->threads, 0, stream, (E *)y, (const E *)src, field, job->frame);
    }
};

extern "C" cuda_error cuda_warp(cuda_stream stream, void *y, const void *src, enum element element, const float *field, int images,
                                const struct grid *grid, int64_t channels, enum coordinates coordinates) {
    const struct job job = job_of(images, grid, channels, coordinates);
    if (!job.fits) return cudaErrorInvalidValue;
    return by_type<launch_warp>(element, grid, channels, stream, &job, y, src, field);
}

template <typename E, int N, int NDIM> struct launch_field_gradient {
    static cudaError_t run(cuda_stream stream, const struct job *job, float *dfield, const void *dy, const void *src,
                           const float *field) {
        unsigned group = 1;
        while (group < LANES && group * N < job->frame.channels) group *= 2;
        const dim3 blocks = blocks_of(*job, (int64_t)job->frame.size[2] * group);
        return LAUNCH((field_gradient<E, N, NDIM>), blocks, job->threads, 0, stream, dfield, (const E *)dy, (const E *)src, field,
                      group, job->frame);
    }
};

/* The workspace: an image's largest |dy| each, then the sums of as many images at a time as a second cache can hold, one at
 * least. */
static size_t largest_bytes(int images) { return ((size_t)images * sizeof(unsigned) + 255) / 256 * 256; }
static int images_at_once(int images, int64_t image_values) {
    const int64_t held = ((int64_t)24 << 20) / (int64_t)sizeof(int64_t) / image_values;
    return held < 1 ? 1 : held < images ? (int)held : images;
}

template <typename E, int N, int NDIM> struct launch_source_gradient {
    static cudaError_t run(cuda_stream stream, const struct job *job, void *dsrc, const void *dy, const float *field,
                           void *workspace) {
        struct frame f = job->frame;
        const int64_t pixels = (int64_t)f.size[0] * f.size[1] * f.size[2], values = pixels * f.channels;
        const int64_t runs = (f.size[2] + RUN - 1) / RUN, wanted = (values / N + 1023) / 1024;
        const int once = images_at_once(job->images, values);
        unsigned *const largest = (unsigned *)workspace;
        long long *const sums = (long long *)((char *)workspace + largest_bytes(job->images));
        dim3 flat((unsigned)(wanted < 256 ? wanted : 256), (unsigned)job->images);
        cudaError_t error = cudaMemsetAsync(largest, 0, largest_bytes(job->images), (cudaStream_t)stream);
        if (!error) error = LAUNCH((largest_bits<E, N>), flat, 256, 0, stream, largest, (const E *)dy, values);
        for (int first = 0; first < job->images && !error; first += once) {
            flat.y = (unsigned)(job->images - first < once ? job->images - first : once);
            f.rows = (int)flat.y * f.size[0] * f.size[1];
            error = cudaMemsetAsync(sums, 0, (size_t)(flat.y * values) * sizeof *sums, (cudaStream_t)stream);
            if (!error)
                error = LAUNCH((scatter<E, NDIM>), blocks_of(*job, runs * f.channels), job->threads, 0, stream,
                               (unsigned long long *)sums, (const E *)dy + first * values, field + first * pixels * NDIM,
                               largest + first, f);
            if (!error)
                error = LAUNCH((sums_to_elements<E>), flat, 256, 0, stream, (E *)dsrc + first * values, sums, largest + first, f);
        }
        return error;
    }
};

extern "C" size_t cuda_warp_grad_workspace(int images, const struct grid *grid, int64_t channels, bool dsrc) {
    const int64_t values = grid_pixels(grid) * channels;
    return dsrc ? largest_bytes(images) + (size_t)(images_at_once(images, values) * values) * sizeof(int64_t) : 0;
}

extern "C" cuda_error cuda_warp_grad(cuda_stream stream, void *dsrc, float *dfield, const void *dy, const void *src,
                                     enum element element, const float *field, int images, const struct grid *grid,
                                     int64_t channels, enum coordinates coordinates, void *workspace) {
    const struct job job = job_of(images, grid, channels, coordinates);
    if (!job.fits || images > 65535) return cudaErrorInvalidValue;
    cuda_error error = cudaSuccess;
    if (dfield) error = by_type<launch_field_gradient>(element, grid, channels, stream, &job, dfield, dy, src, field);
    if (!error && dsrc) error = by_type<launch_source_gradient>(element, grid, channels, stream, &job, dsrc, dy, field, workspace);
    return error;
}

} // namespace warp
