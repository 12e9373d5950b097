// A sum that must not be trusted says so: looked at by Adam and by the host.
#include "../kernels.h"

#include "../cuda.h"

enum { WARP = 32 };

__global__ void guard(double *sum, const double *values, int64_t count) { // one warp
    bool bad = false;
    for (int64_t i = threadIdx.x; i < count; i += WARP) bad |= !isfinite(values[i]);
    if (__any_sync(~0u, bad) && threadIdx.x == 0) *sum = nan("");
}

cuda_error cuda_guard(cuda_stream stream, double *sum, const double *values, int64_t count) {
    return (cuda_error)LAUNCH(guard, 1, WARP, 0, stream, sum, values, count);
}
