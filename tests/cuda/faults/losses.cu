/* Fault: half of a warp is left out of a shuffle that all of it takes part in. */
#include "../faults.h"

#include "cuda/cuda.h"
#define __shfl_xor_sync(mask, value, step) __shfl_xor_sync(0x0000ffffu, value, step)
#include "cuda/kernels/losses.cu"
