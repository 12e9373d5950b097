/* Small kernels that the emulator is tested with: see test_kernels.h. */
#include "cuda/cuda.h"
#include "test_kernels.h"

namespace cg = cooperative_groups;
enum { THREADS = 256 };

static unsigned blocks(int count) { return (unsigned)(count + THREADS - 1) / THREADS; }

static __global__ void saxpy(float *__restrict__ y, const float *__restrict__ x, float a, int count) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < count) y[i] = fmaf(a, __ldg(x + i), y[i]);
}

cudaError_t run_saxpy(cudaStream_t stream, float *y, const float *x, float a, int count) {
    return LAUNCH(saxpy, blocks(count), THREADS, 0, stream, y, x, a, count);
}

struct sums_tile {
    float warp[THREADS / 32];
};
template <broken how> static __global__ void block_sums(float *sums, const float *x, int count) {
    sums_tile &tile = shared<sums_tile>();
    auto block = cg::this_thread_block();
    auto warp = cg::tiled_partition<32>(block);
    int i = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (how == LANE_RETURNED && threadIdx.x == 5) return;
    float v = i < count ? x[i] : 0.0f;
    for (int lanes = 16; lanes; lanes /= 2)
        v += how == WRONG_MASK ? __shfl_xor_sync(0x0000ffffu, v, lanes) : warp.shfl_xor(v, lanes);
    if (warp.thread_rank() == 0) tile.warp[threadIdx.x / 32] = v;
    if (how == BARRIER_IN_BRANCH) {
        if (threadIdx.x < 32) __syncthreads();
    } else if (how == BARRIERS_DIFFER) {
        if (threadIdx.x < 32) __syncthreads();
        else __syncthreads();
    } else if (how != NO_BARRIER) {
        block.sync();
    }
    if (threadIdx.x == 0) {
        float sum = 0;
        for (int w = 0; w < THREADS / 32; w++) sum += tile.warp[w];
        sums[blockIdx.x] = sum;
    }
}

template <broken how> static cudaError_t launch_sums(cudaStream_t stream, float *sums, const float *x, int count) {
    return LAUNCH((block_sums<how>), blocks(count), THREADS, sizeof(sums_tile), stream, sums, x, count);
}
cudaError_t run_block_sums(cudaStream_t stream, float *sums, const float *x, int count, enum broken broken) {
    switch (broken) {
    case NO_BARRIER:
        return launch_sums<NO_BARRIER>(stream, sums, x, count);
    case BARRIER_IN_BRANCH:
        return launch_sums<BARRIER_IN_BRANCH>(stream, sums, x, count);
    case WRONG_MASK:
        return launch_sums<WRONG_MASK>(stream, sums, x, count);
    case BARRIERS_DIFFER:
        return launch_sums<BARRIERS_DIFFER>(stream, sums, x, count);
    case LANE_RETURNED:
        return launch_sums<LANE_RETURNED>(stream, sums, x, count);
    default:
        return launch_sums<RIGHT>(stream, sums, x, count);
    }
}

struct blur_tile {
    float x[THREADS + 2];
};
template <broken how> static __global__ void blur(float *y, const float *x, int count) {
    blur_tile &tile = shared<blur_tile>();
    int t = (int)threadIdx.x, i = (int)blockIdx.x * THREADS + t;
    tile.x[t + 1] = i < count ? x[i] : 0.0f;
    if (t == 0) tile.x[0] = i > 0 ? x[i - 1] : 0.0f;
    if (t == THREADS - 1 && how != NOT_WRITTEN) tile.x[THREADS + 1] = i + 1 < count ? x[i + 1] : 0.0f;
    if (how != NO_BARRIER) __syncthreads();
    if (i < count) y[i] = (tile.x[t] + tile.x[t + 1] + tile.x[t + (how == OFF_BY_ONE ? 3 : 2)]) / 3.0f;
}
cudaError_t run_blur(cudaStream_t stream, float *y, const float *x, int count, enum broken broken) {
    unsigned grid = blocks(count);
    size_t bytes = sizeof(blur_tile);
    return broken == NO_BARRIER    ? LAUNCH(blur<NO_BARRIER>, grid, THREADS, bytes, stream, y, x, count)
           : broken == NOT_WRITTEN ? LAUNCH(blur<NOT_WRITTEN>, grid, THREADS, bytes, stream, y, x, count)
           : broken == OFF_BY_ONE  ? LAUNCH(blur<OFF_BY_ONE>, grid, THREADS, bytes, stream, y, x, count)
                                   : LAUNCH(blur<RIGHT>, grid, THREADS, bytes, stream, y, x, count);
}

