/* Axes of images: their names, and images that are turned to others and back. */
#include "io_test.h"

#include "io/image/orient.h"

static const char *code_of(const struct image *image) {
    static char code[ORIENTATION_BYTES];
    return orientation_of(image, code) ? code : "none";
}

START_TEST(axes_are_named_by_where_they_lead) {
    static const struct {
        double affine[12];
        const char *code;
    } cases[] = {{{1, 0, 0, 5, 0, 1, 0, 6, 0, 0, 1, 7}, "RAS"},          {{-1, 0, 0, 5, 0, -1, 0, 6, 0, 0, 3, 7}, "LPS"},
                 {{0, 0, 2, 0, -1, 0, 0, 0, 0, 1, 0, 0}, "PSR"},         {{0.8, -0.6, 0, 0, 0.6, 0.8, 0, 0, 0, 0, -1, 0}, "RAI"},
                 {{0.6, -0.8, 0, 0, 0.8, 0.6, 0, 0, 0, 0, 1, 0}, "ALS"}, {{0}, "none"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image image = {.dims = 3, .size = {2, 3, 4}};
        memcpy(image.affine, cases[i].affine, sizeof image.affine);
        ck_assert_str_eq(code_of(&image), cases[i].code);
    }
    static const char *const wrong[] = {"", "RA", "RAS ", "RAR", "RLS", "ras", "XYZ", "RASL"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) ck_assert(!orientation_known(wrong[i]));
    ck_assert(orientation_known("IPL"));
}
END_TEST

/* Where voxel (x, y, z) lies. */
static void place_of(double place[3], const struct image *image, int64_t x, int64_t y, int64_t z) {
    for (int row = 0; row < 3; row++) {
        const double *to = image->affine + 4 * row;
        place[row] = to[0] * (double)x + to[1] * (double)y + to[2] * (double)z + to[3];
    }
}

/* Each value says where it lies, so that it must lie there still. */
static void check_places(const struct image *image, const struct image *first) {
    const uint16_t *values = image->data;
    for (int64_t z = 0, i = 0; z < image->size[0]; z++)
        for (int64_t y = 0; y < image->size[1]; y++)
            for (int64_t x = 0; x < image->size[2]; x++, i++) {
                const int64_t k = values[2 * i] / 2;
                double here[3], there[3];
                ck_assert_uint_eq(values[2 * i + 1], 2 * k + 1);
                place_of(here, image, x, y, z);
                place_of(there, first, k % first->size[2], k / first->size[2] % first->size[1],
                         k / first->size[2] / first->size[1]);
                for (int row = 0; row < 3; row++) ck_assert_double_eq_tol(here[row], there[row], 1e-9);
            }
}

START_TEST(a_turned_image_has_each_value_where_it_was_in_the_world_and_turns_back) {
    static const char letters[3][2] = {{'L', 'R'}, {'P', 'A'}, {'I', 'S'}};
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const struct image like = {.dtype = COVER_U16,
                               .dims = 3,
                               .channels = 2,
                               .size = {2, 3, 4},
                               .spacing_mm = {2, 1.5, 0.5},
                               .affine = {-0.5, 0.1, 0, 3, 0, 0.2, -2, 8, 0.1, 1.5, 0.1, -9}};
    for (int order = 0; order < 6; order++)
        for (int ends = 0; ends < 8; ends++) {
            char wanted[ORIENTATION_BYTES] = "", own[ORIENTATION_BYTES];
            for (int i = 0; i < 3; i++) wanted[i] = letters[orders[order][i]][ends >> i & 1];
            struct image image = like;
            uint16_t *values = image.data = memory_alloc(context, 48 * sizeof *values);
            for (int i = 0; i < 48; i++) values[i] = (uint16_t)i;
            ck_assert(orientation_of(&image, own));
            const struct turn turn = turn_to(own, wanted), back = turn_back(&turn);
            ck_assert_ok(image_turn(&image, context, &turn));
            ck_assert_str_eq(code_of(&image), wanted);
            check_places(&image, &like);
            ck_assert_ok(image_turn(&image, context, &back));
            ck_assert_mem_eq(image.size, like.size, sizeof like.size);
            ck_assert_mem_eq(image.spacing_mm, like.spacing_mm, sizeof like.spacing_mm);
            for (int i = 0; i < 12; i++) ck_assert_double_eq_tol(image.affine[i], like.affine[i], 1e-12);
            for (int i = 0; i < 48; i++) ck_assert_uint_eq(((uint16_t *)image.data)[i], i);
            image_free(&image, context);
        }
}
END_TEST

START_TEST(a_single_slice_stays_in_its_plane) {
    struct image image = {
        .dtype = COVER_U8, .dims = 2, .channels = 1, .size = {1, 2, 2}, .affine = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}};
    image.data = memory_copy(context, "abcd", 4);
    struct turn turn = turn_to("RAS", "RSA");
    ck_assert_int_eq(image_turn(&image, context, &turn), COVER_ERROR_UNSUPPORTED);
    turn = turn_to("RAS", "LAI");
    ck_assert_ok(image_turn(&image, context, &turn));
    ck_assert_mem_eq(image.data, "badc", 4);
    image_free(&image, context);
}
END_TEST

RUN_IO_TESTS("io orient", axes_are_named_by_where_they_lead, a_turned_image_has_each_value_where_it_was_in_the_world_and_turns_back,
             a_single_slice_stays_in_its_plane)
