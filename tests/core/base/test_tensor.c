/* The tensor handle: shapes and strides, conversion between all dtypes, DLPack, the channels-last border. */
#include "../../check_main.h"

#include "core/base/convert.h"
#include "core/base/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static cover_context *context;
static int live; /* allocations not yet released */

static void *count_allocate(void *user, size_t bytes, size_t alignment) {
    (void)user;
    void *memory = NULL;
    if (bytes > (size_t)1 << 40 || posix_memalign(&memory, alignment, bytes)) return NULL;
    live++;
    return memory;
}
static void count_release(void *user, void *memory) {
    (void)user;
    live--;
    free(memory);
}

static void setup(void) {
    cover_allocator allocator = {count_allocate, count_release, NULL};
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.allocator = &allocator, options.threads = 1;
    live = 0;
    ck_assert_ok(cover_context_create(&context, &options));
}
static void teardown(void) {
    cover_context_destroy(context);
    ck_assert_int_eq(live, 0);
}

START_TEST(a_fresh_tensor_is_dense_and_zero) {
    cover_tensor *tensor;
    ck_assert_ok(cover_tensor_create(&tensor, context, COVER_I16, 4, (int64_t[]){2, 3, 5, 7}));
    ck_assert_int_eq(cover_tensor_dtype(tensor), COVER_I16);
    ck_assert_int_eq(cover_tensor_rank(tensor), 4);
    const int64_t shape[] = {2, 3, 5, 7}, strides[] = {105, 35, 7, 1};
    ck_assert_mem_eq(cover_tensor_shape(tensor), shape, sizeof shape);
    ck_assert_mem_eq(cover_tensor_strides(tensor), strides, sizeof strides);
    const int16_t *data = cover_tensor_data(tensor);
    for (int i = 0; i < 210; i++) ck_assert_int_eq(data[i], 0);
    cover_tensor_destroy(tensor);
    cover_tensor_destroy(NULL);
}
END_TEST

START_TEST(dtypes_have_names_and_sizes) {
    static const struct {
        const char *name;
        size_t bytes;
    } want[] = {{"u8", 1}, {"u16", 2}, {"i16", 2}, {"i32", 4}, {"i64", 8}, {"f16", 2}, {"bf16", 2}, {"f32", 4}};
    for (int i = 0; i < 8; i++) {
        ck_assert_str_eq(cover_dtype_name((cover_dtype)i), want[i].name);
        ck_assert_uint_eq(cover_dtype_bytes((cover_dtype)i), want[i].bytes);
    }
    ck_assert_uint_eq(cover_dtype_bytes((cover_dtype)99), 0);
    ck_assert_ptr_nonnull(cover_dtype_name((cover_dtype)99));
}
END_TEST

