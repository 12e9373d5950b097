/* The CPU executor: runs a planned graph node by node, an image a unit of work, on the threads of one lane.
 * Convolutions go to conv.h, everything else to the kernels of this machine's best instruction set. */
#include "../core/graph/executor.h"
#include "conv.h"
#include "features.h"
#include "kernels.h"

#include <stdio.h>
#include <string.h>

enum { NORM_EPSILON_DENOMINATOR = 100000 }; /* epsilon 1e-5 (method: GroupNorm) */

struct prepared_conv { /* shared by the forward and backward nodes of one layer */
    struct conv *conv;
    struct conv_shape shape;
    int row; /* of its weights */
    size_t packed_offset;
};

struct program {
    cover_context *context;
    const struct graph *graph;
    const struct kernels *kernels;
    struct plan plan;
    int team;
    struct prepared_conv *convs;
    int conv_count;
    int *conv_of_node;
    size_t *unit_bytes; /* workspace of each node for one unit at work */
    char *packed;
    size_t packed_bytes;
    char *pack_scratch;
    size_t pack_scratch_bytes; /* a thread */
    atomic_int next;           /* conv being created or packed */
    const float *parameters;   /* being packed */
    pthread_mutex_t error_lock;
    cover_status status;
    char error[1024];
};

/* One node at work. */
struct call {
    const struct program *program;
    const struct graph *graph;
    const struct node *node;
    const struct kernels *kernels;
    struct run *run;
    const struct conv *conv;
    const char *packed;
    char *scratch; /* of this member */
    char *shared;  /* of all units */
    int slab, slabs;
};

struct op_cpu {
    /* is the unit a slab of an image's rows (true) or a whole image? */
    bool slabs;
    cover_status (*run)(const struct call *call, int image);
    /* after all units, on one thread; NULL = nothing to do */
    void (*finish)(const struct call *call);
    size_t (*unit_bytes)(const struct program *program, const struct node *node, int index);
    size_t (*shared_bytes)(const struct program *program, const struct node *node);
};

/* ---- where things are */

static const struct tensor *tensor_at(const struct call *call, int tensor) { return &call->graph->tensors[tensor]; }
static const struct tensor *input(const struct call *call, int i) { return tensor_at(call, call->node->input[i]); }

