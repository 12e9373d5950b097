/* Where a call of an op finds its tensors.  Included by the files of ops of the CPU. */
#ifndef COVER_CPU_OP_CALL_H
#define COVER_CPU_OP_CALL_H

#include "program.h"

static inline const struct tensor *tensor_at(const struct call *call, int tensor) { return &call->graph->tensors[tensor]; }
static inline const struct tensor *input(const struct call *call, int i) { return tensor_at(call, call->node->input[i]); }

static inline void *in(const struct call *call, int i, int image) { return call_address(call, call->node->input[i], image); }
static inline void *out(const struct call *call, int i, int image) { return call_address(call, call->node->output[i], image); }

/* How input i is to be normalised: `norm` filled in, or NULL for as it is. */
static inline const struct norm_load *norm_of(const struct call *call, int i, int image, struct norm_load *norm) {
    const int index = call->node->input[i];
    if (index == ABSENT || tensor_at(call, index)->storage != STORAGE_NORMALISED) return NULL;
    const struct tensor *tensor = tensor_at(call, index);
    const float *coefficients = call_address(call, tensor->coefficients, image);
    *norm = (struct norm_load){coefficients, coefficients + tensor->channels, tensor->slope};
    return norm;
}

#endif
