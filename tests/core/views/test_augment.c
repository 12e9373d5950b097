/* Samples of downstream tasks: exact copies, label and image aligned under every map, crops placed on foreground,
 * flips, padding, and the whole image without chance. */
#include "sevr_fixture.h"

#include "core/views/augment.h"

#define STILL NO_SPACE, "appearance_probability=0", "foreground=0", "flip=off"

struct sample {
    struct augment *augment;
    struct grid crop;
    int64_t pixels, values;
    float *image, *label;
};

static struct sample sample_room(const struct settings *s) {
    struct sample sample = {.crop = settings_grid(&s->views.crop, (int)s->network.dims)};
    ck_assert_ok(augment_create(&sample.augment, context, s));
    sample.pixels = grid_pixels(&sample.crop), sample.values = sample.pixels * s->network.channels;
    sample.image = malloc((size_t)sample.values * sizeof(float));
    sample.label = malloc((size_t)sample.pixels * sizeof(float));
    return sample;
}
static void sample_free(struct sample *sample) {
    augment_destroy(sample->augment);
    free(sample->image), free(sample->label);
}

/* Class of pixel i: its place, so that each pixel of a small image is known by its label. */
static uint16_t *numbered_pixels(const struct grid *grid) {
    uint16_t *label = malloc((size_t)grid_pixels(grid) * sizeof *label);
    for (int64_t i = 0; i < grid_pixels(grid); i++) label[i] = (uint16_t)i;
    return label;
}
static uint16_t *constant_label(const struct grid *grid, uint16_t class) {
    uint16_t *label = malloc((size_t)grid_pixels(grid) * sizeof *label);
    for (int64_t i = 0; i < grid_pixels(grid); i++) label[i] = class;
    return label;
}

static const struct grid image_2d = {2, {1, 40, 52}}, image_3d = {3, {20, 24, 28}};

/* Where the crop begins, told by the label of its first pixel. */
static void crop_start(int64_t first[3], const struct sample *sample, const struct grid *grid) {
    int64_t at = (int64_t)sample->label[0];
    first[2] = at % grid->size[2], first[1] = at / grid->size[2] % grid->size[1];
    first[0] = at / grid->size[2] / grid->size[1];
}

/* ---- without a map */

static void check_copy(const struct settings *s, const struct grid *grid) {
    int channels = (int)s->network.channels;
    struct sample sample = sample_room(s);
    float *image = random_pixels(grid, channels, 1);
    uint16_t *label = numbered_pixels(grid);
    int64_t seen[3] = {0};
    for (uint32_t index = 0; index < 40; index++) {
        ck_assert_ok(augment_draw(sample.augment, sample.image, sample.label, image, label, -1, grid, channels, 0, 3, 5, index));
        int64_t first[3], i = 0, wrong = 0;
        crop_start(first, &sample, grid);
        for (int64_t z = 0; z < sample.crop.size[0]; z++)
            for (int64_t y = 0; y < sample.crop.size[1]; y++)
                for (int64_t x = 0; x < sample.crop.size[2]; x++, i++) {
                    int64_t at = ((first[0] + z) * grid->size[1] + first[1] + y) * grid->size[2] + first[2] + x;
                    wrong += sample.label[i] != (float)at;
                    for (int c = 0; c < channels; c++) wrong += sample.image[i * channels + c] != image[at * channels + c];
                }
        ck_assert_int_eq(wrong, 0);
        for (int a = 0; a < 3; a++) seen[a] = first[a] > seen[a] ? first[a] : seen[a];
    }
    for (int a = 3 - grid->ndim; a < 3; a++) /* crops go near the far end */
        ck_assert_int_gt(seen[a], (grid->size[a] - sample.crop.size[a]) / 2);
    free(image), free(label);
    sample_free(&sample);
}

START_TEST(without_chance_the_crop_is_an_exact_copy_in_2d) {
    check_copy(USE("seg-2d", STILL, "work=0x0", "crop=16x32", "normalise=none", "channels=3"), &image_2d);
}
END_TEST

START_TEST(without_chance_the_crop_is_an_exact_copy_in_3d) {
    check_copy(USE("seg-3d", STILL, "crop=16x16x16", "normalise=none", "channels=2"), &image_3d);
}
END_TEST

