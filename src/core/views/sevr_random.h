/* Random images: a number at each integer place, drawn by Philox from what it is for and where it is, many at a time.
 * A part of an image may be drawn alone and is the same as in the whole.  Called by the parts of SeVR. */
#ifndef COVER_SEVR_RANDOM_H
#define COVER_SEVR_RANDOM_H

#include "core/base/philox.h"

struct random_image {
    uint64_t seed;
    enum random_use use;
    uint32_t plane; /* below 256: several images for one use; 0 is what random_stream() draws from */
    uint32_t step, sample;
};

/* Values at places first .. first + count - 1, in [0, 1) with 24 bits. */
void random_image_uniform(float *values, const struct random_image *image, int64_t first, int64_t count);
/* The same, standard normal. */
void random_image_normal(float *values, const struct random_image *image, int64_t first, int64_t count);

#endif
