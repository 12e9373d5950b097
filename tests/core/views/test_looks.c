/* What is done to images for the objectives beside COVER: each change against the reference's golden file, and what must hold of the
 * numbers that are drawn for it. */
#include "../../check_main.h"

#include "core/base/json.h"
#include "core/views/looks.h"
#include "io/weights/tensor_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static cover_context *context;
static void setup(void) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    ck_assert_ok(cover_context_create(&context, &options));
}
static void teardown(void) { cover_context_destroy(context); }

/* ---- the golden file */

struct image {
    float *values; /* channels last */
    struct grid grid;
    int channels;
};
static int64_t count_of(const struct image *image) { return grid_pixels(&image->grid) * image->channels; }

struct golden {
    struct tensor_file *file;
    const char *name;
    json_t *numbers;
    struct image from, to; /* the source, if there is one, and what is expected */
};

/* (C, *S) in the file, or (1, C, *S), or (*S) of one channel. */
static struct image image_read(struct golden *golden, const char *name, int dims) {
    const struct tensor_entry *entry = tensor_file_find(golden->file, name);
    ck_assert_msg(entry != NULL, "no %s", name);
    struct image image = {.grid = {dims, {1, 1, 1}}, .channels = 1};
    for (int a = 0; a < dims; a++) image.grid.size[3 - dims + a] = entry->shape[entry->rank - dims + a];
    if (entry->rank > dims) image.channels = (int)entry->shape[entry->rank - dims - 1];
    ck_assert_int_eq(entry->elements, count_of(&image));
    float *planar;
    ck_assert_ok(tensor_load_f32(golden->file, entry, &planar));
    image.values = malloc((size_t)entry->elements * sizeof(float));
    int64_t pixels = grid_pixels(&image.grid);
    for (int64_t i = 0; i < entry->elements; i++) image.values[i % pixels * image.channels + i / pixels] = planar[i];
    memory_free(context, planar);
    return image;
}
static double number(const struct golden *golden, const char *name) {
    return json_number_value(json_object_get(golden->numbers, name));
}
static struct image image_named(struct golden *golden, const char *field) {
    const char *name = json_string_value(json_object_get(golden->numbers, field));
    return image_read(golden, name, golden->to.grid.ndim);
}
static void axes_read(int64_t axes[3], const json_t *list) {
    int dims = (int)json_array_size(list);
    for (int a = 0; a < dims; a++) axes[3 - dims + a] = json_integer_value(json_array_get(list, (size_t)a));
}
static struct window box_read(const json_t *box) {
    struct window window = {.size = {1, 1, 1}};
    axes_read(window.first, json_array_get(box, 0));
    axes_read(window.size, json_array_get(box, 1));
    return window;
}

/* ---- each change, from golden->from into out */

static void turn(float *out, struct golden *g, const char *field) {
    look_turn(out, g->from.values, &g->from.grid, g->from.channels, (int)number(g, field));
}
static void rotate_2d(float *out, struct golden *g) { turn(out, g, "turns"); }
static void rotate_3d(float *out, struct golden *g) { turn(out, g, "label"); }

static void copy(float *out, const struct golden *g) { memcpy(out, g->from.values, (size_t)count_of(&g->from) * sizeof *out); }

static void bezier(float *out, struct golden *g) {
    struct bezier curve = {.falling = json_is_true(json_object_get(g->numbers, "reverse"))};
    for (size_t a = 0; a < 2; a++) {
        curve.p[a] = (float)json_number_value(json_array_get(json_object_get(g->numbers, "p"), a));
        curve.q[a] = (float)json_number_value(json_array_get(json_object_get(g->numbers, "q"), a));
    }
    struct bezier_table *table = malloc(sizeof *table);
    copy(out, g);
    look_bezier(out, count_of(&g->from), &curve, table);
    free(table);
}

static void shuffle(float *out, struct golden *g) {
    copy(out, g);
    const json_t *boxes = json_object_get(g->numbers, "boxes");
    for (size_t i = 0; i < json_array_size(boxes); i++) {
        int32_t order[64], room[64];
        const json_t *box = json_array_get(boxes, i), *list = json_array_get(box, 2);
        ck_assert_uint_le(json_array_size(list), 64);
        for (size_t k = 0; k < json_array_size(list); k++) order[k] = (int32_t)json_integer_value(json_array_get(list, k));
        const struct window window = box_read(box);
        look_shuffle(out, g->from.values, &g->from.grid, g->from.channels, &window, order, room);
    }
}

