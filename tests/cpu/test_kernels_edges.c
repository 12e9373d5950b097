/* What the table-driven checker cannot see: exact values at edges, NaN and huge numbers, ties, empty masks, aliasing. */
#include "../check_main.h"
#include "cpu/features.h"
#include "operations.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const struct kernels *tables[KERNEL_TABLES];
static int count_tables;

static void setup(void) {
    unsigned features;
    ck_assert_ok(cpu_features_capped(&features, NULL));
    count_tables = kernels_available(tables, features, ELEMENT_F32);
}

/* The body that follows runs for every form. */
#define EACH_FORM(k) for (const struct kernels **at = tables, *k; at < tables + count_tables && (k = *at, true); at++)

static const struct grid grid_2d = {2, {1, 5, 23}}, grid_3d = {3, {3, 4, 19}};
static const struct grid *const grids[] = {&grid_2d, &grid_3d};
static const int64_t channel_counts[] = {1, 2, 3, 4, 8, 33};
enum { GRIDS = 2, CHANNEL_COUNTS = sizeof channel_counts / sizeof *channel_counts };

static struct array ramp(int64_t count) {
    struct array array = array_make(count);
    for (int64_t i = 0; i < count; i++) array.data[i] = (float)(i * 37 % 101) - 50;
    return array;
}

static struct array constant(int64_t count, float value) {
    struct array array = array_make(count);
    for (int64_t i = 0; i < count; i++) array.data[i] = value;
    return array;
}

/* ---- warp */

START_TEST(warp_of_a_zero_field_is_identity) {
    EACH_FORM(k) for (int g = 0; g < GRIDS; g++) for (int c = 0; c < CHANNEL_COUNTS; c++) {
        const int64_t pixels = grid_pixels(grids[g]), channels = channel_counts[c];
        struct array src = ramp(pixels * channels), y = array_make(src.count);
        struct array field = constant(pixels * grids[g]->ndim, 0);
        k->warp(y.data, src.data, field.data, grids[g], channels, COORDINATES_EXACT, 0, 1);
        ck_assert_mem_eq(y.data, src.data, (size_t)src.count * sizeof(float));
        array_free(&src), array_free(&y), array_free(&field);
    }
}
END_TEST

START_TEST(warp_by_whole_pixels_moves_and_fills_with_zero) {
    EACH_FORM(k) for (int c = 0; c < CHANNEL_COUNTS; c++) {
        const int64_t channels = channel_counts[c], width = grid_2d.size[2], height = grid_2d.size[1];
        struct array src = ramp(width * height * channels), y = array_make(src.count);
        struct array field = array_make(width * height * 2);
        for (int64_t p = 0; p < width * height; p++) field.data[2 * p] = -2, field.data[2 * p + 1] = 7;
        k->warp(y.data, src.data, field.data, &grid_2d, channels, COORDINATES_EXACT, 0, 1);
        for (int64_t i = 0; i < y.count; i++) {
            const int64_t p = i / channels, from_row = p / width - 2, from_column = p % width + 7;
            const bool inside = from_row >= 0 && from_column < width;
            const float expected = inside ? src.data[(from_row * width + from_column) * channels + i % channels] : 0;
            ck_assert_msg(y.data[i] == expected, "%s: pixel %d: %g, not %g", k->isa, (int)p, y.data[i], expected);
        }
        array_free(&src), array_free(&y), array_free(&field);
    }
}
END_TEST

