/* Intensities as the setting `normalise` says (intensity.h). */
#include "intensity.h"

#include "core/settings/settings.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

static cover_status fail_at(const float *image, const struct grid *grid, int channels, int64_t index) {
    int64_t pixel = index / channels, x = pixel % grid->size[2], y = pixel / grid->size[2] % grid->size[1],
            z = pixel / grid->size[2] / grid->size[1];
    char place[64] = "";
    if (grid->ndim == 3) snprintf(place, sizeof place, "z %lld, ", (long long)z);
    return fail(COVER_ERROR_NUMERIC, "image: the pixel at %sy %lld, x %lld, channel %d is %g; repair or leave out the image", place,
                (long long)y, (long long)x, (int)(index % channels), (double)image[index]);
}

/* Smallest and largest value; COVER_ERROR_NUMERIC when one is NaN or Inf. */
static cover_status value_range(float *smallest, float *largest, const float *image, const struct grid *grid, int channels) {
    enum { LANES = 16 };
    float low[LANES], high[LANES], poison[LANES] = {0}; /* x * 0 is 0, or NaN for NaN and Inf */
    int64_t count = grid_pixels(grid) * channels, i = 0;
    for (int l = 0; l < LANES; l++) low[l] = FLT_MAX, high[l] = -FLT_MAX;
    for (; i + LANES <= count; i += LANES)
        for (int l = 0; l < LANES; l++) {
            float x = image[i + l];
            low[l] = x < low[l] ? x : low[l], high[l] = x > high[l] ? x : high[l];
            poison[l] += x * 0.0f;
        }
    for (; i < count; i++) {
        float x = image[i];
        low[0] = x < low[0] ? x : low[0], high[0] = x > high[0] ? x : high[0];
        poison[0] += x * 0.0f;
    }
    float sum = 0;
    for (int l = 0; l < LANES; l++) {
        low[0] = fminf(low[0], low[l]), high[0] = fmaxf(high[0], high[l]);
        sum += poison[l];
    }
    if (sum != 0)
        for (i = 0; i < count; i++)
            if (!isfinite(image[i])) return fail_at(image, grid, channels, i);
    *smallest = low[0], *largest = high[0];
    return COVER_OK;
}

bool intensity_of_settings(struct intensity *intensity, int normalise, float integer_max) {
    *intensity = (struct intensity){-FLT_MAX, FLT_MAX, 0, 1};
    if (normalise == NORMALISE_CLIP2048) *intensity = (struct intensity){0, 2048, 0, 2048};
    else if (normalise == NORMALISE_MAX && integer_max > 0) intensity->divisor = integer_max;
    else return normalise == NORMALISE_NONE;
    return true;
}

cover_status image_intensity(struct intensity *intensity, const float *image, const struct grid *grid, int channels, int normalise,
                             float integer_max) {
    float smallest = 0, largest = 0;
    TRY(value_range(&smallest, &largest, image, grid, channels));
    if (!isfinite(largest - smallest))
        return fail(COVER_ERROR_NUMERIC, "image: the range %g..%g does not fit float32; rescale the image", (double)smallest,
                    (double)largest);
    if (!intensity_of_settings(intensity, normalise, integer_max)) {
        intensity->offset = smallest;
        intensity->divisor = largest > smallest ? largest - smallest : 1; /* a constant image becomes zeros */
    }
    return COVER_OK;
}

void intensity_apply(float *values, int64_t count, const struct intensity *intensity) {
    for (int64_t i = 0; i < count; i++)
        values[i] = (fminf(fmaxf(values[i], intensity->low), intensity->high) - intensity->offset) / intensity->divisor;
}