START_TEST(impossible_tensors_are_refused) {
    cover_tensor *tensor = (cover_tensor *)1;
    float value = 0;
    const int64_t one[] = {1, 1, 1, 1, 1, 1}, zero[] = {2, 0}, minus[] = {-1}, huge[] = {INT64_MAX, 2},
                  wide[] = {INT64_MAX / 4 + 1}, pair[] = {2, 2};
    ck_assert_int_eq(cover_tensor_create(NULL, context, COVER_F32, 1, one), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_tensor_create(&tensor, NULL, COVER_F32, 1, one), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_tensor_create(&tensor, context, COVER_F32, 1, NULL), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_tensor_create(&tensor, context, (cover_dtype)8, 1, one), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_tensor_create(&tensor, context, (cover_dtype)-1, 1, one), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_tensor_create(&tensor, context, COVER_F32, 0, one), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_tensor_create(&tensor, context, COVER_F32, 6, one), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_tensor_create(&tensor, context, COVER_F32, 2, zero), COVER_ERROR_SHAPE);
    ck_assert_int_eq(cover_tensor_create(&tensor, context, COVER_F32, 1, minus), COVER_ERROR_SHAPE);
    ck_assert_int_eq(cover_tensor_create(&tensor, context, COVER_U8, 2, huge), COVER_ERROR_SHAPE);
    ck_assert_int_eq(cover_tensor_create(&tensor, context, COVER_F32, 1, wide), COVER_ERROR_SHAPE);
    ck_assert_int_eq(cover_tensor_create(&tensor, context, COVER_U8, 1, (int64_t[]){INT64_MAX}), COVER_ERROR_MEMORY);
    ck_assert_int_eq(cover_tensor_wrap(&tensor, context, COVER_F32, 1, one, NULL, NULL), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_tensor_wrap(&tensor, context, COVER_F32, 2, pair, (int64_t[]){INT64_MAX / 2, 1}, &value),
                     COVER_ERROR_SHAPE);
    ck_assert_int_eq(cover_tensor_wrap(&tensor, context, COVER_U8, 2, pair, (int64_t[]){INT64_MAX, 1}, &value), COVER_ERROR_SHAPE);
    ck_assert_int_eq(cover_tensor_wrap(&tensor, context, COVER_U8, 2, pair, (int64_t[]){INT64_MIN, -1}, &value), COVER_ERROR_SHAPE);
    ck_assert_ptr_eq(tensor, (cover_tensor *)1);
}
END_TEST

/* ---- copies with strides */

START_TEST(a_copy_follows_negative_zero_and_permuted_strides) {
    float memory[24], dense[24];
    for (int i = 0; i < 24; i++) memory[i] = (float)i;
    static const struct {
        int64_t strides[3];
        int first;
    } cases[] = {{{12, 4, 1}, 0}, {{-12, 4, 1}, 12}, {{12, -4, -1}, 11}, {{-12, -4, -1}, 23}, {{1, 2, 6}, 0},
                 {{0, 4, 1}, 0},  {{0, 0, 0}, 5},    {{12, 0, 1}, 0},    {{0, 0, -2}, 9}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const int64_t shape[] = {2, 3, 4}, *strides = cases[c].strides;
        cover_tensor *source, *target;
        ck_assert_ok(cover_tensor_wrap(&source, context, COVER_F32, 3, shape, strides, memory + cases[c].first));
        ck_assert_ok(cover_tensor_wrap(&target, context, COVER_F32, 3, shape, NULL, dense));
        ck_assert_ok(cover_tensor_copy(target, source));
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 3; j++)
                for (int k = 0; k < 4; k++)
                    ck_assert_float_eq(dense[(i * 3 + j) * 4 + k],
                                       memory[cases[c].first + i * strides[0] + j * strides[1] + k * strides[2]]);
        cover_tensor_destroy(source);
        cover_tensor_destroy(target);
    }
}
END_TEST

START_TEST(a_copy_into_strides_leaves_the_gaps_alone) {
    uint8_t memory[40], source_memory[6] = {1, 2, 3, 4, 5, 6};
    memset(memory, 0xee, sizeof memory);
    cover_tensor *source, *target;
    ck_assert_ok(cover_tensor_wrap(&source, context, COVER_U8, 2, (int64_t[]){2, 3}, NULL, source_memory));
    ck_assert_ok(cover_tensor_wrap(&target, context, COVER_U8, 2, (int64_t[]){2, 3}, (int64_t[]){-20, 5}, memory + 22));
    ck_assert_ok(cover_tensor_copy(target, source));
    for (int i = 0; i < 40; i++) {
        int want = 0xee;
        for (int r = 0; r < 2; r++)
            for (int c = 0; c < 3; c++)
                if (i == 22 - 20 * r + 5 * c) want = source_memory[r * 3 + c];
        ck_assert_int_eq(memory[i], want);
    }
    cover_tensor_destroy(source);
    cover_tensor_destroy(target);
}
END_TEST

