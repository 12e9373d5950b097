/* The field of an affine map and the sums of its gradient, plain C; simd/affine.c compiles the same for vectors.  core/base/affine_map.h
 * has the map. */
#include "../forms.h"

#include "core/base/affine_map.h"

/* (p - c) along an axis, at its first pixel. */
static double first_of(const struct grid *grid, int axis) { return -(double)(grid->size[axis] - 1) / 2; }

void PLAIN(affine_field)(float *field, const float *numbers, const struct grid *grid, int slab, int slabs) {
    const int d = grid->ndim;
    affine_matrix m;
    double t[3];
    int64_t begin, end;
    affine_map(m, t, numbers, d);
    for (int i = 0; i < d; i++) m[i][i] -= 1;
    slab_share(grid->size[0] * grid->size[1], slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const double at[3] = {first_of(grid, 0) + (double)(row / grid->size[1]), first_of(grid, 1) + (double)(row % grid->size[1]),
                              first_of(grid, 2)};
        for (int i = 0; i < d; i++) {
            double value = t[i];
            for (int j = 0; j < d; j++) value += m[i][j] * at[3 - d + j];
            for (int64_t x = 0; x < grid->size[2]; x++)
                field[(row * grid->size[2] + x) * d + i] = (float)(value + m[i][d - 1] * (double)x);
        }
    }
}

void PLAIN(affine_field_grad)(double *sums, const float *dfield, const struct grid *grid, int block, int blocks) {
    const int d = grid->ndim;
    int64_t begin, end;
    for (int i = 0; i < AFFINE_SUMS; i++) sums[i] = 0;
    slab_share(grid->size[0] * grid->size[1], block, blocks, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const double at[3] = {first_of(grid, 0) + (double)(row / grid->size[1]), first_of(grid, 1) + (double)(row % grid->size[1]),
                              0};
        for (int i = 0; i < d; i++) {
            double sum = 0, moment = 0; /* of this row */
            for (int64_t x = 0; x < grid->size[2]; x++) {
                const double slope = dfield[(row * grid->size[2] + x) * d + i];
                sum += slope, moment += slope * (first_of(grid, 2) + (double)x);
            }
            for (int j = 0; j < d - 1; j++) sums[3 * i + j] += sum * at[3 - d + j];
            sums[3 * i + d - 1] += moment, sums[9 + i] += sum;
        }
    }
}
