/* The emulator itself: right kernels give right results in any order of threads, broken ones are found with a clear message. */
#include "../check_main.h"
#include "cudasim.h"
#include "test_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 1000, BLOCKS = (COUNT + 255) / 256, SEEDS = 20 };
static float *x, *y, host[COUNT];

static void setup(void) {
    cudasim_reset();
    cudasim_seed(0);
    ck_assert_int_eq(cudaMalloc((void **)&x, sizeof host), cudaSuccess);
    ck_assert_int_eq(cudaMalloc((void **)&y, sizeof host), cudaSuccess);
    for (int i = 0; i < COUNT; i++)
        host[i] = (float)(i % 17);
    ck_assert_int_eq(cudaMemcpy(x, host, sizeof host, cudaMemcpyHostToDevice), cudaSuccess);
    ck_assert_int_eq(cudaMemcpy(y, host, sizeof host, cudaMemcpyHostToDevice), cudaSuccess);
}
static void teardown(void) {
    cudaFree(x);
    cudaFree(y);
}

static void fetch(float *to, const float *from, int count) {
    ck_assert_int_eq(cudaMemcpy(to, from, (size_t)count * sizeof *to, cudaMemcpyDeviceToHost), cudaSuccess);
}

/* The kernel has failed, and its message has these words. */
static void failed(cudaError_t launched, const char *const *words) {
    ck_assert_int_eq(launched, cudaSuccess);
    ck_assert_int_ne(cudaDeviceSynchronize(), cudaSuccess);
    for (; *words; words++)
        ck_assert_msg(strstr(cudasim_message(), *words) != NULL, "'%s' is not in: %s", *words, cudasim_message());
}
#define FAILED(launched, ...) failed(launched, (const char *const[]){__VA_ARGS__, NULL})

START_TEST(threads_index_their_values) {
    float result[COUNT];
    ck_assert_int_eq(run_saxpy(NULL, y, x, 2.0f, COUNT), cudaSuccess);
    fetch(result, y, COUNT);
    for (int i = 0; i < COUNT; i++)
        ck_assert(result[i] == 3.0f * host[i]);
}
END_TEST

START_TEST(sums_of_a_block_are_right_in_any_order) {
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        float sums[BLOCKS];
        cudasim_seed(seed);
        ck_assert_int_eq(run_block_sums(NULL, y, x, COUNT, RIGHT), cudaSuccess);
        fetch(sums, y, BLOCKS);
        for (int b = 0; b < BLOCKS; b++) {
            float sum = 0;
            for (int i = 256 * b; i < 256 * (b + 1) && i < COUNT; i++)
                sum += host[i];
            ck_assert(sums[b] == sum);
        }
    }
}
END_TEST

START_TEST(a_halo_in_shared_memory_is_right_in_any_order) {
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        float result[COUNT];
        cudasim_seed(seed);
        ck_assert_int_eq(run_blur(NULL, y, x, COUNT, RIGHT), cudaSuccess);
        fetch(result, y, COUNT);
        for (int i = 0; i < COUNT; i++)
            ck_assert(result[i] == ((i ? host[i - 1] : 0) + host[i] + (i + 1 < COUNT ? host[i + 1] : 0)) / 3.0f);
    }
}
END_TEST

START_TEST(a_barrier_in_a_branch_is_found) {
    FAILED(run_block_sums(NULL, y, x, COUNT, BARRIER_IN_BRANCH), "block_sums", "block (", "thread (", "barrier", "test_kernels.cu:");
}
END_TEST
START_TEST(a_shuffle_whose_mask_leaves_the_caller_out_is_found) {
    FAILED(run_block_sums(NULL, y, x, COUNT, WRONG_MASK), "mask 0x0000ffff", "lane", "test_kernels.cu:");
}
END_TEST
START_TEST(a_shuffle_from_a_lane_that_has_returned_is_found) {
    FAILED(run_block_sums(NULL, y, x, COUNT, LANE_RETURNED), "lane 5", "returned", "test_kernels.cu:");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cudasim");
    TCase *c = tcase_create("emulator");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, threads_index_their_values);
    tcase_add_test(c, sums_of_a_block_are_right_in_any_order);
    tcase_add_test(c, a_halo_in_shared_memory_is_right_in_any_order);
    tcase_add_test(c, a_barrier_in_a_branch_is_found);
    tcase_add_test(c, a_shuffle_whose_mask_leaves_the_caller_out_is_found);
    tcase_add_test(c, a_shuffle_from_a_lane_that_has_returned_is_found);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
