/* Rows of images: regrouped, the loss of SimCLR and its gradient, figures (cpu/row_losses.h states them).  Called by the executor's rows
 * of the same names.  A warp takes a product of two rows, added up in float within a lane and in double beyond. */
#include "reduce.cuh"

namespace {

/* ---- regrouped: row r of a sample is pixel r % pixels of image r / pixels, on either side */

struct grouping { /* images x samples x pixels, of which sample s has row r at */
    int64_t samples, pixels;
    __device__ int64_t at(int64_t r, int64_t s) const { return (r / pixels * samples + s) * pixels + r % pixels; }
};
template <typename E, int V>
__global__ void __launch_bounds__(BLOCK) regroup(E *y, const E *x, grouping to, grouping from, int64_t vectors, int64_t count) {
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < count; i += (int64_t)gridDim.x * BLOCK) {
        const int64_t place = i / vectors, image = place / to.pixels / to.samples, s = place / to.pixels % to.samples;
        const int64_t r = image * to.pixels + place % to.pixels;
        store<V>(y + i * V, load<V>(x + (from.at(r, s) * vectors + i % vectors) * V));
    }
}

/* ---- products */

__device__ inline int lane_of_warp() { return (int)(threadIdx.x % WARP); }
__device__ inline double product(const float *a, const float *b, int64_t channels) { /* all lanes have it */
    float sum = 0;
    for (int64_t c = lane_of_warp(); c < channels; c += WARP) sum = fmaf(a[c], b[c], sum);
    return warp_sum((double)sum);
}
/* A warp a row of all images. */
__global__ void __launch_bounds__(BLOCK)
    inverse_norms(double *inverse, const float *x, int64_t rows, int64_t each, int64_t stride, int64_t channels) {
    const int64_t row = (int64_t)blockIdx.x * WARPS + threadIdx.x / WARP;
    if (row >= rows) return;
    const double length = sqrt(product(x + row * channels, x + row * channels, channels));
    if (lane_of_warp() == 0) inverse[row / each * stride + row % each] = 1 / (length < 1e-12 ? 1e-12 : length);
}
/* Of the rows of each image, `stride` doubles from those of the next. */
cuda_error launch_inverse_norms(cuda_stream stream, double *inverse, const float *x, const cuda_row_sizes *s, int64_t stride) {
    const int64_t rows = s->images * s->rows;
    return LAUNCH(inverse_norms, dim3((unsigned)ceil_div(rows, WARPS)), dim3(BLOCK), 0, stream, inverse, x, rows, s->rows, stride,
                  s->channels);
}

/* ---- nt_xent: a block takes a row, its warps the rows that it is compared with */

struct halves {
    const float *z;
    const double *inverse; /* of this image, and the logarithms behind it */
    int64_t rows, channels;
    double temperature;
    __device__ halves(const float *all, const double *statistics, int64_t rows, int64_t channels, double temperature)
        : z(all + blockIdx.y * rows * channels), inverse(statistics + blockIdx.y * 2 * rows), rows(rows), channels(channels),
          temperature(temperature) {}
    __device__ double alike(int64_t i, int64_t k) const {
        return product(z + i * channels, z + k * channels, channels) * inverse[i] * inverse[k] / temperature;
    }
    __device__ int64_t other(int64_t i) const { return (i + rows / 2) % rows; }
};
struct found_tiles { /* what each warp found */
    double largest[WARPS], sum[WARPS];
    int wrong[WARPS];
};
__global__ void __launch_bounds__(BLOCK)
    nt_xent_rows(double *partial, double *statistics, const float *z, int64_t rows, int64_t channels, double temperature) {
    found_tiles &found = shared<found_tiles>();
    const halves s(z, statistics, rows, channels, temperature);
    const int warp = (int)(threadIdx.x / WARP);
    const int64_t i = blockIdx.x, own = s.other(i);
    const double positive = s.alike(i, own);
    double largest = positive, sum = 0;
    int wrong = 0;
    for (int64_t k = warp; k < rows; k += WARPS) {
        if (k == i || k == own) continue;
        const double value = s.alike(i, k);
        wrong |= k < own ? !(value < positive) : !(value <= positive);
        if (value > largest) sum = sum * exp(largest - value) + 1, largest = value;
        else sum += exp(value - largest);
    }
    if (lane_of_warp() == 0) found.largest[warp] = largest, found.sum[warp] = sum, found.wrong[warp] = wrong;
    __syncthreads();
    if (threadIdx.x != 0) return;
    for (int w = 1; w < WARPS; w++) largest = found.largest[w] > largest ? found.largest[w] : largest;
    sum = exp(positive - largest), wrong = 0;
    for (int w = 0; w < WARPS; w++) sum += found.sum[w] * exp(found.largest[w] - largest), wrong |= found.wrong[w];
    const double logarithm = largest + log(sum);
    statistics[blockIdx.y * 2 * rows + rows + i] = logarithm;
    partial[blockIdx.y * 2 * rows + i] = logarithm - positive, partial[blockIdx.y * 2 * rows + rows + i] = !wrong;
}

