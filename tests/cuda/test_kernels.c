/* Every kernel of cuda/kernels.h against plain C, on shapes at random, in both elements, with what is not finite, in two orders of
 * threads: the rows of operations.c.  A kernel of the header that neither is an op, which tests/core/graph/test_ops.c plays, nor has a row
 * fails the suite. */
#include "core/graph/graph.h"
#include "device.h"
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 100, SEEDS_NOT_FINITE = 40 };

static bool is_played(const char *kernel, size_t length) {
    for (int i = 0; i < operation_count; i++)
        if (strlen(operations[i].kernel) == length && !memcmp(operations[i].kernel, kernel, length)) return true;
    for (int op = 0; op < OP_COUNT; op++)
        if (strlen(op_rows[op].name) == length && !memcmp(op_rows[op].name, kernel, length)) return true;
    return false;
}

START_TEST(every_kernel_of_the_header_is_an_op_or_has_a_row) {
    static const char start[] = "\ncuda_error cuda_";
    FILE *file = fopen(KERNELS_HEADER, "r");
    ck_assert_ptr_nonnull(file);
    char *text = calloc(1, 1 << 16);
    ck_assert_uint_gt(fread(text, 1, (1 << 16) - 1, file), 0);
    fclose(file);
    int found = 0;
    for (const char *line = text; (line = strstr(line, start)) != NULL; found++) {
        line += sizeof start - 1;
        const size_t length = strcspn(line, "(");
        ck_assert_msg(is_played(line, length), "no op and no row for cuda_%.*s", (int)length, line);
    }
    ck_assert_int_gt(found, 30);
    free(text);
}
END_TEST

static void play(const struct operation *operation, uint64_t seeds, bool with_nan) {
    for (int e = 0; e < (operation->float_only ? 1 : 2); e++)
        for (uint64_t seed = 0; seed < seeds; seed++) {
            const char *wrong = scene_play(operation, seed, e ? ELEMENT_BF16 : ELEMENT_F32, with_nan);
            ck_assert_msg(!wrong, "%s", wrong);
        }
}
START_TEST(kernel_equals_plain_c) { play(&operations[_i], SEEDS, false); }
END_TEST
START_TEST(what_is_not_finite_shows_where_plain_c_shows_it) { play(&operations[_i], SEEDS_NOT_FINITE, true); }
END_TEST

START_TEST(a_launch_that_fails_is_told) {
    int launches, most = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        const char *wrong = scene_fail(&operations[_i], seed, &launches);
        ck_assert_msg(!wrong, "%s", wrong);
        if (launches > most) most = launches;
    }
    ck_assert_int_gt(most, 0);
}
END_TEST

START_TEST(an_axis_too_long_to_resize_is_an_error) {
    const struct grid longest = {.ndim = 2, .size = {1, 1, 1 << 16}}, longer = {.ndim = 2, .size = {1, 1, (1 << 16) + 1}};
    float *const nowhere = NULL;
    ck_assert_int_ne(cuda_resize_corners(NULL, nowhere, nowhere, 1, &longer, &longest, 2, 1), 0);
    ck_assert_int_ne(cuda_resize_corners_grad(NULL, nowhere, nowhere, 1, &longest, &longer, 2, 1), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cuda kernels");
    TCase *tcase = tcase_create("rows");
    ADD(tcase, every_kernel_of_the_header_is_an_op_or_has_a_row);
    tcase_add_loop_test(tcase, kernel_equals_plain_c, 0, operation_count);
    tcase_add_loop_test(tcase, what_is_not_finite_shows_where_plain_c_shows_it, 0, operation_count);
    ADD_EMULATED_LOOP(tcase, a_launch_that_fails_is_told, 0, operation_count);
    ADD(tcase, an_axis_too_long_to_resize_is_an_error);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
