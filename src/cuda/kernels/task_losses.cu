/* The losses of downstream tasks: cross-entropy with Dice loss over a softmax, binary cross-entropy over sigmoids, and which pixels are right; an
 * image a row.
 * cpu/plain/task_losses.c and cpu/task_losses.h state the formulas.  Called by the executor's rows of the same names. */
#include "reduce.cuh"

namespace {

struct task_sizes { /* for kernels */
    int64_t pixels;
    int classes;
    float ce_weight, dice_weight, smooth;
};
task_sizes sizes_for(const cuda_task_loss *s) {
    return task_sizes{s->pixels, (int)s->classes, s->ce_weight, s->dice_weight, s->smooth};
}
__device__ inline float weight_of(const float *class_weights, int k) { return class_weights ? class_weights[k] : 1; }

/* ---- softmax */

/* The class of a pixel, or -1: what is no class has no part, NaN neither. */
__device__ inline int class_of(float target, int classes) { return target >= 0 && target < (float)classes ? (int)target : -1; }

/* p_k = exp(z_k - largest) * inverse */
struct softmax {
    float largest, sum, inverse;
};
__device__ inline softmax softmax_of(const float *z, int classes) {
    softmax at = {z[0], 0, 0};
    for (int k = 1; k < classes; k++) at.largest = z[k] > at.largest ? z[k] : at.largest;
    for (int k = 0; k < classes; k++) at.sum += expf(z[k] - at.largest);
    at.inverse = 1 / at.sum;
    return at;
}
__device__ inline float probability(const softmax &at, float z) { return expf(z - at.largest) * at.inverse; }

/* A warp takes a strip of WARP * STRIP pixels, each lane keeps what it knows of STRIP of them, and goes through the classes with
 * sums in registers, however many there are.  Quantities of a strip: entropy, valid pixels, all I, all P, all T, as in the statistics.
 * partial: (images, quantities, strips). */
constexpr int STRIP = 8;
__device__ __host__ inline int quantities_of(int classes) { return 2 + 3 * classes; }

__global__ void __launch_bounds__(BLOCK) softmax_sums(double *partial, const float *logits, const float *target,
                                                      const float *class_weights, int64_t strips, task_sizes s) {
    const int64_t strip = (int64_t)blockIdx.x * WARPS + threadIdx.x / WARP, image = blockIdx.y;
    const int lane = (int)(threadIdx.x % WARP);
    if (strip >= strips) return; /* the whole warp */
    const float *const z = logits + image * s.pixels * s.classes;
    double *const to = partial + image * quantities_of(s.classes) * strips + strip;
    softmax at[STRIP];
    int own[STRIP];
    float entropy = 0, valid = 0;
#pragma unroll
    for (int i = 0; i < STRIP; i++) {
        const int64_t p = (strip * STRIP + i) * WARP + lane;
        own[i] = p < s.pixels ? class_of(target[image * s.pixels + p], s.classes) : -1;
        at[i] = softmax{0, 0, 0};
        if (own[i] < 0) continue;
        at[i] = softmax_of(z + p * s.classes, s.classes);
        entropy += weight_of(class_weights, own[i]) * (logf(at[i].sum) - (z[p * s.classes + own[i]] - at[i].largest));
        valid++;
    }
    const double entropies = warp_sum((double)entropy), valid_pixels = warp_sum((double)valid);
    if (lane == 0) to[0] = entropies, to[strips] = valid_pixels;
    for (int k = 0; k < s.classes; k++) {
        float prediction = 0, intersection = 0, truth = 0;
#pragma unroll
        for (int i = 0; i < STRIP; i++) {
            if (own[i] < 0) continue;
            const float share = probability(at[i], z[((strip * STRIP + i) * WARP + lane) * s.classes + k]);
            prediction += share;
            if (own[i] == k) intersection += share, truth++;
        }
        const double sums[3] = {warp_sum((double)intersection), warp_sum((double)prediction), warp_sum((double)truth)};
        if (lane == 0)
#pragma unroll
            for (int q = 0; q < 3; q++) to[(2 + (int64_t)q * s.classes + k) * strips] = sums[q];
    }
}

/* 2 I_k + smooth and P_k + T_k + smooth, whose ratio is the Dice of class k. */
__device__ inline double dice_above(const double *statistics, int k, const task_sizes &s) {
    return 2 * statistics[1 + k] + (double)s.smooth;
}
__device__ inline double dice_below(const double *statistics, int k, const task_sizes &s) {
    return statistics[1 + s.classes + k] + statistics[1 + 2 * s.classes + k] + (double)s.smooth;
}

/* A block an image, a warp a quantity at a time. */
struct entropy_tile {
    double entropy;
};
__global__ void __launch_bounds__(BLOCK)
    softmax_finish(double *loss, double *statistics, const double *partial, int64_t strips, task_sizes s) {
    entropy_tile &tile = shared<entropy_tile>();
    const int64_t image = blockIdx.x;
    const int quantities = quantities_of(s.classes);
    double *const of_image = statistics + image * (quantities - 1);
    for (int q = (int)(threadIdx.x / WARP); q < quantities; q += WARPS) {
        const double sum = warp_total(partial + (image * quantities + q) * strips, (int)strips);
        if (threadIdx.x % WARP == 0) (q == 0 ? tile.entropy : of_image[q - 1]) = sum;
    }
    __syncthreads();
    if (threadIdx.x != 0) return;
    double dice = 0;
    for (int k = 1; k < s.classes; k++) dice += dice_above(of_image, k, s) / dice_below(of_image, k, s);
    loss[2 * image] = of_image[0] > 0 ? tile.entropy / of_image[0] : 0;
    loss[2 * image + 1] = 1 - dice / (double)(s.classes - 1);
}

/* dice_weight * d(Dice loss) / dp_k at a pixel of class t is every + (t = k ? own : 0). */
struct dice_slope {
    float every, own;
};
__device__ inline dice_slope slope_of(const double *statistics, int k, const task_sizes &s) {
    if (k == 0 || s.dice_weight == 0) return dice_slope{0, 0};
    const float inverse = 1 / (float)dice_below(statistics, k, s), scale = s.dice_weight / (float)(s.classes - 1) * inverse;
    return dice_slope{scale * (float)dice_above(statistics, k, s) * inverse, -2 * scale};
}

/* Slopes of the classes at hand, for all pixels of a block. */
constexpr int SLOPES = 64;
struct slope_tiles {
    dice_slope at[SLOPES];
};
/* Slopes [first, first + SLOPES) of an image; the block waits for itself before and after. */
__device__ inline void find_slopes(slope_tiles &tiles, const double *statistics, int first, const task_sizes &s) {
    __syncthreads();
    if (threadIdx.x < SLOPES && first + (int)threadIdx.x < s.classes)
        tiles.at[threadIdx.x] = slope_of(statistics, first + (int)threadIdx.x, s);
    __syncthreads();
}
/* A thread takes a pixel.  Slopes come in tables of some classes: once for their mean, then for the gradient. */
__global__ void __launch_bounds__(BLOCK) softmax_grad(float *dlogits, const float *logits, const float *target,
                                                      const float *class_weights, const double *statistics, task_sizes s) {
    slope_tiles &slopes = shared<slope_tiles>();
    const int64_t image = blockIdx.y, p = (int64_t)blockIdx.x * BLOCK + threadIdx.x, first = (image * s.pixels + p) * s.classes;
    const double *const of_image = statistics + image * (quantities_of(s.classes) - 1);
    const float *const z = logits + first;
    const bool here = p < s.pixels;
    const int own = here ? class_of(target[image * s.pixels + p], s.classes) : -1;
    const softmax at = own < 0 ? softmax{0, 0, 0} : softmax_of(z, s.classes);
    const float entropy = own < 0 ? 0 : s.ce_weight * weight_of(class_weights, own) / (float)of_image[0];
    float mean = 0; /* of the slopes */
    for (int k0 = 0; k0 < s.classes; k0 += SLOPES) {
        find_slopes(slopes, of_image, k0, s);
        for (int k = k0; own >= 0 && k < s.classes && k < k0 + SLOPES; k++)
            mean = fmaf(probability(at, z[k]), slopes.at[k - k0].every + (k == own ? slopes.at[k - k0].own : 0), mean);
    }
    for (int k0 = 0; k0 < s.classes; k0 += SLOPES) {
        if (s.classes > SLOPES) find_slopes(slopes, of_image, k0, s);
        for (int k = k0; here && k < s.classes && k < k0 + SLOPES; k++) {
            const dice_slope slope = slopes.at[k - k0];
            const float every = slope.every - mean + entropy, more = k == own ? slope.own : 0;
            dlogits[first + k] = own < 0 ? 0 : probability(at, z[k]) * (every + more) - (k == own ? entropy : 0);
        }
    }
}

/* ---- sigmoid: a thread takes an entry */

constexpr int SIGMOID_EACH = 16;

__global__ void __launch_bounds__(BLOCK)
    sigmoid_sums(double *partial, const float *logits, const float *target, const float *class_weights, task_sizes s) {
    const int64_t entries = s.pixels * s.classes, first = blockIdx.y * entries;
    float sum = 0, known = 0;
#pragma unroll 4
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < entries; i += (int64_t)gridDim.x * BLOCK) {
        const float z = logits[first + i], t = target[first + i];
        if (t < 0) continue;
        const float weight = class_weights ? class_weights[i % s.classes] : 1;
        sum = fmaf(weight, (z < 0 ? 0 : z) - z * t + log1pf(expf(-fabsf(z))), sum);
        known++;
    }
    double sums[2] = {(double)sum, (double)known};
    block_sum(sums, shared<block_tiles<2>>());
    if (threadIdx.x != 0) return;
    partial[(blockIdx.y * 2) * (int64_t)gridDim.x + blockIdx.x] = sums[0];
    partial[(blockIdx.y * 2 + 1) * (int64_t)gridDim.x + blockIdx.x] = sums[1];
}

