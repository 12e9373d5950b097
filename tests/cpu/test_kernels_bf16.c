/* Kernels over feature maps of bfloat16, what the table-driven checker cannot see: each bit of the rounding, NaN and infinity,
 * results over their inputs, sums of losses and of a norm's backward that no split of the work changes. */
#include "../check_main.h"
#include "cpu/features.h"
#include "operations.h"

#include <math.h>
#include <string.h>

static const struct kernels *tables[KERNEL_TABLES];
static int count_tables;

static void setup(void) {
    unsigned features;
    ck_assert_ok(cpu_features_capped(&features, NULL));
    count_tables = kernels_available(tables, features, ELEMENT_BF16);
}

/* The body that follows runs for every form. */
#define EACH_FORM(k) for (const struct kernels **at = tables, *k; at < tables + count_tables && (k = *at, true); at++)

enum { COUNT = 1 << 16 };

static bool is_nan(bf16 value) { return (value & 0x7fff) > 0x7f80; }
static bool is_tiny(bf16 value) { return (value & 0x7f80) == 0; } /* zero, or less than a normal number */

/* Every bfloat16 through scale 1 and offset 0. */
START_TEST(every_number_passes_through_unchanged) {
    static bf16 x[COUNT], y[COUNT];
    const float one = 1, zero = 0;
    const struct norm_load norm = {&one, &zero, 1};
    for (int i = 0; i < COUNT; i++) x[i] = (bf16)i;
    EACH_FORM(k) {
        memset(y, 0xff, sizeof y);
        k->norm_apply(y, x, &norm, COUNT, 1, 0, 1);
        for (int i = 0; i < COUNT; i++) {
            if (is_nan(x[i])) ck_assert_msg(is_nan(y[i]), "%s: %04x became %04x", k->isa, x[i], y[i]);
            else if (is_tiny(x[i])) ck_assert(is_tiny(y[i]));
            else ck_assert_msg(y[i] == x[i], "%s: %04x became %04x", k->isa, x[i], y[i]);
        }
    }
}
END_TEST

/* a + b of two bfloat16 has more digits than one: nearest, ties to even, as bf16_from_float() says. */
START_TEST(sums_are_rounded_to_the_nearest_and_ties_to_even) {
    static bf16 a[COUNT], b[COUNT], y[COUNT];
    EACH_FORM(k) for (int shift = 1; shift <= 10; shift++) {
        for (int i = 0; i < COUNT; i++)
            a[i] = (bf16)(0x4000 | (i & 0x81ff)), b[i] = (bf16)((0x4000 - (shift << 7)) | (i >> 9 & 0x3f));
        k->add(y, a, b, COUNT);
        for (int i = 0; i < COUNT; i++) {
            const bf16 expected = bf16_from_float(bf16_to_float(a[i]) + bf16_to_float(b[i]));
            ck_assert_msg(y[i] == expected || (is_tiny(y[i]) && is_tiny(expected)), "%s: %04x + %04x gave %04x, not %04x", k->isa,
                          a[i], b[i], y[i], expected);
        }
    }
}
END_TEST

START_TEST(the_largest_numbers_round_to_infinity) {
    const bf16 largest = 0x7f7f, half_a_unit = 0x7b00, infinity = 0x7f80;
    EACH_FORM(k) for (int64_t count = 1; count <= 33; count++) {
        bf16 a[33], b[33];
        for (int i = 0; i < count; i++) a[i] = largest, b[i] = half_a_unit;
        k->add(a, a, b, count);
        for (int i = 0; i < count; i++) ck_assert_int_eq(a[i], infinity);
    }
}
END_TEST

/* ---- results over their inputs */

static void fill(bf16 *x, int count, int salt) {
    for (int i = 0; i < count; i++) x[i] = bf16_from_float((float)((i * 37 + salt) % 101) / 16 - 3);
}

enum { PIXELS = 5 * 7, MOST = PIXELS * 40 };

