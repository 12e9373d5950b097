/* Sums whose order the shape alone decides.  Within a thread at most a few dozen numbers are added in float, everything beyond in
 * double: among the threads of a block, then among blocks by a second kernel.  Included by files of kernels/ that add up. */
#ifndef COVER_CUDA_REDUCE_CUH
#define COVER_CUDA_REDUCE_CUH

#include "element.cuh"
#include "walk.cuh"

namespace { // every file has its own copy

constexpr int WARP = 32, WARPS = BLOCK / WARP;
constexpr unsigned whole_warp = 0xffffffffu;

/* All lanes get the sum. */
template <typename T> __device__ inline T warp_sum(T value) {
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) value += __shfl_xor_sync(whole_warp, value, step);
    return value;
}

/* Sums of COUNT quantities over a block of BLOCK threads in one row; thread 0 has them. */
template <int COUNT> struct block_tiles { double at[COUNT][WARPS]; };
template <int COUNT> __device__ inline void block_sum(double (&sums)[COUNT], block_tiles<COUNT> &tiles) {
#pragma unroll
    for (int q = 0; q < COUNT; q++) {
        sums[q] = warp_sum(sums[q]);
        if (threadIdx.x % WARP == 0) tiles.at[q][threadIdx.x / WARP] = sums[q];
    }
    __syncthreads();
    if (threadIdx.x < WARP) {
#pragma unroll
        for (int q = 0; q < COUNT; q++) sums[q] = warp_sum(threadIdx.x < WARPS ? tiles.at[q][threadIdx.x] : 0.0);
    }
}

/* The sum of what a warp finds side by side. */
__device__ inline double warp_total(const double *from, int count) {
    double sum = 0;
    for (int i = (int)(threadIdx.x % WARP); i < count; i += WARP) sum += from[i];
    return warp_sum(sum);
}

/* to (rows) = factor * the sums of partial, (rows, count); a block a row. */
template <typename T> __global__ void __launch_bounds__(BLOCK) totals(T *to, const double *partial, int count, double factor) {
    double sum[1] = {0};
    for (int i = (int)threadIdx.x; i < count; i += BLOCK) sum[0] += partial[(int64_t)blockIdx.x * count + i];
    block_sum(sum, shared<block_tiles<1>>());
    if (threadIdx.x == 0) to[blockIdx.x] = (T)(factor * sum[0]);
}
template <typename T>
cuda_error launch_totals(cuda_stream stream, T *to, const double *partial, int count, int rows, double factor) {
    return LAUNCH(totals<T>, dim3((unsigned)rows), dim3(BLOCK), sizeof(block_tiles<1>), stream, to, partial, count, factor);
}

/* ---- columns: sums over the pixels of an image, one a channel and quantity
 * Blocks for that many pixels: threads add 16 pixels at least and, where that would be many blocks, 64. */
inline int column_blocks(int64_t pixels, int64_t channels) {
    const int64_t at_once = block_for(channels % 4 ? channels : channels / 4, pixels).y;
    const int64_t fine = pixels / (16 * at_once), coarse = ceil_div(pixels, 64 * at_once), enough = 64;
    return (int)at_least_one(fine < enough ? fine : coarse > enough ? coarse : enough);
}
/* Of partial sums: (images, quantities, channels, blocks). */
inline size_t column_bytes(int images, int quantities, int64_t pixels, int64_t channels) {
    return (size_t)images * (size_t)quantities * (size_t)channels * (size_t)column_blocks(pixels, channels) * sizeof(double);
}

template <int VALUES> struct column_tiles { double at[VALUES][BLOCK / 2]; };
/* Adds up the rows of a block; row 0 has the sums. */
template <int VALUES> __device__ inline void add_rows(double (&sums)[VALUES], column_tiles<VALUES> &tiles) {
    const int row = (int)threadIdx.y;
    for (int rows = (int)blockDim.y, half; rows > 1; rows = half) {
        half = (rows + 1) / 2;
        if (row >= half && row < rows)
#pragma unroll
            for (int i = 0; i < VALUES; i++) tiles.at[i][(row - half) * blockDim.x + threadIdx.x] = sums[i];
        __syncthreads();
        if (row + half < rows)
#pragma unroll
            for (int i = 0; i < VALUES; i++) sums[i] += tiles.at[i][row * blockDim.x + threadIdx.x];
        __syncthreads();
    }
}

