/* Sizes of an image: 2D and 3D in one form.  Memory order of pixels is D, H, W with channels last. */
#ifndef COVER_GRID_H
#define COVER_GRID_H

#include <stdbool.h>
#include <stdint.h>

struct grid {
    int ndim;        /* 2 or 3 */
    int64_t size[3]; /* D, H, W; D = 1 in 2D */
};
/* Axis a = 0..ndim-1 of the image in array-axis order is size[3 - ndim + a]. */
static inline int64_t grid_axis(const struct grid *grid, int axis) { return grid->size[3 - grid->ndim + axis]; }
static inline int64_t grid_pixels(const struct grid *grid) { return grid->size[0] * grid->size[1] * grid->size[2]; }
static inline bool grid_same(const struct grid *a, const struct grid *b) {
    return a->ndim == b->ndim && a->size[0] == b->size[0] && a->size[1] == b->size[1] && a->size[2] == b->size[2];
}

enum coordinates { COORDINATES_EXACT, COORDINATES_RELEASED };

#endif
