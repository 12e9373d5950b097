/* What is done to pairs of rows: lengths, propagation, cosines of near cells, codes.  core/graph/dense.h states them, cpu/ops_pairs.c is
 * their oracle.  Called by the executor's rows unit, propagate, pair_cosine, soft_cross_entropy, their gradients, and sinkhorn. */
#include "places.cuh"
#include "rows.cuh"

namespace {

/* ---- unit: a team takes a row */

__global__ void __launch_bounds__(BLOCK) unit(float *y, const float *x, int64_t rows, int64_t channels) {
    const int64_t row = (int64_t)blockIdx.x * TILE_ROWS + my_team_row();
    const float *const own = row < rows ? x + row * channels : nullptr;
    const float inverse = (float)(1 / at_least_tiny(team_product(own, own, channels)));
    for (int64_t c = my_place(); own && c < channels; c += ROW_TEAM) y[row * channels + c] = own[c] * inverse;
}
__global__ void __launch_bounds__(BLOCK) unit_grad(float *dx, const float *dy, const float *x, int64_t rows, int64_t channels) {
    const int64_t row = (int64_t)blockIdx.x * TILE_ROWS + my_team_row();
    const bool here = row < rows;
    float *const own = here ? dx + row * channels : nullptr;
    for (int64_t c = my_place(); here && c < channels; c += ROW_TEAM) own[c] = dy[row * channels + c];
    __syncwarp();
    through_unit(own, here ? x + row * channels : nullptr, channels, 1);
}

/* ---- propagate: a block takes TILE_ROWS rows; inverse: of all rows of x, then of the values */

__global__ void __launch_bounds__(BLOCK)
    propagate(float *y, const float *x, const float *value, const float *inverse, cuda_propagation s) {
    row_tiles &tiles = shared<row_tiles>();
    const tile_of_rows tile = my_tile(s.cells);
    const int64_t image = (int64_t)blockIdx.y * s.cells;
    const float *const of_value = inverse + s.images * s.cells;
    float *const to = y + tile.first * s.wide;
    const float own = tile.here ? inverse[tile.first + tile.row] : 0;
    for (int64_t c = my_place(); tile.here && c < s.wide; c += ROW_TEAM) to[tile.row * s.wide + c] = 0;
    for (int64_t key = 0; key < s.cells; key += TILE_KEYS) {
        const int here = keys_from(key, s.cells);
        find_products(tiles, x + tile.first * s.channels, tile.count, x + (image + key) * s.channels, here, s.channels);
        for (int j = my_place(); j < here; j += ROW_TEAM) {
            float *const product = &tiles.product[tile.row][j];
            const float cosine = *product * own * inverse[image + key + j];
            *product = cosine < 0 ? 0 : cosine * cosine * of_value[image + key + j];
        }
        add_mix(tiles, to, tile.count, value + (image + key) * s.wide, here, s.wide);
    }
}

struct propagation_tiles {
    row_tiles rows;
    float cosine[TILE_ROWS][TILE_KEYS + 1], slope[TILE_ROWS][TILE_KEYS + 1];
};
__global__ void __launch_bounds__(BLOCK) propagate_grad(float *dx, float *dvalue, const float *dy, const float *x,
                                                        const float *value, const float *inverse, cuda_propagation s) {
    propagation_tiles &all = shared<propagation_tiles>();
    row_tiles &tiles = all.rows;
    const tile_of_rows tile = my_tile(s.cells);
    const int64_t image = (int64_t)blockIdx.y * s.cells, row = tile.first + tile.row;
    const float *const of_value = inverse + s.images * s.cells;
    const float own = tile.here ? inverse[row] : 0, own_value = tile.here ? of_value[row] : 0;
    float *const to_x = dx + tile.first * s.channels, *const to_value = dvalue + tile.first * s.wide;
    for (int64_t c = my_place(); tile.here && c < s.channels; c += ROW_TEAM) to_x[tile.row * s.channels + c] = 0;
    for (int64_t c = my_place(); tile.here && c < s.wide; c += ROW_TEAM) to_value[tile.row * s.wide + c] = 0;
    for (int64_t key = 0; key < s.cells; key += TILE_KEYS) {
        const int here = keys_from(key, s.cells);
        const float *const of_key = inverse + image + key, *const value_of_key = of_value + image + key;
        find_products(tiles, x + tile.first * s.channels, tile.count, x + (image + key) * s.channels, here, s.channels);
        for (int j = my_place(); j < here; j += ROW_TEAM) {
            const float cosine = tiles.product[tile.row][j] * own * of_key[j];
            all.cosine[tile.row][j] = cosine < 0 ? 0 : cosine;
        }
        find_products(tiles, dy + tile.first * s.wide, tile.count, value + (image + key) * s.wide, here, s.wide);
        for (int j = my_place(); j < here; j += ROW_TEAM) all.slope[tile.row][j] = tiles.product[tile.row][j] * value_of_key[j];
        find_products(tiles, value + tile.first * s.wide, tile.count, dy + (image + key) * s.wide, here, s.wide);
        for (int j = my_place(); j < here; j += ROW_TEAM) {
            float *const product = &tiles.product[tile.row][j];
            *product = 2 * all.cosine[tile.row][j] * (all.slope[tile.row][j] + *product * own_value) * of_key[j];
        }
        add_mix(tiles, to_x, tile.count, x + (image + key) * s.channels, here, s.channels);
        for (int j = my_place(); j < here; j += ROW_TEAM)
            tiles.product[tile.row][j] = all.cosine[tile.row][j] * all.cosine[tile.row][j];
        add_mix(tiles, to_value, tile.count, dy + (image + key) * s.wide, here, s.wide);
    }
    through_unit(tile.here ? to_x + tile.row * s.channels : nullptr, tile.here ? x + row * s.channels : nullptr, s.channels, 1);
    through_unit(tile.here ? to_value + tile.row * s.wide : nullptr, tile.here ? value + row * s.wide : nullptr, s.wide, 1);
}

/* ---- pair_cosine: a warp takes a row; its lanes look for near cells, 32 at once, and share the channels of each that they find */

__device__ inline bool near_cell(const lattice &s, const float *field, bool turned, int i, int j, double limit) {
    return square_between(moving_place(s, turned ? j : i), fixed_place(s, field, turned ? i : j)) < limit;
}
__device__ inline double warp_product(const float *a, const float *b, int64_t channels) {
    double sum = 0;
    for (int64_t c = threadIdx.x % WARP; c < channels; c += WARP) sum += (double)a[c] * (double)b[c];
    return warp_sum(sum);
}
__global__ void __launch_bounds__(BLOCK)
    pair_cosine(double *parts, const float *y, const float *k, const float *fields, lattice s, bool turned, int64_t channels) {
    limit_tiles &tiles = shared<limit_tiles>();
    const int cells = s.cells(), i = (int)blockIdx.x * WARPS + (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
    const int64_t image = (int64_t)blockIdx.y * cells;
    const float *const field = fields + image * s.ndim;
    const double limit = square_limit(tiles, s, field);
    if (i >= cells) return;
    const float *const own = y + (image + i) * channels;
    double sum = 0, count = 0;
    for (int first = 0; first < cells; first += WARP) {
        unsigned near = __ballot_sync(whole_warp, first + lane < cells && near_cell(s, field, turned, i, first + lane, limit));
        for (int bit = 0; bit < WARP; bit++) {
            if (!(near >> bit & 1)) continue;
            const float *const key = k + (image + first + bit) * channels;
            sum += warp_product(own, key, channels) / at_least_tiny(warp_product(key, key, channels)), count += 1;
        }
    }
    sum /= at_least_tiny(warp_product(own, own, channels));
    if (lane == 0) parts[2 * (image + i)] = sum, parts[2 * (image + i) + 1] = count;
}
__global__ void __launch_bounds__(BLOCK) pair_totals(double *out, const double *parts, int64_t rows) {
    const double *const of_image = parts + (int64_t)blockIdx.x * rows * 2;
    double sums[2] = {0, 0};
    for (int64_t i = threadIdx.x; i < rows; i += BLOCK) sums[0] += of_image[2 * i], sums[1] += of_image[2 * i + 1];
    block_sum(sums, shared<block_tiles<2>>());
    if (threadIdx.x == 0)
        out[2 * (int64_t)blockIdx.x] = -2 * sums[0] / (sums[1] + 1e-6), out[2 * (int64_t)blockIdx.x + 1] = sums[1];
}
__global__ void __launch_bounds__(BLOCK)
    pair_cosine_grad(float *dy, const float *y, const float *k, const float *fields, const double *loss, lattice s, bool turned,
                     int64_t channels, float weight) {
    limit_tiles &tiles = shared<limit_tiles>();
    const int cells = s.cells(), i = (int)blockIdx.x * WARPS + (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
    const int64_t image = (int64_t)blockIdx.y * cells;
    const float *const field = fields + image * s.ndim;
    const double limit = square_limit(tiles, s, field), factor = -2 * (double)weight / (loss[2 * blockIdx.y + 1] + 1e-6);
    if (i >= cells) return;
    const float *const own = y + (image + i) * channels;
    float *const d = dy + (image + i) * channels;
    for (int64_t c = lane; c < channels; c += WARP) d[c] = 0;
    for (int first = 0; first < cells; first += WARP) {
        unsigned near = __ballot_sync(whole_warp, first + lane < cells && near_cell(s, field, turned, i, first + lane, limit));
        for (int bit = 0; bit < WARP; bit++) {
            if (!(near >> bit & 1)) continue;
            const float *const key = k + (image + first + bit) * channels;
            const float inverse = (float)(1 / at_least_tiny(warp_product(key, key, channels)));
            for (int64_t c = lane; c < channels; c += WARP) d[c] += key[c] * inverse;
        }
    }
    const double length = at_least_tiny(warp_product(own, own, channels)), product = warp_product(own, d, channels);
    const double along = length > 1e-12 ? product / (length * length) : 0;
    for (int64_t c = lane; c < channels; c += WARP) d[c] = (float)(((double)d[c] - along * (double)own[c]) * factor / length);
}

/* ---- soft_cross_entropy: a thread takes a row */

__device__ inline const float *codes_of(const float *codes, const float *indices, const cuda_codes &s, int64_t row) {
    if (!indices) return codes + row * s.channels;
    const float index = indices[row * s.each];
    return codes + (row / s.group * s.group + (index >= 0 && index < (float)s.group ? (int64_t)index : 0)) * s.channels;
}
__device__ inline double log_sum_of(const float *scores, const cuda_codes &s) {
    float largest = scores[0];
    double sum = 0;
    for (int64_t c = 1; c < s.channels; c++) largest = scores[c] > largest ? scores[c] : largest;
    for (int64_t c = 0; c < s.channels; c++) sum += exp((double)s.scale * ((double)scores[c] - largest));
    return (double)s.scale * largest + log(sum);
}
__global__ void __launch_bounds__(BLOCK)
    soft_cross_entropy(double *parts, const float *scores, const float *codes, const float *indices, cuda_codes s) {
    const int64_t row = (int64_t)blockIdx.x * BLOCK + threadIdx.x;
    if (row >= s.images * s.rows) return;
    const float *const own = scores + row * s.channels, *const code = codes_of(codes, indices, s, row);
    const double log_sum = log_sum_of(own, s);
    double loss = 0;
    for (int64_t c = 0; c < s.channels; c++) loss += (double)code[c] * (log_sum - (double)s.scale * (double)own[c]);
    parts[row] = loss;
}
__global__ void __launch_bounds__(BLOCK)
    soft_cross_entropy_grad(float *d, const float *scores, const float *codes, const float *indices, cuda_codes s) {
    const int64_t row = (int64_t)blockIdx.x * BLOCK + threadIdx.x;
    if (row >= s.images * s.rows) return;
    const float *const own = scores + row * s.channels, *const code = codes_of(codes, indices, s, row);
    const double log_sum = log_sum_of(own, s), factor = (double)s.weight * (double)s.scale / (double)s.rows;
    double all = 0;
    for (int64_t c = 0; c < s.channels; c++) all += (double)code[c];
    for (int64_t c = 0; c < s.channels; c++)
        d[row * s.channels + c] = (float)(factor * (all * exp((double)s.scale * (double)own[c] - log_sum) - (double)code[c]));
}

/* ---- sinkhorn: codes = e_ij row_i column_j; a block finds a column, a thread a row */

__global__ void __launch_bounds__(BLOCK)
    sinkhorn_start(double *e, double *row, const float *scores, double scale, int64_t rows, int64_t count) {
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < count; i += (int64_t)gridDim.x * BLOCK) {
        e[i] = exp(scale * (double)scores[i]);
        if (i < rows) row[i] = 1;
    }
}
__global__ void __launch_bounds__(BLOCK)
    sinkhorn_columns(double *column, const double *e, const double *row, int64_t rows, int64_t channels) {
    const int64_t image = blockIdx.y, c = blockIdx.x;
    double sum[1] = {0};
    for (int64_t i = image * rows + threadIdx.x; i < (image + 1) * rows; i += BLOCK) sum[0] += e[i * channels + c] * row[i];
    block_sum(sum, shared<block_tiles<1>>());
    if (threadIdx.x == 0) column[image * channels + c] = 1 / (sum[0] * (double)channels);
}
__global__ void __launch_bounds__(BLOCK)
    sinkhorn_rows(double *row, const double *e, const double *column, int64_t rows, int64_t channels, int64_t count) {
    const int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x;
    if (i >= count) return;
    double sum = 0;
    for (int64_t c = 0; c < channels; c++) sum += e[i * channels + c] * column[i / rows * channels + c];
    row[i] = 1 / (sum * (double)rows);
}
__global__ void __launch_bounds__(BLOCK) sinkhorn_codes(float *codes, const double *e, const double *row, const double *column,
                                                        int64_t rows, int64_t channels, int64_t count) {
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < count; i += (int64_t)gridDim.x * BLOCK)
        codes[i] = (float)(e[i] * row[i / channels] * column[i / channels / rows * channels + i % channels] * (double)rows);
}

dim3 grid_of_warps(int64_t rows, int images) { return dim3((unsigned)ceil_div(rows, WARPS), (unsigned)images); }

} // namespace