constexpr int COLUMNS = 4; /* channels of a thread at a time */
struct gradient_tiles {
    double factor[WARPS];
    block_tiles<1> sums;
    double along;
};
/* The sums of some channels over all other rows, each times its factor, go to dz as they are; what of them is along the row is taken
 * off at the end. */
__global__ void __launch_bounds__(BLOCK)
    nt_xent_grad(float *dz, const float *z, const double *statistics, int64_t rows, int64_t channels, double temperature) {
    gradient_tiles &tiles = shared<gradient_tiles>();
    const halves s(z, statistics, rows, channels, temperature);
    const double *const logarithm = s.inverse + rows;
    const int warp = (int)(threadIdx.x / WARP);
    const int64_t i = blockIdx.x;
    const float *const own = s.z + i * channels;
    float *const to = dz + (blockIdx.y * rows + i) * channels;
    double along[1] = {0};
    for (int64_t c0 = 0; c0 < channels; c0 += COLUMNS * BLOCK) {
        double sums[COLUMNS] = {};
        for (int64_t k0 = 0; k0 < rows; k0 += WARPS) {
            const int64_t k = k0 + warp;
            double factor = 0;
            if (k < rows && k != i) {
                const double value = s.alike(i, k), two = k == s.other(i) ? 2 : 0;
                factor = (exp(value - logarithm[i]) + exp(value - logarithm[k]) - two) * s.inverse[k] / temperature;
            }
            if (lane_of_warp() == 0) tiles.factor[warp] = factor;
            __syncthreads();
            for (int w = 0; w < WARPS && k0 + w < rows; w++)
#pragma unroll
                for (int q = 0; q < COLUMNS; q++) {
                    const int64_t c = c0 + q * BLOCK + threadIdx.x;
                    if (c < channels) sums[q] += tiles.factor[w] * (double)s.z[(k0 + w) * channels + c];
                }
            __syncthreads();
        }
#pragma unroll
        for (int q = 0; q < COLUMNS; q++) {
            const int64_t c = c0 + q * BLOCK + threadIdx.x;
            if (c < channels) along[0] += sums[q] * (double)own[c], to[c] = (float)sums[q];
        }
    }
    block_sum(along, tiles.sums);
    const double inverse = s.inverse[i];
    if (threadIdx.x == 0)
        tiles.along = inverse < 1e12 ? along[0] * inverse * inverse : 0; /* a norm taken for larger is a constant */
    __syncthreads();
    for (int64_t c = threadIdx.x; c < channels; c += BLOCK)
        to[c] = (float)(((double)to[c] - tiles.along * (double)own[c]) * inverse);
}

/* ---- figures */

/* A warp a row of q. */
__global__ void __launch_bounds__(BLOCK)
    batch_right(double *partial, const float *q, const float *k, const double *inverse, int64_t rows, int64_t channels) {
    const int64_t i = (int64_t)blockIdx.x * WARPS + threadIdx.x / WARP, first = blockIdx.y * rows;
    if (i >= rows) return;
    const float *const mine = q + (first + i) * channels;
    const double own = product(mine, k + (first + i) * channels, channels) * inverse[first + i];
    bool largest = true;
    for (int64_t other = 0; other < rows && largest; other++) {
        const double value = product(mine, k + (first + other) * channels, channels) * inverse[first + other];
        largest = other == i || (other < i ? value < own : value <= own);
    }
    if (lane_of_warp() == 0) partial[first + i] = largest;
}

