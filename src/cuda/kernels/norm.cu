/* Group normalisation with leaky ReLU (the U-Net's [conv, GroupNorm, LeakyReLU]): cpu/plain/norm.c and norm_coefficients(),
 * norm_grad_finish() of cpu/kernels.c state the formulas.  Called by the executor's rows norm_act and norm_grad.
 *
 * Both passes of sums subtract a number near a channel's mean first, so that a large mean beside a small spread costs no digits. */
#include "reduce.cuh"

namespace {

struct norm_sizes { /* for kernels */
    int64_t pixels, channels;
    int images, groups, width; /* width: channels of a group */
    float slope, epsilon;
};
norm_sizes sizes_for(const cuda_norm_shape *s) {
    return norm_sizes{s->pixels, s->channels, s->images, s->groups, (int)(s->channels / s->groups), s->slope, s->epsilon};
}
__device__ double bias_of(const float *bias, int64_t channel) { return bias ? (double)bias[channel] : 0; }

/* ---- forward: sums of x - x(first pixel) and of its square */

template <typename E, int V_> struct moments {
    static constexpr int QUANTITIES = 2, V = V_;
    const E *x;
    int64_t image_elements;
    lanes<V> middle;
    __device__ void begin(int64_t image, int64_t channel) { middle = load<V>(x + image * image_elements + channel); }
    __device__ void add(float (&sums)[2 * V], int64_t at) const {
        const lanes<V> value = load<V>(x + at);
#pragma unroll
        for (int i = 0; i < V; i++) {
            const float centred = value.at[i] - middle.at[i];
            sums[i] += centred, sums[V + i] = fmaf(centred, centred, sums[V + i]);
        }
    }
};

struct group_tiles {
    block_tiles<2> sums;
    float mean, rstd;
};

/* Statistics and coefficients of one group of one image a block, from the sums of all blocks. */
template <typename E>
__global__ void __launch_bounds__(BLOCK, 3)
    norm_finish(float *statistics, float *coefficients, const double *partial, int blocks, const E *x, const float *gamma,
                const float *beta, const float *bias, norm_sizes s) {
    group_tiles &tiles = shared<group_tiles>();
    const int group = (int)blockIdx.x, lane = (int)(threadIdx.x % WARP);
    const int64_t first = (int64_t)group * s.width, last = first + s.width;
    for (int64_t image = blockIdx.y; image < s.images; image += gridDim.y) {
        const E *const first_pixel = x + image * s.pixels * s.channels;
        const double *const sums = partial + image * 2 * s.channels * blocks, *const squares = sums + s.channels * blocks;
        double of_group[2] = {0, 0};
        for (int64_t c = first + threadIdx.x / WARP; c < last; c += WARPS) {
            const double sum = warp_total(sums + c * blocks, blocks), square = warp_total(squares + c * blocks, blocks);
            const double middle = (double)load<1>(first_pixel + c).at[0] + bias_of(bias, c), pixels = (double)s.pixels;
            if (lane == 0) of_group[0] += sum + pixels * middle, of_group[1] += square + middle * (2 * sum + pixels * middle);
        }
        block_sum(of_group, tiles.sums);
        if (threadIdx.x == 0) {
            const double count = (double)s.pixels * s.width, mean = of_group[0] / count,
                         variance = of_group[1] / count - mean * mean;
            tiles.mean = (float)mean, tiles.rstd = (float)(1 / sqrt((variance < 0 ? 0 : variance) + (double)s.epsilon));
            statistics[(image * 2) * s.groups + group] = tiles.mean;
            statistics[(image * 2 + 1) * s.groups + group] = tiles.rstd;
        }
        __syncthreads();
        float *const scale = coefficients + image * 2 * s.channels, *const offset = scale + s.channels;
        for (int64_t c = first + threadIdx.x; c < last; c += BLOCK) {
            const double gain = (double)gamma[c] * (double)tiles.rstd;
            scale[c] = (float)gain;
            offset[c] = (float)((bias_of(bias, c) - (double)tiles.mean) * gain + (double)beta[c]);
        }
        __syncthreads(); /* before the next image's sums */
    }
}

/* ---- backward: d = dy leaky'(fma(x, scale, offset)); sums of d, of d (x - centre) and of x - centre, centre = mean - bias */

__device__ inline float centre_of(const float *statistics, const float *bias, int64_t image, int64_t channel, const norm_sizes &s) {
    const float mean = statistics[image * 2 * s.groups + channel / s.width];
    return bias ? mean - bias[channel] : mean;
}

template <typename E, int V_> struct grad_terms {
    static constexpr int QUANTITIES = 3, V = V_;
    const E *dy, *x;
    const float *statistics, *bias;
    cuda_norm norm;
    norm_sizes s;
    lanes<V> centre, scale, offset;
    __device__ void begin(int64_t image, int64_t channel) {
        const norm_lanes<V> coefficients(norm, image, s.channels, channel);
        scale = coefficients.scale, offset = coefficients.offset;
#pragma unroll
        for (int i = 0; i < V; i++) centre.at[i] = centre_of(statistics, bias, image, channel + i, s);
    }
    __device__ void add(float (&sums)[3 * V], int64_t at) const {
        const lanes<V> gradient = load<V>(dy + at), value = load<V>(x + at);
#pragma unroll
        for (int i = 0; i < V; i++) {
            const float active = fmaf(value.at[i], scale.at[i], offset.at[i]), centred = value.at[i] - centre.at[i];
            const float d = active > 0 ? gradient.at[i] : norm.slope * gradient.at[i];
            sums[i] += d, sums[V + i] = fmaf(d, centred, sums[V + i]), sums[2 * V + i] += centred;
        }
    }
};

/* Where things lie in the workspace of the backward pass. */
struct grad_workspace {
    double *partial, *totals; /* (images, 3, channels, blocks); (images, 3, channels): dbeta, dgamma, dbias of each image */
    float *coefficients;      /* (images, 3, channels): dx = d first + x second + third */
};
size_t grad_workspace_of(grad_workspace *at, const cuda_norm_shape *s, void *workspace) {
    const size_t values = (size_t)s->images * 3 * (size_t)s->channels;
    const size_t partial = column_bytes(s->images, 3, s->pixels, s->channels), totals = values * sizeof(double);
    char *const base = static_cast<char *>(workspace);
    if (at) *at = grad_workspace{(double *)base, (double *)(base + partial), (float *)(base + partial + totals)};
    return partial + totals + values * sizeof(float);
}

struct mean_tiles {
    block_tiles<2> sums;
    double d, d_xhat; /* means over the group */
};

/* One group of one image a block. */
__global__ void __launch_bounds__(BLOCK, 3)
    norm_grad_finish(grad_workspace at, int blocks, const float *gamma, const float *bias, const float *statistics, norm_sizes s) {
    mean_tiles &tiles = shared<mean_tiles>();
    const int group = (int)blockIdx.x, lane = (int)(threadIdx.x % WARP);
    const int64_t first = (int64_t)group * s.width, last = first + s.width;
    const double pixels = (double)s.pixels, count = pixels * s.width;
    for (int64_t image = blockIdx.y; image < s.images; image += gridDim.y) {
        const double *const partial = at.partial + image * 3 * s.channels * blocks;
        double *const dbeta = at.totals + image * 3 * s.channels, *const dgamma = dbeta + s.channels,
                      *const dbias = dgamma + s.channels;
        const double mean = (double)statistics[image * 2 * s.groups + group],
                     rstd = (double)statistics[(image * 2 + 1) * s.groups + group];
        double sums[2] = {0, 0};
        for (int64_t c = first + threadIdx.x / WARP; c < last; c += WARPS) {
            const double d = warp_total(partial + c * blocks, blocks);
            const double product = warp_total(partial + (s.channels + c) * blocks, blocks);
            const double centred = warp_total(partial + (2 * s.channels + c) * blocks, blocks);
            if (lane != 0) continue;
            const double rounded = (double)centre_of(statistics, bias, image, c, s) - (mean - bias_of(bias, c));
            const double d_xhat = rstd * (product + rounded * d);
            dbeta[c] = d, dgamma[c] = d_xhat, dbias[c] = centred + pixels * rounded; /* the last: sum of x + bias - mean, as yet */
            sums[0] += (double)gamma[c] * d, sums[1] += (double)gamma[c] * d_xhat;
        }
        block_sum(sums, tiles.sums);
        if (threadIdx.x == 0) tiles.d = sums[0] / count, tiles.d_xhat = sums[1] / count;
        __syncthreads();
        float *const coefficients = at.coefficients + image * 3 * s.channels;
        const double of_x = -tiles.d_xhat * rstd * rstd, constant = -tiles.d * rstd; /* of x + bias - mean */
        for (int64_t c = first + threadIdx.x; c < last; c += BLOCK) {
            const double of_d = (double)gamma[c] * rstd;
            coefficients[c] = (float)of_d, coefficients[s.channels + c] = (float)of_x;
            coefficients[2 * s.channels + c] = (float)(constant + of_x * (bias_of(bias, c) - mean));
            dbias[c] = of_d * dbeta[c] + of_x * dbias[c] + pixels * constant;
        }
        __syncthreads();
    }
}

/* Gradients of the parameters: sums over images in their order; a thread a channel. */
__global__ void __launch_bounds__(BLOCK)
    norm_grad_parameters(float *dgamma, float *dbeta, float *dbias, const double *totals, int images, int64_t channels) {
    const int64_t c = (int64_t)blockIdx.x * BLOCK + threadIdx.x;
    float *const gradients[3] = {dbeta, dgamma, dbias};
    if (c >= channels) return;
#pragma unroll
    for (int q = 0; q < 3; q++) {
        if (!gradients[q]) continue;
        double sum = 0;
        for (int64_t image = 0; image < images; image++) sum += totals[(image * 3 + q) * channels + c];
        gradients[q][c] = (float)sum;
    }
}

template <typename E, int V>
__global__ void __launch_bounds__(BLOCK) norm_grad_apply(E *dx, const E *dy, const E *x, cuda_norm norm, const float *coefficients,
                                                         int images, int64_t pixels, int64_t channels) {
    const int64_t channel = my_vector() * V;
    if (channel >= channels) return;
    EACH_IMAGE(image, images) {
        const norm_lanes<V> activation(norm, image, channels, channel);
        const float *const of_image = coefficients + (int64_t)image * 3 * channels + channel;
        const lanes<V> of_d = load<V>(of_image), of_x = load<V>(of_image + channels), constant = load<V>(of_image + 2 * channels);
        const int64_t first = image * pixels * channels + channel;
        EACH_PIXEL(p, pixels) {
            const int64_t i = first + p * channels;
            lanes<V> gradient = load<V>(dy + i);
            const lanes<V> value = load<V>(x + i);
#pragma unroll
            for (int k = 0; k < V; k++) {
                const float d = activation.affine(value.at[k], k) > 0 ? gradient.at[k] : norm.slope * gradient.at[k];
                gradient.at[k] = of_d.at[k] * d + (of_x.at[k] * value.at[k] + constant.at[k]);
            }
            store<V>(dx + i, gradient);
        }
    }
}

} // namespace

