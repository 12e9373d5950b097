/* Class probabilities of an image at one size as a label map at another.  Called by validation and by the predictor. */
#ifndef COVER_SCORES_H
#define COVER_SCORES_H

#include "../core/base/base.h"
#include "../core/base/grid.h"

/* The largest of the classes' scores at each pixel of `to`, the first of equals.  scores: (pixels of `from`, classes), read linearly
 * between half-pixel centres, the border repeated. */
void scores_to_labels(uint16_t *labels, const struct grid *to, const float *scores, const struct grid *from, int classes);

#endif
