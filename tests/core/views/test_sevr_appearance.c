/* The appearance of view a: the whole chain against its literal statement in double precision, each change alone, their
 * probabilities, and the rules of in-painting. */
#include "sevr_fixture.h"

static bool coin(struct random_stream *stream, double probability) { return (double)uniform01(random_word(stream)) < probability; }
static int64_t below(struct random_stream *stream, int64_t count) { return (int64_t)(random_word(stream) * (uint64_t)count >> 32); }

/* ---- the literal chain on an array of doubles */

static void literal_blur(double *x, const struct grid *g, int channels, double sigma) {
    int radius = (int)(4 * sigma + 0.5);
    int64_t values = grid_pixels(g) * channels;
    double *copy = malloc((size_t)values * sizeof *copy);
    for (int axis = 3 - g->ndim; axis < 3; axis++) {
        memcpy(copy, x, (size_t)values * sizeof *copy);
        for (int64_t i = 0; i < values; i++) {
            int64_t pixel = i / channels,
                    at[3] = {pixel / g->size[2] / g->size[1], pixel / g->size[2] % g->size[1], pixel % g->size[2]}, home = at[axis];
            double sum = 0, weights = 0;
            for (int k = -radius; k <= radius; k++) {
                int64_t place = home + k;
                at[axis] = place < 0 ? 0 : place >= g->size[axis] ? g->size[axis] - 1 : place;
                double weight = exp(-0.5 * k * k / (sigma * sigma));
                weights += weight;
                sum += weight * copy[((at[0] * g->size[1] + at[1]) * g->size[2] + at[2]) * channels + i % channels];
            }
            x[i] = sum / weights;
        }
    }
    free(copy);
}

struct boxes {
    int count;
    int64_t first[1000][3], side[1000][3];
};
static void literal_boxes(struct boxes *boxes, const struct settings *s, const struct grid *g, uint64_t seed, uint32_t step,
                          uint32_t sample) {
    struct random_stream stream = random_stream(seed, RANDOM_VIEW_INPAINT, step, sample);
    for (boxes->count = 0; boxes->count < s->views.inpaint_boxes; boxes->count++) {
        if (!coin(&stream, s->views.inpaint_probability)) return;
        for (int i = 0; i < 3; i++) {
            boxes->first[boxes->count][i] = 0, boxes->side[boxes->count][i] = 1;
            if (i < 3 - g->ndim) continue;
            int64_t n = g->size[i], side = n * 3 / 30 + below(&stream, n * 4 / 30 - n * 3 / 30 + 1);
            boxes->side[boxes->count][i] = side;
            boxes->first[boxes->count][i] = 3 + below(&stream, n - 3 - side - 3 + 1);
        }
    }
}
static bool in_boxes(const struct boxes *boxes, const struct grid *g, int64_t pixel) {
    const int64_t at[3] = {pixel / g->size[2] / g->size[1], pixel / g->size[2] % g->size[1], pixel % g->size[2]};
    for (int b = 0; b < boxes->count; b++) {
        bool inside = true;
        for (int i = 0; i < 3; i++) inside &= at[i] >= boxes->first[b][i] && at[i] < boxes->first[b][i] + boxes->side[b][i];
        if (inside) return true;
    }
    return false;
}

static void literal_chain(double *x, const struct settings *s, const struct grid *g, uint64_t seed, uint32_t step,
                          uint32_t sample) {
    static struct boxes boxes;
    int channels = (int)s->network.channels;
    int64_t values = grid_pixels(g) * channels;
    float *draws = malloc((size_t)values * sizeof *draws);
    struct random_stream stream = random_stream(seed, RANDOM_VIEW_APPEARANCE, step, sample);
    bool on[5];
    double amount[5];
    const double low[5] = {0, 0, s->views.contrast_low, 0, 0},
                 high[5] = {s->views.noise, s->views.blur, s->views.contrast_high, 0, 0};
    for (int i = 0; i < 5; i++) {
        on[i] = coin(&stream, s->views.appearance_probability);
        amount[i] = (double)random_uniform(&stream, (float)low[i], (float)high[i]);
    }
    if (on[0]) {
        const struct random_image image = {seed, RANDOM_VIEW_NOISE, 0, step, sample};
        random_image_normal(draws, &image, 0, values);
        for (int64_t i = 0; i < values; i++) x[i] += amount[0] * (double)draws[i];
    }
    if (on[1] && amount[1] > 0.12) literal_blur(x, g, channels, amount[1]);
    if (on[2]) {
        double mean = 0;
        for (int64_t i = 0; i < values; i++) mean += x[i] / (double)values;
        for (int64_t i = 0; i < values; i++) x[i] = (x[i] - mean) * amount[2] + mean;
    }
    if (on[3]) {
        const struct random_image image = {seed, RANDOM_VIEW_APPEARANCE, 1, step, sample};
        random_image_normal(draws, &image, 0, 1);
        for (int64_t i = 0; i < values; i++) x[i] += s->views.brightness * (double)draws[0];
    }
    if (on[4]) {
        const struct random_image image = {seed, RANDOM_VIEW_INPAINT, 1, step, sample};
        random_image_uniform(draws, &image, 0, values);
        literal_boxes(&boxes, s, g, seed, step, sample);
        for (int64_t i = 0; i < values; i++)
            if (in_boxes(&boxes, g, i / channels)) x[i] = (double)draws[i];
    }
    free(draws);
}

