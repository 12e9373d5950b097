/* Field, mask and the two views before appearance, against the method stated a second time in double precision, one
 * pixel at a time; and what must hold whatever is drawn. */
#include "sevr_fixture.h"

#include <pthread.h>

/* ---- the literal statement */

typedef double matrix4[4][4]; /* homogeneous: rows 0..2 the axes in array order, 3 the one */

static void eye(matrix4 m) {
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) m[i][j] = i == j;
}
static void times(matrix4 left, matrix4 right) { /* left = left right */
    matrix4 product = {{0}};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            for (int k = 0; k < 4; k++) product[i][j] += left[i][k] * right[k][j];
    memcpy(left, product, sizeof product);
}
static void shift(matrix4 m, const double by[3], double sign) {
    eye(m);
    for (int i = 0; i < 3; i++) m[i][3] = sign * by[i];
}

struct literal {
    const struct settings *s;
    struct grid work, crop;
    int64_t window[3];
    double translation[3], angle[3], shear[3][3], scale[3]; /* what was drawn */
};

static double either(struct random_stream *stream, double largest) { return (double)random_uniform(stream, -1, 1) * largest; }

static struct literal retell(const struct settings *s, const struct grid *image, uint64_t seed, uint32_t step, uint32_t sample) {
    int dims = (int)s->network.dims;
    struct literal l = {.s = s, .work = work_of(s, image), .crop = settings_grid(&s->views.crop, dims)};
    window_of(l.window, s, &l.work, seed, step, sample);
    struct random_stream stream = random_stream(seed, RANDOM_VIEW_AFFINE, step, sample);
    const double degree = M_PI / 180;
    for (int a = 0; a < dims; a++) l.translation[a] = either(&stream, s->views.translate) * (double)grid_axis(&l.work, a);
    for (int a = 0; a < (dims == 2 ? 1 : 3); a++) l.angle[a] = either(&stream, s->views.rotate_degrees * degree);
    if (dims == 2 && s->views.affine == AFFINE_RELEASED) l.angle[0] -= either(&stream, s->views.rotate_degrees * degree);
    for (int a = 0; a < dims; a++)
        for (int b = 0; b < dims; b++)
            if (a != b) l.shear[a][b] = tan(either(&stream, s->views.shear_degrees * degree));
    for (int a = 0; a < dims; a++)
        l.scale[a] = s->views.scale_low + (s->views.scale_high - s->views.scale_low) * (double)uniform01(random_word(&stream));
    return l;
}

static void factors(const struct literal *l, matrix4 r, matrix4 sh, matrix4 sc) {
    eye(r), eye(sh), eye(sc);
    static const int planes[3][2] = {{1, 2}, {2, 0}, {0, 1}}; /* about x, y, z = axes 0, 1, 2 */
    if (l->work.ndim == 2) {
        double c = cos(l->angle[0]), s = sin(l->angle[0]);
        r[0][0] = c, r[0][1] = -s, r[1][0] = s, r[1][1] = c;
    } else
        for (int k = 2; k >= 0; k--) { /* Rz Ry Rx */
            int i = planes[k][0], j = planes[k][1];
            double c = cos(l->angle[k]), s = sin(l->angle[k]);
            matrix4 one;
            eye(one);
            one[i][i] = c, one[i][j] = -s, one[j][i] = s, one[j][j] = c;
            times(r, one);
        }
    for (int a = 0; a < l->work.ndim; a++) {
        sc[a][a] = l->scale[a];
        for (int b = 0; b < l->work.ndim; b++)
            if (a != b) sh[a][b] = l->shear[a][b];
    }
}

