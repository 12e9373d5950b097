/* Copies that normalise, convert, join, split and pad, weights in cuDNN's order, and the gradient of a bias: what lies between the
 * graph's tensors and cuDNN's dense operands (cpu/plain/norm.c's norm_apply and widen.c state the first).  Called by cuda/conv.c and by the
 * executor's rows norm_apply and widen. */
#include "reduce.cuh"

namespace {

/* body(x, y) with the two forms: eight channels at once where one element is bfloat16, four where none is, one where not all of
 * `channels` are whole vectors. */
template <typename X, typename Y, typename Body> cuda_error with_width(const int64_t (&channels)[4], Body body) {
    constexpr int V = vector_of < X >> vector_of<Y> ? vector_of<X> : vector_of<Y>;
    for (int64_t part : channels)
        if (part % V) return body(form<X, 1>(), form<Y, 1>());
    return body(form<X, V>(), form<Y, V>());
}
template <typename Body> cuda_error with_forms(enum element x, enum element y, const int64_t (&channels)[4], Body body) {
    if (x == ELEMENT_BF16)
        return y == ELEMENT_BF16 ? with_width<bfloat, bfloat>(channels, body) : with_width<bfloat, float>(channels, body);
    return y == ELEMENT_BF16 ? with_width<float, bfloat>(channels, body) : with_width<float, float>(channels, body);
}

/* y's channels [first, first + channels) = x, `total` - channels zeros behind them. */
template <typename X, typename Y, int V>
__global__ void __launch_bounds__(BLOCK, 4) join(Y *y, int64_t y_channels, int64_t first, int64_t total, const X *x, cuda_norm norm,
                                                 int images, int64_t pixels, int64_t channels) {
    const int64_t channel = my_vector() * V;
    if (channel >= total) return;
    EACH_IMAGE(image, images) {
        Y *const to = y + image * pixels * y_channels + first + channel;
        const X *const from = x + image * pixels * channels + channel;
        if (channel >= channels) {
            EACH_PIXEL(p, pixels) store<V>(to + p * y_channels, all_lanes<V>(0));
            continue;
        }
        const norm_lanes<V> normalised(norm, image, channels, channel);
        EACH_PIXEL(p, pixels) store<V>(to + p * y_channels, normalised(load<V>(from + p * channels)));
    }
}

template <typename X, typename Y, int V>
__global__ void __launch_bounds__(BLOCK)
    split(X *x, int64_t channels, const Y *y, int64_t y_channels, int64_t first, int64_t rows) {
    const int64_t channel = my_vector() * V;
    if (channel >= channels) return;
    EACH_PIXEL(p, rows) store<V>(x + p * channels + channel, load<V>(y + p * y_channels + first + channel));
}

/* ---- weights: a block takes a row of what it writes */

template <typename E>
__global__ void __launch_bounds__(BLOCK)
    pack_weights(E *packed, int64_t c_in_padded, const float *weights, int64_t c_out, int64_t c_in, int taps) {
    const int64_t out = blockIdx.x / taps, tap = blockIdx.x % taps;
    E *const to = packed + (int64_t)blockIdx.x * c_in_padded;
    for (int64_t in = threadIdx.x; in < c_in_padded; in += blockDim.x)
        store<1>(to + in, all_lanes<1>(out < c_out && in < c_in ? weights[(out * c_in + in) * taps + tap] : 0));
}

template <typename E>
__global__ void __launch_bounds__(BLOCK)
    unpack_weights(float *weights, int64_t c_in, int taps, const E *packed, int64_t c_in_padded) {
    const int64_t row = c_in * taps;
    const E *const from = packed + (int64_t)blockIdx.x * taps * c_in_padded;
    for (int i = (int)(blockIdx.y * blockDim.x + threadIdx.x); i < row; i += (int)(gridDim.y * blockDim.x))
        weights[(int64_t)blockIdx.x * row + i] = load<1>(from + (i % taps) * c_in_padded + i / taps).at[0];
}

dim3 block_across(int64_t count) { return dim3((unsigned)(count < BLOCK ? ceil_div(count, WARP) * WARP : BLOCK)); }

} // namespace

