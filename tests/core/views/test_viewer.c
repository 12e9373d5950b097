/* Views of the objectives beside COVER: images whose channels are their own coordinates tell where each pixel of a view was read, so
 * that field and mask are held to what the views show. */
#include "sevr_fixture.h"

#include "core/views/viewer.h"

enum { GUARD = 8 };
static const float guard = -77;

struct shown {
    struct viewer *viewer;
    struct view_pair pair;
    struct grid crop;
    int64_t pixels;
    int channels;
};

static float *guarded(int64_t count) {
    float *values = malloc((size_t)(count + GUARD) * sizeof *values);
    for (int64_t i = 0; i < count + GUARD; i++) values[i] = guard;
    return values;
}
static bool guard_stands(const float *values, int64_t count) {
    bool stands = true;
    for (int i = 0; i < GUARD; i++) stands &= values[count + i] == guard;
    return stands;
}

static struct shown show(const struct settings *s, const struct view_recipe *own) {
    struct view_recipe recipe;
    struct shown shown = {.crop = settings_grid(&s->views.crop, (int)s->network.dims), .channels = (int)s->network.channels};
    ck_assert_ok(view_recipe_settle(&recipe, own, s));
    ck_assert_ok(viewer_create(&shown.viewer, context, s, &recipe));
    shown.pixels = grid_pixels(&shown.crop);
    shown.pair = (struct view_pair){guarded(shown.pixels * shown.channels),
                                    guarded(shown.pixels * shown.channels),
                                    guarded(shown.pixels * shown.crop.ndim),
                                    guarded(shown.pixels),
                                    0,
                                    0};
    return shown;
}
static void hide(struct shown *shown) {
    ck_assert(guard_stands(shown->pair.moving, shown->pixels * shown->channels));
    ck_assert(guard_stands(shown->pair.fixed, shown->pixels * shown->channels));
    ck_assert(guard_stands(shown->pair.field, shown->pixels * shown->crop.ndim));
    ck_assert(guard_stands(shown->pair.mask, shown->pixels));
    viewer_destroy(shown->viewer);
    free(shown->pair.moving), free(shown->pair.fixed), free(shown->pair.field), free(shown->pair.mask);
}

/* Channel a of a pixel is its place along axis a. */
static float *coordinates(const struct grid *grid) {
    int64_t pixels = grid_pixels(grid);
    float *image = malloc((size_t)(pixels * grid->ndim) * sizeof *image);
    for (int64_t i = 0; i < pixels; i++) {
        const int64_t at[3] = {i / grid->size[2] / grid->size[1], i / grid->size[2] % grid->size[1], i % grid->size[2]};
        for (int a = 0; a < grid->ndim; a++) image[i * grid->ndim + a] = (float)at[3 - grid->ndim + a];
    }
    return image;
}

/* A view at a position between its pixels. */
static double read_at(const float *view, const struct grid *crop, int channels, int channel, const double at[3]) {
    double sum = 0;
    for (int corner = 0; corner < 8; corner++) {
        double weight = 1;
        int64_t index = 0;
        for (int i = 0; i < 3; i++) {
            int64_t low = (int64_t)floor(at[i]), place = low + (corner >> i & 1);
            weight *= corner >> i & 1 ? at[i] - (double)low : 1 - (at[i] - (double)low);
            index = index * crop->size[i] + (place < crop->size[i] ? place : crop->size[i] - 1);
        }
        if (weight > 0) sum += weight * (double)view[index * channels + channel];
    }
    return sum;
}

static const char *const plain_2d[] = {"crop=48x32",     "work=0x0",     "channels=2", "normalise=none",
                                       "view_jitter=-1", "view_blur=-1", NULL};
static const char *const mild_2d[] = {"crop=48x32", "work=0x0", "channels=2", "normalise=none", "views=mild", NULL};
static const char *const plain_3d[] = {"crop=16x32x16",  "work=0x0x0",   "channels=3", "normalise=none",
                                       "view_jitter=-1", "view_blur=-1", NULL};
