/* SeVR on the device against SeVR on the CPU: the same pair from the same seed, step and sample. */
#include "../core/views/sevr_fixture.h"
#include "device_array.h"

#include "cuda/device.h"
#include "cuda/sevr.h"

enum { CASES = 22, CHANGES_MOST = 16 };

cover_status cuda_check(cuda_error error, const char *what) {
    return error ? fail(COVER_ERROR_DEVICE, "%s: %s", what, cudaGetErrorString((cudaError_t)error)) : COVER_OK;
}

static const struct device_case {
    const char *preset, *changes[CHANGES_MOST];
    struct grid grid;
    float integer_max, scale; /* values of the image: 0 .. scale */
    double tolerance;         /* of the moving view; 0 = bit for bit */
} cases[CASES] = {
    {"paper-2d", {"crop=32x48", "work=40x64", NO_LOOK}, {2, {1, 70, 50}}, 0, 1, 0},
    {"paper-2d", {"crop=32x48", "work=40x64", "contrast_low=1", "contrast_high=1"}, {2, {1, 30, 90}}, 255, 255, 1e-6},
    {"paper-2d", {"crop=32x48", "work=40x64", "appearance_probability=1"}, {2, {1, 40, 64}}, 0, 3000, 1e-6},
    {"paper-2d", {"crop=32x48", "work=0x0", "channels=3", "normalise=none"}, {2, {1, 49, 48}}, 0, 1, 1e-6},
    {"paper-2d", {"crop=32x48", "work=40x64", "blur=3", "normalise=max"}, {2, {1, 41, 64}}, 255, 255, 1e-6},
    {"paper-2d", {"crop=32x48", "work=48x48", "channels=2", "blur=20", "appearance_probability=1"}, {2, {1, 33, 35}}, 0, 9, 1e-5},
    {"paper-2d",
     {"crop=64x64", "work=64x64", "normalise=clip2048", "inpaint_boxes=200", "inpaint_probability=1"},
     {2, {1, 80, 64}},
     0,
     4000,
     1e-6},
    {"released-2d", {"crop=32x48", "work=48x72"}, {2, {1, 60, 60}}, 0, 1, 1e-6},
    {"released-2d", {"crop=48x32", "work=48x32", "translate=1"}, {2, {1, 48, 32}}, 0, 1, 1e-6},
    {"released-2d", {"crop=48x32", "work=96x32", NO_SPACE}, {2, {1, 48, 32}}, 0, 1, 1e-6},
    {"paper-3d", {"crop=16x16x32", "work=20x24x32", NO_LOOK}, {3, {20, 24, 32}}, 0, 1, 0},
    {"paper-3d", {"crop=16x16x32", "work=24x24x40", "blur=2", "appearance_probability=1"}, {3, {17, 24, 30}}, 0, 1, 1e-6},
    {"paper-3d", {"crop=32x16x16", "work=0x0x0", "channels=2"}, {3, {33, 18, 16}}, 0, 1, 1e-6},
    {"released-3d", {"crop=16x32x16", "work=24x48x24"}, {3, {30, 40, 20}}, 65535, 65535, 1e-6},
    {"released-3d", {"crop=16x16x16", "work=16x16x16", "scale_low=3", "scale_high=4"}, {3, {16, 16, 16}}, 0, 1, 1e-6},
    {"paper-2d", {"crop=32x32", "work=40x40"}, {2, {1, 1, 7}}, 0, 0, 1e-6},
    {"paper-2d", {"crop=32x48", "work=40x64", "deform_alpha=40"}, {2, {1, 50, 60}}, 0, 1, 1e-6},
    {"paper-2d",
     {"crop=32x48", "work=40x600", "deform_alpha=900", "deform_sigma_low=150", "deform_sigma_high=160"},
     {2, {1, 50, 60}},
     0,
     1,
     1e-6},
    {"paper-2d", {"crop=32x48", "work=64x80", "diffeo_alpha=60"}, {2, {1, 50, 60}}, 0, 1, 1e-6},
    {"released-2d",
     {"crop=32x32", "work=48x48", "diffeo_alpha=900", "deform_alpha=20", "diffeo_squarings=4", "diffeo_sigma=5"},
     {2, {1, 50, 60}},
     0,
     1,
     1e-6},
    {"paper-3d", {"crop=16x16x16", "work=20x24x28", "diffeo_alpha=60", "diffeo_sigma=3"}, {3, {17, 24, 30}}, 0, 1, 1e-6},
    {"paper-3d",
     {"crop=16x16x16", "work=20x24x28", "diffeo_squarings=0", "diffeo_alpha=9", "deform_alpha=100", "blur=2"},
     {3, {17, 24, 30}},
     0,
     1,
     1e-6},
};

