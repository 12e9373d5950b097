/* One row an op of core/graph/ops.def: how an image of it runs on the kernels of this machine, and the workspace that it needs.
 * Called by executor.c through cpu_ops. */
#include "program.h"

#include <string.h>

enum { NORM_EPSILON_DENOMINATOR = 100000 }; /* epsilon 1e-5 (method: GroupNorm) */

/* ---- where things are */

static const struct tensor *tensor_at(const struct call *call, int tensor) { return &call->graph->tensors[tensor]; }
static const struct tensor *input(const struct call *call, int i) { return tensor_at(call, call->node->input[i]); }

void *call_address(const struct call *call, int index, int image) {
    if (index == ABSENT) return NULL;
    const struct tensor *tensor = tensor_at(call, index);
    size_t image_bytes = tensor_bytes(tensor) / (size_t)tensor->images;
    int64_t skip = 0;
    const struct tensor *root = tensor;
    char *base = NULL;
    switch (tensor->storage) {
    case STORAGE_ARENA:
    case STORAGE_RESULT: base = (char *)call->run->arena + call->program->plan.offset[index]; break;
    case STORAGE_INPUT:
        for (; root->parent != ABSENT; root = tensor_at(call, root->parent)) skip += root->first_image;
        base = (char *)call->run->input[root->index];
        break;
    case STORAGE_PARAMETER:
        return (char *)(call->run->parameters + call->graph->parameters->rows[tensor->index].offset);
    case STORAGE_PARAMETER_GRAD:
        return (char *)(call->run->gradient + call->graph->parameters->rows[tensor->index].offset);
    }
    return base + (size_t)(skip + image) * image_bytes;
}
static void *in(const struct call *call, int i, int image) { return call_address(call, call->node->input[i], image); }
static void *out(const struct call *call, int i, int image) { return call_address(call, call->node->output[i], image); }

/* ---- convolutions */

static cover_status run_conv(const struct call *call, int image) {
    const struct conv_source x[CONV_SOURCES] = {{.data = in(call, 0, image)}};
    return conv_forward(call->conv, call->slab, out(call, 0, image), NULL, x, call->packed, in(call, 2, 0), call->scratch);
}
static cover_status run_conv_grad_data(const struct call *call, int image) {
    void *const dx[CONV_SOURCES] = {out(call, 0, image)};
    return conv_grad_data(call->conv, call->slab, dx, in(call, 0, image), call->packed, call->scratch);
}
static int slabs_of_conv(const struct program *program, const struct node *node, int index) {
    (void)node;
    return conv_slabs(program->convs[program->conv_of_node[index]].conv);
}
static size_t conv_unit_bytes(const struct program *program, const struct node *node, int index) {
    (void)node;
    return conv_scratch_bytes(program->convs[program->conv_of_node[index]].conv);
}

/* Each image writes its own dw, db; the sum goes by image, so it does not depend on who computed what. */
static size_t weights_floats(const struct graph *graph, const struct node *node) {
    int64_t weights = graph->tensors[node->output[0]].channels;
    int64_t bias = node->output[1] == ABSENT ? 0 : graph->tensors[node->output[1]].channels;
    return (size_t)((weights + 15) / 16 * 16 + (bias + 15) / 16 * 16);
}
static size_t conv_grad_weights_shared(const struct program *program, const struct node *node) {
    int images = program->graph->tensors[node->input[0]].images;
    return (size_t)(images - 1) * weights_floats(program->graph, node) * sizeof(float);
}
static cover_status run_conv_grad_weights(const struct call *call, int image) {
    float *dw = out(call, 0, 0), *db = out(call, 1, 0);
    if (image > 0) {
        dw = (float *)call->shared + (size_t)(image - 1) * weights_floats(call->graph, call->node);
        if (db) db = dw + (tensor_at(call, call->node->output[0])->channels + 15) / 16 * 16;
    }
    const struct conv_source x[CONV_SOURCES] = {{.data = in(call, 0, image)}};
    return conv_grad_weights(call->conv, dw, db, x, in(call, 1, image), call->scratch, false);
}
static void finish_conv_grad_weights(const struct call *call) {
    int64_t weights = tensor_at(call, call->node->output[0])->channels;
    for (int image = 1; image < input(call, 0)->images; image++) {
        const float *part = (float *)call->shared + (size_t)(image - 1) * weights_floats(call->graph, call->node);
        float *dw = out(call, 0, 0), *db = out(call, 1, 0);
        call->kernels->add(dw, dw, part, weights);
        if (db) call->kernels->add(db, db, part + (weights + 15) / 16 * 16, tensor_at(call, call->node->output[1])->channels);
    }
}