START_TEST(copies_of_other_shapes_are_refused) {
    cover_tensor *a, *b, *c;
    ck_assert_ok(cover_tensor_create(&a, context, COVER_U8, 2, (int64_t[]){2, 3}));
    ck_assert_ok(cover_tensor_create(&b, context, COVER_U8, 2, (int64_t[]){3, 2}));
    ck_assert_ok(cover_tensor_create(&c, context, COVER_U8, 3, (int64_t[]){1, 2, 3}));
    ck_assert_int_eq(cover_tensor_copy(a, b), COVER_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "(2, 3)"));
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "(3, 2)"));
    ck_assert_int_eq(cover_tensor_copy(a, c), COVER_ERROR_SHAPE);
    ck_assert_int_eq(cover_tensor_copy(NULL, a), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_tensor_copy(a, NULL), COVER_ERROR_ARGUMENT);
    cover_tensor_destroy(a);
    cover_tensor_destroy(b);
    cover_tensor_destroy(c);
}
END_TEST

/* ---- conversion: every pair of dtypes against long double arithmetic */

static const struct limits {
    bool integer;
    int64_t low, high;
    int digits, lowest; /* floats: bits of the significand, exponent of the smallest subnormal */
    double largest;
} limits[] = {
    [COVER_U8] = {true, 0, UINT8_MAX, 0, 0, 0},          [COVER_U16] = {true, 0, UINT16_MAX, 0, 0, 0},
    [COVER_I16] = {true, INT16_MIN, INT16_MAX, 0, 0, 0}, [COVER_I32] = {true, INT32_MIN, INT32_MAX, 0, 0, 0},
    [COVER_I64] = {true, INT64_MIN, INT64_MAX, 0, 0, 0}, [COVER_F16] = {false, 0, 0, 11, -24, 65504},
    [COVER_BF16] = {false, 0, 0, 8, -133, 0x1.fep127},   [COVER_F32] = {false, 0, 0, 24, -149, 0x1.fffffep127},
};

static long double read_exact(const void *at, cover_dtype dtype) {
    switch (dtype) {
    case COVER_U8:
        return *(const uint8_t *)at;
    case COVER_U16:
        return *(const uint16_t *)at;
    case COVER_I16:
        return *(const int16_t *)at;
    case COVER_I32:
        return *(const int32_t *)at;
    case COVER_I64:
        return *(const int64_t *)at;
    case COVER_F16:
        return half_to_float(*(const uint16_t *)at);
    case COVER_BF16:
        return bfloat_to_float(*(const uint16_t *)at);
    default:
        return *(const float *)at;
    }
}

/* What `value` must become, by definition: nearest, half to even. */
static long double nearest(long double value, cover_dtype dtype) {
    const struct limits *l = &limits[dtype];
    if (l->integer) {
        if (isnan(value)) return 0;
        long double rounded = rintl(value);
        return rounded < (long double)l->low    ? (long double)l->low
               : rounded > (long double)l->high ? (long double)l->high
                                                : rounded;
    }
    if (isnan(value) || isinf(value) || value == 0) return value;
    int exponent;
    frexpl(value, &exponent);
    int last = exponent - l->digits > l->lowest ? exponent - l->digits : l->lowest;
    long double rounded = ldexpl(rintl(ldexpl(value, -last)), last);
    return fabsl(rounded) > (long double)l->largest ? copysignl(INFINITY, value) : rounded;
}