START_TEST(warp_reads_nothing_where_the_field_is_nan_or_huge) {
    static const float wild[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, FLT_MAX, 3e9f, -3e9f, 1e5f};
    EACH_FORM(k)
    for (int g = 0; g < GRIDS; g++)
        for (int c = 0; c < CHANNEL_COUNTS; c++)
            for (int released = 0; released < 2; released++) {
                const struct grid *grid = grids[g];
                const enum coordinates coordinates = released ? COORDINATES_RELEASED : COORDINATES_EXACT;
                const int64_t pixels = grid_pixels(grid), channels = channel_counts[c];
                struct array src = ramp(pixels * channels), y = array_make(src.count), tame = array_make(src.count);
                struct array dy = ramp(src.count), dsrc = array_make(src.count), dfield = array_make(pixels * grid->ndim);
                struct array field = constant(pixels * grid->ndim, 0.25f);
                k->warp(tame.data, src.data, field.data, grid, channels, coordinates, 0, 1);
                for (int64_t p = 0; p < pixels; p += 2)
                    field.data[p * grid->ndim + p / 2 % grid->ndim] = wild[p / 2 % (int64_t)(sizeof wild / sizeof *wild)];
                k->warp(y.data, src.data, field.data, grid, channels, coordinates, 0, 1);
                k->warp_grad(dsrc.data, dfield.data, dy.data, src.data, field.data, grid, channels, coordinates, 0, 1, NULL);
                for (int64_t i = 0; i < y.count; i++) ck_assert(y.data[i] == (i / channels % 2 ? tame.data[i] : 0));
                for (int64_t i = 0; i < dsrc.count; i++) ck_assert(isfinite(dsrc.data[i]));
                for (int64_t i = 0; i < dfield.count; i++)
                    ck_assert(i / grid->ndim % 2 ? isfinite(dfield.data[i]) : dfield.data[i] == 0);
                array_free(&src), array_free(&y), array_free(&tame), array_free(&dy);
                array_free(&dsrc), array_free(&dfield), array_free(&field);
            }
}
END_TEST

START_TEST(a_released_axis_of_one_pixel_reads_nothing) {
    const struct grid grid = {2, {1, 1, 20}};
    EACH_FORM(k) for (int c = 0; c < CHANNEL_COUNTS; c++) {
        const int64_t channels = channel_counts[c];
        struct array src = ramp(20 * channels), y = array_make(src.count), field = constant(40, 0), dfield = array_make(40);
        struct array dsrc = array_make(src.count);
        k->warp(y.data, src.data, field.data, &grid, channels, COORDINATES_RELEASED, 0, 1);
        k->warp_grad(dsrc.data, dfield.data, src.data, src.data, field.data, &grid, channels, COORDINATES_RELEASED, 0, 1, NULL);
        for (int64_t i = 0; i < y.count; i++) ck_assert(y.data[i] == 0 && dsrc.data[i] == 0);
        for (int64_t i = 0; i < 40; i++) ck_assert(dfield.data[i] == 0);
        array_free(&src), array_free(&y), array_free(&field), array_free(&dfield), array_free(&dsrc);
    }
}
END_TEST

START_TEST(gradients_of_warp_can_be_asked_for_one_at_a_time) {
    EACH_FORM(k) for (int c = 0; c < CHANNEL_COUNTS; c++) {
        struct scene both, one;
        scene_draw(&both, operation_named("warp"), 3, false), scene_draw(&one, operation_named("warp"), 3, false);
        operation_named("warp")->backward(k, &both);
        k->warp_grad(one.grad[0].data, NULL, one.out_grad.data, one.in[0].data, one.in[1].data, &one.grid, one.channels,
                     one.coordinates, 0, 1, NULL);
        k->warp_grad(NULL, one.grad[1].data, one.out_grad.data, one.in[0].data, one.in[1].data, &one.grid, one.channels,
                     one.coordinates, 0, 1, NULL);
        for (int i = 0; i < 2; i++)
            ck_assert_mem_eq(one.grad[i].data, both.grad[i].data, (size_t)both.grad[i].count * sizeof(float));
        scene_free(&both), scene_free(&one);
    }
}
END_TEST

/* ---- pooling */

START_TEST(equal_maxima_go_to_the_first_place) {
    EACH_FORM(k) for (int g = 0; g < GRIDS; g++) for (int c = 0; c < CHANNEL_COUNTS; c++) {
        const struct grid grid = {grids[g]->ndim, {grids[g]->ndim == 3 ? 4 : 1, 4, 6}};
        const int64_t channels = channel_counts[c], outputs = grid_pixels(&grid) * channels >> grid.ndim;
        struct array x = constant(grid_pixels(&grid) * channels, 2), y = array_make(outputs), index = array_make(outputs);
        k->max_pool2(y.data, (uint8_t *)index.data, x.data, NULL, &grid, channels, 0, 1);
        for (int64_t i = 0; i < outputs; i++) ck_assert(y.data[i] == 2 && ((uint8_t *)index.data)[i] == 0);
        array_free(&x), array_free(&y), array_free(&index);
    }
}
END_TEST