static const char *const chains[][6] = {
    {"paper-2d", "crop=48x32", "work=48x32"},
    {"paper-2d", "crop=48x32", "work=60x44", "channels=3", "blur=3"},
    {"paper-2d", "crop=16x80", "work=16x80", "blur=6", "inpaint_boxes=30"},
    {"paper-3d", "crop=16x32x16", "work=0x0x0", "blur=2"},
    {"paper-3d", "crop=16x16x16", "work=0x0x0", "channels=2", "blur=3"},
};
static const char *const chances[] = {"0.5", "0.8", "1"};
enum { CHAINS = sizeof chains / sizeof *chains };

START_TEST(the_chain_is_what_the_method_says) {
    const struct settings *s = use(chains[_i / 3][0], chains[_i / 3] + 1);
    int channels = (int)s->network.channels;
    struct grid grid = s->network.dims == 3 ? (struct grid){3, {20, 36, 22}} : work_of(s, NULL);
    float *image = random_pixels(&grid, channels, 1);
    ck_assert_ok(cover_config_set(config, "appearance_probability", "0"));
    struct drawn before = draw_room(s);
    ck_assert_ok(cover_config_set(config, "appearance_probability", chances[_i % 3]));
    struct drawn changed = draw_room(s);
    double *want = malloc((size_t)changed.values * sizeof *want);
    for (uint32_t sample = 0; sample < 4; sample++) {
        ck_assert_ok(sevr_draw(changed.sevr, &changed.pair, image, &grid, channels, 0, 21, 5, sample));
        ck_assert_ok(sevr_draw(before.sevr, &before.pair, image, &grid, channels, 0, 21, 5, sample));
        for (int64_t i = 0; i < changed.values; i++) want[i] = (double)before.pair.moving[i];
        literal_chain(want, s, &changed.crop, 21, 5, sample);
        for (int64_t i = 0; i < changed.values; i++) ck_assert_double_eq_tol((double)changed.pair.moving[i], want[i], 5e-6);
        /* view b, field and mask do not change */
        ck_assert_mem_eq(changed.pair.fixed, before.pair.fixed, (size_t)changed.values * sizeof(float));
        ck_assert_mem_eq(changed.pair.field, before.pair.field, (size_t)(changed.pixels * s->network.dims) * sizeof(float));
        ck_assert_mem_eq(changed.pair.mask, before.pair.mask, (size_t)changed.pixels * sizeof(float));
    }
    free(want);
    free(image);
    draw_free(&changed);
    draw_free(&before);
}
END_TEST

/* ---- statistics of one change at a time, on views that are otherwise equal */

/* Draw `sample` of a 2D identity pair with the given change; returns a - b statistics. */
struct difference {
    double mean, deviation, kurtosis, ratio; /* ratio: of the deviations of a and b about their means */
};
static struct difference difference(struct drawn *drawn, const float *image, const struct grid *grid, uint32_t sample) {
    ck_assert_ok(sevr_draw(drawn->sevr, &drawn->pair, image, grid, 1, 0, 31, 2, sample));
    double n = (double)drawn->values, mean = 0, second = 0, fourth = 0, mean_a = 0, mean_b = 0, var_a = 0, var_b = 0;
    for (int64_t i = 0; i < drawn->values; i++) {
        mean_a += (double)drawn->pair.moving[i] / n, mean_b += (double)drawn->pair.fixed[i] / n;
    }
    mean = mean_a - mean_b;
    for (int64_t i = 0; i < drawn->values; i++) {
        double a = (double)drawn->pair.moving[i], b = (double)drawn->pair.fixed[i], d = a - b - mean;
        second += d * d / n, fourth += d * d * d * d / n;
        var_a += (a - mean_a) * (a - mean_a), var_b += (b - mean_b) * (b - mean_b);
    }
    return (struct difference){mean, sqrt(second), fourth / (second * second), sqrt(var_a / var_b)};
}

