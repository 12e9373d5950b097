/* Arrays on the device between guard bytes, for tests of kernels that move whole images: filled from the host, fetched back,
 * guards looked at whenever something is fetched. */
#ifndef COVER_TEST_DEVICE_ARRAY_H
#define COVER_TEST_DEVICE_ARRAY_H

#include "device.h"

#include "core/base/element.h"
#include "core/base/philox.h"

#include <cuda_runtime.h>
#include <stdint.h>
#include <string.h>

enum { GUARD_BYTES = 256, GUARD = 0xa5 };

struct device_array {
    unsigned char *block;
    size_t bytes;
};

#define ck_cuda(call)                                                                                                              \
    do {                                                                                                                           \
        int cuda_result = (int)(call);                                                                                             \
        ck_assert_msg(cuda_result == 0, "%s: %s: %s", #call, cudaGetErrorString((cudaError_t)cuda_result), cudasim_message());     \
    } while (0)

static inline void *on_device(const struct device_array *array) { return array->block ? array->block + GUARD_BYTES : NULL; }

/* `from` may be NULL: NaNs. */
static inline struct device_array device_array(const void *from, size_t bytes) {
    struct device_array array = {NULL, bytes};
    ck_cuda(cudaMalloc((void **)&array.block, bytes + 2 * GUARD_BYTES));
    ck_cuda(cudaMemset(array.block, GUARD, bytes + 2 * GUARD_BYTES));
    ck_cuda(cudaMemset(array.block + GUARD_BYTES, 0xff, bytes));
    if (from) ck_cuda(cudaMemcpy(array.block + GUARD_BYTES, from, bytes, cudaMemcpyHostToDevice));
    return array;
}
static inline void device_release(struct device_array *array) {
    if (array->block) ck_cuda(cudaFree(array->block));
    array->block = NULL;
}
/* The bytes of the array, in memory of the caller. */
static inline void *fetched(const struct device_array *array) {
    unsigned char *all = malloc(array->bytes + 2 * GUARD_BYTES), *data = malloc(array->bytes + 1);
    ck_cuda(cudaDeviceSynchronize());
    ck_cuda(cudaMemcpy(all, array->block, array->bytes + 2 * GUARD_BYTES, cudaMemcpyDeviceToHost));
    for (int i = 0; i < GUARD_BYTES; i++)
        ck_assert_msg(all[i] == GUARD && all[GUARD_BYTES + array->bytes + (size_t)i] == GUARD, "a guard byte was written");
    memcpy(data, all + GUARD_BYTES, array->bytes);
    free(all);
    return data;
}

/* Whatever call of the runtime fails within a call of ours, it tells: `expected` is what it gives then.  For ADD_EMULATED. */
#define check_each_failure(call, expected)                                                                                         \
    do {                                                                                                                           \
        cudasim_fail_at(0, cudaSuccess);                                                                                           \
        ck_assert_int_eq((int)(call), 0);                                                                                          \
        const int calls_within = (int)cudasim_calls();                                                                             \
        ck_assert_int_gt(calls_within, 0);                                                                                         \
        for (int failing = 1; failing <= calls_within; failing++) {                                                                \
            cudasim_fail_at((uint64_t)failing, cudaErrorLaunchOutOfResources);                                                     \
            ck_assert_int_eq((int)(call), (int)(expected));                                                                        \
            cudasim_fail_at(0, cudaSuccess);                                                                                       \
            cudaGetLastError();                                                                                                    \
        }                                                                                                                          \
        ck_cuda(cudaDeviceSynchronize());                                                                                          \
    } while (0)

/* ---- random numbers and elements */

static inline int pick(struct random_stream *random, int low, int high) { /* low .. high */
    return low + (int)(random_word(random) % (uint32_t)(high - low + 1));
}
static inline float *random_floats(struct random_stream *random, int64_t count, float scale) {
    float *values = malloc((size_t)count * sizeof *values + 1);
    for (int64_t i = 0; i < count; i++) values[i] = random_uniform(random, -scale, scale);
    return values;
}
/* The same numbers as elements, rounded; and elements as floats. */
static inline void *as_elements(const float *values, int64_t count, enum element element) {
    void *out = malloc((size_t)count * element_bytes(element) + 1);
    if (element == ELEMENT_F32) memcpy(out, values, (size_t)count * sizeof *values);
    else
        for (int64_t i = 0; i < count; i++) ((bf16 *)out)[i] = bf16_from_float(values[i]);
    return out;
}
static inline float element_at(const void *values, int64_t i, enum element element) {
    return element == ELEMENT_F32 ? ((const float *)values)[i] : bf16_to_float(((const bf16 *)values)[i]);
}

/* Two arrays of elements agree to within `tolerance` of 1 + the expected array's root mean square, and, in bfloat16, one place
 * more. */
static inline void check_close(const void *found, const void *expected, int64_t count, enum element element, double tolerance,
                               const char *what) {
    double squares = 0;
    for (int64_t i = 0; i < count; i++) {
        const double e = (double)element_at(expected, i, element);
        squares += isnan(e) ? 0 : e * e;
    }
    const double floor = tolerance * (1 + sqrt(squares / (double)(count > 0 ? count : 1)));
    for (int64_t i = 0; i < count; i++) {
        const double f = (double)element_at(found, i, element), e = (double)element_at(expected, i, element);
        const double allowed = floor + (element == ELEMENT_BF16 ? fabs(e) / 128 : 0);
        ck_assert_msg(isnan(f) == isnan(e) && (isnan(f) || f == e || fabs(f - e) <= allowed),
                      "%s: number %lld of %lld is %.9g instead of %.9g", what, (long long)i, (long long)count, f, e);
    }
}

#endif