START_TEST(pooling_shows_nan_wherever_it_lies) {
    const struct grid grid = {3, {2, 2, 2}};
    EACH_FORM(k) for (int c = 0; c < CHANNEL_COUNTS; c++) for (int place = 0; place < 8; place++) {
        const int64_t channels = channel_counts[c];
        struct array x = ramp(8 * channels), y = array_make(channels), index = array_make(channels);
        for (int64_t i = place; i < 8; i++) x.data[i * channels] = NAN; /* the first of several wins */
        k->max_pool2(y.data, (uint8_t *)index.data, x.data, NULL, &grid, channels, 0, 1);
        ck_assert(isnan(y.data[0]));
        ck_assert_int_eq(((uint8_t *)index.data)[0], place);
        for (int64_t i = 1; i < channels; i++) ck_assert(isfinite(y.data[i]));
        array_free(&x), array_free(&y), array_free(&index);
    }
}
END_TEST

START_TEST(rows_that_pooling_drops_get_no_gradient) {
    const struct grid grid = {3, {3, 5, 7}};
    EACH_FORM(k) for (int c = 0; c < CHANNEL_COUNTS; c++) {
        const int64_t channels = channel_counts[c], outputs = 1 * 2 * 3 * channels;
        struct array x = ramp(105 * channels), dx = array_make(x.count), y = array_make(outputs), index = array_make(outputs);
        struct array dy = constant(outputs, 1);
        k->max_pool2(y.data, (uint8_t *)index.data, x.data, NULL, &grid, channels, 0, 1);
        k->max_pool2_grad(dx.data, NULL, dy.data, (uint8_t *)index.data, &grid, channels, 0, 1);
        double sum = 0;
        for (int64_t i = 0; i < dx.count; i++) {
            const int64_t p = i / channels, z = p / 35, h = p / 7 % 5, w = p % 7;
            ck_assert((z < 2 && h < 4 && w < 6) || dx.data[i] == 0);
            sum += dx.data[i];
        }
        ck_assert(sum == (double)outputs);
        array_free(&x), array_free(&dx), array_free(&y), array_free(&index), array_free(&dy);
    }
}
END_TEST

/* ---- norm_act */

/* y from x with gamma 1, and beta, in the given float arrays. */
static void norm(const struct kernels *k, float *y, const float *x, float beta, const struct norm_shape *s) {
    struct array mean = array_make(s->groups), rstd = array_make(s->groups), both = array_make(2 * s->channels);
    struct array one = constant(s->channels, 1), shift = constant(s->channels, beta);
    const struct norm_load load = {both.data, both.data + s->channels, s->slope};
    kernel_statistics(k, mean.data, rstd.data, x, NULL, s);
    norm_coefficients(both.data, both.data + s->channels, mean.data, rstd.data, one.data, shift.data, NULL, s);
    k->norm_apply(y, x, &load, s->pixels, s->channels, 0, 1);
    array_free(&mean), array_free(&rstd), array_free(&one), array_free(&shift), array_free(&both);
}

/* dx, and the sums, (3, channels), from dy and x with gamma 1 and beta 0, by the statistics of plain C. */
static void norm_grad(const struct kernels *k, float *dx, float *dgamma, float *dbeta, const float *dy, const float *x,
                      const struct norm_shape *s) {
    struct array mean = array_make(s->groups), rstd = array_make(s->groups), both = array_make(2 * s->channels);
    struct array one = constant(s->channels, 1), zero = constant(s->channels, 0), of_dx = array_make(3 * s->channels);
    const struct norm_load load = {both.data, both.data + s->channels, s->slope};
    double *sums = calloc((size_t)(3 * s->channels), sizeof *sums);
    kernel_statistics(tables[0], mean.data, rstd.data, x, NULL, s);
    norm_coefficients(both.data, both.data + s->channels, mean.data, rstd.data, one.data, zero.data, NULL, s);
    k->norm_grad_sums(sums, dy, x, &load, s->pixels, s->channels, 0, 1);
    norm_grad_finish(dgamma, dbeta, NULL, of_dx.data, sums, 1, mean.data, rstd.data, one.data, NULL, s);
    k->norm_grad_apply(dx, dy, x, &load, of_dx.data, s->pixels, s->channels, 0, 1);
    array_free(&mean), array_free(&rstd), array_free(&one), array_free(&zero), array_free(&both), array_free(&of_dx);
    free(sums);
}