extern "C" cuda_error cuda_unit(cuda_stream stream, float *y, const float *x, int64_t rows, int64_t channels) {
    return LAUNCH(unit, dim3((unsigned)ceil_div(rows, TILE_ROWS)), dim3(BLOCK), 0, stream, y, x, rows, channels);
}
extern "C" cuda_error cuda_unit_grad(cuda_stream stream, float *dx, const float *dy, const float *x, int64_t rows,
                                     int64_t channels) {
    return LAUNCH(unit_grad, dim3((unsigned)ceil_div(rows, TILE_ROWS)), dim3(BLOCK), 0, stream, dx, dy, x, rows, channels);
}

extern "C" size_t cuda_propagate_workspace(const struct cuda_propagation *s) {
    return (size_t)(2 * s->images * s->cells) * sizeof(float);
}
static cuda_error find_lengths(cuda_stream stream, const float *x, const float *value, const cuda_propagation *s, float *inverse) {
    const int64_t rows = s->images * s->cells;
    const cuda_error error = launch_row_inverses(stream, inverse, x, rows, s->channels);
    return error ? error : launch_row_inverses(stream, inverse + rows, value, rows, s->wide);
}
extern "C" cuda_error cuda_propagate(cuda_stream stream, float *y, const float *x, const float *value,
                                     const struct cuda_propagation *s, void *workspace) {
    float *const inverse = static_cast<float *>(workspace);
    const cuda_error error = find_lengths(stream, x, value, s, inverse);
    if (error) return error;
    return LAUNCH(propagate, grid_of_row_tiles(s->cells, s->images), dim3(BLOCK), sizeof(row_tiles), stream, y, x, value, inverse,
                  *s);
}
extern "C" cuda_error cuda_propagate_grad(cuda_stream stream, float *dx, float *dvalue, const float *dy, const float *x,
                                          const float *value, const struct cuda_propagation *s, void *workspace) {
    float *const inverse = static_cast<float *>(workspace);
    const cuda_error error = find_lengths(stream, x, value, s, inverse);
    if (error) return error;
    return LAUNCH(propagate_grad, grid_of_row_tiles(s->cells, s->images), dim3(BLOCK), sizeof(propagation_tiles), stream, dx,
                  dvalue, dy, x, value, inverse, *s);
}