static const char *const mild_3d[] = {"crop=16x32x16", "work=0x0x0", "channels=3", "normalise=none", "views=mild", NULL};
static const struct {
    const char *preset;
    const char *const *changes;
    struct grid grid;
} places[] = {{"paper-2d", plain_2d, {2, {1, 96, 72}}},
              {"paper-2d", mild_2d, {2, {1, 96, 72}}},
              {"paper-3d", plain_3d, {3, {24, 48, 40}}},
              {"paper-3d", mild_3d, {3, {24, 48, 40}}}};
enum { PLACES = sizeof places / sizeof *places };

START_TEST(the_field_leads_from_a_pixel_of_b_to_where_a_shows_the_same) {
    const struct grid *grid = &places[_i].grid;
    struct shown shown = show(use(places[_i].preset, places[_i].changes), &views_moco);
    int dims = shown.crop.ndim;
    float *image = coordinates(grid);
    const struct stored_image stored = {image, *grid, dims, 0};
    int64_t compared = 0, wrong_mask = 0;
    double worst = 0;
    for (uint32_t sample = 0; sample < 40; sample++) {
        ck_assert_ok(viewer_pair(shown.viewer, &shown.pair, &stored, &(struct chance){11, 3, sample}));
        int64_t valid = 0;
        for (int64_t i = 0; i < shown.pixels; i++) {
            const int64_t p[3] = {i / shown.crop.size[2] / shown.crop.size[1], i / shown.crop.size[2] % shown.crop.size[1],
                                  i % shown.crop.size[2]};
            double at[3] = {0}, edge = 1e9;
            bool inside = true;
            for (int a = 0, k = 3 - dims; a < dims; a++, k++) {
                float place = (float)p[k] + shown.pair.field[i * dims + a];
                double last = (double)(shown.crop.size[k] - 1);
                at[k] = (double)place, inside &= place >= 0 && place <= (float)last;
                edge = fmin(edge, fmin(fmin(at[k], last - at[k]), fmin((double)p[k], last - (double)p[k])));
            }
            wrong_mask += shown.pair.mask[i] != (inside ? 1 : 0), valid += inside;
            bool dark = false; /* a turned window may look beyond the image */
            for (int a = 0; a < dims; a++) dark |= shown.pair.fixed[i * dims + a] < 1;
            for (int a = 0; a < dims; a++) dark |= shown.pair.fixed[i * dims + a] > (float)grid->size[3 - dims + a] - 2;
            if (edge < 3 || dark) continue;
            compared++;
            for (int a = 0; a < dims; a++)
                worst = fmax(worst,
                             fabs(read_at(shown.pair.moving, &shown.crop, dims, a, at) - (double)shown.pair.fixed[i * dims + a]));
        }
        ck_assert_int_eq(valid, shown.pair.valid);
        ck_assert_int_ge(valid * 16, shown.pixels);
    }
    ck_assert_int_eq(wrong_mask, 0);
    ck_assert_int_gt(compared, 10000);
    ck_assert_double_lt(worst, 2e-4);
    free(image);
    hide(&shown);
}
END_TEST

