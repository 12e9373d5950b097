/* Smoothness of fields, affine fields, masks, mean cosines and local contrast of regions; cpu/plain/smooth.c, affine.c and regions.c
 * state them.  Called by the executor's rows of those names. */
#include "reduce.cuh"

#define AFFINE_MAP __device__ inline
#include "core/base/affine_map.h"
#include "core/base/regions.h"

namespace {

constexpr int EACH = 16; /* pixels that a thread adds up */
int blocks_for(int64_t pixels) { return (int)at_least_one(ceil_div(pixels, (int64_t)BLOCK * EACH)); }

#define EACH_NUMBER(i, count)                                                                                                      \
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < (count); i += (int64_t)gridDim.x * BLOCK)

/* The place of pixel p of an image: z, y, x. */
struct place {
    int64_t at[3];
};
__device__ inline place place_of(const sizes &s, int64_t p) { return place{{p / ((int64_t)s.h * s.w), p / s.w % s.h, p % s.w}}; }
__device__ inline int64_t size_of(const sizes &s, int axis) { return axis == 0 ? s.d : axis == 1 ? s.h : s.w; }

/* The sum of `count` partial sums of an image. */
__device__ inline double total_of(const double *partial, int count) {
    double sum[1] = {0};
    for (int i = (int)threadIdx.x; i < count; i += BLOCK) sum[0] += partial[i];
    block_sum(sum, shared<block_tiles<1>>());
    return sum[0]; /* thread 0 has it */
}

/* ---- smooth_loss */

struct neighbours {
    int64_t step[3];
    double share[3];
    int first;
};
neighbours neighbours_of(const struct grid *grid, int64_t channels) {
    neighbours n = {{0, 0, 0}, {0, 0, 0}, 3 - grid->ndim};
    int64_t step = channels;
    for (int i = 2; i >= 0; step *= grid->size[i], i--) {
        const int64_t count = grid_pixels(grid) * channels / grid->size[i] * (grid->size[i] - 1);
        n.step[i] = step, n.share[i] = count > 0 ? 1 / ((double)grid->ndim * (double)count) : 0;
    }
    return n;
}

__global__ void __launch_bounds__(BLOCK)
    smooth_sums(double *partial, const float *field, sizes s, int64_t pixels, int64_t channels, neighbours n) {
    const float *const x = field + blockIdx.y * pixels * channels;
    double sum[1] = {0};
    EACH_NUMBER(p, pixels) {
        const place here = place_of(s, p);
#pragma unroll
        for (int axis = 0; axis < 3; axis++) {
            if (axis < n.first || here.at[axis] + 1 >= size_of(s, axis)) continue;
            double squares = 0;
            for (int64_t i = p * channels; i < (p + 1) * channels; i++) {
                const double difference = (double)x[i + n.step[axis]] - (double)x[i];
                squares += difference * difference;
            }
            sum[0] += n.share[axis] * squares;
        }
    }
    block_sum(sum, shared<block_tiles<1>>());
    if (threadIdx.x == 0) partial[blockIdx.y * gridDim.x + blockIdx.x] = sum[0];
}
__global__ void __launch_bounds__(BLOCK) sums_total(double *loss, const double *partial, int blocks) {
    const double sum = total_of(partial + (int64_t)blockIdx.x * blocks, blocks);
    if (threadIdx.x == 0) loss[blockIdx.x] = sum;
}
__global__ void __launch_bounds__(BLOCK) smooth_grad(float *dfield, const float *field, sizes s, int64_t count, int64_t pixels,
                                                     int64_t channels, neighbours n, float weight) {
    EACH_NUMBER(i, count) {
        const place here = place_of(s, i / channels % pixels);
        float slope = 0;
#pragma unroll
        for (int axis = 0; axis < 3; axis++) {
            if (axis < n.first) continue;
            const float share = 2 * weight * (float)n.share[axis];
            if (here.at[axis] + 1 < size_of(s, axis)) slope += share * (field[i] - field[i + n.step[axis]]);
            if (here.at[axis] > 0) slope += share * (field[i] - field[i - n.step[axis]]);
        }
        dfield[i] = slope;
    }
}

