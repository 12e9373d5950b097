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
    for (int i = 0; i < COUNT; i++) host[i] = (float)(i % 17);
    ck_assert_int_eq(cudaMemcpy(x, host, sizeof host, cudaMemcpyHostToDevice), cudaSuccess);
    ck_assert_int_eq(cudaMemcpy(y, host, sizeof host, cudaMemcpyHostToDevice), cudaSuccess);
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
    for (int i = 0; i < COUNT; i++) ck_assert(result[i] == 3.0f * host[i]);
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
            for (int i = 256 * b; i < 256 * (b + 1) && i < COUNT; i++) sum += host[i];
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
    FAILED(run_block_sums(NULL, y, x, COUNT, BARRIER_IN_BRANCH), "block_sums", "block (", "thread (", "barrier",
           "test_kernels.cu:");
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

START_TEST(barriers_in_different_places_are_found) {
    FAILED(run_block_sums(NULL, y, x, COUNT, BARRIERS_DIFFER), "barrier", "test_kernels.cu:");
}
END_TEST
START_TEST(threads_that_wait_for_each_other_are_found) {
    FAILED(run_deadlock(NULL), "no thread can go on", "shuffle", "mask 0x00000003", "barrier of the block");
}
END_TEST

/* ---- memory */
START_TEST(a_missing_barrier_is_found) {
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        setup();
        cudasim_seed(seed);
        FAILED(run_block_sums(NULL, y, x, COUNT, NO_BARRIER), "shared memory", "test_kernels.cu:");
        setup();
        cudasim_seed(seed);
        FAILED(run_blur(NULL, y, x, COUNT, NO_BARRIER), "shared memory", "test_kernels.cu:");
        setup();
        cudasim_seed(seed);
        FAILED(run_warp_rotate(NULL, (uint16_t *)y, (uint16_t *)x, COUNT, NO_BARRIER), "shared memory", "test_kernels.cu:");
    }
}
END_TEST
START_TEST(an_index_behind_an_array_of_shared_memory_is_found) {
    FAILED(run_blur(NULL, y, x, COUNT, OFF_BY_ONE), "index 258", "float [258]", "test_kernels.cu:");
}
END_TEST
START_TEST(shared_memory_that_nobody_wrote_is_found) {
    FAILED(run_blur(NULL, y, x, COUNT, NOT_WRITTEN), "reads byte 1028 of shared memory, which nobody has written",
           "test_kernels.cu:");
}
END_TEST

START_TEST(a_misaligned_vector_is_found) {
    float sums[200];
    ck_assert_int_eq(run_vector_sums(NULL, y, x, 4, 200), cudaSuccess);
    fetch(sums, y, 200);
    ck_assert(sums[1] == host[8] + host[9] + (host[10] + host[11]));
    FAILED(run_vector_sums(NULL, y, x, 2, 200), "misaligned", "float4", "16 bytes", "test_kernels.cu:");
    ck_assert_int_eq(cudaPeekAtLastError(), cudaErrorMisalignedAddress);
}
END_TEST
START_TEST(reading_behind_an_allocation_is_found) {
    FAILED(run_vector_sums(NULL, y, x, 0, 251), "0 bytes behind the end of an allocation of 4000", "test_kernels.cu:");
    ck_assert_int_eq(cudaPeekAtLastError(), cudaErrorIllegalAddress);
}
END_TEST
START_TEST(writing_behind_an_allocation_is_found) {
    float *large;
    ck_assert_int_eq(cudaMalloc((void **)&large, 2 * sizeof host), cudaSuccess);
    FAILED(run_saxpy(NULL, y, large, 1.0f, COUNT + 1), "behind the end of an allocation of 4000", "test_kernels.cu:");
}
END_TEST
START_TEST(a_pointer_of_the_host_is_found) {
    FAILED(run_saxpy(NULL, y, host, 1.0f, COUNT), "not device memory", "test_kernels.cu:");
}
END_TEST
START_TEST(freed_memory_is_found) {
    ck_assert_int_eq(cudaFree(x), cudaSuccess);
    FAILED(run_saxpy(NULL, y, x, 1.0f, COUNT), "freed", "test_kernels.cu:");
    x = NULL;
}
END_TEST
START_TEST(memory_of_another_device_is_found) {
    cudasim_devices(2, 0, 0);
    ck_assert_int_eq(cudaSetDevice(1), cudaSuccess);
    FAILED(run_saxpy(NULL, y, x, 1.0f, COUNT), "memory of device 0, on device 1", "test_kernels.cu:");
}
END_TEST