static void paint(float *out, struct golden *g) {
    struct window box[BOXES];
    uint8_t mark[64];
    const json_t *boxes = json_object_get(g->numbers, "boxes");
    for (size_t i = 0; i < json_array_size(boxes); i++) box[i] = box_read(json_array_get(boxes, i));
    struct image noise = image_named(g, "noise");
    copy(out, g);
    look_paint(out, &g->from.grid, g->from.channels, box, (int)json_array_size(boxes), &(struct numbers){.given = noise.values},
               json_is_true(json_object_get(g->numbers, "outside")), mark);
    free(noise.values);
}

static void region_mask(float *out, struct golden *g) {
    struct image lattice = image_named(g, "lattice");
    void *scratch = malloc(look_resized_crop_bytes(&g->to.grid, &lattice.grid, 1));
    look_region_mask(out, &g->to.grid, lattice.values, &lattice.grid, number(g, "share"), scratch);
    free(scratch), free(lattice.values);
}

static void resized_crop(float *out, struct golden *g) {
    struct look_box box = {.window.size = {1, 1, 1}};
    axes_read(box.window.first, json_object_get(g->numbers, "first"));
    axes_read(box.window.size, json_object_get(g->numbers, "size"));
    void *scratch = malloc(look_resized_crop_bytes(&g->to.grid, &g->from.grid, g->from.channels));
    look_resized_crop(out, &g->to.grid, &box, g->from.values, &g->from.grid, g->from.channels, scratch);
    free(scratch);
}

static void brightness(float *out, struct golden *g) {
    copy(out, g);
    look_brightness(out, count_of(&g->from), (float)number(g, "factor"));
}
static void contrast(float *out, struct golden *g) {
    copy(out, g);
    look_contrast(out, count_of(&g->from), (float)number(g, "factor"));
}
static void solarise(float *out, struct golden *g) {
    copy(out, g);
    look_solarise(out, count_of(&g->from), (float)number(g, "threshold"));
}
static void blur(float *out, struct golden *g) {
    void *scratch = malloc(blur_bytes(number(g, "sigma"), &g->from.grid, g->from.channels));
    copy(out, g);
    blur_image(out, &g->from.grid, g->from.channels, number(g, "sigma"), scratch);
    free(scratch);
}

static void corrupt(float *out, struct golden *g) {
    static const char *const kinds[] = {[CORRUPT_GAUSSIAN] = "corrupt.gaussian",
                                        [CORRUPT_MASKING] = "corrupt.masking",
                                        [CORRUPT_SALT_AND_PEPPER] = "corrupt.salt-and-pepper"};
    enum corruption kind = CORRUPT_GAUSSIAN;
    while (strcmp(kinds[kind], g->name)) kind++;
    struct image random = image_named(g, "random");
    look_corrupt(out, g->from.values, count_of(&g->from), kind, (float)number(g, "amount"),
                 &(struct numbers){.given = random.values});
    free(random.values);
}

static const struct look_case {
    const char *name;
    void (*apply)(float *out, struct golden *golden);
    double bound; /* on max |a - b| / (1e-6 + rms(b)) */
} changes[] = {
    {"rotate_2d", rotate_2d, 0},
    {"rotate_3d", rotate_3d, 0},
    {"bezier", bezier, 1e-5},
    {"shuffle", shuffle, 0},
    {"paint_in", paint, 0},
    {"paint_out", paint, 0},
    {"region_mask", region_mask, 0},
    {"resized_crop", resized_crop, 1e-5},
    {"brightness", brightness, 1e-5},
    {"contrast", contrast, 1e-5},
    {"blur", blur, 1e-5},
    {"solarise", solarise, 1e-5},
    {"corrupt", corrupt, 1e-5},
};