/* ---- inside_mask */

__global__ void __launch_bounds__(BLOCK)
    inside(float *mask, const float *field, sizes s, int64_t count, int64_t pixels, int ndim, bool exact) {
    EACH_NUMBER(i, count) {
        const place here = place_of(s, i % pixels);
        bool is_inside = true;
#pragma unroll
        for (int axis = 0; axis < 3; axis++) {
            if (axis < 3 - ndim) continue;
            const float size = (float)size_of(s, axis), position = (float)here.at[axis] + field[i * ndim + axis - 3 + ndim];
            const float nearest = rintf(exact ? position : position * size / (size - 1) - 0.5f);
            is_inside = is_inside && nearest >= 0 && nearest <= size - 1;
        }
        mask[i] = is_inside ? 1.0f : 0.0f;
    }
}

/* ---- affine_field */

__device__ inline double from_centre(const sizes &s, const place &here, int axis) {
    return (double)here.at[axis] - (double)(size_of(s, axis) - 1) / 2;
}
struct affine_tiles {
    double m[3][3], t[3];
};
__global__ void __launch_bounds__(BLOCK) affine(float *field, const float *numbers, sizes s, int64_t pixels, int d) {
    affine_tiles &map = shared<affine_tiles>();
    const int64_t image = blockIdx.y;
    if (threadIdx.x == 0) {
        affine_map(map.m, map.t, numbers + image * (d == 2 ? AFFINE_2D : AFFINE_3D), d);
        for (int i = 0; i < d; i++) map.m[i][i] -= 1;
    }
    __syncthreads();
    EACH_NUMBER(p, pixels) {
        const place here = place_of(s, p);
        for (int i = 0; i < d; i++) {
            double value = map.t[i];
            for (int j = 0; j < d; j++) value += map.m[i][j] * from_centre(s, here, 3 - d + j);
            field[(image * pixels + p) * d + i] = (float)value;
        }
    }
}
/* (images, AFFINE_SUMS, blocks) */
__global__ void __launch_bounds__(BLOCK) affine_sums(double *partial, const float *dfield, sizes s, int64_t pixels, int d) {
    const int64_t image = blockIdx.y;
    double sums[AFFINE_SUMS] = {};
    EACH_NUMBER(p, pixels) {
        const place here = place_of(s, p);
#pragma unroll
        for (int i = 0; i < 3; i++) {
            if (i >= d) continue;
            const double slope = (double)dfield[(image * pixels + p) * d + i];
#pragma unroll
            for (int j = 0; j < 3; j++) /* axes of 2D are the last two */
                if (j < d) sums[3 * i + j] += slope * (d == 3 ? from_centre(s, here, j) : from_centre(s, here, j < 2 ? 1 + j : 2));
            sums[9 + i] += slope;
        }
    }
    block_sum(sums, shared<block_tiles<AFFINE_SUMS>>());
    if (threadIdx.x == 0)
#pragma unroll
        for (int q = 0; q < AFFINE_SUMS; q++) partial[(image * AFFINE_SUMS + q) * gridDim.x + blockIdx.x] = sums[q];
}
__global__ void __launch_bounds__(BLOCK)
    affine_finish(float *dnumbers, const double *partial, int blocks, const float *numbers, int d) {
    const int64_t image = blockIdx.x, count = d == 2 ? AFFINE_2D : AFFINE_3D;
    double sums[AFFINE_SUMS] = {};
    for (int i = (int)threadIdx.x; i < blocks; i += BLOCK)
        for (int q = 0; q < AFFINE_SUMS; q++) sums[q] += partial[(image * AFFINE_SUMS + q) * blocks + i];
    block_sum(sums, shared<block_tiles<AFFINE_SUMS>>());
    if (threadIdx.x) return;
    affine_matrix dm;
    for (int i = 0; i < 9; i++) dm[i / 3][i % 3] = sums[i];
    affine_map_grad(dnumbers + image * count, dm, sums + 9, numbers + image * count, d);
}

/* ---- means over a mask */

