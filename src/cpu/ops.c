/* One row an op of core/graph/ops.def: how an image of it runs on the kernels of this machine, and the workspace that it needs.
 * Called by executor.c through cpu_ops. */
#include "program.h"

#include <string.h>

/* ---- where things are */

static const struct tensor *tensor_at(const struct call *call, int tensor) { return &call->graph->tensors[tensor]; }
static const struct tensor *input(const struct call *call, int i) { return tensor_at(call, call->node->input[i]); }

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
static void *in(const struct call *call, int i, int image) { return call_address(call, call->node->input[i], image); }
static void *out(const struct call *call, int i, int image) { return call_address(call, call->node->output[i], image); }

/* How input i is to be normalised: `norm` filled in, or NULL for as it is. */
static const struct norm_load *norm_of(const struct call *call, int i, int image, struct norm_load *norm) {
    const int index = call->node->input[i];
    if (index == ABSENT || tensor_at(call, index)->storage != STORAGE_NORMALISED) return NULL;
    const struct tensor *tensor = tensor_at(call, index);
    const float *coefficients = call_address(call, tensor->coefficients, image);
    *norm = (struct norm_load){coefficients, coefficients + tensor->channels, tensor->slope};
    return norm;
}

/* ---- convolutions */

struct sources { /* of x, with the second at input `second` */
    struct conv_source x[CONV_SOURCES];
    struct norm_load norm[CONV_SOURCES];
};
static void find_sources(struct sources *sources, const struct call *call, int second, int image) {
    const int inputs[CONV_SOURCES] = {0, second};
    for (int i = 0; i < CONV_SOURCES; i++)
        sources->x[i] = (struct conv_source){in(call, inputs[i], image), norm_of(call, inputs[i], image, &sources->norm[i])};
}

static cover_status run_conv(const struct call *call, int image) {
    struct sources sources;
    find_sources(&sources, call, 3, image);
    double *sums = out(call, 1, image);
    if (sums) sums += (int64_t)call->slab * 2 * tensor_at(call, call->node->output[0])->channels;
    return conv_forward(call->conv, call->slab, out(call, 0, image), sums, sources.x, call->packed, in(call, 2, 0), call->scratch);
}
static cover_status run_conv_grad_data(const struct call *call, int image) {
    void *const dx[CONV_SOURCES] = {out(call, 0, image), out(call, 1, image)};
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
    struct sources sources;
    find_sources(&sources, call, 2, image);
    return conv_grad_weights(call->conv, dw, db, sources.x, in(call, 1, image), call->scratch, false);
}
static void finish_conv_grad_weights(const struct call *call) {
    const struct kernels *floats = call->program->kernels[ELEMENT_F32];
    int64_t weights = tensor_at(call, call->node->output[0])->channels;
    for (int image = 1; image < input(call, 0)->images; image++) {
        const float *part = (float *)call->shared + (size_t)(image - 1) * weights_floats(call->graph, call->node);
        float *dw = out(call, 0, 0), *db = out(call, 1, 0);
        floats->add(dw, dw, part, weights);
        if (db) floats->add(db, db, part + (weights + 15) / 16 * 16, tensor_at(call, call->node->output[1])->channels);
    }
}

/* ---- norm_act */

static struct norm_shape norm_shape(const struct tensor *x, const struct attributes *attributes) {
    return (struct norm_shape){.pixels = grid_pixels(&x->grid),
                               .channels = x->channels,
                               .groups = attributes->norm.groups,
                               .slope = attributes->norm.slope,
                               .epsilon = attributes->norm.epsilon};
}
/* Sums of blocks first, shared by the team, unless the convolution gave them; then statistics and coefficients. */
_Static_assert((int)CONV_SLABS_MAX <= (int)CONV_SUMS_MAX, "a convolution's sums have a place for each slab");
enum { NORM_PARTS_MAX = (int)BLOCKS_MAX > (int)CONV_SUMS_MAX ? (int)BLOCKS_MAX : (int)CONV_SUMS_MAX };