START_TEST(a_small_image_lies_in_the_middle_and_its_padding_is_ignored) {
    const struct settings *s = USE("seg-2d", STILL, "work=0x0", "crop=32x32", "normalise=none");
    const struct grid grid = {2, {1, 11, 40}};
    struct sample sample = sample_room(s);
    float *image = constant_pixels(&grid, 1, 7);
    uint16_t *label = constant_label(&grid, 4);
    ck_assert_ok(augment_draw(sample.augment, sample.image, sample.label, image, label, -1, &grid, 1, 0, 1, 1, 1));
    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 32; x++) { /* 21 rows of padding: 10 above, 11 below */
            bool inside = y >= 10 && y < 21;
            ck_assert_float_eq(sample.image[y * 32 + x], inside ? 7 : 0);
            ck_assert_float_eq(sample.label[y * 32 + x], inside ? 4 : -1);
        }
    free(image), free(label);
    sample_free(&sample);
}
END_TEST

START_TEST(a_volume_smaller_than_the_crop_in_every_axis_is_whole_within_it) {
    const struct settings *s = USE("seg-3d", STILL, "crop=32x32x32", "normalise=none", "foreground=1");
    struct sample sample = sample_room(s);
    float *image = constant_pixels(&image_3d, 1, 1);
    uint16_t *label = constant_label(&image_3d, 1);
    ck_assert_ok(augment_draw(sample.augment, sample.image, sample.label, image, label, -1, &image_3d, 1, 0, 1, 1, 1));
    int64_t ones = 0, labelled = 0, ignored = 0;
    for (int64_t i = 0; i < sample.pixels; i++)
        ones += sample.image[i] == 1, labelled += sample.label[i] == 1, ignored += sample.label[i] == -1;
    ck_assert_int_eq(ones, grid_pixels(&image_3d));
    ck_assert_int_eq(labelled, grid_pixels(&image_3d));
    ck_assert_int_eq(labelled + ignored, sample.pixels);
    free(image), free(label);
    sample_free(&sample);
}
END_TEST

START_TEST(the_ignored_value_becomes_minus_one) {
    const struct settings *s = USE("seg-2d", STILL, "work=0x0", "crop=16x32", "normalise=none", "foreground=1");
    struct sample sample = sample_room(s);
    float *image = constant_pixels(&image_2d, 1, 0);
    uint16_t *label = constant_label(&image_2d, 255);
    ck_assert_ok(augment_draw(sample.augment, sample.image, sample.label, image, label, 255, &image_2d, 1, 0, 1, 1, 1));
    for (int64_t i = 0; i < sample.pixels; i++) ck_assert_float_eq(sample.label[i], -1);
    free(image), free(label);
    sample_free(&sample);
}
END_TEST

/* ---- resized */

START_TEST(a_label_is_resized_with_the_half_pixel_centres_of_the_image) {
    const struct settings *s = USE("seg-2d", STILL, "work=48x32", "crop=48x32", "normalise=none");
    const struct grid grid = {2, {1, 16, 64}}; /* three times as high, half as wide */
    struct sample sample = sample_room(s);
    float *image = malloc(16 * 64 * sizeof *image);
    uint16_t *label = numbered_pixels(&grid);
    for (int i = 0; i < 16 * 64; i++) image[i] = (float)(i % 64);
    ck_assert_ok(augment_draw(sample.augment, sample.image, sample.label, image, label, -1, &grid, 1, 0, 1, 1, 1));
    for (int y = 0; y < 48; y++)
        for (int x = 0; x < 32; x++) { /* (x + 1/2) 2 - 1/2 lies between 2x and 2x + 1; nearest rounds up */
            ck_assert_float_eq_tol(sample.image[y * 32 + x], (float)(2 * x) + 0.5f, 1e-5f);
            ck_assert_float_eq(sample.label[y * 32 + x], (float)(y / 3 * 64 + 2 * x + 1));
        }
    free(image), free(label);
    sample_free(&sample);
}
END_TEST

