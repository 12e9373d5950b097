/* Scenes and the table of operations: see operations.h. */
#include "operations.h"

#include "../check_main.h"

#include <math.h>
#include <string.h>

/* ---- arrays */

enum { GUARD = 64, GUARD_BYTE = 0xa5 };

static struct array make(int64_t floats, size_t misaligned) {
    const size_t bytes = (size_t)floats * sizeof(float), all = (2 * GUARD + misaligned + bytes + GUARD - 1) / GUARD * GUARD;
    struct array array = {.count = floats, .block = aligned_alloc(GUARD, all)};
    ck_assert_ptr_nonnull(array.block);
    memset(array.block, GUARD_BYTE, all);
    array.data = (float *)(array.block + GUARD + misaligned);
    for (int64_t i = 0; i < floats; i++) array.data[i] = NAN;
    return array;
}
struct array array_make(int64_t floats) {
    return make(floats, sizeof(float));
}
struct array workspace_make(size_t bytes) {
    return make((int64_t)((bytes + sizeof(float) - 1) / sizeof(float)), 0);
}

void array_free(struct array *array) {
    free(array->block);
    *array = (struct array){0};
}

static bool guarded(const struct array *array) {
    const unsigned char *end = (const unsigned char *)(array->data + array->count);
    for (const unsigned char *byte = array->block; byte < (unsigned char *)array->data; byte++)
        if (*byte != GUARD_BYTE) return false;
    for (int i = 0; i < GUARD; i++)
        if (end[i] != GUARD_BYTE) return false;
    return true;
}

/* ---- feature maps */

static bf16 *copy_of(const struct features *features, int i) { return (bf16 *)(void *)(features->block[i] + GUARD + sizeof(bf16)); }

void *feature(struct features *features, struct array *array) {
    if (!array->block) return NULL;
    array->feature = true;
    if (features->element == ELEMENT_F32) return array->data;
    for (int i = 0; i < features->count; i++)
        if (features->array[i] == array) return copy_of(features, i);
    const size_t bytes = 2 * GUARD + sizeof(bf16) * (size_t)(1 + array->count);
    const int i = features->count++;
    features->array[i] = array, features->block[i] = aligned_alloc(GUARD, (bytes + GUARD - 1) / GUARD * GUARD);
    ck_assert_ptr_nonnull(features->block[i]);
    memset(features->block[i], GUARD_BYTE, bytes);
    for (int64_t k = 0; k < array->count; k++) copy_of(features, i)[k] = bf16_from_float(array->data[k]);
    return copy_of(features, i);
}

void features_return(struct features *features) {
    for (int i = 0; i < features->count; i++) {
        const unsigned char *begin = features->block[i], *end = (unsigned char *)(copy_of(features, i) + features->array[i]->count);
        for (int k = 0; k < GUARD; k++)
            ck_assert_msg(begin[k] == GUARD_BYTE && end[k] == GUARD_BYTE, "a kernel wrote outside a feature map");
        for (int64_t k = 0; k < features->array[i]->count; k++)
            features->array[i]->data[k] = bf16_to_float(copy_of(features, i)[k]);
        free(features->block[i]);
    }
    features->count = 0;
}

void scene_round(struct scene *scene) {
    for (int i = 0; i <= INPUTS; i++) {
        struct array *array = i < INPUTS ? &scene->in[i] : &scene->out_grad;
        for (int64_t k = 0; k < array->count; k++) array->data[k] = bf16_to_float(bf16_from_float(array->data[k]));
    }
}

/* Calls visit() for each array of a scene that exists. */
static void each_array(const struct scene *scene, void (*visit)(const struct array *array, void *data), void *data) {
    const struct array *const first[] = {scene->in, scene->grad, &scene->out, &scene->out_grad, scene->more, &scene->workspace};
    const int count[] = {INPUTS, INPUTS, 1, 1, 4, 1};
    for (size_t i = 0; i < sizeof count / sizeof *count; i++)
        for (int k = 0; k < count[i]; k++)
            if (first[i][k].block) visit(&first[i][k], data);
}

static void visit_free(const struct array *array, void *data) {
    (void)data;
    free(array->block);
}

void scene_free(struct scene *scene) {
    each_array(scene, visit_free, NULL);
    memset(scene, 0, sizeof *scene);
}

static void visit_guards(const struct array *array, void *data) {
    ck_assert_msg(guarded(array), "%s wrote outside its arrays", (const char *)data);
}

void scene_check_guards(const struct scene *scene, const char *what) { each_array(scene, visit_guards, (void *)(uintptr_t)what); }

