/* What tests of this folder say to the device that they run on: the emulator (tests/cudasim), or a real GPU, of which most of it cannot
 * be asked.  ADD_EMULATED: a test that needs a device that fails on request, or pretends. */
#ifndef COVER_TEST_DEVICE_H
#define COVER_TEST_DEVICE_H

#include "../check_main.h"

#ifdef CUDASIM
#include <cudasim.h>
#include <cudasim_cudnn.h>
enum { EMULATED = 1 };
#else
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <stdbool.h>
#include <stdint.h>

enum { EMULATED = 0 };
enum cudasim_cudnn_refusal {
    CUDASIM_CUDNN_ODD_CHANNELS,
    CUDASIM_CUDNN_MIXED,
    CUDASIM_CUDNN_HALF,
    CUDASIM_CUDNN_BIAS,
    CUDASIM_CUDNN_FLOAT_GRADIENTS,
    CUDASIM_CUDNN_ALL
};
struct cudasim_alive {
    int streams, events, graphs, pinned, allocations;
};
/* The order of threads is the chip's own, and what an earlier test has left goes with its process. */
static inline void cudasim_reset(void) {}
static inline void cudasim_seed(uint64_t seed) { (void)seed; }
static inline const char *cudasim_message(void) { return "compute-sanitizer may know more"; }
static inline void cudasim_devices(int count, size_t bytes, int capability) { (void)count, (void)bytes, (void)capability; }
static inline void cudasim_fail_at(uint64_t call, int error) { (void)call, (void)error; }
static inline void cudasim_lose_device(int device, int error) { (void)device, (void)error; }
static inline uint64_t cudasim_calls(void) { return 0; }
static inline void cudasim_alive(struct cudasim_alive *alive) { *alive = (struct cudasim_alive){0}; }
static inline void cudasim_cudnn_refuse(unsigned refusals) { (void)refusals; }
static inline void cudasim_cudnn_fail(int call, int status) { (void)call, (void)status; }
static inline int cudasim_cudnn_calls(void) { return 0; }
static inline int cudasim_cudnn_alive(void) { return 0; }
#endif

#define ADD_EMULATED(tcase, function)                                                                                              \
    do {                                                                                                                           \
        if (EMULATED) tcase_add_test(tcase, function);                                                                             \
        else (void)(function);                                                                                                     \
    } while (0)
#define ADD_EMULATED_LOOP(tcase, function, first, end)                                                                             \
    do {                                                                                                                           \
        if (EMULATED) tcase_add_loop_test(tcase, function, first, end);                                                            \
        else (void)(function);                                                                                                     \
    } while (0)

#endif