START_TEST(the_plain_image_is_what_a_crop_of_all_of_it_shows) {
    const struct settings *s = USE("seg-2d", STILL, "work=48x64", "crop=48x64", "channels=2");
    struct sample sample = sample_room(s);
    float *image = random_pixels(&image_2d, 2, 3), *plain;
    struct grid grid = image_2d;
    ck_assert_ok(augment_draw(sample.augment, sample.image, NULL, image, NULL, -1, &image_2d, 2, 0, 1, 1, 1));
    ck_assert_ok(augment_plain(context, s, &plain, &grid, image, 2, 0));
    ck_assert(grid_same(&grid, &sample.crop));
    ck_assert_mem_eq(plain, sample.image, (size_t)sample.values * sizeof(float));
    float low = 1, high = 0; /* range: the smallest value becomes 0, the largest 1, before they are blended */
    for (int64_t i = 0; i < sample.values; i++) low = fminf(low, plain[i]), high = fmaxf(high, plain[i]);
    ck_assert(low >= 0 && high <= 1);
    memory_free(context, plain);
    s = USE("seg-2d", "work=0x0", "normalise=none", "channels=2"), grid = image_2d;
    ck_assert_ok(augment_plain(context, s, &plain, &grid, image, 2, 0));
    ck_assert(grid_same(&grid, &image_2d));
    ck_assert_mem_eq(plain, image, (size_t)grid_pixels(&grid) * 2 * sizeof(float));
    memory_free(context, plain);
    free(image);
    sample_free(&sample);
}
END_TEST

/* ---- moved */

#define MOVED "translate=0.1", "rotate_degrees=30", "shear_degrees=8", "scale_low=0.7", "scale_high=1.4"

/* Two channels: a smooth image, whose label is where it is above one half, and ones, which fade at the border. */
static float *smooth_pixels(const struct grid *grid, uint16_t **label) {
    float *image = malloc((size_t)grid_pixels(grid) * 2 * sizeof *image);
    *label = malloc((size_t)grid_pixels(grid) * sizeof **label);
    for (int64_t i = 0; i < grid_pixels(grid); i++) {
        double x = (double)(i % grid->size[2]), y = (double)(i / grid->size[2] % grid->size[1]),
               z = (double)(i / grid->size[2] / grid->size[1]);
        image[2 * i] = (float)(0.5 + 0.5 * sin(x / 7) * cos(y / 8 + 0.3) * cos(z / 9 + 0.2)), image[2 * i + 1] = 1;
        (*label)[i] = image[2 * i] > 0.5f;
    }
    return image;
}

static void check_alignment(const struct settings *s, const struct grid *grid) {
    struct sample sample = sample_room(s);
    uint16_t *label;
    float *image = smooth_pixels(grid, &label);
    int64_t inside = 0, foreground = 0, all = 0, wrong = 0;
    for (uint32_t index = 0; index < 12; index++) {
        ck_assert_ok(augment_draw(sample.augment, sample.image, sample.label, image, label, -1, grid, 2, 0, 2, 9, index));
        for (int64_t i = 0; i < sample.pixels; i++, all++) {
            float value = sample.image[2 * i], within = sample.image[2 * i + 1], class = sample.label[i];
            wrong += class != -1 && class != 0 && class != 1;
            wrong += class == -1 && within > 0.501f; /* half a pixel beyond the last one at least */
            inside += class >= 0, foreground += class == 1;
            /* the nearest pixel is at most half a pixel an axis away, where the image differs by 0.095 at most */
            if (within > 0.999f) wrong += (value > 0.6f && class != 1) || (value < 0.4f && class != 0);
        }
    }
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(inside, all / 2);
    ck_assert_int_lt(inside, all);
    ck_assert_int_gt(foreground, inside / 8);
    free(image), free(label);
    sample_free(&sample);
}

START_TEST(label_and_image_are_moved_alike_in_2d) {
    check_alignment(USE("seg-2d", STILL, MOVED, "work=0x0", "crop=48x48", "normalise=none", "channels=2", "flip=all"),
                    &(struct grid){2, {1, 60, 70}});
    check_alignment(USE("seg-2d", STILL, MOVED, "work=96x80", "crop=80x80", "normalise=none", "channels=2", "foreground=0.5"),
                    &(struct grid){2, {1, 60, 70}});
}
END_TEST

START_TEST(label_and_image_are_moved_alike_in_3d) {
    check_alignment(USE("seg-3d", STILL, MOVED, "crop=32x32x32", "normalise=none", "channels=2", "flip=all", "foreground=0.5"),
                    &(struct grid){3, {36, 40, 44}});
}
END_TEST

