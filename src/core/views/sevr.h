/* SeVR: two views of one image and the displacement field between them (paper, section 3.2; supplement B.1-B.3).
 * Called by the trainer's prefetch threads and by the public sampler. */
#ifndef COVER_SEVR_H
#define COVER_SEVR_H

#include "core/base/base.h"
#include "core/base/grid.h"
#include "core/settings/settings.h"

/* One pair, channels last, float32; memory of the caller (sevr_pair_bytes says how much each needs). */
struct view_pair {
    float *moving;    /* a: crop pixels x channels, appearance changed */
    float *fixed;     /* b = warp(image, field), cropped */
    float *field;     /* crop pixels x ndim, pixels, array-axis order; b(p) = a(p + field(p)) within the crop */
    float *mask;      /* crop pixels, 0 or 1: p + field(p) inside the crop */
    int64_t valid;    /* number of ones in mask */
    double zero_loss; /* sum over valid pixels and axes of |field| */
};
struct view_bytes {
    size_t image, field, mask; /* of moving and of fixed; of field; of mask */
};

struct sevr; /* one worker's scratch memory for given settings; not shared between threads */

/* COVER_ERROR_SHAPE when crop and work do not fit, or the product of sizes does not. */
cover_status sevr_create(struct sevr **sevr, cover_context *context, const struct settings *settings);
void sevr_destroy(struct sevr *sevr); /* takes NULL */

/* Would sevr_draw() take an image of this size?  COVER_ERROR_SHAPE names the sizes that do not fit and the remedy. */
cover_status sevr_accepts(const struct settings *settings, const struct grid *grid, int channels);

/* Make room for images of up to this size, so that draws allocate nothing.  Only `work` axes of 0 depend on it. */
cover_status sevr_reserve(struct sevr *sevr, const struct grid *largest);
size_t sevr_bytes(const struct sevr *sevr); /* of scratch memory held now */
struct view_bytes sevr_pair_bytes(const struct sevr *sevr);

/* Draw pair (seed, step, sample) from one image.
 * image: channels last, float32, any size that sevr_accepts(); intensities as stored (normalised here).
 * integer_max: 255 or 65535 for such integer images, else 0: `max` normalises those by their range.
 * Same arguments, same pair, bit for bit, on any thread.  COVER_ERROR_NUMERIC names a pixel that is NaN or Inf. */
cover_status sevr_draw(struct sevr *sevr, struct view_pair *pair, const float *image, const struct grid *grid, int channels,
                       float integer_max, uint64_t seed, uint32_t step, uint32_t sample);

#endif