int scene_results(const struct scene *scene, const struct array *results[ARRAYS]) {
    int count = 0;
    if (scene->out.block) results[count++] = &scene->out;
    for (int i = 0; i < INPUTS; i++)
        if (scene->grad[i].block) results[count++] = &scene->grad[i];
    for (int i = 0; i < 4; i++)
        if (scene->more[i].block) results[count++] = &scene->more[i];
    return count;
}

double distance(const float *a, const float *b, int64_t count, double floor) {
    double largest = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isnan(a[i]) && isnan(b[i])) continue;
        const double difference = a[i] == b[i] ? 0 : fabs((double)a[i] - b[i]);
        if (!(difference <= largest)) largest = difference;
        if (isnan(largest)) return INFINITY;
        squares += (double)b[i] * b[i];
    }
    return largest / (floor + sqrt(squares / (double)(count ? count : 1)));
}

/* ---- drawing */

static int64_t draw_integer(struct scene *scene, int64_t low, int64_t high) {
    return low + (int64_t)(random_word(&scene->random) % (uint32_t)(high - low + 1));
}

static void fill(struct scene *scene, struct array *array, float low, float high) {
    for (int64_t i = 0; i < array->count; i++) array->data[i] = random_uniform(&scene->random, low, high);
}

static struct array uniform(struct scene *scene, int64_t count, float low, float high) {
    struct array array = array_make(count);
    fill(scene, &array, low, high);
    return array;
}

static const int64_t channel_choices[] = {1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 24, 32, 40, 64, 96};
enum { CHANNEL_CHOICES = sizeof channel_choices / sizeof *channel_choices };

void scene_draw(struct scene *scene, const struct operation *operation, uint64_t seed, bool small) {
    *scene = (struct scene){.random = random_stream(seed, RANDOM_TEST, 0, 0), .slabs = 1, .scale = 1};
    scene->grid.ndim = (int)draw_integer(scene, 2, 3);
    for (int a = 0; a < 3; a++) {
        const int64_t most = small ? 5 : scene->grid.ndim == 3 ? 11 : 41;
        scene->grid.size[a] = a < 3 - scene->grid.ndim ? 1 : draw_integer(scene, 1, most);
        if (draw_integer(scene, 0, 9) == 0) scene->grid.size[a] = 1;
    }
    scene->channels = channel_choices[draw_integer(scene, 0, small ? 7 : CHANNEL_CHOICES - 1)];
    scene->coordinates = draw_integer(scene, 0, 1) ? COORDINATES_EXACT : COORDINATES_RELEASED;
    scene->slope = (float)draw_integer(scene, 0, 1) * 0.8f + 0.2f;
    scene->with_bias = draw_integer(scene, 0, 1);
    scene->with_norm = draw_integer(scene, 0, 1) && !small;
    scene->with_plus = draw_integer(scene, 0, 1) && !small;
    operation->draw(scene);
}

/* The shape of the output, after draw() has made the inputs. */
static void output(struct scene *scene, int64_t count) {
    scene->out = array_make(count);
    scene->out_grad = uniform(scene, count, -1, 1);
}

/* ---- norm_act: inputs x, gamma, beta, bias; more: mean, rstd */

static struct norm_shape norm_shape(const struct scene *scene) {
    return (struct norm_shape){grid_pixels(&scene->grid), scene->channels, scene->groups, scene->slope, 1e-5f};
}

static void norm_draw(struct scene *scene) {
    do scene->groups = draw_integer(scene, 1, scene->channels);
    while (scene->channels % scene->groups);
    const int64_t count = grid_pixels(&scene->grid) * scene->channels;
    const float middle = random_uniform(&scene->random, -2, 2);
    scene->in[0] = uniform(scene, count, middle - 1, middle + 1);
    for (int i = 1; i < 3 + scene->with_bias; i++)
        scene->in[i] = uniform(scene, scene->channels, i == 1 ? 0.5f : -1, i == 1 ? 1.5f : 1);
    for (int i = 0; i < 3 + scene->with_bias; i++) scene->grad[i] = array_make(scene->in[i].count);
    scene->more[0] = array_make(scene->groups), scene->more[1] = array_make(scene->groups);
    output(scene, count);
}

enum { BLOCKS = 3 };

void kernel_statistics(const struct kernels *kernels, float *mean, float *rstd, const void *x, const float *bias,
                       const struct norm_shape *s) {
    double *sums = calloc((size_t)(2 * BLOCKS * s->groups), sizeof *sums);
    for (int block = 0; block < BLOCKS; block++) kernels->norm_sums(sums + 2 * block * s->groups, x, bias, s, block, BLOCKS);
    norm_statistics(mean, rstd, sums, BLOCKS, s);
    free(sums);
}

