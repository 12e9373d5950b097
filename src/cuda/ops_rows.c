/* Rows of images as ops of the GPU.  Rows of program.h's table. */
#include "op_call.h"

static struct cuda_row_sizes rows_of(const struct program *program, const struct node *node) {
    const struct tensor *x = &program->graph->tensors[node->input[0]];
    return (struct cuda_row_sizes){.images = x->images * program->samples, .rows = grid_pixels(&x->grid), .channels = x->channels};
}
static size_t rows_workspace(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct cuda_row_sizes s = rows_of(program, node);
    return cuda_rows_workspace(&s);
}

static cover_status run_rows(const struct call *call) {
    const struct tensor *x = input(call, 0), *y = output(call, 0);
    CUDA_TRY(cuda_rows(call->stream, out(call, 0), in(call, 0), x->element, call->program->samples, grid_pixels(&y->grid),
                       grid_pixels(&x->grid), x->images * grid_pixels(&x->grid), x->channels));
    return COVER_OK;
}
static cover_status run_nt_xent(const struct call *call) {
    const struct cuda_row_sizes s = rows_of(call->program, call->node);
    CUDA_TRY(cuda_nt_xent(call->stream, out(call, 0), out(call, 1), in(call, 0), &s, call->node->attributes.temperature,
                          call->workspace));
    return COVER_OK;
}
static cover_status run_nt_xent_grad(const struct call *call) {
    const struct cuda_row_sizes s = rows_of(call->program, call->node);
    CUDA_TRY(cuda_nt_xent_grad(call->stream, out(call, 0), in(call, 0), in(call, 1), &s, call->node->attributes.temperature));
    return COVER_OK;
}
static cover_status run_batch_right(const struct call *call) {
    const struct cuda_row_sizes s = rows_of(call->program, call->node);
    CUDA_TRY(cuda_batch_right(call->stream, out(call, 0), in(call, 0), in(call, 1), &s, call->workspace));
    return COVER_OK;
}
static cover_status run_spread(const struct call *call) {
    const struct cuda_row_sizes s = rows_of(call->program, call->node);
    CUDA_TRY(cuda_spread(call->stream, out(call, 0), in(call, 0), &s, call->workspace));
    return COVER_OK;
}

const struct op_cuda cuda_op_rows = {.run = run_rows};
const struct op_cuda cuda_op_nt_xent = {.run = run_nt_xent, .workspace = rows_workspace};
const struct op_cuda cuda_op_nt_xent_grad = {.run = run_nt_xent_grad};
const struct op_cuda cuda_op_batch_right = {.run = run_batch_right, .workspace = rows_workspace};
const struct op_cuda cuda_op_spread = {.run = run_spread, .workspace = rows_workspace};