static void random_element(void *at, cover_dtype dtype, uint64_t bits, int kind) {
    static const double edges[] = {0,       -0.0,     0.5,          1.5,           2.5,    -0.5,    -1.5,      127.5,    128.5,
                                   254.5,   255,      255.5,        256,           65503,  65504,   65519.996, 65520,    65535.5,
                                   32767.5, -32768.5, 2147483648.0, -2147483904.0, 0x1p63, -0x1p63, 0x1p64,    1e30,     -1e30,
                                   6e-8,    2.98e-8,  2.9e-8,       1e-40,         6.1e-5, 0.0999,  NAN,       INFINITY, -INFINITY};
    if (dtype == COVER_F32) {
        float value;
        uint32_t low = (uint32_t)bits;
        if (kind == 0) memcpy(&value, &low, sizeof value);
        else if (kind == 1) value = (float)edges[bits % (sizeof edges / sizeof *edges)];
        else value = (float)((double)(bits % 2000001) - 1e6) / 8;
        memcpy(at, &value, sizeof value);
    } else if (dtype == COVER_I64) {
        int64_t value = (int64_t)bits >> (kind == 0 ? 0 : bits % 61); /* all magnitudes */
        memcpy(at, &value, sizeof value);
    } else if (dtype == COVER_I32) {
        int32_t value = (int32_t)bits >> (kind == 0 ? 0 : bits >> 32 & 30);
        memcpy(at, &value, sizeof value);
    } else memcpy(at, &bits, cover_dtype_bytes(dtype));
}

START_TEST(every_conversion_rounds_once_half_to_even_and_saturates) {
    enum { COUNT = 600 };
    cover_dtype from = (cover_dtype)(_i / 8), to = (cover_dtype)(_i % 8);
    int64_t source_memory[COUNT], target_memory[COUNT + 1];
    size_t source_bytes = cover_dtype_bytes(from), target_bytes = cover_dtype_bytes(to);
    uint64_t state = 88172645463325252u + (uint64_t)_i;
    for (int i = 0; i < COUNT; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        random_element((char *)source_memory + (size_t)i * source_bytes, from, state, i % 3);
    }
    cover_tensor *source, *target;
    ck_assert_ok(cover_tensor_wrap(&source, context, from, 1, (int64_t[]){COUNT}, NULL, source_memory));
    char *shifted = (char *)target_memory + (_i % 2); /* memory of odd alignment, too */
    ck_assert_ok(cover_tensor_wrap(&target, context, to, 1, (int64_t[]){COUNT}, NULL, shifted));
    ck_assert_ok(cover_tensor_copy(target, source));
    for (int i = 0; i < COUNT; i++) {
        int64_t got_memory = 0;
        memcpy(&got_memory, shifted + (size_t)i * target_bytes, target_bytes);
        long double value = read_exact((char *)source_memory + (size_t)i * source_bytes, from);
        long double want = nearest(value, to), got = read_exact(&got_memory, to);
        ck_assert_msg(got == want || (isnan(got) && isnan(want)), "%s to %s: %.20Lg gave %.20Lg, not %.20Lg",
                      cover_dtype_name(from), cover_dtype_name(to), value, got, want);
        if (!limits[to].integer && !isnan(want)) ck_assert_int_eq(signbit(got) != 0, signbit(want) != 0);
    }
    cover_tensor_destroy(source);
    cover_tensor_destroy(target);
}
END_TEST

START_TEST(integers_just_above_a_tie_do_not_round_to_it_first) {
    int64_t wide[] = {(INT64_C(1) << 40) + (INT64_C(1) << 32) + 1, -(INT64_C(1) << 62) - (INT64_C(1) << 54) - 1};
    int32_t narrow[] = {(1 << 30) + (1 << 22) + 1, -(1 << 30) - (1 << 22) - 1};
    uint16_t got[2];
    cover_tensor *source, *target;
    ck_assert_ok(cover_tensor_wrap(&target, context, COVER_BF16, 1, (int64_t[]){2}, NULL, got));
    ck_assert_ok(cover_tensor_wrap(&source, context, COVER_I64, 1, (int64_t[]){2}, NULL, wide));
    ck_assert_ok(cover_tensor_copy(target, source)); /* float32 in between would end at 2^40 and -2^62 */
    ck_assert_float_eq(bfloat_to_float(got[0]), 0x1.02p40f);
    ck_assert_float_eq(bfloat_to_float(got[1]), -0x1.02p62f);
    cover_tensor_destroy(source);
    ck_assert_ok(cover_tensor_wrap(&source, context, COVER_I32, 1, (int64_t[]){2}, NULL, narrow));
    ck_assert_ok(cover_tensor_copy(target, source));
    ck_assert_float_eq(bfloat_to_float(got[0]), 0x1.02p30f);
    ck_assert_float_eq(bfloat_to_float(got[1]), -0x1.02p30f);
    cover_tensor_destroy(source);
    cover_tensor_destroy(target);
}
END_TEST

