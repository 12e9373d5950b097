/* Running one grid of a kernel on the calling thread of the host: what runtime.cpp, block.cpp and checker.cpp share. */
#ifndef CUDASIM_LAUNCH_H
#define CUDASIM_LAUNCH_H

#include <cuda_runtime.h>

#include <cstdarg>
#include <string>

/* One launch, as LAUNCH gave it. */
struct grid_launch {
    const char *name;
    dim3 grid, block;
    size_t shared_bytes;
    void *closure;
    size_t closure_bytes;
    void (*run)(void *closure);
    int device;
    uint64_t seed;
};

/* Runs all blocks.  cudaSuccess, or the error that stopped the kernel, with its story in `message`. */
cudaError_t grid_run(const grid_launch *launch, std::string *message);

/* A short text with nothing to free: what stands on a kernel's stack when it is stopped is never destroyed. */
struct phrase {
    char text[256];
    phrase(const char *format, ...) __attribute__((format(printf, 2, 3)));
};

/* Stops the running kernel; does not return.  The message says what; kernel, block and thread are put in front. */
[[noreturn]] void grid_fail(cudaError_t error, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool grid_running(void);

/* A small fast generator (xorshift64*), never 0 inside. */
struct random_bits {
    uint64_t state;
    explicit random_bits(uint64_t seed) : state(seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du) { state += !state; }
    uint32_t next() {
        state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
        return (uint32_t)((state * 0x2545f4914f6cdd1du) >> 32);
    }
    uint32_t below(uint32_t n) { return (uint32_t)(((uint64_t)next() * n) >> 32); }
};

#endif
