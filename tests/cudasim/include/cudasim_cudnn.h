/* What tests say to the double of cuDNN: what it has no engine for, which call fails, and whether everything was given back.
 * Settings are of the process; they are read when an engine is asked for. */
#ifndef CUDASIM_CUDNN_DOUBLE_H
#define CUDASIM_CUDNN_DOUBLE_H

#include <cudnn.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cudasim_cudnn_refusal {
    CUDASIM_CUDNN_ODD_CHANNELS = 1,     /* bfloat16 where channels are no multiple of 8 */
    CUDASIM_CUDNN_MIXED = 2,            /* bfloat16 that comes out as float32 */
    CUDASIM_CUDNN_HALF = 4,             /* bfloat16 */
    CUDASIM_CUDNN_BIAS = 8,             /* a bias in the graph */
    CUDASIM_CUDNN_FLOAT_GRADIENTS = 16, /* float32 gradients of weights from bfloat16 */
    CUDASIM_CUDNN_ALL = 32              /* everything */
};
CUDASIM_API void cudasim_cudnn_refuse(unsigned refusals);
/* The call-th from now that can fail (1 = the next) gives this status; 0 = none does. */
CUDASIM_API void cudasim_cudnn_fail(int call, cudnnStatus_t status);
CUDASIM_API int cudasim_cudnn_calls(void); /* that could have failed, since the last cudasim_cudnn_fail() */
CUDASIM_API int cudasim_cudnn_alive(void); /* handles and descriptors */

#ifdef __cplusplus
}
#endif
#endif