static void golden_check(struct golden *golden) {
    size_t length = strcspn(golden->name, ".");
    const struct look_case *change = changes, *end = changes + sizeof changes / sizeof *changes;
    while (change < end && (strlen(change->name) != length || strncmp(change->name, golden->name, length))) change++;
    ck_assert_msg(change < end, "nothing does %s", golden->name);
    char name[64];
    snprintf(name, sizeof name, "%s.out", golden->name);
    const char *source = json_string_value(json_object_get(golden->numbers, "source"));
    const char *axes = source ? source : strrchr(golden->name, '.') + 1; /* "x3", "y2" */
    golden->to = image_read(golden, name, axes[1] - '0');
    if (source) golden->from = image_read(golden, source, axes[1] - '0');
    float *out = malloc((size_t)count_of(&golden->to) * sizeof *out);
    change->apply(out, golden);
    double worst = 0, square = 0;
    for (int64_t i = 0; i < count_of(&golden->to); i++) {
        double expected = (double)golden->to.values[i], gap = fabs((double)out[i] - expected);
        worst = gap > worst ? gap : worst, square += expected * expected;
    }
    double error = worst / (1e-6 + sqrt(square / (double)count_of(&golden->to)));
    ck_assert_msg(error <= change->bound, "%s: %g, bound %g", golden->name, error, change->bound);
    free(out), free(golden->to.values), free(golden->from.values);
}

START_TEST(every_change_is_the_references) {
    struct golden golden = {0};
    int seen = 0;
    ck_assert_ok(tensor_file_open(&golden.file, context, GOLDEN_FILE));
    for (int64_t i = 0; i < golden.file->metadata_count; i++) {
        struct golden one = {.file = golden.file, .name = golden.file->metadata[i].key};
        if (golden.file->metadata[i].value[0] != '{') continue;
        one.numbers = json_loads(golden.file->metadata[i].value, 0, NULL);
        golden_check(&one);
        json_decref(one.numbers);
        seen++;
    }
    ck_assert_int_eq(seen, 36);
    tensor_file_close(golden.file);
}
END_TEST

/* ---- what is drawn */

static const struct grid grids[] = {{2, {1, 96, 128}}, {3, {24, 40, 32}}, {2, {1, 5, 3}}, {3, {4, 3, 2}}, {2, {1, 1, 1}}};
enum { GRIDS = sizeof grids / sizeof *grids };

static bool within(const struct window *box, const struct grid *grid) {
    bool inside = true;
    for (int i = 0; i < 3; i++) inside &= box->first[i] >= 0 && box->size[i] >= 1 && box->first[i] + box->size[i] <= grid->size[i];
    return inside;
}

START_TEST(a_box_lies_in_its_image_and_has_the_share_that_was_drawn) {
    const struct grid *grid = &grids[_i];
    double least = 1, most = 0;
    int flipped[3] = {0};
    for (uint32_t sample = 0; sample < 400; sample++) {
        struct random_stream stream = chance_stream(&(struct chance){1, 2, sample}, RANDOM_LOOK_BOX, 0);
        struct look_box box;
        look_box_draw(&box, &stream, grid, 0.2, LOOK_FLIP_OWN);
        ck_assert(within(&box.window, grid));
        double share = 1;
        for (int i = 0; i < 3; i++) share *= (double)box.window.size[i] / (double)grid->size[i], flipped[i] += box.flip[i];
        least = share < least ? share : least, most = share > most ? share : most;
    }
    if (_i < 2) ck_assert(least > 0.17 && least < 0.25 && most > 0.9);
    for (int i = 0; i < 3; i++) {
        bool may = grid->ndim == 3 || i == 2;
        ck_assert(may ? flipped[i] > 150 && flipped[i] < 250 : flipped[i] == 0);
    }
}
END_TEST

START_TEST(no_flip_is_drawn_where_none_is_wanted_and_the_box_stays_the_same) {
    struct look_box with, without;
    for (uint32_t sample = 0; sample < 50; sample++) {
        struct random_stream a = chance_stream(&(struct chance){1, 2, sample}, RANDOM_LOOK_BOX, 0), b = a;
        look_box_draw(&with, &a, &grids[1], 0.2, LOOK_FLIP_OWN);
        look_box_draw(&without, &b, &grids[1], 0.2, LOOK_FLIP_OFF);
        ck_assert(memcmp(&with.window, &without.window, sizeof with.window) == 0);
        ck_assert(!without.flip[0] && !without.flip[1] && !without.flip[2]);
        ck_assert_uint_eq(random_word(&a), random_word(&b));
    }
}
END_TEST

START_TEST(poses_of_a_sample_differ_and_all_come_up) {
    int seen[POSES_3D] = {0}, pose[POSES_3D];
    for (uint32_t sample = 0; sample < 200; sample++) {
        look_poses_draw(pose, 4, &(struct chance){5, 0, sample}, 3);
        for (int i = 0; i < 4; i++) {
            ck_assert(pose[i] >= 0 && pose[i] < POSES_3D);
            seen[pose[i]]++;
            for (int k = 0; k < i; k++) ck_assert_int_ne(pose[i], pose[k]);
        }
    }
    for (int i = 0; i < POSES_3D; i++) ck_assert_int_gt(seen[i], 40);
    look_poses_draw(pose, 4, &(struct chance){5, 0, 0}, 2);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pose[i], i);
}
END_TEST

