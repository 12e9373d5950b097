/* The kernels of cuda/kernels/warp.cu against plain C: shapes at random, both elements, both kinds of coordinates, fields that
 * lead anywhere; and what plain C does not promise, that the sums of the source's gradient never depend on an order. */
#include "device_array.h"

#include "cpu/kernels.h"
#include "cuda/kernels.h"

#include <math.h>
#include <stdio.h>

enum { SEEDS = 40 };

struct scene {
    struct grid grid;
    int images;
    int64_t channels, pixels; /* of all images */
    enum element element;
    enum coordinates coordinates;
    void *src, *dy;
    float *field;
    struct random_stream random;
};

static struct scene scene_draw(uint64_t seed) {
    static const int channels[] = {1, 2, 3, 4, 5, 8, 12, 16, 32, 33, 40, 72};
    struct scene s = {.random = random_stream(seed, RANDOM_TEST, 1, 0)};
    struct random_stream *r = &s.random;
    s.grid = (struct grid){.ndim = pick(r, 2, 3), .size = {1, 1, 1}};
    for (int a = 3 - s.grid.ndim; a < 3; a++) s.grid.size[a] = pick(r, 0, 5) ? pick(r, 2, s.grid.ndim == 3 ? 7 : 21) : 1;
    s.images = pick(r, 1, 3), s.channels = channels[pick(r, 0, 11)];
    s.element = pick(r, 0, 1) ? ELEMENT_BF16 : ELEMENT_F32;
    s.coordinates = pick(r, 0, 1) ? COORDINATES_RELEASED : COORDINATES_EXACT;
    s.pixels = s.images * grid_pixels(&s.grid);
    const float reach = pick(r, 0, 1) ? 1.5f : 12;
    float *src = random_floats(r, s.pixels * s.channels, 2), *dy = random_floats(r, s.pixels * s.channels, 1);
    s.field = random_floats(r, s.pixels * s.grid.ndim, reach);
    static const float far[] = {NAN, INFINITY, -INFINITY, 3e38f, -5e9f, 0, -1, 2};
    for (int64_t i = 0; i < s.pixels * s.grid.ndim; i++)
        if (pick(r, 0, 15) == 0) s.field[i] = far[pick(r, 0, 7)];
    if (pick(r, 0, 3) == 0) /* a smooth field */
        for (int64_t i = 0; i < s.pixels * s.grid.ndim; i++) s.field[i] = 0.3f * (float)(i % s.grid.ndim);
    s.src = as_elements(src, s.pixels * s.channels, s.element), s.dy = as_elements(dy, s.pixels * s.channels, s.element);
    free(src), free(dy);
    return s;
}
static void scene_free(struct scene *s) { free(s->src), free(s->dy), free(s->field); }

static size_t bytes_of(const struct scene *s) { return (size_t)(s->pixels * s->channels) * element_bytes(s->element); }
static size_t field_bytes(const struct scene *s) { return (size_t)(s->pixels * s->grid.ndim) * sizeof(float); }

struct results {
    void *y, *dsrc;
    float *dfield;
};
static void results_free(struct results *r) { free(r->y), free(r->dsrc), free(r->dfield); }

static struct results on_the_device(const struct scene *s, bool want_dsrc, bool want_dfield) {
    struct device_array src = device_array(s->src, bytes_of(s)), dy = device_array(s->dy, bytes_of(s)),
                        field = device_array(s->field, field_bytes(s)), y = device_array(NULL, bytes_of(s)),
                        dsrc = device_array(NULL, bytes_of(s)), dfield = device_array(NULL, field_bytes(s)),
                        workspace = device_array(NULL, cuda_warp_grad_workspace(s->images, &s->grid, s->channels, want_dsrc));
    ck_cuda(cuda_warp(NULL, on_device(&y), on_device(&src), s->element, on_device(&field), s->images, &s->grid, s->channels,
                      s->coordinates));
    ck_cuda(cuda_warp_grad(NULL, want_dsrc ? on_device(&dsrc) : NULL, want_dfield ? on_device(&dfield) : NULL, on_device(&dy),
                           want_dfield ? on_device(&src) : NULL, s->element, on_device(&field), s->images, &s->grid, s->channels,
                           s->coordinates, on_device(&workspace)));
    const struct results results = {fetched(&y), fetched(&dsrc), fetched(&dfield)};
    free(fetched(&workspace));
    struct device_array *all[] = {&src, &dy, &field, &y, &dsrc, &dfield, &workspace};
    for (int i = 0; i < 7; i++) device_release(all[i]);
    return results;
}

