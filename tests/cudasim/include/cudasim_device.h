/* The words that kernels are written in, for the emulator: threadIdx and the like, barriers, shuffles, votes, atomics, CUDA's
 * intrinsics, and LAUNCH and shared<T>() of src/cuda/cuda.h.  Every word that waits takes the line it stands in along, for messages.
 * Included by cuda_runtime.h in C++; what it calls lies in block.cpp and checker.cpp. */
#ifndef CUDASIM_DEVICE_H
#define CUDASIM_DEVICE_H

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
#define __CUDACC__ 1

/* Where the running thread is; the emulator rewrites it whenever it turns to another.  Read past the compiler's instrumentation, which
 * would ask the checker each time. */
struct cudasim_place {
    uint3 thread, block, block_size, grid_size;
    unsigned lane;
    unsigned char *shared;
};
extern CUDASIM_API __thread struct cudasim_place cudasim_place __attribute__((tls_model("initial-exec")));
inline unsigned cudasim_unseen(const unsigned &value) {
#if defined(__x86_64__)
    unsigned copy;
    __asm__("movl %1, %0" : "=r"(copy) : "m"(value));
    return copy;
#else
    return value;
#endif
}
#define CUDASIM_INDEX(name, member)                                                                                                \
    inline uint3 name() {                                                                                                          \
        return uint3{cudasim_unseen(cudasim_place.member.x), cudasim_unseen(cudasim_place.member.y),                               \
                     cudasim_unseen(cudasim_place.member.z)};                                                                      \
    }
CUDASIM_INDEX(cudasim_thread, thread)
CUDASIM_INDEX(cudasim_block, block)
CUDASIM_INDEX(cudasim_block_size, block_size)
CUDASIM_INDEX(cudasim_grid_size, grid_size)
inline unsigned cudasim_lane() { return cudasim_unseen(cudasim_place.lane); }
#define threadIdx cudasim_thread()
#define blockIdx cudasim_block()
#define blockDim cudasim_block_size()
#define gridDim cudasim_grid_size()
static constexpr int warpSize = 32;

/* ---- what waits */
struct cudasim_site { /* a place in the source */
    const char *file;
    int line;
};
enum cudasim_barrier { CUDASIM_BARRIER, CUDASIM_BARRIER_COUNT, CUDASIM_BARRIER_AND, CUDASIM_BARRIER_OR };
extern "C" {
CUDASIM_API int cudasim_block_barrier(enum cudasim_barrier kind, int predicate, struct cudasim_site site);
CUDASIM_API void cudasim_warp_barrier(unsigned mask, struct cudasim_site site);
/* value: what the caller gives, then what lane `source` gave; bytes <= 16 */
CUDASIM_API void cudasim_shuffle(unsigned mask, void *value, unsigned bytes, unsigned source, struct cudasim_site site);
CUDASIM_API unsigned cudasim_ballot(unsigned mask, int predicate, struct cudasim_site site);
CUDASIM_API unsigned cudasim_active_lanes(void);
CUDASIM_API void cudasim_atomic(void *address, unsigned bytes);
CUDASIM_API void cudasim_trap(const char *what, struct cudasim_site site);
CUDASIM_API int cudasim_enqueue(const char *name, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                                const void *function, void *closure, size_t closure_bytes, void (*run)(void *closure),
                                void (*release)(void *closure));
}
#define CUDASIM_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()
#define CUDASIM_HERE                                                                                                               \
    cudasim_site { file, line }

inline void __syncthreads(CUDASIM_SITE) { cudasim_block_barrier(CUDASIM_BARRIER, 0, CUDASIM_HERE); }
inline int __syncthreads_count(int predicate, CUDASIM_SITE) {
    return cudasim_block_barrier(CUDASIM_BARRIER_COUNT, predicate, CUDASIM_HERE);
}
inline int __syncthreads_and(int predicate, CUDASIM_SITE) {
    return cudasim_block_barrier(CUDASIM_BARRIER_AND, predicate, CUDASIM_HERE);
}
inline int __syncthreads_or(int predicate, CUDASIM_SITE) {
    return cudasim_block_barrier(CUDASIM_BARRIER_OR, predicate, CUDASIM_HERE);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, CUDASIM_SITE) { cudasim_warp_barrier(mask, CUDASIM_HERE); }
