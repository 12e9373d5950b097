/* What moves, matches, pools and adds pixels, as ops of the CPU.  Rows of program.h's table. */
#include "op_call.h"

static cover_status run_max_pool2(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    struct norm_load norm;
    call->kernels->max_pool2(out(call, 0, image), out(call, 1, image), in(call, 0, image), norm_of(call, 0, image, &norm), &x->grid,
                             x->channels, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_max_pool2_grad(const struct call *call, int image) {
    const struct tensor *dx = tensor_at(call, call->node->output[0]);
    call->kernels->max_pool2_grad(out(call, 0, image), in(call, 0, image), in(call, 1, image), in(call, 2, image), &dx->grid,
                                  dx->channels, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_upsample(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    struct norm_load norm;
    call->kernels->upsample(out(call, 0, image), in(call, 0, image), norm_of(call, 0, image, &norm), &x->grid, x->channels,
                            call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_upsample_grad(const struct call *call, int image) {
    const struct tensor *dx = tensor_at(call, call->node->output[0]);
    call->kernels->upsample_grad(out(call, 0, image), in(call, 0, image), &dx->grid, dx->channels, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_resize_corners(const struct call *call, int image) {
    const struct tensor *x = input(call, 0), *y = tensor_at(call, call->node->output[0]);
    call->kernels->resize_corners(out(call, 0, image), in(call, 0, image), &x->grid, &y->grid, x->channels,
                                  call->node->attributes.scale, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_resize_corners_grad(const struct call *call, int image) {
    const struct tensor *dy = input(call, 0), *dx = tensor_at(call, call->node->output[0]);
    call->kernels->resize_corners_grad(out(call, 0, image), in(call, 0, image), &dx->grid, &dy->grid, dx->channels,
                                       call->node->attributes.scale, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_warp(const struct call *call, int image) {
    const struct tensor *source = input(call, 0);
    call->kernels->warp(out(call, 0, image), in(call, 0, image), in(call, 1, image), &source->grid, source->channels,
                        call->node->attributes.coordinates, call->slab, call->slabs);
    return COVER_OK;
}
static size_t warp_grad_shared(const struct program *program, const struct node *node) {
    const struct tensor *dy = &program->graph->tensors[node->input[0]];
    if (node->output[0] == ABSENT || dy->element != ELEMENT_BF16) return 0;
    return (size_t)(grid_pixels(&dy->grid) * dy->channels * dy->images) * sizeof(float);
}
static cover_status run_warp_grad(const struct call *call, int image) {
    const struct tensor *dy = input(call, 0);
    float *sums = (float *)call->shared + grid_pixels(&dy->grid) * dy->channels * image;
    call->kernels->warp_grad(out(call, 0, image), out(call, 1, image), in(call, 0, image), in(call, 1, image), in(call, 2, image),
                             &dy->grid, dy->channels, call->node->attributes.coordinates, call->slab, call->slabs,
                             dy->element == ELEMENT_BF16 ? sums : NULL);
    return COVER_OK;
}

/* ---- mixture of vectors */

static struct mov_shape mov_shape(const struct tensor *query, const struct attributes *attributes) {
    return (struct mov_shape){
        .grid = query->grid, .channels = query->channels, .heads = attributes->mov.heads, .radius = attributes->mov.radius};
}
static size_t mov_unit(const struct program *program, const struct node *node, int index) {
    (void)index;
    struct mov_shape s = mov_shape(&program->graph->tensors[node->input[0]], &node->attributes);
    return mov_workspace(&s, false);
}
static size_t mov_grad_unit(const struct program *program, const struct node *node, int index) {
    (void)index;
    struct mov_shape s = mov_shape(&program->graph->tensors[node->input[1]], &node->attributes);
    return mov_workspace(&s, true);
}
static cover_status run_mov(const struct call *call, int image) {
    struct mov_shape s = mov_shape(input(call, 0), &call->node->attributes);
    call->kernels->mov(out(call, 0, image), in(call, 0, image), in(call, 1, image), &s, call->slab, call->slabs, call->scratch);
    return COVER_OK;
}
static cover_status run_mov_grad(const struct call *call, int image) {
    struct mov_shape s = mov_shape(input(call, 1), &call->node->attributes);
    call->kernels->mov_grad(out(call, 0, image), out(call, 1, image), in(call, 0, image), in(call, 1, image), in(call, 2, image),
                            &s, call->slab, call->slabs, call->scratch);
    return COVER_OK;
}

/* ---- sums */

static cover_status run_global_pool(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->global_pool(out(call, 0, image), in(call, 0, image), grid_pixels(&x->grid), x->channels);
    return COVER_OK;
}
static cover_status run_global_pool_grad(const struct call *call, int image) {
    const struct tensor *dx = tensor_at(call, call->node->output[0]);
    call->kernels->global_pool_grad(out(call, 0, image), in(call, 0, image), grid_pixels(&dx->grid), dx->channels);
    return COVER_OK;
}
static cover_status run_add(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->add(out(call, 0, image), in(call, 0, image), in(call, 1, image), tensor_elements(x) / x->images);
    return COVER_OK;
}

const struct op_cpu cpu_op_max_pool2 = {.any_slabs = true, .run = run_max_pool2};
const struct op_cpu cpu_op_max_pool2_grad = {.any_slabs = true, .run = run_max_pool2_grad};
const struct op_cpu cpu_op_upsample = {.any_slabs = true, .run = run_upsample};
const struct op_cpu cpu_op_upsample_grad = {.any_slabs = true, .run = run_upsample_grad};
const struct op_cpu cpu_op_resize_corners = {.any_slabs = true, .run = run_resize_corners};
const struct op_cpu cpu_op_resize_corners_grad = {.any_slabs = true, .run = run_resize_corners_grad};
const struct op_cpu cpu_op_warp = {.any_slabs = true, .run = run_warp};
const struct op_cpu cpu_op_warp_grad = {.any_slabs = true, .run = run_warp_grad, .shared_bytes = warp_grad_shared};
const struct op_cpu cpu_op_mov = {.any_slabs = true, .run = run_mov, .unit_bytes = mov_unit};
const struct op_cpu cpu_op_mov_grad = {.any_slabs = true, .run = run_mov_grad, .unit_bytes = mov_grad_unit};
const struct op_cpu cpu_op_global_pool = {.run = run_global_pool};
const struct op_cpu cpu_op_global_pool_grad = {.run = run_global_pool_grad};
const struct op_cpu cpu_op_add = {.run = run_add};
