/* Contrastive losses against a queue as ops of the GPU.  Rows of program.h's table. */
#include "op_call.h"

static struct cuda_nce nce_of(const struct program *program, const struct node *node) {
    const struct tensor *tensors = program->graph->tensors, *q = &tensors[node->input[0]];
    return (struct cuda_nce){.images = q->images * program->samples,
                             .rows = grid_pixels(&q->grid),
                             .of_k = grid_pixels(&tensors[node->input[1]].grid),
                             .channels = q->channels,
                             .keys = tensors[node->input[3]].channels / q->channels,
                             .positives = node->input[2] == ABSENT ? 1 : (int)tensors[node->input[2]].channels,
                             .scale = 1 / node->attributes.cells.temperature,
                             .weight = node->attributes.cells.weight};
}
static size_t matched_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct cuda_nce s = nce_of(program, node);
    return cuda_nce_workspace(&s);
}
static cover_status run_matched_nce(const struct call *call) {
    const struct cuda_nce s = nce_of(call->program, call->node);
    CUDA_TRY(cuda_matched_nce(call->stream, out(call, 0), out(call, 1), in(call, 0), in(call, 1), in(call, 2), in(call, 3), &s,
                              call->workspace));
    return COVER_OK;
}
static cover_status run_matched_nce_grad(const struct call *call) {
    const struct cuda_nce s = nce_of(call->program, call->node);
    CUDA_TRY(
        cuda_matched_nce_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), in(call, 3), in(call, 4), &s));
    return COVER_OK;
}

static size_t set_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct cuda_nce s = nce_of(program, node);
    return cuda_set_nce_workspace(&s);
}
static cover_status run_set_nce(const struct call *call) {
    const struct cuda_nce s = nce_of(call->program, call->node);
    CUDA_TRY(cuda_set_nce(call->stream, out(call, 0), out(call, 1), out(call, 2), in(call, 0), in(call, 1), in(call, 2),
                          in(call, 3), &s, call->workspace));
    return COVER_OK;
}
static cover_status run_set_nce_grad(const struct call *call) {
    const struct cuda_nce s = nce_of(call->program, call->node);
    CUDA_TRY(cuda_set_nce_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), in(call, 3), in(call, 4),
                               in(call, 5), &s, call->workspace));
    return COVER_OK;
}

const struct op_cuda cuda_op_matched_nce = {.run = run_matched_nce, .workspace = matched_workspace};
const struct op_cuda cuda_op_matched_nce_grad = {.run = run_matched_nce_grad};
const struct op_cuda cuda_op_set_nce = {.run = run_set_nce, .workspace = set_workspace};
const struct op_cuda cuda_op_set_nce_grad = {.run = run_set_nce_grad, .workspace = set_workspace};