/* partial = sums of Terms over the block's share of each image's pixels.  Terms: QUANTITIES; V; begin(image, channel) where a thread
 * starts; add(sums, at) for V channels of the pixel whose first element is `at`. */
template <typename Terms>
__global__ void __launch_bounds__(BLOCK, 2)
    column_sums(double *partial, Terms given, int images, int64_t pixels, int64_t channels) {
    constexpr int Q = Terms::QUANTITIES, V = Terms::V;
    const int64_t channel = my_vector() * V, blocks = gridDim.x;
    const int64_t begin = pixels * blockIdx.x / blocks, end = pixels * (blockIdx.x + 1) / blocks;
    EACH_IMAGE(image, images) {
        float sums[Q * V] = {};
        if (channel < channels) {
            Terms terms = given;
            terms.begin(image, channel);
            const int64_t first = image * pixels * channels + channel;
#pragma unroll 4
            for (int64_t p = begin + threadIdx.y; p < end; p += blockDim.y) terms.add(sums, first + p * channels);
        }
        double totals[Q * V];
#pragma unroll
        for (int i = 0; i < Q * V; i++) totals[i] = (double)sums[i];
        add_rows(totals, shared<column_tiles<Q * V>>());
        if (threadIdx.y == 0 && channel < channels)
#pragma unroll
            for (int i = 0; i < Q * V; i++)
                partial[((image * Q + i / V) * channels + channel + i % V) * blocks + blockIdx.x] = totals[i];
    }
}
template <typename Terms>
cuda_error launch_column_sums(cuda_stream stream, double *partial, const Terms &terms, int images, int64_t pixels,
                              int64_t channels) {
    const int64_t vectors = channels / Terms::V;
    const dim3 block = block_for(vectors, pixels);
    const dim3 grid((unsigned)column_blocks(pixels, channels), tiles_for(vectors, block), grid_of_images(images));
    return LAUNCH(column_sums<Terms>, grid, block, sizeof(column_tiles<Terms::QUANTITIES * Terms::V>), stream, partial, terms,
                  images, pixels, channels);
}

/* y = the sums of all blocks by the divisor; a warp a column. */
template <typename E>
__global__ void __launch_bounds__(BLOCK) column_means(E *y, const double *partial, int blocks, int64_t columns, double divisor) {
    const int64_t column = (int64_t)blockIdx.x * WARPS + threadIdx.x / WARP;
    if (column >= columns) return;
    const double sum = warp_total(partial + column * blocks, blocks);
    if (threadIdx.x % WARP == 0) store<1>(y + column, all_lanes<1>((float)(sum / divisor)));
}

/* The simplest terms: x itself. */
template <typename E, int V_> struct values {
    static constexpr int QUANTITIES = 1, V = V_;
    const E *x;
    __device__ void begin(int64_t, int64_t) {}
    __device__ void add(float (&sums)[V], int64_t at) const {
        const lanes<V> value = load<V>(x + at);
#pragma unroll
        for (int i = 0; i < V; i++) sums[i] += value.at[i];
    }
};

/* y (images, channels) = sums of x over the pixels of each image, by the divisor. */
template <typename E, int V, typename Y>
cuda_error launch_column_means(cuda_stream stream, Y *y, const E *x, int images, int64_t pixels, int64_t channels, double divisor,
                               void *workspace) {
    double *const partial = static_cast<double *>(workspace);
    const cuda_error error = launch_column_sums(stream, partial, values<E, V>{x}, images, pixels, channels);
    if (error) return error;
    const int64_t columns = images * channels;
    return LAUNCH(column_means<Y>, dim3((unsigned)ceil_div(columns, WARPS)), dim3(BLOCK), 0, stream, y, partial,
                  column_blocks(pixels, channels), columns, divisor);
}

} // namespace

#endif