__global__ void __launch_bounds__(BLOCK) mask_sums(double *partial, const float *mask, int64_t pixels) {
    double sum[1] = {0};
    EACH_NUMBER(p, pixels) sum[0] += mask[blockIdx.y * pixels + p] > 0 ? 1.0 : 0.0;
    block_sum(sum, shared<block_tiles<1>>());
    if (threadIdx.x == 0) partial[blockIdx.y * gridDim.x + blockIdx.x] = sum[0];
}
__global__ void __launch_bounds__(BLOCK)
    mask_scales(float *scale, const double *partial, int blocks, double pixels, double weight, double least) {
    const double count = partial ? total_of(partial + (int64_t)blockIdx.x * blocks, blocks) : pixels;
    if (threadIdx.x == 0) scale[blockIdx.x] = (float)(weight / (count + least));
}
/* loss has MINUS the sum of cosines */
__global__ void __launch_bounds__(BLOCK) mean_finish(double *loss, const double *partial, int blocks) {
    const double count = total_of(partial + (int64_t)blockIdx.x * blocks, blocks);
    if (threadIdx.x == 0) loss[blockIdx.x] = 1 + loss[blockIdx.x] / (count + 1e-5);
}
cuda_error launch_mask_sums(cuda_stream stream, double *partial, const float *mask, int images, int64_t pixels) {
    return LAUNCH(mask_sums, dim3((unsigned)blocks_for(pixels), (unsigned)images), dim3(BLOCK), sizeof(block_tiles<1>), stream,
                  partial, mask, pixels);
}

/* ---- region_blocks */

struct first_pixels { /* of each block */
    int count, taps;
    int start[3][5]; /* of an axis, by quarters */
    uint8_t place[REGION_PLACES][3];
};
first_pixels first_pixels_of(const struct grid *grid) {
    struct regions regions;
    first_pixels f = {region_places(grid->ndim), (int)region_pixels(grid->ndim), {}, {}};
    regions_of(&regions, grid->ndim);
    for (int axis = 0; axis < 3; axis++)
        for (int q = 0; q < 5; q++) f.start[axis][q] = axis < 3 - grid->ndim ? 0 : (int)region_start(q, grid->size[axis]);
    for (int r = 0; r < f.count; r++)
        for (int axis = 0; axis < 3; axis++) f.place[r][axis] = regions.place[r][axis];
    return f;
}
__global__ void __launch_bounds__(BLOCK)
    region_rows(float *rows, const float *x, sizes s, int64_t count, int64_t pixels, int64_t channels, first_pixels f) {
    EACH_NUMBER(i, count) { /* (image, row, tap, channel) */
        const int64_t channel = i % channels, tap = i / channels % f.taps, row = i / channels / f.taps % f.count;
        const int64_t image = i / channels / f.taps / f.count;
        const int64_t z = f.start[0][f.place[row][0]] + tap / 9, y = f.start[1][f.place[row][1]] + tap / 3 % 3;
        rows[i] = x[(image * pixels + (z * s.h + y) * s.w + f.start[2][f.place[row][2]] + tap % 3) * channels + channel];
    }
}
__global__ void __launch_bounds__(BLOCK)
    region_grad(float *dx, const float *drows, sizes s, int64_t count, int64_t pixels, int64_t channels, int ndim, first_pixels f) {
    EACH_NUMBER(i, count) {
        const int64_t channel = i % channels, image = i / channels / pixels;
        const place here = place_of(s, i / channels % pixels);
        unsigned near[3] = {1, 0, 0}; /* quarters whose blocks have this pixel */
#pragma unroll
        for (int axis = 0; axis < 3; axis++) {
            if (axis < 3 - ndim) continue;
            near[axis] = 0;
#pragma unroll
            for (int q = 0; q < 5; q++)
                near[axis] |= (unsigned)(here.at[axis] >= f.start[axis][q] && here.at[axis] < f.start[axis][q] + 3) << q;
        }
        float sum = 0;
        for (int row = 0; near[0] && near[1] && near[2] && row < f.count; row++) {
            const uint8_t *const q = f.place[row];
            if (!(near[0] >> q[0] & 1 && near[1] >> q[1] & 1 && near[2] >> q[2] & 1)) continue;
            const int64_t tap =
                ((here.at[0] - f.start[0][q[0]]) * 3 + here.at[1] - f.start[1][q[1]]) * 3 + here.at[2] - f.start[2][q[2]];
            sum += drows[((image * f.count + row) * f.taps + tap) * channels + channel];
        }
        dx[i] = sum;
    }
}