START_TEST(a_constant_image_is_normalised_to_beta) {
    static const float values[] = {0, 1, -3.7f, 1e4f};
    EACH_FORM(k) for (int v = 0; v < 4; v++) {
        const struct norm_shape s = {77, 24, 3, 0.2f, 1e-5f};
        struct array x = constant(77 * 24, values[v]), y = array_make(x.count);
        norm(k, y.data, x.data, 0.5f, &s);
        for (int64_t i = 0; i < y.count; i++) ck_assert_msg(fabsf(y.data[i] - 0.5f) < 0.2f + 1e-3f, "%s: %g", k->isa, y.data[i]);
        for (int64_t i = 0; v < 2 && i < y.count; i++) ck_assert(y.data[i] == 0.5f);
        array_free(&x), array_free(&y);
    }
}
END_TEST

START_TEST(normalisation_may_write_where_it_reads) {
    static const struct norm_shape shapes[] = {{77, 24, 3, 0.2f, 1e-5f}, {50, 3, 1, 0.2f, 1e-5f}, {5, 1031, 1, 1, 1e-5f}};
    EACH_FORM(k) for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct array x = ramp(shapes[i].pixels * shapes[i].channels), y = array_make(x.count);
        norm(k, y.data, x.data, 0.5f, &shapes[i]);
        norm(k, x.data, x.data, 0.5f, &shapes[i]);
        ck_assert_mem_eq(x.data, y.data, (size_t)x.count * sizeof(float));
        array_free(&x), array_free(&y);
    }
}
END_TEST

START_TEST(statistics_keep_their_digits_far_from_zero) {
    EACH_FORM(k) {
        const struct norm_shape s = {1000, 8, 1, 1, 1e-5f};
        struct array x = array_make(8000);
        float mean, rstd;
        for (int64_t i = 0; i < 8000; i++) x.data[i] = 1000 + (i % 2 ? 0.5f : -0.5f);
        kernel_statistics(k, &mean, &rstd, x.data, NULL, &s);
        ck_assert_float_eq_tol(mean, 1000, 1e-4f);
        ck_assert_float_eq_tol(rstd, 2, 1e-4f);
        array_free(&x);
    }
}
END_TEST

START_TEST(groups_and_images_of_any_width_are_normalised) {
    static const struct norm_shape shapes[] = {{7, 1100, 1, 0.2f, 1e-5f},
                                               {7, 1100, 2, 0.2f, 1e-5f},
                                               {3, 1536, 192, 1, 1e-5f},
                                               {5, 1031, 1031, 1, 1e-5f},
                                               {40, 1, 1, 0.2f, 1e-5f}};
    EACH_FORM(k) for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct norm_shape *s = &shapes[i];
        struct array x = ramp(s->pixels * s->channels), expected = array_make(x.count), y = array_make(x.count);
        struct array dx = array_make(x.count), small[4];
        for (int j = 0; j < 4; j++) small[j] = array_make(s->channels);
        norm(tables[0], expected.data, x.data, 0.5f, s);
        norm(k, y.data, x.data, 0.5f, s);
        ck_assert(distance(y.data, expected.data, x.count, 1) < 1e-5);
        norm_grad(tables[0], expected.data, small[0].data, small[1].data, y.data, x.data, s);
        norm_grad(k, dx.data, small[2].data, small[3].data, y.data, x.data, s);
        ck_assert(distance(dx.data, expected.data, x.count, 1) < 1e-5);
        ck_assert(distance(small[2].data, small[0].data, s->channels, 1) < 1e-5);
        ck_assert(distance(small[3].data, small[1].data, s->channels, 1) < 1e-5);
        array_free(&x), array_free(&expected), array_free(&y), array_free(&dx);
        for (int j = 0; j < 4; j++) array_free(&small[j]);
    }
}
END_TEST

START_TEST(normalisation_shows_nan) {
    EACH_FORM(k) {
        const struct norm_shape s = {50, 16, 2, 0.2f, 1e-5f};
        struct array x = ramp(800), y = array_make(800);
        x.data[16 * 33 + 3] = NAN;
        norm(k, y.data, x.data, 0.5f, &s);
        for (int64_t i = 0; i < 800; i++) ck_assert(isnan(y.data[i]) == (i % 16 < 8)); /* its whole group */
        array_free(&x), array_free(&y);
    }
}
END_TEST