START_TEST(the_same_numbers_give_the_same_bits_and_others_do_not) {
    static const struct view_recipe *const recipes[] = {&views_moco, &views_simclr, &views_byol, &views_chaitanya_global,
                                                        &views_chaitanya_local};
    const struct grid grid = {2, {1, 80, 90}};
    const struct settings *s = USE("paper-2d", "crop=48x48", "work=72x80");
    float *image = random_pixels(&grid, 1, 1);
    const struct stored_image stored = {image, grid, 1, 0};
    for (size_t r = 0; r < sizeof recipes / sizeof *recipes; r++) {
        struct shown one = show(s, recipes[r]), two = show(s, recipes[r]);
        size_t bytes = (size_t)one.pixels * sizeof(float);
        for (uint32_t sample = 0; sample < 10; sample++) {
            ck_assert_ok(viewer_pair(one.viewer, &one.pair, &stored, &(struct chance){1, 2, sample}));
            ck_assert_ok(viewer_pair(two.viewer, &two.pair, &stored, &(struct chance){1, 2, sample}));
            ck_assert(memcmp(one.pair.moving, two.pair.moving, bytes) == 0 && memcmp(one.pair.fixed, two.pair.fixed, bytes) == 0);
            ck_assert(memcmp(one.pair.field, two.pair.field, 2 * bytes) == 0 && memcmp(one.pair.mask, two.pair.mask, bytes) == 0);
            ck_assert(memcmp(one.pair.moving, one.pair.fixed, bytes) != 0);
            ck_assert_ok(viewer_pair(two.viewer, &two.pair, &stored, &(struct chance){1, 3, sample}));
            ck_assert(memcmp(one.pair.moving, two.pair.moving, bytes) != 0);
        }
        hide(&one), hide(&two);
    }
    free(image);
}
END_TEST

START_TEST(a_view_does_not_depend_on_what_else_is_wanted) {
    const struct grid grid = {3, {20, 30, 26}};
    struct shown shown = show(USE("paper-3d", "crop=16x16x16", "work=0x0x0"), &views_byol);
    float *image = random_pixels(&grid, 1, 1), *alone = guarded(shown.pixels);
    const struct stored_image stored = {image, grid, 1, 0};
    for (uint32_t sample = 0; sample < 10; sample++) {
        struct view_pair single = {.moving = alone};
        ck_assert_ok(viewer_pair(shown.viewer, &shown.pair, &stored, &(struct chance){1, 2, sample}));
        ck_assert_ok(viewer_pair(shown.viewer, &single, &stored, &(struct chance){1, 2, sample}));
        ck_assert(memcmp(alone, shown.pair.moving, (size_t)shown.pixels * sizeof(float)) == 0);
    }
    free(image), free(alone);
    hide(&shown);
}
END_TEST

START_TEST(views_stay_within_the_unit_interval) {
    static const struct view_recipe *const recipes[] = {&views_moco, &views_simclr, &views_byol, &views_plain};
    const struct grid grid = {2, {1, 60, 50}};
    float *image = random_pixels(&grid, 1, 4);
    const struct stored_image stored = {image, grid, 1, 0};
    for (size_t r = 0; r < sizeof recipes / sizeof *recipes; r++) {
        struct shown shown = show(USE("paper-2d", "crop=32x32", "work=0x0"), recipes[r]);
        int64_t outside = 0;
        for (uint32_t sample = 0; sample < 50; sample++) {
            ck_assert_ok(viewer_pair(shown.viewer, &shown.pair, &stored, &(struct chance){1, 2, sample}));
            for (int64_t i = 0; i < shown.pixels; i++)
                outside += !(shown.pair.moving[i] >= 0 && shown.pair.moving[i] <= 1) +
                           !(shown.pair.fixed[i] >= 0 && shown.pair.fixed[i] <= 1);
        }
        ck_assert_int_eq(outside, 0);
        hide(&shown);
    }
    free(image);
}
END_TEST

START_TEST(views_of_sevr_are_covers_pair) {
    const struct grid grid = {2, {1, 80, 90}};
    const struct settings *s = USE("paper-2d", "crop=48x48", "work=72x80", "views=sevr");
    float *image = random_pixels(&grid, 1, 1);
    struct shown shown = show(s, &views_byol);
    struct drawn drawn = draw_room(s);
    const struct stored_image stored = {image, grid, 1, 0};
    struct view_pair images = {.moving = shown.pair.moving, .fixed = shown.pair.fixed};
    ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 1, 0, 5, 6, 7));
    ck_assert_ok(viewer_pair(shown.viewer, &images, &stored, &(struct chance){5, 6, 7}));
    ck_assert(memcmp(shown.pair.moving, drawn.pair.moving, (size_t)shown.pixels * sizeof(float)) == 0);
    ck_assert_ok(viewer_pair(shown.viewer, &shown.pair, &stored, &(struct chance){5, 6, 7}));
    struct drawn same = drawn;
    same.pair = shown.pair;
    ck_assert(same_pair(&drawn, &same));
    draw_free(&drawn), hide(&shown), free(image);
}
END_TEST