/* Where position p (array axes) of the whole image goes. */
static void move(double to[3], const struct literal *l, const double p[3]) {
    int dims = l->work.ndim;
    double centre[3] = {0}, half[3] = {0};
    for (int a = 0; a < dims; a++) {
        centre[a] = 0.5 * (double)(grid_axis(&l->work, a) - 1);
        half[a] = (double)(grid_axis(&l->work, a) / 2);
    }
    matrix4 r, sh, sc;
    factors(l, r, sh, sc);
    if (l->s->views.affine == AFFINE_RELEASED) {
        double row[3] = {0}, next[3];
        for (int a = 0; a < dims; a++) row[a] = p[a] - centre[a];
        matrix4 *chain[] = {&sh, &sc, &r};
        for (int f = 0; f < 3; f++) {
            for (int j = 0; j < dims; j++) {
                next[j] = 0;
                for (int i = 0; i < dims; i++) next[j] += row[i] * (*chain[f])[i][j];
            }
            memcpy(row, next, sizeof row);
        }
        for (int a = 0; a < dims; a++) to[a] = row[a] + l->translation[a] + half[a];
        return;
    }
    matrix4 product, t, back;
    shift(product, centre, 1);
    shift(t, l->translation, 1);
    shift(back, centre, -1);
    times(product, t);
    times(product, r);
    times(product, sh);
    times(product, sc);
    times(product, back);
    for (int i = 0; i < dims; i++) to[i] = product[i][0] * p[0] + product[i][1] * p[1] + product[i][2] * p[2] + product[i][3];
}

/* The resized and normalised image at a whole place; 0 outside. */
struct literal_image {
    const float *image;
    struct grid grid, work;
    int channels;
    double low, high, offset, divisor;
};
static double resized(const struct literal_image *m, const int64_t at[3], int channel) {
    double base[3], value = 0;
    for (int i = 0; i < 3; i++) {
        if (at[i] < 0 || at[i] >= m->work.size[i]) return 0;
        base[i] = ((double)at[i] + 0.5) * (double)m->grid.size[i] / (double)m->work.size[i] - 0.5;
        base[i] = fmin(fmax(base[i], 0), (double)(m->grid.size[i] - 1));
    }
    for (int corner = 0; corner < 8; corner++) {
        double weight = 1;
        int64_t pixel = 0;
        for (int i = 0; i < 3; i++) {
            int behind = corner >> i & 1;
            int64_t first = (int64_t)floor(base[i]), place = first + behind;
            weight *= behind ? base[i] - (double)first : 1 - (base[i] - (double)first);
            if (place >= m->grid.size[i]) place = m->grid.size[i] - 1;
            pixel = pixel * m->grid.size[i] + place;
        }
        double x = (double)m->image[pixel * m->channels + channel];
        value += weight * (fmin(fmax(x, m->low), m->high) - m->offset) / m->divisor;
    }
    return value;
}
static double sampled(const struct literal_image *m, const double at[3], int channel) {
    double value = 0;
    for (int corner = 0; corner < 8; corner++) {
        double weight = 1;
        int64_t place[3];
        for (int i = 0; i < 3; i++) {
            int behind = corner >> i & 1;
            double first = floor(at[i]);
            place[i] = (int64_t)first + behind;
            weight *= behind ? at[i] - first : 1 - (at[i] - first);
        }
        if (weight != 0) value += weight * resized(m, place, channel);
    }
    return value;
}

static struct literal_image literal_image(const float *image, const struct grid *grid, const struct literal *l, float integer_max) {
    struct literal_image m = {image, *grid, l->work, (int)l->s->network.channels, -HUGE_VAL, HUGE_VAL, 0, 1};
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (int64_t i = 0; i < grid_pixels(grid) * m.channels; i++) {
        low = fmin(low, (double)image[i]);
        high = fmax(high, (double)image[i]);
    }
    if (l->s->views.normalise == NORMALISE_CLIP2048) m.low = 0, m.high = m.divisor = 2048;
    else if (l->s->views.normalise == NORMALISE_MAX && integer_max > 0) m.divisor = (double)integer_max;
    else if (l->s->views.normalise != NORMALISE_NONE) m.offset = low, m.divisor = high - low;
    return m;
}

