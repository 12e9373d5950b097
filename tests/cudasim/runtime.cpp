/* Host double of CUDA's runtime: see README.md. */
#include "cudasim.h"
#include "grid.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

static std::mutex lock;
static std::string last_message;
static std::atomic<uint64_t> seed{getenv("CUDASIM_SEED") ? strtoull(getenv("CUDASIM_SEED"), nullptr, 0) : 0};
static cudaError_t sticky = cudaSuccess;

void cudasim_seed(uint64_t s) { seed = s; }
void cudasim_reset(void) {
    std::lock_guard<std::mutex> hold(lock);
    last_message.clear();
    sticky = cudaSuccess;
}
const char *cudasim_message(void) { return last_message.c_str(); }

int cudasim_enqueue(const char *name, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t, const void *, void *closure,
                    size_t closure_bytes, void (*run)(void *), void (*release)(void *)) {
    uint64_t threads = (uint64_t)block.x * block.y * block.z;
    cudaError_t error = cudaSuccess;
    if (!grid.x || !grid.y || !grid.z || !threads || threads > 1024 || block.z > 64 || grid.x > INT32_MAX || grid.y > 65535 ||
        grid.z > 65535)
        error = cudaErrorInvalidConfiguration;
    else if (sticky == cudaSuccess) {
        grid_launch launch = {name, grid, block, shared_bytes, closure, closure_bytes, run, 0, seed};
        sticky = grid_run(&launch, &last_message);
    }
    release(closure);
    return error;
}

cudaError_t cudaGetLastError(void) { return sticky; }
cudaError_t cudaPeekAtLastError(void) { return sticky; }
const char *cudaGetErrorName(cudaError_t error) {
    switch (error) {
#define NAME(name, value, text)                                                                                                    \
    case name:                                                                                                                     \
        return #name;
        CUDASIM_ERRORS(NAME)
    }
    return "unrecognized error code";
}
const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
#define TEXT(name, value, text)                                                                                                    \
    case name:                                                                                                                     \
        return text;
        CUDASIM_ERRORS(TEXT)
    }
    return "unrecognized error code";
}

cudaError_t cudaMalloc(void **pointer, size_t bytes) {
    *pointer = bytes ? aligned_alloc(256, (bytes + 255) & ~(size_t)255) : nullptr;
    if (bytes && !*pointer)
        return cudaErrorMemoryAllocation;
    if (bytes)
        memset(*pointer, 0xff, bytes);
    return cudaSuccess;
}
cudaError_t cudaFree(void *pointer) { return free(pointer), cudaSuccess; }
cudaError_t cudaMallocHost(void **pointer, size_t bytes) { return cudaMalloc(pointer, bytes); }
cudaError_t cudaFreeHost(void *pointer) { return cudaFree(pointer); }
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind, cudaStream_t) {
    return memcpy(to, from, bytes), sticky;
}
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
    return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}
cudaError_t cudaMemsetAsync(void *pointer, int value, size_t bytes, cudaStream_t) { return memset(pointer, value, bytes), sticky; }
cudaError_t cudaMemset(void *pointer, int value, size_t bytes) { return cudaMemsetAsync(pointer, value, bytes, nullptr); }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return sticky; }
cudaError_t cudaDeviceSynchronize(void) { return sticky; }
