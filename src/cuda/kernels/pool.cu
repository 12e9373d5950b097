/* Max pooling over windows of 2^ndim pixels, its gradient, and the mean over all pixels: cpu/plain/pool.c states the formulas.
 * Called by the executor's rows max_pool2, global_pool and their gradients.  A thread takes V channels of one window. */
#include "reduce.cuh"

namespace {

/* V indices at once. */
template <int V> struct places { uint8_t at[V]; };
template <int V> __device__ places<V> load_places(const uint8_t *from) {
    uint32_t words[(V + 3) / 4];
    places<V> result;
    if constexpr (V == 8) {
        const uint2 two = *reinterpret_cast<const uint2 *>(from);
        words[0] = two.x, words[1] = two.y;
    } else if constexpr (V == 4) words[0] = *reinterpret_cast<const uint32_t *>(from);
    else words[0] = *from;
#pragma unroll
    for (int i = 0; i < V; i++) result.at[i] = (uint8_t)(words[i / 4] >> (i % 4 * 8));
    return result;
}
template <int V> __device__ void store_places(uint8_t *to, const int (&index)[V]) {
    uint32_t words[(V + 3) / 4] = {};
#pragma unroll
    for (int i = 0; i < V; i++) words[i / 4] |= (uint32_t)index[i] << (i % 4 * 8);
    if constexpr (V == 8) *reinterpret_cast<uint2 *>(to) = make_uint2(words[0], words[1]);
    else if constexpr (V == 4) *reinterpret_cast<uint32_t *>(to) = words[0];
    else *to = (uint8_t)words[0];
}

/* Place k of the window at (z, h, w): pixels (2z + k / 4, 2h + k / 2 % 2, 2w + k % 2), in 2D the one plane. */
template <int PLACES> __device__ int plane_of(int z, int k) { return PLACES == 8 ? 2 * z + (k >> 2) : z; }

template <typename E, int V, int PLACES>
__global__ void __launch_bounds__(BLOCK)
    max_pool2(E *y, uint8_t *index, const E *x, cuda_norm norm, sizes from, sizes pooled, int64_t channels) {
    const int64_t channel = my_vector() * V;
    const row at = my_row(pooled);
    if (channel >= channels) return;
    const norm_lanes<V> normalised(norm, at.image, channels, channel);
    EACH_COLUMN(w, pooled.w) {
        lanes<V> best = {};
        int place[V] = {};
#pragma unroll
        for (int k = 0; k < PLACES; k++) {
            const int64_t pixel = pixel_at(from, at.image, plane_of<PLACES>(at.z, k), 2 * at.h + (k >> 1 & 1), 2 * w + (k & 1));
            const lanes<V> value = normalised(load<V>(x + pixel * channels + channel));
#pragma unroll
            for (int i = 0; i < V; i++)
                if (k == 0 || (!(value.at[i] <= best.at[i]) && best.at[i] == best.at[i])) best.at[i] = value.at[i], place[i] = k;
        }
        const int64_t to = pixel_at(pooled, at.image, at.z, at.h, w) * channels + channel;
        store<V>(y + to, best), store_places<V>(index + to, place);
    }
}

/* Windows that odd sizes cut short were not pooled: what is in them has no gradient but `plus`. */
template <typename E, int V, int PLACES>
__global__ void __launch_bounds__(BLOCK) max_pool2_grad(E *dx, const E *plus, const E *dy, const uint8_t *index, sizes to,
                                                        sizes pooled, sizes windows, int64_t channels) {
    const int64_t channel = my_vector() * V;
    const row at = my_row(windows);
    if (channel >= channels) return;
    EACH_COLUMN(w, windows.w) {
        lanes<V> gradient = {};
        places<V> place = {};
        if (at.z < pooled.d && at.h < pooled.h && w < pooled.w) {
            const int64_t from = pixel_at(pooled, at.image, at.z, at.h, w) * channels + channel;
            gradient = load<V>(dy + from), place = load_places<V>(index + from);
        }
#pragma unroll
        for (int k = 0; k < PLACES; k++) {
            const int z = plane_of<PLACES>(at.z, k), h = 2 * at.h + (k >> 1 & 1), v = 2 * w + (k & 1);
            if (z >= to.d || h >= to.h || v >= to.w) continue;
            const int64_t pixel = pixel_at(to, at.image, z, h, v) * channels + channel;
            lanes<V> sum = plus ? load<V>(plus + pixel) : all_lanes<V>(0);
#pragma unroll
            for (int i = 0; i < V; i++) sum.at[i] += place.at[i] == k ? gradient.at[i] : 0;
            store<V>(dx + pixel, sum);
        }
    }
}

sizes pooled_sizes(const struct grid *grid) {
    return sizes{grid->ndim == 3 ? (int)(grid->size[0] / 2) : 1, (int)(grid->size[1] / 2), (int)(grid->size[2] / 2)};
}
sizes window_sizes(const struct grid *grid) {
    return sizes{grid->ndim == 3 ? (int)ceil_div(grid->size[0], 2) : 1, (int)ceil_div(grid->size[1], 2),
                 (int)ceil_div(grid->size[2], 2)};
}

template <typename E, int V>
__global__ void __launch_bounds__(BLOCK) spread_mean(E *dx, const E *dy, int images, int64_t pixels, int64_t channels) {
    const int64_t channel = my_vector() * V;
    if (channel >= channels) return;
    EACH_IMAGE(image, images) {
        lanes<V> share = load<V>(dy + image * channels + channel);
#pragma unroll
        for (int i = 0; i < V; i++) share.at[i] /= (float)pixels;
        EACH_PIXEL(p, pixels) store<V>(dx + (image * pixels + p) * channels + channel, share);
    }
}

} // namespace