extern "C" size_t cuda_pair_cosine_workspace(const struct cuda_cells *s) {
    return (size_t)(2 * s->images * grid_pixels(&s->grid)) * sizeof(double);
}
extern "C" cuda_error cuda_pair_cosine(cuda_stream stream, double *loss, const float *y, const float *k, const float *field,
                                       bool turned, const struct cuda_cells *s, void *workspace) {
    double *const parts = static_cast<double *>(workspace);
    const int64_t cells = grid_pixels(&s->grid);
    const cuda_error error = LAUNCH(pair_cosine, grid_of_warps(cells, s->images), dim3(BLOCK), sizeof(limit_tiles), stream, parts,
                                    y, k, field, lattice_of(s), turned, s->channels);
    if (error) return error;
    return LAUNCH(pair_totals, dim3((unsigned)s->images), dim3(BLOCK), sizeof(block_tiles<2>), stream, loss, parts, cells);
}
extern "C" cuda_error cuda_pair_cosine_grad(cuda_stream stream, float *dy, const float *y, const float *k, const float *field,
                                            const double *loss, bool turned, float weight, const struct cuda_cells *s) {
    return LAUNCH(pair_cosine_grad, grid_of_warps(grid_pixels(&s->grid), s->images), dim3(BLOCK), sizeof(limit_tiles), stream, dy,
                  y, k, field, loss, lattice_of(s), turned, s->channels, weight);
}