static const struct view_case {
    const char *preset;
    struct grid image;
    float gain, integer_max;
    const char *changes[8];
} cases[] = {
    {"paper-2d", {2, {1, 64, 64}}, 200, 0, {"crop=48x48", "work=64x64"}},
    {"paper-2d", {2, {1, 37, 91}}, 255, 255, {"crop=32x48", "work=50x70", "normalise=max"}},
    {"paper-2d", {2, {1, 130, 40}}, 255, 0, {"crop=32x16", "work=40x33", "normalise=max", "channels=3"}},
    {"paper-2d", {2, {1, 33, 47}}, 3000, 0, {"crop=32x32", "work=0x0", "normalise=clip2048"}},
    {"paper-2d", {2, {1, 48, 48}}, 65535, 65535, {"crop=48x48", "work=48x48", "normalise=max"}},
    {"paper-2d", {2, {1, 40, 56}}, 1, 0, {"crop=32x32", "work=0x0", "normalise=none", "affine=released"}},
    {"released-2d", {2, {1, 41, 57}}, 255, 255, {"crop=32x48", "work=48x72"}},
    {"released-2d", {2, {1, 64, 64}}, 255, 255, {"crop=32x32", "work=49x51", "channels=2"}},
    {"paper-2d", {2, {1, 64, 64}}, 1, 0, {"crop=48x48", "work=64x64", "translate=2", "scale_high=6", "rotate_degrees=180"}},
    {"paper-3d", {3, {20, 24, 33}}, 90, 0, {"crop=16x16x32", "work=0x0x0"}},
    {"paper-3d", {3, {12, 40, 22}}, 90, 0, {"crop=16x32x16", "work=21x33x25", "channels=2"}},
    {"released-3d", {3, {24, 20, 28}}, 2500, 0, {"crop=16x16x32", "work=24x24x40", "deform_alpha=0"}},
    {"released-3d", {3, {9, 9, 9}}, 2500, 0, {"crop=16x16x16", "work=16x16x16", "deform_alpha=0", "rotate_degrees=180"}},
};
enum { CASES = sizeof cases / sizeof *cases };

static const struct settings *case_settings(const struct view_case *c) {
    use(c->preset, c->changes);
    ck_assert_ok(cover_config_set(config, "appearance_probability", "0"));
    return config_settings(config);
}
static float *case_image(const struct view_case *c, int channels) {
    float *image = random_pixels(&c->image, channels, 1);
    for (int64_t i = 0; i < grid_pixels(&c->image) * channels; i++) image[i] = image[i] * c->gain - c->gain * 0.05f;
    return image;
}

/* Positions of crop pixel `index`: within the crop and within the whole, array axes and D, H, W. */
static void pixel_place(int64_t crop_at[3], const struct grid *crop, int64_t index) {
    crop_at[2] = index % crop->size[2], crop_at[1] = index / crop->size[2] % crop->size[1];
    crop_at[0] = index / crop->size[2] / crop->size[1];
}

START_TEST(a_pair_is_what_the_method_says) {
    const struct view_case *c = &cases[_i / 3];
    const struct settings *s = case_settings(c);
    uint64_t seed = 1000 + (uint64_t)_i;
    uint32_t step = (uint32_t)(_i % 3) * 70001, sample = (uint32_t)_i;
    int dims = (int)s->network.dims, channels = (int)s->network.channels;
    bool released = s->objective.coordinates == COORDINATES_RELEASED;
    float *image = case_image(c, channels);
    struct drawn drawn = draw_room(s);
    ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &c->image, channels, c->integer_max, seed, step, sample));
    struct literal l = retell(s, &c->image, seed, step, sample);
    struct literal_image m = literal_image(image, &c->image, &l, c->integer_max);
    int64_t valid = 0;
    double zero_loss = 0, worst_field = 0, worst_fixed = 0, worst_moving = 0;
    for (int64_t index = 0; index < drawn.pixels; index++) {
        int64_t at[3], whole[3];
        double p[3] = {0}, to[3], read[3] = {0};
        const float *v = drawn.pair.field + index * dims;
        pixel_place(at, &drawn.crop, index);
        for (int i = 0; i < 3; i++) whole[i] = l.window[i] + at[i];
        for (int a = 0; a < dims; a++) p[a] = (double)whole[3 - dims + a];
        move(to, &l, p);
        int inside = 1;
        double magnitude = 0;
        for (int a = 0; a < dims; a++) {
            int i = 3 - dims + a;
            worst_field = fmax(worst_field, fabs((double)v[a] - (to[a] - p[a])));
            float place = (float)at[i] + v[a]; /* the mask's definition on the field that is given */
            inside &= (released ? place > 0 : place >= 0) && place <= (float)(drawn.crop.size[i] - 1);
            magnitude += fabs((double)v[a]);
            double n = (double)l.work.size[i];
            read[i] = released ? to[a] * n / (n - 1) - 0.5 : to[a];
        }
        ck_assert_float_eq(drawn.pair.mask[index], (float)inside);
        valid += inside;
        if (inside) zero_loss += magnitude;
        for (int k = 0; k < channels; k++) {
            double want_moving = resized(&m, whole, k), want_fixed = sampled(&m, read, k);
            worst_moving = fmax(worst_moving, fabs((double)drawn.pair.moving[index * channels + k] - want_moving));
            worst_fixed = fmax(worst_fixed, fabs((double)drawn.pair.fixed[index * channels + k] - want_fixed));
        }
    }
    ck_assert_double_lt(worst_field, 1e-4);
    ck_assert_double_lt(worst_moving, 4e-6);
    ck_assert_double_lt(worst_fixed, 1e-4); /* float32 positions on white noise */
    ck_assert_int_eq(drawn.pair.valid, valid);
    ck_assert_double_eq_tol(drawn.pair.zero_loss, zero_loss, 1e-6 * (1 + zero_loss));
    draw_free(&drawn);
    free(image);
}
END_TEST

