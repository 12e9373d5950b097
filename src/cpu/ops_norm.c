/* Normalisations as ops of the CPU: sums by blocks, then coefficients, then what is written.  Rows of program.h's table. */
#include "op_call.h"

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

const struct op_cpu cpu_op_norm_act = {
    .slabs = norm_act_blocks, .run = run_norm_act, .finish = finish_norm_act, .shared_bytes = norm_act_shared};
const struct op_cpu cpu_op_norm_apply = {.any_slabs = true, .run = run_norm_apply};
const struct op_cpu cpu_op_norm_grad = {.slabs = norm_grad_blocks,
                                        .run = run_norm_grad,
                                        .finish = finish_norm_grad,
                                        .again = again_norm_grad,
                                        .shared_bytes = norm_grad_shared};
const struct op_cpu cpu_op_widen = {.any_slabs = true, .run = run_widen};
const struct op_cpu cpu_op_widen_grad = {.any_slabs = true, .run = run_widen_grad};
