/* Means over cells of `cell` pixels an axis, plain C: what the forms in simd/cells.c must equal.  Cells lie side by side and fill the grid.
 *
 *   cell_pool  y(q) = mean of x over the pixels of cell q          cell_pool_grad  dx(p) = dy(the cell of p) / pixels of a cell */
#include "load.h"

static struct grid grid_of_cells(const struct grid *grid, int cell) {
    struct grid cells = *grid;
    for (int i = 3 - grid->ndim; i < 3; i++) cells.size[i] /= cell;
    return cells;
}
static int64_t cell_of(const struct grid *grid, int cell, int64_t pixel) {
    const struct grid cells = grid_of_cells(grid, cell);
    const int64_t x = pixel % grid->size[2] / cell, y = pixel / grid->size[2] % grid->size[1] / cell;
    const int64_t z = pixel / grid->size[2] / grid->size[1] / (grid->ndim == 3 ? cell : 1);
    return (z * cells.size[1] + y) * cells.size[2] + x;
}

void PLAIN(cell_pool)(float *y, const void *x, const struct norm_load *norm, const struct grid *grid, int64_t channels, int cell,
                      int slab, int slabs) {
    const struct grid cells = grid_of_cells(grid, cell);
    const int64_t deep = grid->ndim == 3 ? cell : 1, pixels = deep * cell * cell;
    int64_t begin, end;
    slab_share(grid_pixels(&cells), slab, slabs, &begin, &end);
    for (int64_t q = begin; q < end; q++) {
        const int64_t x0 = q % cells.size[2] * cell, y0 = q / cells.size[2] % cells.size[1] * cell;
        const int64_t z0 = q / cells.size[2] / cells.size[1] * deep;
        for (int64_t c = 0; c < channels; c++) {
            double sum = 0;
            for (int64_t p = 0; p < pixels; p++) {
                const int64_t z = z0 + p / cell / cell, h = y0 + p / cell % cell, w = x0 + p % cell;
                sum += load(((const element *)x)[((z * grid->size[1] + h) * grid->size[2] + w) * channels + c], norm, c);
            }
            y[q * channels + c] = (float)(sum / (double)pixels);
        }
    }
}

void PLAIN(cell_pool_grad)(void *dx, const float *dy, const struct grid *grid, int64_t channels, int cell, int slab, int slabs) {
    const double pixels = (double)(cell * cell) * (grid->ndim == 3 ? cell : 1);
    int64_t begin, end;
    slab_share(grid_pixels(grid), slab, slabs, &begin, &end);
    for (int64_t p = begin; p < end; p++)
        for (int64_t c = 0; c < channels; c++)
            ((element *)dx)[p * channels + c] = from_float((float)(dy[cell_of(grid, cell, p) * channels + c] / pixels));
}
