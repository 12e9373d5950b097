/* Class probabilities of an image at one size as a label map at another.  Called by validation (finetune/judge_seg.c) and by output_seg.c. */
#ifndef COVER_SCORES_H
#define COVER_SCORES_H

#include "core/base/base.h"
#include "core/base/grid.h"

/* The largest of the classes' scores at each pixel of `to`, the first of equals.  scores: (pixels of `from`, classes), resampled
 * linearly as images are (io/image/resample.h).  planes: also the resampled scores, (classes, pixels of `to`); NULL = not wanted. */
cover_status scores_to_labels(uint16_t *labels, float *planes, cover_context *context, const struct grid *to, const float *scores,
                              const struct grid *from, int classes);

#endif
