/* Flat vectors: sums of gradients, the global norm, Adam, the search for what is not finite (cpu/plain/add.c and vector.c state the
 * formulas).  Called by the executor's row add, and by the training of the device. */
#include "reduce.cuh"

namespace {

template <int V> __device__ lanes<V> sum_of(lanes<V> a, const lanes<V> &b) {
#pragma unroll
    for (int i = 0; i < V; i++) a.at[i] += b.at[i];
    return a;
}

template <typename E> __global__ void __launch_bounds__(BLOCK) add(E *y, const E *a, const E *b, int64_t count) {
    constexpr int V = vector_of<E>;
    EACH_VECTOR(i, V, count) store<V>(y + i, sum_of(load<V>(a + i), load<V>(b + i)));
    const int64_t last = TAIL(V, count);
    if (last < count) store<1>(y + last, sum_of(load<1>(a + last), load<1>(b + last)));
}

/* Squares of the whole range of floats need double, and one a number is cheap enough on any chip. */
__global__ void __launch_bounds__(BLOCK) square_sums(double *partial, const float *x, int64_t count) {
    constexpr int V = vector_of<float>;
    double lane[V] = {};
    EACH_VECTOR(i, V, count) {
        const lanes<V> value = load<V>(x + i);
#pragma unroll
        for (int k = 0; k < V; k++) lane[k] += (double)value.at[k] * (double)value.at[k];
    }
    const int64_t last = TAIL(V, count);
    if (last < count) lane[0] += (double)x[last] * (double)x[last];
    double sum[1] = {(lane[0] + lane[1]) + (lane[2] + lane[3])};
    block_sum(sum, shared<block_tiles<1>>());
    if (threadIdx.x == 0) partial[blockIdx.x] = sum[0];
}
__global__ void __launch_bounds__(BLOCK) sum_of_sums(double *sum, const double *partial, int count) {
    double total[1] = {0};
    for (int i = (int)threadIdx.x; i < count; i += BLOCK) total[0] += partial[i];
    block_sum(total, shared<block_tiles<1>>());
    if (threadIdx.x == 0) *sum = total[0];
}
dim3 square_sum_grid(int64_t count) { return grid_for_count(count, vector_of<float> * 2 * VECTORS_EACH); }

/* ---- Adam */

struct adam_factors {
    bool skip;
    float scale, decay, epsilon, keep1, keep2, take1, take2, step, root;
};
__device__ adam_factors factors_of(const cuda_update &update, double square_sum) {
    const adam &a = update.adam;
    const double norm = sqrt(square_sum) * a.scale;
    const double scale = update.clip > 0 && norm > update.clip ? a.scale * (update.clip / (norm + a.clip_epsilon)) : a.scale;
    adam_factors f;
    f.skip = a.scale == 0 || !isfinite(square_sum);
    f.scale = (float)scale, f.decay = (float)a.weight_decay, f.epsilon = (float)a.epsilon;
    f.keep1 = (float)a.beta1, f.keep2 = (float)a.beta2, f.take1 = (float)(1 - a.beta1), f.take2 = (float)(1 - a.beta2);
    f.step = (float)(a.lr / a.correction1), f.root = (float)sqrt(a.correction2);
    return f;
}

template <int V>
__device__ void adam_at(float *weights, float *m, float *v, const float *gradient, int64_t i, const adam_factors &f) {
    lanes<V> w = load<V>(weights + i), first = load<V>(m + i), second = load<V>(v + i);
    const lanes<V> raw = load<V>(gradient + i);
#pragma unroll
    for (int k = 0; k < V; k++) {
        const float g = f.scale * raw.at[k] + f.decay * w.at[k];
        first.at[k] = f.keep1 * first.at[k] + f.take1 * g;
        second.at[k] = f.keep2 * second.at[k] + f.take2 * (g * g);
        w.at[k] -= f.step * (first.at[k] / (sqrtf(second.at[k]) / f.root + f.epsilon));
    }
    store<V>(weights + i, w), store<V>(m + i, first), store<V>(v + i, second);
}

__global__ void __launch_bounds__(BLOCK) adam_update(float *weights, float *m, float *v, const float *gradient, int64_t count,
                                                     const cuda_update *update, const double *square_sum) {
    adam_factors &factors = shared<adam_factors>();
    if (threadIdx.x == 0) factors = factors_of(*update, *square_sum);
    __syncthreads();
    const adam_factors f = factors;
    if (f.skip) return;
    constexpr int V = vector_of<float>;
    EACH_VECTOR(i, V, count) adam_at<V>(weights, m, v, gradient, i, f);
    const int64_t last = TAIL(V, count);
    if (last < count) adam_at<1>(weights, m, v, gradient, last, f);
}

/* ---- a twin */

template <int V> __device__ lanes<V> towards(lanes<V> y, const lanes<V> &x, float rate) {
#pragma unroll
    for (int i = 0; i < V; i++) y.at[i] = rate == 1 ? x.at[i] : y.at[i] + rate * (x.at[i] - y.at[i]);
    return y;
}

__global__ void __launch_bounds__(BLOCK) follow(float *y, const float *x, int64_t count, float rate) {
    constexpr int V = vector_of<float>;
    EACH_VECTOR(i, V, count) store<V>(y + i, towards(load<V>(y + i), load<V>(x + i), rate));
    const int64_t last = TAIL(V, count);
    if (last < count) store<1>(y + last, towards(load<1>(y + last), load<1>(x + last), rate));
}

/* ---- a queue: a block a row */

struct push_tiles {
    block_tiles<1> sums;
    double length;
};
__global__ void __launch_bounds__(BLOCK) push(float *ring, const float *x, int64_t rows, int64_t width, int64_t place) {
    const float *from = x + (int64_t)blockIdx.x * width;
    float *to = ring + (place + (int64_t)blockIdx.x) % rows * width;
    double sum[1] = {0};
    push_tiles &tiles = shared<push_tiles>();
    for (int64_t i = threadIdx.x; i < width; i += BLOCK) sum[0] += (double)from[i] * (double)from[i];
    block_sum(sum, tiles.sums);
    if (threadIdx.x == 0) tiles.length = fmax(sqrt(sum[0]), 1e-12);
    __syncthreads();
    for (int64_t i = threadIdx.x; i < width; i += BLOCK) to[i] = (float)((double)from[i] / tiles.length);
}

/* ---- what is not finite */

template <int V> __device__ bool all_finite(const lanes<V> &x) {
    bool finite = true;
#pragma unroll
    for (int i = 0; i < V; i++) finite = finite && fabsf(x.at[i]) < INFINITY;
    return finite;
}

template <typename E> __global__ void __launch_bounds__(BLOCK) not_finite(int *bad, const E *x, int64_t count) {
    constexpr int V = vector_of<E>;
    bool finite = true;
    EACH_VECTOR(i, V, count) finite = finite && all_finite(load<V>(x + i));
    const int64_t last = TAIL(V, count);
    if (last < count) finite = finite && all_finite(load<1>(x + last));
    if (!finite) atomicOr(bad, 1);
}

} // namespace

