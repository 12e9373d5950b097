/* The emulator's vector types: CUDA's names, sizes and alignments (a float4 must lie at a multiple of 16 bytes), and make_*(). */
#ifndef CUDASIM_VECTOR_TYPES_H
#define CUDASIM_VECTOR_TYPES_H

#define CUDASIM_VECTORS(T, name, align2, align4)                                                                                   \
    struct name##1 {                                                                                                               \
        T x;                                                                                                                       \
    };                                                                                                                             \
    struct __attribute__((aligned(align2))) name##2 {                                                                              \
        T x, y;                                                                                                                    \
    };                                                                                                                             \
    struct name##3 {                                                                                                               \
        T x, y, z;                                                                                                                 \
    };                                                                                                                             \
    struct __attribute__((aligned(align4))) name##4 {                                                                              \
        T x, y, z, w;                                                                                                              \
    };                                                                                                                             \
    typedef struct name##1 name##1;                                                                                                \
    typedef struct name##2 name##2;                                                                                                \
    typedef struct name##3 name##3;                                                                                                \
    typedef struct name##4 name##4;                                                                                                \
    static inline __attribute__((unused)) name##1 make_##name##1(T x) {                                                            \
        name##1 v = {x};                                                                                                           \
        return v;                                                                                                                  \
    }                                                                                                                              \
    static inline __attribute__((unused)) name##2 make_##name##2(T x, T y) {                                                       \
        name##2 v = {x, y};                                                                                                        \
        return v;                                                                                                                  \
    }                                                                                                                              \
    static inline __attribute__((unused)) name##3 make_##name##3(T x, T y, T z) {                                                  \
        name##3 v = {x, y, z};                                                                                                     \
        return v;                                                                                                                  \
    }                                                                                                                              \
    static inline __attribute__((unused)) name##4 make_##name##4(T x, T y, T z, T w) {                                             \
        name##4 v = {x, y, z, w};                                                                                                  \
        return v;                                                                                                                  \
    }
CUDASIM_VECTORS(signed char, char, 2, 4)
CUDASIM_VECTORS(unsigned char, uchar, 2, 4)
CUDASIM_VECTORS(short, short, 4, 8)
CUDASIM_VECTORS(unsigned short, ushort, 4, 8)
CUDASIM_VECTORS(int, int, 8, 16)
CUDASIM_VECTORS(unsigned, uint, 8, 16)
CUDASIM_VECTORS(long long, longlong, 16, 16)
CUDASIM_VECTORS(unsigned long long, ulonglong, 16, 16)
CUDASIM_VECTORS(float, float, 8, 16)
CUDASIM_VECTORS(double, double, 16, 16)
#undef CUDASIM_VECTORS

struct dim3 {
    unsigned x, y, z;
#ifdef __cplusplus
    constexpr dim3(unsigned vx = 1, unsigned vy = 1, unsigned vz = 1) : x(vx), y(vy), z(vz) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    constexpr operator uint3() const { return uint3{x, y, z}; }
#endif
};
typedef struct dim3 dim3;

#endif