START_TEST(the_gradient_of_a_normalisation_may_overwrite_its_input) {
    EACH_FORM(k) for (uint64_t seed = 0; seed < 10; seed++) {
        const struct operation *operation = operation_named("norm_act");
        struct scene scene;
        scene_draw(&scene, operation, seed, false);
        operation->forward(k, &scene), operation->backward(k, &scene);
        struct array kept = scene.grad[0];
        scene.grad[0] = scene.out_grad;
        operation->backward(k, &scene);
        ck_assert_mem_eq(scene.grad[0].data, kept.data, (size_t)kept.count * sizeof(float));
        scene.grad[0] = kept;
        scene_free(&scene);
    }
}
END_TEST

/* ---- mov */

/* Field and gradients of one shape. */
struct mov_run {
    struct mov_shape s;
    struct array query, key, field, dfield, dquery, dkey, workspace;
};

static struct mov_run mov_make(const struct grid *grid, int64_t channels, int heads, int radius) {
    struct mov_run run = {.s = {*grid, channels, heads, radius}};
    const int64_t pixels = grid_pixels(grid);
    run.query = constant(pixels * channels, 0), run.key = ramp(pixels * channels);
    run.dquery = array_make(pixels * channels), run.dkey = array_make(pixels * channels);
    run.field = array_make(pixels * grid->ndim), run.dfield = constant(pixels * grid->ndim, 1);
    run.workspace = workspace_make(mov_workspace(&run.s, true));
    return run;
}

static void mov_both(const struct kernels *k, struct mov_run *run) {
    k->mov(run->field.data, run->query.data, run->key.data, &run->s, 0, 1, run->workspace.data);
    k->mov_grad(run->dquery.data, run->dkey.data, run->dfield.data, run->query.data, run->key.data, &run->s, 0, 1,
                run->workspace.data);
}

static void mov_free(struct mov_run *run) {
    struct array *const all[] = {&run->query, &run->key, &run->field, &run->dfield, &run->dquery, &run->dkey, &run->workspace};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) array_free(all[i]);
}

/* With equal logits the field is the mean of the offsets inside the image: 0 in the middle, (r - reach) / 2 at an edge. */
START_TEST(equal_logits_give_the_mean_of_the_offsets_inside) {
    EACH_FORM(k) for (int g = 0; g < GRIDS; g++) for (int radius = 1; radius <= 17; radius += 8) {
        const struct grid *grid = grids[g];
        if (grid->ndim == 3 && radius > 1) continue;
        struct mov_run run = mov_make(grid, 8, 2, radius);
        mov_both(k, &run);
        for (int64_t p = 0; p < grid_pixels(grid); p++)
            for (int a = 0; a < grid->ndim; a++) {
                const int64_t size = grid_axis(grid, a);
                int64_t at = p;
                for (int b = grid->ndim - 1; b > a; b--) at /= grid_axis(grid, b);
                at %= size;
                const int64_t low = at < radius ? at : radius, high = size - 1 - at < radius ? size - 1 - at : radius;
                ck_assert_float_eq_tol(run.field.data[p * grid->ndim + a], (float)(high - low) / 2, 1e-4f);
            }
        mov_free(&run);
    }
}
END_TEST

START_TEST(a_key_far_above_the_others_takes_all) {
    EACH_FORM(k) {
        struct mov_run run = mov_make(&grid_2d, 8, 1, 2);
        const int64_t width = grid_2d.size[2];
        for (int64_t i = 0; i < run.query.count; i++) run.query.data[i] = 300, run.key.data[i] = -3;
        for (int c = 0; c < 8; c++) run.key.data[(2 * width + 10) * 8 + c] = 3; /* logits +2545 and -2545 */
        mov_both(k, &run);
        ck_assert(run.field.data[2 * (2 * width + 9)] == 0 && run.field.data[2 * (2 * width + 9) + 1] == 1);
        ck_assert(run.field.data[2 * (4 * width + 12)] == -2 && run.field.data[2 * (4 * width + 12) + 1] == -2);
        /* where the best key inside has a logit below -1000, keys outside share the weight, without gradient */
        ck_assert(run.field.data[0] < 0 && run.field.data[1] < 0);
        for (int64_t i = 0; i < run.dquery.count; i++) ck_assert(isfinite(run.dquery.data[i]) && isfinite(run.dkey.data[i]));
        mov_free(&run);
    }
}
END_TEST

