/* What kernels are written in: CUDA C++ as nvcc takes it, and as the emulator of tests/cudasim takes it on the host.  The few words
 * that plain C++ lacks have one spelling here; everything else is CUDA's own.  Included by kernels/ alone.
 *
 *   LAUNCH(kernel, grid, block, shared_bytes, stream, arguments...)   instead of kernel<<<...>>>(...); gives a cudaError_t
 *   T &tiles = shared<T>();   all shared memory of a block is one struct T (LAUNCH's shared_bytes = sizeof(T)): its arrays have
 *                             names and bounds.  No other __shared__.
 * Used of CUDA: threadIdx and the like, __syncthreads, __syncwarp, __shfl_*_sync, __ballot_sync, __any_sync, __all_sync,
 * cooperative_groups' this_thread_block and tiled_partition, atomics on integers, __nv_bfloat16, float2, float4, uint4, int4, __ldg,
 * and the float maths of math.h.  A kernel is a __global__ function, perhaps a template. */
#ifndef COVER_CUDA_CUDA_H
#define COVER_CUDA_CUDA_H

#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#ifndef CUDASIM /* the emulator defines both itself; the compiler knows shared_bytes */
// clang-format off
#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    ((kernel)<<<(grid), (block), 0, (cudaStream_t)(stream)>>>(__VA_ARGS__), (void)(shared_bytes), cudaGetLastError())
// clang-format on
template <typename T> __device__ inline T &shared() {
    __shared__ __align__(16) unsigned char shared_memory[sizeof(T)];
    return *reinterpret_cast<T *>(shared_memory);
}
#endif

#endif
