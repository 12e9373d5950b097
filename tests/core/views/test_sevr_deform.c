/* The random deformations: against direct sums in double precision over the whole image, their amplitude, and that a
 * diffeomorphic field does not fold. */
#include "sevr_fixture.h"

/* U(-1, 1) noise of one axis, smoothed by direct sums, zero outside, the Gaussian cut at 4 sigma. */
static double *literal_noise(const struct grid *g, double sigma, uint32_t plane, uint64_t seed, uint32_t step, uint32_t sample) {
    int64_t pixels = grid_pixels(g);
    int radius = (int)(4 * sigma + 0.5);
    float *noise = malloc((size_t)pixels * sizeof *noise);
    double *smooth = malloc((size_t)pixels * sizeof *smooth), *next = malloc((size_t)pixels * sizeof *next), sum = 0;
    const struct random_image image = {seed, RANDOM_VIEW_DEFORM, plane, step, sample};
    random_image_uniform(noise, &image, 0, pixels);
    for (int64_t i = 0; i < pixels; i++) smooth[i] = 2 * (double)noise[i] - 1;
    for (int k = -radius; k <= radius; k++) sum += exp(-0.5 * k * k / (sigma * sigma));
    for (int axis = 3 - g->ndim; axis < 3; axis++) {
        int64_t stride = axis == 2 ? 1 : axis == 1 ? g->size[2] : g->size[1] * g->size[2];
        for (int64_t i = 0; i < pixels; i++) {
            int64_t at = i / stride % g->size[axis];
            next[i] = 0;
            for (int64_t k = at < radius ? -at : -radius; k <= radius && at + k < g->size[axis]; k++)
                next[i] += exp(-0.5 * (double)(k * k) / (sigma * sigma)) / sum * smooth[i + k * stride];
        }
        double *done = smooth;
        smooth = next, next = done;
    }
    free(noise);
    free(next);
    return smooth;
}

/* u(p) + u(p + u(p)) over the whole image; beyond an edge u is the edge's. */
static void literal_square(double *u, const struct grid *g) {
    int dims = g->ndim;
    int64_t pixels = grid_pixels(g);
    double *out = malloc((size_t)(pixels * dims) * sizeof *out);
    for (int64_t p = 0; p < pixels; p++) {
        double at[3] = {(double)(p / g->size[2] / g->size[1]), (double)(p / g->size[2] % g->size[1]), (double)(p % g->size[2])};
        for (int a = 0; a < dims; a++) at[3 - dims + a] += u[p * dims + a];
        for (int a = 0; a < dims; a++) out[p * dims + a] = u[p * dims + a];
        for (int corner = 0; corner < 8; corner++) {
            double weight = 1;
            int64_t pixel = 0;
            for (int i = 0; i < 3; i++) {
                double place = fmin(fmax(at[i], 0), (double)(g->size[i] - 1)), fraction = place - floor(place);
                int behind = corner >> i & 1;
                weight *= behind ? fraction : 1 - fraction;
                int64_t near = (int64_t)floor(place) + (behind && fraction > 0);
                pixel = pixel * g->size[i] + near;
            }
            for (int a = 0; a < dims; a++) out[p * dims + a] += weight * u[pixel * dims + a];
        }
    }
    memcpy(u, out, (size_t)(pixels * dims) * sizeof *u);
    free(out);
}

static struct random_stream deform_stream(uint64_t seed, uint32_t step, uint32_t sample, uint32_t block) {
    struct random_stream stream = random_stream(seed, RANDOM_VIEW_DEFORM, step, sample);
    stream.next = block;
    return stream;
}

static const char *const cases[][7] = {
    {"paper-2d", "crop=32x48", "work=50x61", "deform_sigma_low=2", "deform_sigma_high=4", "diffeo_sigma=3"},
    {"paper-2d", "crop=16x16", "work=16x16", "deform_sigma_low=10", "deform_sigma_high=13", "diffeo_sigma=12"},
    {"paper-3d", "crop=16x32x16", "work=19x35x30", "deform_sigma_low=1.5", "deform_sigma_high=3", "diffeo_sigma=2"},
    {"paper-3d", "crop=16x16x16", "work=0x0x0", "deform_sigma_low=4", "deform_sigma_high=5", "diffeo_sigma=4"},
};
enum { CASES = sizeof cases / sizeof *cases };

