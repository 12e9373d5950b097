/* One row an op of core/graph/ops.def: the kernels or the convolution that it is, and the workspace that it needs.  Called by
 * executor.c and training.c through cuda_ops. */
#include "program.h"

/* ---- where things are */

static const struct tensor *tensor_at(const struct call *call, int tensor) { return &call->graph->tensors[tensor]; }
static const struct tensor *input(const struct call *call, int i) { return tensor_at(call, call->node->input[i]); }
static const struct tensor *output(const struct call *call, int i) { return tensor_at(call, call->node->output[i]); }
static void *in(const struct call *call, int i) { return program_address(call->program, call->lane, call->node->input[i]); }
static void *out(const struct call *call, int i) { return program_address(call->program, call->lane, call->node->output[i]); }

static int images(const struct call *call, const struct tensor *tensor) { return tensor->images * call->program->samples; }

/* How input i is to be normalised: `norm` filled in, or NULL for as it is. */
static const struct cuda_norm *norm_of(const struct call *call, int i, struct cuda_norm *norm) {
    const int index = call->node->input[i];
    if (index == ABSENT || tensor_at(call, index)->storage != STORAGE_NORMALISED) return NULL;
    const struct tensor *tensor = tensor_at(call, index);
    *norm = (struct cuda_norm){program_address(call->program, call->lane, tensor->coefficients), tensor->slope};
    return norm;
}

/* ---- convolutions */

struct sources { /* of x, with the second at input `second` */
    struct cuda_conv_source x[CUDA_CONV_SOURCES];
    struct cuda_norm norm[CUDA_CONV_SOURCES];
};
static void find_sources(struct sources *sources, const struct call *call, int second) {
    const int inputs[CUDA_CONV_SOURCES] = {0, second};
    for (int i = 0; i < CUDA_CONV_SOURCES; i++)
        sources->x[i] = (struct cuda_conv_source){in(call, inputs[i]), norm_of(call, inputs[i], &sources->norm[i])};
}

static size_t conv_workspace(const struct program *program, const struct node *node, int index) {
    (void)node;
    return cuda_conv_workspace_bytes(program->convs[program->conv_of_node[index]].conv);
}
static cover_status run_conv(const struct call *call) { /* its sums stay unwritten: norm_act reads y again */
    struct sources sources;
    find_sources(&sources, call, 3);
    return cuda_conv_forward(call->conv, call->stream, out(call, 0), sources.x, call->packed, in(call, 2), call->workspace);
}
static cover_status run_conv_grad_data(const struct call *call) {
    void *const dx[CUDA_CONV_SOURCES] = {out(call, 0), out(call, 1)};
    return cuda_conv_grad_data(call->conv, call->stream, dx, in(call, 0), call->packed, call->workspace);
}
static cover_status run_conv_grad_weights(const struct call *call) {
    struct sources sources;
    find_sources(&sources, call, 2);
    return cuda_conv_grad_weights(call->conv, call->stream, out(call, 0), out(call, 1), sources.x, in(call, 1), call->workspace);
}

/* ---- norm_act */

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

/* ---- moving pixels */

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

/* ---- losses and sums */

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
                                   images(call, x), grid_pixels(&x->grid), x->channels));
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

const struct op_cuda cuda_ops[OP_COUNT] = {
    [OP_conv] = {run_conv, conv_workspace},
    [OP_conv_grad_data] = {run_conv_grad_data, conv_workspace},
    [OP_conv_grad_weights] = {run_conv_grad_weights, conv_workspace},
    [OP_norm_act] = {run_norm_act, norm_act_workspace},
    [OP_norm_apply] = {run_copy, NULL},
    [OP_norm_grad] = {run_norm_grad, norm_grad_workspace},
    [OP_max_pool2] = {run_max_pool2, NULL},
    [OP_max_pool2_grad] = {run_max_pool2_grad, NULL},
    [OP_upsample] = {run_upsample, NULL},
    [OP_upsample_grad] = {run_upsample_grad, NULL},
    [OP_resize_corners] = {run_resize_corners, NULL},
    [OP_resize_corners_grad] = {run_resize_corners_grad, NULL},
    [OP_warp] = {run_warp, NULL},
    [OP_warp_grad] = {run_warp_grad, warp_grad_workspace},
    [OP_mov] = {run_mov, NULL},
    [OP_mov_grad] = {run_mov_grad, mov_grad_workspace},
    [OP_vector_loss] = {run_vector_loss, loss_workspace},
    [OP_vector_loss_grad] = {run_vector_loss_grad, NULL},
    [OP_cosine_loss] = {run_cosine_loss, loss_workspace},
    [OP_cosine_loss_grad] = {run_cosine_loss_grad, NULL},
    [OP_softmax_loss] = {run_softmax_loss, task_loss_workspace},
    [OP_softmax_loss_grad] = {run_softmax_loss_grad, NULL},
    [OP_sigmoid_loss] = {run_sigmoid_loss, task_loss_workspace},
    [OP_sigmoid_loss_grad] = {run_sigmoid_loss_grad, NULL},
    [OP_global_pool] = {run_global_pool, global_pool_workspace},
    [OP_global_pool_grad] = {run_global_pool_grad, NULL},
    [OP_add] = {run_add, NULL},
    [OP_widen] = {run_copy, NULL},
    [OP_widen_grad] = {run_copy, NULL},
};