/* The map told again: the image's coordinates are its channels, so each pixel of the crop says where it was read. */
START_TEST(the_map_is_eq_18_about_the_middle_of_the_crop) {
    const struct settings *s =
        USE("seg-2d", STILL, "rotate_degrees=40", "translate=0.05", "work=0x0", "crop=32x48", "normalise=none", "channels=2");
    const struct grid grid = {2, {1, 128, 128}};
    struct sample sample = sample_room(s);
    float *image = malloc(128 * 128 * 2 * sizeof *image);
    for (int i = 0; i < 128 * 128; i++) image[2 * i] = (float)(i / 128 + 1), image[2 * i + 1] = (float)(i % 128 + 1);
    int whole = 0;
    double worst = 0;
    for (uint32_t index = 0; index < 20; index++) {
        ck_assert_ok(augment_draw(sample.augment, sample.image, NULL, image, NULL, -1, &grid, 2, 0, 8, 2, index));
        struct random_stream stream = random_stream(8, RANDOM_VIEW_AFFINE, 2, index);
        double ty = (double)random_uniform(&stream, -1, 1) * 0.05 * 32, tx = (double)random_uniform(&stream, -1, 1) * 0.05 * 48;
        double angle = (double)random_uniform(&stream, -1, 1) * 40 * (M_PI / 180);
        stream = random_stream(8, RANDOM_TASK_CROP, 2, index);
        double y0 = (double)((uint64_t)random_word(&stream) * 97 >> 32), x0 = (double)((uint64_t)random_word(&stream) * 81 >> 32);
        for (int i = 0; i < 32 * 48; i++) {
            double y = i / 48 - 15.5, x = i % 48 - 23.5;
            double at_y = y0 + 15.5 + ty + cos(angle) * y - sin(angle) * x;
            double at_x = x0 + 23.5 + tx + sin(angle) * y + cos(angle) * x;
            if (at_y < 0 || at_y > 127 || at_x < 0 || at_x > 127) continue;
            whole++;
            worst = fmax(worst, fabs((double)sample.image[2 * i] - at_y - 1));
            worst = fmax(worst, fabs((double)sample.image[2 * i + 1] - at_x - 1));
        }
    }
    ck_assert_double_lt(worst, 2e-3);
    ck_assert_int_gt(whole, 20 * 32 * 48 * 3 / 4);
    free(image);
    sample_free(&sample);
}
END_TEST

/* ---- foreground */

/* Two pixels of class 3 and one row of class 1, far from most crops; the rest is background. */
static uint16_t *rare_label(const struct grid *grid) {
    uint16_t *label = constant_label(grid, 0);
    for (int x = 0; x < 100; x++) label[5 * grid->size[2] + x] = 1;
    label[190 * grid->size[2] + 197] = label[191 * grid->size[2] + 3] = 3;
    return label;
}

static void count_shown(int shown[4], const struct settings *s, const struct grid *grid, const uint16_t *label, int draws) {
    struct sample sample = sample_room(s);
    float *image = constant_pixels(grid, 1, 1);
    memset(shown, 0, 4 * sizeof *shown);
    for (int n = 0; n < draws; n++) {
        ck_assert_ok(augment_draw(sample.augment, sample.image, sample.label, image, label, 2, grid, 1, 0, 4, (uint32_t)n, 7));
        bool seen[4] = {false};
        for (int64_t i = 0; i < sample.pixels; i++)
            if (sample.label[i] >= 0) seen[(int)sample.label[i]] = true;
        for (int c = 0; c < 4; c++) shown[c] += seen[c];
    }
    free(image);
    sample_free(&sample);
}

START_TEST(a_crop_on_foreground_shows_its_class_whatever_the_map) {
    const struct grid grid = {2, {1, 192, 200}};
    uint16_t *label = rare_label(&grid);
    label[100 * 200 + 100] = 2; /* ignored: no foreground */
    int shown[4];
    count_shown(shown, USE("seg-2d", STILL, MOVED, "work=0x0", "crop=16x16", "foreground=1", "flip=all"), &grid, label, 400);
    ck_assert_int_ge(shown[1] + shown[3], 400); /* each shows one of the two, and the two are far apart */
    ck_assert_int_gt(shown[1], 160);            /* a class each with probability 1/2, not a pixel */
    ck_assert_int_gt(shown[3], 160);
    free(label);
}
END_TEST