/* Inputs first and first + 1 as scale and offset, if the scene has a norm. */
static const struct norm_load *norm_load(struct norm_load *norm, const struct scene *scene, int first) {
    *norm = (struct norm_load){scene->in[first].data, scene->in[first + 1].data, scene->slope};
    return scene->with_norm ? norm : NULL;
}
static void norm_load_draw(struct scene *scene, int first) {
    for (int i = 0; scene->with_norm && i < 2; i++) scene->in[first + i] = uniform(scene, scene->channels, -1, 1);
}

/* The coefficients of the drawn parameters and the statistics found, in an array of 2 * channels. */
static struct norm_load coefficients(const struct scene *scene, const struct array *into) {
    const struct norm_shape shape = norm_shape(scene);
    norm_coefficients(into->data, into->data + scene->channels, scene->more[0].data, scene->more[1].data, scene->in[1].data,
                      scene->in[2].data, scene->in[3].data, &shape);
    return (struct norm_load){into->data, into->data + scene->channels, scene->slope};
}

static void norm_forward(const struct kernels *kernels, struct scene *scene) {
    const struct norm_shape shape = norm_shape(scene);
    struct features features = {kernels->element};
    const void *x = feature(&features, &scene->in[0]);
    struct array both = array_make(2 * shape.channels);
    kernel_statistics(kernels, scene->more[0].data, scene->more[1].data, x, scene->in[3].data, &shape);
    const struct norm_load norm = coefficients(scene, &both);
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->norm_apply(feature(&features, &scene->out), x, &norm, shape.pixels, shape.channels, slab, scene->slabs);
    features_return(&features);
    array_free(&both);
}

static void norm_backward(const struct kernels *kernels, struct scene *scene) {
    const struct norm_shape shape = norm_shape(scene);
    const int64_t channels = shape.channels;
    struct features features = {kernels->element};
    const void *dy = feature(&features, &scene->out_grad), *x = feature(&features, &scene->in[0]);
    struct array both = array_make(2 * channels), of_dx = array_make(3 * channels);
    struct array sums = workspace_make((size_t)(3 * BLOCKS * channels) * sizeof(double));
    double *block_sums = (double *)(void *)sums.data;
    const struct norm_load norm = coefficients(scene, &both);
    for (int block = 0; block < BLOCKS; block++)
        kernels->norm_grad_sums(block_sums + 3 * block * channels, dy, x, &norm, shape.pixels, channels, block, BLOCKS);
    norm_grad_finish(scene->grad[1].data, scene->grad[2].data, scene->grad[3].data, of_dx.data, block_sums, BLOCKS,
                     scene->more[0].data, scene->more[1].data, scene->in[1].data, scene->in[3].data, &shape);
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->norm_grad_apply(feature(&features, &scene->grad[0]), dy, x, &norm, of_dx.data, shape.pixels, channels, slab,
                                 scene->slabs);
    ck_assert_msg(guarded(&sums), "norm_grad_sums wrote outside its sums");
    features_return(&features);
    array_free(&both), array_free(&of_dx), array_free(&sums);
}

/* ---- max_pool2: inputs x, scale, offset, and what is added to its gradient; more: the indices, bytes in an array of floats */

static struct grid pooled(const struct grid *grid) {
    struct grid out = *grid;
    for (int a = 3 - grid->ndim; a < 3; a++) out.size[a] /= 2;
    return out;
}

static void pool_draw(struct scene *scene) {
    scene->to = pooled(&scene->grid);
    const int64_t count = grid_pixels(&scene->grid) * scene->channels;
    scene->in[0] = array_make(count);
    for (int64_t i = 0; i < count; i++) /* far apart against the step of finite differences, or equal */
        scene->in[0].data[i] = 0.25f * (float)draw_integer(scene, -40, 40);
    norm_load_draw(scene, 1);
    if (scene->with_plus) scene->in[3] = uniform(scene, count, -1, 1);
    scene->grad[0] = array_make(count);
    output(scene, grid_pixels(&scene->to) * scene->channels);
    scene->more[0] = array_make(scene->out.count);
    memset(scene->more[0].data, 0, (size_t)scene->out.count * sizeof(float));
}

static void pool_forward(const struct kernels *kernels, struct scene *scene) {
    struct features features = {kernels->element};
    struct norm_load norm;
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->max_pool2(feature(&features, &scene->out), (uint8_t *)scene->more[0].data, feature(&features, &scene->in[0]),
                           norm_load(&norm, scene, 1), &scene->grid, scene->channels, slab, scene->slabs);
    features_return(&features);
}

