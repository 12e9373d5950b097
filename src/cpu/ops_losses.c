/* Losses as ops of the CPU.  Rows of program.h's table. */
#include "op_call.h"

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
                                   in(call, 2, image), grid_pixels(&x->grid), x->channels, 1, call->slab, call->slabs);
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
/* Rows are few where this is asked for. */
static cover_status run_class_right(const struct call *call, int image) {
    const int64_t pixels = grid_pixels(&input(call, 0)->grid), classes = input(call, 0)->channels;
    const float *z = in(call, 0, image), *target = in(call, 1, image);
    double right = 0;
    for (int64_t p = 0; p < pixels; p++, z += classes) {
        int64_t best = 0;
        for (int64_t k = 1; k < classes; k++) best = z[k] > z[best] ? k : best;
        right += target[p] == (float)best;
    }
    *(double *)out(call, 0, image) = right;
    return COVER_OK;
}

const struct op_cpu cpu_op_vector_loss = {
    .slabs = slabs_of_loss, .run = run_vector_loss, .finish = finish_loss, .shared_bytes = loss_shared};
const struct op_cpu cpu_op_vector_loss_grad = {.any_slabs = true, .run = run_vector_loss_grad};
const struct op_cpu cpu_op_cosine_loss = {
    .slabs = slabs_of_loss, .run = run_cosine_loss, .finish = finish_loss, .shared_bytes = loss_shared};
const struct op_cpu cpu_op_cosine_loss_grad = {.any_slabs = true, .run = run_cosine_loss_grad};
const struct op_cpu cpu_op_softmax_loss = {.run = run_softmax_loss};
const struct op_cpu cpu_op_softmax_loss_grad = {.run = run_softmax_loss_grad};
const struct op_cpu cpu_op_sigmoid_loss = {.run = run_sigmoid_loss};
const struct op_cpu cpu_op_class_right = {.run = run_class_right};
const struct op_cpu cpu_op_sigmoid_loss_grad = {.run = run_sigmoid_loss_grad};
