/* Regression of fields and images, and contrast of regions, as ops of the CPU.  Rows of program.h's table. */
#include "op_call.h"

#include "core/base/affine_map.h"
#include "core/base/regions.h"

static const double least_count = 1e-5; /* beside the number of valid pixels that a mean divides by */

/* Valid pixels of one of `blocks` blocks. */
static double count_of(const float *mask, int64_t pixels, int block, int blocks) {
    double count = 0;
    for (int64_t p = pixels * block / blocks; p < pixels * (block + 1) / blocks; p++) count += mask[p] > 0;
    return count;
}
static int blocks_of(const struct program *program, const struct node *node, int index) {
    (void)index;
    return loss_blocks(grid_pixels(&program->graph->tensors[node->input[0]].grid));
}
/* Sums of each block of each image. */
enum { SUMS_MOST = AFFINE_SUMS };
static size_t sums_shared(const struct program *program, const struct node *node) {
    const int images = program->graph->tensors[node->input[0]].images;
    return (size_t)images * (size_t)blocks_of(program, node, 0) * SUMS_MOST * sizeof(double);
}
static double *block_sums(const struct call *call, int image, int block) {
    return (double *)call->shared + (image * call->slabs + block) * SUMS_MOST;
}
static double sum_of(const struct call *call, int image, int which) {
    double sum = 0;
    for (int block = 0; block < call->slabs; block++) sum += block_sums(call, image, block)[which];
    return sum;
}
static double *loss_of(const struct call *call, int image) { return out(call, 0, image); }

/* ---- ncc_loss */

static struct ncc_shape ncc_shape(const struct tensor *moved, const struct node *node) {
    return (struct ncc_shape){.grid = moved->grid, .channels = moved->channels, .window = node->attributes.regress.window};
}
static size_t ncc_unit(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct ncc_shape s = ncc_shape(&program->graph->tensors[node->input[0]], node);
    return ncc_workspace(&s);
}
static cover_status run_ncc_loss(const struct call *call, int image) {
    const struct ncc_shape s = ncc_shape(input(call, 0), call->node);
    call->kernels->ncc_loss(block_sums(call, image, call->slab), NULL, in(call, 0, image), in(call, 1, image), in(call, 2, image),
                            &s, call->slab, call->slabs, call->scratch);
    return COVER_OK;
}
static void finish_ncc_loss(const struct call *call) {
    const struct tensor *x = input(call, 0);
    for (int image = 0; image < x->images; image++) {
        const double sum = sum_of(call, image, 0) / (double)x->channels, count = sum_of(call, image, 1);
        *loss_of(call, image) = 1 - sum / (count + (call->node->input[2] != ABSENT ? least_count : 0));
    }
}
/* Two passes: the slopes of all windows, then what each pixel gets of those that it is in. */
static size_t ncc_slopes(const struct program *program, const struct node *node) {
    return (size_t)tensor_elements(&program->graph->tensors[node->input[0]]) * 3 * sizeof(float);
}
static float *slopes_of(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    return (float *)call->shared + 3 * (tensor_elements(x) / x->images) * image;
}
static cover_status run_ncc_slopes(const struct call *call, int image) {
    const struct ncc_shape s = ncc_shape(input(call, 0), call->node);
    call->kernels->ncc_loss(NULL, slopes_of(call, image), in(call, 0, image), in(call, 1, image), in(call, 2, image), &s,
                            call->slab, call->slabs, call->scratch);
    return COVER_OK;
}
static cover_status run_ncc_loss_grad(const struct call *call, int image) {
    const struct ncc_shape s = ncc_shape(input(call, 0), call->node);
    const int64_t pixels = grid_pixels(&s.grid);
    const float *const mask = in(call, 2, image);
    const double count = mask ? count_of(mask, pixels, 0, 1) + least_count : (double)pixels;
    call->kernels->ncc_loss_grad(out(call, 0, image), slopes_of(call, image), in(call, 0, image), in(call, 1, image), &s,
                                 (float)(-call->node->attributes.regress.weight / (count * (double)s.channels)), call->slab,
                                 call->slabs, call->scratch);
    return COVER_OK;
}

/* ---- smooth_loss, inside_mask */