START_TEST(what_may_be_written_over_an_input_is_the_same) {
    static const int64_t channel_counts[] = {1, 3, 8, 16, 40};
    EACH_FORM(k) for (int c = 0; c < 5; c++) {
        const int64_t channels = channel_counts[c];
        const int count = (int)(PIXELS * channels);
        const struct grid grid = {2, {1, 5, 7}};
        bf16 x[MOST], dy[MOST], apart[MOST], over[MOST], apart_b[MOST], over_b[MOST];
        uint8_t index[MOST] = {0};
        float scale[40], offset[40], of_dx[120], mask[PIXELS];
        const struct norm_load norm = {scale, offset, 0.2f};
        fill(x, count, 0), fill(dy, count, 50);
        for (int i = 0; i < 40; i++) scale[i] = 1 + (float)i / 8, offset[i] = (float)i / 4 - 2;
        for (int i = 0; i < 120; i++) of_dx[i] = (float)(i % 7) / 4 - 0.5f;
        for (int i = 0; i < count; i++) index[i] = (uint8_t)(i % 4);
        for (int i = 0; i < PIXELS; i++) mask[i] = (float)(i % 3);
        const size_t bytes = (size_t)count * sizeof *x;

        memcpy(over, x, bytes);
        k->norm_apply(apart, x, &norm, PIXELS, channels, 0, 1), k->norm_apply(over, over, &norm, PIXELS, channels, 0, 1);
        ck_assert_mem_eq(apart, over, bytes);
        memcpy(over, dy, bytes);
        k->norm_grad_apply(apart, dy, x, &norm, of_dx, PIXELS, channels, 0, 1);
        k->norm_grad_apply(over, over, x, &norm, of_dx, PIXELS, channels, 0, 1);
        ck_assert_mem_eq(apart, over, bytes);
        memcpy(over, x, bytes);
        k->max_pool2_grad(apart, x, dy, index, &grid, channels, 0, 1);
        k->max_pool2_grad(over, over, dy, index, &grid, channels, 0, 1);
        ck_assert_mem_eq(apart, over, bytes);
        memcpy(over, x, bytes), memcpy(over_b, dy, bytes);
        k->cosine_sum_grad(apart, apart_b, x, dy, mask, PIXELS, channels, 1, 0, 1);
        k->cosine_sum_grad(over, over_b, over, over_b, mask, PIXELS, channels, 1, 0, 1);
        ck_assert(!memcmp(apart, over, bytes) && !memcmp(apart_b, over_b, bytes));
        memcpy(over, x, bytes);
        k->add(apart, x, dy, count), k->add(over, over, dy, count);
        ck_assert_mem_eq(apart, over, bytes);
    }
}
END_TEST

/* ---- NaN */

START_TEST(nan_shows_in_every_map) {
    const struct grid grid = {2, {1, 6, 6}}, half = {2, {1, 3, 3}};
    EACH_FORM(k) for (int64_t channels = 1; channels <= 33; channels += 8) {
        bf16 x[36 * 33], y[36 * 33];
        uint8_t index[9 * 33];
        float scale[33], offset[33], ones[36];
        const struct norm_load norm = {scale, offset, 0.2f};
        for (int i = 0; i < 33; i++) scale[i] = -1, offset[i] = 0.5f;
        for (int i = 0; i < 36; i++) ones[i] = 1;
        fill(x, (int)(36 * channels), 1);
        x[7 * channels] = 0x7fc0; /* row 1, column 1, first channel */
        k->max_pool2(y, index, x, &norm, &grid, channels, 0, 1);
        for (int64_t i = 0; i < 9 * channels; i++) ck_assert(is_nan(y[i]) == (i == 0));
        ck_assert_int_eq(index[0], 3);
        k->upsample(y, x + 3 * channels, &norm, &half, channels, 0, 1); /* there row 1, column 1 of 3 x 3 */
        for (int64_t i = 0; i < 36 * channels; i++) {
            const int64_t row = i / channels / 6, column = i / channels % 6;
            ck_assert(is_nan(y[i]) == (i % channels == 0 && row >= 1 && row <= 4 && column >= 1 && column <= 4));
        }
        ck_assert(isnan(k->cosine_sum(x, x, ones, 36, channels, 0, 1)));
        k->global_pool(y, x, 36, channels);
        for (int64_t i = 0; i < channels; i++) ck_assert(is_nan(y[i]) == (i == 0));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kernels of bfloat16");
    TCase *tcase = tcase_create("bf16");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, every_number_passes_through_unchanged);
    ADD(tcase, sums_are_rounded_to_the_nearest_and_ties_to_even);
    ADD(tcase, the_largest_numbers_round_to_infinity);
    ADD(tcase, what_may_be_written_over_an_input_is_the_same);
    ADD(tcase, nan_shows_in_every_map);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
