/* Images at the border of a network that wants multiples of a number: padded at the far edges by repeating the border, results
 * cropped back (method: Numerics that must agree, Sizes). */
#ifndef COVER_BORDER_H
#define COVER_BORDER_H

#include "core/base/grid.h"

/* The next grid whose sizes are multiples of `multiple`. */
struct grid border_padded(const struct grid *grid, int64_t multiple);
/* Copy channels-last pixels; where `to` is larger the last ones are repeated, where it is smaller the rest is left out. */
void border_copy(float *to, const struct grid *to_grid, const float *from, const struct grid *from_grid, int64_t channels);

#endif