static void pool_backward(const struct kernels *kernels, struct scene *scene) {
    struct features features = {kernels->element};
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->max_pool2_grad(feature(&features, &scene->grad[0]), feature(&features, &scene->in[3]),
                                feature(&features, &scene->out_grad), (uint8_t *)scene->more[0].data, &scene->grid, scene->channels,
                                slab, scene->slabs);
    features_return(&features);
}

/* ---- upsample: inputs deep, scale, offset */

static struct grid doubled(const struct grid *grid) {
    struct grid out = *grid;
    for (int a = 3 - grid->ndim; a < 3; a++) out.size[a] *= 2;
    return out;
}

static void upsample_draw(struct scene *scene) {
    scene->to = doubled(&scene->grid);
    scene->in[0] = uniform(scene, grid_pixels(&scene->grid) * scene->channels, -1, 1);
    norm_load_draw(scene, 1);
    scene->grad[0] = array_make(scene->in[0].count);
    output(scene, grid_pixels(&scene->to) * scene->channels);
}

static void upsample_forward(const struct kernels *kernels, struct scene *scene) {
    struct features features = {kernels->element};
    struct norm_load norm;
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->upsample(feature(&features, &scene->out), feature(&features, &scene->in[0]), norm_load(&norm, scene, 1),
                          &scene->grid, scene->channels, slab, scene->slabs);
    features_return(&features);
}

static void upsample_backward(const struct kernels *kernels, struct scene *scene) {
    struct features features = {kernels->element};
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->upsample_grad(feature(&features, &scene->grad[0]), feature(&features, &scene->out_grad), &scene->grid,
                               scene->channels, slab, scene->slabs);
    features_return(&features);
}

/* ---- resize_corners: input x */

static void resize_draw(struct scene *scene) {
    scene->to = scene->grid;
    for (int a = 3 - scene->grid.ndim; a < 3; a++)
        scene->to.size[a] = draw_integer(scene, 0, 1) ? 2 * scene->grid.size[a] : draw_integer(scene, 1, 30);
    scene->scale = random_uniform(&scene->random, 0.5f, 2);
    scene->in[0] = uniform(scene, grid_pixels(&scene->grid) * scene->channels, -1, 1);
    scene->grad[0] = array_make(scene->in[0].count);
    output(scene, grid_pixels(&scene->to) * scene->channels);
}

static void resize_forward(const struct kernels *kernels, struct scene *scene) {
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->resize_corners(scene->out.data, scene->in[0].data, &scene->grid, &scene->to, scene->channels, scene->scale, slab,
                                scene->slabs);
}

static void resize_backward(const struct kernels *kernels, struct scene *scene) {
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->resize_corners_grad(scene->grad[0].data, scene->out_grad.data, &scene->grid, &scene->to, scene->channels,
                                     scene->scale, slab, scene->slabs);
}

/* ---- warp: inputs src, field */

static void warp_draw(struct scene *scene) {
    const int64_t pixels = grid_pixels(&scene->grid);
    scene->in[0] = uniform(scene, pixels * scene->channels, -1, 1);
    scene->in[1] = array_make(pixels * scene->grid.ndim);
    for (int64_t i = 0; i < scene->in[1].count; i++) /* inside a cell, so that a small step stays there */
        scene->in[1].data[i] = (float)draw_integer(scene, -4, 4) + random_uniform(&scene->random, 0.2f, 0.8f);
    for (int i = 0; i < 2; i++) scene->grad[i] = array_make(scene->in[i].count);
    output(scene, pixels * scene->channels);
}

static void warp_forward(const struct kernels *kernels, struct scene *scene) {
    struct features features = {kernels->element};
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->warp(feature(&features, &scene->out), feature(&features, &scene->in[0]), scene->in[1].data, &scene->grid,
                      scene->channels, scene->coordinates, slab, scene->slabs);
    features_return(&features);
}

static void warp_backward(const struct kernels *kernels, struct scene *scene) {
    struct features features = {kernels->element};
    struct array sums = array_make(scene->in[0].count);
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->warp_grad(feature(&features, &scene->grad[0]), scene->grad[1].data, feature(&features, &scene->out_grad),
                           feature(&features, &scene->in[0]), scene->in[1].data, &scene->grid, scene->channels, scene->coordinates,
                           slab, scene->slabs, kernels->element == ELEMENT_BF16 ? sums.data : NULL);
    features_return(&features);
    ck_assert_msg(guarded(&sums), "warp_grad wrote outside its sums");
    array_free(&sums);
}

/* ---- mov: inputs query, key */

static struct mov_shape mov_shape(const struct scene *scene) {
    return (struct mov_shape){scene->grid, scene->channels, scene->heads, scene->radius};
}

