/* One row a number type of image files: its size, its name, its conversion.  Called by the NIfTI and TIFF readers. */
#include "samples.h"

#include <string.h>

/* A loop a type; values are scaled in double, so integers up to 2^53 meet one rounding only, the last. */
#define CONVERSION(name, type)                                                                                                     \
    static void name##_to_float(float *to, const void *from, size_t count, double slope, double intercept) {                       \
        const unsigned char *bytes = from;                                                                                         \
        for (size_t i = 0; i < count; i++) {                                                                                       \
            type value;                                                                                                            \
            memcpy(&value, bytes + i * sizeof value, sizeof value);                                                                \
            to[i] = (float)((double)value * slope + intercept);                                                                    \
        }                                                                                                                          \
    }                                                                                                                              \
    static double name##_value(const void *from) {                                                                                 \
        type value;                                                                                                                \
        memcpy(&value, from, sizeof value);                                                                                        \
        return (double)value;                                                                                                      \
    }
CONVERSION(uint8, uint8_t)
CONVERSION(int8, int8_t)
CONVERSION(uint16, uint16_t)
CONVERSION(int16, int16_t)
CONVERSION(uint32, uint32_t)
CONVERSION(int32, int32_t)
CONVERSION(uint64, uint64_t)
CONVERSION(int64, int64_t)
CONVERSION(float32, float)
CONVERSION(float64, double)

static const struct {
    const char *name;
    size_t bytes;
    cover_dtype dtype;
    void (*to_float)(float *to, const void *from, size_t count, double slope, double intercept);
    double (*value)(const void *from);
} types[] = {
#define ROW(name, bytes, dtype)                                                                                                    \
    { #name, bytes, dtype, name##_to_float, name##_value }
    [SAMPLE_U8] = ROW(uint8, 1, COVER_U8),     [SAMPLE_I8] = ROW(int8, 1, COVER_F32),    [SAMPLE_U16] = ROW(uint16, 2, COVER_U16),
    [SAMPLE_I16] = ROW(int16, 2, COVER_F32),   [SAMPLE_U32] = ROW(uint32, 4, COVER_F32), [SAMPLE_I32] = ROW(int32, 4, COVER_F32),
    [SAMPLE_U64] = ROW(uint64, 8, COVER_F32),  [SAMPLE_I64] = ROW(int64, 8, COVER_F32),  [SAMPLE_F32] = ROW(float32, 4, COVER_F32),
    [SAMPLE_F64] = ROW(float64, 8, COVER_F32),
#undef ROW
};

size_t sample_bytes(enum sample type) { return types[type].bytes; }
const char *sample_name(enum sample type) { return types[type].name; }
cover_dtype sample_dtype(enum sample type) { return types[type].dtype; }
double sample_value(const void *from, enum sample type) { return types[type].value(from); }

void samples_swap(void *samples, size_t bytes, size_t count) {
    unsigned char *at = samples;
    for (size_t i = 0; i < count; i++, at += bytes)
        for (size_t low = 0, high = bytes - 1; low < high; low++, high--) {
            unsigned char kept = at[low];
            at[low] = at[high], at[high] = kept;
        }
}

void samples_copy(void *to, const void *from, enum sample type, size_t count) { memcpy(to, from, count * types[type].bytes); }

void samples_to_float(float *to, const void *from, enum sample type, size_t count, double slope, double intercept) {
    types[type].to_float(to, from, count, slope, intercept);
}