enum { SAMPLES = 400 };

START_TEST(noise_is_normal_with_a_uniform_sigma) {
    const struct settings *s =
        USE("paper-2d", "crop=64x64", "work=64x64", NO_SPACE, NO_LOOK, "noise=0.02", "appearance_probability=1");
    struct grid grid = {2, {1, 64, 64}};
    float *image = random_pixels(&grid, 1, 2);
    struct drawn drawn = draw_room(s);
    double low = 1, high = 0, sum = 0;
    for (uint32_t sample = 0; sample < SAMPLES; sample++) {
        struct difference d = difference(&drawn, image, &grid, sample);
        ck_assert_double_eq_tol(d.mean, 0, 0.001 + 0.1 * d.deviation);
        if (d.deviation > 1e-4) ck_assert_double_eq_tol(d.kurtosis, 3, 0.45);
        low = fmin(low, d.deviation), high = fmax(high, d.deviation), sum += d.deviation;
    }
    ck_assert_double_lt(low, 0.0003);
    ck_assert(high > 0.0194 && high < 0.0207);
    ck_assert_double_eq_tol(sum / SAMPLES, 0.01, 0.0012);
    draw_free(&drawn);
    free(image);
}
END_TEST

START_TEST(contrast_keeps_the_mean_and_scales_about_it) {
    const struct settings *s = USE("paper-2d", "crop=32x32", "work=32x32", NO_SPACE, NO_LOOK, "contrast_low=0.5",
                                   "contrast_high=1.5", "appearance_probability=1");
    struct grid grid = {2, {1, 32, 32}};
    float *image = random_pixels(&grid, 1, 2);
    struct drawn drawn = draw_room(s);
    double low = 9, high = 0, sum = 0;
    for (uint32_t sample = 0; sample < SAMPLES; sample++) {
        struct difference d = difference(&drawn, image, &grid, sample);
        ck_assert_double_eq_tol(d.mean, 0, 1e-6);
        low = fmin(low, d.ratio), high = fmax(high, d.ratio), sum += d.ratio;
    }
    ck_assert(low >= 0.5 - 1e-5 && low < 0.51 && high <= 1.5 + 1e-5 && high > 1.49);
    ck_assert_double_eq_tol(sum / SAMPLES, 1, 0.06);
    draw_free(&drawn);
    free(image);
}
END_TEST

START_TEST(brightness_adds_one_normal_number) {
    const struct settings *s =
        USE("paper-2d", "crop=16x16", "work=16x16", NO_SPACE, NO_LOOK, "brightness=0.1", "appearance_probability=1");
    struct grid grid = {2, {1, 16, 16}};
    float *image = random_pixels(&grid, 1, 2);
    struct drawn drawn = draw_room(s);
    double sum = 0, squares = 0;
    for (uint32_t sample = 0; sample < SAMPLES; sample++) {
        struct difference d = difference(&drawn, image, &grid, sample);
        ck_assert_double_lt(d.deviation, 1e-6);
        sum += d.mean, squares += d.mean * d.mean;
    }
    ck_assert_double_eq_tol(sum / SAMPLES, 0, 0.02);
    ck_assert_double_eq_tol(sqrt(squares / SAMPLES), 0.1, 0.014);
    draw_free(&drawn);
    free(image);
}
END_TEST

START_TEST(the_papers_blur_does_nothing) {
    const struct settings *s =
        USE("paper-2d", "crop=32x32", "work=32x32", NO_SPACE, NO_LOOK, "blur=0.05", "appearance_probability=1");
    struct grid grid = {2, {1, 32, 32}};
    float *image = random_pixels(&grid, 1, 2);
    struct drawn drawn = draw_room(s);
    ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, 1, 1, 1));
    for (int64_t i = 0; i < drawn.values; i++) /* a contrast of 1 rounds */
        ck_assert_float_eq_tol(drawn.pair.moving[i], drawn.pair.fixed[i], 2e-7f);
    draw_free(&drawn);
    free(image);
}
END_TEST

START_TEST(blur_keeps_a_constant_and_smooths_noise) {
    const struct settings *s =
        USE("paper-2d", "crop=32x48", "work=32x48", NO_SPACE, NO_LOOK, "blur=5", "appearance_probability=1", "normalise=none");
    struct grid grid = {2, {1, 32, 48}};
    float *flat = constant_pixels(&grid, 1, 0.75f), *image = random_pixels(&grid, 1, 2);
    struct drawn drawn = draw_room(s);
    ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, flat, &grid, 1, 0, 31, 2, 0));
    for (int64_t i = 0; i < drawn.values; i++) ck_assert_float_eq_tol(drawn.pair.moving[i], 0.75f, 1e-6f);
    double least = 1;
    for (uint32_t sample = 0; sample < 20; sample++) least = fmin(least, difference(&drawn, image, &grid, sample).ratio);
    ck_assert_double_lt(least, 0.15);
    draw_free(&drawn);
    free(flat);
    free(image);
}
END_TEST

