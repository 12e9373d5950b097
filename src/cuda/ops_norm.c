/* Normalisations, and what writes what they give, as ops of the GPU.  Rows of program.h's table. */
#include "op_call.h"

static struct cuda_norm_shape norm_shape(const struct program *program, const struct tensor *x,
                                         const struct attributes *attributes) {
    return (struct cuda_norm_shape){.pixels = grid_pixels(&x->grid),
                                    .channels = x->channels,
                                    .images = x->images * program->samples,
                                    .groups = attributes->norm.groups,
                                    .slope = attributes->norm.slope,
                                    .epsilon = attributes->norm.epsilon};
}
static size_t norm_act_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct cuda_norm_shape s = norm_shape(program, &program->graph->tensors[node->input[0]], &node->attributes);
    return cuda_norm_workspace(&s);
}
static cover_status run_norm_act(const struct call *call) {
    const struct cuda_norm_shape s = norm_shape(call->program, input(call, 0), &call->node->attributes);
    CUDA_TRY(cuda_norm_act(call->stream, out(call, 1), out(call, 2), in(call, 0), input(call, 0)->element, in(call, 1), in(call, 2),
                           in(call, 3), &s, call->workspace));
    return COVER_OK;
}
static size_t norm_grad_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct cuda_norm_shape s = norm_shape(program, &program->graph->tensors[node->input[1]], &node->attributes);
    return cuda_norm_grad_workspace(&s);
}
static cover_status run_norm_grad(const struct call *call) {
    const struct cuda_norm_shape s = norm_shape(call->program, input(call, 1), &call->node->attributes);
    CUDA_TRY(cuda_norm_grad(call->stream, out(call, 0), out(call, 1), out(call, 2), out(call, 3), in(call, 0), in(call, 1),
                            input(call, 1)->element, in(call, 2), in(call, 3), in(call, 4), in(call, 5), &s, call->workspace));
    return COVER_OK;
}
static cover_status run_copy(const struct call *call) { /* norm_apply, widen, widen_grad */
    const struct tensor *x = input(call, 0), *y = output(call, 0);
    struct cuda_norm norm;
    CUDA_TRY(cuda_join(call->stream, out(call, 0), y->element, x->channels, 0, 0, in(call, 0), x->element, norm_of(call, 0, &norm),
                       images(call, x), grid_pixels(&x->grid), x->channels));
    return COVER_OK;
}

const struct op_cuda cuda_op_norm_act = {.run = run_norm_act, .workspace = norm_act_workspace};
const struct op_cuda cuda_op_norm_apply = {.run = run_copy};
const struct op_cuda cuda_op_norm_grad = {.run = run_norm_grad, .workspace = norm_grad_workspace};
const struct op_cuda cuda_op_widen = {.run = run_copy};
const struct op_cuda cuda_op_widen_grad = {.run = run_copy};