/* kind: 1 smooth, 2 diffeomorphic, 3 both; on the identity and on an affine map */
static void compare(const char *const *changes, int kind, bool affine) {
    const struct settings *s = use(changes[0], changes + 1);
    ck_assert_ok(cover_config_set(config, "appearance_probability", "0"));
    if (!affine) {
        ck_assert_ok(cover_config_set(config, "translate", "0"));
        ck_assert_ok(cover_config_set(config, "rotate_degrees", "0"));
        ck_assert_ok(cover_config_set(config, "shear_degrees", "0"));
        ck_assert_ok(cover_config_set(config, "scale_low", "1"));
        ck_assert_ok(cover_config_set(config, "scale_high", "1"));
    }
    struct grid grid = s->network.dims == 3 ? (struct grid){3, {17, 19, 18}} : (struct grid){2, {1, 30, 33}};
    struct grid work = work_of(s, &grid);
    float *image = random_pixels(&grid, 1, 3);
    const uint64_t seed = 77;
    const uint32_t step = 4, sample = 9;
    int dims = (int)s->network.dims;
    int64_t pixels = grid_pixels(&work);

    /* A(p) - p is affine: known from the field of the same draw without deformation, in the same window */
    struct drawn plain = draw_room(s);
    ck_assert_ok(sevr_draw(plain.sevr, &plain.pair, image, &grid, 1, 0, seed, step, sample));
    if (kind & 1) ck_assert_ok(cover_config_set(config, "deform_alpha", dims == 2 ? "60" : "90"));
    if (kind & 2) ck_assert_ok(cover_config_set(config, "diffeo_alpha", dims == 2 ? "40" : "60"));
    struct drawn drawn = draw_room(s);
    ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, seed, step, sample));

    double *smooth[3] = {0}, *flow = calloc((size_t)(pixels * dims), sizeof *flow);
    struct random_stream stream = deform_stream(seed, step, sample, 0);
    double alpha = (double)random_uniform(&stream, 0, (float)s->views.deform_alpha);
    double sigma = (double)random_uniform(&stream, (float)s->views.deform_sigma_low, (float)s->views.deform_sigma_high);
    stream = deform_stream(seed, step, sample, 1);
    double speed = (double)random_uniform(&stream, 0, (float)s->views.diffeo_alpha);
    for (int a = 0; a < dims; a++) {
        smooth[a] = literal_noise(&work, sigma, 1 + (uint32_t)a, seed, step, sample);
        double *velocity = literal_noise(&work, s->views.diffeo_sigma, 4 + (uint32_t)a, seed, step, sample);
        for (int64_t p = 0; p < pixels; p++) flow[p * dims + a] = ldexp(speed * velocity[p], -(int)s->views.diffeo_squarings);
        free(velocity);
    }
    for (int i = 0; i < s->views.diffeo_squarings; i++) literal_square(flow, &work);

    int64_t first[3], n[3] = {drawn.crop.size[0], drawn.crop.size[1], drawn.crop.size[2]};
    window_of(first, s, &work, seed, step, sample);
    double gradient[3][3] = {{0}}, largest = 0; /* of A(p) - p, along each axis of the array */
    for (int b = 0; b < dims; b++) {
        int64_t stride = b == dims - 1 ? 1 : b == dims - 2 ? n[2] : n[1] * n[2], steps = n[3 - dims + b] - 1;
        for (int a = 0; a < dims; a++)
            gradient[a][b] = ((double)plain.pair.field[steps * stride * dims + a] - (double)plain.pair.field[a]) / (double)steps;
    }
    for (int64_t i = 0; i < drawn.pixels; i++) {
        int64_t z = i / n[2] / n[1] + first[0], y = i / n[2] % n[1] + first[1], x = i % n[2] + first[2];
        int64_t p = (z * work.size[1] + y) * work.size[2] + x;
        for (int a = 0; a < dims; a++) {
            double want = (double)plain.pair.field[i * dims + a];
            if (kind & 2) { /* A(p + u) - p = u + (A(p) - p) + gradient u */
                want += flow[p * dims + a];
                for (int b = 0; b < dims; b++) want += gradient[a][b] * flow[p * dims + b];
            }
            if (kind & 1) want += alpha * smooth[a][p];
            largest = fmax(largest, fabs(want - (double)plain.pair.field[i * dims + a]));
            ck_assert_double_eq_tol((double)drawn.pair.field[i * dims + a], want, 4e-4);
        }
    }
    ck_assert_double_gt(largest, 0.01); /* there was something to compare */
    for (int a = 0; a < dims; a++) free(smooth[a]);
    free(flow);
    free(image);
    draw_free(&plain);
    draw_free(&drawn);
}

START_TEST(deformations_are_what_the_method_says) { compare(cases[_i / 6], _i % 3 + 1, _i / 3 % 2); }
END_TEST

