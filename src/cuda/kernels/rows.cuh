/* Rows against rows on the device: a block has TILE_ROWS rows and meets keys TILE_KEYS at a time, whose products lie in shared memory.
 * Eight neighbouring lanes are the team of a row for what follows.  The plain forms are cpu/plain/row_products.c and the ops of
 * cpu/ops_nce.c.  Included by nce.cu. */
#ifndef COVER_CUDA_ROWS_CUH
#define COVER_CUDA_ROWS_CUH

#include "reduce.cuh"

namespace {

constexpr int TILE_ROWS = 32, TILE_KEYS = 64, TILE_DEEP = 32, ROW_TEAM = BLOCK / TILE_ROWS;

struct row_tiles {
    float a[TILE_ROWS][TILE_DEEP + 1], b[TILE_KEYS][TILE_DEEP + 1]; /* channels at work */
    float product[TILE_ROWS][TILE_KEYS + 1];
    float inverse[TILE_ROWS];
};

/* The team of this thread's row, and its place in it. */
__device__ inline int my_team_row() { return (int)threadIdx.x / ROW_TEAM; }
__device__ inline int my_place() { return (int)threadIdx.x % ROW_TEAM; }
template <typename T> __device__ inline T team_sum(T value) {
#pragma unroll
    for (int step = ROW_TEAM / 2; step > 0; step /= 2) value += __shfl_xor_sync(whole_warp, value, step);
    return value;
}
__device__ inline float team_largest(float value) {
#pragma unroll
    for (int step = ROW_TEAM / 2; step > 0; step /= 2) {
        const float other = __shfl_xor_sync(whole_warp, value, step);
        value = other > value ? other : value;
    }
    return value;
}
/* <a, b> by the team; all its lanes get it.  Each lane of the warp must come here; a NULL is a row of zeros. */
__device__ inline double team_product(const float *a, const float *b, int64_t channels) {
    double sum = 0;
    for (int64_t c = my_place(); a && b && c < channels; c += ROW_TEAM) sum += (double)a[c] * (double)b[c];
    return team_sum(sum);
}
__device__ inline double at_least_tiny(double square) {
    const double length = sqrt(square);
    return length < 1e-12 ? 1e-12 : length; /* a NaN stays */
}
__device__ inline double log_of_both(double a, double b) {
    const double high = a > b ? a : b, low = a > b ? b : a;
    return high == -INFINITY ? low : high + log1p(exp(low - high));
}

/* 1 / |row| of the block's rows; with a barrier behind. */
__device__ inline void find_inverses(row_tiles &tiles, const float *rows, int count, int64_t channels) {
    const int r = my_team_row();
    const float *const row = r < count ? rows + r * channels : nullptr;
    const double square = team_product(row, row, channels);
    if (my_place() == 0) tiles.inverse[r] = (float)(1 / at_least_tiny(square));
    __syncthreads();
}

/* product[i][j] = <row i, key j> of `count` rows and `keys` keys; zero beyond.  With a barrier before and behind. */
__device__ inline void find_products(row_tiles &tiles, const float *rows, int count, const float *keys, int key_count,
                                     int64_t channels) {
    const int x = (int)threadIdx.x % 32, y = (int)threadIdx.x / 32;
    constexpr int EACH = TILE_ROWS / (BLOCK / 32);
    float sum[EACH][2] = {};
    for (int64_t c0 = 0; c0 < channels; c0 += TILE_DEEP) {
        __syncthreads();
        const bool inside = c0 + x < channels;
        for (int r = y; r < TILE_ROWS; r += BLOCK / 32) tiles.a[r][x] = inside && r < count ? rows[r * channels + c0 + x] : 0;
        for (int r = y; r < TILE_KEYS; r += BLOCK / 32) tiles.b[r][x] = inside && r < key_count ? keys[r * channels + c0 + x] : 0;
        __syncthreads();
#pragma unroll 8
        for (int c = 0; c < TILE_DEEP; c++) {
            const float first = tiles.b[x][c], second = tiles.b[x + 32][c];
#pragma unroll
            for (int i = 0; i < EACH; i++) {
                const float a = tiles.a[y * EACH + i][c];
                sum[i][0] = fmaf(a, first, sum[i][0]), sum[i][1] = fmaf(a, second, sum[i][1]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        tiles.product[y * EACH + i][x] = sum[i][0], tiles.product[y * EACH + i][x + 32] = sum[i][1];
    }
    __syncthreads();
}

/* out row i += sum over j of product[i][j] key j.  The block's own memory; with a barrier before and behind. */
__device__ inline void add_mix(row_tiles &tiles, float *out, int count, const float *keys, int key_count, int64_t channels) {
    constexpr int EACH = 8;
    __syncthreads();
    const int64_t strips = (count + EACH - 1) / EACH;
    for (int64_t at = threadIdx.x; at < strips * channels; at += BLOCK) {
        const int64_t c = at % channels;
        const int first = (int)(at / channels) * EACH;
        float sum[EACH] = {};
        for (int j = 0; j < key_count; j++) {
            const float key = keys[j * channels + c];
#pragma unroll
            for (int i = 0; i < EACH; i++) sum[i] = fmaf(tiles.product[first + i][j], key, sum[i]);
        }
#pragma unroll
        for (int i = 0; i < EACH; i++)
            if (first + i < count) out[(first + i) * channels + c] += sum[i];
    }
    __syncthreads();
}

/* d = (d - q^ <q^, d>) factor / |q| of the team's row; d and q may be NULL. */
__device__ inline void through_unit(float *d, const float *q, int64_t channels, double factor) {
    const double length = at_least_tiny(team_product(q, q, channels)), product = team_product(q, d, channels);
    const double along = length > 1e-12 ? product / (length * length) : 0;
    for (int64_t c = my_place(); d && c < channels; c += ROW_TEAM)
        d[c] = (float)(((double)d[c] - along * (double)q[c]) * factor / length);
}

/* out (images, VALUES) = means over the rows of an image of VALUES numbers a row. */
template <int VALUES> __global__ void __launch_bounds__(BLOCK) row_means(double *out, const double *parts, int64_t rows) {
    const double *const of_image = parts + (int64_t)blockIdx.x * rows * VALUES;
    for (int q = 0; q < VALUES; q++) {
        double sum[1] = {0};
        for (int64_t i = threadIdx.x; i < rows; i += BLOCK) sum[0] += of_image[i * VALUES + q];
        block_sum(sum, shared<block_tiles<1>>());
        if (threadIdx.x == 0) out[(int64_t)blockIdx.x * VALUES + q] = sum[0] / (double)rows;
        __syncthreads();
    }
}
/* 1 / |row| of many rows. */
__global__ void __launch_bounds__(BLOCK) row_inverses(float *inverse, const float *rows, int64_t count, int64_t channels) {
    const int64_t row = (int64_t)blockIdx.x * TILE_ROWS + my_team_row();
    const float *const own = row < count ? rows + row * channels : nullptr;
    const double square = team_product(own, own, channels);
    if (own && my_place() == 0) inverse[row] = (float)(1 / at_least_tiny(square));
}
inline cuda_error launch_row_inverses(cuda_stream stream, float *inverse, const float *rows, int64_t count, int64_t channels) {
    return LAUNCH(row_inverses, dim3((unsigned)ceil_div(count, TILE_ROWS)), dim3(BLOCK), 0, stream, inverse, rows, count, channels);
}
inline dim3 grid_of_row_tiles(int64_t rows, int images) { return dim3((unsigned)ceil_div(rows, TILE_ROWS), (unsigned)images); }

/* A block's rows of an image. */
struct tile_of_rows {
    int64_t first; /* of all images */
    int count, row;
    bool here;
};
__device__ inline tile_of_rows my_tile(int64_t rows) {
    const int64_t first = (int64_t)blockIdx.x * TILE_ROWS, left = rows - first;
    tile_of_rows tile = {(int64_t)blockIdx.y * rows + first, (int)(left < TILE_ROWS ? left : TILE_ROWS), my_team_row(), false};
    tile.here = tile.row < tile.count;
    return tile;
}
__device__ inline int keys_from(int64_t key, int64_t keys) { return (int)(keys - key < TILE_KEYS ? keys - key : TILE_KEYS); }

} // namespace

#endif
