/* The label's side of a drawn sample: a random foreground pixel, and the label at the positions that the image is read
 * at.  Called by augment.c. */
#ifndef COVER_AUGMENT_LABEL_H
#define COVER_AUGMENT_LABEL_H

#include "sevr_parts.h"

enum { LABEL_VALUES = 1 << 16 };

/* A random pixel (D, H, W) of a random class that is present, above 0 and not `ignore`; false when there is none.
 * counts: LABEL_VALUES zeros, and zeros again afterwards. */
bool label_foreground(int64_t pixel[3], const uint16_t *label, int ignore, const struct grid *grid, struct random_stream *stream,
                      int64_t *counts);

/* out(p) = the label's pixel nearest to p + field(p) of the resized image, -1 outside; field NULL = zeros. */
void label_read(float *out, const uint16_t *label, int ignore, const struct grid *grid, const float *field,
                const struct draw *draw);

#endif