static void mov_draw(struct scene *scene) {
    scene->heads = (int)draw_integer(scene, 1, 4);
    scene->radius = (int)draw_integer(scene, 1, scene->grid.ndim == 2 ? 4 : 2);
    if (scene->grid.ndim == 2 && draw_integer(scene, 0, 9) == 0) scene->radius = (int)draw_integer(scene, 9, 17);
    if (scene->grid.ndim == 2 && scene->grid.size[1] > 5 &&
        draw_integer(scene, 0, 2) == 0) { /* several turns between keys and pixels */
        scene->grid.size[1] = 7;
        scene->grid.size[2] = draw_integer(scene, 120, 280);
    }
    scene->channels = scene->heads * draw_integer(scene, 1, 10);
    const int64_t pixels = grid_pixels(&scene->grid);
    for (int i = 0; i < 2; i++) {
        scene->in[i] = uniform(scene, pixels * scene->channels, -2, 2);
        scene->grad[i] = array_make(pixels * scene->channels);
    }
    const struct mov_shape shape = mov_shape(scene);
    scene->workspace = workspace_make(mov_workspace(&shape, true));
    output(scene, pixels * scene->grid.ndim);
}

static void mov_forward(const struct kernels *kernels, struct scene *scene) {
    const struct mov_shape shape = mov_shape(scene);
    struct array workspace = workspace_make(mov_workspace(&shape, false));
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->mov(scene->out.data, scene->in[0].data, scene->in[1].data, &shape, slab, scene->slabs, workspace.data);
    ck_assert_msg(guarded(&workspace), "mov wrote outside its workspace");
    array_free(&workspace);
}

static void mov_backward(const struct kernels *kernels, struct scene *scene) {
    const struct mov_shape shape = mov_shape(scene);
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->mov_grad(scene->grad[0].data, scene->grad[1].data, scene->out_grad.data, scene->in[0].data, scene->in[1].data,
                          &shape, slab, scene->slabs, scene->workspace.data);
}

/* ---- losses: inputs prediction, truth, mask, and a, b, mask; the output is one sum and its gradient +1 or -1 */

static void mask_draw(struct scene *scene) {
    scene->in[2] = array_make(grid_pixels(&scene->grid));
    for (int64_t i = 0; i < scene->in[2].count; i++) scene->in[2].data[i] = draw_integer(scene, 0, 3) ? 1 : 0;
}

static void vector_loss_draw(struct scene *scene) {
    const int64_t count = grid_pixels(&scene->grid) * scene->grid.ndim;
    for (int i = 0; i < 2; i++) scene->in[i] = uniform(scene, count, -2, 2);
    for (int64_t i = 0; i < count; i += 7) scene->in[1].data[i] = scene->in[0].data[i];
    mask_draw(scene);
    scene->grad[0] = array_make(count);
    output(scene, 1);
    scene->out_grad.data[0] = 1;
}

static void vector_loss_forward(const struct kernels *kernels, struct scene *scene) {
    double sum = 0;
    for (int block = 0; block < BLOCKS; block++)
        sum += kernels->vector_loss(scene->in[0].data, scene->in[1].data, scene->in[2].data, grid_pixels(&scene->grid),
                                    scene->grid.ndim, block, BLOCKS);
    scene->out.data[0] = (float)sum;
}

static void vector_loss_backward(const struct kernels *kernels, struct scene *scene) {
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->vector_loss_grad(scene->grad[0].data, scene->in[0].data, scene->in[1].data, scene->in[2].data,
                                  grid_pixels(&scene->grid), scene->grid.ndim, slab, scene->slabs);
}

static void cosine_draw(struct scene *scene) {
    const int64_t count = grid_pixels(&scene->grid) * scene->channels;
    for (int i = 0; i < 2; i++) {
        scene->in[i] = uniform(scene, count, 0.1f, 2);
        for (int64_t k = 0; k < count; k++)
            if (draw_integer(scene, 0, 1)) scene->in[i].data[k] *= -1;
        scene->grad[i] = array_make(count);
    }
    mask_draw(scene);
    output(scene, 1);
    scene->out_grad.data[0] = -1;
}

static void cosine_forward(const struct kernels *kernels, struct scene *scene) {
    struct features features = {kernels->element};
    double sum = 0;
    for (int block = 0; block < BLOCKS; block++)
        sum += kernels->cosine_sum(feature(&features, &scene->in[0]), feature(&features, &scene->in[1]), scene->in[2].data,
                                   grid_pixels(&scene->grid), scene->channels, block, BLOCKS);
    scene->out.data[0] = (float)sum;
    features_return(&features);
}

