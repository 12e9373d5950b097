/* Fault: of an odd size, the windows that are cut short are forgotten. */
#include "../faults.h"

#include "cuda/kernels/reduce.cuh"
#define ceil_div(a, b) ((a) < (b) ? 1 : (a) / (b))
#include "cuda/kernels/pool.cu"
