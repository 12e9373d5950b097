/* Rows of images as ops of the CPU.  Rows of program.h's table. */
#include "op_call.h"
#include "row_losses.h"

#include <string.h>

static int64_t rows_of(const struct tensor *x) { return grid_pixels(&x->grid); }
static const struct tensor *first_of(const struct program *program, const struct node *node) {
    return &program->graph->tensors[node->input[0]];
}

static cover_status run_rows(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    const size_t bytes = tensor_bytes(x) / (size_t)x->images;
    memcpy((char *)out(call, 0, 0) + (size_t)image * bytes, in(call, 0, image), bytes);
    return COVER_OK;
}
static cover_status run_nt_xent(const struct call *call, int image) {
    const struct tensor *z = input(call, 0);
    rows_nt_xent(out(call, 0, image), out(call, 1, image), in(call, 0, image), rows_of(z), z->channels,
                 (double)call->node->attributes.temperature);
    return COVER_OK;
}
static cover_status run_nt_xent_grad(const struct call *call, int image) {
    const struct tensor *z = input(call, 0);
    const int64_t rows = rows_of(z);
    rows_nt_xent_grad(out(call, 0, image), in(call, 0, image), in(call, 1, image), rows, z->channels,
                      (double)call->node->attributes.temperature, rows * call->slab / call->slabs,
                      rows * (call->slab + 1) / call->slabs, (double *)call->scratch);
    return COVER_OK;
}
static cover_status run_batch_right(const struct call *call, int image) {
    const struct tensor *q = input(call, 0);
    *(double *)out(call, 0, image) =
        rows_batch_right(in(call, 0, image), in(call, 1, image), rows_of(q), q->channels, (double *)call->scratch);
    return COVER_OK;
}
static cover_status run_spread(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    *(double *)out(call, 0, image) = rows_spread(in(call, 0, image), rows_of(x), x->channels, (double *)call->scratch);
    return COVER_OK;
}

static size_t double_a_channel(const struct program *program, const struct node *node, int index) {
    (void)index;
    return (size_t)first_of(program, node)->channels * sizeof(double);
}
static size_t double_a_row(const struct program *program, const struct node *node, int index) {
    (void)index;
    return (size_t)rows_of(first_of(program, node)) * sizeof(double);
}

const struct op_cpu cpu_op_rows = {.run = run_rows};
const struct op_cpu cpu_op_nt_xent = {.run = run_nt_xent};
const struct op_cpu cpu_op_nt_xent_grad = {.any_slabs = true, .run = run_nt_xent_grad, .unit_bytes = double_a_channel};
const struct op_cpu cpu_op_batch_right = {.run = run_batch_right, .unit_bytes = double_a_row};
const struct op_cpu cpu_op_spread = {.run = run_spread, .unit_bytes = double_a_row};