START_TEST(every_half_and_bfloat_survives_the_way_through_float) {
    for (uint32_t h = 0; h < 65536; h++) {
        float value = half_to_float((uint16_t)h), brain = bfloat_to_float((uint16_t)h);
        if (isnan(value)) ck_assert(isnan(half_to_float(float_to_half(value))));
        else ck_assert_uint_eq(float_to_half(value), h);
        if (isnan(brain)) ck_assert(isnan(bfloat_to_float(float_to_bfloat(brain))));
        else ck_assert_uint_eq(float_to_bfloat(brain), h);
    }
    ck_assert_float_eq(half_to_float(0x3c00), 1.0f);
    ck_assert_float_eq(half_to_float(0x7bff), 65504.0f);
    ck_assert_float_eq(half_to_float(0x0001), 0x1p-24f);
    ck_assert_float_eq(half_to_float(0xc000), -2.0f);
    ck_assert_float_eq(bfloat_to_float(0x4049), 3.140625f);
}
END_TEST

START_TEST(strided_conversion_equals_dense_conversion) {
    uint16_t memory[7 * 300];
    float dense[300], strided[300 * 3];
    for (int i = 0; i < 7 * 300; i++) memory[i] = (uint16_t)(i * 2654435761u >> 7);
    cover_tensor *source, *a, *b;
    const int64_t shape[] = {300};
    ck_assert_ok(cover_tensor_wrap(&source, context, COVER_U16, 1, shape, (int64_t[]){-7}, memory + 7 * 299));
    ck_assert_ok(cover_tensor_wrap(&a, context, COVER_F32, 1, shape, NULL, dense));
    ck_assert_ok(cover_tensor_wrap(&b, context, COVER_F32, 1, shape, (int64_t[]){3}, strided));
    ck_assert_ok(cover_tensor_copy(a, source));
    ck_assert_ok(cover_tensor_copy(b, source));
    for (int i = 0; i < 300; i++) {
        ck_assert_float_eq(dense[i], (float)memory[7 * (299 - i)]);
        ck_assert_float_eq(strided[3 * i], dense[i]);
    }
    cover_tensor_destroy(source);
    cover_tensor_destroy(a);
    cover_tensor_destroy(b);
}
END_TEST

/* ---- ownership */

static int released;
static void note_release(void *user, void *data) {
    ck_assert_ptr_eq(user, &released);
    ck_assert_ptr_nonnull(data);
    released++;
}

START_TEST(adopted_memory_is_released_once_and_wrapped_memory_never) {
    float value[4] = {1, 2, 3, 4};
    cover_tensor *tensor;
    released = 0;
    ck_assert_ok(cover_tensor_adopt(&tensor, context, COVER_F32, 1, (int64_t[]){4}, NULL, value, note_release, &released));
    ck_assert_ptr_eq(cover_tensor_data(tensor), value);
    ck_assert_int_eq(released, 0);
    cover_tensor_destroy(tensor);
    ck_assert_int_eq(released, 1);
    ck_assert_int_eq(cover_tensor_adopt(&tensor, context, COVER_F32, 0, (int64_t[]){4}, NULL, value, note_release, &released),
                     COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(released, 1); /* refused: still the caller's */
    ck_assert_ok(cover_tensor_wrap(&tensor, context, COVER_F32, 1, (int64_t[]){4}, NULL, value));
    cover_tensor_destroy(tensor);
    ck_assert_int_eq(released, 1);
}
END_TEST

/* ---- DLPack: the structs as its header states them, declared a second time on purpose */

struct DLTensor {
    void *data;
    int32_t device_type, device_id, ndim;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;
    uint64_t byte_offset;
};
struct DLManagedTensor {
    struct DLTensor dl_tensor;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensor *self);
};
static int deleted;
static void note_delete(struct DLManagedTensor *self) {
    ck_assert_ptr_eq(self->manager_ctx, &deleted);
    deleted++;
}