struct drawn_sums {
    float *moving, *fixed, *field, *mask;
    struct cuda_view_sums sums;
};

static struct drawn_sums draw_on_the_device(const struct settings *s, const struct drawn *drawn, const float *image,
                                            const struct grid *grid, float integer_max, uint32_t step, uint32_t sample) {
    const struct view_bytes bytes = sevr_pair_bytes(drawn->sevr);
    struct device_array moving = device_array(NULL, bytes.image), fixed = device_array(NULL, bytes.image),
                        field = device_array(NULL, bytes.field), mask = device_array(NULL, bytes.mask),
                        sums = device_array(NULL, sizeof(struct cuda_view_sums)),
                        source = device_array(image, (size_t)(grid_pixels(grid) * s->network.channels) * sizeof(float)),
                        workspace = device_array(NULL, cuda_sevr_workspace(s, grid));
    const struct cuda_views views = {on_device(&moving), on_device(&fixed), on_device(&field), on_device(&mask)};
    ck_assert_ok(cuda_sevr_draw(NULL, &views, on_device(&sums), s, on_device(&source), grid, (int)s->network.channels, integer_max,
                                5, step, sample, on_device(&workspace)));
    struct drawn_sums result = {fetched(&moving), fetched(&fixed), fetched(&field), fetched(&mask), {0}};
    void *found = fetched(&sums);
    memcpy(&result.sums, found, sizeof result.sums);
    free(found), free(fetched(&workspace));
    struct device_array *all[] = {&moving, &fixed, &field, &mask, &sums, &source, &workspace};
    for (int i = 0; i < 7; i++) device_release(all[i]);
    return result;
}
static void drawn_free(struct drawn_sums *d) { free(d->moving), free(d->fixed), free(d->field), free(d->mask); }

static float *image_of(const struct device_case *c, const struct settings *s) {
    float *image = random_pixels(&c->grid, (int)s->network.channels, 3);
    for (int64_t i = 0; i < grid_pixels(&c->grid) * s->network.channels; i++)
        image[i] = c->integer_max > 0 ? floorf(image[i] * c->scale) : image[i] * c->scale;
    return image;
}

START_TEST(a_pair_of_the_device_is_that_of_the_cpu) {
    const struct device_case *c = &cases[_i];
    const struct settings *s = use(c->preset, c->changes);
    struct drawn cpu = draw_room(s);
    float *image = image_of(c, s);
    for (uint32_t step = 0; step < 6; step++) {
        ck_assert_ok(sevr_draw(cpu.sevr, &cpu.pair, image, &c->grid, (int)s->network.channels, c->integer_max, 5, step, 7));
        struct drawn_sums device = draw_on_the_device(s, &cpu, image, &c->grid, c->integer_max, step, 7);
        ck_assert_mem_eq(device.field, cpu.pair.field, (size_t)(cpu.pixels * s->network.dims) * sizeof(float));
        ck_assert_mem_eq(device.mask, cpu.pair.mask, (size_t)cpu.pixels * sizeof(float));
        ck_assert_int_eq(device.sums.valid, cpu.pair.valid);
        ck_assert_double_le(fabs(device.sums.zero_loss - cpu.pair.zero_loss), 1e-12 * cpu.pair.zero_loss);
        ck_assert_int_eq(device.sums.bad, -1);
        ck_assert_mem_eq(device.fixed, cpu.pair.fixed, (size_t)cpu.values * sizeof(float));
        if (c->tolerance > 0) check_close(device.moving, cpu.pair.moving, cpu.values, ELEMENT_F32, c->tolerance, "moving");
        else ck_assert_mem_eq(device.moving, cpu.pair.moving, (size_t)cpu.values * sizeof(float));
        drawn_free(&device);
    }
    free(image), draw_free(&cpu);
}
END_TEST

START_TEST(without_contrast_and_blur_a_view_is_the_cpus_bit_for_bit) {
    const struct settings *s =
        USE("paper-2d", "crop=64x48", "work=80x64", "contrast_low=1", "contrast_high=1", "blur=0", "appearance_probability=0.7");
    const struct grid grid = {2, {1, 70, 90}};
    struct drawn cpu = draw_room(s);
    float *image = random_pixels(&grid, 1, 4);
    int same = 0;
    for (uint32_t step = 0; step < 20; step++) {
        ck_assert_ok(sevr_draw(cpu.sevr, &cpu.pair, image, &grid, 1, 0, 5, step, 7));
        struct drawn_sums device = draw_on_the_device(s, &cpu, image, &grid, 0, step, 7);
        same += memcmp(device.moving, cpu.pair.moving, (size_t)cpu.values * sizeof(float)) == 0;
        drawn_free(&device);
    }
    ck_assert_int_ge(same, 17); /* a mean that is added and taken away again may round otherwise */
    free(image), draw_free(&cpu);
}
END_TEST