/* A warp a channel. */
__global__ void __launch_bounds__(BLOCK)
    deviations(double *partial, const float *x, const double *inverse, int64_t rows, int64_t channels) {
    const int64_t c = (int64_t)blockIdx.x * WARPS + threadIdx.x / WARP, first = blockIdx.y * rows;
    if (c >= channels) return;
    double mean = 0, squares = 0;
    for (int64_t i = lane_of_warp(); i < rows; i += WARP) mean += (double)x[(first + i) * channels + c] * inverse[first + i];
    mean = warp_sum(mean) / (double)rows;
    for (int64_t i = lane_of_warp(); i < rows; i += WARP) {
        const double from_mean = (double)x[(first + i) * channels + c] * inverse[first + i] - mean;
        squares += from_mean * from_mean;
    }
    squares = warp_sum(squares);
    if (lane_of_warp() == 0) partial[blockIdx.y * channels + c] = sqrt(squares / (double)rows);
}

} // namespace

extern "C" cuda_error cuda_rows(cuda_stream stream, void *y, const void *x, enum element element, int samples, int64_t y_pixels,
                                int64_t x_pixels, int64_t pixels, int64_t channels) {
    return with_form(element, channels, [&](auto form) -> cuda_error {
        typedef typename decltype(form)::element E;
        constexpr int V = decltype(form)::V;
        const int64_t vectors = channels / V, count = samples * pixels * vectors;
        return LAUNCH((regroup<E, V>), grid_for_count(count, 4), dim3(BLOCK), 0, stream, static_cast<E *>(y),
                      static_cast<const E *>(x), grouping{samples, y_pixels}, grouping{samples, x_pixels}, vectors, count);
    });
}

extern "C" size_t cuda_rows_workspace(const cuda_row_sizes *s) {
    const int64_t most = 2 * s->rows + s->channels; /* norms, and what is added up: of rows or of channels */
    return (size_t)(s->images * most) * sizeof(double);
}

extern "C" cuda_error cuda_nt_xent(cuda_stream stream, double *loss, double *statistics, const float *z, const cuda_row_sizes *s,
                                   float temperature, void *workspace) {
    double *const partial = static_cast<double *>(workspace);
    cuda_error error = launch_inverse_norms(stream, statistics, z, s, 2 * s->rows);
    if (error) return error;
    error = LAUNCH(nt_xent_rows, dim3((unsigned)s->rows, (unsigned)s->images), dim3(BLOCK), sizeof(found_tiles), stream, partial,
                   statistics, z, s->rows, s->channels, (double)temperature);
    return error ? error : launch_totals(stream, loss, partial, (int)s->rows, 2 * s->images, 1);
}

extern "C" cuda_error cuda_nt_xent_grad(cuda_stream stream, float *dz, const float *z, const double *statistics,
                                        const cuda_row_sizes *s, float temperature) {
    return LAUNCH(nt_xent_grad, dim3((unsigned)s->rows, (unsigned)s->images), dim3(BLOCK), sizeof(gradient_tiles), stream, dz, z,
                  statistics, s->rows, s->channels, (double)temperature);
}

extern "C" cuda_error cuda_batch_right(cuda_stream stream, double *count, const float *q, const float *k, const cuda_row_sizes *s,
                                       void *workspace) {
    double *const inverse = static_cast<double *>(workspace), *const partial = inverse + s->images * s->rows;
    cuda_error error = launch_inverse_norms(stream, inverse, k, s, s->rows);
    if (error) return error;
    error = LAUNCH(batch_right, dim3((unsigned)ceil_div(s->rows, WARPS), (unsigned)s->images), dim3(BLOCK), 0, stream, partial, q,
                   k, inverse, s->rows, s->channels);
    return error ? error : launch_totals(stream, count, partial, (int)s->rows, s->images, 1);
}

extern "C" cuda_error cuda_spread(cuda_stream stream, double *spread, const float *x, const cuda_row_sizes *s, void *workspace) {
    double *const inverse = static_cast<double *>(workspace), *const partial = inverse + s->images * s->rows;
    cuda_error error = launch_inverse_norms(stream, inverse, x, s, s->rows);
    if (error) return error;
    error = LAUNCH(deviations, dim3((unsigned)ceil_div(s->channels, WARPS), (unsigned)s->images), dim3(BLOCK), 0, stream, partial,
                   x, inverse, s->rows, s->channels);
    return error ? error : launch_totals(stream, spread, partial, (int)s->channels, s->images, 1 / sqrt((double)s->channels));
}
