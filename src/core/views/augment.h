/* One training sample of a downstream task, drawn from an image and its label: crop, affine map, flips, appearance (the
 * augmentation of the paper's fine-tuning, supplement C.2.2, made of SeVR's parts); and the same image without chance.
 * Called by the fine-tuning trainer's prefetch threads, by validation and by prediction. */
#ifndef COVER_AUGMENT_H
#define COVER_AUGMENT_H

#include "core/base/base.h"
#include "core/base/grid.h"
#include "core/settings/settings.h"

struct augment; /* one worker's scratch memory for given settings; not shared between threads */

/* COVER_ERROR_SHAPE when the product of crop and channels does not fit. */
cover_status augment_create(struct augment **augment, cover_context *context, const struct settings *settings);
void augment_destroy(struct augment *augment); /* takes NULL */

/* Make room for images of up to this size, so that draws allocate nothing. */
cover_status augment_reserve(struct augment *augment, const struct grid *largest);
size_t augment_bytes(const struct augment *augment); /* of scratch memory held now */

/* Would augment_draw() take an image of this size?  COVER_ERROR_SHAPE says what does not fit and the remedy. */
cover_status augment_accepts(const struct settings *settings, const struct grid *grid, int channels);

/* Draw sample (seed, step, index) from one image:
 *   1. intensities as in pretraining, the image resized to `work` (linear), a crop of it: anywhere, or with probability
 *      `foreground` where it shows a random pixel of a random class above 0;
 *   2. one affine map about the crop's centre (eq. 18; `translate` is a fraction of the crop here): the image linear, the
 *      label from the nearest pixel of the stored label, both at the same positions.  Without chance in translate,
 *      rotate_degrees, shear_degrees, scale_low and scale_high the crop is an exact copy;
 *   3. flips of an axis with probability 1/2 each; 4. SeVR's changes of appearance, of the image alone.
 * What lies outside the image is 0 after normalisation and ignored (-1) in the label; an image smaller than the crop
 * lies in its middle.
 *
 * out_image: crop pixels x channels, channels last.  out_label: crop pixels, class index or -1; NULL = not wanted.
 * image: channels last, float32, intensities as stored.  label: a class a pixel of `grid`, or NULL (classification).
 * ignore: the label's value that becomes -1, -1 = none.  integer_max: 255 or 65535 for such integer images, else 0.
 * Same arguments, same sample, bit for bit, on any thread.  COVER_ERROR_NUMERIC names a pixel that is NaN or Inf. */
cover_status augment_draw(struct augment *augment, float *out_image, float *out_label, const float *image, const uint16_t *label,
                          int ignore, const struct grid *grid, int channels, float integer_max, uint64_t seed, uint32_t step,
                          uint32_t index);

/* The whole image without chance: normalised, resized to `work` (0 = as it is), channels last.
 * grid: in, of the image; out, of the result.  *out: release with memory_free(). */
cover_status augment_plain(cover_context *context, const struct settings *settings, float **out, struct grid *grid,
                           const float *image, int channels, float integer_max);

#endif
