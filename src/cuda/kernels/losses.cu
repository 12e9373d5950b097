/* The losses of pretraining: vector loss (L_vec, eq. 6) and consistency (L_con) over valid pixels, mask > 0.  cpu/plain/losses.c and
 * cosine.c state the formulas.  Called by the executor's rows vector_loss, cosine_loss and their gradients. */
#include "reduce.cuh"

namespace {

/* Blocks for so many pixels that a thread adds a few dozen numbers at most. */
constexpr int VECTOR_EACH = 16, COSINE_EACH = 16;

/* ---- vector loss: a thread takes a pixel; a block takes VECTOR_EACH * BLOCK of them */

template <int AXES>
__global__ void __launch_bounds__(BLOCK)
    vector_loss(double *partial, const float *prediction, const float *truth, const float *mask, int64_t pixels) {
    const int64_t image = blockIdx.y, first = image * pixels;
    float sum = 0;
#pragma unroll 4
    for (int64_t p = (int64_t)blockIdx.x * BLOCK + threadIdx.x; p < pixels; p += (int64_t)gridDim.x * BLOCK) {
        if (!(mask[first + p] > 0)) continue;
#pragma unroll
        for (int a = 0; a < AXES; a++) sum += fabsf(truth[(first + p) * AXES + a] - prediction[(first + p) * AXES + a]);
    }
    double total[1] = {(double)sum};
    block_sum(total, shared<block_tiles<1>>());
    if (threadIdx.x == 0) partial[image * gridDim.x + blockIdx.x] = total[0];
}

/* A thread takes a number: all images are one vector. */
template <int AXES>
__global__ void __launch_bounds__(BLOCK)
    vector_loss_grad(float *dprediction, const float *prediction, const float *truth, const float *mask, int64_t count) {
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < count; i += (int64_t)gridDim.x * BLOCK) {
        const float p = prediction[i], t = truth[i];
        dprediction[i] = mask[i / AXES] > 0 ? (float)((p > t) - (p < t)) : 0;
    }
}

/* ---- consistency: a team of neighbouring lanes, a power of two of them, takes a pixel and shares its channels */

constexpr float smallest_norm = 1e-12f;

struct products {
    float ab, aa, bb;
};
template <typename E, int V> __device__ products products_of(const E *a, const E *b, int64_t channels, int team) {
    products sum = {0, 0, 0};
    for (int64_t c = (int64_t)(threadIdx.x % team) * V; c < channels; c += (int64_t)team * V) {
        const lanes<V> x = load<V>(a + c), y = load<V>(b + c);
#pragma unroll
        for (int i = 0; i < V; i++) {
            sum.ab = fmaf(x.at[i], y.at[i], sum.ab);
            sum.aa = fmaf(x.at[i], x.at[i], sum.aa), sum.bb = fmaf(y.at[i], y.at[i], sum.bb);
        }
    }
    for (int step = team / 2; step > 0; step /= 2) {
        sum.ab += __shfl_xor_sync(whole_warp, sum.ab, step);
        sum.aa += __shfl_xor_sync(whole_warp, sum.aa, step), sum.bb += __shfl_xor_sync(whole_warp, sum.bb, step);
    }
    return sum;
}
__device__ inline float norm_of(float square) {
    const float length = sqrtf(square);
    return length < smallest_norm ? smallest_norm : length; /* a NaN stays */
}

/* All lanes of a warp go round as often, because they shuffle; those without a pixel have an invalid one. */
template <typename E, int V>
__global__ void __launch_bounds__(BLOCK)
    cosine_loss(double *partial, const E *a, const E *b, const float *mask, int64_t pixels, int64_t channels, int team) {
    const int64_t image = blockIdx.y, teams = (int64_t)gridDim.x * (BLOCK / team);
    const int64_t mine = (int64_t)blockIdx.x * (BLOCK / team) + threadIdx.x / team;
    float sum = 0;
    for (int64_t begin = 0; begin < pixels; begin += teams) {
        const int64_t p = image * pixels + begin + mine;
        const bool valid = begin + mine < pixels && (!mask || mask[p] > 0);
        const products of = products_of<E, V>(a + p * channels, b + p * channels, valid ? channels : 0, team);
        if (valid && threadIdx.x % team == 0) sum += of.ab / (norm_of(of.aa) * norm_of(of.bb));
    }
    double total[1] = {(double)sum};
    block_sum(total, shared<block_tiles<1>>());
    if (threadIdx.x == 0) partial[image * gridDim.x + blockIdx.x] = total[0];
}

