/* What is done to cells of images, as ops of the GPU.  Rows of program.h's table. */
#include "op_call.h"

/* Of the tensor whose pixels are cells. */
static struct cuda_cells cells_of(const struct call *call, const struct tensor *of_cells) {
    const struct cells_attributes *attributes = &call->node->attributes.cells;
    return (struct cuda_cells){.images = images(call, of_cells),
                               .grid = of_cells->grid,
                               .channels = of_cells->channels,
                               .cell = attributes->cell,
                               .threshold = attributes->threshold};
}
static cover_status run_cell_pool(const struct call *call) {
    const struct cuda_cells s = cells_of(call, output(call, 0));
    struct cuda_norm norm;
    CUDA_TRY(cuda_cell_pool(call->stream, out(call, 0), in(call, 0), input(call, 0)->element, norm_of(call, 0, &norm), &s));
    return COVER_OK;
}
static cover_status run_cell_pool_grad(const struct call *call) {
    const struct cuda_cells s = cells_of(call, input(call, 0));
    CUDA_TRY(cuda_cell_pool_grad(call->stream, out(call, 0), output(call, 0)->element, in(call, 0), &s));
    return COVER_OK;
}

static size_t match_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct tensor *g = &program->graph->tensors[node->input[1]];
    return cuda_match_cells_workspace(g->images * program->samples, grid_pixels(&g->grid));
}
static cover_status run_match_cells(const struct call *call) {
    const struct tensor *f = input(call, 0), *g = input(call, 1);
    CUDA_TRY(cuda_match_cells(call->stream, out(call, 0), in(call, 0), in(call, 1), images(call, f), grid_pixels(&f->grid),
                              grid_pixels(&g->grid), f->channels, call->node->attributes.cells.count, call->workspace));
    return COVER_OK;
}
static cover_status run_hit(const struct call *call) {
    const struct cuda_cells s = cells_of(call, input(call, 1));
    CUDA_TRY(cuda_hit(call->stream, out(call, 0), in(call, 0), (int)input(call, 0)->channels, in(call, 1), &s));
    return COVER_OK;
}

static size_t positives_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct tensor *f = &program->graph->tensors[node->input[0]];
    return cuda_set_positives_workspace(f->images * program->samples, grid_pixels(&f->grid));
}
static cover_status run_set_positives(const struct call *call) {
    struct cuda_cells s = cells_of(call, input(call, 0));
    s.attention = call->node->attributes.cells.attention, s.similarity = call->node->attributes.cells.similarity;
    CUDA_TRY(
        cuda_set_positives(call->stream, out(call, 0), out(call, 1), in(call, 0), in(call, 1), in(call, 2), &s, call->workspace));
    return COVER_OK;
}

static cover_status run_sample_points(const struct call *call) {
    const struct tensor *x = input(call, 0);
    struct cuda_norm norm;
    CUDA_TRY(cuda_sample_points(call->stream, out(call, 0), in(call, 0), x->element, norm_of(call, 0, &norm), in(call, 1),
                                images(call, x), &x->grid, x->channels, grid_pixels(&input(call, 1)->grid)));
    return COVER_OK;
}
static cover_status run_sample_points_grad(const struct call *call) {
    const struct tensor *dx = output(call, 0);
    CUDA_TRY(cuda_sample_points_grad(call->stream, out(call, 0), dx->element, in(call, 0), in(call, 1), images(call, dx), &dx->grid,
                                     dx->channels, grid_pixels(&input(call, 1)->grid)));
    return COVER_OK;
}

const struct op_cuda cuda_op_cell_pool = {.run = run_cell_pool};
const struct op_cuda cuda_op_cell_pool_grad = {.run = run_cell_pool_grad};
const struct op_cuda cuda_op_match_cells = {.run = run_match_cells, .workspace = match_workspace};
const struct op_cuda cuda_op_hit = {.run = run_hit};
const struct op_cuda cuda_op_set_positives = {.run = run_set_positives, .workspace = positives_workspace};
const struct op_cuda cuda_op_sample_points = {.run = run_sample_points};
const struct op_cuda cuda_op_sample_points_grad = {.run = run_sample_points_grad};