/* ---- what must hold */

START_TEST(the_truth_is_true) {
    /* warp(a', v) = b at every valid pixel, whatever the image, a' being a without appearance */
    static const int exact[] = {0, 1, 2, 3, 5, 8, 9, 10};
    const struct view_case *c = &cases[exact[_i % 8]];
    const struct settings *s = case_settings(c);
    int dims = (int)s->network.dims, channels = (int)s->network.channels;
    float *image = case_image(c, channels);
    struct drawn drawn = draw_room(s);
    int64_t valid = 0;
    for (uint32_t sample = 0; sample < 6; sample++) {
        ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &c->image, channels, c->integer_max, 3, 0, sample));
        struct literal_image a = {drawn.pair.moving, drawn.crop, drawn.crop, channels, -HUGE_VAL, HUGE_VAL, 0, 1};
        valid += drawn.pair.valid;
        for (int64_t index = 0; index < drawn.pixels; index++) {
            int64_t at[3];
            double read[3];
            pixel_place(at, &drawn.crop, index);
            for (int i = 0; i < 3; i++) {
                int axis = i - (3 - dims);
                read[i] = (double)at[i] + (axis >= 0 ? (double)drawn.pair.field[index * dims + axis] : 0);
            }
            for (int k = 0; k < channels && drawn.pair.mask[index] > 0; k++)
                ck_assert_double_eq_tol((double)drawn.pair.fixed[index * channels + k], sampled(&a, read, k), 1e-4);
        }
    }
    ck_assert_int_gt(valid, 0);
    draw_free(&drawn);
    free(image);
}
END_TEST

START_TEST(identity_settings_give_one_view_twice) {
    static const char *const presets[][3] = {{"paper-2d", "crop=48x32", "work=64x48"}, {"paper-3d", "crop=16x32x16", "work=0x0x0"}};
    const struct settings *s = USE(presets[_i][0], presets[_i][1], presets[_i][2], NO_SPACE, "appearance_probability=0");
    struct grid grid = _i ? (struct grid){3, {20, 40, 24}} : (struct grid){2, {1, 100, 80}};
    float *image = random_pixels(&grid, 1, 2);
    struct drawn drawn = draw_room(s);
    ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, 1, 2, 3));
    ck_assert_int_eq(drawn.pair.valid, drawn.pixels);
    ck_assert_double_eq(drawn.pair.zero_loss, 0);
    for (int64_t i = 0; i < drawn.pixels * s->network.dims; i++) ck_assert_float_eq(drawn.pair.field[i], 0);
    ck_assert_mem_eq(drawn.pair.moving, drawn.pair.fixed, (size_t)drawn.values * sizeof(float));
    draw_free(&drawn);
    free(image);
}
END_TEST

START_TEST(the_released_identity_moves_even_sizes_by_half_a_pixel) {
    const struct settings *s = USE("paper-2d", "crop=16x16", "work=32x33", "affine=released", NO_SPACE, "appearance_probability=0");
    struct grid grid = {2, {1, 32, 33}};
    float *image = random_pixels(&grid, 1, 2);
    struct drawn drawn = draw_room(s);
    ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, 1, 2, 3));
    for (int64_t i = 0; i < drawn.pixels; i++) {
        ck_assert_float_eq(drawn.pair.field[2 * i], 0.5f);
        ck_assert_float_eq(drawn.pair.field[2 * i + 1], 0);
    }
    draw_free(&drawn);
    free(image);
}
END_TEST

