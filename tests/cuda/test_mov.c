/* The kernels of cuda/kernels/mov.cu against plain C: shapes at random, every radius and number of heads and channels that has a
 * form of its own, and some that have none. */
#include "device_array.h"

#include "cpu/kernels.h"
#include "cuda/kernels.h"

#include <math.h>
#include <stdio.h>

enum { SEEDS = 48 };

struct scene {
    struct cuda_mov_shape shape;
    int64_t pixels; /* of all images */
    float *query, *key, *dfield;
};

static struct scene scene_draw(uint64_t seed) {
    static const int dims[] = {8, 8, 8, 8, 1, 3, 7, 9, 16, 32, 33}, heads[] = {1, 1, 4, 2, 3};
    struct random_stream random = random_stream(seed, RANDOM_TEST, 2, 0), *r = &random;
    struct scene s = {0};
    struct grid *grid = &s.shape.grid;
    *grid = (struct grid){.ndim = pick(r, 2, 3), .size = {1, 1, 1}};
    for (int a = 3 - grid->ndim; a < 3; a++) grid->size[a] = pick(r, 0, 7) ? pick(r, 2, grid->ndim == 3 ? 6 : 19) : 1;
    if (pick(r, 0, 1)) grid->size[2] = pick(r, 20, 40); /* more than one tile */
    s.shape.images = pick(r, 1, grid->ndim == 3 ? 2 : 3), s.shape.heads = heads[pick(r, 0, 4)];
    s.shape.channels = s.shape.heads * dims[pick(r, 0, 10)], s.shape.radius = seed < 5 ? (int)seed + 1 : pick(r, 1, 3);
    s.pixels = s.shape.images * grid_pixels(grid);
    s.query = random_floats(r, s.pixels * s.shape.channels, 2), s.key = random_floats(r, s.pixels * s.shape.channels, 2);
    s.dfield = random_floats(r, s.pixels * grid->ndim, 1);
    return s;
}
static void scene_free(struct scene *s) { free(s->query), free(s->key), free(s->dfield); }

struct results {
    float *field, *dquery, *dkey;
};
static void results_free(struct results *r) { free(r->field), free(r->dquery), free(r->dkey); }
static size_t feature_bytes(const struct scene *s) { return (size_t)(s->pixels * s->shape.channels) * sizeof(float); }
static size_t field_bytes(const struct scene *s) { return (size_t)(s->pixels * s->shape.grid.ndim) * sizeof(float); }

static struct results on_the_device(const struct scene *s) {
    struct device_array query = device_array(s->query, feature_bytes(s)), key = device_array(s->key, feature_bytes(s)),
                        dfield = device_array(s->dfield, field_bytes(s)), field = device_array(NULL, field_bytes(s)),
                        dquery = device_array(NULL, feature_bytes(s)), dkey = device_array(NULL, feature_bytes(s)),
                        workspace = device_array(NULL, cuda_mov_grad_workspace(&s->shape));
    ck_cuda(cuda_mov(NULL, on_device(&field), on_device(&query), on_device(&key), &s->shape));
    ck_cuda(cuda_mov_grad(NULL, on_device(&dquery), on_device(&dkey), on_device(&dfield), on_device(&query), on_device(&key),
                          &s->shape, on_device(&workspace)));
    const struct results results = {fetched(&field), fetched(&dquery), fetched(&dkey)};
    free(fetched(&workspace));
    struct device_array *all[] = {&query, &key, &dfield, &field, &dquery, &dkey, &workspace};
    for (int i = 0; i < 7; i++) device_release(all[i]);
    return results;
}

static struct results in_plain_c(const struct scene *s) {
    const struct kernels *tables[KERNEL_TABLES];
    ck_assert_int_ge(kernels_available(tables, 0, ELEMENT_F32), 1);
    const struct mov_shape shape = {s->shape.grid, s->shape.channels, s->shape.heads, s->shape.radius};
    const int64_t features = grid_pixels(&shape.grid) * shape.channels, vectors = grid_pixels(&shape.grid) * shape.grid.ndim;
    struct results r = {malloc(field_bytes(s)), malloc(feature_bytes(s)), malloc(feature_bytes(s))};
    void *workspace = malloc(mov_workspace(&shape, true) + mov_workspace(&shape, false));
    for (int64_t i = 0; i < s->shape.images; i++) {
        const float *query = s->query + i * features, *key = s->key + i * features;
        tables[0]->mov(r.field + i * vectors, query, key, &shape, 0, 1, workspace);
        tables[0]->mov_grad(r.dquery + i * features, r.dkey + i * features, s->dfield + i * vectors, query, key, &shape, 0, 1,
                            workspace);
    }
    free(workspace);
    return r;
}