static float *noise_image(const struct grid *grid, int channels) {
    const struct random_image noise = {9, RANDOM_TEST, 1, 0, 0};
    float *values = malloc((size_t)(grid_pixels(grid) * channels) * sizeof *values);
    random_image_uniform(values, &noise, 0, grid_pixels(grid) * channels);
    return values;
}

START_TEST(a_region_drops_exactly_its_share_and_a_mask_of_equals_its_first_pixels) {
    const struct grid *grid = &grids[_i];
    float *mask = malloc((size_t)grid_pixels(grid) * sizeof *mask);
    void *scratch = malloc(look_mask_bytes(grid));
    for (uint32_t sample = 0; sample < 20; sample++) {
        int64_t dropped = look_mask_draw(mask, grid, LOOK_MASK_REGION, 0.25, &(struct chance){3, 1, sample}, scratch);
        ck_assert_int_eq(dropped, (int64_t)(0.25 * (double)grid_pixels(grid) + 0.5));
        ck_assert_int_ge(look_mask_draw(mask, grid, LOOK_MASK_BLOCKS, 0.25, &(struct chance){3, 1, sample}, scratch), 1);
    }
    ck_assert_int_ge(look_mask_draw(mask, grid, LOOK_MASK_CENTRE, 0.25, &(struct chance){3, 1, 0}, scratch), 1);
    const float flat[8] = {0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f};
    const struct grid lattice = {grid->ndim, {grid->ndim == 3 ? 2 : 1, 2, 2}};
    look_region_mask(mask, grid, flat, &lattice, 0.5, scratch);
    int64_t half = (int64_t)(0.5 * (double)grid_pixels(grid) + 0.5);
    int64_t elsewhere = 0;
    for (int64_t i = 0; i < grid_pixels(grid); i++) elsewhere += (mask[i] != 0) != (i < half);
    ck_assert_int_eq(elsewhere, 0);
    free(mask), free(scratch);
}
END_TEST

typedef void drawing(struct damage *damage, const struct grid *grid, const struct chance *chance);

START_TEST(damage_is_the_same_for_the_same_numbers_and_stays_in_its_memory) {
    static drawing *const draws[] = {genesis_draw, gvsl_damage_draw};
    const struct grid *grid = &grids[_i];
    enum { CHANNELS = 2, GUARD = 16 };
    int64_t count = grid_pixels(grid) * CHANNELS, changed = 0;
    float *image = noise_image(grid, CHANNELS), *once = malloc((size_t)(count + GUARD) * sizeof *once),
          *again = malloc((size_t)count * sizeof *again);
    size_t bytes = damage_bytes(grid);
    uint8_t *scratch = malloc(bytes + GUARD);
    for (uint32_t sample = 0; sample < 60; sample++) {
        struct damage damage;
        draws[sample % 2](&damage, grid, &(struct chance){8, 4, sample});
        for (int i = 0; i < damage.boxes; i++) ck_assert(within(&damage.box[i], grid));
        for (int i = 0; i < GUARD; i++) scratch[bytes + (size_t)i] = 0x5A, once[count + i] = 7;
        damage_apply(once, image, grid, CHANNELS, &damage, scratch);
        for (int i = 0; i < GUARD; i++) ck_assert(scratch[bytes + (size_t)i] == 0x5A && once[count + i] == 7);
        memset(scratch, 0xFF, bytes);
        damage_apply(again, image, grid, CHANNELS, &damage, scratch);
        ck_assert(memcmp(once, again, (size_t)count * sizeof *once) == 0);
        changed += memcmp(once, image, (size_t)count * sizeof *once) != 0;
        int64_t outside = 0;
        for (int64_t i = 0; i < count; i++) outside += !(once[i] >= 0 && once[i] <= 1);
        ck_assert_int_eq(outside, 0);
    }
    ck_assert_int_gt(changed, 50);
    free(image), free(once), free(again), free(scratch);
}
END_TEST

