/* Element by element: multiplied by a number, leaky and its gradient (cpu/plain/values.c states the formulas).  Called by the executor's
 * rows hold, scaled, leaky and leaky_grad. */
#include "element.cuh"
#include "walk.cuh"

namespace {

struct times {
    float scale;
    template <int V> __device__ lanes<V> operator()(lanes<V> x) const {
#pragma unroll
        for (int i = 0; i < V; i++) x.at[i] *= scale;
        return x;
    }
};
struct rectified {
    float slope;
    template <int V> __device__ lanes<V> operator()(lanes<V> x) const {
#pragma unroll
        for (int i = 0; i < V; i++) x.at[i] = x.at[i] > 0 ? x.at[i] : slope * x.at[i];
        return x;
    }
};

template <typename E, typename Map> __global__ void __launch_bounds__(BLOCK) mapped(E *y, const E *x, int64_t count, Map map) {
    constexpr int V = vector_of<E>;
    EACH_VECTOR(i, V, count) store<V>(y + i, map(load<V>(x + i)));
    const int64_t last = TAIL(V, count);
    if (last < count) store<1>(y + last, map(load<1>(x + last)));
}
template <typename Map>
cuda_error launch_mapped(cuda_stream stream, void *y, const void *x, enum element element, int64_t count, Map map) {
    return with_element(element, [&](auto zero) -> cuda_error {
        typedef decltype(zero) E;
        return LAUNCH((mapped<E, Map>), grid_for_count(count, vector_of<E> * VECTORS_EACH), dim3(BLOCK), 0, stream,
                      static_cast<E *>(y), static_cast<const E *>(x), count, map);
    });
}

template <int V> __device__ lanes<V> rectified_grad(lanes<V> dy, const lanes<V> &y, float slope) {
#pragma unroll
    for (int i = 0; i < V; i++) dy.at[i] = y.at[i] > 0 ? dy.at[i] : slope * dy.at[i];
    return dy;
}
template <typename E>
__global__ void __launch_bounds__(BLOCK) leaky_grad(E *dx, const E *dy, const E *y, int64_t count, float slope) {
    constexpr int V = vector_of<E>;
    EACH_VECTOR(i, V, count) store<V>(dx + i, rectified_grad(load<V>(dy + i), load<V>(y + i), slope));
    const int64_t last = TAIL(V, count);
    if (last < count) store<1>(dx + last, rectified_grad(load<1>(dy + last), load<1>(y + last), slope));
}

} // namespace

extern "C" cuda_error cuda_scaled(cuda_stream stream, void *y, const void *x, enum element element, float scale, int64_t count) {
    return launch_mapped(stream, y, x, element, count, times{scale});
}

extern "C" cuda_error cuda_leaky(cuda_stream stream, void *y, const void *x, enum element element, float slope, int64_t count) {
    return launch_mapped(stream, y, x, element, count, rectified{slope});
}

extern "C" cuda_error cuda_leaky_grad(cuda_stream stream, void *dx, const void *dy, const void *y, enum element element,
                                      float slope, int64_t count) {
    return with_element(element, [&](auto zero) -> cuda_error {
        typedef decltype(zero) E;
        return LAUNCH(leaky_grad<E>, grid_for_count(count, vector_of<E> * VECTORS_EACH), dim3(BLOCK), 0, stream,
                      static_cast<E *>(dx), static_cast<const E *>(dy), static_cast<const E *>(y), count, slope);
    });
}