START_TEST(each_change_comes_with_its_probability) {
    static const char *const single[][2] = {
        {"noise=0.5"}, {"contrast_low=2", "contrast_high=3"}, {"brightness=5"}, {"inpaint_boxes=1"}};
    static const char *const probabilities[] = {"0", "0.3", "0.9", "1"};
    static const double low[] = {0, 0.22, 0.84, 1}, high[] = {0, 0.38, 0.96, 1};
    const struct settings *s = USE("paper-2d", "crop=16x16", "work=16x16", NO_SPACE, NO_LOOK, "inpaint_probability=1",
                                   single[_i / 4][1] ? single[_i / 4][1] : "blur=0", single[_i / 4][0]);
    ck_assert_ok(cover_config_set(config, "appearance_probability", probabilities[_i % 4]));
    struct grid grid = {2, {1, 16, 16}};
    float *image = random_pixels(&grid, 1, 2);
    struct drawn drawn = draw_room(s);
    int changed = 0;
    for (uint32_t sample = 0; sample < SAMPLES; sample++) {
        ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, 5, 6, sample));
        double most = 0;
        for (int64_t i = 0; i < drawn.values; i++)
            most = fmax(most, fabs((double)drawn.pair.moving[i] - (double)drawn.pair.fixed[i]));
        changed += most > 1e-5;
    }
    ck_assert_double_ge(changed / (double)SAMPLES, low[_i % 4] - 0.01);
    ck_assert_double_le(changed / (double)SAMPLES, high[_i % 4]);
    draw_free(&drawn);
    free(image);
}
END_TEST

START_TEST(zero_probability_leaves_view_a_alone) {
    const struct settings *s = USE("paper-2d", "crop=32x32", "work=32x32", NO_SPACE, "appearance_probability=0", "blur=3");
    struct grid grid = {2, {1, 32, 32}};
    float *image = random_pixels(&grid, 1, 2);
    struct drawn drawn = draw_room(s);
    for (uint32_t sample = 0; sample < 50; sample++) {
        ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, 5, 6, sample));
        ck_assert_mem_eq(drawn.pair.moving, drawn.pair.fixed, (size_t)drawn.values * sizeof(float));
    }
    draw_free(&drawn);
    free(image);
}
END_TEST

/* ---- in-painting, read off a constant image of 5 */

static struct drawn painted(const struct grid *grid, uint32_t sample, struct drawn room) {
    float *image = constant_pixels(grid, 1, 5);
    ck_assert_ok(sevr_draw(room.sevr, &room.pair, image, grid, 1, 0, 12, 13, sample));
    free(image);
    return room;
}

START_TEST(a_box_has_its_sides_and_keeps_from_the_border) {
    bool volume = _i;
    const struct settings *s = volume ? USE("paper-3d", "crop=32x64x48", "work=32x64x48", NO_SPACE, NO_LOOK, "inpaint_boxes=1",
                                            "inpaint_probability=1", "appearance_probability=1", "normalise=none")
                                      : USE("paper-2d", "crop=64x96", "work=64x96", NO_SPACE, NO_LOOK, "inpaint_boxes=1",
                                            "inpaint_probability=1", "appearance_probability=1", "normalise=none");
    struct grid grid = settings_grid(&s->views.crop, (int)s->network.dims);
    struct drawn room = draw_room(s);
    int64_t least_side[3] = {99, 99, 99}, most_side[3] = {0}, least_first[3] = {99, 99, 99}, most_last[3] = {0};
    for (uint32_t sample = 0; sample < (volume ? 120 : 400); sample++) {
        painted(&grid, sample, room);
        int64_t low[3] = {99, 99, 99}, high[3] = {-1, -1, -1}, count = 0;
        for (int64_t p = 0; p < room.pixels; p++) {
            float x = room.pair.moving[p];
            if (x == 5) continue;
            ck_assert(x >= 0 && x < 1);
            const int64_t at[3] = {p / grid.size[2] / grid.size[1], p / grid.size[2] % grid.size[1], p % grid.size[2]};
            for (int i = 0; i < 3; i++) {
                low[i] = at[i] < low[i] ? at[i] : low[i];
                high[i] = at[i] > high[i] ? at[i] : high[i];
            }
            count++;
        }
        int64_t volume_of_box = 1;
        for (int i = 3 - grid.ndim; i < 3; i++) {
            int64_t side = high[i] - low[i] + 1;
            volume_of_box *= side;
            ck_assert_int_ge(side, grid.size[i] * 3 / 30);
            ck_assert_int_le(side, grid.size[i] * 4 / 30);
            ck_assert_int_ge(low[i], 3);
            ck_assert_int_le(high[i], grid.size[i] - 4);
            least_side[i] = side < least_side[i] ? side : least_side[i];
            most_side[i] = side > most_side[i] ? side : most_side[i];
            least_first[i] = low[i] < least_first[i] ? low[i] : least_first[i];
            most_last[i] = high[i] > most_last[i] ? high[i] : most_last[i];
        }
        ck_assert_int_eq(count, volume_of_box); /* filled without gaps */
    }
    for (int i = 3 - grid.ndim; i < 3; i++) { /* both ends of each range occur */
        ck_assert_int_eq(least_side[i], grid.size[i] * 3 / 30);
        ck_assert_int_eq(most_side[i], grid.size[i] * 4 / 30);
        ck_assert_int_le(least_first[i], 4);
        ck_assert_int_ge(most_last[i], grid.size[i] - 5);
    }
    draw_free(&room);
}
END_TEST

