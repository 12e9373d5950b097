/* What tests say to the emulator of CUDA: seeds, pretend devices, faults, and what went wrong last.  README.md tells how it works.
 * All calls are safe from any thread; settings are of the process. */
#ifndef CUDASIM_H
#define CUDASIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#define CUDASIM_TEST_API __attribute__((visibility("default")))

/* Everything anew: streams, graphs and device memory are gone, errors forgotten, faults off, devices and limits as at the start.
 * Call it between tests, when no other thread uses the emulator. */
CUDASIM_TEST_API void cudasim_reset(void);

/* Order of blocks, threads and streams: 0 = a fixed simple order, else random by this seed.  At the start: $CUDASIM_SEED, or 0. */
CUDASIM_TEST_API void cudasim_seed(uint64_t seed);

/* What the last failed kernel did, in one or a few lines ("" = none failed since the reset). */
CUDASIM_TEST_API const char *cudasim_message(void);

#ifdef __cplusplus
}
#endif
#endif