/* ---- the ranges of the draws, read off the field of a one-window image */

enum { SAMPLES = 1500 };
static const struct spread {
    const char *preset, *changes[7];
    double low, high, mean, shape; /* of the figure; shape: standard deviation over that of a uniform draw, 0 = not checked */
} spreads[] = {
    {"paper-2d", {"translate=0.2", "rotate_degrees=0", "shear_degrees=0", "scale_low=1", "scale_high=1"}, -0.2, 0.2, 0, 1},
    {"paper-2d", {"translate=0", "rotate_degrees=20", "shear_degrees=0", "scale_low=1", "scale_high=1"}, -20, 20, 0, 1},
    {"paper-2d", {"translate=0", "rotate_degrees=0", "shear_degrees=5.625", "scale_low=1", "scale_high=1"}, -5.625, 5.625, 0, 1},
    {"paper-2d", {"translate=0", "rotate_degrees=0", "shear_degrees=0"}, 0.5, 1.5, 1, 1},
    {"released-2d",
     {"translate=0", "rotate_degrees=30", "shear_degrees=0", "scale_low=1", "scale_high=1", "coordinates=exact"},
     -60,
     60,
     0,
     0.70710678},
    {"paper-3d", {"translate=0.1", "rotate_degrees=0", "shear_degrees=0", "scale_low=1", "scale_high=1"}, -0.1, 0.1, 0, 1},
    {"paper-3d", {"translate=0", "rotate_degrees=0", "shear_degrees=0"}, 0.75, 1.25, 1, 1},
};
enum { SPREADS = sizeof spreads / sizeof *spreads };

/* The drawn quantity from the field: kinds 0 translation / size, 1 rotation, 2 shear, 3 scale, of the first axis. */
static double figure(int kind, const struct drawn *drawn) {
    int dims = drawn->crop.ndim;
    const float *v = drawn->pair.field;
    int64_t n = 16, along = dims == 2 ? n : n * n, last = drawn->pixels - 1; /* pixels of one step of the first axis */
    double slope = ((double)v[(n - 1) * along * dims] - (double)v[0]) / (double)(n - 1);
    double cross = ((double)v[(n - 1) * dims] - (double)v[0]) / (double)(n - 1); /* along the last axis */
    if (kind == 0) return 0.5 * ((double)v[0] + (double)v[last * dims]) / (double)n;
    if (kind == 1) return atan2(-cross, 1 + slope) * 180 / M_PI;
    if (kind == 2) return atan(cross) * 180 / M_PI;
    return 1 + slope;
}

START_TEST(draws_are_uniform_over_their_ranges) {
    static const int kinds[] = {0, 1, 2, 3, 4, 0, 3};
    const struct spread *p = &spreads[_i];
    use(p->preset, p->changes);
    bool volume = strstr(p->preset, "3d");
    ck_assert_ok(cover_config_set(config, "crop", volume ? "16x16x16" : "16x16"));
    ck_assert_ok(cover_config_set(config, "work", volume ? "16x16x16" : "16x16"));
    ck_assert_ok(cover_config_set(config, "appearance_probability", "0"));
    const struct settings *s = config_settings(config);
    struct grid grid = settings_grid(&s->views.crop, (int)s->network.dims);
    float *image = random_pixels(&grid, 1, 3);
    struct drawn drawn = draw_room(s);
    double low = HUGE_VAL, high = -HUGE_VAL, sum = 0, squares = 0;
    for (uint32_t i = 0; i < SAMPLES; i++) {
        ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, 9, i / 40, i % 40));
        double x = figure(kinds[_i] == 4 ? 1 : kinds[_i], &drawn);
        if (kinds[_i] == 4) x = -x; /* row vectors turn the other way */
        low = fmin(low, x), high = fmax(high, x), sum += x, squares += x * x;
    }
    double width = p->high - p->low, mean = sum / SAMPLES, deviation = sqrt(squares / SAMPLES - mean * mean);
    ck_assert_double_ge(low, p->low - 1e-4);
    ck_assert_double_le(high, p->high + 1e-4);
    ck_assert_double_lt(low, p->low + (p->shape == 1 ? 0.01 : 0.1) * width);
    ck_assert_double_gt(high, p->high - (p->shape == 1 ? 0.01 : 0.1) * width);
    ck_assert_double_eq_tol(mean, p->mean, 0.035 * width);
    ck_assert_double_eq_tol(deviation, p->shape * width / sqrt(12), 0.05 * width / sqrt(12));
    draw_free(&drawn);
    free(image);
}
END_TEST

