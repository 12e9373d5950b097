/* Makers of views: which image a sample takes, where its views lie in memory, what an objective makes of them, and what is refused. */
#include "../views/sevr_fixture.h"

#include "core/objective/view_maker.h"
#include "core/train/order.h"

enum { IMAGES = 5, SIZE = 40 };

/* Images of random pixels, a number each; image 3 may be made too small. */
static struct grid grid_of(int64_t index, bool small) {
    return small && index == 3 ? (struct grid){2, {1, SIZE, 20}} : (struct grid){2, {1, SIZE, SIZE + index}};
}
static cover_status read_image(void *user, int64_t index, float **pixels, struct grid *grid, int *integer_max) {
    *grid = grid_of(index, user != NULL), *integer_max = 0;
    *pixels = memory_alloc(context, (size_t)grid_pixels(grid) * sizeof **pixels);
    const struct random_image random = {77, RANDOM_TEST, 0, (uint32_t)index, 0};
    random_image_uniform(*pixels, &random, 0, grid_pixels(grid));
    return COVER_OK;
}
static const char *image_name(void *user, int64_t index) {
    static char name[16];
    (void)user;
    snprintf(name, sizeof name, "image %d", (int)index);
    return name;
}
static const struct sample_reader reader = {
    .count = IMAGES, .channels = 1, .largest = {2, {1, SIZE, SIZE + IMAGES}}, .read = read_image, .name = image_name};

static struct objective_run run_of(const struct settings *settings) {
    return (struct objective_run){.context = context, .settings = settings, .reader = &reader};
}
static float *maker_memory(const struct view_maker *maker) { return malloc((size_t)maker->maker.floats * sizeof(float)); }

START_TEST(a_sample_is_the_pair_of_its_step_and_place_of_the_image_in_its_order) {
    static const struct view_plan plan = {.recipe = &views_byol, .views = 2, .field = true};
    const struct settings *s = USE("paper-2d", "crop=32x16", "work=0x0", "batch=3", "seed=9");
    const struct objective_run run = run_of(s);
    struct view_maker maker;
    void *worker;
    ck_assert_ok(view_maker(&maker, &run, &plan));
    ck_assert_int_eq(maker.maker.floats, 32 * 16 * 5);
    ck_assert_ok(maker.maker.worker_create(&worker, &maker.maker));
    float *memory = maker_memory(&maker), *other = maker_memory(&maker);
    struct viewer *viewer;
    ck_assert_ok(viewer_create(&viewer, context, s, &maker.recipe));
    for (int64_t number = 0; number < 8; number++) {
        struct sample sample;
        ck_assert_ok(maker.maker.draw(&maker.maker, worker, &sample, memory, number));
        int64_t index = order_sample(9, number / IMAGES, number % IMAGES, IMAGES);
        struct view_pair pair = {other, other + 512, other + 1024, other + 2048, 0, 0};
        struct stored_image image = {.grid = grid_of(index, false), .channels = 1};
        float *pixels;
        int integer_max;
        ck_assert_ok(read_image(NULL, index, &pixels, &image.grid, &integer_max));
        image.pixels = pixels;
        ck_assert_ok(viewer_pair(viewer, &pair, &image, &(struct chance){9, (uint32_t)(number / 3), (uint32_t)(number % 3)}));
        ck_assert(memcmp(memory, other, (size_t)maker.maker.floats * sizeof(float)) == 0);
        ck_assert(sample.input[0] == memory && sample.input[1] == memory + 1024 && sample.input[2] == memory + 2048);
        ck_assert(sample.count == 1 && !sample.image);
        memory_free(context, pixels);
    }
    viewer_destroy(viewer), maker.maker.worker_destroy(worker), free(memory), free(other);
}
END_TEST

START_TEST(a_sample_without_chance_is_the_middle_of_its_image) {
    static const struct view_plan plan = {.recipe = &views_plain, .views = 1, .middle = true};
    const struct objective_run run = run_of(USE("paper-2d", "crop=32x32", "work=0x0", "normalise=none"));
    struct view_maker maker;
    void *worker;
    ck_assert_ok(view_maker(&maker, &run, &plan));
    ck_assert_ok(maker.maker.worker_create(&worker, &maker.maker));
    float *memory = maker_memory(&maker);
    for (int64_t index = 0; index < IMAGES; index++) {
        struct sample sample;
        float *pixels;
        struct grid grid;
        int integer_max;
        ck_assert_ok(maker.maker.draw(&maker.maker, worker, &sample, memory, index));
        ck_assert_ok(read_image(NULL, index, &pixels, &grid, &integer_max));
        for (int y = 0; y < 32; y++)
            ck_assert(memcmp(memory + 32 * y, pixels + (4 + y) * grid.size[2] + (grid.size[2] - 32) / 2, 32 * sizeof(float)) == 0);
        memory_free(context, pixels);
    }
    maker.maker.worker_destroy(worker), free(memory);
}
END_TEST

/* ---- what an objective makes of a window */

static int64_t one_more(const struct settings *settings, const struct grid *crop) {
    return grid_pixels(crop) * settings->network.channels;
}
static size_t some_scratch(const struct settings *settings, const struct grid *crop) {
    (void)settings, (void)crop;
    return 100;
}
static void halve(const struct view_work *work, struct sample *sample) {
    memset(work->scratch, 1, 100);
    for (int64_t i = 0; i < work->maker->values; i++) work->extra[i] = work->views[i] / 2;
    sample->input[1] = work->extra, sample->count = 7;
    sample->known[2] = squared_distance(work->views, work->extra, work->maker->values);
}