static struct results in_plain_c(const struct scene *s) {
    const struct kernels *tables[KERNEL_TABLES];
    ck_assert_int_ge(kernels_available(tables, 0, s->element), 1);
    struct results r = {malloc(bytes_of(s)), malloc(bytes_of(s)), malloc(field_bytes(s))};
    const int64_t pixels = grid_pixels(&s->grid);
    float *sums = malloc((size_t)(pixels * s->channels) * sizeof *sums);
    for (int image = 0; image < s->images; image++) {
        const size_t at = (size_t)(image * pixels * s->channels) * element_bytes(s->element);
        const float *field = s->field + image * pixels * s->grid.ndim;
        tables[0]->warp((char *)r.y + at, (char *)s->src + at, field, &s->grid, s->channels, s->coordinates, 0, 1);
        tables[0]->warp_grad((char *)r.dsrc + at, r.dfield + image * pixels * s->grid.ndim, (char *)s->dy + at, (char *)s->src + at,
                             field, &s->grid, s->channels, s->coordinates, 0, 1, sums);
    }
    free(sums);
    return r;
}

START_TEST(warps_and_their_gradients_are_those_of_plain_c) {
    struct scene s = scene_draw((uint64_t)_i);
    struct results found = on_the_device(&s, true, true), expected = in_plain_c(&s);
    check_close(found.y, expected.y, s.pixels * s.channels, s.element, 1e-6, "warp");
    check_close(found.dsrc, expected.dsrc, s.pixels * s.channels, s.element, 2e-6, "gradient of the source");
    check_close(found.dfield, expected.dfield, s.pixels * s.grid.ndim, ELEMENT_F32, 4e-6, "gradient of the field");
    results_free(&found), results_free(&expected), scene_free(&s);
}
END_TEST

START_TEST(runs_in_any_order_give_the_same_bits_and_each_gradient_may_be_asked_for_alone) {
    struct scene s = scene_draw(100 + (uint64_t)_i);
    struct results both = on_the_device(&s, true, true);
    cudasim_seed(7 + (uint64_t)_i);
    struct results dsrc = on_the_device(&s, true, false), dfield = on_the_device(&s, false, true);
    ck_assert_mem_eq(both.y, dsrc.y, bytes_of(&s));
    ck_assert_mem_eq(both.dsrc, dsrc.dsrc, bytes_of(&s));
    ck_assert_mem_eq(both.dfield, dfield.dfield, field_bytes(&s));
    for (size_t i = 0; i < bytes_of(&s); i++) ck_assert_int_eq(((unsigned char *)dfield.dsrc)[i], 0xff);
    results_free(&both), results_free(&dsrc), results_free(&dfield), scene_free(&s);
}
END_TEST

START_TEST(a_gradient_that_is_not_finite_shows_in_its_image_alone) {
    struct scene s = scene_draw(200 + (uint64_t)_i);
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const int64_t image_values = grid_pixels(&s.grid) * s.channels, victim = pick(&s.random, 0, (int)(s.pixels * s.channels) - 1);
    const float value = bad[_i % 3];
    if (s.element == ELEMENT_F32) ((float *)s.dy)[victim] = value;
    else ((bf16 *)s.dy)[victim] = bf16_from_float(value);
    struct results found = on_the_device(&s, true, false);
    for (int64_t i = 0; i < s.pixels * s.channels; i++)
        ck_assert_msg(isnan(element_at(found.dsrc, i, s.element)) == (i / image_values == victim / image_values),
                      "number %lld, the bad one is %lld", (long long)i, (long long)victim);
    results_free(&found), scene_free(&s);
}
END_TEST

START_TEST(gradients_of_any_magnitude_keep_their_digits) {
    static const float scales[] = {1e-38f, 1e-20f, 1e-3f, 1e10f, 1e36f};
    struct scene s = scene_draw(300);
    s.element = ELEMENT_F32;
    free(s.dy), free(s.src);
    s.src = random_floats(&s.random, s.pixels * s.channels, 1), s.dy = random_floats(&s.random, s.pixels * s.channels, 1);
    struct results one = on_the_device(&s, true, false);
    for (int64_t i = 0; i < s.pixels * s.channels; i++) ((float *)s.dy)[i] *= scales[_i];
    struct results scaled = on_the_device(&s, true, false);
    for (int64_t i = 0; i < s.pixels * s.channels; i++) {
        const double expected = (double)((float *)one.dsrc)[i], found = (double)((float *)scaled.dsrc)[i] / (double)scales[_i];
        ck_assert_double_le(fabs(found - expected), 1e-6);
    }
    results_free(&one), results_free(&scaled), scene_free(&s);
}
END_TEST