static void compare(const struct scene *s, double tolerance) {
    struct results found = on_the_device(s), expected = in_plain_c(s);
    char what[160];
    const int64_t *size = s->shape.grid.size;
    snprintf(what, sizeof what, "%d images of %dx%dx%d, radius %d, %d heads of %d channels", s->shape.images, (int)size[0],
             (int)size[1], (int)size[2], s->shape.radius, s->shape.heads, (int)s->shape.channels / s->shape.heads);
    check_close(found.field, expected.field, s->pixels * s->shape.grid.ndim, ELEMENT_F32, tolerance, what);
    check_close(found.dquery, expected.dquery, s->pixels * s->shape.channels, ELEMENT_F32, tolerance, what);
    check_close(found.dkey, expected.dkey, s->pixels * s->shape.channels, ELEMENT_F32, tolerance, what);
    results_free(&found), results_free(&expected);
}

START_TEST(vectors_and_their_gradients_are_those_of_plain_c) {
    struct scene s = scene_draw((uint64_t)_i);
    compare(&s, 1e-5);
    scene_free(&s);
}
END_TEST

START_TEST(keys_outside_win_when_all_inside_are_far_below_them) {
    struct scene s = scene_draw(50);
    for (int64_t i = 0; i < s.pixels * s.shape.channels; i++) s.query[i] = 40, s.key[i] = i % 3 ? -40 : -41;
    compare(&s, 1e-2); /* logits are in the thousands */
    scene_free(&s);
}
END_TEST

START_TEST(what_is_not_a_number_shows_where_it_takes_part) {
    struct scene s = scene_draw(60 + (uint64_t)_i);
    float *into[] = {s.query, s.key, s.dfield};
    into[_i][(_i < 2 ? s.shape.channels : s.shape.grid.ndim) * (s.pixels / 2)] = NAN;
    compare(&s, 1e-5);
    scene_free(&s);
}
END_TEST

START_TEST(runs_in_any_order_give_the_same_bits) {
    struct scene s = scene_draw(70 + (uint64_t)_i);
    struct results one = on_the_device(&s);
    cudasim_seed(3 + (uint64_t)_i);
    struct results two = on_the_device(&s);
    ck_assert_mem_eq(one.field, two.field, field_bytes(&s));
    ck_assert_mem_eq(one.dquery, two.dquery, feature_bytes(&s));
    ck_assert_mem_eq(one.dkey, two.dkey, feature_bytes(&s));
    results_free(&one), results_free(&two), scene_free(&s);
}
END_TEST

START_TEST(each_call_of_the_runtime_that_fails_is_told) {
    struct scene s = scene_draw(80 + (uint64_t)_i);
    if (_i) s.shape.radius = 5; /* without tiles */
    struct device_array query = device_array(s.query, feature_bytes(&s)), dfield = device_array(s.dfield, field_bytes(&s)),
                        field = device_array(NULL, field_bytes(&s)), dquery = device_array(NULL, feature_bytes(&s)),
                        dkey = device_array(NULL, feature_bytes(&s)),
                        workspace = device_array(NULL, cuda_mov_grad_workspace(&s.shape));
    check_each_failure(cuda_mov(NULL, on_device(&field), on_device(&query), on_device(&query), &s.shape),
                       cudaErrorLaunchOutOfResources);
    check_each_failure(cuda_mov_grad(NULL, on_device(&dquery), on_device(&dkey), on_device(&dfield), on_device(&query),
                                     on_device(&query), &s.shape, on_device(&workspace)),
                       cudaErrorLaunchOutOfResources);
    struct device_array *all[] = {&query, &dfield, &field, &dquery, &dkey, &workspace};
    for (int i = 0; i < 6; i++) device_release(all[i]);
    scene_free(&s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cuda: MoV");
    TCase *tcase = tcase_create("MoV");
    tcase_add_loop_test(tcase, vectors_and_their_gradients_are_those_of_plain_c, 0, SEEDS);
    ADD(tcase, keys_outside_win_when_all_inside_are_far_below_them);
    tcase_add_loop_test(tcase, what_is_not_a_number_shows_where_it_takes_part, 0, 3);
    tcase_add_loop_test(tcase, runs_in_any_order_give_the_same_bits, 0, 3);
    ADD_EMULATED_LOOP(tcase, each_call_of_the_runtime_that_fails_is_told, 0, 2);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
