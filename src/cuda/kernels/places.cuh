/* Where the cells of a pair lie: cpu/cell_places.h on the device.  Included by files of kernels/ that tell distances between cells. */
#ifndef COVER_CUDA_PLACES_CUH
#define COVER_CUDA_PLACES_CUH

#include "reduce.cuh"

namespace {

struct lattice {
    int size[3], ndim;
    double cell, threshold;
    __device__ int cells() const { return size[0] * size[1] * size[2]; }
};
inline lattice lattice_of(const cuda_cells *s) {
    return lattice{
        {(int)s->grid.size[0], (int)s->grid.size[1], (int)s->grid.size[2]}, s->grid.ndim, (double)s->cell, (double)s->threshold};
}

struct place {
    double at[3];
};
__device__ inline place moving_place(const lattice &s, int index) {
    const int on[3] = {index / s.size[2] / s.size[1], index / s.size[2] % s.size[1], index % s.size[2]};
    place p;
#pragma unroll
    for (int a = 0; a < 3; a++) p.at[a] = a < 3 - s.ndim ? 0 : s.cell * (double)on[a] + (s.cell - 1) / 2;
    return p;
}
__device__ inline place fixed_place(const lattice &s, const float *field, int index) {
    place p = moving_place(s, index);
#pragma unroll
    for (int axis = 0; axis < 3; axis++)
        if (axis >= 3 - s.ndim) p.at[axis] += (double)field[index * s.ndim + axis - (3 - s.ndim)];
    return p;
}
__device__ inline double square_between(const place &a, const place &b) {
    double sum = 0;
#pragma unroll
    for (int i = 0; i < 3; i++) sum += (a.at[i] - b.at[i]) * (a.at[i] - b.at[i]);
    return sum;
}

/* The square below which the distance between near cells is, of one image's field, by a block; all its threads get it. */
struct limit_tiles {
    block_tiles<3> sums;
    double limit;
};
__device__ inline double square_limit(limit_tiles &tiles, const lattice &s, const float *field) {
    double sums[3] = {0, 0, 0};
    for (int i = (int)threadIdx.x; i < s.cells(); i += BLOCK) {
#pragma unroll
        for (int axis = 0; axis < 3; axis++) {
            const int stride = axis == 2 ? 1 : axis == 1 ? s.size[2] : s.size[2] * s.size[1];
            if (axis >= 3 - s.ndim && i / stride % s.size[axis] + 1 < s.size[axis])
                sums[axis] += square_between(fixed_place(s, field, i), fixed_place(s, field, i + stride));
        }
    }
    block_sum(sums, tiles.sums);
    if (threadIdx.x == 0) {
        double other = 0;
        const double own = s.ndim * s.cell * s.cell;
#pragma unroll
        for (int axis = 0; axis < 3; axis++)
            if (axis >= 3 - s.ndim)
                other += s.size[axis] == 1 ? s.cell * s.cell : sums[axis] / (double)(s.cells() / s.size[axis] * (s.size[axis] - 1));
        tiles.limit = s.threshold * s.threshold * (own > other ? own : other);
    }
    __syncthreads();
    return tiles.limit;
}

} // namespace

#endif
