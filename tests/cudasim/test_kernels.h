/* Small kernels that the emulator is tested with (test_kernels.cu): each right, and broken in ways that must be found. */
#ifndef TEST_KERNELS_H
#define TEST_KERNELS_H

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

enum broken { RIGHT, NO_BARRIER, BARRIER_IN_BRANCH, OFF_BY_ONE, WRONG_MASK, LANE_RETURNED };

/* y[i] = a x[i] + y[i] */
cudaError_t run_saxpy(cudaStream_t stream, float *y, const float *x, float a, int count);
/* sums[b] = sum of x over block b's 256 values, by shared memory and shuffles */
cudaError_t run_block_sums(cudaStream_t stream, float *sums, const float *x, int count, enum broken broken);
/* y[i] = (x[i - 1] + x[i] + x[i + 1]) / 3 with a halo in shared memory, zeros outside */
cudaError_t run_blur(cudaStream_t stream, float *y, const float *x, int count, enum broken broken);

#ifdef __cplusplus
}
#endif
#endif
