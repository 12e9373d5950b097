/* Small kernels that the emulator is tested with (test_kernels.cu): each right, and broken in ways that must be found. */
#ifndef TEST_KERNELS_H
#define TEST_KERNELS_H

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

enum broken {
    RIGHT,
    NO_BARRIER,
    BARRIER_IN_BRANCH,
    OFF_BY_ONE,
    WRONG_MASK,
    LANE_RETURNED,
    BARRIERS_DIFFER,
    NOT_WRITTEN,
    BLOCKS_RACE
};

/* y[i] = a x[i] + y[i] */
cudaError_t run_saxpy(cudaStream_t stream, float *y, const float *x, float a, int count);
/* sums[b] = sum of x over block b's 256 values, by shared memory and shuffles */
cudaError_t run_block_sums(cudaStream_t stream, float *sums, const float *x, int count, enum broken broken);
/* y[i] = (x[i - 1] + x[i] + x[i + 1]) / 3 with a halo in shared memory, zeros outside */
cudaError_t run_blur(cudaStream_t stream, float *y, const float *x, int count, enum broken broken);

/* y[i] = sum of the four numbers x[first + 4 i ...], loaded as one float4 */
cudaError_t run_vector_sums(cudaStream_t stream, float *y, const float *x, int first, int count);
/* *y = sum of all bytes of x, by an atomic sum of the blocks; BLOCKS_RACE: by a plain one */
cudaError_t run_byte_sum(cudaStream_t stream, int *y, const uint8_t *x, int count, enum broken broken);
/* y[i] = x[warp's first + (i + 1) % 32] through shared memory of a warp, with __syncwarp() between; bf16 by pairs */
cudaError_t run_warp_rotate(cudaStream_t stream, uint16_t *y, const uint16_t *x, int count, enum broken broken);
/* Waits for something that nobody does. */
cudaError_t run_deadlock(cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
