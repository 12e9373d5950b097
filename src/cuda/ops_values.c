/* Element by element, and the loss of images, as ops of the GPU.  Rows of program.h's table. */
#include "op_call.h"

static int64_t values(const struct call *call, const struct tensor *x) { return tensor_elements(x) * call->program->samples; }

static cover_status run_hold(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_scaled(call->stream, out(call, 0), in(call, 0), x->element, 1, values(call, x)));
    return COVER_OK;
}
static cover_status run_scaled(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_scaled(call->stream, out(call, 0), in(call, 0), x->element, call->node->attributes.scale, values(call, x)));
    return COVER_OK;
}
static cover_status run_leaky(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_leaky(call->stream, out(call, 0), in(call, 0), x->element, call->node->attributes.slope, values(call, x)));
    return COVER_OK;
}
static cover_status run_leaky_grad(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_leaky_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), x->element, call->node->attributes.slope,
                             values(call, x)));
    return COVER_OK;
}

static struct cuda_image_sizes image_loss(const struct program *program, const struct node *node) {
    const struct tensor *x = &program->graph->tensors[node->input[0]];
    return (struct cuda_image_sizes){.images = x->images * program->samples,
                                     .pixels = grid_pixels(&x->grid),
                                     .channels = x->channels,
                                     .sigmoid = node->attributes.sigmoid};
}
static size_t image_loss_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct cuda_image_sizes s = image_loss(program, node);
    return cuda_image_loss_workspace(&s);
}
static cover_status run_image_loss(const struct call *call) {
    const struct cuda_image_sizes s = image_loss(call->program, call->node);
    CUDA_TRY(cuda_image_loss(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), &s, call->workspace));
    return COVER_OK;
}
static cover_status run_image_loss_grad(const struct call *call) {
    const struct cuda_image_sizes s = image_loss(call->program, call->node);
    CUDA_TRY(cuda_image_loss_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), &s));
    return COVER_OK;
}
static cover_status run_blend(const struct call *call) {
    const struct tensor *a = input(call, 1);
    CUDA_TRY(
        cuda_blend(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), values(call, a) / a->channels, a->channels));
    return COVER_OK;
}
static cover_status run_blend_grad(const struct call *call) {
    const struct tensor *dy = input(call, 1);
    CUDA_TRY(cuda_blend_grad(call->stream, out(call, 0), out(call, 1), in(call, 0), in(call, 1), values(call, dy) / dy->channels,
                             dy->channels));
    return COVER_OK;
}

const struct op_cuda cuda_op_hold = {.run = run_hold};
const struct op_cuda cuda_op_scaled = {.run = run_scaled};
const struct op_cuda cuda_op_leaky = {.run = run_leaky};
const struct op_cuda cuda_op_leaky_grad = {.run = run_leaky_grad};
const struct op_cuda cuda_op_image_loss = {.run = run_image_loss, .workspace = image_loss_workspace};
const struct op_cuda cuda_op_image_loss_grad = {.run = run_image_loss_grad};
const struct op_cuda cuda_op_blend = {.run = run_blend};
const struct op_cuda cuda_op_blend_grad = {.run = run_blend_grad};