START_TEST(the_window_reaches_every_place) {
    const struct settings *s = USE("paper-2d", "crop=16x16", "work=18x20", NO_SPACE, "appearance_probability=0", "normalise=none");
    struct grid grid = {2, {1, 18, 20}};
    float *image = constant_pixels(&grid, 1, 0);
    for (int i = 0; i < 18 * 20; i++) image[i] = (float)i;
    struct drawn drawn = draw_room(s);
    int seen[3][5] = {{0}};
    for (uint32_t i = 0; i < 1500; i++) {
        ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, 4, i, 0));
        int first = (int)drawn.pair.moving[0];
        ck_assert(first / 20 < 3 && first % 20 < 5);
        seen[first / 20][first % 20]++;
    }
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 5; x++) ck_assert(seen[y][x] > 60 && seen[y][x] < 145); /* 100 expected */
    draw_free(&drawn);
    free(image);
}
END_TEST

/* ---- determinism */

enum { PAIRS = 12, WORKERS = 3 };
struct worker {
    const struct settings *settings;
    struct drawn drawn[PAIRS];
    const float *image;
    struct grid grid;
    int order; /* pairs i * order % PAIRS */
    cover_status status;
};
static void *work(void *data) {
    struct worker *w = data;
    for (int i = 0; i < PAIRS && w->status == COVER_OK; i++) {
        uint32_t index = (uint32_t)(i * w->order % PAIRS);
        struct drawn *d = &w->drawn[index];
        w->status = sevr_draw(w->drawn[0].sevr, &d->pair, w->image, &w->grid, 1, 0, 11, index / 4, index % 4);
    }
    return NULL;
}

START_TEST(pairs_do_not_depend_on_threads_or_order) {
    const struct settings *s = _i ? USE("paper-3d", "crop=16x16x16", "work=24x24x24", "deform_alpha=500", "deform_sigma_low=2")
                                  : USE("paper-2d", "crop=48x48", "work=64x64", "diffeo_alpha=200", "blur=3");
    struct grid grid = _i ? (struct grid){3, {24, 24, 24}} : (struct grid){2, {1, 70, 60}};
    float *image = random_pixels(&grid, 1, 4);
    struct worker workers[WORKERS];
    static const int orders[WORKERS] = {1, 5, 7};
    pthread_t threads[WORKERS];
    for (int w = 0; w < WORKERS; w++) {
        workers[w] = (struct worker){.settings = s, .image = image, .grid = grid, .order = orders[w]};
        for (int i = 0; i < PAIRS; i++) workers[w].drawn[i] = draw_room(s);
    }
    for (int w = 0; w < WORKERS; w++) ck_assert_int_eq(pthread_create(&threads[w], NULL, work, &workers[w]), 0);
    for (int w = 0; w < WORKERS; w++) ck_assert_int_eq(pthread_join(threads[w], NULL), 0);
    for (int w = 0; w < WORKERS; w++) {
        ck_assert_int_eq(workers[w].status, COVER_OK);
        for (int i = 0; i < PAIRS; i++) ck_assert(same_pair(&workers[w].drawn[i], &workers[0].drawn[i]));
    }
    for (int i = 1; i < PAIRS; i++) ck_assert(!same_pair(&workers[0].drawn[i], &workers[0].drawn[0]));
    for (int w = 0; w < WORKERS; w++)
        for (int i = 0; i < PAIRS; i++) draw_free(&workers[w].drawn[i]);
    free(image);
}
END_TEST