inline unsigned __ballot_sync(unsigned mask, int predicate, CUDASIM_SITE) { return cudasim_ballot(mask, predicate, CUDASIM_HERE); }
inline int __any_sync(unsigned mask, int predicate, CUDASIM_SITE) { return cudasim_ballot(mask, predicate, CUDASIM_HERE) != 0; }
inline int __all_sync(unsigned mask, int predicate, CUDASIM_SITE) { return cudasim_ballot(mask, !predicate, CUDASIM_HERE) == 0; }
inline unsigned __activemask() { return cudasim_active_lanes(); }

template <typename T> inline T cudasim_from_lane(unsigned mask, T value, unsigned source, cudasim_site site) {
    static_assert(std::is_trivially_copyable<T>::value && sizeof(T) <= 16, "shuffles move up to 16 bytes");
    cudasim_shuffle(mask, &value, sizeof(T), source, site);
    return value;
}
template <typename T> inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, CUDASIM_SITE) {
    unsigned lane = cudasim_lane(), first = lane & ~(unsigned)(width - 1);
    return cudasim_from_lane(mask, value, first | ((unsigned)source & (unsigned)(width - 1)), CUDASIM_HERE);
}
template <typename T> inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, CUDASIM_SITE) {
    unsigned lane = cudasim_lane(), inside = lane & (unsigned)(width - 1);
    return cudasim_from_lane(mask, value, inside < delta ? lane : lane - delta, CUDASIM_HERE);
}
template <typename T> inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, CUDASIM_SITE) {
    unsigned lane = cudasim_lane(), inside = lane & (unsigned)(width - 1);
    return cudasim_from_lane(mask, value, inside + delta >= (unsigned)width ? lane : lane + delta, CUDASIM_HERE);
}
template <typename T> inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, CUDASIM_SITE) {
    unsigned lane = cudasim_lane(), last = lane | (unsigned)(width - 1), source = lane ^ (unsigned)lanes;
    return cudasim_from_lane(mask, value, source > last ? lane : source, CUDASIM_HERE);
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __trap(CUDASIM_SITE) { cudasim_trap("__trap()", CUDASIM_HERE); }

/* ---- atomics: the threads of a device run on one thread of the host */
template <typename T, typename F> __attribute__((no_sanitize("thread"), noinline)) T cudasim_update(T *address, T operand, F next) {
    cudasim_atomic(address, sizeof(T));
    T old = *address;
    *address = next(old, operand);
    return old;
}
#define CUDASIM_ATOMIC(name, T, expression)                                                                                        \
    inline T name(T *address, T operand) {                                                                                         \
        return cudasim_update(address, operand, [](T a, T b) { return (void)a, (void)b, (T)(expression); });                       \
    }
#define CUDASIM_ATOMICS_OF_INTEGERS(T)                                                                                             \
    CUDASIM_ATOMIC(atomicAdd, T, a + b)                                                                                            \
    CUDASIM_ATOMIC(atomicExch, T, b)                                                                                               \
    CUDASIM_ATOMIC(atomicMin, T, b < a ? b : a)                                                                                    \
    CUDASIM_ATOMIC(atomicMax, T, b > a ? b : a)                                                                                    \
    CUDASIM_ATOMIC(atomicAnd, T, a &b)                                                                                             \
    CUDASIM_ATOMIC(atomicOr, T, a | b)                                                                                             \
    CUDASIM_ATOMIC(atomicXor, T, a ^ b)                                                                                            \
    inline T atomicCAS(T *address, T compare, T value) {                                                                           \
        return cudasim_update(address, value, [compare](T a, T b) { return a == compare ? b : a; });                               \
    }
CUDASIM_ATOMICS_OF_INTEGERS(int)
CUDASIM_ATOMICS_OF_INTEGERS(unsigned)
CUDASIM_ATOMICS_OF_INTEGERS(unsigned long long)
CUDASIM_ATOMIC(atomicSub, int, a - b)
CUDASIM_ATOMIC(atomicSub, unsigned, a - b)
CUDASIM_ATOMIC(atomicInc, unsigned, a >= b ? 0 : a + 1)
CUDASIM_ATOMIC(atomicExch, float, b)

/* ---- loads and stores with a hint */
template <typename T> inline T __ldg(const T *p) { return *p; }
template <typename T> inline T __ldcs(const T *p) { return *p; }
template <typename T> inline T __ldcg(const T *p) { return *p; }
template <typename T> inline T __ldca(const T *p) { return *p; }
template <typename T> inline void __stcs(T *p, T value) { *p = value; }
template <typename T> inline void __stcg(T *p, T value) { *p = value; }

/* ---- bits and numbers */
template <typename To, typename From> inline To cudasim_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "as many bits");
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}
inline int __float_as_int(float x) { return cudasim_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return cudasim_bits<unsigned>(x); }
inline float __int_as_float(int x) { return cudasim_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return cudasim_bits<float>(x); }
inline long long __double_as_longlong(double x) { return cudasim_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return cudasim_bits<double>(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((unsigned long long)a * b) >> 32); }
inline int __mulhi(int a, int b) { return (int)(((long long)a * b) >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }

inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float a) { return expf(a); }
inline float __logf(float a) { return logf(a); }
inline float __sinf(float a) { return sinf(a); }
inline float __cosf(float a) { return cosf(a); }
inline float __powf(float a, float b) { return powf(a, b); }
inline float __saturatef(float a) { return a > 0 ? a < 1 ? a : 1 : 0; }
inline float rsqrtf(float a) { return 1.0f / sqrtf(a); }
inline double rsqrt(double a) { return 1.0 / sqrt(a); }
inline float sinpif(float a) { return (float)sin(3.14159265358979323846 * remainder((double)a, 2.0)); }
inline float cospif(float a) { return (float)cos(3.14159265358979323846 * remainder((double)a, 2.0)); }
inline int __float2int_rn(float a) { return (int)rintf(a); }
inline int __float2int_rd(float a) { return (int)floorf(a); }
inline int __float2int_rz(float a) { return (int)a; }
inline float __int2float_rn(int a) { return (float)a; }
inline float __uint2float_rn(unsigned a) { return (float)a; }
inline double __hiloint2double(int hi, int lo) {
    return cudasim_bits<double>((long long)((unsigned long long)(unsigned)hi << 32 | (unsigned)lo));
}
inline long long __double2ll_rn(double a) { return llrint(a); }
inline long long __float2ll_rn(float a) { return llrintf(a); }
inline float __double2float_rn(double a) { return (float)a; }
inline float __ll2float_rn(long long a) { return (float)a; }
inline double __ll2double_rn(long long a) { return (double)a; }

