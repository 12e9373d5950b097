/* Samples of rotation: every copy is its view turned as its pose says; crops that cannot be turned are refused. */
#include "../views/sevr_fixture.h"

#include "core/objective/objective.h"
#include "core/views/looks.h"

static cover_status read_image(void *user, int64_t index, float **pixels, struct grid *grid, int *integer_max) {
    (void)user;
    *grid = (struct grid){3, {20, 24, 28}}, *integer_max = 0;
    *pixels = memory_alloc(context, (size_t)grid_pixels(grid) * sizeof **pixels);
    const struct random_image random = {77, RANDOM_TEST, 0, (uint32_t)index, 0};
    random_image_uniform(*pixels, &random, 0, grid_pixels(grid));
    return COVER_OK;
}
static const char *image_name(void *user, int64_t index) {
    (void)user, (void)index;
    return "image";
}

START_TEST(a_copy_is_the_view_turned_as_its_pose_says) {
    static const struct sample_reader reader = {
        .count = 4, .channels = 1, .largest = {3, {20, 24, 28}}, .read = read_image, .name = image_name};
    USE("paper-3d", "crop=16x16x16", "work=0x0x0", "objective=rotation", "rotations=10");
    ck_assert_ok(objective_settle(config, 4));
    const struct settings *s = config_settings(config);
    const struct objective_run run = {.context = context, .settings = s, .reader = &reader};
    const struct objective *objective = objective_of(context, &s->objective);
    struct sample_maker *maker = malloc(objective_maker_bytes(objective));
    const struct grid cube = {3, {16, 16, 16}};
    enum { VALUES = 16 * 16 * 16, COPIES = 10 };
    float *turned = malloc(VALUES * sizeof *turned);
    void *worker;
    ck_assert_ok(objective_maker(maker, objective, &run));
    ck_assert_ok(maker->worker_create(&worker, maker));
    float *memory = malloc((size_t)maker->floats * sizeof *memory);
    for (int64_t number = 0; number < 6; number++) {
        struct sample sample;
        unsigned seen = 0;
        ck_assert_ok(maker->draw(maker, worker, &sample, memory, number));
        ck_assert_int_eq(sample.count, 1);
        for (int i = 0; i < COPIES; i++) {
            const int pose = (int)sample.input[1][i];
            look_turn(turned, memory, &cube, 1, pose); /* the view comes first */
            ck_assert(memcmp(turned, sample.input[0] + i * VALUES, VALUES * sizeof *turned) == 0);
            seen |= 1u << pose;
        }
        ck_assert_uint_eq(seen, (1u << COPIES) - 1);
    }
    maker->worker_destroy(worker);
    free(memory), free(turned), free(maker);
}
END_TEST

START_TEST(what_cannot_be_turned_is_refused) {
    USE("paper-2d", "crop=64x32", "objective=rotation");
    ck_assert_fails(objective_settle(config, 0), COVER_ERROR_SHAPE, "crop=64x32", "set crop=32x32");
    USE("paper-3d", "crop=32x32x48", "objective=rotation");
    ck_assert_fails(objective_settle(config, 0), COVER_ERROR_SHAPE, "crop=32x32x48", "set crop=32x32x32");
    USE("paper-2d", "objective=rotation", "rotations=5");
    ck_assert_fails(objective_settle(config, 0), COVER_ERROR_ARGUMENT, "rotations=5", "use 4 at most");
    USE("paper-3d", "objective=rotation");
    ck_assert_ok(objective_settle(config, 0));
    ck_assert_int_eq(config_settings(config)->objective.rotations, 4);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("rotation");
    TCase *tcase = tcase_create("samples");
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, a_copy_is_the_view_turned_as_its_pose_says);
    ADD(tcase, what_cannot_be_turned_is_refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