START_TEST(foreground_is_the_probability_that_a_crop_is_placed_on_it) {
    const struct grid grid = {2, {1, 192, 200}};
    uint16_t *label = constant_label(&grid, 0);
    label[100 * 200 + 77] = 3;
    int shown[4];
    count_shown(shown, USE("seg-2d", STILL, "work=0x0", "crop=16x16", "foreground=0.4"), &grid, label, 2000);
    ck_assert_int_gt(shown[3], 2000 * 0.36); /* 0.4, and 0.6 x 256 / (177 x 185) by chance: 0.405, sigma 0.011 */
    ck_assert_int_lt(shown[3], 2000 * 0.45);
    count_shown(shown, USE("seg-2d", STILL, "work=0x0", "crop=16x16", "foreground=0"), &grid, label, 500);
    ck_assert_int_lt(shown[3], 20);
    free(label);
}
END_TEST

START_TEST(the_foreground_pixel_is_anywhere_in_the_crop) {
    const struct grid grid = {2, {1, 192, 200}};
    const struct settings *s = USE("seg-2d", STILL, "work=0x0", "crop=16x16", "foreground=1");
    struct sample sample = sample_room(s);
    float *image = constant_pixels(&grid, 1, 1);
    uint16_t *label = constant_label(&grid, 0);
    int places[256] = {0}, used = 0;
    label[100 * 200 + 77] = 65535;
    for (uint32_t n = 0; n < 2560; n++) {
        ck_assert_ok(augment_draw(sample.augment, sample.image, sample.label, image, label, -1, &grid, 1, 0, 4, n, 7));
        for (int i = 0; i < 256; i++) places[i] += sample.label[i] == 65535;
    }
    for (int i = 0; i < 256; i++) {
        used += places[i] > 0;
        ck_assert_int_lt(places[i], 30); /* 10 each */
    }
    ck_assert_int_gt(used, 250);
    free(image), free(label);
    sample_free(&sample);
}
END_TEST

START_TEST(a_label_of_one_class_or_of_none_is_cropped_anywhere) {
    const struct settings *s = USE("seg-3d", STILL, "crop=16x16x16", "foreground=1");
    struct sample sample = sample_room(s);
    float *image = random_pixels(&image_3d, 1, 1);
    for (int c = 0; c < 2; c++) {
        uint16_t *label = constant_label(&image_3d, (uint16_t)c);
        ck_assert_ok(augment_draw(sample.augment, sample.image, sample.label, image, label, -1, &image_3d, 1, 0, 1, 1, 1));
        for (int64_t i = 0; i < sample.pixels; i++) ck_assert_float_eq(sample.label[i], (float)c);
        free(label);
    }
    free(image);
    sample_free(&sample);
}
END_TEST

static double ignored_share(const struct settings *s, const struct grid *grid, const uint16_t *label) {
    struct sample sample = sample_room(s);
    float *image = constant_pixels(grid, 1, 1);
    int64_t ignored = 0;
    for (uint32_t n = 0; n < 200; n++) {
        ck_assert_ok(augment_draw(sample.augment, sample.image, sample.label, image, label, -1, grid, 1, 0, 4, n, 7));
        for (int64_t i = 0; i < sample.pixels; i++) ignored += sample.label[i] == -1;
    }
    free(image);
    sample_free(&sample);
    return (double)ignored / (200.0 * (double)sample.pixels);
}

START_TEST(a_crop_that_shows_its_foreground_stays_where_it_is) {
    const struct grid grid = {2, {1, 96, 96}};
    uint16_t *label = constant_label(&grid, 0);
    for (int y = 20; y < 76; y++)
        for (int x = 20; x < 76; x++) label[y * 96 + x] = 1;
    double anywhere = ignored_share(USE("seg-2d", STILL, MOVED, "work=0x0", "crop=96x96"), &grid, label);
    double aimed = ignored_share(USE("seg-2d", STILL, MOVED, "work=0x0", "crop=96x96", "foreground=1"), &grid, label);
    ck_assert_double_gt(anywhere, 0.05);
    ck_assert_double_eq_tol(aimed, anywhere, 0.02);
    free(label);
}
END_TEST

/* ---- flips, appearance */