/* ---- local_nce: a warp a region */

constexpr int COMPARED = 1 + 2 * REGION_NEGATIVES, ROWS = 2 + 2 * REGION_NEGATIVES;

struct region {
    const float *x[ROWS];
    double length[ROWS];
};
__device__ inline bool of_b(int which) { return which < 2 ? which == 1 : which >= 2 + REGION_NEGATIVES; }
__device__ inline int64_t row_of(int64_t regions, int64_t r, int which) {
    return which < 2 ? r : regions + REGION_NEGATIVES * r + (which - 2) % REGION_NEGATIVES;
}
__device__ inline double product(const float *a, const float *b, int64_t channels) {
    double sum = 0;
    for (int64_t c = (int64_t)(threadIdx.x % WARP); c < channels; c += WARP) sum += (double)a[c] * (double)b[c];
    return warp_sum(sum);
}
__device__ inline region region_at(const float *a, const float *b, int64_t regions, int64_t channels, int64_t r) {
    region of;
    for (int i = 0; i < ROWS; i++) {
        of.x[i] = (of_b(i) ? b : a) + row_of(regions, r, i) * channels;
        const double length = sqrt(product(of.x[i], of.x[i], channels));
        of.length[i] = length < 1e-12 ? 1e-12 : length;
    }
    return of;
}
__device__ inline double softmax_of(double (&cosine)[COMPARED], double (&p)[COMPARED], const region &of, int v, int64_t channels,
                                    double temperature) {
    double largest = -INFINITY, sum = 0;
    for (int i = 0; i < COMPARED; i++) {
        const int other = i == 0 ? 1 - v : 1 + i;
        cosine[i] = product(of.x[v], of.x[other], channels) / (of.length[v] * of.length[other]);
        if (!(cosine[i] <= largest)) largest = cosine[i];
    }
    for (int i = 0; i < COMPARED; i++) sum += p[i] = exp((cosine[i] - largest) / temperature);
    for (int i = 0; i < COMPARED; i++) p[i] /= sum;
    return log(sum) + (largest - cosine[0]) / temperature;
}

__global__ void __launch_bounds__(BLOCK)
    local_nce(double *loss, const float *a, const float *b, int64_t regions, int64_t channels, double temperature) {
    const int64_t first = blockIdx.x * (1 + REGION_NEGATIVES) * regions * channels;
    double total[1] = {0};
    for (int64_t r = threadIdx.x / WARP; r < regions; r += WARPS) {
        double cosine[COMPARED], p[COMPARED];
        const region of = region_at(a + first, b + first, regions, channels, r);
        for (int v = 0; v < 2; v++) {
            const double found = softmax_of(cosine, p, of, v, channels, temperature);
            if (threadIdx.x % WARP == 0) total[0] += found;
        }
    }
    block_sum(total, shared<block_tiles<1>>());
    if (threadIdx.x == 0) loss[blockIdx.x] = total[0] / (double)(2 * regions);
}