static __global__ void vector_sums(float *y, const float *x, int first, int count) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= count) return;
    float4 v = *reinterpret_cast<const float4 *>(x + first + 4 * i);
    y[i] = v.x + v.y + (v.z + v.w);
}
cudaError_t run_vector_sums(cudaStream_t stream, float *y, const float *x, int first, int count) {
    return LAUNCH(vector_sums, blocks(count), THREADS, 0, stream, y, x, first, count);
}

struct byte_tile {
    uint8_t x[THREADS];
};
template <broken how> static __global__ void byte_sum(int *y, const uint8_t *x, int count) {
    byte_tile &tile = shared<byte_tile>();
    int i = (int)(blockIdx.x * THREADS + threadIdx.x);
    tile.x[threadIdx.x] = i < count ? x[i] : 0; /* neighbours share a word: no race */
    __syncthreads();
    if (threadIdx.x == 0) {
        int sum = 0;
        for (int t = 0; t < THREADS; t++) sum += tile.x[t];
        if (how == BLOCKS_RACE) *y += sum;
        else atomicAdd(y, sum);
    }
}
cudaError_t run_byte_sum(cudaStream_t stream, int *y, const uint8_t *x, int count, enum broken broken) {
    return broken == BLOCKS_RACE ? LAUNCH(byte_sum<BLOCKS_RACE>, blocks(count), THREADS, sizeof(byte_tile), stream, y, x, count)
                                 : LAUNCH(byte_sum<RIGHT>, blocks(count), THREADS, sizeof(byte_tile), stream, y, x, count);
}

struct rotate_tile {
    __nv_bfloat16 x[THREADS];
};
template <broken how> static __global__ void warp_rotate(__nv_bfloat16 *y, const __nv_bfloat16 *x, int count) {
    rotate_tile &tile = shared<rotate_tile>();
    int t = (int)threadIdx.x, lane = t % 32;
    for (int round = 0; round < 2; round++) {
        int i = ((int)blockIdx.x * 2 + round) * THREADS + t;
        tile.x[t] = i < count ? x[i] : __float2bfloat16(0);
        if (how != NO_BARRIER) __syncwarp();
        if (i < count) y[i] = tile.x[t - lane + (lane + 1) % 32];
        __syncwarp();
    }
}
cudaError_t run_warp_rotate(cudaStream_t stream, uint16_t *y, const uint16_t *x, int count, enum broken broken) {
    auto to = reinterpret_cast<__nv_bfloat16 *>(y);
    auto from = reinterpret_cast<const __nv_bfloat16 *>(x);
    unsigned grid = blocks((count + 1) / 2);
    return broken == NO_BARRIER ? LAUNCH(warp_rotate<NO_BARRIER>, grid, THREADS, sizeof(rotate_tile), stream, to, from, count)
                                : LAUNCH(warp_rotate<RIGHT>, grid, THREADS, sizeof(rotate_tile), stream, to, from, count);
}

static __global__ void deadlock() {
    if (threadIdx.x == 0) __shfl_sync(0x3u, 1, 0);
    else __syncthreads();
}
cudaError_t run_deadlock(cudaStream_t stream) { return LAUNCH(deadlock, 1, 32, 0, stream); }