static void check_flips(const char *preset, const char *flip, int axes, const char *crop, const struct grid *grid) {
    char flips[32], size[32];
    snprintf(flips, sizeof flips, "flip=%s", flip), snprintf(size, sizeof size, "crop=%s", crop);
    struct sample still = sample_room(USE(preset, STILL, grid->ndim == 3 ? "work=0x0x0" : "work=0x0", size, "channels=2"));
    struct sample flipped = sample_room(USE(preset, STILL, grid->ndim == 3 ? "work=0x0x0" : "work=0x0", size, "channels=2", flips));
    float *image = random_pixels(grid, 2, 5);
    uint16_t *label = numbered_pixels(grid);
    int seen[8] = {0};
    for (uint32_t index = 0; index < 160; index++) {
        ck_assert_ok(augment_draw(still.augment, still.image, still.label, image, label, -1, grid, 2, 0, 1, 1, index));
        ck_assert_ok(augment_draw(flipped.augment, flipped.image, flipped.label, image, label, -1, grid, 2, 0, 1, 1, index));
        const int64_t *n = still.crop.size;
        int which = -1;
        for (int f = 0; f < 8 && which < 0; f++) { /* bit a: axis D, H, W */
            if (grid->ndim == 2 && f & 1) continue;
            bool same = true;
            for (int64_t i = 0; i < still.pixels && same; i++) {
                int64_t z = i / n[2] / n[1], y = i / n[2] % n[1], x = i % n[2];
                int64_t from = ((f & 1 ? n[0] - 1 - z : z) * n[1] + (f & 2 ? n[1] - 1 - y : y)) * n[2] + (f & 4 ? n[2] - 1 - x : x);
                same = still.label[from] == flipped.label[i] && still.image[2 * from] == flipped.image[2 * i] &&
                       still.image[2 * from + 1] == flipped.image[2 * i + 1];
            }
            if (same) which = f;
        }
        ck_assert_int_ge(which, 0);
        seen[which]++;
    }
    for (int f = 0; f < 8; f++) { /* each of 2^axes: 160 / 2^axes, at least half of that */
        bool possible = axes == 3 || (axes == 2 && !(f & 1)) || (axes == 1 && f % 4 == 0) || f == 0;
        if (possible) ck_assert_int_gt(seen[f], 80 >> axes);
        else ck_assert_int_eq(seen[f], 0);
    }
    free(image), free(label);
    sample_free(&still), sample_free(&flipped);
}

START_TEST(flips_mirror_image_and_label_alike_each_axis_half_of_the_time) {
    check_flips("seg-2d", "off", 0, "16x32", &image_2d);
    check_flips("seg-2d", "horizontal", 1, "16x32", &image_2d);
    check_flips("seg-2d", "all", 2, "16x32", &image_2d);
    check_flips("seg-3d", "horizontal", 1, "16x16x16", &image_3d);
    check_flips("seg-3d", "all", 3, "16x16x16", &image_3d);
}
END_TEST

START_TEST(appearance_changes_the_image_and_never_the_label) {
    struct sample still = sample_room(USE("seg-2d", STILL, "work=0x0", "crop=32x32"));
    struct sample changed = sample_room(USE("seg-2d", STILL, "work=0x0", "crop=32x32", "appearance_probability=1"));
    float *image = random_pixels(&image_2d, 1, 5);
    uint16_t *label = numbered_pixels(&image_2d);
    ck_assert_ok(augment_draw(still.augment, still.image, still.label, image, label, -1, &image_2d, 1, 0, 1, 1, 1));
    ck_assert_ok(augment_draw(changed.augment, changed.image, changed.label, image, label, -1, &image_2d, 1, 0, 1, 1, 1));
    ck_assert_mem_eq(still.label, changed.label, (size_t)still.pixels * sizeof(float));
    ck_assert_mem_ne(still.image, changed.image, (size_t)still.values * sizeof(float));
    free(image), free(label);
    sample_free(&still), sample_free(&changed);
}
END_TEST

/* ---- whatever is drawn */