extern "C" cuda_error cuda_max_pool2(cuda_stream stream, void *y, uint8_t *index, const void *x, enum element element,
                                     const cuda_norm *norm, int images, const struct grid *grid, int64_t channels) {
    const sizes pooled = pooled_sizes(grid);
    if (pooled.d < 1 || pooled.h < 1 || pooled.w < 1) return cudaSuccess; /* nothing is left */
    return with_form(element, channels, [&](auto form) -> cuda_error {
        typedef typename decltype(form)::element E;
        constexpr int V = decltype(form)::V;
        const auto kernel = grid->ndim == 3 ? max_pool2<E, V, 8> : max_pool2<E, V, 4>;
        const dim3 block = block_for(channels / V, pooled.w);
        return LAUNCH(kernel, grid_of_rows(pooled, images, channels / V, block), block, 0, stream, static_cast<E *>(y), index,
                      static_cast<const E *>(x), norm_or_none(norm), sizes_of(grid), pooled, channels);
    });
}

extern "C" cuda_error cuda_max_pool2_grad(cuda_stream stream, void *dx, const void *plus, const void *dy, const uint8_t *index,
                                          enum element element, int images, const struct grid *grid, int64_t channels) {
    return with_form(element, channels, [&](auto form) -> cuda_error {
        typedef typename decltype(form)::element E;
        constexpr int V = decltype(form)::V;
        const auto kernel = grid->ndim == 3 ? max_pool2_grad<E, V, 8> : max_pool2_grad<E, V, 4>;
        const sizes windows = window_sizes(grid);
        const dim3 block = block_for(channels / V, windows.w);
        return LAUNCH(kernel, grid_of_rows(windows, images, channels / V, block), block, 0, stream, static_cast<E *>(dx),
                      static_cast<const E *>(plus), static_cast<const E *>(dy), index, sizes_of(grid), pooled_sizes(grid), windows,
                      channels);
    });
}

extern "C" size_t cuda_global_pool_workspace(int images, int64_t pixels, int64_t channels) {
    return column_bytes(images, 1, pixels, channels);
}

extern "C" cuda_error cuda_global_pool(cuda_stream stream, void *y, const void *x, enum element element, int images, int64_t pixels,
                                       int64_t channels, void *workspace) {
    return with_form(element, channels, [&](auto form) -> cuda_error {
        typedef typename decltype(form)::element E;
        return launch_column_means<FORM_OF(form)>(stream, static_cast<E *>(y), static_cast<const E *>(x), images, pixels, channels,
                                                  (double)pixels, workspace);
    });
}

extern "C" cuda_error cuda_global_pool_grad(cuda_stream stream, void *dx, const void *dy, enum element element, int images,
                                            int64_t pixels, int64_t channels) {
    return with_form(element, channels, [&](auto form) -> cuda_error {
        typedef typename decltype(form)::element E;
        constexpr int V = decltype(form)::V;
        const dim3 block = block_for(channels / V, pixels);
        return LAUNCH((spread_mean<E, V>), grid_for(block, channels / V, pixels, images, 8), block, 0, stream, static_cast<E *>(dx),
                      static_cast<const E *>(dy), images, pixels, channels);
    });
}