__global__ void __launch_bounds__(BLOCK) sigmoid_finish(double *loss, double *statistics, const double *partial, int blocks) {
    const int64_t image = blockIdx.x;
    const double *const of_image = partial + image * 2 * blocks;
    double sums[2] = {0, 0};
    for (int i = (int)threadIdx.x; i < blocks; i += BLOCK) sums[0] += of_image[i], sums[1] += of_image[blocks + i];
    block_sum(sums, shared<block_tiles<2>>());
    if (threadIdx.x == 0)
        loss[2 * image] = sums[1] > 0 ? sums[0] / sums[1] : 0, loss[2 * image + 1] = 0, statistics[image] = sums[1];
}

__global__ void __launch_bounds__(BLOCK) sigmoid_grad(float *dlogits, const float *logits, const float *target,
                                                      const float *class_weights, const double *statistics, task_sizes s) {
    const int64_t entries = s.pixels * s.classes, first = blockIdx.y * entries;
    const float inverse = (float)(1 / statistics[blockIdx.y]);
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < entries; i += (int64_t)gridDim.x * BLOCK) {
        const float z = logits[first + i], t = target[first + i], weight = class_weights ? class_weights[i % s.classes] : 1;
        dlogits[first + i] = t < 0 ? 0 : weight * (1 / (1 + expf(-z)) - t) * inverse;
    }
}

