/* Pixels of an image whatever their dtype, for the steps of pack.  Called by pack_image.c and pack_clip.c. */
#ifndef COVER_PACK_PIXELS_H
#define COVER_PACK_PIXELS_H

#include "pack.h"

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
cover_status pack_check_varies(const struct image *image, const char *when);
/* Clip to the window or the percentiles that the options ask for. */
cover_status pack_clip(struct image *image, cover_context *context, const cover_pack_options *options);

#endif