START_TEST(images_whose_sums_fill_the_cache_are_taken_a_few_at_a_time) {
    struct scene s = scene_draw(500);
    free(s.src), free(s.dy), free(s.field);
    s.grid = (struct grid){2, {1, 64, 64}}, s.images = 2, s.channels = 400, s.element = ELEMENT_BF16;
    s.pixels = s.images * 64 * 64;
    ck_assert_uint_lt(cuda_warp_grad_workspace(s.images, &s.grid, s.channels, true),
                      (size_t)(s.pixels * s.channels) * sizeof(int64_t));
    s.src = calloc(1, bytes_of(&s)), s.dy = calloc(1, bytes_of(&s)), s.field = random_floats(&s.random, s.pixels * 2, 3);
    for (int64_t p = 0; p < s.pixels; p++)
        if (p % 64 > 8) s.field[2 * p] = NAN; /* is over soon */
    for (int64_t i = 0; i < s.pixels * s.channels; i += 61) ((bf16 *)s.dy)[i] = bf16_from_float(random_uniform(&s.random, -1, 1));
    struct results found = on_the_device(&s, true, false), expected = in_plain_c(&s);
    check_close(found.dsrc, expected.dsrc, s.pixels * s.channels, s.element, 2e-6, "gradient of the source");
    results_free(&found), results_free(&expected), scene_free(&s);
}
END_TEST

START_TEST(every_pixel_may_be_added_to_one) {
    struct scene s = scene_draw(400);
    free(s.src), free(s.dy), free(s.field);
    s.grid = (struct grid){2, {1, 33, 65}}, s.images = 2, s.channels = 2, s.element = ELEMENT_F32,
    s.coordinates = COORDINATES_EXACT;
    s.pixels = s.images * 33 * 65;
    s.src = random_floats(&s.random, s.pixels * 2, 1), s.dy = random_floats(&s.random, s.pixels * 2, 1);
    s.field = random_floats(&s.random, s.pixels * 2, 1);
    for (int64_t p = 0; p < s.pixels; p++) {
        s.field[2 * p] = (float)(7 - p / 65 % 33), s.field[2 * p + 1] = (float)(40 - p % 65);
        ((float *)s.dy)[2 * p] = 3e38f / 4096, ((float *)s.dy)[2 * p + 1] = -1e33f;
    }
    struct results found = on_the_device(&s, true, false);
    for (int64_t i = 0; i < s.pixels * 2; i++) {
        const bool here = i / 2 % (33 * 65) == 7 * 65 + 40;
        const double expected = here ? (double)(i % 2 ? -1e33f : 3e38f / 4096) * 33 * 65 : 0;
        ck_assert_double_le(fabs((double)((float *)found.dsrc)[i] - expected), fabs(expected) * 1e-6);
    }
    results_free(&found), scene_free(&s);
}
END_TEST

START_TEST(each_call_of_the_runtime_that_fails_is_told) {
    struct scene s = scene_draw(600);
    struct device_array src = device_array(s.src, bytes_of(&s)), field = device_array(s.field, field_bytes(&s)),
                        out = device_array(NULL, bytes_of(&s)), dfield = device_array(NULL, field_bytes(&s)),
                        workspace = device_array(NULL, cuda_warp_grad_workspace(s.images, &s.grid, s.channels, true));
    check_each_failure(cuda_warp(NULL, on_device(&out), on_device(&src), s.element, on_device(&field), s.images, &s.grid,
                                 s.channels, s.coordinates),
                       cudaErrorLaunchOutOfResources);
    check_each_failure(cuda_warp_grad(NULL, on_device(&out), on_device(&dfield), on_device(&src), on_device(&src), s.element,
                                      on_device(&field), s.images, &s.grid, s.channels, s.coordinates, on_device(&workspace)),
                       cudaErrorLaunchOutOfResources);
    struct device_array *all[] = {&src, &field, &out, &dfield, &workspace};
    for (int i = 0; i < 5; i++) device_release(all[i]);
    scene_free(&s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cuda: warp");
    TCase *tcase = tcase_create("warp");
    tcase_add_loop_test(tcase, warps_and_their_gradients_are_those_of_plain_c, 0, SEEDS);
    tcase_add_loop_test(tcase, runs_in_any_order_give_the_same_bits_and_each_gradient_may_be_asked_for_alone, 0, 6);
    tcase_add_loop_test(tcase, a_gradient_that_is_not_finite_shows_in_its_image_alone, 0, 6);
    tcase_add_loop_test(tcase, gradients_of_any_magnitude_keep_their_digits, 0, 5);
    ADD(tcase, images_whose_sums_fill_the_cache_are_taken_a_few_at_a_time);
    ADD(tcase, every_pixel_may_be_added_to_one);
    ADD_EMULATED(tcase, each_call_of_the_runtime_that_fails_is_told);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