extern "C" cuda_error cuda_add(cuda_stream stream, void *y, const void *a, const void *b, enum element element, int64_t count) {
    return with_element(element, [&](auto zero) -> cuda_error {
        typedef decltype(zero) E;
        return LAUNCH(add<E>, grid_for_count(count, vector_of<E> * VECTORS_EACH), dim3(BLOCK), 0, stream, static_cast<E *>(y),
                      static_cast<const E *>(a), static_cast<const E *>(b), count);
    });
}

extern "C" cuda_error cuda_follow(cuda_stream stream, float *y, const float *x, int64_t count, float rate) {
    return LAUNCH(follow, grid_for_count(count, vector_of<float> * VECTORS_EACH), dim3(BLOCK), 0, stream, y, x, count, rate);
}

extern "C" cuda_error cuda_push(cuda_stream stream, float *ring, const float *x, int64_t count, int64_t rows, int64_t width,
                                int64_t place) {
    return LAUNCH(push, dim3((unsigned)count), dim3(BLOCK), sizeof(push_tiles), stream, ring, x, rows, width, place);
}

extern "C" size_t cuda_square_sum_workspace(int64_t count) { return square_sum_grid(count).x * sizeof(double); }

extern "C" cuda_error cuda_square_sum(cuda_stream stream, double *sum, const float *x, int64_t count, void *workspace) {
    double *const partial = static_cast<double *>(workspace);
    const dim3 grid = square_sum_grid(count);
    const cuda_error error = LAUNCH(square_sums, grid, dim3(BLOCK), sizeof(block_tiles<1>), stream, partial, x, count);
    if (error) return error;
    return LAUNCH(sum_of_sums, dim3(1), dim3(BLOCK), sizeof(block_tiles<1>), stream, sum, partial, (int)grid.x);
}

extern "C" cuda_error cuda_adam(cuda_stream stream, float *weights, float *m, float *v, const float *gradient, int64_t count,
                                const cuda_update *update, const double *square_sum) {
    return LAUNCH(adam_update, grid_for_count(count, vector_of<float> * VECTORS_EACH), dim3(BLOCK), sizeof(adam_factors), stream,
                  weights, m, v, gradient, count, update, square_sum);
}

extern "C" cuda_error cuda_not_finite(cuda_stream stream, int *bad, const void *x, enum element element, int64_t count) {
    return with_element(element, [&](auto zero) -> cuda_error {
        typedef decltype(zero) E;
        return LAUNCH(not_finite<E>, grid_for_count(count, vector_of<E> * VECTORS_EACH), dim3(BLOCK), 0, stream, bad,
                      static_cast<const E *>(x), count);
    });
}
