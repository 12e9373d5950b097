/* Elements of feature maps on the device: V neighbouring channels are loaded and stored at once and are floats in between, whatever
 * lies in memory; normalisation on the way; and the choice of element and V for a launch.  Included by the files of kernels/. */
#ifndef COVER_CUDA_ELEMENT_CUH
#define COVER_CUDA_ELEMENT_CUH

#include "../cuda.h"
#include "../kernels.h"

#include <cstdint>
#include <cstring>

namespace { // every file has its own copy

typedef __nv_bfloat16 bfloat;

template <int V> struct lanes { float at[V]; };

/* ---- load and store: 16 bytes at once where V is more than 1; the caller sees to the alignment */

__device__ inline float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
__device__ inline uint32_t bits_of_pair(float low, float high) { /* two of bfloat16, rounded to the nearest */
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    uint32_t bits;
    memcpy(&bits, &pair, sizeof bits);
    return bits;
}

template <int V> __device__ inline lanes<V> load(const float *from) {
    lanes<V> x;
    if constexpr (V == 1) x.at[0] = *from;
    else
#pragma unroll
        for (int i = 0; i < V; i += 4) {
            const float4 four = *reinterpret_cast<const float4 *>(from + i);
            x.at[i] = four.x, x.at[i + 1] = four.y, x.at[i + 2] = four.z, x.at[i + 3] = four.w;
        }
    return x;
}
template <int V> __device__ inline lanes<V> load(const bfloat *from) {
    lanes<V> x;
    if constexpr (V == 1) x.at[0] = __bfloat162float(*from);
    else {
        static_assert(V == 8, "eight of bfloat16 are 16 bytes");
        const uint4 eight = *reinterpret_cast<const uint4 *>(from);
        const uint32_t pairs[4] = {eight.x, eight.y, eight.z, eight.w};
#pragma unroll
        for (int i = 0; i < 4; i++)
            x.at[2 * i] = float_of_bits(pairs[i] << 16), x.at[2 * i + 1] = float_of_bits(pairs[i] & 0xffff0000u);
    }
    return x;
}

template <int V> __device__ inline void store(float *to, const lanes<V> &x) {
    if constexpr (V == 1) *to = x.at[0];
    else
#pragma unroll
        for (int i = 0; i < V; i += 4)
            *reinterpret_cast<float4 *>(to + i) = make_float4(x.at[i], x.at[i + 1], x.at[i + 2], x.at[i + 3]);
}
template <int V> __device__ inline void store(bfloat *to, const lanes<V> &x) {
    if constexpr (V == 1) *to = __float2bfloat16_rn(x.at[0]);
    else
        *reinterpret_cast<uint4 *>(to) = make_uint4(bits_of_pair(x.at[0], x.at[1]), bits_of_pair(x.at[2], x.at[3]),
                                                    bits_of_pair(x.at[4], x.at[5]), bits_of_pair(x.at[6], x.at[7]));
}

template <int V> __device__ inline lanes<V> all_lanes(float value) {
    lanes<V> x;
#pragma unroll
    for (int i = 0; i < V; i++) x.at[i] = value;
    return x;
}

/* ---- a struct cuda_norm for V channels of an image: y = leaky(fma(x, scale, offset)) */

template <int V> struct norm_lanes {
    lanes<V> scale, offset;
    float slope;

    /* Where there is none, x comes out bit for bit: -0 is what can be added to either zero. */
    __device__ norm_lanes(const cuda_norm &norm, int64_t image, int64_t channels, int64_t channel) {
        const float *const of_image = norm.coefficients + image * 2 * channels + channel;
        scale = norm.coefficients ? load<V>(of_image) : all_lanes<V>(1);
        offset = norm.coefficients ? load<V>(of_image + channels) : all_lanes<V>(-0.0f);
        slope = norm.coefficients ? norm.slope : 1;
    }
    __device__ float affine(float x, int i) const { return fmaf(x, scale.at[i], offset.at[i]); }
    __device__ lanes<V> operator()(lanes<V> x) const {
#pragma unroll
        for (int i = 0; i < V; i++) {
            const float u = affine(x.at[i], i);
            x.at[i] = u > 0 ? u : slope * u;
        }
        return x;
    }
};
inline cuda_norm norm_or_none(const cuda_norm *norm) { return norm ? *norm : cuda_norm{nullptr, 1}; }

/* ---- for launches */

template <typename E, int V_> struct form {
    typedef E element;
    static constexpr int V = V_;
};
template <typename E> constexpr int vector_of = 16 / (int)sizeof(E); /* channels that 16 bytes hold */

/* body(form<E, V>()) for the element and, where `channels` are whole vectors, V of 16 bytes. */
template <typename Body> cuda_error with_form(enum element element, int64_t channels, Body body) {
    if (element == ELEMENT_BF16)
        return channels % vector_of<bfloat> == 0 ? body(form<bfloat, vector_of<bfloat>>()) : body(form<bfloat, 1>());
    return channels % vector_of<float> == 0 ? body(form<float, vector_of<float>>()) : body(form<float, 1>());
}
/* body(E()) for the element alone. */
template <typename Body> cuda_error with_element(enum element element, Body body) {
    return element == ELEMENT_BF16 ? body(bfloat()) : body(float());
}
#define FORM_OF(form) typename decltype(form)::element, decltype(form)::V

} // namespace

#endif