START_TEST(an_objective_makes_more_of_a_window) {
    static const struct view_plan plan = {
        .recipe = &views_window, .views = 1, .extra = one_more, .scratch = some_scratch, .make = halve};
    const struct objective_run run = run_of(USE("paper-2d", "crop=32x16", "work=0x0"));
    struct view_maker maker;
    struct sample sample;
    void *worker;
    ck_assert_ok(view_maker(&maker, &run, &plan));
    ck_assert_int_eq(maker.maker.floats, 32 * 16 * 2);
    ck_assert_ok(maker.maker.worker_create(&worker, &maker.maker));
    float *memory = maker_memory(&maker);
    ck_assert_ok(maker.maker.draw(&maker.maker, worker, &sample, memory, 0));
    double sum = 0;
    for (int i = 0; i < 512; i++) sum += (double)memory[i] / 2 * (double)memory[i] / 2;
    ck_assert(sample.input[1] == memory + 512 && sample.count == 7 && sum > 1);
    ck_assert_double_eq_tol(sample.known[2], sum, 1e-9);
    float mask[512];
    for (int i = 0; i < 512; i++) mask[i] = i < 256;
    ck_assert_double_eq_tol(squared_distance_masked(memory, memory + 512, mask, 512, 1),
                            squared_distance(memory, memory + 512, 256), 1e-9);
    maker.maker.worker_destroy(worker), free(memory);
}
END_TEST

static int seen[IMAGES][IMAGES];
static void note_partner(const struct view_work *work, struct sample *sample) {
    struct random_stream stream = chance_stream(&work->chance, RANDOM_PARTNER, 0);
    int64_t other = random_below(&stream, IMAGES - 1);
    (void)sample;
    seen[work->image][other < work->image ? other : other + 1]++;
}

START_TEST(a_partner_is_any_other_image) {
    static const struct view_plan plan = {.recipe = &views_gemini, .views = 3, .make = note_partner};
    const struct objective_run run = run_of(USE("paper-2d", "crop=32x16", "work=0x0"));
    struct view_maker maker;
    struct sample sample;
    void *worker;
    ck_assert_ok(view_maker(&maker, &run, &plan));
    ck_assert_ok(maker.maker.worker_create(&worker, &maker.maker));
    float *memory = maker_memory(&maker);
    memset(seen, 0, sizeof seen);
    for (int64_t number = 0; number < 200; number++) {
        ck_assert_ok(maker.maker.draw(&maker.maker, worker, &sample, memory, number));
        ck_assert(memcmp(memory, memory + 2 * 512, 512 * sizeof(float)) != 0);
    }
    for (int a = 0; a < IMAGES; a++)
        for (int b = 0; b < IMAGES; b++) ck_assert(a == b ? seen[a][b] == 0 : seen[a][b] > 2);
    maker.maker.worker_destroy(worker), free(memory);
}
END_TEST

START_TEST(what_cannot_be_made_is_refused_by_name) {
    static const struct view_plan partners = {.recipe = &views_gvsl, .views = 3}, windows = {.recipe = &views_window, .views = 1};
    const struct settings *s = USE("paper-2d", "crop=32x32", "work=0x0");
    struct sample_reader lonely = reader, small = reader;
    lonely.count = 1, small.user = &small;
    struct objective_run run = {.context = context, .settings = s, .reader = &lonely};
    struct view_maker maker;
    ck_assert_fails(view_maker(&maker, &run, &partners), COVER_ERROR_ARGUMENT, "two images", "a dataset of 2");
    run.reader = &small;
    void *worker;
    ck_assert_ok(view_maker(&maker, &run, &windows));
    ck_assert_ok(maker.maker.worker_create(&worker, &maker.maker));
    float *memory = maker_memory(&maker);
    cover_status status = COVER_OK;
    for (int64_t number = 0; number < IMAGES && status == COVER_OK; number++) {
        struct sample sample;
        status = maker.maker.draw(&maker.maker, worker, &sample, memory, number);
    }
    ck_assert_fails(status, COVER_ERROR_SHAPE, "sample 3 (image 3)", "40x20", "set work=40x32");
    maker.maker.worker_destroy(worker), free(memory);
    s = USE("paper-2d", "crop=32x32", "work=0x0", "views=mild");
    ck_assert_fails(view_accepts(&windows, s, &(struct grid){2, {1, 40, 40}}, 1), COVER_ERROR_ARGUMENT, "views and view_*");
    s = USE("paper-2d", "crop=32x32", "work=0x0", "view_jitter=0.5");
    static const struct view_plan boxes = {.recipe = &views_plain, .views = 1},
                                  middle = {.recipe = &views_plain, .views = 1, .middle = true};
    ck_assert_ok(view_accepts(&boxes, s, &(struct grid){2, {1, 20, 40}}, 1));
    ck_assert_fails(view_accepts(&middle, s, &(struct grid){2, {1, 20, 40}}, 1), COVER_ERROR_SHAPE, "20x40");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("view maker");
    TCase *tcase = tcase_create("samples");
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, a_sample_is_the_pair_of_its_step_and_place_of_the_image_in_its_order);
    ADD(tcase, a_sample_without_chance_is_the_middle_of_its_image);
    ADD(tcase, an_objective_makes_more_of_a_window);
    ADD(tcase, a_partner_is_any_other_image);
    ADD(tcase, what_cannot_be_made_is_refused_by_name);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