START_TEST(a_view_is_read_and_never_written) {
    static const float values[2][3] = {{1, 2, 3}, {4, 5, 6}};
    const int64_t shape[2] = {2, 3};
    cover_tensor *view, *copy;
    void *managed = NULL;
    ck_assert_ok(cover_tensor_view(&view, context, COVER_F32, 2, shape, NULL, values));
    ck_assert_ptr_null(cover_tensor_data(view));
    ck_assert_ptr_eq(cover_tensor_data_const(view), values);
    ck_assert_ok(cover_tensor_create(&copy, context, COVER_F32, 2, shape));
    ck_assert_ptr_eq(cover_tensor_data(copy), cover_tensor_data_const(copy));
    ck_assert_ok(cover_tensor_copy(copy, view));
    ck_assert_mem_eq(cover_tensor_data_const(copy), values, sizeof values);
    ck_assert_int_eq(cover_tensor_copy(view, copy), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_tensor_to_dlpack(&managed, view), COVER_ERROR_UNSUPPORTED); /* and it is still ours */
    ck_assert_ptr_null(managed);
    cover_tensor_destroy(view);
    cover_tensor_destroy(copy);
    ck_assert_int_eq(cover_tensor_view(&view, context, COVER_F32, 2, shape, NULL, NULL), COVER_ERROR_ARGUMENT);
}
END_TEST

START_TEST(a_dlpack_tensor_is_taken_over_with_offset_and_strides) {
    float memory[16];
    for (int i = 0; i < 16; i++) memory[i] = (float)i;
    int64_t shape[] = {2, 3}, strides[] = {1, 4};
    struct DLManagedTensor managed = {{memory, 1, 0, 2, 2, 32, 1, shape, strides, 8}, &deleted, note_delete};
    cover_tensor *tensor;
    deleted = 0;
    ck_assert_ok(cover_tensor_from_dlpack(&tensor, context, &managed));
    ck_assert_int_eq(cover_tensor_dtype(tensor), COVER_F32);
    ck_assert_ptr_eq(cover_tensor_data(tensor), memory + 2);
    ck_assert_mem_eq(cover_tensor_shape(tensor), shape, sizeof shape);
    ck_assert_mem_eq(cover_tensor_strides(tensor), strides, sizeof strides);
    ck_assert_int_eq(deleted, 0);
    cover_tensor_destroy(tensor);
    ck_assert_int_eq(deleted, 1);
    managed.deleter = NULL, managed.dl_tensor.strides = NULL;
    ck_assert_ok(cover_tensor_from_dlpack(&tensor, context, &managed));
    ck_assert_int_eq(cover_tensor_strides(tensor)[0], 3);
    cover_tensor_destroy(tensor);
}
END_TEST

