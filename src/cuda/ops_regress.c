/* Regression of fields and images, and contrast of regions, as ops of the GPU.  Rows of program.h's table. */
#include "op_call.h"

#include "core/base/affine_map.h"
#include "core/base/regions.h"

static size_t loss_bytes(const struct program *program, const struct node *node, size_t times) {
    const struct tensor *x = &program->graph->tensors[node->input[0]];
    const int images = x->images * program->samples;
    return times * cuda_loss_workspace(images, grid_pixels(&x->grid)) + (size_t)images * sizeof(float);
}
static size_t loss_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    return loss_bytes(program, node, 1);
}
static size_t affine_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    return loss_bytes(program, node, AFFINE_SUMS);
}

static struct cuda_ncc_shape ncc_shape(const struct program *program, const struct node *node) {
    const struct tensor *moved = &program->graph->tensors[node->input[0]];
    return (struct cuda_ncc_shape){.grid = moved->grid,
                                   .channels = moved->channels,
                                   .images = moved->images * program->samples,
                                   .window = node->attributes.regress.window};
}
static size_t ncc_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct cuda_ncc_shape s = ncc_shape(program, node);
    return cuda_ncc_workspace(&s);
}
static cover_status run_ncc_loss(const struct call *call) {
    const struct cuda_ncc_shape s = ncc_shape(call->program, call->node);
    CUDA_TRY(cuda_ncc_loss(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), &s, call->workspace));
    return COVER_OK;
}
static cover_status run_ncc_loss_grad(const struct call *call) {
    const struct cuda_ncc_shape s = ncc_shape(call->program, call->node);
    CUDA_TRY(cuda_ncc_loss_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), &s,
                                call->node->attributes.regress.weight, call->workspace));
    return COVER_OK;
}

static cover_status run_smooth_loss(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_smooth_loss(call->stream, out(call, 0), in(call, 0), images(call, x), &x->grid, x->channels, call->workspace));
    return COVER_OK;
}
static cover_status run_smooth_loss_grad(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_smooth_loss_grad(call->stream, out(call, 0), in(call, 0), images(call, x), &x->grid, x->channels,
                                   call->node->attributes.regress.weight));
    return COVER_OK;
}
static cover_status run_inside_mask(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(
        cuda_inside_mask(call->stream, out(call, 0), in(call, 0), images(call, x), &x->grid, call->node->attributes.coordinates));
    return COVER_OK;
}

static cover_status run_affine_field(const struct call *call) {
    CUDA_TRY(
        cuda_affine_field(call->stream, out(call, 0), in(call, 0), images(call, input(call, 0)), &call->node->attributes.grid));
    return COVER_OK;
}
static cover_status run_affine_field_grad(const struct call *call) {
    const struct tensor *dfield = input(call, 0);
    CUDA_TRY(cuda_affine_field_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), images(call, dfield), &dfield->grid,
                                    call->workspace));
    return COVER_OK;
}

static cover_status run_cosine_mean_loss(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_cosine_mean_loss(call->stream, out(call, 0), in(call, 0), in(call, 1), x->element, in(call, 2), images(call, x),
                                   grid_pixels(&x->grid), x->channels, call->workspace));
    return COVER_OK;
}
static cover_status run_cosine_mean_loss_grad(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_cosine_mean_loss_grad(call->stream, out(call, 0), out(call, 1), in(call, 0), in(call, 1), x->element, in(call, 2),
                                        images(call, x), grid_pixels(&x->grid), x->channels, call->node->attributes.regress.weight,
                                        call->workspace));
    return COVER_OK;
}

static cover_status run_region_blocks(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_region_blocks(call->stream, out(call, 0), in(call, 0), images(call, x), &x->grid, x->channels));
    return COVER_OK;
}
static cover_status run_region_blocks_grad(const struct call *call) {
    const struct tensor *dx = output(call, 0);
    CUDA_TRY(cuda_region_blocks_grad(call->stream, out(call, 0), in(call, 0), images(call, dx), &dx->grid, dx->channels));
    return COVER_OK;
}
static int64_t regions_in(const struct tensor *rows) { return grid_pixels(&rows->grid) / (1 + REGION_NEGATIVES); }
static cover_status run_local_nce(const struct call *call) {
    const struct tensor *a = input(call, 0);
    CUDA_TRY(cuda_local_nce(call->stream, out(call, 0), in(call, 0), in(call, 1), images(call, a), regions_in(a), a->channels,
                            call->node->attributes.regress.temperature));
    return COVER_OK;
}
static cover_status run_local_nce_grad(const struct call *call) {
    const struct tensor *a = input(call, 0);
    CUDA_TRY(cuda_local_nce_grad(call->stream, out(call, 0), out(call, 1), in(call, 0), in(call, 1), images(call, a), regions_in(a),
                                 a->channels, call->node->attributes.regress.temperature, call->node->attributes.regress.weight));
    return COVER_OK;
}

const struct op_cuda cuda_op_ncc_loss = {.run = run_ncc_loss, .workspace = ncc_workspace};
const struct op_cuda cuda_op_ncc_loss_grad = {.run = run_ncc_loss_grad, .workspace = ncc_workspace};
const struct op_cuda cuda_op_smooth_loss = {.run = run_smooth_loss, .workspace = loss_workspace};
const struct op_cuda cuda_op_smooth_loss_grad = {.run = run_smooth_loss_grad};
const struct op_cuda cuda_op_inside_mask = {.run = run_inside_mask};
const struct op_cuda cuda_op_affine_field = {.run = run_affine_field};
const struct op_cuda cuda_op_affine_field_grad = {.run = run_affine_field_grad, .workspace = affine_workspace};
const struct op_cuda cuda_op_cosine_mean_loss = {.run = run_cosine_mean_loss, .workspace = loss_workspace};
const struct op_cuda cuda_op_cosine_mean_loss_grad = {.run = run_cosine_mean_loss_grad, .workspace = loss_workspace};
const struct op_cuda cuda_op_region_blocks = {.run = run_region_blocks};
const struct op_cuda cuda_op_region_blocks_grad = {.run = run_region_blocks_grad};
const struct op_cuda cuda_op_local_nce = {.run = run_local_nce};
const struct op_cuda cuda_op_local_nce_grad = {.run = run_local_nce_grad};
