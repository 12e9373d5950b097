/* Where a call of an op finds its tensors.  Included by the files of ops of the GPU. */
#ifndef COVER_CUDA_OP_CALL_H
#define COVER_CUDA_OP_CALL_H

#include "program.h"

static inline const struct tensor *tensor_at(const struct call *call, int tensor) { return &call->graph->tensors[tensor]; }
static inline const struct tensor *input(const struct call *call, int i) { return tensor_at(call, call->node->input[i]); }
static inline const struct tensor *output(const struct call *call, int i) { return tensor_at(call, call->node->output[i]); }
static inline void *in(const struct call *call, int i) { return program_address(call->program, call->lane, call->node->input[i]); }
static inline void *out(const struct call *call, int i) {
    return program_address(call->program, call->lane, call->node->output[i]);
}

static inline int images(const struct call *call, const struct tensor *tensor) { return tensor->images * call->program->samples; }

/* How input i is to be normalised: `norm` filled in, or NULL for as it is. */
static inline const struct cuda_norm *norm_of(const struct call *call, int i, struct cuda_norm *norm) {
    const int index = call->node->input[i];
    if (index == ABSENT || tensor_at(call, index)->storage != STORAGE_NORMALISED) return NULL;
    const struct tensor *tensor = tensor_at(call, index);
    *norm = (struct cuda_norm){program_address(call->program, call->lane, tensor->coefficients), tensor->slope};
    return norm;
}

#endif