extern "C" cuda_error cuda_join(cuda_stream stream, void *y, enum element y_element, int64_t y_channels, int64_t first,
                                int64_t zeros, const void *x, enum element x_element, const cuda_norm *norm, int images,
                                int64_t pixels, int64_t channels) {
    return with_forms(x_element, y_element, {y_channels, first, channels, zeros}, [&](auto from, auto to) -> cuda_error {
        typedef typename decltype(from)::element X;
        typedef typename decltype(to)::element Y;
        constexpr int V = decltype(from)::V;
        const int64_t vectors = (channels + zeros) / V;
        const dim3 block = block_for(vectors, pixels);
        return LAUNCH((join<X, Y, V>), grid_for(block, vectors, pixels, images, 8), block, 0, stream, static_cast<Y *>(y),
                      y_channels, first, channels + zeros, static_cast<const X *>(x), norm_or_none(norm), images, pixels, channels);
    });
}

extern "C" cuda_error cuda_split(cuda_stream stream, void *x, enum element x_element, int64_t channels, const void *y,
                                 enum element y_element, int64_t y_channels, int64_t first, int64_t rows) {
    return with_forms(x_element, y_element, {y_channels, first, channels, 0}, [&](auto to, auto from) -> cuda_error {
        typedef typename decltype(to)::element X;
        typedef typename decltype(from)::element Y;
        constexpr int V = decltype(to)::V;
        const int64_t vectors = channels / V;
        const dim3 block = block_for(vectors, rows);
        return LAUNCH((split<X, Y, V>), grid_for(block, vectors, rows, 1, 8), block, 0, stream, static_cast<X *>(x), channels,
                      static_cast<const Y *>(y), y_channels, first, rows);
    });
}

extern "C" cuda_error cuda_pack_weights(cuda_stream stream, void *packed, enum element element, int64_t c_out_padded,
                                        int64_t c_in_padded, const float *weights, int64_t c_out, int64_t c_in, int taps) {
    return with_element(element, [&](auto zero) -> cuda_error {
        typedef decltype(zero) E;
        return LAUNCH(pack_weights<E>, dim3((unsigned)(c_out_padded * taps)), block_across(c_in_padded), 0, stream,
                      static_cast<E *>(packed), c_in_padded, weights, c_out, c_in, taps);
    });
}

extern "C" cuda_error cuda_unpack_weights(cuda_stream stream, float *weights, int64_t c_out, int64_t c_in, int taps,
                                          const void *packed, enum element element, int64_t, int64_t c_in_padded) {
    return with_element(element, [&](auto zero) -> cuda_error {
        typedef decltype(zero) E;
        const dim3 block = block_across(c_in * taps);
        const int64_t tiles = ceil_div(c_in * taps, block.x), most = GRID_Y_MOST;
        return LAUNCH(unpack_weights<E>, dim3((unsigned)c_out, (unsigned)(tiles < most ? tiles : most)), block, 0, stream, weights,
                      c_in, taps, static_cast<const E *>(packed), c_in_padded);
    });
}

extern "C" size_t cuda_bias_grad_workspace(int64_t rows, int64_t channels) { return column_bytes(1, 1, rows, channels); }

extern "C" cuda_error cuda_bias_grad(cuda_stream stream, float *dbias, const void *dy, enum element element, int64_t rows,
                                     int64_t channels, void *workspace) {
    return with_form(element, channels, [&](auto form) -> cuda_error {
        typedef typename decltype(form)::element E;
        return launch_column_means<FORM_OF(form)>(stream, dbias, static_cast<const E *>(dy), 1, rows, channels, 1.0, workspace);
    });
}