/* ---- norm_act */

static struct norm_shape norm_shape(const struct tensor *x, const struct attributes *attributes) {
    return (struct norm_shape){.pixels = grid_pixels(&x->grid), .channels = x->channels, .groups = attributes->groups,
                               .slope = attributes->slope, .epsilon = 1.0f / NORM_EPSILON_DENOMINATOR};
}
/* The coefficients of an image, from inputs first ..: x gamma beta bias, into 2 * channels floats. */
static struct norm_load norm_load(const struct call *call, int first, const float *statistics, float *into) {
    const struct norm_shape s = norm_shape(input(call, first), &call->node->attributes);
    norm_coefficients(into, into + s.channels, statistics, statistics + s.groups, in(call, first + 1, 0),
                      in(call, first + 2, 0), in(call, first + 3, 0), &s);
    return (struct norm_load){.scale = into, .offset = into + s.channels, .slope = s.slope};
}
static size_t norm_unit(const struct program *program, const struct node *node, int index) {
    (void)index;
    const int x = node->op == OP_norm_grad;
    return 2 * (size_t)program->graph->tensors[node->input[x]].channels * sizeof(float);
}
static cover_status norm_apply(const struct call *call, int image, const struct norm_load *norm) {
    const struct tensor *x = input(call, 0);
    call->kernels->norm_apply(out(call, 0, image), in(call, 0, image), norm, grid_pixels(&x->grid), x->channels, call->slab,
                              call->slabs);
    return COVER_OK;
}

/* Sums of blocks first, shared by the team; then statistics and coefficients; then the image, again shared. */
static int norm_act_blocks(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct norm_shape s = norm_shape(&program->graph->tensors[node->input[0]], &node->attributes);
    return norm_blocks(&s);
}
static size_t norm_act_image(const struct norm_shape *s) {
    return 2 * ((size_t)norm_blocks(s) * (size_t)s->groups * sizeof(double) + (size_t)s->channels * sizeof(float));
}
static size_t norm_act_shared(const struct program *program, const struct node *node) {
    const struct tensor *x = &program->graph->tensors[node->input[0]];
    const struct norm_shape s = norm_shape(x, &node->attributes);
    return (size_t)x->images * norm_act_image(&s);
}
static double *norm_act_sums(const struct call *call, const struct norm_shape *s, int image) {
    return (double *)(call->shared + (size_t)image * norm_act_image(s));
}
static float *norm_act_coefficients(const struct call *call, const struct norm_shape *s, int image) {
    return (float *)(norm_act_sums(call, s, image) + 2 * norm_blocks(s) * s->groups);
}
static cover_status run_norm_act(const struct call *call, int image) {
    const struct norm_shape s = norm_shape(input(call, 0), &call->node->attributes);
    double *sums = norm_act_sums(call, &s, image) + 2 * call->slab * s.groups;
    call->kernels->norm_sums(sums, in(call, 0, image), in(call, 3, 0), &s, call->slab, call->slabs);
    return COVER_OK;
}
static void finish_norm_act(const struct call *call) {
    const struct norm_shape s = norm_shape(input(call, 0), &call->node->attributes);
    for (int image = 0; image < input(call, 0)->images; image++) {
        float *statistics = out(call, 1, image);
        norm_statistics(statistics, statistics + s.groups, norm_act_sums(call, &s, image), norm_blocks(&s), &s);
        norm_load(call, 0, statistics, norm_act_coefficients(call, &s, image));
    }
}
static cover_status again_norm_act(const struct call *call, int image) {
    const struct norm_shape s = norm_shape(input(call, 0), &call->node->attributes);
    const float *coefficients = norm_act_coefficients(call, &s, image);
    return norm_apply(call, image, &(struct norm_load){coefficients, coefficients + s.channels, s.slope});
}
static cover_status run_norm_apply(const struct call *call, int image) {
    const struct norm_load norm = norm_load(call, 0, in(call, 4, image), (float *)call->scratch);
    return norm_apply(call, image, &norm);
}

