/* Images to another size, half-pixel centres: linear, with a triangle as wide as the step when shrinking (so nothing
 * aliases), for pixels; the nearest value for labels.  Called by pack. */
#ifndef COVER_RESAMPLE_H
#define COVER_RESAMPLE_H

#include "image.h"

/* Resize in place; integers are rounded half to even.  spacing_mm and affine are changed so that the image keeps its
 * extent in the world.  On failure the image is as it was. */
cover_status resample_linear(struct image *image, cover_context *context, const int64_t size[3]);
cover_status resample_nearest(struct image *image, cover_context *context, const int64_t size[3]);
/* The same within the context's memory limit; what cannot be is refused before the first step. */
cover_status resample_linear_within(struct image *image, cover_context *context, const int64_t size[3]);
cover_status resample_nearest_within(struct image *image, cover_context *context, const int64_t size[3]);

#endif