/* ---- which pixels are right: a block an image, as rows are few where this is asked for */

__global__ void __launch_bounds__(BLOCK)
    class_right(double *right, const float *logits, const float *target, int64_t pixels, int64_t classes) {
    const int64_t image = blockIdx.x;
    double sums[1] = {0};
    for (int64_t p = threadIdx.x; p < pixels; p += BLOCK) {
        const float *const z = logits + (image * pixels + p) * classes;
        int64_t best = 0;
        for (int64_t k = 1; k < classes; k++) best = z[k] > z[best] ? k : best;
        sums[0] += target[image * pixels + p] == (float)best ? 1 : 0;
    }
    block_sum(sums, shared<block_tiles<1>>());
    if (threadIdx.x == 0) right[image] = sums[0];
}

int64_t strips_of(int64_t pixels) { return at_least_one(ceil_div(pixels, WARP * STRIP)); }
int sigmoid_blocks(const cuda_task_loss *s) {
    return (int)at_least_one(ceil_div(s->pixels * s->classes, (int64_t)BLOCK * SIGMOID_EACH));
}
dim3 grid_of_image(int64_t count, int images) { return dim3(grid_for_count(count, 4).x, (unsigned)images); }

} // namespace

extern "C" size_t cuda_task_loss_workspace(const cuda_task_loss *s) {
    const int64_t softmax = quantities_of((int)s->classes) * strips_of(s->pixels), sigmoid = 2 * (int64_t)sigmoid_blocks(s);
    return (size_t)(softmax > sigmoid ? softmax : sigmoid) * (size_t)s->images * sizeof(double);
}

