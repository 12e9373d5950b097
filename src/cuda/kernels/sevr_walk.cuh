/* How SeVR's kernels go over rows of a box, and over flat arrays.  Included by sevr.cu and sevr_smooth.cu. */
#ifndef COVER_CUDA_SEVR_WALK_CUH
#define COVER_CUDA_SEVR_WALK_CUH

#include "sevr_random.cuh"

namespace sevr {

enum { LANES = 32, ROWS = 8, THREADS = LANES * ROWS };

__device__ static inline float lerp(float a, float b, float weight) { return plus(a, times(weight, plus(b, -a))); }

/* A box: planes of lines of values. */
struct walk {
    int planes, lines, values;
};
static inline dim3 blocks_for(const struct walk &walk) {
    const int64_t rows = ((int64_t)walk.planes * walk.lines + ROWS - 1) / ROWS, most = 8192;
    return dim3((unsigned)((walk.values + LANES - 1) / LANES), (unsigned)(rows < most ? rows : most));
}
/* The body that follows runs for each value of a thread: number i of line y of plane z, `row` counts the lines of all planes. */
#define EACH_ROW(walk)                                                                                                             \
    const int i = (int)blockIdx.x * LANES + (int)threadIdx.x;                                                                      \
    for (int row = (int)blockIdx.y * ROWS + (int)threadIdx.y, z, y; row < (walk).planes * (walk).lines;                            \
         row += (int)gridDim.y * ROWS)                                                                                             \
        if (z = row / (walk).lines, y = row - z * (walk).lines, i < (walk).values)
static const dim3 by_rows(LANES, ROWS);

/* Blocks of THREADS for a flat array, `most` of them: a kernel that is given fewer than it needs goes round. */
static inline dim3 flat(int64_t values, int64_t most) {
    const int64_t blocks = (values + THREADS - 1) / THREADS;
    return dim3((unsigned)(blocks < most ? blocks : most));
}

} // namespace sevr
#endif