START_TEST(dlpack_tensors_that_do_not_fit_stay_with_the_caller) {
    float memory[4];
    int64_t shape[] = {2, 2, 1, 1, 1, 1};
    struct DLManagedTensor good = {{memory, 1, 0, 2, 2, 32, 1, shape, NULL, 0}, &deleted, note_delete}, bad;
    cover_tensor *tensor = (cover_tensor *)1;
    deleted = 0;
    bad = good, bad.dl_tensor.device_type = 2;
    ck_assert_int_eq(cover_tensor_from_dlpack(&tensor, context, &bad), COVER_ERROR_UNSUPPORTED);
    bad = good, bad.dl_tensor.bits = 64;
    ck_assert_int_eq(cover_tensor_from_dlpack(&tensor, context, &bad), COVER_ERROR_UNSUPPORTED);
    bad = good, bad.dl_tensor.lanes = 4;
    ck_assert_int_eq(cover_tensor_from_dlpack(&tensor, context, &bad), COVER_ERROR_UNSUPPORTED);
    bad = good, bad.dl_tensor.code = 5;
    ck_assert_int_eq(cover_tensor_from_dlpack(&tensor, context, &bad), COVER_ERROR_UNSUPPORTED);
    bad = good, bad.dl_tensor.ndim = 6;
    ck_assert_int_eq(cover_tensor_from_dlpack(&tensor, context, &bad), COVER_ERROR_ARGUMENT);
    bad = good, bad.dl_tensor.ndim = 0;
    ck_assert_int_eq(cover_tensor_from_dlpack(&tensor, context, &bad), COVER_ERROR_ARGUMENT);
    bad = good, bad.dl_tensor.shape = NULL;
    ck_assert_int_eq(cover_tensor_from_dlpack(&tensor, context, &bad), COVER_ERROR_ARGUMENT);
    bad = good, bad.dl_tensor.data = NULL;
    ck_assert_int_eq(cover_tensor_from_dlpack(&tensor, context, &bad), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_tensor_from_dlpack(&tensor, context, NULL), COVER_ERROR_ARGUMENT);
    int64_t empty[] = {2, 0};
    bad = good, bad.dl_tensor.shape = empty;
    ck_assert_int_eq(cover_tensor_from_dlpack(&tensor, context, &bad), COVER_ERROR_SHAPE);
    ck_assert_int_eq(deleted, 0);
    ck_assert_ptr_eq(tensor, (cover_tensor *)1);
}
END_TEST

START_TEST(every_dtype_goes_through_dlpack_and_back) {
    cover_dtype dtype = (cover_dtype)_i;
    cover_tensor *tensor, *back;
    void *managed;
    ck_assert_ok(cover_tensor_create(&tensor, context, dtype, 3, (int64_t[]){2, 3, 4}));
    memset(cover_tensor_data(tensor), 7, 24 * cover_dtype_bytes(dtype));
    ck_assert_ok(cover_tensor_to_dlpack(&managed, tensor));
    const struct DLTensor *dl = &((struct DLManagedTensor *)managed)->dl_tensor;
    ck_assert_int_eq(dl->device_type, 1);
    ck_assert_int_eq(dl->ndim, 3);
    ck_assert_int_eq(dl->bits, 8 * (int)cover_dtype_bytes(dtype));
    ck_assert_int_eq(dl->lanes, 1);
    ck_assert_int_eq((int)dl->strides[0], 12);
    ck_assert_ok(cover_tensor_from_dlpack(&back, context, managed));
    ck_assert_int_eq(cover_tensor_dtype(back), dtype);
    ck_assert_int_eq(((char *)cover_tensor_data(back))[5], 7);
    cover_tensor_destroy(back); /* deletes the managed tensor, which destroys the first one */
}
END_TEST

/* ---- channels last */