START_TEST(a_sample_depends_on_seed_step_and_index_alone) {
    const struct settings *s = USE("seg-3d", MOVED, "crop=16x32x16", "flip=all", "foreground=0.5", "appearance_probability=0.5");
    struct sample one = sample_room(s), two = sample_room(s);
    float *image = random_pixels(&image_3d, 1, 5), *other = random_pixels(&(struct grid){3, {9, 60, 60}}, 1, 6);
    uint16_t *label = numbered_pixels(&image_3d), *second = constant_label(&(struct grid){3, {9, 60, 60}}, 1);
    int differs = 0;
    for (uint32_t i = 0; i < 6; i++) {
        ck_assert_ok(augment_draw(one.augment, one.image, one.label, image, label, -1, &image_3d, 1, 0, 1 + (i & 1), i & 2, i & 4));
        ck_assert_ok(
            augment_draw(two.augment, two.image, two.label, other, second, -1, &(struct grid){3, {9, 60, 60}}, 1, 0, 7, 7, i));
        ck_assert_ok(augment_draw(two.augment, two.image, two.label, image, label, -1, &image_3d, 1, 0, 1 + (i & 1), i & 2, i & 4));
        ck_assert_mem_eq(one.image, two.image, (size_t)one.values * sizeof(float));
        ck_assert_mem_eq(one.label, two.label, (size_t)one.pixels * sizeof(float));
        ck_assert_ok(augment_draw(two.augment, two.image, two.label, image, label, -1, &image_3d, 1, 0, 3, 9, i));
        differs += memcmp(one.image, two.image, (size_t)one.values * sizeof(float)) != 0;
        ck_assert_ok(augment_draw(two.augment, two.image, NULL, image, NULL, -1, &image_3d, 1, 0, 3, 9, i));
    }
    ck_assert_int_eq(differs, 6);
    free(image), free(label), free(other), free(second);
    sample_free(&one), sample_free(&two);
}
END_TEST

START_TEST(the_widest_maps_stay_within_what_was_reserved) {
    const char *presets[] = {"seg-2d", "seg-3d"};
    for (int d = 0; d < 2; d++) {
        const struct grid grid = d ? (struct grid){3, {70, 64, 90}} : (struct grid){2, {1, 300, 200}};
        const struct settings *s =
            USE(presets[d], "translate=3", "rotate_degrees=180", "shear_degrees=40", "scale_low=0.02", "scale_high=4",
                d ? "crop=16x16x32" : "crop=16x64", d ? "work=0x0x0" : "work=0x0", "foreground=0.5", "appearance_probability=0");
        int64_t strange = 0;
        struct sample sample = sample_room(s);
        ck_assert_ok(augment_reserve(sample.augment, &grid));
        size_t bytes = augment_bytes(sample.augment);
        float *image = random_pixels(&grid, 1, 5);
        uint16_t *label = constant_label(&grid, 1);
        for (uint32_t i = 0; i < 200; i++) {
            ck_assert_ok(augment_draw(sample.augment, sample.image, sample.label, image, label, -1, &grid, 1, 0, 1, 1, i));
            for (int64_t k = 0; k < sample.pixels; k++) strange += !(sample.image[k] >= 0 && sample.image[k] <= 1);
        }
        ck_assert_int_eq(strange, 0);
        ck_assert_uint_eq(augment_bytes(sample.augment), bytes);
        free(image), free(label);
        sample_free(&sample);
    }
}
END_TEST

START_TEST(a_large_volume_needs_no_more_room_than_its_crops) {
    const struct settings *s = USE("seg-3d", "crop=32x32x32");
    struct sample sample = sample_room(s);
    ck_assert_ok(augment_reserve(sample.augment, &(struct grid){3, {2000, 2000, 2000}}));
    ck_assert_uint_lt(augment_bytes(sample.augment), 8u << 20);
    sample_free(&sample);
}
END_TEST

/* An allocator that refuses what comes after `left` calls. */
struct refusal {
    int left, live;
};
static void *refusing_allocate(void *user, size_t bytes, size_t alignment) {
    struct refusal *refusal = user;
    void *memory = NULL;
    if (refusal->left-- <= 0 || posix_memalign(&memory, alignment, bytes) != 0) return NULL;
    refusal->live++;
    return memory;
}
static void refusing_release(void *user, void *memory) {
    ((struct refusal *)user)->live--;
    free(memory);
}