static void *address(const struct call *call, int index, int image) {
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
static void *in(const struct call *call, int i, int image) { return address(call, call->node->input[i], image); }
static void *out(const struct call *call, int i, int image) { return address(call, call->node->output[i], image); }

/* ---- convolutions */

static cover_status run_conv(const struct call *call, int image) {
    return conv_forward(call->conv, out(call, 0, image), in(call, 0, image), call->packed, in(call, 2, 0), call->scratch);
}
static cover_status run_conv_grad_data(const struct call *call, int image) {
    return conv_grad_data(call->conv, out(call, 0, image), in(call, 0, image), call->packed, call->scratch);
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
    return conv_grad_weights(call->conv, dw, db, in(call, 0, image), in(call, 1, image), call->scratch, false);
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
static cover_status run_norm_act(const struct call *call, int image) {
    struct norm_shape s = norm_shape(input(call, 0), &call->node->attributes);
    float *statistics = out(call, 1, image), *mean = statistics, *rstd = statistics + s.groups;
    const float *x = in(call, 0, image), *bias = in(call, 3, 0);
    call->kernels->norm_statistics(mean, rstd, x, bias, &s);
    call->kernels->norm_apply(out(call, 0, image), x, bias, mean, rstd, in(call, 1, 0), in(call, 2, 0), &s, 0, 1);
    return COVER_OK;
}
static cover_status run_norm_apply(const struct call *call, int image) {
    struct norm_shape s = norm_shape(input(call, 0), &call->node->attributes);
    const float *statistics = in(call, 4, image);
    call->kernels->norm_apply(out(call, 0, image), in(call, 0, image), in(call, 3, 0), statistics, statistics + s.groups,
                              in(call, 1, 0), in(call, 2, 0), &s, call->slab, call->slabs);
    return COVER_OK;
}
static size_t padded_channels(const struct tensor *x) { return (size_t)(x->channels + 15) / 16 * 16; }
static size_t norm_grad_unit(const struct program *program, const struct node *node, int index) {
    (void)index;
    struct norm_shape s = norm_shape(&program->graph->tensors[node->input[1]], &node->attributes);
    return norm_workspace(&s);
}
static size_t norm_grad_shared(const struct program *program, const struct node *node) {
    const struct tensor *x = &program->graph->tensors[node->input[1]];
    return (size_t)x->images * 3 * padded_channels(x) * sizeof(float);
}
static cover_status run_norm_grad(const struct call *call, int image) {
    const struct tensor *x = input(call, 1);
    struct norm_shape s = norm_shape(x, &call->node->attributes);
    size_t row = padded_channels(x);
    float *parts = (float *)call->shared + (size_t)image * 3 * row;
    const float *statistics = in(call, 5, image), *bias = in(call, 4, 0);
    call->kernels->norm_grad(out(call, 0, image), parts, parts + row, bias ? parts + 2 * row : NULL, in(call, 0, image),
                             in(call, 1, image), bias, statistics, statistics + s.groups, in(call, 2, 0), in(call, 3, 0), &s,
                             call->scratch);
    return COVER_OK;
}
static void finish_norm_grad(const struct call *call) {
    const struct tensor *x = input(call, 1);
    size_t row = padded_channels(x);
    for (int which = 0; which < 3; which++) {
        float *sum = out(call, 1 + which, 0);
        if (!sum) continue;
        memcpy(sum, (float *)call->shared + (size_t)which * row, (size_t)x->channels * sizeof *sum);
        for (int image = 1; image < x->images; image++)
            call->kernels->add(sum, sum, (float *)call->shared + ((size_t)image * 3 + (size_t)which) * row, x->channels);
    }
}

/* ---- moving pixels */

static cover_status run_max_pool2(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->max_pool2(out(call, 0, image), out(call, 1, image), in(call, 0, image), &x->grid, x->channels);
    return COVER_OK;
}
static cover_status run_max_pool2_grad(const struct call *call, int image) {
    const struct tensor *dx = tensor_at(call, call->node->output[0]);
    call->kernels->max_pool2_grad(out(call, 0, image), in(call, 0, image), in(call, 1, image), &dx->grid, dx->channels);
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
                                  call->node->attributes.scale);
    return COVER_OK;
}
static cover_status run_resize_corners_grad(const struct call *call, int image) {
    const struct tensor *dy = input(call, 0), *dx = tensor_at(call, call->node->output[0]);
    call->kernels->resize_corners_grad(out(call, 0, image), in(call, 0, image), &dx->grid, &dy->grid, dx->channels,
                                       call->node->attributes.scale);
    return COVER_OK;
}
static cover_status run_warp(const struct call *call, int image) {
    const struct tensor *source = input(call, 0);
    call->kernels->warp(out(call, 0, image), in(call, 0, image), in(call, 1, image), &source->grid, source->channels,
                        call->node->attributes.coordinates, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_warp_grad(const struct call *call, int image) {
    const struct tensor *dy = input(call, 0);
    call->kernels->warp_grad(out(call, 0, image), out(call, 1, image), in(call, 0, image), in(call, 1, image),
                             in(call, 2, image), &dy->grid, dy->channels, call->node->attributes.coordinates);
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
                            in(call, 2, image), &s, call->scratch);
    return COVER_OK;
}

/* ---- losses and sums */

static cover_status run_vector_loss(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    *(double *)out(call, 0, image) = call->kernels->vector_loss(in(call, 0, image), in(call, 1, image), in(call, 2, image),
                                                                grid_pixels(&x->grid), x->grid.ndim);
    return COVER_OK;
}
static cover_status run_vector_loss_grad(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->vector_loss_grad(out(call, 0, image), in(call, 0, image), in(call, 1, image), in(call, 2, image),
                                    grid_pixels(&x->grid), x->grid.ndim);
    return COVER_OK;
}
static cover_status run_cosine_loss(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    *(double *)out(call, 0, image) = -call->kernels->cosine_sum(in(call, 0, image), in(call, 1, image), in(call, 2, image),
                                                                grid_pixels(&x->grid), x->channels);
    return COVER_OK;
}
static cover_status run_cosine_loss_grad(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->cosine_sum_grad(out(call, 0, image), out(call, 1, image), in(call, 0, image), in(call, 1, image),
                                   in(call, 2, image), grid_pixels(&x->grid), x->channels);
    return COVER_OK;
}
static cover_status run_add(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->add(out(call, 0, image), in(call, 0, image), in(call, 1, image), tensor_elements(x) / x->images);
    return COVER_OK;
}

static const struct op_cpu ops[OP_COUNT] = {
    [OP_conv] = {.run = run_conv, .unit_bytes = conv_unit_bytes},
    [OP_conv_grad_data] = {.run = run_conv_grad_data, .unit_bytes = conv_unit_bytes},
    [OP_conv_grad_weights] = {.run = run_conv_grad_weights, .finish = finish_conv_grad_weights,
                              .unit_bytes = conv_unit_bytes, .shared_bytes = conv_grad_weights_shared},
    [OP_norm_act] = {.run = run_norm_act},
    [OP_norm_apply] = {.slabs = true, .run = run_norm_apply},
    [OP_norm_grad] = {.run = run_norm_grad, .finish = finish_norm_grad, .unit_bytes = norm_grad_unit,
                      .shared_bytes = norm_grad_shared},
    [OP_max_pool2] = {.run = run_max_pool2},
    [OP_max_pool2_grad] = {.run = run_max_pool2_grad},
    [OP_upsample_concat] = {.slabs = true, .run = run_upsample_concat},
    [OP_upsample_concat_grad] = {.slabs = true, .run = run_upsample_concat_grad},
    [OP_resize_corners] = {.run = run_resize_corners},
    [OP_resize_corners_grad] = {.run = run_resize_corners_grad},
    [OP_warp] = {.slabs = true, .run = run_warp},
    [OP_warp_grad] = {.run = run_warp_grad},
    [OP_mov] = {.slabs = true, .run = run_mov, .unit_bytes = mov_unit},
    [OP_mov_grad] = {.run = run_mov_grad, .unit_bytes = mov_grad_unit},
    [OP_vector_loss] = {.run = run_vector_loss},
    [OP_vector_loss_grad] = {.run = run_vector_loss_grad},
    [OP_cosine_loss] = {.run = run_cosine_loss},
    [OP_cosine_loss_grad] = {.run = run_cosine_loss_grad},
    [OP_add] = {.run = run_add},
};

/* ---- preparing */

static int node_images(const struct graph *graph, const struct node *node) {
    return graph->tensors[node->input[0]].images;
}

/* Units of a node for a team: whole images, or slabs of them where that keeps every thread busy.  Only which thread does
 * what depends on this, never a result. */
static int node_slabs(const struct node *node, int images, int team) {
    return ops[node->op].slabs && team > images ? (team + images - 1) / images : 1;
}

static int weights_row(const struct graph *graph, const struct node *node) {
    return node->op == OP_conv_grad_weights ? (int)node->attributes.channels : graph->tensors[node->input[1]].index;
}

static bool is_conv(enum op op) { return op == OP_conv || op == OP_conv_grad_data || op == OP_conv_grad_weights; }

/* Find or add the convolution of a node: one for each (weights, grid). */
static int prepared_conv_of(struct program *program, const struct node *node) {
    const struct graph *graph = program->graph;
    const struct tensor *x = &graph->tensors[node->input[0]];
    int row = weights_row(graph, node);
    const struct parameter *weights = &graph->parameters->rows[row];
    int found = 0;
    while (found < program->conv_count && !(program->convs[found].row == row &&
                                            grid_same(&program->convs[found].shape.grid, &x->grid)))
        found++;
    struct prepared_conv *conv = &program->convs[found];
    if (found == program->conv_count) {
        program->conv_count++;
        conv->row = row;
        conv->shape = (struct conv_shape){.grid = x->grid, .c_in = weights->shape[1], .c_out = weights->shape[0],
                                          .kernel = weights->shape[2] == 1 ? 1 : 3};
    }
    if (node->op == OP_conv) conv->shape.bias = node->input[2] != ABSENT;
    else conv->shape.gradient = true;
    return found;
}

static void note_error(struct program *program, cover_status status) {
    pthread_mutex_lock(&program->error_lock);
    if (program->status == COVER_OK) {
        program->status = status;
        snprintf(program->error, sizeof program->error, "%s", cover_error_text());
    }
    pthread_mutex_unlock(&program->error_lock);
}
static cover_status noted_error(struct program *program) {
    cover_status status = program->status;
    program->status = COVER_OK;
    return status == COVER_OK ? COVER_OK : fail(status, "%s", program->error);
}

static void create_convs(void *data, int worker) {
    (void)worker;
    struct program *program = data;
    for (int i; (i = atomic_fetch_add(&program->next, 1)) < program->conv_count;) {
        cover_status status = conv_create(&program->convs[i].conv, program->context, &program->convs[i].shape);
        if (status != COVER_OK) note_error(program, status);
    }
}

static cover_status prepare_convs(struct program *program, struct pool *pool) {
    const struct graph *graph = program->graph;
    for (int n = 0; n < graph->node_count; n++)
        program->conv_of_node[n] = is_conv(graph->nodes[n].op) ? prepared_conv_of(program, &graph->nodes[n]) : ABSENT;
    atomic_store(&program->next, 0);
    pool_run(pool, create_convs, program);
    TRY(noted_error(program));
    for (int i = 0; i < program->conv_count; i++) {
        struct prepared_conv *conv = &program->convs[i];
        conv->packed_offset = program->packed_bytes;
        program->packed_bytes += (conv_packed_bytes(conv->conv) + 63) / 64 * 64;
        size_t scratch = (conv_scratch_bytes(conv->conv) + 63) / 64 * 64;
        if (scratch > program->pack_scratch_bytes) program->pack_scratch_bytes = scratch;
    }
    return COVER_OK;
}

static cover_status prepare_plan(struct program *program) {
    const struct graph *graph = program->graph;
    size_t *workspace = memory_zero(program->context, (size_t)graph->node_count * sizeof *workspace);
    if (!workspace) return COVER_ERROR_MEMORY;
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        const struct op_cpu *op = &ops[node->op];
        int images = node_images(graph, node), units = images * node_slabs(node, images, program->team);
        int at_once = units < program->team ? units : program->team;
        program->unit_bytes[n] = op->unit_bytes ? (op->unit_bytes(program, node, n) + 63) / 64 * 64 : 0;
        workspace[n] = (size_t)at_once * program->unit_bytes[n];
        if (op->shared_bytes) workspace[n] += op->shared_bytes(program, node);
    }
    cover_status status = plan_create(&program->plan, graph, workspace);
    memory_free(program->context, workspace);
    return status;
}

static void cpu_program_destroy(struct program *program) {
    if (!program) return;
    cover_context *context = program->context;
    for (int i = 0; i < program->conv_count; i++) conv_destroy(program->convs[i].conv);
    plan_free(&program->plan, context);
    memory_free(context, program->convs);
    memory_free(context, program->conv_of_node);
    memory_free(context, program->unit_bytes);
    memory_free(context, program->packed);
    memory_free(context, program->pack_scratch);
    pthread_mutex_destroy(&program->error_lock);
    memory_free(context, program);
}

static cover_status cpu_program_create(struct program **made, cover_context *context, const struct graph *graph, int team) {
    struct pool *pool;
    TRY(context_pool(context, &pool));
    struct program *program = memory_zero(context, sizeof *program);
    if (!program) return COVER_ERROR_MEMORY;
    cover_status status = COVER_ERROR_MEMORY;
    *program = (struct program){.context = context, .graph = graph, .team = team,
                                .kernels = kernels_best(context->cpu_features)};
    pthread_mutex_init(&program->error_lock, NULL);
    size_t nodes = (size_t)graph->node_count;
    program->convs = memory_zero(context, nodes * sizeof *program->convs);
    program->conv_of_node = memory_zero(context, nodes * sizeof *program->conv_of_node);
    program->unit_bytes = memory_zero(context, nodes * sizeof *program->unit_bytes);
    if (!program->convs || !program->conv_of_node || !program->unit_bytes) goto done;
    GO(prepare_convs(program, pool));
    GO(prepare_plan(program));
    status = COVER_OK;
    *made = program;
done:
    if (status != COVER_OK) cpu_program_destroy(program);
    return status;
}

static const struct plan *cpu_program_plan(const struct program *program) { return &program->plan; }
static size_t cpu_program_packed_bytes(const struct program *program) { return program->packed_bytes; }

/* ---- packing weights */

static void pack_convs(void *data, int worker) {
    struct program *program = data;
    char *scratch = program->pack_scratch + (size_t)worker * program->pack_scratch_bytes;
    for (int i; (i = atomic_fetch_add(&program->next, 1)) < program->conv_count;) {
        const struct prepared_conv *conv = &program->convs[i];
        const float *weights = program->parameters + program->graph->parameters->rows[conv->row].offset;
        cover_status status = conv_pack(conv->conv, program->packed + conv->packed_offset, weights, scratch);
        if (status != COVER_OK) note_error(program, status);
    }
}

static cover_status cpu_program_pack(struct program *program, const float *parameters) {
    struct pool *pool;
    TRY(context_pool(program->context, &pool));
    if (!program->packed) program->packed = memory_alloc(program->context, program->packed_bytes);
    if (!program->pack_scratch)
        program->pack_scratch = memory_alloc(program->context, program->pack_scratch_bytes * (size_t)pool_threads(pool));
    if (!program->packed || !program->pack_scratch) return COVER_ERROR_MEMORY;
    program->parameters = parameters;
    atomic_store(&program->next, 0);
    pool_run(pool, pack_convs, program);
    return noted_error(program);
}

/* ---- running */

static void run_failed(struct run *run, cover_status status) {
    if (atomic_exchange(&run->failed, 1)) return;
    run->status = status;
    snprintf(run->error, sizeof run->error, "%s", cover_error_text());
}

static void check_outputs(const struct call *call) {
    for (int i = 0; i < NODE_OUTPUTS; i++) {
        int index = call->node->output[i];
        if (index == ABSENT || tensor_at(call, index)->element != ELEMENT_F32) continue;
        const struct tensor *tensor = tensor_at(call, index);
        double sum = call->kernels->square_sum(out(call, i, 0), tensor_elements(tensor));
        if (sum - sum == 0) continue; /* finite */
        run_failed(call->run, fail(COVER_ERROR_NUMERIC, "%s%s is not finite", tensor->name,
                                   tensor->storage == STORAGE_PARAMETER_GRAD ? " (gradient)" : ""));
    }
}

static void run_node(const struct program *program, struct run *run, int n, int member) {
    const struct node *node = &program->graph->nodes[n];
    const struct op_cpu *op = &ops[node->op];
    int images = node_images(program->graph, node), slabs = node_slabs(node, images, run->team), units = images * slabs;
    int at_once = units < program->team ? units : program->team;
    char *workspace = (char *)run->arena + program->plan.workspace[n];
    struct call call = {.program = program, .graph = program->graph, .node = node, .kernels = program->kernels, .run = run,
                        .scratch = workspace + (size_t)member * program->unit_bytes[n],
                        .shared = workspace + (size_t)at_once * program->unit_bytes[n], .slabs = slabs};
    if (program->conv_of_node[n] != ABSENT) {
        const struct prepared_conv *conv = &program->convs[program->conv_of_node[n]];
        call.conv = conv->conv, call.packed = program->packed + conv->packed_offset;
    }
    for (int unit = member; unit < units && !atomic_load(&run->failed); unit += run->team) {
        call.slab = unit % slabs;
        cover_status status = op->run(&call, unit / slabs);
        if (status != COVER_OK) run_failed(run, status);
    }
    if (run->team > 1) team_wait(run->barrier);
    if ((op->finish || run->check) && member == 0 && !atomic_load(&run->failed)) {
        if (op->finish) op->finish(&call);
        if (run->check) check_outputs(&call);
    }
    if ((op->finish || run->check) && run->team > 1) team_wait(run->barrier);
}

static void cpu_program_run(const struct program *program, struct run *run, int member) {
    for (int n = 0; n < program->graph->node_count; n++) {
        if (run->only_ops && !(run->only_ops >> program->graph->nodes[n].op & 1)) continue;
        run_node(program, run, n, member);
        if (run->team == 1 && atomic_load(&run->failed)) return;
    }
}

static double cpu_program_time(const struct program *program, struct run *run, double *op_seconds) {
    double total = 0;
    for (int n = 0; n < program->graph->node_count; n++) {
        double start = seconds_now();
        run_node(program, run, n, 0);
        double spent = seconds_now() - start;
        op_seconds[program->graph->nodes[n].op] += spent, total += spent;
    }
    return total;
}

static const void *cpu_program_result(const struct program *program, const struct run *run, int result) {
    for (int t = 0; t < program->graph->tensor_count; t++) {
        const struct tensor *tensor = &program->graph->tensors[t];
        if (tensor->storage == STORAGE_RESULT && tensor->index == result && tensor->parent == ABSENT)
            return (const char *)run->arena + program->plan.offset[t];
    }
    return NULL;
}

static void cpu_add(const struct program *program, float *y, const float *a, const float *b, int64_t count) {
    program->kernels->add(y, a, b, count);
}
static double cpu_square_sum(const struct program *program, const float *x, int64_t count) {
    return program->kernels->square_sum(x, count);
}
static void cpu_adam(const struct program *program, float *weights, float *m, float *v, const float *gradient, int64_t count,
                     const struct adam *update) {
    program->kernels->adam(weights, m, v, gradient, count, update);
}

const struct executor executor_cpu = {
    .name = "cpu",
    .program_create = cpu_program_create,
    .program_destroy = cpu_program_destroy,
    .program_plan = cpu_program_plan,
    .program_packed_bytes = cpu_program_packed_bytes,
    .program_pack = cpu_program_pack,
    .program_run = cpu_program_run,
    .program_result = cpu_program_result,
    .program_time = cpu_program_time,
    .add = cpu_add,
    .square_sum = cpu_square_sum,
    .adam = cpu_adam,
};
