/* Checking every access of a kernel to memory: bounds, races, what was never written, alignment.  The compiler's instrumentation for
 * ThreadSanitizer calls our functions in front of each load and store (checker.cpp); its own runtime is not linked.  block.cpp says
 * where time goes on, memory.cpp which bytes are valid. */
#ifndef CUDASIM_CHECKER_H
#define CUDASIM_CHECKER_H

#include "launch.h"

#include <cstdint>

constexpr unsigned CHECK_LANES = 32;

/* What the running thread of the host checks against.  Time goes on at each start of a block and each barrier, and never back on a
 * device, so a stamp tells at once whether a barrier, the begin of the block or of the launch lies between. */
struct checker {
    bool on; /* inside of a kernel */
    uintptr_t shared;
    size_t shared_bytes;
    uintptr_t stack; /* of the running thread; all addresses, when no kernel runs */
    size_t stack_bytes = SIZE_MAX;
    uint32_t now, barrier, block, launch; /* time, and that of the last barrier and of the begins of block and launch */
    unsigned thread;
    uint32_t (*seen)[CHECK_LANES]; /* of the warp: up to when lane [a] has seen what lane [b] did, by warp barriers */
    uintptr_t parameters;          /* of the kernel */
    size_t parameters_bytes;
    int device;
    uintptr_t here, other; /* of a failure: addresses of the code */
};
extern __thread struct checker checker;

/* Device memory begins there: one map of valid bytes and one of cells for races go with it.  False: no address space. */
bool check_reserve(uintptr_t begin, size_t bytes);
void check_set_valid(uintptr_t begin, size_t bytes, bool valid);

void check_launch_begins(const grid_launch *launch, uintptr_t shared);
void check_block_begins(void);
void check_launch_ends(void);
inline void check_barrier(void) { checker.barrier = ++checker.now; }
/* Lanes of `group` (of the running thread's warp) have met. */
void check_warp_barrier(uint32_t (*seen)[CHECK_LANES], unsigned group);

/* What lies at an address that a kernel or copy may not touch, in words.  state.lock is held. */
phrase check_explain(const void *pointer, size_t bytes);
/* "file:line" of an address of code, "" if nothing is known.  Runs addr2line. */
std::string check_source_line(uintptr_t code);

#endif
