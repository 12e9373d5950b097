// A sum that must not be trusted says so: looked at by Adam and by the host.
#include "../kernels.h"

#include "../cuda.h"

__global__ void guard(double *sum, const double *values, int64_t count) {
    for (int64_t i = threadIdx.x; i < count; i += blockDim.x)
        if (!isfinite(values[i])) *sum = nan(""); // whoever writes, it is the same
}

cuda_error cuda_guard(cuda_stream stream, double *sum, const double *values, int64_t count) {
    return (cuda_error)LAUNCH(guard, 1, 256, 0, stream, sum, values, count);
}
