/* Fault: blocks do not wait for themselves. */
#include "../faults.h"

#include "cuda/cuda.h"
#define __syncthreads() ((void)0)
#include "cuda/kernels/norm.cu"
