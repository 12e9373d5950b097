/* Philox against the published vectors; random images against Philox and Box-Muller one place at a time. */
#include "../../check_main.h"

#include "core/views/sevr_random.h"

#include <stdbool.h>
#include <string.h>

/* Random123's known answers for philox4x32-10 */
START_TEST(philox_gives_the_published_numbers) {
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; i++) {
        const uint32_t *c = cases[i].counter;
        struct random4 got = philox((uint64_t)cases[i].key[1] << 32 | cases[i].key[0], c[0], c[1], c[2], c[3]);
        ck_assert_mem_eq(got.word, cases[i].want, sizeof got.word);
    }
}
END_TEST

/* Place i is word (i % 32) / 8 of counter i / 32 * 8 + i % 8. */
static uint32_t word_at(const struct random_image *image, int64_t place, int offset) {
    uint64_t counter = (uint64_t)(place / 32 * 8 + place % 8);
    uint32_t use = (uint32_t)image->use | image->plane << 8 | (uint32_t)(counter >> 32) << 16;
    return philox(image->seed, (uint32_t)counter, use, image->step, image->sample).word[(place % 32 / 8 + offset) & 3];
}

static const int64_t starts[] = {0, 5, 31, 32, 1000, INT64_C(1) << 33, (INT64_C(1) << 34) - 40, INT64_C(1) << 36};
enum { STARTS = sizeof starts / sizeof *starts, LENGTH = 100 };

START_TEST(a_random_image_is_philox_at_each_place) {
    const struct random_image image = {0x123456789abcdef0u, RANDOM_TEST, 3, 99, 7};
    float values[LENGTH];
    random_image_uniform(values, &image, starts[_i], LENGTH);
    for (int i = 0; i < LENGTH; i++) ck_assert_float_eq(values[i], uniform01(word_at(&image, starts[_i] + i, 0)));
}
END_TEST

START_TEST(normal_places_are_box_muller_of_their_words) {
    const struct random_image image = {42, RANDOM_TEST, 0, 1, 2};
    float values[LENGTH];
    random_image_normal(values, &image, starts[_i], LENGTH);
    for (int i = 0; i < LENGTH; i++) {
        int64_t place = starts[_i] + i;
        bool sine = place / 8 % 2;
        uint32_t a = word_at(&image, place, sine ? -1 : 0), b = word_at(&image, place, sine ? 0 : 1);
        double radius = sqrt(-2 * log(((a >> 8) + 1.0) * 0x1p-24)), angle = 2 * M_PI * ((b >> 8) * 0x1p-24);
        ck_assert_double_eq_tol((double)values[i], radius * (sine ? sin(angle) : cos(angle)), 2e-6);
    }
}
END_TEST

START_TEST(a_part_of_a_random_image_equals_the_whole) {
    enum { COUNT = 300 };
    const struct random_image image = {5, RANDOM_TEST, 1, 2, 3};
    float whole[2][COUNT], part[COUNT];
    random_image_uniform(whole[0], &image, 0, COUNT);
    random_image_normal(whole[1], &image, 0, COUNT);
    for (int first = 0; first < 70; first++)
        for (int count = 0; count < 80; count += 7) {
            random_image_uniform(part, &image, first, count);
            ck_assert_int_eq(memcmp(part, whole[0] + first, (size_t)count * sizeof *part), 0);
            random_image_normal(part, &image, first, count);
            ck_assert_int_eq(memcmp(part, whole[1] + first, (size_t)count * sizeof *part), 0);
        }
}
END_TEST

START_TEST(normals_have_the_moments_of_the_normal_distribution) {
    enum { COUNT = 400000 };
    const struct random_image image = {8, RANDOM_TEST, 0, 0, 0};
    float *values = malloc(COUNT * sizeof *values);
    random_image_normal(values, &image, 0, COUNT);
    double moment[5] = {0}, neighbours = 0;
    int beyond[4] = {0};
    for (int i = 0; i < COUNT; i++) {
        double x = (double)values[i], power = 1;
        for (int k = 1; k < 5; k++) moment[k] += (power *= x) / COUNT;
        for (int k = 1; k < 4; k++) beyond[k] += fabs(x) > k;
        if (i) neighbours += x * (double)values[i - 1] / COUNT;
        ck_assert(fabs(x) < 6);
    }
    ck_assert_double_eq_tol(moment[1], 0, 0.008); /* five standard errors each */
    ck_assert_double_eq_tol(moment[2], 1, 0.012);
    ck_assert_double_eq_tol(moment[3], 0, 0.031);
    ck_assert_double_eq_tol(moment[4], 3, 0.078);
    ck_assert_double_eq_tol(neighbours, 0, 0.008);
    ck_assert_double_eq_tol(beyond[1] / (double)COUNT, 0.317311, 0.004);
    ck_assert_double_eq_tol(beyond[2] / (double)COUNT, 0.045500, 0.0017);
    ck_assert_double_eq_tol(beyond[3] / (double)COUNT, 0.002700, 0.00042);
    free(values);
}
END_TEST

START_TEST(every_part_of_the_key_changes_the_image) {
    const struct random_image base = {1, RANDOM_TEST, 1, 1, 1};
    struct random_image others[6] = {base, base, base, base, base, base};
    others[0].seed = 2, others[1].seed = UINT64_C(1) << 32 | 1, others[2].use = RANDOM_VIEW_NOISE, others[3].plane = 2;
    others[4].step = 2, others[5].sample = 2;
    float want[64], got[64];
    random_image_uniform(want, &base, 0, 64);
    for (int i = 0; i < 6; i++) {
        int equal = 0;
        random_image_uniform(got, &others[i], 0, 64);
        for (int k = 0; k < 64; k++) equal += got[k] == want[k];
        ck_assert_int_eq(equal, 0);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sevr random");
    TCase *tcase = tcase_create("random");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    ADD(tcase, philox_gives_the_published_numbers);
    tcase_add_loop_test(tcase, a_random_image_is_philox_at_each_place, 0, STARTS);
    tcase_add_loop_test(tcase, normal_places_are_box_muller_of_their_words, 0, STARTS);
    ADD(tcase, a_part_of_a_random_image_equals_the_whole);
    ADD(tcase, normals_have_the_moments_of_the_normal_distribution);
    ADD(tcase, every_part_of_the_key_changes_the_image);
    return run_suite(suite);
}
