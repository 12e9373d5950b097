/* Convolutions as ops of the CPU: an image, or a slab of one, by the primitives of conv.h.  Rows of program.h's table. */
#include "op_call.h"

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

const struct op_cpu cpu_op_conv = {.slabs = slabs_of_conv, .run = run_conv, .unit_bytes = conv_unit_bytes};
const struct op_cpu cpu_op_conv_grad_data = {.slabs = slabs_of_conv, .run = run_conv_grad_data, .unit_bytes = conv_unit_bytes};
const struct op_cpu cpu_op_conv_grad_weights = {.run = run_conv_grad_weights,
                                                .finish = finish_conv_grad_weights,
                                                .unit_bytes = conv_unit_bytes,
                                                .shared_bytes = conv_grad_weights_shared};
