/* Fault: one pixel too many. */
#include "../faults.h"

#include "cuda/kernels/walk.cuh"
#undef EACH_PIXEL
#define EACH_PIXEL(p, pixels)                                                                                                      \
    for (int64_t p = (int64_t)blockIdx.x * blockDim.y + threadIdx.y; p <= (pixels); p += (int64_t)gridDim.x * blockDim.y)
#include "cuda/kernels/bias.cu"