extern "C" cuda_error cuda_softmax_loss(cuda_stream stream, double *loss, double *statistics, const float *logits,
                                        const float *target, const float *class_weights, const cuda_task_loss *s, void *workspace) {
    double *const partial = static_cast<double *>(workspace);
    const int64_t strips = strips_of(s->pixels);
    const cuda_error error = LAUNCH(softmax_sums, dim3((unsigned)ceil_div(strips, WARPS), (unsigned)s->images), dim3(BLOCK), 0,
                                    stream, partial, logits, target, class_weights, strips, sizes_for(s));
    if (error) return error;
    return LAUNCH(softmax_finish, dim3((unsigned)s->images), dim3(BLOCK), sizeof(entropy_tile), stream, loss, statistics, partial,
                  strips, sizes_for(s));
}

extern "C" cuda_error cuda_softmax_loss_grad(cuda_stream stream, float *dlogits, const float *logits, const float *target,
                                             const float *class_weights, const double *statistics, const cuda_task_loss *s) {
    return LAUNCH(softmax_grad, dim3((unsigned)ceil_div(s->pixels, BLOCK), (unsigned)s->images), dim3(BLOCK), sizeof(slope_tiles),
                  stream, dlogits, logits, target, class_weights, statistics, sizes_for(s));
}

extern "C" cuda_error cuda_class_right(cuda_stream stream, double *right, const float *logits, const float *target, int images,
                                       int64_t pixels, int64_t classes) {
    return LAUNCH(class_right, dim3((unsigned)images), dim3(BLOCK), sizeof(block_tiles<1>), stream, right, logits, target, pixels,
                  classes);
}

extern "C" cuda_error cuda_sigmoid_loss(cuda_stream stream, double *loss, double *statistics, const float *logits,
                                        const float *target, const float *class_weights, const cuda_task_loss *s, void *workspace) {
    double *const partial = static_cast<double *>(workspace);
    const int blocks = sigmoid_blocks(s);
    const cuda_error error = LAUNCH(sigmoid_sums, dim3((unsigned)blocks, (unsigned)s->images), dim3(BLOCK), sizeof(block_tiles<2>),
                                    stream, partial, logits, target, class_weights, sizes_for(s));
    if (error) return error;
    return LAUNCH(sigmoid_finish, dim3((unsigned)s->images), dim3(BLOCK), sizeof(block_tiles<2>), stream, loss, statistics, partial,
                  blocks);
}

extern "C" cuda_error cuda_sigmoid_loss_grad(cuda_stream stream, float *dlogits, const float *logits, const float *target,
                                             const float *class_weights, const double *statistics, const cuda_task_loss *s) {
    return LAUNCH(sigmoid_grad, grid_of_image(s->pixels * s->classes, s->images), dim3(BLOCK), 0, stream, dlogits, logits, target,
                  class_weights, statistics, sizes_for(s));
}