extern "C" size_t cuda_soft_cross_entropy_workspace(const struct cuda_codes *s) {
    return (size_t)(s->images * s->rows) * sizeof(double);
}
extern "C" cuda_error cuda_soft_cross_entropy(cuda_stream stream, double *loss, const float *scores, const float *codes,
                                              const float *indices, const struct cuda_codes *s, void *workspace) {
    double *const parts = static_cast<double *>(workspace);
    const cuda_error error = LAUNCH(soft_cross_entropy, dim3((unsigned)ceil_div(s->images * s->rows, BLOCK)), dim3(BLOCK), 0,
                                    stream, parts, scores, codes, indices, *s);
    if (error) return error;
    return LAUNCH(row_means<1>, dim3((unsigned)s->images), dim3(BLOCK), sizeof(block_tiles<1>), stream, loss, parts, s->rows);
}
extern "C" cuda_error cuda_soft_cross_entropy_grad(cuda_stream stream, float *dscores, const float *scores, const float *codes,
                                                   const float *indices, const struct cuda_codes *s) {
    return LAUNCH(soft_cross_entropy_grad, dim3((unsigned)ceil_div(s->images * s->rows, BLOCK)), dim3(BLOCK), 0, stream, dscores,
                  scores, codes, indices, *s);
}

extern "C" size_t cuda_sinkhorn_workspace(const struct cuda_codes *s) {
    return (size_t)(s->images * (s->rows * (s->channels + 1) + s->channels)) * sizeof(double);
}
extern "C" cuda_error cuda_sinkhorn(cuda_stream stream, float *codes, const float *scores, int rounds, const struct cuda_codes *s,
                                    void *workspace) {
    const int64_t rows = s->images * s->rows, count = rows * s->channels;
    double *const e = static_cast<double *>(workspace), *const row = e + count, *const column = row + rows;
    cuda_error error =
        LAUNCH(sinkhorn_start, grid_for_count(count, 4), dim3(BLOCK), 0, stream, e, row, scores, (double)s->scale, rows, count);
    for (int round = 0; round < rounds && !error; round++) {
        error = LAUNCH(sinkhorn_columns, dim3((unsigned)s->channels, (unsigned)s->images), dim3(BLOCK), sizeof(block_tiles<1>),
                       stream, column, e, row, s->rows, s->channels);
        if (error) break;
        error = LAUNCH(sinkhorn_rows, dim3((unsigned)ceil_div(rows, BLOCK)), dim3(BLOCK), 0, stream, row, e, column, s->rows,
                       s->channels, rows);
    }
    if (error) return error;
    return LAUNCH(sinkhorn_codes, grid_for_count(count, 4), dim3(BLOCK), 0, stream, codes, e, row, column, s->rows, s->channels,
                  count);
}