START_TEST(a_larger_image_before_changes_nothing) {
    const struct settings *s = USE("paper-2d", "crop=32x32", "work=0x0", "deform_alpha=300");
    struct grid small = {2, {1, 40, 36}}, large = {2, {1, 90, 120}};
    float *image = random_pixels(&small, 1, 5), *other = random_pixels(&large, 1, 6);
    struct drawn fresh = draw_room(s), used = draw_room(s);
    size_t before = sevr_bytes(used.sevr);
    ck_assert_ok(sevr_draw(used.sevr, &used.pair, other, &large, 1, 0, 1, 1, 1));
    ck_assert_uint_gt(sevr_bytes(used.sevr), before);
    ck_assert_ok(sevr_reserve(fresh.sevr, &large));
    ck_assert_uint_eq(sevr_bytes(fresh.sevr), sevr_bytes(used.sevr));
    ck_assert_ok(sevr_draw(used.sevr, &used.pair, image, &small, 1, 0, 1, 1, 1));
    ck_assert_ok(sevr_draw(fresh.sevr, &fresh.pair, image, &small, 1, 0, 1, 1, 1));
    ck_assert(same_pair(&fresh, &used));
    draw_free(&fresh);
    draw_free(&used);
    free(image);
    free(other);
}
END_TEST

/* ---- what is refused */

START_TEST(images_that_do_not_fit_are_refused_with_their_sizes) {
    const struct settings *s = USE("paper-2d", "crop=48x48", "work=0x0");
    struct drawn drawn = draw_room(s);
    struct grid low = {2, {1, 47, 100}}, volume = {3, {48, 48, 48}}, fits = {2, {1, 48, 48}}, huge = {2, {1, 48, 1 << 21}},
                empty = {2, {1, 0, 48}}, vast = {2, {1, 1 << 20, 1 << 20}};
    float *image = constant_pixels(&fits, 1, 1);
    ck_assert_int_eq(sevr_accepts(s, &low, 1), COVER_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "47x100"));
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "48x48"));
    ck_assert_int_eq(sevr_draw(drawn.sevr, &drawn.pair, image, &low, 1, 0, 0, 0, 0), COVER_ERROR_SHAPE);
    ck_assert_int_eq(sevr_accepts(s, &volume, 1), COVER_ERROR_SHAPE);
    ck_assert_int_eq(sevr_accepts(s, &fits, 3), COVER_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "3 channels"));
    ck_assert_int_eq(sevr_accepts(s, &huge, 1), COVER_ERROR_SHAPE);
    ck_assert_int_eq(sevr_accepts(s, &empty, 1), COVER_ERROR_SHAPE);
    ck_assert_ok(sevr_accepts(s, &fits, 1));
    ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &fits, 1, 0, 0, 0, 0));
    ck_assert_ok(sevr_accepts(s, &vast, 1));
    s = USE("paper-2d", "crop=48x48", "work=0x0", "channels=1024");
    ck_assert_int_eq(sevr_accepts(s, &vast, 1024), COVER_ERROR_SHAPE);
    struct settings wrong = *s; /* not validated */
    wrong.network.channels = 1, wrong.views.work = wrong.views.crop, wrong.views.work.value[1] = 40;
    struct sevr *sevr = NULL;
    ck_assert_int_eq(sevr_create(&sevr, context, &wrong), COVER_ERROR_SHAPE);
    ck_assert_ptr_null(sevr);
    sevr_destroy(NULL);
    draw_free(&drawn);
    free(image);
}
END_TEST

START_TEST(a_pixel_that_is_no_number_is_named) {
    const struct settings *s = USE("paper-2d", "crop=16x16", "work=16x16", "channels=2");
    struct drawn drawn = draw_room(s);
    struct grid grid = {2, {1, 9, 31}};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int64_t place = 0; place < 9 * 31 * 2; place += 61) {
        float *image = random_pixels(&grid, 2, 7);
        image[place] = bad[place % 3];
        ck_assert_int_eq(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 2, 0, 1, 1, 1), COVER_ERROR_NUMERIC);
        char want[64];
        snprintf(want, sizeof want, "y %d, x %d, channel %d", (int)place / 62, (int)place / 2 % 31, (int)place % 2);
        ck_assert_ptr_nonnull(strstr(cover_error_text(), want));
        free(image);
    }
    float *image = constant_pixels(&grid, 2, 3e38f);
    image[5] = -3e38f;
    ck_assert_int_eq(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 2, 0, 1, 1, 1), COVER_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "range"));
    free(image);
    draw_free(&drawn);
}
END_TEST

