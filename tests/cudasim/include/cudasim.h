/* What tests say to the emulator of CUDA: seeds, pretend devices, faults, and what went wrong last.  README.md tells how it works.
 * All calls are safe from any thread; settings are of the process. */
#ifndef CUDASIM_H
#define CUDASIM_H

#include <cuda_runtime.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Everything anew: streams, graphs and device memory are gone, errors forgotten, faults off, one device as at the start; the seed
 * stays.  Call it between tests, when no other thread uses the emulator. */
CUDASIM_API void cudasim_reset(void);

/* Order of blocks, threads and streams: 0 = the order of the calls, else random by this seed.  At the start: $CUDASIM_SEED, or 0. */
CUDASIM_API void cudasim_seed(uint64_t seed);

/* How many devices there are (0 to 16; at the start: $CUDASIM_DEVICES, or 1), their memory (0: 8 GiB), their compute capability: 80 (0), 90, 100 or 120. */
CUDASIM_API void cudasim_devices(int count, size_t bytes, int capability);

/* What the last failed kernel or call did, in one or a few lines ("" = none since the reset); valid until the thread's next call. */
CUDASIM_API const char *cudasim_message(void);

/* The call-th call of the runtime from now on (1 = the next, 0 = none), launches among them, fails with this cudaError_t and does
 * nothing.  What frees and destroys, and what only asks for errors, is not counted.  lose_at: all calls of the current device
 * fail from then on. */
CUDASIM_API void cudasim_fail_at(uint64_t call, int error);
CUDASIM_API void cudasim_lose_at(uint64_t call, int error);
CUDASIM_API void cudasim_lose_device(int device, int error); /* now */
/* How many have been made since the last of these three, or the reset. */
CUDASIM_API uint64_t cudasim_calls(void);

/* What has not been freed. */
struct cudasim_alive {
    int streams, events, graphs, pinned, allocations;
    size_t bytes; /* of device memory */
};
CUDASIM_API void cudasim_alive(struct cudasim_alive *alive);

/* ---- for doubles of libraries
 * Work of a library on a stream: run(user, device) gives cudaSuccess, an error (the device fails with it), or cudaErrorNotReady: it is
 * asked again when something has changed.  It may be captured into a graph, and run again then.  release may be NULL. */
CUDASIM_API cudaError_t cudasim_submit(cudaStream_t stream, const char *name, cudaError_t (*run)(void *user, int device),
                                       void *user, void (*release)(void *user));
/* Work that was not ready may be so now. */
CUDASIM_API void cudasim_notify(void);
/* Do these bytes lie in one allocation of the device (-1: of any)?  Not from inside of run(). */
CUDASIM_API bool cudasim_is_device(const void *pointer, size_t bytes, int device);
/* Says in cudasim_message() why a library's call failed. */
CUDASIM_API void cudasim_explain(const char *text);

#ifdef __cplusplus
}
#endif
#endif