static void finish_sum(const struct call *call) {
    for (int image = 0; image < input(call, 0)->images; image++) *loss_of(call, image) = sum_of(call, image, 0);
}
static cover_status run_smooth_loss(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    *block_sums(call, image, call->slab) =
        call->kernels->smooth_loss(in(call, 0, image), &x->grid, x->channels, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_smooth_loss_grad(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->smooth_loss_grad(out(call, 0, image), in(call, 0, image), &x->grid, x->channels,
                                    call->node->attributes.regress.weight, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_inside_mask(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->inside_mask(out(call, 0, image), in(call, 0, image), &x->grid, call->node->attributes.coordinates, call->slab,
                               call->slabs);
    return COVER_OK;
}

/* ---- affine_field */

static cover_status run_affine_field(const struct call *call, int image) {
    call->kernels->affine_field(out(call, 0, image), in(call, 0, image), &call->node->attributes.grid, call->slab, call->slabs);
    return COVER_OK;
}
static cover_status run_affine_field_grad(const struct call *call, int image) {
    call->kernels->affine_field_grad(block_sums(call, image, call->slab), in(call, 0, image), &input(call, 0)->grid, call->slab,
                                     call->slabs);
    return COVER_OK;
}
static void finish_affine_field_grad(const struct call *call) {
    for (int image = 0; image < input(call, 0)->images; image++) {
        double sums[AFFINE_SUMS];
        affine_matrix dm;
        for (int i = 0; i < AFFINE_SUMS; i++) sums[i] = sum_of(call, image, i);
        for (int i = 0; i < 9; i++) dm[i / 3][i % 3] = sums[i];
        affine_map_grad(out(call, 0, image), dm, sums + 9, in(call, 1, image), input(call, 0)->grid.ndim);
    }
}

/* ---- cosine_mean_loss */

static cover_status run_cosine_mean_loss(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    double *const sums = block_sums(call, image, call->slab);
    sums[0] = call->kernels->cosine_sum(in(call, 0, image), in(call, 1, image), in(call, 2, image), grid_pixels(&x->grid),
                                        x->channels, call->slab, call->slabs);
    sums[1] = count_of(in(call, 2, image), grid_pixels(&x->grid), call->slab, call->slabs);
    return COVER_OK;
}
static void finish_cosine_mean_loss(const struct call *call) {
    for (int image = 0; image < input(call, 0)->images; image++)
        *loss_of(call, image) = 1 - sum_of(call, image, 0) / (sum_of(call, image, 1) + least_count);
}
static cover_status run_cosine_mean_loss_grad(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    const int64_t pixels = grid_pixels(&x->grid);
    const double count = count_of(in(call, 2, image), pixels, 0, 1) + least_count;
    call->kernels->cosine_sum_grad(out(call, 0, image), out(call, 1, image), in(call, 0, image), in(call, 1, image),
                                   in(call, 2, image), pixels, x->channels, (float)(call->node->attributes.regress.weight / count),
                                   call->slab, call->slabs);
    return COVER_OK;
}

/* ---- region_blocks, local_nce */

static cover_status run_region_blocks(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    call->kernels->region_blocks(out(call, 0, image), in(call, 0, image), &x->grid, x->channels);
    return COVER_OK;
}
static cover_status run_region_blocks_grad(const struct call *call, int image) {
    const struct tensor *dx = tensor_at(call, call->node->output[0]);
    call->kernels->region_blocks_grad(out(call, 0, image), in(call, 0, image), &dx->grid, dx->channels);
    return COVER_OK;
}
static int64_t regions_in(const struct tensor *rows) { return grid_pixels(&rows->grid) / (1 + REGION_NEGATIVES); }
static cover_status run_local_nce(const struct call *call, int image) {
    const struct tensor *a = input(call, 0);
    *loss_of(call, image) = call->kernels->local_nce(in(call, 0, image), in(call, 1, image), regions_in(a), a->channels,
                                                     call->node->attributes.regress.temperature);
    return COVER_OK;
}
static cover_status run_local_nce_grad(const struct call *call, int image) {
    const struct tensor *a = input(call, 0);
    call->kernels->local_nce_grad(out(call, 0, image), out(call, 1, image), in(call, 0, image), in(call, 1, image), regions_in(a),
                                  a->channels, call->node->attributes.regress.temperature, call->node->attributes.regress.weight);
    return COVER_OK;
}

const struct op_cpu cpu_op_ncc_loss = {
    .slabs = blocks_of, .run = run_ncc_loss, .finish = finish_ncc_loss, .unit_bytes = ncc_unit, .shared_bytes = sums_shared};
const struct op_cpu cpu_op_ncc_loss_grad = {
    .any_slabs = true, .run = run_ncc_slopes, .again = run_ncc_loss_grad, .unit_bytes = ncc_unit, .shared_bytes = ncc_slopes};
const struct op_cpu cpu_op_smooth_loss = {
    .slabs = blocks_of, .run = run_smooth_loss, .finish = finish_sum, .shared_bytes = sums_shared};
const struct op_cpu cpu_op_smooth_loss_grad = {.any_slabs = true, .run = run_smooth_loss_grad};
const struct op_cpu cpu_op_inside_mask = {.any_slabs = true, .run = run_inside_mask};
const struct op_cpu cpu_op_affine_field = {.any_slabs = true, .run = run_affine_field};
const struct op_cpu cpu_op_affine_field_grad = {
    .slabs = blocks_of, .run = run_affine_field_grad, .finish = finish_affine_field_grad, .shared_bytes = sums_shared};
const struct op_cpu cpu_op_cosine_mean_loss = {
    .slabs = blocks_of, .run = run_cosine_mean_loss, .finish = finish_cosine_mean_loss, .shared_bytes = sums_shared};
const struct op_cpu cpu_op_cosine_mean_loss_grad = {.any_slabs = true, .run = run_cosine_mean_loss_grad};
const struct op_cpu cpu_op_region_blocks = {.run = run_region_blocks};
const struct op_cpu cpu_op_region_blocks_grad = {.run = run_region_blocks_grad};
const struct op_cpu cpu_op_local_nce = {.run = run_local_nce};
const struct op_cpu cpu_op_local_nce_grad = {.run = run_local_nce_grad};
