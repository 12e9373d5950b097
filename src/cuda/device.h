/* One GPU as this module sees it: streams, cuDNN, what the chip is.  Made by device.c when a context is created. */
#ifndef COVER_CUDA_DEVICE_H
#define COVER_CUDA_DEVICE_H

#include "core/base/base.h"
#include "kernels.h"

struct cudnn; /* cuDNN's functions and one handle (cudnn.h) */

struct device {
    cover_context *context;
    int ordinal;
    char name[128];
    int capability;        /* 10 * major + minor: 80, 90, ... */
    int processors;        /* streaming multiprocessors */
    uint64_t memory_bytes; /* of the device */
    bool deterministic;    /* algorithms whose result does not vary from run to run alone */
    bool tf32;             /* float32 convolutions may round their operands to TF32 */
    cuda_stream compute, copy, reduce;
    struct cudnn *cudnn;
    pthread_mutex_t lock; /* one run at a time */
};

/* Make it the calling thread's device, alone until device_leave(). */
cover_status device_enter(struct device *device);
void device_leave(struct device *device);

/* Device memory; `what` stands in the message when there is not enough.  device_free takes NULL. */
cover_status device_alloc(void **memory, struct device *device, size_t bytes, const char *what);
void device_free(void *memory);
/* COVER_ERROR_MEMORY when fewer bytes are free than a plan needs. */
cover_status device_has_room(struct device *device, uint64_t bytes);

/* Every call of the runtime passes through here: COVER_OK, or an error that names the call and what CUDA says of it. */
cover_status cuda_check(cuda_error error, const char *what);
#define CUDA_TRY(call) TRY(cuda_check((cuda_error)(call), #call))
#define CUDA_GO(call) GO(cuda_check((cuda_error)(call), #call))

#endif
