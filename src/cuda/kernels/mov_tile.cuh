/* MoV's tiles: which pixels a block and a thread have, and how features come into shared memory and back.  Used by mov.cu. */
#ifndef COVER_CUDA_MOV_TILE_CUH
#define COVER_CUDA_MOV_TILE_CUH

#include "mov_any.cuh"
#include "pack.cuh"

namespace mov {

/* Tests build copies of mov.cu with a fault each, which they must find. */
enum { FAULT_NONE, FAULT_NO_BARRIER, FAULT_HALO, FAULT_TILE_IN_USE };
#ifndef FAULT
#define FAULT FAULT_NONE
#endif

/* One form of the kernels: heads of up to DIM channels, PIXELS (1, 2 or 4) neighbours a thread. */
template <int NDIM, int RADIUS, int DIM, int PIXELS, int EXTRA> struct form {
    static constexpr int ndim = NDIM, radius = RADIUS, dim = DIM, pixels = PIXELS;
    static constexpr int extra = EXTRA;   /* planes of a tile behind those of the channels */
    static constexpr bool wide = DIM > 8; /* a thread's own features stay in shared memory */
    static constexpr int window = 2 * RADIUS + 1, planes = NDIM == 3 ? window : 1;
    static constexpr int lanes = DIM <= 8 ? 32 / PIXELS : 16, rows = DIM <= 8 ? 128 / lanes : 4; /* threads of a block */
    static constexpr int threads = lanes * rows, width = lanes * PIXELS;
    static constexpr int blocks = RADIUS > 3 || (PIXELS == 4 && NDIM + RADIUS > 4)
                                      ? 3
                                      : 4;                                            /* at once: 128 registers a thread, or more */
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
    alignas(16) float own[F::wide ? F::dim : 1][F::wide ? F::rows : 1][F::wide ? F::width : 4];
    static_assert(((F::dim + F::extra) * F::height * F::pitch + (F::wide ? F::dim * F::rows * F::width : 4)) * sizeof(float) <=
                      48 * 1024,
                  "a block has 48 KiB without asking");
};

/* A thread's pixels. */
template <class F> struct place {
    int image, z, first_y, first_x, head; /* of the block's tile */

    __device__ int row() const { return (int)threadIdx.x / F::lanes; } /* within the tile */
    __device__ int column() const { return (int)threadIdx.x % F::lanes * F::pixels; }
    __device__ int y() const { return first_y + row(); }
    __device__ int x() const { return first_x + column(); }
    __device__ bool holds(int i, const struct frame &f) const { return y() < f.size[1] && x() + i < f.size[2]; }
    /* Its first among those of all images; of no meaning outside. */
    __device__ int64_t pixel(const struct frame &f) const {
        return image * f.pixels + ((int64_t)z * f.size[1] + y()) * f.size[2] + x();
    }
};

/* The features of a thread's pixels, and where it finds them. */
template <class F> struct own_features {
    float value[F::wide ? 1 : F::pixels][F::wide ? 1 : F::dim];

    __device__ float at(const tile_of<F> &tile, const struct place<F> &place, int i, int c) const {
        if constexpr (F::wide) return tile.own[c][place.row()][place.column() + i];
        else return value[i][c];
    }
};

template <class F> __device__ static struct place<F> place_of(const struct frame &f, int head) {
    const int tile_y = (int)blockIdx.x / f.tiles_x, plane = tile_y / f.tiles_y, image = plane / f.size[0];
    return {image, plane - image *f.size[0], tile_y % f.tiles_y *F::rows, (int)blockIdx.x % f.tiles_x *F::width, head};
}

/* Before a tile is written: all have read what was in it.  After: all is there. */
__device__ static void
tile_barrier() {
    if (FAULT != FAULT_TILE_IN_USE) __syncthreads();
}
__device__ static void filled_barrier() {
    if (FAULT != FAULT_NO_BARRIER) __syncthreads();
}

/* Rows x columns pixels of a plane from (y, x) on, times `scale`, into the upper left of planes of shared memory; zero where
 * there are none.  Channel c of a head is channel c * heads + head. */
template <class F, int ROWS, int COLUMNS, int PITCH, int LINES>
__device__ static void fill(float (*to)[LINES][PITCH], const float *from, const struct place<F> &at, int plane, int y0, int x0,
                            float scale, const struct frame &f) {
    const bool dense = f.heads == 1 && f.dim == F::dim;
    for (int i = (int)threadIdx.x; i < ROWS * COLUMNS; i += F::threads) {
        const int row = i / COLUMNS, column = i % COLUMNS, y = y0 + row, x = x0 + column;
        const bool inside = plane >= 0 && plane < f.size[0] && y >= 0 && y < f.size[1] && x >= 0 && x < f.size[2];
        const float *feature =
            from + (at.image * f.pixels + ((int64_t)plane * f.size[1] + y) * f.size[2] + x) * f.channels + at.head;
#pragma unroll
        for (int c = 0; c < F::dim; c += 4) {
            pack<float, 4> value = {};
            if (inside && dense) value.load(feature + c);
            else
                for (int k = 0; k < 4; k++)
                    if (inside && c + k < f.dim) value.value[k] = feature[(int64_t)(c + k) * f.heads];
            for (int k = 0; k < 4; k++) to[c + k][row][column] = value.value[k] * scale;
        }
    }
}

/* The tile's pixels and those around it, up to the radius. */
template <class F>
__device__ static void fill_around(tile_of<F> &tile, const float *from, const struct place<F> &at, int plane, float scale,
                                   const struct frame &f) {
    constexpr int halo = F::radius - (FAULT == FAULT_HALO);
    fill<F, F::height, F::pitch>(tile.value, from, at, plane, at.first_y - halo, at.first_x - halo, scale, f);
}

/* A thread's own features, by way of shared memory. */
template <class F>
__device__ static void fetch_own(struct own_features<F> &own, const float *from, tile_of<F> &tile, const struct place<F> &at,
                                 float scale, const struct frame &f) {
    tile_barrier();
    if constexpr (F::wide) fill<F, F::rows, F::width>(tile.own, from, at, at.z, at.first_y, at.first_x, scale, f);
    else {
        fill<F, F::rows, F::width>(tile.value, from, at, at.z, at.first_y, at.first_x, scale, f);
        filled_barrier();
#pragma unroll
        for (int c = 0; c < F::dim; c++) {
            pack<float, F::pixels> value;
            value.load(&tile.value[c][at.row()][at.column()]);
#pragma unroll
            for (int i = 0; i < F::pixels; i++) own.value[i][c] = value.value[i];
        }
    }
}

template <class F>
__device__ static void store_own(float *to, const float (&value)[F::pixels][F::dim], const struct place<F> &at, float scale,
                                 const struct frame &f) {
    const bool dense = f.heads == 1 && f.dim == F::dim;
#pragma unroll
    for (int i = 0; i < F::pixels; i++) {
        float *feature = to + (at.pixel(f) + i) * f.channels + at.head;
        if (!at.holds(i, f)) continue;
#pragma unroll
        for (int c = 0; c < F::dim; c += 4) {
            const pack<float, 4> four = {
                {value[i][c] * scale, value[i][c + 1] * scale, value[i][c + 2] * scale, value[i][c + 3] * scale}};
            if (dense) four.store(feature + c);
            else
                for (int k = 0; k < 4; k++)
                    if (c + k < f.dim) feature[(int64_t)(c + k) * f.heads] = four.value[k];
        }
    }
}

} // namespace mov
#endif
