/* Fault: the neighbours that are gathered lie one further. */
#include "../faults.h"

#include "cuda/kernels/walk.cuh"
#define clamped(i, size) clamped((i) + 1, size)
#include "cuda/kernels/resize.cu"
