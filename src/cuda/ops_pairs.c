/* What is done to pairs of rows, as ops of the GPU.  Rows of program.h's table. */
#include "op_call.h"

static int64_t all_rows(const struct call *call, const struct tensor *x) { return images(call, x) * grid_pixels(&x->grid); }

static cover_status run_unit(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_unit(call->stream, out(call, 0), in(call, 0), all_rows(call, x), x->channels));
    return COVER_OK;
}
static cover_status run_unit_grad(const struct call *call) {
    const struct tensor *x = input(call, 0);
    CUDA_TRY(cuda_unit_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), all_rows(call, x), x->channels));
    return COVER_OK;
}

static struct cuda_propagation propagation_of(const struct program *program, const struct tensor *x, const struct tensor *value) {
    return (struct cuda_propagation){
        .images = x->images * program->samples, .cells = grid_pixels(&x->grid), .channels = x->channels, .wide = value->channels};
}
static size_t propagate_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct tensor *x = &program->graph->tensors[node->input[0]];
    const struct cuda_propagation s = propagation_of(program, x, x);
    return cuda_propagate_workspace(&s);
}
static cover_status run_propagate(const struct call *call) {
    const struct cuda_propagation s = propagation_of(call->program, input(call, 0), input(call, 1));
    CUDA_TRY(cuda_propagate(call->stream, out(call, 0), in(call, 0), in(call, 1), &s, call->workspace));
    return COVER_OK;
}
static cover_status run_propagate_grad(const struct call *call) {
    const struct cuda_propagation s = propagation_of(call->program, input(call, 1), input(call, 2));
    CUDA_TRY(
        cuda_propagate_grad(call->stream, out(call, 0), out(call, 1), in(call, 0), in(call, 1), in(call, 2), &s, call->workspace));
    return COVER_OK;
}

static struct cuda_cells pairs_of(const struct program *program, const struct node *node) {
    const struct tensor *y = &program->graph->tensors[node->input[0]];
    const struct cells_attributes *how = &node->attributes.cells;
    return (struct cuda_cells){.images = y->images * program->samples,
                               .cell = how->cell,
                               .grid = y->grid,
                               .channels = y->channels,
                               .threshold = how->threshold};
}
static size_t pairs_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct cuda_cells s = pairs_of(program, node);
    return cuda_pair_cosine_workspace(&s);
}
static cover_status run_pair_cosine(const struct call *call) {
    const struct cuda_cells s = pairs_of(call->program, call->node);
    CUDA_TRY(cuda_pair_cosine(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2),
                              call->node->attributes.cells.turned, &s, call->workspace));
    return COVER_OK;
}
static cover_status run_pair_cosine_grad(const struct call *call) {
    const struct cuda_cells s = pairs_of(call->program, call->node);
    const struct cells_attributes *how = &call->node->attributes.cells;
    CUDA_TRY(cuda_pair_cosine_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), in(call, 3), how->turned,
                                   how->weight, &s));
    return COVER_OK;
}

static struct cuda_codes codes_of(const struct program *program, const struct node *node) {
    const struct tensor *tensors = program->graph->tensors, *scores = &tensors[node->input[0]];
    const bool indexed = node->op != OP_sinkhorn && node->input[2] != ABSENT;
    return (struct cuda_codes){.images = scores->images * program->samples,
                               .each = indexed ? (int)tensors[node->input[2]].channels : 1,
                               .rows = grid_pixels(&scores->grid),
                               .channels = scores->channels,
                               .group = indexed && node->attributes.cells.count ? node->attributes.cells.count
                                                                                : grid_pixels(&scores->grid),
                               .scale = 1 / node->attributes.cells.temperature,
                               .weight = node->attributes.cells.weight};
}
static size_t entropy_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct cuda_codes s = codes_of(program, node);
    return cuda_soft_cross_entropy_workspace(&s);
}
static cover_status run_soft_cross_entropy(const struct call *call) {
    const struct cuda_codes s = codes_of(call->program, call->node);
    CUDA_TRY(cuda_soft_cross_entropy(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), &s, call->workspace));
    return COVER_OK;
}
static cover_status run_soft_cross_entropy_grad(const struct call *call) {
    const struct cuda_codes s = codes_of(call->program, call->node);
    CUDA_TRY(cuda_soft_cross_entropy_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), in(call, 2), &s));
    return COVER_OK;
}
static size_t sinkhorn_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct cuda_codes s = codes_of(program, node);
    return cuda_sinkhorn_workspace(&s);
}
static cover_status run_sinkhorn(const struct call *call) {
    const struct cuda_codes s = codes_of(call->program, call->node);
    CUDA_TRY(cuda_sinkhorn(call->stream, out(call, 0), in(call, 0), call->node->attributes.cells.count, &s, call->workspace));
    return COVER_OK;
}

const struct op_cuda cuda_op_unit = {.run = run_unit};
const struct op_cuda cuda_op_unit_grad = {.run = run_unit_grad};
const struct op_cuda cuda_op_propagate = {.run = run_propagate, .workspace = propagate_workspace};
const struct op_cuda cuda_op_propagate_grad = {.run = run_propagate_grad, .workspace = propagate_workspace};
const struct op_cuda cuda_op_pair_cosine = {.run = run_pair_cosine, .workspace = pairs_workspace};
const struct op_cuda cuda_op_pair_cosine_grad = {.run = run_pair_cosine_grad};
const struct op_cuda cuda_op_soft_cross_entropy = {.run = run_soft_cross_entropy, .workspace = entropy_workspace};
const struct op_cuda cuda_op_soft_cross_entropy_grad = {.run = run_soft_cross_entropy_grad};
const struct op_cuda cuda_op_sinkhorn = {.run = run_sinkhorn, .workspace = sinkhorn_workspace};
