/* Means over cells: the forms of plain/cells.c, vectors along the channels.  A cell's line of pixels is added up in float, lines in double. */
#include "vec.h"

INLINE void mean_of_cell(float *y, const element *x, const struct norm_load *norm, const struct grid *grid, int64_t channels,
                         int64_t deep, int64_t cell, int64_t c) {
    const int64_t left = channels - c;
    vf scale, offset;
    vd low = vd_zero(), high = vd_zero();
    v_load_norm(&scale, &offset, norm, c, left);
    for (int64_t z = 0; z < deep; z++)
        for (int64_t h = 0; h < cell; h++) {
            const element *line = x + (z * grid->size[1] + h) * grid->size[2] * channels + c;
            vf sum = v_zero();
            for (int64_t w = 0; w < cell; w++) sum += v_normed(v_load_first_e(line + w * channels, left), norm, scale, offset);
            low += vd_low(sum), high += vd_high(sum);
        }
    const double pixels = (double)(deep * cell * cell);
    double sum[LANES];
    vd_store(sum, low), vd_store(sum + LANES / 2, high);
    for (int64_t i = 0; i < LANES && i < left; i++) y[c + i] = (float)(sum[i] / pixels);
}

void FORM(cell_pool)(float *y, const void *x, const struct norm_load *norm, const struct grid *grid, int64_t channels, int cell,
                     int slab, int slabs) {
    const int64_t deep = grid->ndim == 3 ? cell : 1, across = grid->size[2] / cell, down = grid->size[1] / cell;
    int64_t begin, end;
    slab_share(grid->size[0] / deep * down * across, slab, slabs, &begin, &end);
    for (int64_t q = begin; q < end; q++) {
        const int64_t z = q / across / down * deep, h = q / across % down * cell, w = q % across * cell;
        const element *first = (const element *)x + ((z * grid->size[1] + h) * grid->size[2] + w) * channels;
        for (int64_t c = 0; c < channels; c += LANES) mean_of_cell(y + q * channels, first, norm, grid, channels, deep, cell, c);
    }
}

void FORM(cell_pool_grad)(void *dx, const float *dy, const struct grid *grid, int64_t channels, int cell, int slab, int slabs) {
    const int64_t deep = grid->ndim == 3 ? cell : 1, across = grid->size[2] / cell, down = grid->size[1] / cell;
    const vf share = v_all((float)(1 / (double)(deep * cell * cell)));
    int64_t begin, end;
    slab_share(grid->size[0] * grid->size[1], slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const float *from = dy + (row / grid->size[1] / deep * down + row % grid->size[1] / cell) * across * channels;
        for (int64_t w = 0; w < grid->size[2]; w++)
            for (int64_t c = 0; c < channels; c += LANES) {
                const vf value = v_load_first(from + w / cell * channels + c, channels - c) * share;
                v_store_first_e((element *)dx + (row * grid->size[2] + w) * channels + c, value, channels - c);
            }
    }
}