/* CUDA's min and max mix signed and unsigned as C's arithmetic does, and drop a NaN */
template <typename A, typename B> using cudasim_common = typename std::common_type<A, B>::type;
template <typename A, typename B> constexpr cudasim_common<A, B> min(A a, B b) {
    if constexpr (std::is_floating_point<cudasim_common<A, B>>::value)
        return a != a ? b : (cudasim_common<A, B>)b < (cudasim_common<A, B>)a ? b : a;
    else return (cudasim_common<A, B>)b < (cudasim_common<A, B>)a ? (cudasim_common<A, B>)b : (cudasim_common<A, B>)a;
}
template <typename A, typename B> constexpr cudasim_common<A, B> max(A a, B b) {
    if constexpr (std::is_floating_point<cudasim_common<A, B>>::value)
        return a != a ? b : (cudasim_common<A, B>)b > (cudasim_common<A, B>)a ? b : a;
    else return (cudasim_common<A, B>)b > (cudasim_common<A, B>)a ? (cudasim_common<A, B>)b : (cudasim_common<A, B>)a;
}
using std::isfinite;
using std::isinf;
using std::isnan;

/* ---- launching and shared memory, as src/cuda/cuda.h has them */
template <typename T> inline T &shared() { return *reinterpret_cast<T *>(cudasim_place.shared); }

template <typename... P> struct cudasim_closure {
    void (*kernel)(P...);
    std::tuple<std::decay_t<P>...> arguments;
    static void run(void *closure) {
        auto *self = static_cast<cudasim_closure *>(closure);
        std::apply(self->kernel, self->arguments);
    }
    static void release(void *closure) { delete static_cast<cudasim_closure *>(closure); }
};
template <typename... P, typename... A>
inline cudaError_t cudasim_launch(const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes,
                                  cudaStream_t stream, A &&...arguments) {
    auto *closure = new cudasim_closure<P...>{kernel, {static_cast<std::decay_t<P>>(arguments)...}};
    return static_cast<cudaError_t>(cudasim_enqueue(name, grid, block, shared_bytes, stream, reinterpret_cast<const void *>(kernel),
                                                    closure, sizeof *closure, closure->run, closure->release));
}
#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                                                     \
    cudasim_launch(#kernel, (kernel), (grid), (block), (shared_bytes), (cudaStream_t)(stream), ##__VA_ARGS__)

#endif