template <typename E, int V>
__global__ void __launch_bounds__(BLOCK)
    cosine_loss_grad(E *da, E *db, const E *a, const E *b, const float *mask, const float *scale, int64_t pixels, int64_t each,
                     int64_t channels, int team) {
    const int64_t teams = (int64_t)gridDim.x * (BLOCK / team), mine = (int64_t)blockIdx.x * (BLOCK / team) + threadIdx.x / team;
    for (int64_t begin = 0; begin < pixels; begin += teams) {
        const int64_t p = begin + mine, first = p * channels;
        const bool here = p < pixels, valid = here && (!mask || mask[p] > 0);
        const products of = products_of<E, V>(a + first, b + first, valid ? channels : 0, team);
        const float inverse_a = 1 / norm_of(of.aa), inverse_b = 1 / norm_of(of.bb), cosine = of.ab * inverse_a * inverse_b;
        const float factor = scale && here ? scale[p / each] : 1;
        const float kept_a = norm_of(of.aa) <= smallest_norm ? 0 : cosine, kept_b = norm_of(of.bb) <= smallest_norm ? 0 : cosine;
        for (int64_t c = (int64_t)(threadIdx.x % team) * V; here && c < channels; c += (int64_t)team * V) {
            lanes<V> x = all_lanes<V>(0), y = x;
            if (valid) {
                x = load<V>(a + first + c), y = load<V>(b + first + c);
#pragma unroll
                for (int i = 0; i < V; i++) {
                    const float unit_a = x.at[i] * inverse_a, unit_b = y.at[i] * inverse_b;
                    x.at[i] = factor * ((kept_a * unit_a - unit_b) * inverse_a),
                    y.at[i] = factor * ((kept_b * unit_b - unit_a) * inverse_b);
                }
            }
            store<V>(da + first + c, x), store<V>(db + first + c, y);
        }
    }
}

/* Lanes for the channels of a pixel: not more than have work. */
int team_for(int64_t vectors) {
    int team = 1;
    while (team < WARP && team < vectors) team *= 2;
    return team;
}
/* Blocks of a loss of one image; a thread, or a team, has `each` pixels of one. */
int loss_blocks(int64_t pixels, int team, int each) { return (int)at_least_one(ceil_div(pixels, (int64_t)(BLOCK / team) * each)); }

template <int AXES>
cuda_error launch_vector_loss(cuda_stream stream, double *loss, const float *prediction, const float *truth, const float *mask,
                              int images, int64_t pixels, double *partial) {
    const int blocks = loss_blocks(pixels, 1, VECTOR_EACH);
    const cuda_error error = LAUNCH(vector_loss<AXES>, dim3((unsigned)blocks, (unsigned)images), dim3(BLOCK),
                                    sizeof(block_tiles<1>), stream, partial, prediction, truth, mask, pixels);
    return error ? error : launch_totals(stream, loss, partial, blocks, images, 1);
}

} // namespace

/* The most blocks of either loss: of the cosine's, whose pixels may have a warp each. */
extern "C" size_t cuda_loss_workspace(int images, int64_t pixels) {
    return (size_t)images * (size_t)loss_blocks(pixels, WARP, COSINE_EACH) * sizeof(double);
}

extern "C" cuda_error cuda_vector_loss(cuda_stream stream, double *loss, const float *prediction, const float *truth,
                                       const float *mask, int images, int64_t pixels, int ndim, void *workspace) {
    double *const partial = static_cast<double *>(workspace);
    return ndim == 3 ? launch_vector_loss<3>(stream, loss, prediction, truth, mask, images, pixels, partial)
                     : launch_vector_loss<2>(stream, loss, prediction, truth, mask, images, pixels, partial);
}

extern "C" cuda_error cuda_vector_loss_grad(cuda_stream stream, float *dprediction, const float *prediction, const float *truth,
                                            const float *mask, int images, int64_t pixels, int ndim) {
    const int64_t count = images * pixels * ndim;
    return LAUNCH(ndim == 3 ? vector_loss_grad<3> : vector_loss_grad<2>, grid_for_count(count, 4), dim3(BLOCK), 0, stream,
                  dprediction, prediction, truth, mask, count);
}

extern "C" cuda_error cuda_cosine_loss(cuda_stream stream, double *loss, const void *a, const void *b, enum element element,
                                       const float *mask, int images, int64_t pixels, int64_t channels, void *workspace) {
    double *const partial = static_cast<double *>(workspace);
    return with_form(element, channels, [&](auto form) -> cuda_error {
        typedef typename decltype(form)::element E;
        constexpr int V = decltype(form)::V;
        const int team = team_for(channels / V), blocks = loss_blocks(pixels, team, COSINE_EACH);
        const cuda_error error =
            LAUNCH((cosine_loss<E, V>), dim3((unsigned)blocks, (unsigned)images), dim3(BLOCK), sizeof(block_tiles<1>), stream,
                   partial, static_cast<const E *>(a), static_cast<const E *>(b), mask, pixels, channels, team);
        return error ? error : launch_totals(stream, loss, partial, blocks, images, -1);
    });
}

extern "C" cuda_error cuda_cosine_loss_grad(cuda_stream stream, void *da, void *db, const void *a, const void *b,
                                            enum element element, const float *mask, const float *scale, int images, int64_t pixels,
                                            int64_t channels) {
    return with_form(element, channels, [&](auto form) -> cuda_error {
        typedef typename decltype(form)::element E;
        constexpr int V = decltype(form)::V;
        const int team = team_for(channels / V);
        return LAUNCH((cosine_loss_grad<E, V>), grid_for_count(images * pixels * team, 4), dim3(BLOCK), 0, stream,
                      static_cast<E *>(da), static_cast<E *>(db), static_cast<const E *>(a), static_cast<const E *>(b), mask, scale,
                      images * pixels, pixels, channels, team);
    });
}
