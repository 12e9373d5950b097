/* The loss of images: sums of mask (p - truth)^2, and its gradient; two images by a mask (cpu/plain/image_loss.c states the
 * formulas).  Called by the executor's rows of the same names. */
#include "reduce.cuh"

namespace {

constexpr int EACH = 16; /* values of a thread, at most, as long as the grid is not full */

__device__ inline float answer(float prediction, bool sigmoid) { return sigmoid ? 1 / (1 + expf(-prediction)) : prediction; }
__device__ inline float weight_at(const float *mask, int64_t i, int64_t channels) {
    return !mask ? 1 : channels == 1 ? mask[i] : mask[i / channels];
}

__global__ void __launch_bounds__(BLOCK) image_loss(double *partial, const float *prediction, const float *truth, const float *mask,
                                                    int64_t values, int64_t channels, bool sigmoid) {
    const int64_t first = blockIdx.y * values;
    float sum = 0;
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < values; i += (int64_t)gridDim.x * BLOCK) {
        const float difference = answer(prediction[first + i], sigmoid) - truth[first + i];
        sum = fmaf(weight_at(mask, first + i, channels) * difference, difference, sum);
    }
    double total[1] = {(double)sum};
    block_sum(total, shared<block_tiles<1>>());
    if (threadIdx.x == 0) partial[blockIdx.y * (int64_t)gridDim.x + blockIdx.x] = total[0];
}
/* All images are one vector. */
__global__ void __launch_bounds__(BLOCK) image_loss_grad(float *dprediction, const float *prediction, const float *truth,
                                                         const float *mask, int64_t count, int64_t channels, bool sigmoid) {
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < count; i += (int64_t)gridDim.x * BLOCK) {
        const float p = answer(prediction[i], sigmoid), slope = sigmoid ? p * (1 - p) : 1;
        dprediction[i] = 2 * weight_at(mask, i, channels) * (p - truth[i]) * slope;
    }
}

/* ---- blend */

__global__ void __launch_bounds__(BLOCK)
    blend(float *y, const float *mask, const float *a, const float *b, int64_t count, int64_t channels) {
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < count; i += (int64_t)gridDim.x * BLOCK) {
        const float weight = weight_at(mask, i, channels);
        y[i] = weight * a[i] + (1 - weight) * b[i];
    }
}
__global__ void __launch_bounds__(BLOCK)
    blend_grad(float *da, float *db, const float *mask, const float *dy, int64_t count, int64_t channels) {
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < count; i += (int64_t)gridDim.x * BLOCK) {
        const float weight = weight_at(mask, i, channels), gradient = dy[i];
        if (da) da[i] = weight * gradient;
        if (db) db[i] = (1 - weight) * gradient;
    }
}

int blocks_for(const cuda_image_sizes *s) { return (int)at_least_one(ceil_div(s->pixels * s->channels, (int64_t)BLOCK * EACH)); }

} // namespace

extern "C" size_t cuda_image_loss_workspace(const cuda_image_sizes *s) {
    return (size_t)s->images * (size_t)blocks_for(s) * sizeof(double);
}

extern "C" cuda_error cuda_image_loss(cuda_stream stream, double *loss, const float *prediction, const float *truth,
                                      const float *mask, const cuda_image_sizes *s, void *workspace) {
    double *const partial = static_cast<double *>(workspace);
    const int blocks = blocks_for(s);
    const cuda_error error = LAUNCH(image_loss, dim3((unsigned)blocks, (unsigned)s->images), dim3(BLOCK), sizeof(block_tiles<1>),
                                    stream, partial, prediction, truth, mask, s->pixels * s->channels, s->channels, s->sigmoid);
    return error ? error : launch_totals(stream, loss, partial, blocks, s->images, 1);
}

extern "C" cuda_error cuda_image_loss_grad(cuda_stream stream, float *dprediction, const float *prediction, const float *truth,
                                           const float *mask, const cuda_image_sizes *s) {
    const int64_t count = s->images * s->pixels * s->channels;
    return LAUNCH(image_loss_grad, grid_for_count(count, 4), dim3(BLOCK), 0, stream, dprediction, prediction, truth, mask, count,
                  s->channels, s->sigmoid);
}

extern "C" cuda_error cuda_blend(cuda_stream stream, float *y, const float *mask, const float *a, const float *b, int64_t rows,
                                 int64_t channels) {
    return LAUNCH(blend, grid_for_count(rows * channels, 4), dim3(BLOCK), 0, stream, y, mask, a, b, rows * channels, channels);
}

extern "C" cuda_error cuda_blend_grad(cuda_stream stream, float *da, float *db, const float *mask, const float *dy, int64_t rows,
                                      int64_t channels) {
    return LAUNCH(blend_grad, grid_for_count(rows * channels, 4), dim3(BLOCK), 0, stream, da, db, mask, dy, rows * channels,
                  channels);
}