static void cosine_backward(const struct kernels *kernels, struct scene *scene) {
    struct features features = {kernels->element};
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->cosine_sum_grad(feature(&features, &scene->grad[0]), feature(&features, &scene->grad[1]),
                                 feature(&features, &scene->in[0]), feature(&features, &scene->in[1]), scene->in[2].data,
                                 grid_pixels(&scene->grid), scene->channels, 1, slab, scene->slabs);
    features_return(&features);
}

/* ---- losses of a task: inputs logits, target, class weights; more: the statistics.  The gradient of the output says how
 * much each of the two losses counts, times the pixels that a mean divides by, so that slopes are far from zero. */

static struct softmax_loss softmax_loss(const struct scene *scene) {
    return (struct softmax_loss){grid_pixels(&scene->grid), scene->channels, scene->out_grad.data[0], scene->out_grad.data[1], 1};
}

static void task_loss_draw(struct scene *scene, int64_t target_channels, int64_t statistics) {
    const int64_t count = grid_pixels(&scene->grid) * scene->channels;
    scene->in[0] = uniform(scene, count, -4, 4);
    scene->in[1] = array_make(grid_pixels(&scene->grid) * target_channels);
    for (int64_t i = 0; i < scene->in[1].count; i++) /* one in six or so is not known */
        scene->in[1].data[i] =
            draw_integer(scene, 0, 5) ? (float)draw_integer(scene, 0, statistics > 1 ? scene->channels - 1 : 1) : -1;
    if (scene->with_bias) scene->in[2] = uniform(scene, scene->channels, 0.2f, 2);
    scene->grad[0] = array_make(count);
    scene->more[0] = array_make(statistics);
    scene->workspace = workspace_make((size_t)statistics * sizeof(double));
}

static void statistics_found(struct scene *scene) {
    for (int64_t i = 0; i < scene->more[0].count; i++) scene->more[0].data[i] = (float)((double *)(void *)scene->workspace.data)[i];
}

static void softmax_loss_draw(struct scene *scene) {
    scene->channels += scene->channels == 1;
    if (scene->grid.ndim == 2 && draw_integer(scene, 0, 9) == 0) scene->channels = 300;
    task_loss_draw(scene, 1, 1 + 3 * scene->channels);
    output(scene, 2);
    for (int i = 0; i < 2; i++) scene->out_grad.data[i] *= (float)grid_pixels(&scene->grid);
    if (draw_integer(scene, 0, 3) == 0) scene->out_grad.data[1] = 0;
}

static void softmax_loss_forward(const struct kernels *kernels, struct scene *scene) {
    const struct softmax_loss shape = softmax_loss(scene);
    double loss[2];
    kernels->softmax_loss(loss, (double *)(void *)scene->workspace.data, scene->in[0].data, scene->in[1].data, scene->in[2].data,
                          &shape);
    for (int i = 0; i < 2; i++) scene->out.data[i] = (float)loss[i];
    statistics_found(scene);
}

static void softmax_loss_backward(const struct kernels *kernels, struct scene *scene) {
    const struct softmax_loss shape = softmax_loss(scene);
    kernels->softmax_loss_grad(scene->grad[0].data, scene->in[0].data, scene->in[1].data, scene->in[2].data,
                               (double *)(void *)scene->workspace.data, &shape);
}

static void sigmoid_loss_draw(struct scene *scene) {
    task_loss_draw(scene, scene->channels, 1);
    output(scene, 1);
    scene->out_grad.data[0] = 1;
}

/* The sum in place of the mean. */
static void sigmoid_loss_forward(const struct kernels *kernels, struct scene *scene) {
    const double mean = kernels->sigmoid_loss((double *)(void *)scene->workspace.data, scene->in[0].data, scene->in[1].data,
                                              scene->in[2].data, grid_pixels(&scene->grid), scene->channels);
    statistics_found(scene);
    scene->out.data[0] = (float)(mean * scene->more[0].data[0]);
}

static void sigmoid_loss_backward(const struct kernels *kernels, struct scene *scene) {
    kernels->sigmoid_loss_grad(scene->grad[0].data, scene->in[0].data, scene->in[1].data, scene->in[2].data,
                               (double *)(void *)scene->workspace.data, grid_pixels(&scene->grid), scene->channels);
    for (int64_t i = 0; i < scene->grad[0].count; i++) scene->grad[0].data[i] *= scene->more[0].data[0];
}

/* ---- global_pool: input x */

static void global_pool_draw(struct scene *scene) {
    scene->in[0] = uniform(scene, grid_pixels(&scene->grid) * scene->channels, -1, 1);
    scene->grad[0] = array_make(scene->in[0].count);
    output(scene, scene->channels);
}

