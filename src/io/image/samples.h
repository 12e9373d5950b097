/* The number types that image files hold, and their way into ours: uint8 and uint16 stay, all others become float32.
 * Called by the NIfTI and TIFF readers. */
#ifndef COVER_SAMPLES_H
#define COVER_SAMPLES_H

#include "core/base/base.h"

#include <libcover/tensor.h>

enum sample {
    SAMPLE_U8,
    SAMPLE_I8,
    SAMPLE_U16,
    SAMPLE_I16,
    SAMPLE_U32,
    SAMPLE_I32,
    SAMPLE_U64,
    SAMPLE_I64,
    SAMPLE_F32,
    SAMPLE_F64
};

size_t sample_bytes(enum sample type);
const char *sample_name(enum sample type); /* "int16" */
/* COVER_U8, COVER_U16 or COVER_F32: the first that takes all values of the type, float32's rounding allowed for. */
cover_dtype sample_dtype(enum sample type);

/* Turn the byte order of `count` values of 1, 2, 4 or 8 bytes, in place. */
void samples_swap(void *samples, size_t bytes, size_t count);
/* One value as a double. */
double sample_value(const void *from, enum sample type);
/* Copy values that keep their type (sample_dtype() is U8 or U16), or convert to float32, v * slope + intercept.  Memory
 * need not be aligned. */
void samples_copy(void *to, const void *from, enum sample type, size_t count);
void samples_to_float(float *to, const void *from, enum sample type, size_t count, double slope, double intercept);

#endif
