/* What tests say to the double of NCCL: which rank dies or hangs, which call fails, and whether everything was given back.
 * Settings are of the process. */
#ifndef CUDASIM_NCCL_DOUBLE_H
#define CUDASIM_NCCL_DOUBLE_H

#include <nccl.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rank `rank` of each communicator of this process is as if its process had died: the others' asynchronous error is ncclRemoteError,
 * and what they wait for never comes.  (A rank in a process of its own may be killed in earnest.) */
CUDASIM_API void cudasim_nccl_kill(int rank);
/* Its reductions never begin, and nobody notices. */
CUDASIM_API void cudasim_nccl_hang(int rank);
/* The call-th from now that can fail (1 = the next) gives this result; 0 = none does. */
CUDASIM_API void cudasim_nccl_fail(int call, ncclResult_t result);
CUDASIM_API int cudasim_nccl_calls(void); /* that could have failed, since the last cudasim_nccl_fail() */
CUDASIM_API int cudasim_nccl_alive(void); /* communicators */

#ifdef __cplusplus
}
#endif
#endif