/* What x, of this length, gets of its cosine with y. */
__device__ inline float turned(const float *x, double x_length, const float *y, double y_length, double cosine, double share,
                               int64_t c) {
    const double of_y = share / (x_length * y_length), of_x = x_length <= 1e-12 ? 0 : share * cosine / (x_length * x_length);
    return (float)(of_y * (double)y[c] - of_x * (double)x[c]);
}
__global__ void __launch_bounds__(BLOCK) local_nce_grad(float *da, float *db, const float *a, const float *b, int64_t regions,
                                                        int64_t channels, double temperature, double weight) {
    const int64_t first = blockIdx.y * (1 + REGION_NEGATIVES) * regions * channels;
    const int64_t r = (int64_t)blockIdx.x * WARPS + threadIdx.x / WARP;
    if (r >= regions) return;
    const region of = region_at(a + first, b + first, regions, channels, r);
    double cosine[2][COMPARED], p[2][COMPARED];
    for (int v = 0; v < 2; v++) {
        softmax_of(cosine[v], p[v], of, v, channels, temperature);
        p[v][0] -= 1;
        for (int i = 0; i < COMPARED; i++) p[v][i] *= weight / (temperature * (double)(2 * regions));
    }
    for (int which = 0; which < ROWS; which++) {
        float *const to = (of_b(which) ? db : da) + first + row_of(regions, r, which) * channels;
        for (int64_t c = (int64_t)(threadIdx.x % WARP); c < channels; c += WARP) {
            float sum = 0;
            for (int v = 0; v < 2; v++)
                for (int i = 0; i < COMPARED; i++) {
                    const int other = i == 0 ? 1 - v : 1 + i;
                    if (which == v) sum += turned(of.x[v], of.length[v], of.x[other], of.length[other], cosine[v][i], p[v][i], c);
                    if (which == other)
                        sum += turned(of.x[other], of.length[other], of.x[v], of.length[v], cosine[v][i], p[v][i], c);
                }
            to[c] = sum;
        }
    }
}

} // namespace

