/* Losses as ops of the GPU.  Rows of program.h's table. */
#include "op_call.h"

static size_t loss_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct tensor *x = &program->graph->tensors[node->input[0]];
    return cuda_loss_workspace(x->images * program->samples, grid_pixels(&x->grid));
}
static cover_status run_vector_loss(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_vector_loss(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), images(call, x),
                              grid_pixels(&x->grid), x->grid.ndim, call->workspace));
    return COVER_OK;
}
static cover_status run_vector_loss_grad(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_vector_loss_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), images(call, x),
                                   grid_pixels(&x->grid), x->grid.ndim));
    return COVER_OK;
}
static cover_status run_cosine_loss(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_cosine_loss(call->stream, out(call, 0), in(call, 0), in(call, 1), x->element, in(call, 2), images(call, x),
                              grid_pixels(&x->grid), x->channels, call->workspace));
    return COVER_OK;
}
static cover_status run_cosine_loss_grad(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_cosine_loss_grad(call->stream, out(call, 0), out(call, 1), in(call, 0), in(call, 1), x->element, in(call, 2),
                                   NULL, images(call, x), grid_pixels(&x->grid), x->channels));
    return COVER_OK;
}
static struct cuda_task_loss task_loss(const struct program *program, const struct node *node) {
    const struct tensor *logits = &program->graph->tensors[node->input[0]];
    return (struct cuda_task_loss){.images = logits->images * program->samples,
                                   .pixels = grid_pixels(&logits->grid),
                                   .classes = logits->channels,
                                   .ce_weight = node->attributes.softmax.ce_weight,
                                   .dice_weight = node->attributes.softmax.dice_weight,
                                   .smooth = node->attributes.softmax.smooth};
}
static size_t task_loss_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct cuda_task_loss s = task_loss(program, node);
    return cuda_task_loss_workspace(&s);
}
static cover_status run_softmax_loss(const struct call *call) {
    const struct cuda_task_loss s = task_loss(call->program, call->node);
    CUDA_TRY(
        cuda_softmax_loss(call->stream, out(call, 0), out(call, 1), in(call, 0), in(call, 1), in(call, 2), &s, call->workspace));
    return COVER_OK;
}
static cover_status run_softmax_loss_grad(const struct call *call) {
    const struct cuda_task_loss s = task_loss(call->program, call->node);
    CUDA_TRY(cuda_softmax_loss_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), in(call, 3), &s));
    return COVER_OK;
}
static cover_status run_sigmoid_loss(const struct call *call) {
    const struct cuda_task_loss s = task_loss(call->program, call->node);
    CUDA_TRY(
        cuda_sigmoid_loss(call->stream, out(call, 0), out(call, 1), in(call, 0), in(call, 1), in(call, 2), &s, call->workspace));
    return COVER_OK;
}
static cover_status run_sigmoid_loss_grad(const struct call *call) {
    const struct cuda_task_loss s = task_loss(call->program, call->node);
    CUDA_TRY(cuda_sigmoid_loss_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), in(call, 3), &s));
    return COVER_OK;
}
static cover_status run_class_right(const struct call *call) {
    const struct tensor *logits = input(call, 0);
    CUDA_TRY(cuda_class_right(call->stream, out(call, 0), in(call, 0), in(call, 1), images(call, logits),
                              grid_pixels(&logits->grid), logits->channels));
    return COVER_OK;
}

const struct op_cuda cuda_op_vector_loss = {.run = run_vector_loss, .workspace = loss_workspace};
const struct op_cuda cuda_op_vector_loss_grad = {.run = run_vector_loss_grad};
const struct op_cuda cuda_op_cosine_loss = {.run = run_cosine_loss, .workspace = loss_workspace};
const struct op_cuda cuda_op_cosine_loss_grad = {.run = run_cosine_loss_grad};
const struct op_cuda cuda_op_softmax_loss = {.run = run_softmax_loss, .workspace = task_loss_workspace};
const struct op_cuda cuda_op_softmax_loss_grad = {.run = run_softmax_loss_grad};
const struct op_cuda cuda_op_sigmoid_loss = {.run = run_sigmoid_loss, .workspace = task_loss_workspace};
const struct op_cuda cuda_op_class_right = {.run = run_class_right};
const struct op_cuda cuda_op_sigmoid_loss_grad = {.run = run_sigmoid_loss_grad};