START_TEST(a_nan_in_a_query_shows_at_its_pixel_alone) {
    EACH_FORM(k) {
        struct mov_run run = mov_make(&grid_2d, 16, 2, 1);
        for (int64_t i = 0; i < run.query.count; i++) run.query.data[i] = 1e-3f * (float)(i % 7), run.key.data[i] *= 1e-2f;
        run.query.data[40 * 16 + 5] = NAN;
        mov_both(k, &run);
        for (int64_t i = 0; i < run.field.count; i++) ck_assert(isnan(run.field.data[i]) == (i / 2 == 40));
        ck_assert(isnan(run.dquery.data[40 * 16 + 1]) && isnan(run.dkey.data[40 * 16 + 5]));
        mov_free(&run);
    }
}
END_TEST

START_TEST(a_nan_in_a_key_shows_wherever_it_is_seen) {
    EACH_FORM(k) {
        struct mov_run run = mov_make(&grid_2d, 8, 1, 1);
        const int64_t width = grid_2d.size[2], at = 2 * width + 11;
        for (int64_t i = 0; i < run.query.count; i++) run.query.data[i] = 1, run.key.data[i] *= 1e-2f;
        run.key.data[at * 8 + 5] = NAN;
        mov_both(k, &run);
        for (int64_t p = 0; p < grid_pixels(&grid_2d); p++) {
            const bool sees = llabs(p / width - 2) <= 1 && llabs(p % width - 11) <= 1;
            ck_assert(isnan(run.field.data[2 * p]) == sees);
        }
        mov_free(&run);
    }
}
END_TEST

/* ---- losses */

START_TEST(losses_of_an_empty_mask_are_zero_whatever_lies_under_it) {
    EACH_FORM(k) for (int ndim = 2; ndim <= 3; ndim++) {
        const int64_t pixels = 67;
        struct array a = constant(pixels * ndim, NAN), b = constant(pixels * ndim, INFINITY), mask = constant(pixels, 0);
        struct array da = array_make(a.count), db = array_make(a.count);
        ck_assert(k->vector_loss(a.data, b.data, mask.data, pixels, ndim, 0, 1) == 0);
        ck_assert(k->cosine_sum(a.data, b.data, mask.data, pixels, ndim, 0, 1) == 0);
        k->vector_loss_grad(da.data, a.data, b.data, mask.data, pixels, ndim, 0, 1);
        for (int64_t i = 0; i < da.count; i++) ck_assert(da.data[i] == 0);
        k->cosine_sum_grad(da.data, db.data, a.data, b.data, mask.data, pixels, ndim, 1, 0, 1);
        for (int64_t i = 0; i < da.count; i++) ck_assert(da.data[i] == 0 && db.data[i] == 0);
        array_free(&a), array_free(&b), array_free(&mask), array_free(&da), array_free(&db);
    }
}
END_TEST

START_TEST(losses_show_nan_under_the_mask) {
    EACH_FORM(k) for (int64_t bad = 0; bad < 67 * 3; bad += 13) {
        struct array a = ramp(67 * 3), b = constant(67 * 3, 1), mask = constant(67, 1);
        a.data[bad] = NAN;
        ck_assert(isnan(k->vector_loss(a.data, b.data, mask.data, 67, 3, 0, 1)));
        ck_assert(isnan(k->cosine_sum(a.data, b.data, mask.data, 67, 3, 0, 1)));
        array_free(&a), array_free(&b), array_free(&mask);
    }
}
END_TEST

START_TEST(the_vector_loss_has_no_slope_where_it_is_met) {
    EACH_FORM(k) {
        struct array a = ramp(90), mask = constant(45, 1), da = array_make(90);
        k->vector_loss_grad(da.data, a.data, a.data, mask.data, 45, 2, 0, 1);
        for (int64_t i = 0; i < 90; i++) ck_assert(da.data[i] == 0);
        array_free(&a), array_free(&mask), array_free(&da);
    }
}
END_TEST

