/* A loss that must not be trusted marks the gradient, so that norm, update and host see it on every rank. */
#include "../kernels.h"

#include "../cuda.h"

enum { WARP = 32 };

__global__ void guard(float *mark, const double *values, int64_t count) { // one warp
    bool bad = false;
    for (int64_t i = threadIdx.x; i < count; i += WARP) bad |= !isfinite(values[i]);
    bad = __any_sync(~0u, bad);
    if (threadIdx.x == 0) *mark = bad ? nanf("") : 0;
}

cuda_error cuda_guard(cuda_stream stream, float *mark, const double *values, int64_t count) {
    return (cuda_error)LAUNCH(guard, 1, WARP, 0, stream, mark, values, count);
}