extern "C" size_t cuda_norm_workspace(const cuda_norm_shape *s) { return column_bytes(s->images, 2, s->pixels, s->channels); }

extern "C" cuda_error cuda_norm_act(cuda_stream stream, float *statistics, float *coefficients, const void *x, enum element element,
                                    const float *gamma, const float *beta, const float *bias, const cuda_norm_shape *s,
                                    void *workspace) {
    double *const partial = static_cast<double *>(workspace);
    const int blocks = column_blocks(s->pixels, s->channels);
    return with_form(element, s->channels, [&](auto form) -> cuda_error {
        typedef typename decltype(form)::element E;
        const moments<FORM_OF(form)> terms{static_cast<const E *>(x), s->pixels * s->channels, {}};
        const cuda_error error = launch_column_sums(stream, partial, terms, s->images, s->pixels, s->channels);
        if (error) return error;
        return LAUNCH(norm_finish<E>, dim3((unsigned)s->groups, grid_of_images(s->images)), dim3(BLOCK), sizeof(group_tiles),
                      stream, statistics, coefficients, partial, blocks, static_cast<const E *>(x), gamma, beta, bias,
                      sizes_for(s));
    });
}

extern "C" size_t cuda_norm_grad_workspace(const cuda_norm_shape *s) { return grad_workspace_of(nullptr, s, nullptr); }

