/* Convolutions as ops of the GPU: by cuDNN, behind conv.h.  Rows of program.h's table. */
#include "op_call.h"

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

const struct op_cuda cuda_op_conv = {.run = run_conv, .workspace = conv_workspace};
const struct op_cuda cuda_op_conv_grad_data = {.run = run_conv_grad_data, .workspace = conv_workspace};
const struct op_cuda cuda_op_conv_grad_weights = {.run = run_conv_grad_weights, .workspace = conv_workspace};