extern "C" cuda_error cuda_smooth_loss(cuda_stream stream, double *loss, const float *field, int images, const struct grid *grid,
                                       int64_t channels, void *workspace) {
    double *const partial = static_cast<double *>(workspace);
    const int64_t pixels = grid_pixels(grid);
    const int blocks = blocks_for(pixels);
    const cuda_error error = LAUNCH(smooth_sums, dim3((unsigned)blocks, (unsigned)images), dim3(BLOCK), sizeof(block_tiles<1>),
                                    stream, partial, field, sizes_of(grid), pixels, channels, neighbours_of(grid, channels));
    if (error) return error;
    return LAUNCH(sums_total, dim3((unsigned)images), dim3(BLOCK), sizeof(block_tiles<1>), stream, loss, partial, blocks);
}
extern "C" cuda_error cuda_smooth_loss_grad(cuda_stream stream, float *dfield, const float *field, int images,
                                            const struct grid *grid, int64_t channels, float weight) {
    const int64_t pixels = grid_pixels(grid), count = images * pixels * channels;
    return LAUNCH(smooth_grad, grid_for_count(count, 4), dim3(BLOCK), 0, stream, dfield, field, sizes_of(grid), count, pixels,
                  channels, neighbours_of(grid, channels), weight);
}
extern "C" cuda_error cuda_inside_mask(cuda_stream stream, float *mask, const float *field, int images, const struct grid *grid,
                                       enum coordinates coordinates) {
    const int64_t pixels = grid_pixels(grid);
    return LAUNCH(inside, grid_for_count(images * pixels, 4), dim3(BLOCK), 0, stream, mask, field, sizes_of(grid), images * pixels,
                  pixels, grid->ndim, coordinates == COORDINATES_EXACT);
}
extern "C" cuda_error cuda_affine_field(cuda_stream stream, float *field, const float *numbers, int images,
                                        const struct grid *grid) {
    const int64_t pixels = grid_pixels(grid);
    return LAUNCH(affine, dim3((unsigned)blocks_for(pixels), (unsigned)images), dim3(BLOCK), sizeof(affine_tiles), stream, field,
                  numbers, sizes_of(grid), pixels, grid->ndim);
}
extern "C" cuda_error cuda_affine_field_grad(cuda_stream stream, float *dnumbers, const float *dfield, const float *numbers,
                                             int images, const struct grid *grid, void *workspace) {
    double *const partial = static_cast<double *>(workspace);
    const int64_t pixels = grid_pixels(grid);
    const int blocks = blocks_for(pixels);
    const cuda_error error = LAUNCH(affine_sums, dim3((unsigned)blocks, (unsigned)images), dim3(BLOCK),
                                    sizeof(block_tiles<AFFINE_SUMS>), stream, partial, dfield, sizes_of(grid), pixels, grid->ndim);
    if (error) return error;
    return LAUNCH(affine_finish, dim3((unsigned)images), dim3(BLOCK), sizeof(block_tiles<AFFINE_SUMS>), stream, dnumbers, partial,
                  blocks, numbers, grid->ndim);
}
extern "C" cuda_error cuda_mask_scales(cuda_stream stream, float *scale, const float *mask, int images, int64_t pixels,
                                       float weight, double least, void *workspace) {
    double *const partial = static_cast<double *>(workspace);
    const cuda_error error = mask ? launch_mask_sums(stream, partial, mask, images, pixels) : 0;
    if (error) return error;
    return LAUNCH(mask_scales, dim3((unsigned)images), dim3(BLOCK), sizeof(block_tiles<1>), stream, scale, mask ? partial : nullptr,
                  blocks_for(pixels), (double)pixels, (double)weight, least);
}
extern "C" cuda_error cuda_cosine_mean_loss(cuda_stream stream, double *loss, const void *a, const void *b, enum element element,
                                            const float *mask, int images, int64_t pixels, int64_t channels, void *workspace) {
    double *const partial = static_cast<double *>(workspace);
    cuda_error error = cuda_cosine_loss(stream, loss, a, b, element, mask, images, pixels, channels, workspace);
    if (!error) error = launch_mask_sums(stream, partial, mask, images, pixels);
    if (error) return error;
    return LAUNCH(mean_finish, dim3((unsigned)images), dim3(BLOCK), sizeof(block_tiles<1>), stream, loss, partial,
                  blocks_for(pixels));
}
extern "C" cuda_error cuda_cosine_mean_loss_grad(cuda_stream stream, void *da, void *db, const void *a, const void *b,
                                                 enum element element, const float *mask, int images, int64_t pixels,
                                                 int64_t channels, float weight, void *workspace) {
    const size_t sums = cuda_loss_workspace(images, pixels);
    float *const scale = reinterpret_cast<float *>(static_cast<char *>(workspace) + sums);
    const cuda_error error = cuda_mask_scales(stream, scale, mask, images, pixels, weight, 1e-5, workspace);
    if (error) return error;
    return cuda_cosine_loss_grad(stream, da, db, a, b, element, mask, scale, images, pixels, channels);
}
extern "C" cuda_error cuda_region_blocks(cuda_stream stream, float *rows, const float *x, int images, const struct grid *grid,
                                         int64_t channels) {
    const first_pixels f = first_pixels_of(grid);
    const int64_t count = images * f.count * f.taps * channels;
    return LAUNCH(region_rows, grid_for_count(count, 4), dim3(BLOCK), 0, stream, rows, x, sizes_of(grid), count, grid_pixels(grid),
                  channels, f);
}
extern "C" cuda_error cuda_region_blocks_grad(cuda_stream stream, float *dx, const float *drows, int images,
                                              const struct grid *grid, int64_t channels) {
    const int64_t count = images * grid_pixels(grid) * channels;
    return LAUNCH(region_grad, grid_for_count(count, 4), dim3(BLOCK), 0, stream, dx, drows, sizes_of(grid), count,
                  grid_pixels(grid), channels, grid->ndim, first_pixels_of(grid));
}
extern "C" cuda_error cuda_local_nce(cuda_stream stream, double *loss, const float *a, const float *b, int images, int64_t regions,
                                     int64_t channels, float temperature) {
    return LAUNCH(local_nce, dim3((unsigned)images), dim3(BLOCK), sizeof(block_tiles<1>), stream, loss, a, b, regions, channels,
                  (double)temperature);
}
extern "C" cuda_error cuda_local_nce_grad(cuda_stream stream, float *da, float *db, const float *a, const float *b, int images,
                                          int64_t regions, int64_t channels, float temperature, float weight) {
    return LAUNCH(local_nce_grad, dim3((unsigned)ceil_div(regions, WARPS), (unsigned)images), dim3(BLOCK), 0, stream, da, db, a, b,
                  regions, channels, (double)temperature, (double)weight);
}