extern "C" cuda_error cuda_norm_grad(cuda_stream stream, void *dx, float *dgamma, float *dbeta, float *dbias, const void *dy,
                                     const void *x, enum element element, const float *gamma, const float *bias,
                                     const float *statistics, const float *coefficients, const cuda_norm_shape *s,
                                     void *workspace) {
    grad_workspace at;
    grad_workspace_of(&at, s, workspace);
    const norm_sizes sizes = sizes_for(s);
    const cuda_norm norm = {coefficients, s->slope};
    return with_form(element, s->channels, [&](auto form) -> cuda_error {
        typedef typename decltype(form)::element E;
        constexpr int V = decltype(form)::V;
        const E *const gradient = static_cast<const E *>(dy), *const value = static_cast<const E *>(x);
        const grad_terms<E, V> terms{gradient, value, statistics, bias, norm, sizes, {}, {}, {}};
        cuda_error error = launch_column_sums(stream, at.partial, terms, s->images, s->pixels, s->channels);
        if (error) return error;
        error = LAUNCH(norm_grad_finish, dim3((unsigned)s->groups, grid_of_images(s->images)), dim3(BLOCK), sizeof(mean_tiles),
                       stream, at, column_blocks(s->pixels, s->channels), gamma, bias, statistics, sizes);
        if (!error && (dgamma || dbeta || dbias))
            error = LAUNCH(norm_grad_parameters, dim3((unsigned)ceil_div(s->channels, BLOCK)), dim3(BLOCK), 0, stream, dgamma,
                           dbeta, dbias, at.totals, s->images, s->channels);
        if (error) return error;
        const int64_t vectors = s->channels / V;
        const dim3 block = block_for(vectors, s->pixels);
        return LAUNCH((norm_grad_apply<E, V>), grid_for(block, vectors, s->pixels, s->images, 8), block, 0, stream,
                      static_cast<E *>(dx), gradient, value, norm, at.coefficients, s->images, s->pixels, s->channels);
    });
}