static int norm_blocks_of(const struct program *program, const struct node *node, int x) {
    const struct norm_shape s = norm_shape(&program->graph->tensors[node->input[x]], &node->attributes);
    return norm_blocks(&s);
}
static int norm_act_blocks(const struct program *program, const struct node *node, int index) {
    (void)index;
    return node->input[4] == ABSENT ? norm_blocks_of(program, node, 0) : 0;
}
static size_t norm_act_shared(const struct program *program, const struct node *node) {
    const struct tensor *x = &program->graph->tensors[node->input[0]];
    size_t sums = 2 * (size_t)node->attributes.norm.groups * sizeof(double);
    return (size_t)x->images * NORM_PARTS_MAX * sums;
}
static cover_status run_norm_act(const struct call *call, int image) {
    const struct norm_shape s = norm_shape(input(call, 0), &call->node->attributes);
    double *sums = (double *)call->shared + ((int64_t)image * call->slabs + call->slab) * 2 * s.groups;
    call->kernels->norm_sums(sums, in(call, 0, image), in(call, 3, 0), &s, call->slab, call->slabs);
    return COVER_OK;
}
/* Sums of groups from a convolution's sums of channels, part by part. */
static void add_channels(double *groups, const double *channels, const struct norm_shape *s) {
    const int64_t width = s->channels / s->groups;
    for (int64_t g = 0; g < 2 * s->groups; g++) {
        groups[g] = 0;
        for (int64_t c = 0; c < width; c++) groups[g] += channels[g * width + c];
    }
}
static void finish_norm_act(const struct call *call) {
    const struct norm_shape s = norm_shape(input(call, 0), &call->node->attributes);
    const int given = call->node->input[4];
    const int parts =
        given == ABSENT ? call->slabs : program_slabs(call->program, tensor_at(call, given)->producer, call->run->team);
    for (int image = 0; image < input(call, 0)->images; image++) {
        double *sums = (double *)call->shared + (int64_t)image * parts * 2 * s.groups;
        const double *channels = in(call, 4, image);
        for (int part = 0; channels && part < parts; part++)
            add_channels(sums + (int64_t)part * 2 * s.groups, channels + (int64_t)part * 2 * s.channels, &s);
        float *statistics = out(call, 1, image), *coefficients = out(call, 2, image);
        norm_statistics(statistics, statistics + s.groups, sums, parts, &s);
        norm_coefficients(coefficients, coefficients + s.channels, statistics, statistics + s.groups, in(call, 1, 0),
                          in(call, 2, 0), in(call, 3, 0), &s);
    }
}
static cover_status run_norm_apply(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    struct norm_load norm;
    call->kernels->norm_apply(out(call, 0, image), in(call, 0, image), norm_of(call, 0, image, &norm), grid_pixels(&x->grid),
                              x->channels, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_widen(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    struct norm_load norm;
    call->kernels->widen(out(call, 0, image), in(call, 0, image), norm_of(call, 0, image, &norm), grid_pixels(&x->grid),
                         x->channels, call->slab, call->slabs);
    return COVER_OK;
}

static cover_status run_widen_grad(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    const int64_t values = tensor_elements(x) / x->images;
    const float *dy = in(call, 0, image);
    bf16 *dx = out(call, 0, image);
    for (int64_t i = values * call->slab / call->slabs, end = values * (call->slab + 1) / call->slabs; i < end; i++)
        dx[i] = bf16_from_float(dy[i]);
    return COVER_OK;
}

/* Sums of blocks, gradients of the parameters and coefficients, then dx; an image's part of the shared memory: */
struct norm_grad_part {
    double *sums;         /* (blocks, 3, channels) */
    float *coefficients;  /* (3, channels) */
    float *parameters[3]; /* dgamma, dbeta, dbias */
};
static size_t padded_channels(const struct tensor *x) { return (size_t)(x->channels + 15) / 16 * 16; }
static size_t norm_grad_part_bytes(const struct tensor *x) {
    return padded_channels(x) * (3 * BLOCKS_MAX * sizeof(double) + 6 * sizeof(float));
}
static struct norm_grad_part norm_grad_part(const struct call *call, int image) {
    const struct tensor *x = input(call, 1);
    const size_t row = padded_channels(x);
    struct norm_grad_part part = {.sums = (double *)(call->shared + (size_t)image * norm_grad_part_bytes(x))};
    part.coefficients = (float *)(part.sums + 3 * BLOCKS_MAX * row);
    for (size_t i = 0; i < 3; i++) part.parameters[i] = part.coefficients + (3 + i) * row;
    return part;
}
static int norm_grad_blocks(const struct program *program, const struct node *node, int index) {
    (void)index;
    return norm_blocks_of(program, node, 1);
}
static size_t norm_grad_shared(const struct program *program, const struct node *node) {
    const struct tensor *x = &program->graph->tensors[node->input[1]];
    return (size_t)x->images * norm_grad_part_bytes(x);
}
static struct norm_load norm_grad_norm(const struct call *call, int image) {
    const float *coefficients = in(call, 5, image);
    return (struct norm_load){coefficients, coefficients + input(call, 1)->channels, call->node->attributes.norm.slope};
}
static cover_status run_norm_grad(const struct call *call, int image) {
    const struct tensor *x = input(call, 1);
    const struct norm_load norm = norm_grad_norm(call, image);
    call->kernels->norm_grad_sums(norm_grad_part(call, image).sums + (int64_t)call->slab * 3 * x->channels, in(call, 0, image),
                                  in(call, 1, image), &norm, grid_pixels(&x->grid), x->channels, call->slab, call->slabs);
    return COVER_OK;
}
static void finish_norm_grad(const struct call *call) {
    const struct tensor *x = input(call, 1);
    const struct norm_shape s = norm_shape(x, &call->node->attributes);
    for (int image = 0; image < x->images; image++) {
        const struct norm_grad_part part = norm_grad_part(call, image);
        const float *statistics = in(call, 4, image), *bias = in(call, 3, 0);
        norm_grad_finish(part.parameters[0], part.parameters[1], bias ? part.parameters[2] : NULL, part.coefficients, part.sums,
                         call->slabs, statistics, statistics + s.groups, in(call, 2, 0), bias, &s);
        for (int which = 0; which < 3; which++) {
            float *sum = out(call, 1 + which, 0);
            for (int64_t c = 0; sum && c < x->channels; c++) sum[c] = (image ? sum[c] : 0) + part.parameters[which][c];
        }
    }
}
static cover_status again_norm_grad(const struct call *call, int image) {
    const struct tensor *x = input(call, 1);
    const struct norm_load norm = norm_grad_norm(call, image);
    call->kernels->norm_grad_apply(out(call, 0, image), in(call, 0, image), in(call, 1, image), &norm,
                                   norm_grad_part(call, image).coefficients, grid_pixels(&x->grid), x->channels, call->slab,
                                   call->slabs);
    return COVER_OK;
}

/* ---- moving pixels */

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
    loss_parts(call, image)[call->slab] = call->kernels->vector_loss(in(call, 0, image), in(call, 1, image), in(call, 2, image),
                                                                     grid_pixels(&x->grid), x->grid.ndim, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_cosine_loss(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    loss_parts(call, image)[call->slab] = -call->kernels->cosine_sum(in(call, 0, image), in(call, 1, image), in(call, 2, image),
                                                                     grid_pixels(&x->grid), x->channels, call->slab, call->slabs);
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
    return (struct softmax_loss){.pixels = grid_pixels(&logits->grid),
                                 .classes = logits->channels,
                                 .ce_weight = attributes->softmax.ce_weight,
                                 .dice_weight = attributes->softmax.dice_weight,
                                 .smooth = attributes->softmax.smooth};
}
static cover_status run_softmax_loss(const struct call *call, int image) {
    struct softmax_loss s = softmax_loss(input(call, 0), &call->node->attributes);
    call->kernels->softmax_loss(out(call, 0, image), out(call, 1, image), in(call, 0, image), in(call, 1, image), in(call, 2, 0),
                                &s);
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
    [OP_conv_grad_weights] = {.run = run_conv_grad_weights,
                              .finish = finish_conv_grad_weights,
                              .unit_bytes = conv_unit_bytes,
                              .shared_bytes = conv_grad_weights_shared},
    [OP_norm_act] = {.slabs = norm_act_blocks, .run = run_norm_act, .finish = finish_norm_act, .shared_bytes = norm_act_shared},
    [OP_norm_apply] = {.any_slabs = true, .run = run_norm_apply},
    [OP_norm_grad] = {.slabs = norm_grad_blocks,
                      .run = run_norm_grad,
                      .finish = finish_norm_grad,
                      .again = again_norm_grad,
                      .shared_bytes = norm_grad_shared},
    [OP_max_pool2] = {.any_slabs = true, .run = run_max_pool2},
    [OP_max_pool2_grad] = {.any_slabs = true, .run = run_max_pool2_grad},
    [OP_upsample] = {.any_slabs = true, .run = run_upsample},
    [OP_upsample_grad] = {.any_slabs = true, .run = run_upsample_grad},
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
    [OP_widen] = {.any_slabs = true, .run = run_widen},
    [OP_widen_grad] = {.any_slabs = true, .run = run_widen_grad},
};