START_TEST(boxes_stop_at_the_first_failed_draw) {
    const struct settings *s = USE("paper-2d", "crop=64x64", "work=64x64", NO_SPACE, NO_LOOK, "inpaint_boxes=10",
                                   "inpaint_probability=0.6", "appearance_probability=1", "normalise=none");
    static struct boxes boxes;
    struct grid grid = {2, {1, 64, 64}};
    struct drawn room = draw_room(s);
    int none = 0, all = 0;
    double sum = 0;
    for (uint32_t sample = 0; sample < 600; sample++) {
        literal_boxes(&boxes, s, &grid, 12, 13, sample);
        none += boxes.count == 0, all += boxes.count == 10, sum += boxes.count;
        painted(&grid, sample, room);
        for (int64_t p = 0; p < room.pixels; p++) ck_assert_int_eq(room.pair.moving[p] != 5, in_boxes(&boxes, &grid, p));
    }
    ck_assert_double_eq_tol(none / 600.0, 0.4, 0.08); /* 1 - 0.6 */
    ck_assert_double_eq_tol(sum / 600, 1.4909, 0.35); /* sum of 0.6^k, k = 1..10 */
    ck_assert_int_lt(all, 20);                        /* 0.6^10 = 0.6 % */
    draw_free(&room);
}
END_TEST

START_TEST(the_fill_is_uniform) {
    const struct settings *s = USE("paper-2d", "crop=320x320", "work=320x320", NO_SPACE, NO_LOOK, "inpaint_boxes=10",
                                   "inpaint_probability=1", "appearance_probability=1", "normalise=none");
    struct grid grid = {2, {1, 320, 320}};
    struct drawn room = draw_room(s);
    double sum = 0, squares = 0, count = 0;
    for (uint32_t sample = 0; sample < 3; sample++) {
        painted(&grid, sample, room);
        for (int64_t p = 0; p < room.pixels; p++) {
            double x = (double)room.pair.moving[p];
            if (x != 5) sum += x, squares += x * x, count++;
        }
    }
    ck_assert_double_gt(count, 3 * 4000);
    ck_assert_double_eq_tol(sum / count, 0.5, 0.02);
    ck_assert_double_eq_tol(squares / count, 1.0 / 3, 0.02);
    draw_free(&room);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sevr appearance");
    TCase *tcase = tcase_create("appearance");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, the_chain_is_what_the_method_says, 0, 3 * CHAINS);
    ADD(tcase, noise_is_normal_with_a_uniform_sigma);
    ADD(tcase, contrast_keeps_the_mean_and_scales_about_it);
    ADD(tcase, brightness_adds_one_normal_number);
    ADD(tcase, the_papers_blur_does_nothing);
    ADD(tcase, blur_keeps_a_constant_and_smooths_noise);
    tcase_add_loop_test(tcase, each_change_comes_with_its_probability, 0, 16);
    ADD(tcase, zero_probability_leaves_view_a_alone);
    tcase_add_loop_test(tcase, a_box_has_its_sides_and_keeps_from_the_border, 0, 2);
    ADD(tcase, boxes_stop_at_the_first_failed_draw);
    ADD(tcase, the_fill_is_uniform);
    return run_suite(suite);
}
