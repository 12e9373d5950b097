/* Conversion of runs of elements between dtypes.  Each dtype has a row of a table: how it is read into a wide form and
 * written from one.  Wide is int64 between two integer types and float32 when a float type takes part.  */
#include "convert.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 256 };

int dtype_integer_max(cover_dtype dtype) { return dtype == COVER_U8 ? UINT8_MAX : dtype == COVER_U16 ? UINT16_MAX : 0; }

/* ---- single elements of the 16-bit floats */

static uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
static float bits_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ff;
    if (exponent == 0) return bits_float(sign | float_bits((float)fraction * 0x1p-24f));
    if (exponent == 31) return bits_float(sign | 0x7f800000u | fraction << 13);
    return bits_float(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t float_to_half(float value) {
    uint32_t bits = float_bits(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff, half;
    if (magnitude > 0x7f800000u) half = 0x7e00 | (magnitude >> 13 & 0x3ff); /* NaN, quiet */
    else if (magnitude >= float_bits(65536.0f)) half = 0x7c00;
    else if (magnitude < float_bits(0x1p-14f)) /* the sum's last place is 2^-24, so adding rounds to subnormals */
        half = float_bits(bits_float(magnitude) + 0.5f) - float_bits(0.5f);
    else half = (magnitude + 0xfff + (magnitude >> 13 & 1) - (112u << 23)) >> 13;
    return (uint16_t)(sign | half);
}

float bfloat_to_float(uint16_t bfloat) { return bits_float((uint32_t)bfloat << 16); }

uint16_t float_to_bfloat(float value) {
    uint32_t bits = float_bits(value);
    if ((bits & 0x7fffffff) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40); /* NaN, quiet */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* 24 bits of an integer with the lost ones ORed into the last ("round to odd"): rounding that once more to fewer than
 * 23 bits gives what rounding the integer at once would. */
static float odd_float(int64_t value) {
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    if (magnitude >> 24) {
        int lost = 64 - __builtin_clzll(magnitude) - 24;
        uint64_t kept = magnitude >> lost;
        if (kept << lost != magnitude) kept |= 1;
        magnitude = kept << lost;
    }
    return value < 0 ? -(float)magnitude : (float)magnitude;
}

/* Half to even within [low, high]; limit = high + 1 is exact in float32 where high may not be. */
static inline int64_t round_into(float value, int64_t low, int64_t high, float limit) {
    if (!(value > (float)low)) return value == value ? low : 0; /* NaN: 0 */
    if (value >= limit) return high;
    int64_t rounded = llrintf(value);
    return rounded > high ? high : rounded; /* 255.5 becomes 256 */
}

/* ---- runs: memory to wide and back */

#define READ(name, type, wide_type, expression)                                                                                    \
    static void name(void *wide, const char *source, int64_t stride, int64_t count) {                                              \
        wide_type *out = wide;                                                                                                     \
        if (stride == 1) {                                                                                                         \
            for (int64_t i = 0; i < count; i++) {                                                                                  \
                type x;                                                                                                            \
                memcpy(&x, source + i * (int64_t)sizeof x, sizeof x);                                                              \
                out[i] = expression;                                                                                               \
            }                                                                                                                      \
            return;                                                                                                                \
        }                                                                                                                          \
        for (int64_t i = 0; i < count; i++) {                                                                                      \
            type x;                                                                                                                \
            memcpy(&x, source + i * stride * (int64_t)sizeof x, sizeof x);                                                         \
            out[i] = expression;                                                                                                   \
        }                                                                                                                          \
    }
#define WRITE(name, type, wide_type, expression)                                                                                   \
    static void name(char *target, int64_t stride, const void *wide, int64_t count) {                                              \
        const wide_type *in = wide;                                                                                                \
        for (int64_t i = 0; i < count; i++) {                                                                                      \
            wide_type x = in[i];                                                                                                   \
            type y = (type)(expression);                                                                                           \
            memcpy(target + i * stride * (int64_t)sizeof y, &y, sizeof y);                                                         \
        }                                                                                                                          \
    }
#define CLAMP(x, low, high) ((x) < (low) ? (low) : (x) > (high) ? (high) : (x))

READ(read_u8, uint8_t, float, (float)x)
READ(read_u16, uint16_t, float, (float)x)
READ(read_i16, int16_t, float, (float)x)
READ(read_i32, int32_t, float, (float)x)
READ(read_i64, int64_t, float, (float)x)
READ(read_f16, uint16_t, float, half_to_float(x))
READ(read_bf16, uint16_t, float, bfloat_to_float(x))
READ(read_f32, float, float, x)
READ(read_i32_odd, int32_t, float, odd_float(x))
READ(read_i64_odd, int64_t, float, odd_float(x))

READ(take_u8, uint8_t, int64_t, x)
READ(take_u16, uint16_t, int64_t, x)
READ(take_i16, int16_t, int64_t, x)
READ(take_i32, int32_t, int64_t, x)
READ(take_i64, int64_t, int64_t, x)

WRITE(write_u8, uint8_t, float, round_into(x, 0, UINT8_MAX, 0x1p8f))
WRITE(write_u16, uint16_t, float, round_into(x, 0, UINT16_MAX, 0x1p16f))
WRITE(write_i16, int16_t, float, round_into(x, INT16_MIN, INT16_MAX, 0x1p15f))
WRITE(write_i32, int32_t, float, round_into(x, INT32_MIN, INT32_MAX, 0x1p31f))
WRITE(write_i64, int64_t, float, round_into(x, INT64_MIN, INT64_MAX, 0x1p63f))
WRITE(write_f16, uint16_t, float, float_to_half(x))
WRITE(write_bf16, uint16_t, float, float_to_bfloat(x))
WRITE(write_f32, float, float, x)

WRITE(put_u8, uint8_t, int64_t, CLAMP(x, 0, UINT8_MAX))
WRITE(put_u16, uint16_t, int64_t, CLAMP(x, 0, UINT16_MAX))
WRITE(put_i16, int16_t, int64_t, CLAMP(x, INT16_MIN, INT16_MAX))
WRITE(put_i32, int32_t, int64_t, CLAMP(x, INT32_MIN, INT32_MAX))
WRITE(put_i64, int64_t, int64_t, x)

typedef void read_fn(void *wide, const char *source, int64_t stride, int64_t count);
typedef void write_fn(char *target, int64_t stride, const void *wide, int64_t count);
static const struct row {
    read_fn *read;     /* to float32 */
    read_fn *read_odd; /* to float32 for types of fewer than 23 bits, where `read` would round a first time */
    write_fn *write;   /* from float32 */
    read_fn *take;     /* to int64; NULL for float types */
    write_fn *put;     /* from int64 */
} rows[] = {
    [COVER_U8] = {read_u8, read_u8, write_u8, take_u8, put_u8},
    [COVER_U16] = {read_u16, read_u16, write_u16, take_u16, put_u16},
    [COVER_I16] = {read_i16, read_i16, write_i16, take_i16, put_i16},
    [COVER_I32] = {read_i32, read_i32_odd, write_i32, take_i32, put_i32},
    [COVER_I64] = {read_i64, read_i64_odd, write_i64, take_i64, put_i64},
    [COVER_F16] = {read_f16, read_f16, write_f16, NULL, NULL},
    [COVER_BF16] = {read_bf16, read_bf16, write_bf16, NULL, NULL},
    [COVER_F32] = {read_f32, read_f32, write_f32, NULL, NULL},
};

static void copy_run(char *target, int64_t target_stride, const char *source, int64_t source_stride, int64_t count, size_t bytes) {
    if (target_stride == 1 && source_stride == 1) {
        memmove(target, source, (size_t)count * bytes);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        memcpy(target + i * target_stride * (int64_t)bytes, source + i * source_stride * (int64_t)bytes, bytes);
}

void convert_run(void *target, cover_dtype to, int64_t target_stride, const void *source, cover_dtype from, int64_t source_stride,
                 int64_t count) {
    int64_t to_bytes = (int64_t)cover_dtype_bytes(to), from_bytes = (int64_t)cover_dtype_bytes(from);
    if (to == from) {
        copy_run(target, target_stride, source, source_stride, count, (size_t)to_bytes);
        return;
    }
    bool integers = rows[from].take && rows[to].put;
    read_fn *read = integers ? rows[from].take : to == COVER_BF16 ? rows[from].read_odd : rows[from].read;
    write_fn *put = integers ? rows[to].put : rows[to].write;
    int64_t wide[BLOCK]; /* or as many floats */
    for (int64_t done = 0; done < count; done += BLOCK) {
        int64_t block = count - done < BLOCK ? count - done : BLOCK;
        if (to == COVER_F32 && target_stride == 1 && (uintptr_t)target % sizeof(float) == 0) {
            read((float *)target + done, (const char *)source + done * source_stride * from_bytes, source_stride, block);
            continue; /* the common way in: no copy in between */
        }
        read(wide, (const char *)source + done * source_stride * from_bytes, source_stride, block);
        put((char *)target + done * target_stride * to_bytes, target_stride, wide, block);
    }
}
