/* What is done to an image's intensities before a network sees them, in training and after it alike.
 * Called by the makers of views, by match and by the analyses. */
#ifndef COVER_INTENSITY_H
#define COVER_INTENSITY_H

#include "core/base/base.h"
#include "core/base/grid.h"

struct intensity { /* normalised = (clip(x, low, high) - offset) / divisor */
    float low, high, offset, divisor;
};
/* What the setting alone says; false: offset and divisor follow from the range of the image. */
bool intensity_of_settings(struct intensity *intensity, int normalise, float integer_max);
/* integer_max: of the type of stored values, 0 for floats (dtype_integer_max()).  COVER_ERROR_NUMERIC: a value is not finite. */
cover_status image_intensity(struct intensity *intensity, const float *image, const struct grid *grid, int channels, int normalise,
                             float integer_max);
void intensity_apply(float *values, int64_t count, const struct intensity *intensity);

#endif