START_TEST(the_cosine_of_a_zero_vector_is_zero_and_its_gradient_is_bounded_by_the_least_norm) {
    EACH_FORM(k) for (int c = 0; c < CHANNEL_COUNTS; c++) {
        const int64_t n = channel_counts[c];
        struct array a = constant(2 * n, 0), b = constant(2 * n, 2), mask = constant(2, 1), da = array_make(2 * n),
                     db = array_make(2 * n);
        a.data[n] = 5;
        const double expected = 1 / sqrt((double)n);
        ck_assert_double_eq_tol(k->cosine_sum(a.data, b.data, mask.data, 2, n, 0, 1), expected, 1e-6);
        k->cosine_sum_grad(da.data, db.data, a.data, b.data, mask.data, 2, n, 1, 0, 1);
        for (int64_t i = 0; i < n; i++) {
            ck_assert_float_eq_tol(da.data[i] * 1e-12f, (float)-expected, 1e-5f);
            ck_assert(db.data[i] == 0);
        }
        array_free(&a), array_free(&b), array_free(&mask), array_free(&da), array_free(&db);
    }
}
END_TEST

/* ---- flat vectors */

START_TEST(sums_of_squares_show_nan_and_infinity) {
    EACH_FORM(k) for (int64_t bad = 0; bad < 101; bad++) {
        struct array x = ramp(101);
        x.data[bad] = NAN;
        ck_assert(isnan(k->square_sum(x.data, 101)));
        x.data[bad] = -INFINITY;
        ck_assert(isinf(k->square_sum(x.data, 101)));
        x.data[bad] = 3e38f; /* its square does not fit a float */
        ck_assert(isfinite(k->square_sum(x.data, 101)));
        ck_assert(k->square_sum(x.data, 0) == 0);
        array_free(&x);
    }
}
END_TEST

START_TEST(a_sum_may_be_written_over_either_part) {
    EACH_FORM(k) {
        struct array a = ramp(99), b = constant(99, 3), c = ramp(99);
        k->add(a.data, a.data, b.data, 99);
        k->add(b.data, c.data, b.data, 99);
        for (int64_t i = 0; i < 99; i++) ck_assert(a.data[i] == c.data[i] + 3 && b.data[i] == a.data[i]);
        array_free(&a), array_free(&b), array_free(&c);
    }
}
END_TEST

/* Ten steps against the same in double, as PyTorch's Adam does them. */
START_TEST(adam_follows_the_formula_to_rounding) {
    EACH_FORM(k) {
        enum { COUNT = 37 };
        struct array w = ramp(COUNT), m = constant(COUNT, 0), v = constant(COUNT, 0), g = array_make(COUNT);
        double dw[COUNT], dm[COUNT] = {0}, dv[COUNT] = {0};
        for (int i = 0; i < COUNT; i++) dw[i] = w.data[i] = w.data[i] / 50;
        for (int t = 1; t <= 10; t++) {
            const struct adam s = {.lr = 1e-2,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .epsilon = 1e-8,
                                   .weight_decay = 1e-3,
                                   .correction1 = 1 - pow(0.9, t),
                                   .correction2 = 1 - pow(0.999, t),
                                   .scale = 0.25};
            for (int i = 0; i < COUNT; i++) {
                g.data[i] = sinf((float)(i * t + 1));
                const double gradient = 0.25 * g.data[i] + 1e-3 * dw[i];
                dm[i] = 0.9 * dm[i] + 0.1 * gradient, dv[i] = 0.999 * dv[i] + 0.001 * gradient * gradient;
                dw[i] -= 1e-2 / s.correction1 * dm[i] / (sqrt(dv[i]) / sqrt(s.correction2) + 1e-8);
            }
            k->adam(w.data, m.data, v.data, g.data, COUNT, &s);
        }
        for (int i = 0; i < COUNT; i++) {
            ck_assert_double_eq_tol(w.data[i], dw[i], 1e-6);
            ck_assert_double_eq_tol(m.data[i], dm[i], 1e-7);
            ck_assert_double_eq_tol(v.data[i], dv[i], 1e-8);
        }
        array_free(&w), array_free(&m), array_free(&v), array_free(&g);
    }
}
END_TEST

/* ---- resizing */