START_TEST(draws_in_any_order_give_the_same_bits) {
    const struct device_case *c = &cases[5];
    const struct settings *s = use(c->preset, c->changes);
    struct drawn room = draw_room(s);
    float *image = image_of(c, s);
    struct drawn_sums one = draw_on_the_device(s, &room, image, &c->grid, 0, 2, 1);
    cudasim_seed(11);
    struct drawn_sums two = draw_on_the_device(s, &room, image, &c->grid, 0, 2, 1);
    ck_assert_mem_eq(one.moving, two.moving, (size_t)room.values * sizeof(float));
    ck_assert_mem_eq(one.fixed, two.fixed, (size_t)room.values * sizeof(float));
    ck_assert_mem_eq(&one.sums, &two.sums, sizeof one.sums);
    drawn_free(&one), drawn_free(&two), free(image), draw_free(&room);
}
END_TEST

START_TEST(a_pixel_that_is_not_finite_is_told_by_its_place) {
    const struct settings *s = USE("paper-2d", "crop=32x32", "work=40x40");
    const struct grid grid = {2, {1, 50, 60}};
    struct drawn room = draw_room(s);
    float *image = random_pixels(&grid, 1, 4);
    image[2900] = NAN, image[1234] = -INFINITY;
    struct drawn_sums device = draw_on_the_device(s, &room, image, &grid, 0, 0, 0);
    ck_assert_int_eq(device.sums.bad, 1234);
    drawn_free(&device);
    image[2900] = 3e38f, image[1234] = -3e38f;
    device = draw_on_the_device(s, &room, image, &grid, 0, 0, 0);
    ck_assert_int_eq(device.sums.bad, -2);
    drawn_free(&device), free(image), draw_free(&room);
}
END_TEST

START_TEST(an_image_that_does_not_fit_is_refused_before_anything_starts) {
    const struct settings *s = USE("paper-2d", "crop=32x32", "work=40x40");
    const struct grid grid = {2, {1, 50, 60}}, volume = {3, {5, 50, 60}};
    const struct cuda_views views = {0};
    ck_assert_int_eq(cuda_sevr_draw(NULL, &views, NULL, s, NULL, &grid, 2, 0, 1, 1, 1, NULL), COVER_ERROR_SHAPE);
    ck_assert_int_eq(cuda_sevr_draw(NULL, &views, NULL, s, NULL, &volume, 1, 0, 1, 1, 1, NULL), COVER_ERROR_SHAPE);
}
END_TEST

START_TEST(each_call_of_the_runtime_that_fails_is_told) {
    const struct settings *s = USE("paper-3d", "crop=16x16x16", "work=20x20x20", "diffeo_alpha=9", "deform_alpha=10", "blur=2",
                                   "appearance_probability=1", "diffeo_squarings=2");
    const struct grid grid = {3, {17, 18, 19}};
    struct drawn room = draw_room(s);
    const struct view_bytes bytes = sevr_pair_bytes(room.sevr);
    float *pixels = random_pixels(&grid, 1, 4);
    struct device_array moving = device_array(NULL, bytes.image), fixed = device_array(NULL, bytes.image),
                        field = device_array(NULL, bytes.field), mask = device_array(NULL, bytes.mask),
                        sums = device_array(NULL, sizeof(struct cuda_view_sums)),
                        image = device_array(pixels, (size_t)grid_pixels(&grid) * sizeof(float)),
                        workspace = device_array(NULL, cuda_sevr_workspace(s, &grid));
    const struct cuda_views views = {on_device(&moving), on_device(&fixed), on_device(&field), on_device(&mask)};
    check_each_failure(
        cuda_sevr_draw(NULL, &views, on_device(&sums), s, on_device(&image), &grid, 1, 0, 5, 1, 2, on_device(&workspace)),
        COVER_ERROR_DEVICE);
    struct device_array *all[] = {&moving, &fixed, &field, &mask, &sums, &image, &workspace};
    for (int i = 0; i < 7; i++) device_release(all[i]);
    free(pixels), draw_free(&room);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cuda: SeVR");
    TCase *tcase = tcase_create("SeVR");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_pair_of_the_device_is_that_of_the_cpu, 0, CASES);
    ADD(tcase, without_contrast_and_blur_a_view_is_the_cpus_bit_for_bit);
    ADD(tcase, draws_in_any_order_give_the_same_bits);
    ADD(tcase, a_pixel_that_is_not_finite_is_told_by_its_place);
    ADD(tcase, an_image_that_does_not_fit_is_refused_before_anything_starts);
    ADD_EMULATED(tcase, each_call_of_the_runtime_that_fails_is_told);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
