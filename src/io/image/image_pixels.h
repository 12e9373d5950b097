/* Pixels of an image whatever their dtype, for the steps of its preparation.  Called by image_rules.c, image_clip.c,
 * image_files.c and pack_image.c. */
#ifndef COVER_IMAGE_PIXELS_H
#define COVER_IMAGE_PIXELS_H

#include "image_rules.h"

static inline int64_t pixels_of(const struct image *image) { return image->size[0] * image->size[1] * image->size[2]; }
static inline int64_t values_of(const struct image *image) { return pixels_of(image) * image->channels; }

static inline double value_at(const struct image *image, int64_t i) {
    switch (image->dtype) {
    case COVER_U8:
        return ((const uint8_t *)image->data)[i];
    case COVER_U16:
        return ((const uint16_t *)image->data)[i];
    default:
        return (double)((const float *)image->data)[i];
    }
}

/* An error when all pixels are the same; `when` ends the text: "" or " once resampled". */
cover_status image_check_varies(const struct image *image, const char *when);
/* Clip to the window or the percentiles that the rules ask for. */
cover_status image_clip(struct image *image, cover_context *context, const struct image_rules *rules);

#endif