START_TEST(resizing_keeps_corners_and_constants) {
    const struct grid from = {2, {1, 5, 7}}, to = {2, {1, 10, 14}};
    EACH_FORM(k) for (int c = 0; c < CHANNEL_COUNTS; c++) {
        const int64_t channels = channel_counts[c];
        struct array x = ramp(35 * channels), y = array_make(140 * channels), one = constant(35 * channels, 1);
        k->resize_corners(y.data, x.data, &from, &to, channels, 2, 0, 1);
        for (int64_t i = 0; i < channels; i++) {
            ck_assert(y.data[i] == 2 * x.data[i]);
            ck_assert(y.data[139 * channels + i] == 2 * x.data[34 * channels + i]);
        }
        k->resize_corners(y.data, one.data, &from, &to, channels, 1, 0, 1);
        for (int64_t i = 0; i < y.count; i++) ck_assert_float_eq_tol(y.data[i], 1, 1e-6f);
        array_free(&x), array_free(&y), array_free(&one);
    }
}
END_TEST

START_TEST(more_slabs_than_rows_do_everything_once) {
    static const char *const slabbed[] = {"warp",     "mov",       "resize_corners", "upsample",
                                          "norm_act", "max_pool2", "vector_loss",    "cosine_sum"};
    EACH_FORM(k) for (uint64_t seed = 0; seed < 8; seed++) for (size_t i = 0; i < sizeof slabbed / sizeof *slabbed; i++) {
        const struct operation *operation = operation_named(slabbed[i]);
        const struct array *expected[ARRAYS], *found[ARRAYS];
        struct scene whole, parts;
        scene_draw(&whole, operation, seed, true), scene_draw(&parts, operation, seed, true);
        parts.slabs = 1000;
        operation->forward(k, &whole), operation->backward(k, &whole);
        operation->forward(k, &parts), operation->backward(k, &parts);
        scene_results(&parts, found);
        for (int r = 0; r < scene_results(&whole, expected); r++)
            ck_assert_mem_eq(found[r]->data, expected[r]->data, (size_t)expected[r]->count * sizeof(float));
        scene_free(&whole), scene_free(&parts);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kernels at the edges");
    TCase *tcase = tcase_create("edges");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, warp_of_a_zero_field_is_identity);
    ADD(tcase, warp_by_whole_pixels_moves_and_fills_with_zero);
    ADD(tcase, warp_reads_nothing_where_the_field_is_nan_or_huge);
    ADD(tcase, a_released_axis_of_one_pixel_reads_nothing);
    ADD(tcase, gradients_of_warp_can_be_asked_for_one_at_a_time);
    ADD(tcase, equal_maxima_go_to_the_first_place);
    ADD(tcase, pooling_shows_nan_wherever_it_lies);
    ADD(tcase, rows_that_pooling_drops_get_no_gradient);
    ADD(tcase, a_constant_image_is_normalised_to_beta);
    ADD(tcase, normalisation_may_write_where_it_reads);
    ADD(tcase, statistics_keep_their_digits_far_from_zero);
    ADD(tcase, groups_and_images_of_any_width_are_normalised);
    ADD(tcase, normalisation_shows_nan);
    ADD(tcase, the_gradient_of_a_normalisation_may_overwrite_its_input);
    ADD(tcase, equal_logits_give_the_mean_of_the_offsets_inside);
    ADD(tcase, a_key_far_above_the_others_takes_all);
    ADD(tcase, a_nan_in_a_query_shows_at_its_pixel_alone);
    ADD(tcase, a_nan_in_a_key_shows_wherever_it_is_seen);
    ADD(tcase, losses_of_an_empty_mask_are_zero_whatever_lies_under_it);
    ADD(tcase, losses_show_nan_under_the_mask);
    ADD(tcase, the_vector_loss_has_no_slope_where_it_is_met);
    ADD(tcase, the_cosine_of_a_zero_vector_is_zero_and_its_gradient_is_bounded_by_the_least_norm);
    ADD(tcase, sums_of_squares_show_nan_and_infinity);
    ADD(tcase, a_sum_may_be_written_over_either_part);
    ADD(tcase, adam_follows_the_formula_to_rounding);
    ADD(tcase, resizing_keeps_corners_and_constants);
    ADD(tcase, more_slabs_than_rows_do_everything_once);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
