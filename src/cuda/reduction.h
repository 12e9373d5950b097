/* Gradients of all ranks added up by NCCL, in a few buckets, while backward goes on; one process a GPU.  A rank that is lost is noticed
 * by the communicator's watch or by NCCL, and ends the waiting of all others.  Called by training.c. */
#ifndef COVER_CUDA_REDUCTION_H
#define COVER_CUDA_REDUCTION_H

#include "core/base/communicator.h"
#include "program.h"

struct reduction;

/* Meet the other ranks' GPUs: every rank calls this at once.  gradient: the flat buffer, in device memory, with
 * `marks` floats behind it that are there once the forward pass is. */
cover_status reduction_create(struct reduction **reduction, const struct program *program, float *gradient, int marks,
                              struct communicator *communicator);
void reduction_destroy(struct reduction *reduction); /* takes NULL */
/* Node n has been started on the compute stream: buckets whose gradients are complete are started on the reduction stream. */
cover_status reduction_after(struct reduction *reduction, int node);
/* Sums of floats over all ranks, in place: behind what is on the compute stream, before what is started there next. */
cover_status reduction_sum(struct reduction *reduction, float *values, int64_t count);
/* What is started on the compute stream from here on waits for all buckets. */
cover_status reduction_join(struct reduction *reduction);
/* A step has been started. */
void reduction_started(struct reduction *reduction);
/* While it is waited for: COVER_OK as long as nobody is known to be lost. */
cover_status reduction_watch(struct reduction *reduction);

#endif
