/* cuDNN 9's graph API (backend descriptors in C): one handle, and execution plans of single convolutions, made once a shape and
 * kept until the device goes.  Which engine serves is what cuDNN's heuristics name first of those we may use: of no more
 * workspace than a share of the device's memory, without rounding that was not asked for, and deterministic where the device is
 * to be. Called by conv.c, which knows nothing of descriptors. */
#ifndef COVER_CUDA_CUDNN_H
#define COVER_CUDA_CUDNN_H

#include "device.h"

enum cudnn_pass { CUDNN_PASS_FORWARD, CUDNN_PASS_DATA, CUDNN_PASS_WEIGHTS, CUDNN_PASSES };
/* Dense tensors in channels-last order: x (images, pixels, c_in), y (images, pixels, c_out), weights (c_out, taps, c_in), or the
 * gradients of them; bias (c_out) in float32, added to the float32 sums before y is rounded. */
enum cudnn_operand { CUDNN_X, CUDNN_WEIGHTS, CUDNN_Y, CUDNN_BIAS, CUDNN_OPERANDS };
struct cudnn_key {
    enum cudnn_pass pass;
    struct grid grid;
    int images;
    int64_t c_in, c_out;
    int kernel;           /* 1 or 3, zero padding, stride 1 */
    enum element in, out; /* of the two tensors that are read, and of the one that is written */
    bool bias;            /* in the forward pass */
};
struct cudnn_plan;

cover_status cudnn_create(struct cudnn **cudnn, const struct device *device);
/* Without a device: plans can be made and looked at, not run.  `properties`: what cuDNN 9.8 and later write of a device, JSON. */
cover_status cudnn_create_offline(struct cudnn **cudnn, cover_context *context, const char *properties, const struct device *like);
void cudnn_destroy(struct cudnn *cudnn);      /* takes NULL */
int cudnn_version(const struct cudnn *cudnn); /* 90000 and above */

/* The plan of a shape, made by the first who asks; any thread.  *plan = NULL where cuDNN has no engine that we may use. */
cover_status cudnn_plan_find(const struct cudnn_plan **plan, struct cudnn *cudnn, const struct cudnn_key *key);
int cudnn_plans(struct cudnn *cudnn); /* how many have been made */
size_t cudnn_plan_workspace(const struct cudnn_plan *plan);
const char *cudnn_plan_text(const struct cudnn_plan *plan); /* "engine 22, tensor cores, 0.0 MiB" */
/* Start it on a stream.  Operands begin at multiples of 16 bytes, the workspace of 256; an operand that the pass lacks is not
 * read. */
cover_status cudnn_plan_run(struct cudnn *cudnn, const struct cudnn_plan *plan, cuda_stream stream,
                            void *const data[CUDNN_OPERANDS], void *workspace);

#endif