START_TEST(a_constant_image_becomes_zeros_by_range) {
    const struct settings *s = USE("paper-2d", "crop=16x16", "work=20x20", "appearance_probability=0");
    struct drawn drawn = draw_room(s);
    struct grid grid = {2, {1, 30, 30}};
    float *image = constant_pixels(&grid, 1, 1234.5f);
    ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, 1, 1, 1));
    for (int64_t i = 0; i < drawn.values; i++) {
        ck_assert_float_eq(drawn.pair.moving[i], 0);
        ck_assert_float_eq(drawn.pair.fixed[i], 0);
    }
    free(image);
    draw_free(&drawn);
}
END_TEST

START_TEST(settings_at_their_extremes_give_finite_pairs) {
    static const char *const extremes[][7] = {
        {"translate=10", "rotate_degrees=180", "shear_degrees=80", "scale_low=100", "scale_high=100"},
        {"translate=10", "scale_low=0.01", "scale_high=0.01", "coordinates=released", "affine=released"},
        {"deform_alpha=1000000", "deform_sigma_low=0.1", "deform_sigma_high=0.1"},
        {"deform_alpha=1000000", "deform_sigma_low=10000", "deform_sigma_high=10000"},
        {"diffeo_alpha=1000000", "diffeo_sigma=0.1", "diffeo_squarings=0"},
        {"diffeo_alpha=1000000", "diffeo_sigma=10000", "diffeo_squarings=30"},
        {"noise=100", "blur=1000", "contrast_low=0", "contrast_high=1000", "brightness=1000"},
        {"inpaint_boxes=1000", "inpaint_probability=1"},
    };
    bool volume = _i & 1;
    use(volume ? "paper-3d" : "paper-2d", extremes[_i / 2]);
    ck_assert_ok(cover_config_set(config, "appearance_probability", "1"));
    ck_assert_ok(cover_config_set(config, "crop", volume ? "16x16x16" : "16x16"));
    ck_assert_ok(cover_config_set(config, "work", volume ? "16x16x16" : "16x16"));
    const struct settings *s = config_settings(config);
    struct grid grid = volume ? (struct grid){3, {1, 2, 3}} : (struct grid){2, {1, 1, 5}};
    float *image = random_pixels(&grid, 1, 8);
    struct drawn drawn = draw_room(s);
    for (uint32_t sample = 0; sample < 4; sample++) {
        ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, UINT64_MAX, UINT32_MAX, sample));
        for (int64_t i = 0; i < drawn.values; i++) ck_assert(isfinite(drawn.pair.moving[i]) && isfinite(drawn.pair.fixed[i]));
        for (int64_t i = 0; i < drawn.pixels * s->network.dims; i++) ck_assert(isfinite(drawn.pair.field[i]));
        ck_assert(isfinite(drawn.pair.zero_loss) && drawn.pair.valid >= 0 && drawn.pair.valid <= drawn.pixels);
    }
    free(image);
    draw_free(&drawn);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sevr views");
    TCase *method = tcase_create("method"), *draws = tcase_create("draws"), *bad = tcase_create("bad input");
    TCase *all[] = {method, draws, bad};
    for (int i = 0; i < 3; i++) {
        tcase_add_checked_fixture(all[i], setup, teardown);
        tcase_set_timeout(all[i], 120);
        suite_add_tcase(suite, all[i]);
    }
    tcase_add_loop_test(method, a_pair_is_what_the_method_says, 0, 3 * CASES);
    tcase_add_loop_test(method, the_truth_is_true, 0, 8);
    tcase_add_loop_test(method, identity_settings_give_one_view_twice, 0, 2);
    ADD(method, the_released_identity_moves_even_sizes_by_half_a_pixel);
    tcase_add_loop_test(draws, draws_are_uniform_over_their_ranges, 0, SPREADS);
    ADD(draws, the_window_reaches_every_place);
    tcase_add_loop_test(draws, pairs_do_not_depend_on_threads_or_order, 0, 2);
    ADD(draws, a_larger_image_before_changes_nothing);
    ADD(bad, images_that_do_not_fit_are_refused_with_their_sizes);
    ADD(bad, a_pixel_that_is_no_number_is_named);
    ADD(bad, a_constant_image_becomes_zeros_by_range);
    tcase_add_loop_test(bad, settings_at_their_extremes_give_finite_pairs, 0, 16);
    return run_suite(suite);
}
