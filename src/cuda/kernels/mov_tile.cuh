/* MoV's tiles: which pixels a block and a thread have, and how features come into shared memory and back.  Used by mov.cu. */
#ifndef COVER_CUDA_MOV_TILE_CUH
#define COVER_CUDA_MOV_TILE_CUH

#include "mov_any.cuh"
#include "pack.cuh"

namespace mov {

/* Tests build copies of mov.cu with a fault each, which they must find. */
enum { FAULT_NONE, FAULT_NO_BARRIER, FAULT_HALO };
#ifndef FAULT
#define FAULT FAULT_NONE
#endif

/* One form of the kernels: heads of up to DIM channels, PIXELS (1, 2 or 4) neighbours a thread. */
template <int NDIM, int RADIUS, int DIM, int PIXELS, int EXTRA> struct form {
    static constexpr int ndim = NDIM, radius = RADIUS, dim = DIM, pixels = PIXELS;
    static constexpr int extra = EXTRA; /* planes of a tile behind those of the channels */
    static constexpr int window = 2 * RADIUS + 1, planes = NDIM == 3 ? window : 1;
    static constexpr int lanes = DIM <= 8 ? 32 / PIXELS : 16, rows = DIM <= 8 ? 128 / lanes : 4; /* threads of a block */
    static constexpr int threads = lanes * rows, width = lanes * PIXELS;
    static constexpr int blocks = DIM <= 8 ? 4 : 6; /* a multiprocessor, at least: 128 registers a thread, or 168 */
    static constexpr int span = (PIXELS + 2 * RADIUS + PIXELS - 1) / PIXELS * PIXELS; /* of a row, that a thread reads */
    static constexpr int pitch = width - PIXELS + span, height = rows + 2 * RADIUS;

    /* A multiple of PIXELS floats from a multiple of PIXELS on. */
    __device__ static void read(float (&out)[span], const float *from) {
#pragma unroll
        for (int at = 0; at < span; at += PIXELS) {
            pack<float, PIXELS> part;
            part.load(from + at);
#pragma unroll
            for (int i = 0; i < PIXELS; i++) out[at + i] = part.value[i];
        }
    }
};

template <class F> struct tile_of {
    alignas(16) float value[F::dim + F::extra][F::height][F::pitch];
};

/* A thread's pixels. */
template <class F> struct place {
    int thread, row, column;          /* within the block's tile */
    int head, first_y, first_x;       /* of the tile */
    int z, y, x, size[3];             /* of the thread's first pixel */
    int64_t image, pixel;             /* the first pixel among those of all images; of no meaning outside */

    __device__ bool holds(int i) const { return y < size[1] && x + i < size[2]; }
};

template <class F> __device__ static struct place<F> place_of(const struct frame &f, int head) {
    struct place<F> at;
    const int tile_y = (int)blockIdx.x / f.tiles_x, plane = tile_y / f.tiles_y;
    at.thread = (int)threadIdx.x, at.row = at.thread / F::lanes, at.column = at.thread % F::lanes * F::pixels;
    at.head = head, at.first_y = tile_y % f.tiles_y * F::rows, at.first_x = (int)blockIdx.x % f.tiles_x * F::width;
    at.image = plane / f.size[0], at.z = plane % f.size[0], at.y = at.first_y + at.row, at.x = at.first_x + at.column;
    for (int a = 0; a < 3; a++) at.size[a] = f.size[a];
    at.pixel = ((int64_t)plane * f.size[1] + at.y) * f.size[2] + at.x;
    return at;
}

/* Before a tile is written: all have read what was in it.  After: all is there. */
__device__ static void tile_barrier() { __syncthreads(); }
__device__ static void filled_barrier() {
    if (FAULT != FAULT_NO_BARRIER) __syncthreads();
}

/* Rows x columns pixels of a plane from (y, x) on, times `scale`, into the upper left of a tile; zero where there are none.  Channel
 * c of a head is channel c * heads + head. */
template <class F, int ROWS, int COLUMNS>
__device__ static void fill(tile_of<F> &tile, const float *from, const struct place<F> &at, int plane, int y0, int x0, float scale,
                            const struct frame &f) {
    const bool dense = f.heads == 1 && f.dim == F::dim;
    for (int i = at.thread; i < ROWS * COLUMNS; i += F::threads) {
        const int row = i / COLUMNS, column = i % COLUMNS, y = y0 + row, x = x0 + column;
        const bool inside = plane >= 0 && plane < f.size[0] && y >= 0 && y < f.size[1] && x >= 0 && x < f.size[2];
        const float *feature = from + (at.image * f.pixels + ((int64_t)plane * f.size[1] + y) * f.size[2] + x) * f.channels + at.head;
#pragma unroll
        for (int c = 0; c < F::dim; c += 4) {
            pack<float, 4> value = {};
            if (inside && dense) value.load(feature + c);
            else
                for (int k = 0; k < 4; k++)
                    if (inside && c + k < f.dim) value.value[k] = feature[(int64_t)(c + k) * f.heads];
            for (int k = 0; k < 4; k++) tile.value[c + k][row][column] = value.value[k] * scale;
        }
    }
}

/* The tile's pixels and those around it, up to the radius. */
template <class F> __device__ static void fill_around(tile_of<F> &tile, const float *from, const struct place<F> &at, int plane,
                                                      float scale, const struct frame &f) {
    constexpr int halo = F::radius - (FAULT == FAULT_HALO);
    fill<F, F::height, F::pitch>(tile, from, at, plane, at.first_y - halo, at.first_x - halo, scale, f);
}

/* A thread's own features, by way of the tile. */
template <class F> __device__ static void fetch_own(float (&own)[F::pixels][F::dim], const float *from, tile_of<F> &tile,
                                                    const struct place<F> &at, float scale, const struct frame &f) {
    tile_barrier();
    fill<F, F::rows, F::width>(tile, from, at, at.z, at.first_y, at.first_x, scale, f);
    filled_barrier();
#pragma unroll
    for (int c = 0; c < F::dim; c++) {
        pack<float, F::pixels> value;
        value.load(&tile.value[c][at.row][at.column]);
#pragma unroll
        for (int i = 0; i < F::pixels; i++) own[i][c] = value.value[i];
    }
}

template <class F> __device__ static void store_own(float *to, const float (&value)[F::pixels][F::dim], const struct place<F> &at, float scale,
                                                    const struct frame &f) {
    const bool dense = f.heads == 1 && f.dim == F::dim;
#pragma unroll
    for (int i = 0; i < F::pixels; i++) {
        float *feature = to + (at.pixel + i) * f.channels + at.head;
        if (!at.holds(i)) continue;
#pragma unroll
        for (int c = 0; c < F::dim; c += 4) {
            const pack<float, 4> four = {{value[i][c] * scale, value[i][c + 1] * scale, value[i][c + 2] * scale, value[i][c + 3] * scale}};
            if (dense) four.store(feature + c);
            else
                for (int k = 0; k < 4; k++)
                    if (c + k < f.dim) feature[(int64_t)(c + k) * f.heads] = four.value[k];
        }
    }
}

} // namespace mov
#endif