START_TEST(a_window_is_covers_and_without_chance_the_middle) {
    const struct grid grid = {2, {1, 50, 60}};
    const struct settings *s = USE("paper-2d", "crop=32x48", "work=0x0", "channels=2", "normalise=none", NO_SPACE, NO_LOOK);
    float *image = coordinates(&grid);
    struct shown shown = show(s, &views_window);
    struct drawn drawn = draw_room(s);
    const struct stored_image stored = {image, grid, 2, 0};
    for (uint32_t sample = 0; sample < 5; sample++) {
        ck_assert_ok(sevr_draw(drawn.sevr, &drawn.pair, image, &grid, 2, 0, 5, 6, sample));
        ck_assert_ok(viewer_window(shown.viewer, shown.pair.moving, &stored, &(struct chance){5, 6, sample}));
        ck_assert(memcmp(shown.pair.moving, drawn.pair.moving, (size_t)shown.pixels * 2 * sizeof(float)) == 0);
    }
    ck_assert_ok(viewer_window(shown.viewer, shown.pair.moving, &stored, NULL));
    ck_assert(shown.pair.moving[0] == 9 && shown.pair.moving[1] == 6);
    draw_free(&drawn), hide(&shown), free(image);
}
END_TEST

START_TEST(an_image_its_partner_and_its_damage_move_together) {
    static const struct view_recipe *const recipes[] = {&views_gvsl, &views_gemini};
    static const struct grid grids[] = {{2, {1, 64, 72}}, {3, {20, 24, 28}}};
    const struct grid *grid = &grids[_i / 2];
    const struct settings *s = _i / 2 ? USE("paper-3d", "crop=16x16x16", "work=0x0x0") : USE("paper-2d", "crop=48x48", "work=0x0");
    struct shown shown = show(s, recipes[_i % 2]);
    float *image = random_pixels(grid, 1, 3), *third = guarded(shown.pixels);
    const struct grid larger = {grid->ndim, {grid->size[0] + (_i / 2) * 5, grid->size[1] + 9, grid->size[2] + 3}};
    float *other = random_pixels(&larger, 1, 5);
    const struct stored_image a = {image, *grid, 1, 0}, b = {other, larger, 1, 0};
    struct partner_views views = {shown.pair.moving, shown.pair.fixed, third};
    size_t bytes = (size_t)shown.pixels * sizeof(float);
    int damaged = 0, moved = 0;
    for (uint32_t sample = 0; sample < 20; sample++) {
        ck_assert_ok(viewer_partner(shown.viewer, &views, &a, &a, &(struct chance){4, 1, sample}));
        ck_assert(memcmp(views.clean, views.partner, bytes) == 0);
        damaged += memcmp(views.clean, views.damaged, bytes) != 0;
        ck_assert_ok(viewer_partner(shown.viewer, &views, &a, &b, &(struct chance){4, 1, sample}));
        moved += memcmp(views.clean, views.partner, bytes) != 0;
        int64_t outside = 0;
        for (int64_t i = 0; i < shown.pixels; i++) outside += !(views.damaged[i] >= 0 && views.damaged[i] <= 1);
        ck_assert_int_eq(outside, 0);
    }
    ck_assert_int_gt(damaged, 18);
    ck_assert_int_eq(moved, 20);
    ck_assert(guard_stands(third, shown.pixels));
    free(image), free(other), free(third);
    hide(&shown);
}
END_TEST

