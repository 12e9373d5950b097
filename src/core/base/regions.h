/* The regions of a feature map that local contrast compares (Chaitanya et al., NeurIPS 2020): blocks of 3 pixels an axis whose places
 * are quarters of what the map leaves them, and the five places that each has as its negatives.  In 2D the authors' own, some of whose
 * negatives are no regions themselves; in 3D the corners, middles and centres of {0, 2, 4}^3 and {1, 3}^3, each with the nearest five.
 * Read by the kernels of region_blocks and by its shape rule. */
#ifndef COVER_REGIONS_H
#define COVER_REGIONS_H

#include "grid.h"

#include <stdint.h>

enum { REGION_SIDE = 3, REGION_NEGATIVES = 5, REGION_LEAST = 8, REGIONS_2D = 13, REGIONS_3D = 35 };
enum { REGION_PLACES = REGIONS_3D * (1 + REGION_NEGATIVES) }; /* most of them */

/* (z, y, x) in quarters; z is 0 in 2D.  The regions, then the negatives of the first, of the second, and so on. */
struct regions {
    int count; /* of regions; there are (1 + REGION_NEGATIVES) times as many places */
    uint8_t place[REGION_PLACES][3];
};

#ifdef __cplusplus
extern "C"
#endif
    void
    regions_of(struct regions *regions, int ndim);

static inline int region_places(int ndim) { return (ndim == 2 ? REGIONS_2D : REGIONS_3D) * (1 + REGION_NEGATIVES); }
static inline int64_t region_pixels(int ndim) {
    return ndim == 2 ? REGION_SIDE * REGION_SIDE : REGION_SIDE * REGION_SIDE * REGION_SIDE;
}
/* Where a block begins along an axis of so many pixels. */
static inline int64_t region_start(int quarters, int64_t size) { return quarters * (size - 4) / 4; }

#endif
