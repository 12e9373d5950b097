/* N neighbouring elements of a feature map as floats: read and written as one vector where their bytes are a power of two.  The
 * pointer must be a multiple of those bytes then, which it is if N divides the channels.  Used by warp.cu and mov.cu. */
#ifndef COVER_CUDA_PACK_CUH
#define COVER_CUDA_PACK_CUH

#include "../cuda.h"

template <typename E, int N> struct pack {
    static constexpr int bytes = N * (int)sizeof(E);
    struct alignas((bytes & (bytes - 1)) == 0 ? bytes : (int)sizeof(E)) raw {
        E element[N];
    };
    float value[N];

    __device__ void load(const E *from) {
        const raw bits = *reinterpret_cast<const raw *>(from);
        for (int i = 0; i < N; i++) value[i] = (float)bits.element[i];
    }
    __device__ void store(E *to) const {
        raw bits;
        for (int i = 0; i < N; i++) bits.element[i] = (E)value[i]; /* to the nearest, ties to even */
        *reinterpret_cast<raw *>(to) = bits;
    }
};

#endif