START_TEST(channels_last_and_back_keeps_every_value) {
    const int64_t shape[] = {2, 3, 4, 5, 6};
    int dims = _i % 2 ? 3 : 2, batched = _i / 2, rank = dims + 1 + batched;
    const int64_t *mine = shape + (batched ? 0 : 1);
    cover_tensor *tensor, *back;
    ck_assert_ok(cover_tensor_create(&tensor, context, COVER_U16, rank, mine));
    ck_assert_ok(cover_tensor_create(&back, context, COVER_U16, rank, mine));
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= mine[i];
    uint16_t *data = cover_tensor_data(tensor);
    for (int64_t i = 0; i < count; i++) data[i] = (uint16_t)(i * 31);
    struct tensor_layout layout;
    ck_assert_ok(tensor_layout(&layout, tensor, dims, "image"));
    ck_assert_int_eq(layout.images, batched ? 2 : 1);
    ck_assert_int_eq(layout.channels, batched ? 3 : 3);
    int64_t pixels = grid_pixels(&layout.grid);
    ck_assert_int_eq(layout.images * layout.channels * pixels, count);
    float *values = memory_alloc(context, (size_t)count * sizeof *values);
    ck_assert_ok(tensor_to_channels_last(values, tensor, dims));
    for (int64_t n = 0; n < layout.images; n++)
        for (int64_t c = 0; c < layout.channels; c++)
            for (int64_t p = 0; p < pixels; p++)
                ck_assert_float_eq(values[(n * pixels + p) * layout.channels + c],
                                   (float)data[(n * layout.channels + c) * pixels + p]);
    ck_assert_ok(tensor_from_channels_last(back, values, dims));
    ck_assert_mem_eq(cover_tensor_data(back), data, (size_t)count * sizeof *data);
    cover_tensor *adopted;
    ck_assert_ok(tensor_adopt_channels_last(&adopted, context, values, &layout));
    ck_assert_int_eq(cover_tensor_rank(adopted), dims + 2);
    if (batched) {
        ck_assert_ok(cover_tensor_copy(back, adopted));
        ck_assert_mem_eq(cover_tensor_data(back), data, (size_t)count * sizeof *data);
    }
    cover_tensor_destroy(adopted);
    cover_tensor_destroy(tensor);
    cover_tensor_destroy(back);
}
END_TEST

START_TEST(a_layout_of_another_rank_is_refused_by_name) {
    cover_tensor *tensor;
    struct tensor_layout layout;
    ck_assert_ok(cover_tensor_create(&tensor, context, COVER_U8, 2, (int64_t[]){8, 9}));
    ck_assert_int_eq(tensor_layout(&layout, tensor, 2, "moving"), COVER_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "moving: shape (8, 9)"));
    cover_tensor_destroy(tensor);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tensor");
    TCase *basics = tcase_create("handle"), *conversion = tcase_create("conversion"), *dlpack = tcase_create("dlpack");
    TCase *all[] = {basics, conversion, dlpack};
    for (int i = 0; i < 3; i++) {
        tcase_add_checked_fixture(all[i], setup, teardown);
        tcase_set_timeout(all[i], 60);
        suite_add_tcase(suite, all[i]);
    }
    ADD(basics, a_fresh_tensor_is_dense_and_zero);
    ADD(basics, dtypes_have_names_and_sizes);
    ADD(basics, impossible_tensors_are_refused);
    ADD(basics, a_copy_follows_negative_zero_and_permuted_strides);
    ADD(basics, a_copy_into_strides_leaves_the_gaps_alone);
    ADD(basics, copies_of_other_shapes_are_refused);
    ADD(basics, a_view_is_read_and_never_written);
    ADD(basics, adopted_memory_is_released_once_and_wrapped_memory_never);
    tcase_add_loop_test(basics, channels_last_and_back_keeps_every_value, 0, 4);
    ADD(basics, a_layout_of_another_rank_is_refused_by_name);
    tcase_add_loop_test(conversion, every_conversion_rounds_once_half_to_even_and_saturates, 0, 64);
    ADD(conversion, integers_just_above_a_tie_do_not_round_to_it_first);
    ADD(conversion, every_half_and_bfloat_survives_the_way_through_float);
    ADD(conversion, strided_conversion_equals_dense_conversion);
    ADD(dlpack, a_dlpack_tensor_is_taken_over_with_offset_and_strides);
    ADD(dlpack, dlpack_tensors_that_do_not_fit_stay_with_the_caller);
    tcase_add_loop_test(dlpack, every_dtype_goes_through_dlpack_and_back, 0, 8);
    return run_suite(suite);
}
