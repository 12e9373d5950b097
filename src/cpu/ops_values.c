/* Element by element, and the loss of images, as ops of the CPU.  Rows of program.h's table. */
#include "op_call.h"

static void share_of_image(const struct call *call, int64_t *begin, int64_t *end) {
    const struct tensor *x = input(call, 0);
    const int64_t values = tensor_elements(x) / x->images;
    *begin = values * call->slab / call->slabs, *end = values * (call->slab + 1) / call->slabs;
}
static cover_status run_hold(const struct call *call, int image) {
    int64_t begin, end;
    share_of_image(call, &begin, &end);
    call->kernels->scaled(out(call, 0, image), in(call, 0, image), 1, begin, end);
    return COVER_OK;
}
static cover_status run_scaled(const struct call *call, int image) {
    int64_t begin, end;
    share_of_image(call, &begin, &end);
    call->kernels->scaled(out(call, 0, image), in(call, 0, image), call->node->attributes.scale, begin, end);
    return COVER_OK;
}
static cover_status run_leaky(const struct call *call, int image) {
    int64_t begin, end;
    share_of_image(call, &begin, &end);
    call->kernels->leaky(out(call, 0, image), in(call, 0, image), call->node->attributes.slope, begin, end);
    return COVER_OK;
}
static cover_status run_leaky_grad(const struct call *call, int image) {
    int64_t begin, end;
    share_of_image(call, &begin, &end);
    call->kernels->leaky_grad(out(call, 0, image), in(call, 0, image), in(call, 1, image), call->node->attributes.slope, begin,
                              end);
    return COVER_OK;
}

/* Sums of blocks, then of an image. */
static int image_loss_blocks(const struct program *program, const struct node *node, int index) {
    (void)index;
    return loss_blocks(grid_pixels(&program->graph->tensors[node->input[0]].grid));
}
static size_t image_loss_shared(const struct program *program, const struct node *node) {
    const int images = program->graph->tensors[node->input[0]].images;
    return (size_t)images * (size_t)image_loss_blocks(program, node, 0) * sizeof(double);
}
static cover_status run_image_loss(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    ((double *)call->shared)[image * call->slabs + call->slab] =
        call->kernels->image_loss(in(call, 0, image), in(call, 1, image), in(call, 2, image), grid_pixels(&x->grid), x->channels,
                                  call->node->attributes.sigmoid, call->slab, call->slabs);
    return COVER_OK;
}
static void finish_image_loss(const struct call *call) {
    for (int image = 0; image < input(call, 0)->images; image++) {
        double sum = 0;
        for (int block = 0; block < call->slabs; block++) sum += ((double *)call->shared)[image * call->slabs + block];
        *(double *)out(call, 0, image) = sum;
    }
}
static cover_status run_image_loss_grad(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->image_loss_grad(out(call, 0, image), in(call, 0, image), in(call, 1, image), in(call, 2, image),
                                   grid_pixels(&x->grid), x->channels, call->node->attributes.sigmoid, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_blend(const struct call *call, int image) {
    const struct tensor *a = input(call, 1);
    call->kernels->blend(out(call, 0, image), in(call, 0, image), in(call, 1, image), in(call, 2, image), grid_pixels(&a->grid),
                         a->channels, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_blend_grad(const struct call *call, int image) {
    const struct tensor *dy = input(call, 1);
    call->kernels->blend_grad(out(call, 0, image), out(call, 1, image), in(call, 0, image), in(call, 1, image),
                              grid_pixels(&dy->grid), dy->channels, call->slab, call->slabs);
    return COVER_OK;
}

const struct op_cpu cpu_op_hold = {.any_slabs = true, .run = run_hold};
const struct op_cpu cpu_op_scaled = {.any_slabs = true, .run = run_scaled};
const struct op_cpu cpu_op_leaky = {.any_slabs = true, .run = run_leaky};
const struct op_cpu cpu_op_leaky_grad = {.any_slabs = true, .run = run_leaky_grad};
const struct op_cpu cpu_op_image_loss = {
    .slabs = image_loss_blocks, .run = run_image_loss, .finish = finish_image_loss, .shared_bytes = image_loss_shared};
const struct op_cpu cpu_op_image_loss_grad = {.any_slabs = true, .run = run_image_loss_grad};
const struct op_cpu cpu_op_blend = {.any_slabs = true, .run = run_blend};
const struct op_cpu cpu_op_blend_grad = {.any_slabs = true, .run = run_blend_grad};