START_TEST(view_b_follows_the_deformed_field) {
    /* warp(a, v) = b where p + v lies within the crop, also with both deformations on */
    const struct settings *s =
        USE("paper-2d", "crop=64x64", "work=80x80", "deform_alpha=800", "diffeo_alpha=400", "appearance_probability=0");
    struct grid grid = {2, {1, 80, 80}};
    float *image = random_pixels(&grid, 1, 3);
    struct drawn drawn = draw_room(s);
    int64_t valid = 0;
    for (uint32_t sample = 0; sample < 5; sample++) {
        ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, 1, 1, sample));
        valid += drawn.pair.valid;
        for (int64_t i = 0; i < drawn.pixels; i++) {
            if (drawn.pair.mask[i] == 0) continue;
            double y = (double)(i / 64) + (double)drawn.pair.field[2 * i],
                   x = (double)(i % 64) + (double)drawn.pair.field[2 * i + 1], b = 0;
            for (int corner = 0; corner < 4; corner++) {
                double wy = y - floor(y), wx = x - floor(x), weight = (corner & 2 ? wy : 1 - wy) * (corner & 1 ? wx : 1 - wx);
                int64_t py = (int64_t)y + (corner >> 1), px = (int64_t)x + (corner & 1);
                if (weight > 0) b += weight * (double)drawn.pair.moving[py * 64 + px];
            }
            ck_assert_double_eq_tol((double)drawn.pair.fixed[i], b, 1e-4);
        }
    }
    ck_assert_int_gt(valid, 2000);
    draw_free(&drawn);
    free(image);
}
END_TEST

/* ---- a diffeomorphic map keeps orientation: det(I + grad u) > 0, and is undone by the opposite velocity's map */

START_TEST(a_diffeomorphic_field_does_not_fold) {
    bool volume = _i;
    const struct settings *s =
        volume ? USE("paper-3d", "crop=32x32x32", "work=40x40x40", NO_SPACE, "diffeo_alpha=1500", "diffeo_sigma=6")
               : USE("paper-2d", "crop=96x96", "work=128x128", NO_SPACE, "diffeo_alpha=600");
    struct grid grid = work_of(s, NULL);
    float *image = random_pixels(&grid, 1, 3);
    struct drawn drawn = draw_room(s);
    int dims = (int)s->network.dims;
    int64_t n = drawn.crop.size[2];
    double largest = 0, least = 9;
    for (uint32_t sample = 0; sample < (volume ? 3 : 10); sample++) {
        ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, 6, 0, sample));
        const float *u = drawn.pair.field;
        for (int64_t p = 0; p < drawn.pixels; p++) {
            int64_t at[3] = {p / n / n, p / n % n, p % n}, strides[3] = {n * n, n, 1};
            double j[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
            bool border = false;
            for (int b = 0; b < dims; b++) {
                int i = 3 - dims + b;
                if ((border |= at[i] + 1 >= n)) break;
                for (int a = 0; a < dims; a++) j[a][b] += (double)u[(p + strides[i]) * dims + a] - (double)u[p * dims + a];
            }
            if (border) continue;
            double det = j[0][0] * (j[1][1] * j[2][2] - j[1][2] * j[2][1]) - j[0][1] * (j[1][0] * j[2][2] - j[1][2] * j[2][0]) +
                         j[0][2] * (j[1][0] * j[2][1] - j[1][1] * j[2][0]);
            least = fmin(least, det);
            for (int a = 0; a < dims; a++) largest = fmax(largest, fabs((double)u[p * dims + a]));
        }
    }
    ck_assert_double_gt(least, 0);
    ck_assert_double_lt(least, 0.7); /* it did deform */
    ck_assert_double_gt(largest, 4);
    draw_free(&drawn);
    free(image);
}
END_TEST

START_TEST(the_smooth_field_has_the_amplitude_of_smoothed_noise) {
    /* sigma of U(-1,1) noise is 1/sqrt(3); a 2D Gaussian leaves 1 / (2 sqrt(pi) sigma) of it */
    const struct settings *s = USE("paper-2d", "crop=128x128", "work=256x256", NO_SPACE, "deform_alpha=1000");
    struct grid grid = {2, {1, 256, 256}};
    float *image = random_pixels(&grid, 1, 3);
    struct drawn drawn = draw_room(s);
    double measured = 0, expected = 0;
    for (uint32_t sample = 0; sample < 40; sample++) {
        ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, 2, 3, sample));
        struct random_stream stream = deform_stream(2, 3, sample, 0);
        double alpha = (double)random_uniform(&stream, 0, 1000), sigma = (double)random_uniform(&stream, 10, 13);
        ck_assert(sigma >= 10 && sigma <= 13);
        expected += pow(alpha / sqrt(3) / (2 * sqrt(M_PI) * sigma), 2);
        /* the middle, where no zero outside is in reach */
        for (int y = 32; y < 96; y++)
            for (int x = 0; x < 2 * 64; x++) measured += pow((double)drawn.pair.field[(y * 128 + 32) * 2 + x], 2) / (64 * 128);
    }
    ck_assert_double_eq_tol(sqrt(measured / expected), 1, 0.12);
    draw_free(&drawn);
    free(image);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sevr deform");
    TCase *tcase = tcase_create("deform");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, deformations_are_what_the_method_says, 0, 6 * CASES);
    ADD(tcase, view_b_follows_the_deformed_field);
    tcase_add_loop_test(tcase, a_diffeomorphic_field_does_not_fold, 0, 2);
    ADD(tcase, the_smooth_field_has_the_amplitude_of_smoothed_noise);
    return run_suite(suite);
}
