/* A bias added to what a convolution wrote: for engines of cuDNN that do not add it themselves.  Called by cuda/conv.c. */
#include "element.cuh"
#include "walk.cuh"

namespace {

template <typename E, int V>
__global__ void __launch_bounds__(BLOCK) add_bias(E *y, const float *bias, int64_t rows, int64_t channels) {
    const int64_t channel = my_vector() * V;
    if (channel >= channels) return;
    const lanes<V> b = load<V>(bias + channel);
    EACH_PIXEL(p, rows) {
        lanes<V> x = load<V>(y + p * channels + channel);
#pragma unroll
        for (int i = 0; i < V; i++) x.at[i] += b.at[i];
        store<V>(y + p * channels + channel, x);
    }
}

} // namespace

extern "C" cuda_error cuda_add_bias(cuda_stream stream, void *y, enum element element, const float *bias, int64_t rows,
                                    int64_t channels) {
    return with_form(element, channels, [&](auto form) -> cuda_error {
        typedef typename decltype(form)::element E;
        constexpr int V = decltype(form)::V;
        const dim3 block = block_for(channels / V, rows);
        return LAUNCH((add_bias<E, V>), grid_for(block, channels / V, rows, 1, 8), block, 0, stream, static_cast<E *>(y), bias,
                      rows, channels);
    });
}
