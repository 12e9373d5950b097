/* Where the cells of a pair lie, in pixels of the moving view: those of the moving one in their lattice, those of the fixed one moved by
 * the mean field of each; and how long a cell's diagonal is, by which distances are told.  Included by ops_cells.c. */
#ifndef COVER_CPU_CELL_PLACES_H
#define COVER_CPU_CELL_PLACES_H

#include "op_call.h"

#include <math.h>

struct cell_places {
    struct grid grid;
    double cell, limit; /* limit: of the square of a distance */
    double at[][3];     /* of the fixed view's cells */
};
static inline size_t cell_places_bytes(const struct grid *grid) {
    return sizeof(struct cell_places) + 3 * sizeof(double) * (size_t)grid_pixels(grid);
}

static inline void lattice_place(double at[3], const struct grid *grid, double cell, int64_t index) {
    const int64_t on[3] = {index / grid->size[2] / grid->size[1], index / grid->size[2] % grid->size[1], index % grid->size[2]};
    for (int a = 0; a < 3; a++) at[a] = a < 3 - grid->ndim ? 0 : cell * (double)on[a] + (cell - 1) / 2;
}
static inline double square_between(const double a[3], const double b[3]) {
    double sum = 0;
    for (int i = 0; i < 3; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/* Mean over neighbours along an axis of the square of the step between them; of an axis of one cell, that of a cell. */
static inline double square_step(const struct cell_places *p, int axis) {
    const int64_t stride = axis == 2 ? 1 : axis == 1 ? p->grid.size[2] : p->grid.size[2] * p->grid.size[1];
    const int64_t cells = grid_pixels(&p->grid), size = p->grid.size[axis];
    double sum = 0;
    if (size == 1) return p->cell * p->cell;
    for (int64_t i = 0; i < cells; i++)
        if (i / stride % size + 1 < size) sum += square_between(p->at[i], p->at[i + stride]);
    return sum / (double)(cells / size * (size - 1));
}

/* Cells are near where the distance between their centres is below threshold x the longer diagonal of both views. */
static inline void find_places(struct cell_places *p, const float *field, const struct grid *grid, int cell, double threshold) {
    const int ndim = grid->ndim;
    double own = ndim * (double)cell * cell, other = 0;
    p->grid = *grid, p->cell = cell;
    for (int64_t i = 0; i < grid_pixels(grid); i++) {
        lattice_place(p->at[i], grid, cell, i);
        for (int a = 0; a < ndim; a++) p->at[i][3 - ndim + a] += field[i * ndim + a];
    }
    for (int axis = 3 - ndim; axis < 3; axis++) other += square_step(p, axis);
    p->limit = threshold * threshold * (own > other ? own : other);
}
static inline bool cells_near(const struct cell_places *p, const double moving[3], int64_t fixed) {
    return square_between(moving, p->at[fixed]) < p->limit;
}

#endif
