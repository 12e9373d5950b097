/* The table of ops of the GPU, a row each of core/graph/ops.def.  Called by program.c. */
#include "program.h"

#define OP(name, inputs, outputs, optional, normalised, flags, text) [OP_##name] = &cuda_op_##name,
const struct op_cuda *const cuda_ops[OP_COUNT] = {
#include "core/graph/ops.def"
};
