/* Element conversion between any two dtypes, one run of elements at a time.  Called by tensor.c, and by
 * who reads stored images. */
#ifndef COVER_CONVERT_H
#define COVER_CONVERT_H

#include "base.h"

#include <libcover/tensor.h>

/* Strides in elements, of any sign; memory of any alignment.  To integers: half to even, saturating, NaN gives 0.
 * To floats: half to even, overflow gives infinity.  Every conversion rounds once. */
void convert_run(void *target, cover_dtype to, int64_t target_stride, const void *source, cover_dtype from, int64_t source_stride,
                 int64_t count);

/* The largest value of u8 and u16, in which images are stored; 0 for other types. */
int dtype_integer_max(cover_dtype dtype);

float half_to_float(uint16_t half);
uint16_t float_to_half(float value);
float bfloat_to_float(uint16_t bfloat);
uint16_t float_to_bfloat(float value);

#endif
