/* Gaussian smoothing for SeVR's blur and its random deformations, and scaling and squaring: the arithmetic of convolve_rows() and
 * sevr_deform.c, operation by operation.  Both deformations are off in the paper's presets. */
#include "../cuda.h"
#include "../sevr_kernels.h"
#include "sevr_walk.cuh"

#include <math.h>

namespace sevr {

__global__ void store_weights(float *__restrict__ weights, const struct cuda_weights part) {
    for (int i = (int)threadIdx.x; i < part.count; i += THREADS) weights[part.first + i] = part.value[i];
}

__global__ void smooth_axis(float *__restrict__ y, const float *__restrict__ x, const float *__restrict__ weights,
                            const struct cuda_smoothing s) {
    const int64_t t = (int64_t)blockIdx.x * THREADS + threadIdx.x, line = t / s.inner, sheet = line / s.count;
    if (sheet >= s.outer) return;
    const int place = s.first + (int)(line - sheet * s.count), last = s.size - 1;
    const float *at = x + (sheet * s.size + place) * s.inner + t % s.inner;
    float sum = times(weights[0], at[0]);
    for (int k = 1; k <= s.taps; k++) {
        const float before = place >= k ? at[-k * s.inner] : s.edges ? at[-place * s.inner] : 0;
        const float behind = place + k <= last ? at[k * s.inner] : s.edges ? at[(last - place) * s.inner] : 0;
        sum = plus(sum, times(weights[k], plus(before, behind)));
    }
    if (s.gain != 0) y[t * s.stride] = plus(y[t * s.stride], times(s.gain, sum));
    else y[t] = sum;
}

__global__ void draw_uniform(float *__restrict__ x, int64_t values, const struct cuda_random random) {
    const int64_t counter = (int64_t)blockIdx.x * THREADS + threadIdx.x, first = place_of_counter(counter);
    if (first >= values) return;
    uint32_t word[WORDS];
    philox_words(word, counter, random);
    for (int w = 0; w < WORDS; w++)
        if (first + w * COUNTERS < values) x[first + w * COUNTERS] = plus(times(2, uniform_of(word[w])), -1);
}

/* ---- scaling and squaring */

__global__ void find_largest(struct cuda_flow_box *box, const float *__restrict__ u, int64_t pixels, int ndim) {
    const int a = (int)blockIdx.y;
    unsigned most = 0;
    for (int64_t p = (int64_t)blockIdx.x * THREADS + threadIdx.x; p < pixels; p += (int64_t)gridDim.x * THREADS) {
        const float magnitude = fabsf(u[p * ndim + a]);
        most = magnitude > 0 ? max(most, __float_as_uint(magnitude)) : most;
    }
    for (int other = LANES / 2; other; other /= 2) most = max(most, __shfl_xor_sync(~0u, most, other));
    if (threadIdx.x % LANES == 0) atomicMax(&box->largest[a], most);
}

/* flow_box() of sevr_deform.c */
__global__ void place_box(struct cuda_flow_box *box, int squarings, const struct cuda_draw d) {
    const int i = (int)threadIdx.x, a = i - (3 - d.ndim);
    box->first[i] = 0, box->size[i] = 1;
    if (a < 0) return;
    const double reach = ldexp((double)__uint_as_float(box->largest[a]), squarings) + squarings + 2;
    const int margin = (int)fmin(reach, (double)d.work[i]), low = d.first[i] - margin, high = d.first[i] + d.crop[i] + margin;
    box->first[i] = max(low, 0), box->size[i] = min(high, d.work[i]) - box->first[i];
}

struct between { /* the two places that are read of an axis, and the weight of the second */
    int first, second;
    float weight;
};
__device__ static inline struct between between(float place, int size) {
    const float last = (float)(size - 1);
    place = place > 0 ? place : 0;
    place = place < last ? place : last;
    const int first = (int)place;
    return {first, first + 1 < size ? first + 1 : first, plus(place, -(float)first)};
}

template <int NDIM>
__global__ void square(float *__restrict__ squared, const float *__restrict__ u, const struct cuda_flow_box *given,
                       const struct cuda_draw d) {
    const struct cuda_flow_box box = *given;
    const struct walk walk = {box.size[0], box.size[1], box.size[2]};
    const int64_t down = (int64_t)d.work[2] * NDIM, deep = down * d.work[1];
    const float *const corner = u + box.first[0] * deep + box.first[1] * down + box.first[2] * NDIM;
    EACH_ROW(walk) {
        const int64_t at = z * deep + y * down + (int64_t)i * NDIM;
        const float *here = corner + at;
        float *to = squared + (here - u);
        const struct between by = between((float)y + here[NDIM - 2], box.size[1]),
                             bx = between((float)i + here[NDIM - 1], box.size[2]),
                             bz = between(NDIM == 3 ? (float)z + here[0] : 0, box.size[0]);
        for (int a = 0; a < NDIM; a++) {
            const float *near = corner + bz.first * deep + a, *far = corner + bz.second * deep + a;
            float top = lerp(near[by.first * down + bx.first * NDIM], near[by.first * down + bx.second * NDIM], bx.weight);
            float low = lerp(near[by.second * down + bx.first * NDIM], near[by.second * down + bx.second * NDIM], bx.weight);
            float value = lerp(top, low, by.weight);
            if (NDIM == 3) {
                top = lerp(far[by.first * down + bx.first * NDIM], far[by.first * down + bx.second * NDIM], bx.weight);
                low = lerp(far[by.second * down + bx.first * NDIM], far[by.second * down + bx.second * NDIM], bx.weight);
                value = lerp(value, lerp(top, low, by.weight), bz.weight);
            }
            to[a] = plus(value, here[a]);
        }
    }
}

/* ---- host */

extern "C" cuda_error cuda_sevr_weights(cuda_stream stream, float *weights, const struct cuda_weights *part) {
    return LAUNCH(store_weights, 1, THREADS, 0, stream, weights, *part);
}

extern "C" cuda_error cuda_sevr_smooth(cuda_stream stream, float *y, const float *x, const float *weights,
                                       const struct cuda_smoothing *s) {
    return LAUNCH(smooth_axis, flat(s->outer * s->count * s->inner, INT32_MAX), THREADS, 0, stream, y, x, weights, *s);
}

extern "C" cuda_error cuda_sevr_uniform(cuda_stream stream, float *x, int64_t values, const struct cuda_random *random) {
    return LAUNCH(draw_uniform, flat(counters_for(values), INT32_MAX), THREADS, 0, stream, x, values, *random);
}

extern "C" cuda_error cuda_sevr_flow_box(cuda_stream stream, struct cuda_flow_box *box, const float *velocity, int squarings,
                                         const struct cuda_draw *draw) {
    const int64_t pixels = (int64_t)draw->work[0] * draw->work[1] * draw->work[2];
    dim3 blocks = flat(pixels, 512);
    blocks.y = (unsigned)draw->ndim;
    cudaError_t error = cudaMemsetAsync(box, 0, sizeof *box, (cudaStream_t)stream);
    if (!error) error = LAUNCH(find_largest, blocks, THREADS, 0, stream, box, velocity, pixels, draw->ndim);
    return error ? error : LAUNCH(place_box, 1, 3, 0, stream, box, squarings, *draw);
}

extern "C" cuda_error cuda_sevr_square(cuda_stream stream, float *squared, const float *u, const struct cuda_flow_box *box,
                                       const struct cuda_draw *draw) {
    const dim3 blocks = blocks_for({draw->work[0], draw->work[1], draw->work[2]});
    return LAUNCH(draw->ndim == 2 ? square<2> : square<3>, blocks, by_rows, 0, stream, squared, u, box, *draw);
}

} // namespace sevr
