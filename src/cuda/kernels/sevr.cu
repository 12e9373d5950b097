/* The pixel work of SeVR (sevr_kernels.h): each kernel names the function of core/method whose arithmetic it repeats, operation
 * by operation.  Where a fused multiply-add would round differently from the CPU, times() and plus() forbid it. */
#include "../cuda.h"
#include "../sevr_kernels.h"
#include "sevr_random.cuh"
#include "sevr_walk.cuh"

#include <float.h>
#include <math.h>

namespace sevr {

/* ---- image_intensity() */

__device__ static inline uint32_t in_order(float x) { /* the order of these is that of the floats */
    const uint32_t bits = __float_as_uint(x);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ static inline float from_order(uint32_t order) {
    return __uint_as_float(order & 0x80000000u ? order & 0x7fffffffu : ~order);
}

__global__ void find_range(struct cuda_range *range, const float *__restrict__ image, int64_t values) {
    unsigned smallest = ~0u, largest_inverted = ~0u;
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < values; i += (int64_t)gridDim.x * THREADS) {
        const float x = image[i];
        if (isfinite(x)) smallest = min(smallest, in_order(x)), largest_inverted = min(largest_inverted, ~in_order(x));
        else atomicMin(&range->bad, (unsigned long long)i);
    }
    for (int other = LANES / 2; other; other /= 2) {
        smallest = min(smallest, __shfl_xor_sync(~0u, smallest, other));
        largest_inverted = min(largest_inverted, __shfl_xor_sync(~0u, largest_inverted, other));
    }
    if (threadIdx.x % LANES == 0) atomicMin(&range->smallest, smallest), atomicMin(&range->largest_inverted, largest_inverted);
}

struct scaling {
    float low, high, offset, divisor;
};
__device__ static inline struct scaling scaling_of(const struct cuda_range *range, const struct cuda_draw &d) {
    struct scaling s = {d.low, d.high, d.offset, d.divisor};
    if (d.by_range) {
        const float smallest = from_order(range->smallest), largest = from_order(~range->largest_inverted);
        s.offset = smallest, s.divisor = largest > smallest ? largest - smallest : 1;
    }
    return s;
}

/* ---- affine_field() and draw_mask() */

struct mask_sums {
    struct cuda_mask_sum warp[ROWS];
};
/* The sum over a block of ROWS warps; thread 0 has it. */
__device__ static inline struct cuda_mask_sum block_total(struct cuda_mask_sum mine) {
    struct mask_sums &sums = shared<struct mask_sums>();
    const int thread = (int)(threadIdx.y * blockDim.x + threadIdx.x);
    for (int other = LANES / 2; other; other /= 2) {
        mine.zero_loss += __shfl_xor_sync(~0u, mine.zero_loss, other);
        mine.valid += __shfl_xor_sync(~0u, mine.valid, other);
    }
    if (thread % LANES == 0) sums.warp[thread / LANES] = mine;
    __syncthreads();
    if (thread == 0)
        for (int i = 1; i < ROWS; i++) mine.zero_loss += sums.warp[i].zero_loss, mine.valid += sums.warp[i].valid;
    return mine;
}

template <int NDIM>
__global__ void draw_field(float *__restrict__ field, const float *__restrict__ flow, const struct cuda_draw d) {
    const struct walk walk = {d.crop[0], d.crop[1], d.crop[2]};
    EACH_ROW(walk) {
        const int corner[3] = {d.first[0] + z, d.first[1] + y, d.first[2]};
        const int64_t pixel = (int64_t)row * d.crop[2] + i,
                      place = ((int64_t)corner[0] * d.work[1] + corner[1]) * d.work[2] + corner[2] + i;
#pragma unroll
        for (int a = 0; a < NDIM; a++) {
            double v = d.shift[a];
#pragma unroll
            for (int b = 0; b < NDIM; b++) v = plus(v, times(d.linear[a][b], plus((double)corner[3 - NDIM + b], -d.centre[b])));
            if (flow) v = plus((double)flow[place * NDIM + a], v);
            v = plus(v, times(d.linear[a][NDIM - 1], (double)i));
            for (int b = 0; flow && b < NDIM; b++) v = plus(v, times(d.linear[a][b], (double)flow[place * NDIM + b]));
            field[pixel * NDIM + a] = (float)v;
        }
    }
}

template <int NDIM>
__global__ void draw_mask(float *__restrict__ mask, struct cuda_mask_sum *partial, const float *__restrict__ field,
                          const struct cuda_draw d) {
    const struct walk walk = {d.crop[0], d.crop[1], d.crop[2]};
    struct cuda_mask_sum sum = {0, 0};
    EACH_ROW(walk) {
        const int place[3] = {z, y, i};
        const int64_t pixel = (int64_t)row * d.crop[2] + i;
        bool inside = true;
        float magnitude = 0;
#pragma unroll
        for (int a = 0; a < NDIM; a++) {
            const float v = field[pixel * NDIM + a], at = (float)place[3 - NDIM + a] + v;
            inside = inside && (d.released ? at > 0 : at >= 0) && at <= (float)(d.crop[3 - NDIM + a] - 1);
            magnitude += fabsf(v);
        }
        mask[pixel] = inside ? 1.0f : 0.0f;
        if (inside) sum.valid++, sum.zero_loss += (double)magnitude;
    }
    sum = block_total(sum);
    if (threadIdx.x == 0 && threadIdx.y == 0) partial[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

__global__ void add_masks(struct cuda_view_sums *sums, const struct cuda_mask_sum *partial, int count,
                          const struct cuda_range *range) {
    struct cuda_mask_sum sum = {0, 0};
    for (int i = (int)threadIdx.x; i < count; i += THREADS) sum.zero_loss += partial[i].zero_loss, sum.valid += partial[i].valid;
    sum = block_total(sum);
    if (threadIdx.x != 0) return;
    const float extent = from_order(~range->largest_inverted) - from_order(range->smallest);
    const bool none = range->bad == ~0ull;
    *sums = {sum.valid, sum.zero_loss, none ? isfinite(extent) ? -1 : -2 : (int64_t)range->bad};
}

/* ---- source_fill(): the resized, normalised image within the box, zero outside the image */

struct tap {
    int first, second;
    float weight; /* of second */
};
__device__ static inline struct tap resize_tap(int place, int axis, const struct cuda_draw &d) {
    const int last = d.image[axis] - 1;
    double at = plus(times(plus((double)place, 0.5), d.ratio[axis]), -0.5);
    at = at < 0 ? 0 : at;
    const int first = min((int)at, last);
    return {first, min(first + 1, last), (float)plus(at, -(double)first)};
}

__device__ static inline float clip(float x, const struct scaling &s) {
    x = x > s.low ? x : s.low;
    return x < s.high ? x : s.high;
}

/* One column, blended along y and z and normalised. */
__device__ static inline float blend(const float *image, const struct tap &z, const struct tap &y, int64_t at,
                                     const struct scaling &s, const struct cuda_draw &d) {
    const int64_t line = (int64_t)d.image[2] * d.channels, plane = line * d.image[1];
    const float *near = image + z.first * plane + at, *far = image + z.second * plane + at;
    float a = lerp(clip(near[y.first * line], s), clip(near[y.second * line], s), y.weight);
    if (d.ndim == 3) a = lerp(a, lerp(clip(far[y.first * line], s), clip(far[y.second * line], s), y.weight), z.weight);
    return (a - s.offset) / s.divisor;
}

__global__ void fill_source(float *__restrict__ source, const float *__restrict__ image, const struct cuda_range *range,
                            const struct cuda_draw d) {
    const struct walk walk = {d.box[0], d.box[1], d.box[2] * d.channels};
    const struct scaling scaling = scaling_of(range, d);
    EACH_ROW(walk) {
        const int channel = i % d.channels, x = d.box_first[2] + i / d.channels, py = d.box_first[1] + y, pz = d.box_first[0] + z;
        float value = 0;
        if (pz >= 0 && pz < d.work[0] && py >= 0 && py < d.work[1] && x >= 0 && x < d.work[2]) {
            const struct tap tz = resize_tap(pz, 0, d), ty = resize_tap(py, 1, d), tx = resize_tap(x, 2, d);
            const bool same = d.image[2] == d.work[2];
            value = blend(image, tz, ty, (int64_t)(same ? x : tx.first) * d.channels + channel, scaling, d);
            if (!same) value = lerp(value, blend(image, tz, ty, (int64_t)tx.second * d.channels + channel, scaling, d), tx.weight);
        }
        source[(int64_t)row * walk.values + i] = value;
    }
}

/* ---- source_crop() and source_warp() */

struct spot { /* where one axis of the box is read */
    int first;
    float weight; /* of the next */
};
__device__ static inline struct spot spot_at(float position, int axis, const struct cuda_draw &d) {
    const float n = (float)d.work[axis], last = (float)(d.box[axis] - 2);
    const bool stretched = d.released && n > 1;
    const float offset = (float)-d.box_first[axis] - (stretched ? 0.5f : 0);
    float place = plus(times(position, stretched ? n / (n - 1) : 1), offset);
    place = place > 0 ? place : 0; /* NaN too */
    place = place < last ? place : last;
    return {(int)place, place - (float)(int)place};
}

template <int NDIM>
__global__ void read_views(float *__restrict__ moving, float *__restrict__ fixed, const float *__restrict__ field,
                           const float *__restrict__ source, const struct cuda_draw d) {
    const struct walk walk = {d.crop[0], d.crop[1], d.crop[2] * d.channels};
    const int64_t next = d.channels, down = d.box[2] * next, deep = d.box[1] * down;
    EACH_ROW(walk) {
        const int channel = i % d.channels, x = i / d.channels;
        const int64_t to = (int64_t)row * walk.values + i;
        const float *v = field + ((int64_t)row * d.crop[2] + x) * NDIM;
        const struct spot sy = spot_at((float)(d.first[1] + y) + v[NDIM - 2], 1, d),
                          sx = spot_at((float)d.first[2] + (float)x + v[NDIM - 1], 2, d);
        const float *at = source + sy.first * down + sx.first * next + channel;
        const int64_t plane = NDIM == 3 ? (d.first[0] + z - d.box_first[0]) * deep : 0;
        moving[to] = source[plane + (d.first[1] + y - d.box_first[1]) * down + (d.first[2] + x - d.box_first[2]) * next + channel];
        if (NDIM == 2) {
            fixed[to] = lerp(lerp(at[0], at[next], sx.weight), lerp(at[down], at[down + next], sx.weight), sy.weight);
            continue;
        }
        const struct spot sz = spot_at((float)(d.first[0] + z) + v[0], 0, d);
        at += sz.first * deep;
        const float *far = at + deep;
        const float near_value = lerp(lerp(at[0], at[next], sx.weight), lerp(at[down], at[down + next], sx.weight), sy.weight);
        const float far_value = lerp(lerp(far[0], far[next], sx.weight), lerp(far[down], far[down + next], sx.weight), sy.weight);
        fixed[to] = lerp(near_value, far_value, sz.weight);
    }
}

/* ---- appearance_change() */

/* A thread has one counter of Philox and the four values that it gives. */
__global__ void add_noise(float *__restrict__ view, int64_t values, float sigma, const struct cuda_random random) {
    const int64_t counter = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    const int64_t first = place_of_counter(counter);
    if (first >= values) return;
    float normal[WORDS];
    normals(normal, counter, random);
    for (int w = 0; w < WORDS; w++) {
        const int64_t place = first + w * COUNTERS;
        if (place < values) view[place] = plus(view[place], times(sigma, normal[w]));
    }
}

/* Sums of shares of a view, each in an order of its own; of which add_level() makes the mean. */
__global__ void sum_values(double *__restrict__ partial, const float *__restrict__ view, int64_t values) {
    struct cuda_mask_sum sum = {0, 0};
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < values; i += (int64_t)SEVR_SUMS * THREADS)
        sum.zero_loss += (double)view[i];
    sum = block_total(sum);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum.zero_loss;
}

struct mean_of_view {
    float mean;
};
__global__ void add_level(float *__restrict__ view, int64_t values, float gain, float offset, const double *__restrict__ partial) {
    struct mean_of_view &shared_mean = shared<struct mean_of_view>();
    if (threadIdx.x < LANES && partial) {
        double sum = 0;
        for (int i = (int)threadIdx.x; i < SEVR_SUMS; i += LANES) sum += partial[i];
        for (int other = LANES / 2; other; other /= 2) sum += __shfl_xor_sync(~0u, sum, other);
        if (threadIdx.x == 0) shared_mean.mean = (float)(sum / (double)values);
    }
    __syncthreads();
    const float mean = partial ? shared_mean.mean : 0;
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < values; i += (int64_t)gridDim.x * THREADS) {
        const float x = view[i], contrasted = partial ? plus(times(plus(x, -mean), gain), mean) : x;
        view[i] = plus(contrasted, offset);
    }
}

__device__ static inline bool covers(const struct cuda_boxes &boxes, int box, const int p[3]) {
    bool covered = true;
    for (int a = 0; a < 3; a++) covered = covered && p[a] >= boxes.first[box][a] && p[a] < boxes.first[box][a] + boxes.size[box][a];
    return covered;
}

/* What is painted depends on the place alone; where boxes overlap the first of them paints. */
__global__ void fill_boxes(float *__restrict__ view, const struct cuda_boxes boxes, const struct cuda_random random,
                           const struct cuda_draw d) {
    const int box = (int)blockIdx.y;
    const int *first = boxes.first[box], *size = boxes.size[box], line = size[2] * d.channels;
    for (int i = (int)blockIdx.x * THREADS + (int)threadIdx.x; i < size[0] * size[1] * line; i += (int)gridDim.x * THREADS) {
        const int row = i / line, p[3] = {first[0] + row / size[1], first[1] + row % size[1], first[2] + i % line / d.channels};
        int before = 0;
        while (before < box && !covers(boxes, before, p)) before++;
        const int64_t place = (((int64_t)p[0] * d.crop[1] + p[1]) * d.crop[2] + first[2]) * d.channels + i % line;
        if (before == box) view[place] = uniform_at(place, random);
    }
}

/* ---- host */

extern "C" cuda_error cuda_sevr_range(cuda_stream stream, struct cuda_range *range, const float *image, int64_t values) {
    const cudaError_t error = cudaMemsetAsync(range, 0xff, sizeof *range, (cudaStream_t)stream);
    return error ? error : LAUNCH(find_range, flat(values, 512), THREADS, 0, stream, range, image, values);
}

extern "C" cuda_error cuda_sevr_field(cuda_stream stream, float *field, const float *flow, const struct cuda_draw *draw) {
    const dim3 blocks = blocks_for({draw->crop[0], draw->crop[1], draw->crop[2]});
    return LAUNCH(draw->ndim == 2 ? draw_field<2> : draw_field<3>, blocks, by_rows, 0, stream, field, flow, *draw);
}

extern "C" cuda_error cuda_sevr_mask(cuda_stream stream, float *mask, struct cuda_view_sums *sums, struct cuda_mask_sum *partial,
                                     const float *field, const struct cuda_range *range, const struct cuda_draw *draw) {
    dim3 blocks = blocks_for({draw->crop[0], draw->crop[1], draw->crop[2]});
    while (blocks.x * blocks.y > SEVR_BLOCKS && blocks.y > 1) blocks.y = (blocks.y + 1) / 2;
    if (blocks.x > SEVR_BLOCKS) return cudaErrorInvalidValue;
    const cudaError_t error = LAUNCH(draw->ndim == 2 ? draw_mask<2> : draw_mask<3>, blocks, by_rows, sizeof(struct mask_sums),
                                     stream, mask, partial, field, *draw);
    if (error) return error;
    return LAUNCH(add_masks, 1, THREADS, sizeof(struct mask_sums), stream, sums, partial, (int)(blocks.x * blocks.y), range);
}

extern "C" cuda_error cuda_sevr_source(cuda_stream stream, float *source, const float *image, const struct cuda_range *range,
                                       const struct cuda_draw *draw) {
    const dim3 blocks = blocks_for({draw->box[0], draw->box[1], draw->box[2] * draw->channels});
    return LAUNCH(fill_source, blocks, by_rows, 0, stream, source, image, range, *draw);
}

extern "C" cuda_error cuda_sevr_views(cuda_stream stream, float *moving, float *fixed, const float *field, const float *source,
                                      const struct cuda_draw *draw) {
    const dim3 blocks = blocks_for({draw->crop[0], draw->crop[1], draw->crop[2] * draw->channels});
    return LAUNCH(draw->ndim == 2 ? read_views<2> : read_views<3>, blocks, by_rows, 0, stream, moving, fixed, field, source, *draw);
}

extern "C" cuda_error cuda_sevr_noise(cuda_stream stream, float *view, int64_t values, float sigma,
                                      const struct cuda_random *random) {
    return LAUNCH(add_noise, flat(counters_for(values), INT32_MAX), THREADS, 0, stream, view, values, sigma, *random);
}

extern "C" cuda_error cuda_sevr_level(cuda_stream stream, float *view, int64_t values, bool contrast, float gain, float offset,
                                      double *partial) {
    cudaError_t error = cudaSuccess;
    if (contrast) error = LAUNCH(sum_values, SEVR_SUMS, THREADS, sizeof(struct mask_sums), stream, partial, view, values);
    if (error) return error;
    const double *sums = contrast ? partial : NULL;
    return LAUNCH(add_level, flat(values, 1024), THREADS, sizeof(struct mean_of_view), stream, view, values, gain, offset, sums);
}

extern "C" cuda_error cuda_sevr_fill(cuda_stream stream, float *view, const struct cuda_boxes *boxes,
                                     const struct cuda_random *random, const struct cuda_draw *draw) {
    return LAUNCH(fill_boxes, dim3(16, (unsigned)boxes->count), THREADS, 0, stream, view, *boxes, *random, *draw);
}

} // namespace sevr
