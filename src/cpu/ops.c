/* The table of ops of the CPU, a row each of core/graph/ops.def, and where their tensors lie.  Called by executor.c and by the rows. */
#include "op_call.h"

void *call_address(const struct call *call, int index, int image) {
    if (index == ABSENT) return NULL;
    index = graph_stored(call->graph, index);
    const struct tensor *tensor = tensor_at(call, index);
    size_t image_bytes = tensor_bytes(tensor) / (size_t)tensor->images;
    int64_t skip = 0;
    const struct tensor *root = tensor;
    char *base = NULL;
    switch (tensor->storage) {
    case STORAGE_ARENA:
    case STORAGE_RESULT:
        base = (char *)call->run->arena + call->program->plan.offset[index];
        break;
    case STORAGE_INPUT:
        for (; root->parent != ABSENT; root = tensor_at(call, root->parent)) skip += root->first_image;
        base = (char *)call->run->input[root->index];
        break;
    case STORAGE_PARAMETER:
        return (char *)(call->run->parameters + call->graph->parameters->rows[tensor->index].offset);
    case STORAGE_PARAMETER_GRAD:
        return (char *)(call->run->gradient + call->graph->parameters->rows[tensor->index].offset);
    case STORAGE_NORMALISED:
        break; /* is stored elsewhere */
    }
    return base + (size_t)(skip + image) * image_bytes;
}

#define OP(name, inputs, outputs, optional, normalised, flags, text) [OP_##name] = &cpu_op_##name,
const struct op_cpu *const cpu_ops[OP_COUNT] = {
#include "core/graph/ops.def"
};