START_TEST(as_many_windows_are_shuffled_as_the_original_has_at_its_size) {
    static const struct {
        drawing *draw;
        struct grid grid;
        int64_t windows;
    } cases[] = {{genesis_draw, {3, {128, 128, 128}}, 14280},
                 {genesis_draw, {2, {1, 384, 384}}, 725},
                 {gvsl_damage_draw, {2, {1, 512, 512}}, 998}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct damage damage = {0};
        for (uint32_t sample = 0; damage.windows == 0; sample++)
            cases[i].draw(&damage, &cases[i].grid, &(struct chance){1, 1, sample});
        ck_assert_int_eq(damage.windows, cases[i].windows);
    }
}
END_TEST

/* The curve where it is steepest and where it is flat, against bisection. */
START_TEST(a_curve_is_solved_exactly) {
    static const struct bezier curves[] = {{{0, 1}, {0, 1}, false},
                                           {{1, 0}, {1, 0}, true},
                                           {{0, 0}, {1, 1}, false},
                                           {{0.01f, 0.9f}, {0.5f, 0.2f}, true},
                                           {{1, 1}, {0, 0}, false}};
    struct bezier_table *table = malloc(sizeof *table);
    for (size_t k = 0; k < sizeof curves / sizeof *curves; k++)
        for (int i = 0; i <= 1000; i++) {
            float value = (float)i / 1000;
            double v = (double)value, low = 0, high = 1;
            const double p[2] = {(double)curves[k].p[0], (double)curves[k].p[1]},
                         q[2] = {(double)curves[k].q[0], (double)curves[k].q[1]};
            for (int halving = 0; halving < 60; halving++) {
                double s = (low + high) / 2, r = 1 - s;
                if (3 * r * r * s * p[0] + 3 * r * s * s * q[0] + s * s * s < v) low = s;
                else high = s;
            }
            double s = curves[k].falling ? 1 - low : low, r = 1 - s;
            look_bezier(&value, 1, &curves[k], table);
            ck_assert_double_eq_tol((double)value, 3 * r * r * s * p[1] + 3 * r * s * s * q[1] + s * s * s, 2e-6);
        }
    free(table);
}
END_TEST

START_TEST(corruption_loses_the_share_that_it_is_told) {
    const struct grid grid = {2, {1, 200, 200}};
    int64_t count = grid_pixels(&grid), zeros = 0, ones = 0;
    float *image = noise_image(&grid, 1), *out = malloc((size_t)count * sizeof *out);
    const struct numbers numbers = {.drawn = chance_image(&(struct chance){1, 1, 1}, RANDOM_LOOK_CORRUPT, 0)};
    look_corrupt(out, image, count, CORRUPT_SALT_AND_PEPPER, 0.2f, &numbers);
    for (int64_t i = 0; i < count; i++) zeros += out[i] == 0, ones += out[i] == 1;
    ck_assert(zeros > 3600 && zeros < 4400 && ones > 3600 && ones < 4400);
    look_corrupt(out, image, count, CORRUPT_GAUSSIAN, 0.1f, &numbers);
    double square = 0;
    for (int64_t i = 0; i < count; i++) square += pow((double)out[i] - (double)image[i], 2);
    ck_assert_double_eq_tol(square / (double)count, 0.01, 3e-4);
    free(image), free(out);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("looks");
    TCase *golden = tcase_create("golden");
    tcase_add_checked_fixture(golden, setup, teardown);
    ADD(golden, every_change_is_the_references);
    suite_add_tcase(suite, golden);
    TCase *drawn = tcase_create("drawn");
    tcase_add_loop_test(drawn, a_box_lies_in_its_image_and_has_the_share_that_was_drawn, 0, GRIDS);
    ADD(drawn, no_flip_is_drawn_where_none_is_wanted_and_the_box_stays_the_same);
    ADD(drawn, poses_of_a_sample_differ_and_all_come_up);
    tcase_add_loop_test(drawn, a_region_drops_exactly_its_share_and_a_mask_of_equals_its_first_pixels, 0, GRIDS);
    tcase_add_loop_test(drawn, damage_is_the_same_for_the_same_numbers_and_stays_in_its_memory, 0, GRIDS);
    ADD(drawn, as_many_windows_are_shuffled_as_the_original_has_at_its_size);
    ADD(drawn, a_curve_is_solved_exactly);
    ADD(drawn, corruption_loses_the_share_that_it_is_told);
    suite_add_tcase(suite, drawn);
    return run_suite(suite);
}