/* Sums of blocks, as forward; then the gradients of the parameters and the coefficients of each image; then dx. */
struct norm_grad_parts {
    double *sums; /* (blocks, 3, channels) */
    float *dgamma, *dbeta, *dbias, *forward, *backward;
};
static int norm_grad_blocks(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct norm_shape s = norm_shape(&program->graph->tensors[node->input[1]], &node->attributes);
    return norm_blocks(&s);
}
static size_t norm_grad_image(const struct norm_shape *s) {
    return (size_t)s->channels * (3 * (size_t)norm_blocks(s) * sizeof(double) + 8 * sizeof(float));
}
static size_t norm_grad_shared(const struct program *program, const struct node *node) {
    const struct tensor *x = &program->graph->tensors[node->input[1]];
    const struct norm_shape s = norm_shape(x, &node->attributes);
    return (size_t)x->images * norm_grad_image(&s);
}
static struct norm_grad_parts norm_grad_parts(const struct call *call, const struct norm_shape *s, int image) {
    double *sums = (double *)(call->shared + (size_t)image * norm_grad_image(s));
    float *floats = (float *)(sums + 3 * norm_blocks(s) * s->channels);
    return (struct norm_grad_parts){.sums = sums, .dgamma = floats, .dbeta = floats + s->channels,
                                    .dbias = floats + 2 * s->channels, .forward = floats + 3 * s->channels,
                                    .backward = floats + 5 * s->channels};
}
static cover_status run_norm_grad(const struct call *call, int image) {
    const struct norm_shape s = norm_shape(input(call, 1), &call->node->attributes);
    const struct norm_load norm = norm_load(call, 1, in(call, 5, image), (float *)call->scratch);
    double *sums = norm_grad_parts(call, &s, image).sums + 3 * call->slab * s.channels;
    call->kernels->norm_grad_sums(sums, in(call, 0, image), in(call, 1, image), &norm, s.pixels, s.channels, call->slab,
                                  call->slabs);
    return COVER_OK;
}
static void finish_norm_grad(const struct call *call) {
    const struct norm_shape s = norm_shape(input(call, 1), &call->node->attributes);
    for (int image = 0; image < input(call, 1)->images; image++) {
        const struct norm_grad_parts parts = norm_grad_parts(call, &s, image);
        const float *statistics = in(call, 5, image), *const found[] = {parts.dgamma, parts.dbeta, parts.dbias};
        norm_load(call, 1, statistics, parts.forward);
        norm_grad_finish(parts.dgamma, parts.dbeta, parts.dbias, parts.backward, parts.sums, norm_blocks(&s), statistics,
                         statistics + s.groups, in(call, 2, 0), in(call, 4, 0), &s);
        for (int which = 0; which < 3; which++) {
            float *sum = out(call, 1 + which, 0);
            if (!sum) continue;
            if (image == 0) memcpy(sum, found[which], (size_t)s.channels * sizeof *sum);
            else call->kernels->add(sum, sum, found[which], s.channels);
        }
    }
}
static cover_status again_norm_grad(const struct call *call, int image) {
    const struct norm_shape s = norm_shape(input(call, 1), &call->node->attributes);
    const struct norm_grad_parts parts = norm_grad_parts(call, &s, image);
    const struct norm_load norm = {parts.forward, parts.forward + s.channels, s.slope};
    call->kernels->norm_grad_apply(out(call, 0, image), in(call, 0, image), in(call, 1, image), &norm, parts.backward,
                                   s.pixels, s.channels, call->slab, call->slabs);
    return COVER_OK;
}

/* ---- moving pixels */