START_TEST(a_refused_allocation_is_an_error_and_loses_nothing) {
    const struct settings *s = USE("seg-2d", "crop=16x16", "work=0x0", "blur=3");
    float *image = constant_pixels(&image_2d, 1, 1), out[256];
    cover_status status = COVER_ERROR_MEMORY;
    int refused = 0;
    for (int calls = 1; status != COVER_OK; calls++) {
        struct refusal refusal = {.left = calls};
        cover_allocator allocator = {refusing_allocate, refusing_release, &refusal};
        cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
        options.allocator = &allocator, options.threads = 1;
        cover_context *poor;
        if (cover_context_create(&poor, &options) != COVER_OK) continue;
        struct augment *augment = NULL;
        struct grid grid = image_2d;
        float *plain = NULL;
        status = augment_create(&augment, poor, s);
        if (status == COVER_OK) status = augment_draw(augment, out, NULL, image, NULL, -1, &image_2d, 1, 0, 1, 1, 1);
        if (status == COVER_OK) status = augment_plain(poor, s, &plain, &grid, image, 1, 0);
        augment_destroy(augment);
        memory_free(poor, plain);
        cover_context_destroy(poor);
        ck_assert_int_eq(refusal.live, 0);
        ck_assert(status == COVER_OK || status == COVER_ERROR_MEMORY);
        refused += status != COVER_OK;
    }
    ck_assert_int_ge(refused, 7);
    free(image);
}
END_TEST

START_TEST(what_does_not_fit_is_refused) {
    const struct settings *s = USE("seg-2d", "crop=16x16", "work=0x0");
    struct sample sample = sample_room(s);
    float *image = constant_pixels(&image_2d, 1, 1), *out = NULL;
    struct grid grid = image_2d;
    ck_assert_int_eq(augment_draw(sample.augment, sample.image, NULL, image, NULL, -1, &image_3d, 1, 0, 1, 1, 1),
                     COVER_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "dims=2"));
    ck_assert_int_eq(augment_draw(sample.augment, sample.image, NULL, image, NULL, -1, &image_2d, 3, 0, 1, 1, 1),
                     COVER_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "set channels=3"));
    ck_assert_int_eq(augment_draw(sample.augment, sample.image, sample.label, image, NULL, -1, &image_2d, 1, 0, 1, 1, 1),
                     COVER_ERROR_ARGUMENT);
    image[52 * 3 + 9] = NAN;
    ck_assert_int_eq(augment_draw(sample.augment, sample.image, NULL, image, NULL, -1, &image_2d, 1, 0, 1, 1, 1),
                     COVER_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "y 3, x 9"));
    ck_assert_int_eq(augment_plain(context, s, &out, &grid, image, 1, 0), COVER_ERROR_NUMERIC);
    ck_assert_int_eq(augment_plain(context, s, &out, &grid, image, 2, 0), COVER_ERROR_SHAPE);
    ck_assert_ptr_null(out);
    free(image);
    sample_free(&sample);
}
END_TEST

Suite *suite(void);
Suite *suite(void) {
    Suite *s = suite_create("augment");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    ADD(t, without_chance_the_crop_is_an_exact_copy_in_2d);
    ADD(t, without_chance_the_crop_is_an_exact_copy_in_3d);
    ADD(t, a_small_image_lies_in_the_middle_and_its_padding_is_ignored);
    ADD(t, a_volume_smaller_than_the_crop_in_every_axis_is_whole_within_it);
    ADD(t, the_ignored_value_becomes_minus_one);
    ADD(t, a_label_is_resized_with_the_half_pixel_centres_of_the_image);
    ADD(t, the_plain_image_is_what_a_crop_of_all_of_it_shows);
    ADD(t, label_and_image_are_moved_alike_in_2d);
    ADD(t, label_and_image_are_moved_alike_in_3d);
    ADD(t, the_map_is_eq_18_about_the_middle_of_the_crop);
    ADD(t, a_crop_on_foreground_shows_its_class_whatever_the_map);
    ADD(t, a_crop_that_shows_its_foreground_stays_where_it_is);
    ADD(t, foreground_is_the_probability_that_a_crop_is_placed_on_it);
    ADD(t, the_foreground_pixel_is_anywhere_in_the_crop);
    ADD(t, a_label_of_one_class_or_of_none_is_cropped_anywhere);
    ADD(t, flips_mirror_image_and_label_alike_each_axis_half_of_the_time);
    ADD(t, appearance_changes_the_image_and_never_the_label);
    ADD(t, a_sample_depends_on_seed_step_and_index_alone);
    ADD(t, the_widest_maps_stay_within_what_was_reserved);
    ADD(t, a_large_volume_needs_no_more_room_than_its_crops);
    ADD(t, a_refused_allocation_is_an_error_and_loses_nothing);
    ADD(t, what_does_not_fit_is_refused);
    suite_add_tcase(s, t);
    return s;
}

int main(void) { return run_suite(suite()); }
