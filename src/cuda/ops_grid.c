/* What moves, matches, pools and adds pixels, as ops of the GPU.  Rows of program.h's table. */
#include "op_call.h"

static cover_status run_max_pool2(const struct call *call) {
    const struct tensor *x = input(call, 0);
    struct cuda_norm norm;
    CUDA_TRY(cuda_max_pool2(call->stream, out(call, 0), out(call, 1), in(call, 0), x->element, norm_of(call, 0, &norm),
                            images(call, x), &x->grid, x->channels));
    return COVER_OK;
}
static cover_status run_max_pool2_grad(const struct call *call) {
    const struct tensor *dx = output(call, 0);
    CUDA_TRY(cuda_max_pool2_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), dx->element, images(call, dx),
                                 &dx->grid, dx->channels));
    return COVER_OK;
}
static cover_status run_upsample(const struct call *call) {
    const struct tensor *x = input(call, 0);
    struct cuda_norm norm;
    CUDA_TRY(cuda_upsample(call->stream, out(call, 0), in(call, 0), x->element, norm_of(call, 0, &norm), images(call, x), &x->grid,
                           x->channels));
    return COVER_OK;
}
static cover_status run_upsample_grad(const struct call *call) {
    const struct tensor *dx = output(call, 0);
    CUDA_TRY(cuda_upsample_grad(call->stream, out(call, 0), in(call, 0), dx->element, images(call, dx), &dx->grid, dx->channels));
    return COVER_OK;
}
static cover_status run_resize_corners(const struct call *call) {
    const struct tensor *x = input(call, 0), *y = output(call, 0);
    CUDA_TRY(cuda_resize_corners(call->stream, out(call, 0), in(call, 0), images(call, x), &x->grid, &y->grid, x->channels,
                                 call->node->attributes.scale));
    return COVER_OK;
}
static cover_status run_resize_corners_grad(const struct call *call) {
    const struct tensor *dy = input(call, 0), *dx = output(call, 0);
    CUDA_TRY(cuda_resize_corners_grad(call->stream, out(call, 0), in(call, 0), images(call, dx), &dx->grid, &dy->grid, dx->channels,
                                      call->node->attributes.scale));
    return COVER_OK;
}
static cover_status run_warp(const struct call *call) {
    const struct tensor *source = input(call, 0);
    CUDA_TRY(cuda_warp(call->stream, out(call, 0), in(call, 0), source->element, in(call, 1), images(call, source), &source->grid,
                       source->channels, call->node->attributes.coordinates));
    return COVER_OK;
}
static size_t warp_grad_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct tensor *dy = &program->graph->tensors[node->input[0]];
    return cuda_warp_grad_workspace(dy->images * program->samples, &dy->grid, dy->channels, node->output[0] != ABSENT);
}
static cover_status run_warp_grad(const struct call *call) {
    const struct tensor *dy = input(call, 0);
    CUDA_TRY(cuda_warp_grad(call->stream, out(call, 0), out(call, 1), in(call, 0), in(call, 1), dy->element, in(call, 2),
                            images(call, dy), &dy->grid, dy->channels, call->node->attributes.coordinates, call->workspace));
    return COVER_OK;
}

/* ---- mixture of vectors */

static struct cuda_mov_shape mov_shape(const struct program *program, const struct tensor *query,
                                       const struct attributes *attributes) {
    return (struct cuda_mov_shape){.grid = query->grid,
                                   .channels = query->channels,
                                   .images = query->images * program->samples,
                                   .heads = attributes->mov.heads,
                                   .radius = attributes->mov.radius};
}
static cover_status run_mov(const struct call *call) {
    const struct cuda_mov_shape s = mov_shape(call->program, input(call, 0), &call->node->attributes);
    CUDA_TRY(cuda_mov(call->stream, out(call, 0), in(call, 0), in(call, 1), &s));
    return COVER_OK;
}
static size_t mov_grad_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct cuda_mov_shape s = mov_shape(program, &program->graph->tensors[node->input[1]], &node->attributes);
    return cuda_mov_grad_workspace(&s);
}
static cover_status run_mov_grad(const struct call *call) {
    const struct cuda_mov_shape s = mov_shape(call->program, input(call, 1), &call->node->attributes);
    CUDA_TRY(cuda_mov_grad(call->stream, out(call, 0), out(call, 1), in(call, 0), in(call, 1), in(call, 2), &s, call->workspace));
    return COVER_OK;
}

/* ---- sums */

static size_t global_pool_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct tensor *x = &program->graph->tensors[node->input[0]];
    return cuda_global_pool_workspace(x->images * program->samples, grid_pixels(&x->grid), x->channels);
}
static cover_status run_global_pool(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_global_pool(call->stream, out(call, 0), in(call, 0), x->element, images(call, x), grid_pixels(&x->grid),
                              x->channels, call->workspace));
    return COVER_OK;
}
static cover_status run_global_pool_grad(const struct call *call) {
    const struct tensor *dx = output(call, 0);
    CUDA_TRY(cuda_global_pool_grad(call->stream, out(call, 0), in(call, 0), dx->element, images(call, dx), grid_pixels(&dx->grid),
                                   dx->channels));
    return COVER_OK;
}
static int64_t numbers(const struct call *call, const struct tensor *tensor) { /* of all samples, unless it is a parameter's */
    return tensor_elements(tensor) * (tensor->storage == STORAGE_PARAMETER_GRAD ? 1 : call->program->samples);
}
static cover_status run_add(const struct call *call) {
    const struct tensor *y = output(call, 0);
    CUDA_TRY(cuda_add(call->stream, out(call, 0), in(call, 0), in(call, 1), y->element, numbers(call, y)));
    return COVER_OK;
}

const struct op_cuda cuda_op_max_pool2 = {.run = run_max_pool2};
const struct op_cuda cuda_op_max_pool2_grad = {.run = run_max_pool2_grad};
const struct op_cuda cuda_op_upsample = {.run = run_upsample};
const struct op_cuda cuda_op_upsample_grad = {.run = run_upsample_grad};
const struct op_cuda cuda_op_resize_corners = {.run = run_resize_corners};
const struct op_cuda cuda_op_resize_corners_grad = {.run = run_resize_corners_grad};
const struct op_cuda cuda_op_warp = {.run = run_warp};
const struct op_cuda cuda_op_warp_grad = {.run = run_warp_grad, .workspace = warp_grad_workspace};
const struct op_cuda cuda_op_mov = {.run = run_mov};
const struct op_cuda cuda_op_mov_grad = {.run = run_mov_grad, .workspace = mov_grad_workspace};
const struct op_cuda cuda_op_global_pool = {.run = run_global_pool, .workspace = global_pool_workspace};
const struct op_cuda cuda_op_global_pool_grad = {.run = run_global_pool_grad};
const struct op_cuda cuda_op_add = {.run = run_add};