static cover_status run_max_pool2(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->max_pool2(out(call, 0, image), out(call, 1, image), in(call, 0, image), NULL, &x->grid, x->channels,
                             call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_max_pool2_grad(const struct call *call, int image) {
    const struct tensor *dx = tensor_at(call, call->node->output[0]);
    call->kernels->max_pool2_grad(out(call, 0, image), NULL, in(call, 0, image), in(call, 1, image), &dx->grid, dx->channels,
                                  call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_upsample_concat(const struct call *call, int image) {
    const struct tensor *skip = input(call, 0), *deep = input(call, 1);
    call->kernels->upsample_concat(out(call, 0, image), in(call, 0, image), in(call, 1, image), &deep->grid, skip->channels,
                                   deep->channels, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_upsample_concat_grad(const struct call *call, int image) {
    const struct tensor *skip = tensor_at(call, call->node->output[0]), *deep = tensor_at(call, call->node->output[1]);
    call->kernels->upsample_concat_grad(out(call, 0, image), out(call, 1, image), in(call, 0, image), &deep->grid,
                                        skip->channels, deep->channels, call->slab, call->slabs);
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
    call->kernels->warp_grad(out(call, 0, image), out(call, 1, image), in(call, 0, image), in(call, 1, image),
                             in(call, 2, image), &dy->grid, dy->channels, call->node->attributes.coordinates, call->slab,
                             call->slabs, dy->element == ELEMENT_BF16 ? sums : NULL);
    return COVER_OK;
}

/* ---- mixture of vectors */

static struct mov_shape mov_shape(const struct tensor *query, const struct attributes *attributes) {
    return (struct mov_shape){.grid = query->grid, .channels = query->channels, .heads = attributes->heads,
                              .radius = attributes->radius};
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
    call->kernels->mov_grad(out(call, 0, image), out(call, 1, image), in(call, 0, image), in(call, 1, image),
                            in(call, 2, image), &s, call->slab, call->slabs, call->scratch);
    return COVER_OK;
}

/* ---- losses and sums */

static int slabs_of_loss(const struct program *program, const struct node *node, int index) {
    (void)index;
    return loss_blocks(grid_pixels(&program->graph->tensors[node->input[0]].grid));
}
static size_t loss_shared(const struct program *program, const struct node *node) {
    const int images = program->graph->tensors[node->input[0]].images;
    return (size_t)images * (size_t)slabs_of_loss(program, node, 0) * sizeof(double);
}
static double *loss_parts(const struct call *call, int image) { return (double *)call->shared + image * call->slabs; }
static cover_status run_vector_loss(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    loss_parts(call, image)[call->slab] =
        call->kernels->vector_loss(in(call, 0, image), in(call, 1, image), in(call, 2, image), grid_pixels(&x->grid),
                                   x->grid.ndim, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_cosine_loss(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    loss_parts(call, image)[call->slab] =
        -call->kernels->cosine_sum(in(call, 0, image), in(call, 1, image), in(call, 2, image), grid_pixels(&x->grid),
                                   x->channels, call->slab, call->slabs);
    return COVER_OK;
}
static void finish_loss(const struct call *call) {
    for (int image = 0; image < input(call, 0)->images; image++) {
        double sum = 0;
        for (int block = 0; block < call->slabs; block++) sum += loss_parts(call, image)[block];
        *(double *)out(call, 0, image) = sum;
    }
}
static cover_status run_vector_loss_grad(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->vector_loss_grad(out(call, 0, image), in(call, 0, image), in(call, 1, image), in(call, 2, image),
                                    grid_pixels(&x->grid), x->grid.ndim, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_cosine_loss_grad(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->cosine_sum_grad(out(call, 0, image), out(call, 1, image), in(call, 0, image), in(call, 1, image),
                                   in(call, 2, image), grid_pixels(&x->grid), x->channels, call->slab, call->slabs);
    return COVER_OK;
}
static struct softmax_loss softmax_loss(const struct tensor *logits, const struct attributes *attributes) {
    return (struct softmax_loss){.pixels = grid_pixels(&logits->grid), .classes = logits->channels,
                                 .ce_weight = attributes->ce_weight, .dice_weight = attributes->dice_weight,
                                 .smooth = attributes->smooth};
}
static cover_status run_softmax_loss(const struct call *call, int image) {
    struct softmax_loss s = softmax_loss(input(call, 0), &call->node->attributes);
    call->kernels->softmax_loss(out(call, 0, image), out(call, 1, image), in(call, 0, image), in(call, 1, image),
                                in(call, 2, 0), &s);
    return COVER_OK;
}
static cover_status run_softmax_loss_grad(const struct call *call, int image) {
    struct softmax_loss s = softmax_loss(input(call, 0), &call->node->attributes);
    call->kernels->softmax_loss_grad(out(call, 0, image), in(call, 0, image), in(call, 1, image), in(call, 2, 0),
                                     in(call, 3, image), &s);
    return COVER_OK;
}
static cover_status run_sigmoid_loss(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    double *loss = out(call, 0, image);
    loss[0] = call->kernels->sigmoid_loss(out(call, 1, image), in(call, 0, image), in(call, 1, image), in(call, 2, 0),
                                          grid_pixels(&x->grid), x->channels);
    loss[1] = 0;
    return COVER_OK;
}
static cover_status run_sigmoid_loss_grad(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->sigmoid_loss_grad(out(call, 0, image), in(call, 0, image), in(call, 1, image), in(call, 2, 0),
                                     in(call, 3, image), grid_pixels(&x->grid), x->channels);
    return COVER_OK;
}
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

const struct op_cpu cpu_ops[OP_COUNT] = {
    [OP_conv] = {.slabs = slabs_of_conv, .run = run_conv, .unit_bytes = conv_unit_bytes},
    [OP_conv_grad_data] = {.slabs = slabs_of_conv, .run = run_conv_grad_data, .unit_bytes = conv_unit_bytes},
    [OP_conv_grad_weights] = {.run = run_conv_grad_weights, .finish = finish_conv_grad_weights,
                              .unit_bytes = conv_unit_bytes, .shared_bytes = conv_grad_weights_shared},
    [OP_norm_act] = {.slabs = norm_act_blocks, .run = run_norm_act, .finish = finish_norm_act, .again = again_norm_act,
                     .shared_bytes = norm_act_shared},
    [OP_norm_apply] = {.any_slabs = true, .run = run_norm_apply, .unit_bytes = norm_unit},
    [OP_norm_grad] = {.slabs = norm_grad_blocks, .run = run_norm_grad, .finish = finish_norm_grad, .again = again_norm_grad,
                      .unit_bytes = norm_unit, .shared_bytes = norm_grad_shared},
    [OP_max_pool2] = {.any_slabs = true, .run = run_max_pool2},
    [OP_max_pool2_grad] = {.any_slabs = true, .run = run_max_pool2_grad},
    [OP_upsample_concat] = {.any_slabs = true, .run = run_upsample_concat},
    [OP_upsample_concat_grad] = {.any_slabs = true, .run = run_upsample_concat_grad},
    [OP_resize_corners] = {.any_slabs = true, .run = run_resize_corners},
    [OP_resize_corners_grad] = {.any_slabs = true, .run = run_resize_corners_grad},
    [OP_warp] = {.any_slabs = true, .run = run_warp},
    [OP_warp_grad] = {.any_slabs = true, .run = run_warp_grad, .shared_bytes = warp_grad_shared},
    [OP_mov] = {.any_slabs = true, .run = run_mov, .unit_bytes = mov_unit},
    [OP_mov_grad] = {.any_slabs = true, .run = run_mov_grad, .unit_bytes = mov_grad_unit},
    [OP_vector_loss] = {.slabs = slabs_of_loss, .run = run_vector_loss, .finish = finish_loss, .shared_bytes = loss_shared},
    [OP_vector_loss_grad] = {.any_slabs = true, .run = run_vector_loss_grad},
    [OP_cosine_loss] = {.slabs = slabs_of_loss, .run = run_cosine_loss, .finish = finish_loss, .shared_bytes = loss_shared},
    [OP_cosine_loss_grad] = {.any_slabs = true, .run = run_cosine_loss_grad},
    [OP_softmax_loss] = {.run = run_softmax_loss},
    [OP_softmax_loss_grad] = {.run = run_softmax_loss_grad},
    [OP_sigmoid_loss] = {.run = run_sigmoid_loss},
    [OP_sigmoid_loss_grad] = {.run = run_sigmoid_loss_grad},
    [OP_global_pool] = {.run = run_global_pool},
    [OP_global_pool_grad] = {.run = run_global_pool_grad},
    [OP_add] = {.run = run_add},
};