static void global_pool_forward(const struct kernels *kernels, struct scene *scene) {
    struct features features = {kernels->element};
    kernels->global_pool(feature(&features, &scene->out), feature(&features, &scene->in[0]), grid_pixels(&scene->grid),
                         scene->channels);
    features_return(&features);
}

static void global_pool_backward(const struct kernels *kernels, struct scene *scene) {
    struct features features = {kernels->element};
    kernels->global_pool_grad(feature(&features, &scene->grad[0]), feature(&features, &scene->out_grad), grid_pixels(&scene->grid),
                              scene->channels);
    features_return(&features);
}

/* ---- flat vectors; adam leaves weights and moments in `more` */

static void vectors_draw(struct scene *scene) {
    const int64_t count = grid_pixels(&scene->grid) * scene->channels;
    for (int i = 0; i < 4; i++) scene->in[i] = uniform(scene, count, i == 3 ? 0 : -1, 1);
    output(scene, count);
}

/* ---- widen: inputs x, scale, offset */

static void widen_draw(struct scene *scene) {
    const int64_t count = grid_pixels(&scene->grid) * scene->channels;
    for (int i = 0; i < 3; i++) scene->in[i] = uniform(scene, i ? scene->channels : count, -1, 1);
    output(scene, count);
}
static void widen_forward(const struct kernels *kernels, struct scene *scene) {
    const struct norm_load norm = {scene->in[1].data, scene->in[2].data, 0.2f};
    struct features features = {kernels->element};
    const void *x = feature(&features, &scene->in[0]);
    for (int slab = 0; slab < scene->slabs; slab++)
        kernels->widen(scene->out.data, x, scene->with_norm ? &norm : NULL, grid_pixels(&scene->grid), scene->channels, slab,
                       scene->slabs);
    features_return(&features);
}

static void add_forward(const struct kernels *kernels, struct scene *scene) {
    struct features features = {kernels->element};
    kernels->add(feature(&features, &scene->out), feature(&features, &scene->in[0]), feature(&features, &scene->in[1]),
                 scene->out.count);
    features_return(&features);
}

static void square_sum_draw(struct scene *scene) {
    scene->in[0] = uniform(scene, grid_pixels(&scene->grid) * scene->channels, -1, 1);
    output(scene, 1);
}

static void square_sum_forward(const struct kernels *kernels, struct scene *scene) {
    scene->out.data[0] = (float)kernels->square_sum(scene->in[0].data, scene->in[0].count);
}

static void adam_draw(struct scene *scene) {
    vectors_draw(scene);
    for (int i = 0; i < 3; i++) scene->more[i] = array_make(scene->out.count);
}

static void adam_forward(const struct kernels *kernels, struct scene *scene) {
    const struct adam adam = {.lr = 1e-2,
                              .beta1 = 0.9,
                              .beta2 = 0.999,
                              .epsilon = 1e-8,
                              .weight_decay = 1e-2,
                              .correction1 = 1 - pow(0.9, 3),
                              .correction2 = 1 - pow(0.999, 3),
                              .scale = 0.5};
    const int from[] = {0, 1, 3}; /* weights, m, v >= 0 */
    for (int i = 0; i < 3; i++) memcpy(scene->more[i].data, scene->in[from[i]].data, (size_t)scene->out.count * sizeof(float));
    kernels->adam(scene->more[0].data, scene->more[1].data, scene->more[2].data, scene->in[2].data, scene->out.count, &adam);
    memcpy(scene->out.data, scene->more[0].data, (size_t)scene->out.count * sizeof(float));
}

/* ---- rows: inputs a, b, weights; more: what weights mix of b, inverse lengths, the shares of a row */

