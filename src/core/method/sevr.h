/* SeVR: two views of one image and the displacement field between them (paper, section 3.2; supplement B.1-B.3).
 * Called by the trainer's prefetch threads and by the public sampler. */
#ifndef COVER_SEVR_H
#define COVER_SEVR_H

#include "../base/base.h"
#include "../base/grid.h"
#include "../train/settings.h"

/* One pair, channels last, float32; memory of the caller (sevr_pair_bytes says how much each needs). */
struct view_pair {
    float *moving;    /* a: crop pixels x channels, appearance changed */
    float *fixed;     /* b = warp(image, field), cropped */
    float *field;     /* crop pixels x ndim, pixels, array-axis order; b(p) = a(p + field(p)) within the crop */
    float *mask;      /* crop pixels, 0 or 1: p + field(p) inside the crop */
    int64_t valid;    /* number of ones in mask */
    double zero_loss; /* sum over valid pixels and axes of |field| */
};

struct sevr; /* one worker's scratch memory for given settings; not shared between threads */

cover_status sevr_create(struct sevr **sevr, cover_context *context, const struct settings *settings);
void sevr_destroy(struct sevr *sevr); /* takes NULL */
size_t sevr_bytes(const struct sevr *sevr);

/* Draw pair (seed, step, sample) from one image.
 * image: channels last, float32, any size that the settings accept; intensities as stored (normalised here).
 * integer_max: 255 or 65535 for integer images, 0 for float ones (`max` normalisation).
 * Same arguments, same pair, bit for bit, on any thread. */
cover_status sevr_draw(struct sevr *sevr, struct view_pair *pair, const float *image, const struct grid *grid,
                       int channels, float integer_max, uint64_t seed, uint64_t step, uint32_t sample);

#endif