START_TEST(blocks_that_race_are_found_and_atomics_are_not) {
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        int sum, expected = 0;
        setup();
        cudasim_seed(seed);
        for (size_t i = 0; i < sizeof host; i++) expected += ((uint8_t *)host)[i];
        ck_assert_int_eq(cudaMemset(y, 0, sizeof sum), cudaSuccess);
        ck_assert_int_eq(run_byte_sum(NULL, (int *)y, (uint8_t *)x, sizeof host, RIGHT), cudaSuccess);
        fetch((float *)&sum, y, 1);
        ck_assert_int_eq(sum, expected);
        FAILED(run_byte_sum(NULL, (int *)y, (uint8_t *)x, sizeof host, BLOCKS_RACE), "race", "of another block", "global memory",
               "test_kernels.cu:");
    }
}
END_TEST
START_TEST(a_barrier_of_the_warp_orders_its_lanes) {
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        uint16_t from[COUNT], to[COUNT];
        for (int i = 0; i < COUNT; i++) from[i] = (uint16_t)(i * 7);
        cudasim_seed(seed);
        ck_assert_int_eq(cudaMemcpy(x, from, sizeof from, cudaMemcpyHostToDevice), cudaSuccess);
        ck_assert_int_eq(run_warp_rotate(NULL, (uint16_t *)y, (uint16_t *)x, 992, RIGHT), cudaSuccess);
        ck_assert_int_eq(cudaMemcpy(to, y, sizeof to, cudaMemcpyDeviceToHost), cudaSuccess);
        for (int i = 0; i < 992; i++) ck_assert_int_eq(to[i], from[i / 32 * 32 + (i + 1) % 32]);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cudasim");
    TCase *c = tcase_create("threads");
    tcase_add_checked_fixture(c, setup, cudasim_reset);
    tcase_add_test(c, threads_index_their_values);
    tcase_add_test(c, sums_of_a_block_are_right_in_any_order);
    tcase_add_test(c, a_halo_in_shared_memory_is_right_in_any_order);
    tcase_add_test(c, a_barrier_of_the_warp_orders_its_lanes);
    tcase_add_test(c, a_barrier_in_a_branch_is_found);
    tcase_add_test(c, barriers_in_different_places_are_found);
    tcase_add_test(c, threads_that_wait_for_each_other_are_found);
    tcase_add_test(c, a_shuffle_whose_mask_leaves_the_caller_out_is_found);
    tcase_add_test(c, a_shuffle_from_a_lane_that_has_returned_is_found);
    suite_add_tcase(suite, c);
    if (CUDASIM_CHECKED) { /* kernels are instrumented by our own checks, not by the sanitizers of the build */
        c = tcase_create("memory");
        tcase_add_checked_fixture(c, setup, cudasim_reset);
        tcase_add_test(c, a_missing_barrier_is_found);
        tcase_add_test(c, an_index_behind_an_array_of_shared_memory_is_found);
        tcase_add_test(c, shared_memory_that_nobody_wrote_is_found);
        tcase_add_test(c, a_misaligned_vector_is_found);
        tcase_add_test(c, reading_behind_an_allocation_is_found);
        tcase_add_test(c, writing_behind_an_allocation_is_found);
        tcase_add_test(c, a_pointer_of_the_host_is_found);
        tcase_add_test(c, freed_memory_is_found);
        tcase_add_test(c, memory_of_another_device_is_found);
        tcase_add_test(c, blocks_that_race_are_found_and_atomics_are_not);
        suite_add_tcase(suite, c);
    }
    return run_suite(suite);
}