START_TEST(what_cannot_be_drawn_is_refused_with_what_would_do) {
    struct view_recipe recipe;
    struct viewer *viewer;
    const struct grid small = {2, {1, 48, 80}};
    const struct settings *s = USE("paper-2d", "crop=64x64", "work=0x0", "views=mild");
    ck_assert_ok(view_recipe_settle(&recipe, &views_moco, s));
    ck_assert_fails(viewer_accepts(&recipe, s, &small, 1), COVER_ERROR_SHAPE, "48x80", "set work=64x80");
    s = USE("paper-2d", "crop=64x64", "work=0x0"); /* boxes are resized, so that it fits */
    ck_assert_ok(view_recipe_settle(&recipe, &views_moco, s));
    ck_assert_ok(viewer_accepts(&recipe, s, &small, 1));
    ck_assert_ok(viewer_create(&viewer, context, s, &recipe));
    const struct grid volume = {3, {8, 8, 8}};
    ck_assert_fails(viewer_accepts(&recipe, s, &volume, 1), COVER_ERROR_SHAPE, "3D", "dims=2");
    ck_assert_fails(viewer_accepts(&recipe, s, &(struct grid){2, {1, 9, 9}}, 3), COVER_ERROR_SHAPE, "set channels=3");
    viewer_destroy(viewer);
    s = USE("paper-2d", "normalise=none");
    ck_assert_fails(view_recipe_settle(&recipe, &views_simclr, s), COVER_ERROR_ARGUMENT, "normalise=none", "set normalise=range");
    ck_assert_ok(view_recipe_settle(&recipe, &views_window, s));
    s = USE("paper-2d", "views=mild");
    ck_assert_fails(view_recipe_settle(&recipe, &views_window, s), COVER_ERROR_ARGUMENT, "views");
}
END_TEST

START_TEST(settings_change_what_a_method_does_to_its_views) {
    struct view_recipe recipe;
    ck_assert_ok(view_recipe_settle(&recipe, &views_byol, USE("paper-2d", "view_area_low=0.5", "view_flip=off", "view_blur=3")));
    ck_assert(recipe.share_low == 0.5 && !recipe.flip && recipe.blur_high == 3 && recipe.blur_probability[1] == 0.1);
    ck_assert(recipe.jitter == 0.4 && recipe.solarise_probability[1] == 0.2);
    ck_assert_ok(view_recipe_settle(&recipe, &views_plain, USE("paper-2d", "view_jitter=0.2")));
    ck_assert(recipe.jitter == 0.2 && recipe.jitter_probability == 0.8 && recipe.share_low == 0.08);
    const struct settings *covers = USE("paper-2d", "appearance=cover");
    ck_assert_ok(view_recipe_settle(&recipe, &views_chaitanya_local, covers));
    ck_assert(recipe.cover_looks && recipe.offset == 0 && recipe.place == VIEW_WINDOW);
    ck_assert_ok(view_recipe_settle(&recipe, &views_moco, covers));
    ck_assert(!recipe.cover_looks && recipe.jitter == 0.4);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("viewer");
    TCase *tcase = tcase_create("views");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, the_field_leads_from_a_pixel_of_b_to_where_a_shows_the_same, 0, PLACES);
    ADD(tcase, the_same_numbers_give_the_same_bits_and_others_do_not);
    ADD(tcase, a_view_does_not_depend_on_what_else_is_wanted);
    ADD(tcase, views_stay_within_the_unit_interval);
    ADD(tcase, views_of_sevr_are_covers_pair);
    ADD(tcase, a_window_is_covers_and_without_chance_the_middle);
    tcase_add_loop_test(tcase, an_image_its_partner_and_its_damage_move_together, 0, 4);
    ADD(tcase, what_cannot_be_drawn_is_refused_with_what_would_do);
    ADD(tcase, settings_change_what_a_method_does_to_its_views);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