static void rows_draw(struct scene *scene) {
    const int64_t rows = draw_integer(scene, 1, 11), keys = draw_integer(scene, 1, 70);
    scene->in[0] = uniform(scene, rows * scene->channels, -1, 1), scene->in[1] = uniform(scene, keys * scene->channels, -1, 1);
    scene->in[2] = uniform(scene, rows * keys, -1, 1), scene->scale = random_uniform(&scene->random, 1, 14);
    scene->more[0] = array_make(rows * scene->channels), scene->more[1] = array_make(rows);
    output(scene, rows * keys);
}
static void row_products_forward(const struct kernels *kernels, struct scene *scene) {
    const int64_t channels = scene->channels, rows = scene->in[0].count / channels, keys = scene->in[1].count / channels;
    memset(scene->more[0].data, 0, (size_t)scene->more[0].count * sizeof(float));
    for (int slab = 0; slab < scene->slabs; slab++) {
        const int64_t first = rows * slab / scene->slabs, count = rows * (slab + 1) / scene->slabs - first;
        if (count == 0) continue;
        const float *a = scene->in[0].data + first * channels;
        kernels->row_products(scene->out.data + first * keys, keys, a, count, scene->in[1].data, keys, channels);
        kernels->row_mix(scene->more[0].data + first * channels, scene->in[2].data + first * keys, keys, count, scene->in[1].data,
                         keys, channels);
        kernels->row_inverses(scene->more[1].data + first, a, count, channels);
    }
}
static void row_shares_forward(const struct kernels *kernels, struct scene *scene) {
    const int64_t rows = scene->in[0].count / scene->channels, keys = scene->in[2].count / rows;
    for (int64_t i = 0; i < scene->more[0].count; i++) scene->more[0].data[i] = 0;
    for (int64_t i = 0; i < rows; i++) {
        float largest;
        const float *row = scene->in[2].data + i * keys;
        const double sum = kernels->row_log_sum(&largest, row, keys, scene->scale);
        scene->more[0].data[i * scene->channels] = largest, scene->more[1].data[i] = (float)sum;
        kernels->row_shares(scene->out.data + i * keys, row, keys, scene->scale, sum, 3);
    }
}

/* ---- the table */

#define AT(kernel) offsetof(struct kernels, kernel)

const struct operation operations[] = {
    {"norm_act",
     {AT(norm_sums), AT(norm_apply), AT(norm_grad_sums), AT(norm_grad_apply)},
     norm_draw,
     norm_forward,
     norm_backward,
     3e-5,
     1e-2f,
     true},
    {"max_pool2", {AT(max_pool2), AT(max_pool2_grad)}, pool_draw, pool_forward, pool_backward, 0, 0.1f, true},
    {"upsample", {AT(upsample), AT(upsample_grad)}, upsample_draw, upsample_forward, upsample_backward, 2e-6, 0.5f, false},
    {"resize_corners",
     {AT(resize_corners), AT(resize_corners_grad)},
     resize_draw,
     resize_forward,
     resize_backward,
     2e-5,
     0.5f,
     false},
    {"warp", {AT(warp), AT(warp_grad)}, warp_draw, warp_forward, warp_backward, 5e-6, 0.1f, true},
    {"mov", {AT(mov), AT(mov_grad)}, mov_draw, mov_forward, mov_backward, 1e-5, 2e-2f, false},
    {"vector_loss",
     {AT(vector_loss), AT(vector_loss_grad)},
     vector_loss_draw,
     vector_loss_forward,
     vector_loss_backward,
     1e-6,
     1e-3f,
     true},
    {"cosine_sum", {AT(cosine_sum), AT(cosine_sum_grad)}, cosine_draw, cosine_forward, cosine_backward, 1e-5, 1e-2f, false},
    {"softmax_loss",
     {AT(softmax_loss), AT(softmax_loss_grad)},
     softmax_loss_draw,
     softmax_loss_forward,
     softmax_loss_backward,
     1e-5,
     0.1f,
     false},
    {"sigmoid_loss",
     {AT(sigmoid_loss), AT(sigmoid_loss_grad)},
     sigmoid_loss_draw,
     sigmoid_loss_forward,
     sigmoid_loss_backward,
     1e-5,
     0.1f,
     false},
    {"global_pool",
     {AT(global_pool), AT(global_pool_grad)},
     global_pool_draw,
     global_pool_forward,
     global_pool_backward,
     2e-7,
     0.5f,
     false},
    {"widen", {AT(widen)}, widen_draw, widen_forward, NULL, 1e-6, 0, false},
    {"row_products", {AT(row_products), AT(row_mix), AT(row_inverses)}, rows_draw, row_products_forward, NULL, 2e-6, 0, false},
    {"row_shares", {AT(row_log_sum), AT(row_shares)}, rows_draw, row_shares_forward, NULL, 3e-6, 0, false},
    {"add", {AT(add)}, vectors_draw, add_forward, NULL, 0, 0, false},
    {"square_sum", {AT(square_sum)}, square_sum_draw, square_sum_forward, NULL, 1e-6, 0, false},
    {"adam", {AT(adam)}, adam_draw, adam_forward, NULL, 2e-6, 0, false},
};
const int count_operations = sizeof operations / sizeof *operations;

const struct operation *operation_named(const char *name) {
    for (int i = 0; i < count_operations; i++)
        if (!strcmp(operations[i].name, name)) return &operations[i];
    ck_abort_msg("no operation is named %s", name);
    return NULL;
}
