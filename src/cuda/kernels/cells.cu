/* What is done to cells of images: their means, the most alike of another view, whether it lies near, who is
 * whose positive.  core/graph/dense.h states them,
 * cpu/plain/cells.c and cpu/ops_cells.c are their oracles.  Called by the executor's rows cell_pool, cell_pool_grad, match_cells, hit, set_positives. */
#include "places.cuh"
#include "rows.cuh"

namespace {

/* ---- cell_pool: a thread takes a channel of a cell; its gradient, one of a pixel */

struct cell_walk {
    int64_t cells, pixels, channels;
    int size[3], cell, deep; /* of x in pixels; pixels of a cell across, and along the first axis */
};
cell_walk walk_of(const cuda_cells *s) {
    const int deep = s->grid.ndim == 3 ? s->cell : 1;
    return cell_walk{grid_pixels(&s->grid),
                     grid_pixels(&s->grid) * deep * s->cell * s->cell,
                     s->channels,
                     {(int)s->grid.size[0] * deep, (int)s->grid.size[1] * s->cell, (int)s->grid.size[2] * s->cell},
                     s->cell,
                     deep};
}

template <typename E>
__global__ void __launch_bounds__(BLOCK) cell_pool(float *y, const E *x, cuda_norm norm, cell_walk s, int64_t count) {
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < count; i += (int64_t)gridDim.x * BLOCK) {
        const int64_t c = i % s.channels, image = i / s.channels / s.cells;
        const int q = (int)(i / s.channels % s.cells), across = s.size[2] / s.cell, down = s.size[1] / s.cell;
        const int z0 = q / across / down * s.deep, y0 = q / across % down * s.cell, x0 = q % across * s.cell;
        const norm_lanes<1> normed(norm, image, s.channels, c);
        double sum = 0;
        for (int z = z0; z < z0 + s.deep; z++)
            for (int h = y0; h < y0 + s.cell; h++) {
                const E *const line = x + (image * s.pixels + ((int64_t)z * s.size[1] + h) * s.size[2] + x0) * s.channels + c;
                float of_line = 0;
                for (int w = 0; w < s.cell; w++) of_line += normed(load<1>(line + w * s.channels)).at[0];
                sum += (double)of_line;
            }
        y[i] = (float)(sum / ((double)s.deep * s.cell * s.cell));
    }
}
template <typename E>
__global__ void __launch_bounds__(BLOCK) cell_pool_grad(E *dx, const float *dy, cell_walk s, float share, int64_t count) {
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < count; i += (int64_t)gridDim.x * BLOCK) {
        const int64_t c = i % s.channels, image = i / s.channels / s.pixels;
        const int p = (int)(i / s.channels % s.pixels), across = s.size[2] / s.cell, down = s.size[1] / s.cell;
        const int z = p / s.size[2] / s.size[1] / s.deep, h = p / s.size[2] % s.size[1] / s.cell, w = p % s.size[2] / s.cell;
        const int64_t cell = image * s.cells + (z * down + h) * across + w;
        store<1>(dx + i, all_lanes<1>(dy[cell * s.channels + c] * share));
    }
}

/* ---- match_cells: a block takes TILE_ROWS rows; the first lane of a row's team keeps the best */

constexpr int MATCHES_MOST = 16;
__global__ void __launch_bounds__(BLOCK) match_cells(float *indices, const float *f, const float *g, const float *inverse,
                                                     int64_t of_f, int64_t of_g, int64_t channels, int matches) {
    row_tiles &tiles = shared<row_tiles>();
    const int64_t image = blockIdx.y, first = (int64_t)blockIdx.x * TILE_ROWS, left = of_f - first;
    const int count = (int)(left < TILE_ROWS ? left : TILE_ROWS), r = my_team_row();
    const float *const rows = f + (image * of_f + first) * channels, *const keys = g + image * of_g * channels;
    float best[MATCHES_MOST];
    int at[MATCHES_MOST];
    for (int m = 0; m < MATCHES_MOST; m++) best[m] = -INFINITY, at[m] = 0;
    for (int64_t key = 0; key < of_g; key += TILE_KEYS) {
        const int here = (int)(of_g - key < TILE_KEYS ? of_g - key : TILE_KEYS);
        find_products(tiles, rows, count, keys + key * channels, here, channels);
        if (my_place() != 0) continue;
        for (int j = 0; j < here; j++) { /* enters behind what is not smaller; no place of an array depends on data */
            float value = tiles.product[r][j] * inverse[image * of_g + key + j];
            int index = (int)key + j;
#pragma unroll
            for (int m = 0; m < MATCHES_MOST; m++)
                if (m < matches && value > best[m]) {
                    const float other = best[m];
                    const int other_at = at[m];
                    best[m] = value, at[m] = index, value = other, index = other_at;
                }
        }
    }
    if (my_place() != 0 || r >= count) return;
#pragma unroll
    for (int m = 0; m < MATCHES_MOST; m++)
        if (m < matches) indices[(image * of_f + first + r) * matches + m] = (float)at[m];
}

/* ---- hit: a block takes an image */

struct hit_tiles {
    limit_tiles limit;
    block_tiles<3> sums;
};
__global__ void __launch_bounds__(BLOCK) hit(double *out, const float *matches, const float *fields, lattice s, int each) {
    hit_tiles &tiles = shared<hit_tiles>();
    const int64_t image = blockIdx.x;
    const int cells = s.cells();
    const float *const field = fields + image * cells * s.ndim;
    const double limit = square_limit(tiles.limit, s, field);
    double sums[3] = {0, 0, 0}; /* with near ones, hits, partners */
    for (int i = (int)threadIdx.x; i < cells; i += BLOCK) {
        const place own = moving_place(s, i);
        int near = 0;
        for (int j = 0; j < cells; j++) near += square_between(own, fixed_place(s, field, j)) < limit;
        if (near == 0) continue;
        const int match = (int)matches[(image * cells + i) * each];
        sums[0] += 1, sums[1] += square_between(own, fixed_place(s, field, match)) < limit, sums[2] += (double)near / cells;
    }
    block_sum(sums, tiles.sums);
    if (threadIdx.x != 0) return;
    out[2 * image] = sums[0] > 0 ? sums[1] / sums[0] : 0, out[2 * image + 1] = sums[0] > 0 ? sums[2] / sums[0] : 0;
}

/* ---- set_positives: who is attended, a block a view of an image; then a block takes TILE_ROWS rows */

struct attended_tiles {
    block_tiles<1> sum;
    double low[BLOCK], high[BLOCK], length;
};
__global__ void __launch_bounds__(BLOCK) find_attended(double *attended, double *shares, const float *f, const float *g,
                                                       int64_t rows, int64_t channels, double threshold) {
    attended_tiles &tiles = shared<attended_tiles>();
    const int64_t image = blockIdx.y, view = blockIdx.x;
    const float *const from = (view ? g : f) + image * rows * channels;
    double *const to = attended + (2 * image + view) * rows;
    double square[1] = {0}, low = INFINITY, high = -INFINITY;
    for (int64_t first = 0; first < rows; first += TILE_ROWS) {
        const int64_t row = first + my_team_row();
        const float *const own = row < rows ? from + row * channels : nullptr;
        const double mean = team_product(own, own, channels) / (double)channels;
        if (!own || my_place() != 0) continue;
        to[row] = mean, square[0] += mean * mean, low = mean < low ? mean : low, high = mean > high ? mean : high;
    }
    block_sum(square, tiles.sum);
    tiles.low[threadIdx.x] = low, tiles.high[threadIdx.x] = high;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int i = 1; i < BLOCK; i++) {
            low = tiles.low[i] < low ? tiles.low[i] : low;
            high = tiles.high[i] > high ? tiles.high[i] : high;
        }
        tiles.length = at_least_tiny(square[0]), tiles.low[0] = low, tiles.high[0] = high;
    }
    __syncthreads();
    const double length = tiles.length, range = (tiles.high[0] - tiles.low[0]) / length + 1e-10, least = tiles.low[0];
    double count[1] = {0};
    for (int64_t row = threadIdx.x; row < rows; row += BLOCK) {
        to[row] = (to[row] - least) / length / range >= threshold ? 1 : 0;
        count[0] += to[row];
    }
    block_sum(count, tiles.sum);
    if (threadIdx.x == 0) shares[2 * image + view] = count[0] / (double)rows;
}

struct positives_tiles {
    row_tiles rows;
    limit_tiles limit;
};
__global__ void __launch_bounds__(BLOCK)
    set_positives(float *positives, const float *f, const float *g, const float *inverse_g, const double *attended,
                  const float *fields, lattice s, int64_t channels, float similarity) {
    positives_tiles &tiles = shared<positives_tiles>();
    const int cells = s.cells();
    const tile_of_rows tile = my_tile(cells);
    const int64_t image = blockIdx.y, row = tile.first + tile.row;
    const float *const field = fields + image * cells * s.ndim, *const keys = g + image * cells * channels;
    const double *const of_f = attended + 2 * image * cells, *const of_g = of_f + cells;
    const double limit = square_limit(tiles.limit, s, field);
    const place own = moving_place(s, (int)(row - image * cells));
    find_inverses(tiles.rows, f + tile.first * channels, tile.count, channels);
    for (int key = 0; key < cells; key += TILE_KEYS) {
        const int here = keys_from(key, cells);
        find_products(tiles.rows, f + tile.first * channels, tile.count, keys + key * channels, here, channels);
        for (int j = my_place(); tile.here && j < here; j += ROW_TEAM) {
            const float cosine =
                tiles.rows.product[tile.row][j] * tiles.rows.inverse[tile.row] * inverse_g[image * cells + key + j];
            const bool alike = of_f[row - image * cells] > 0 && of_g[key + j] > 0 && cosine >= similarity;
            const bool near = square_between(own, fixed_place(s, field, key + j)) < limit;
            positives[row * cells + key + j] = alike || near ? 1 : 0;
        }
    }
}

} // namespace

extern "C" cuda_error cuda_cell_pool(cuda_stream stream, float *y, const void *x, enum element element,
                                     const struct cuda_norm *norm, const struct cuda_cells *s) {
    const cell_walk walk = walk_of(s);
    const int64_t count = s->images * walk.cells * s->channels;
    return with_element(element, [&](auto zero) -> cuda_error {
        typedef decltype(zero) E;
        return LAUNCH(cell_pool<E>, grid_for_count(count, 1), dim3(BLOCK), 0, stream, y, static_cast<const E *>(x),
                      norm_or_none(norm), walk, count);
    });
}
extern "C" cuda_error cuda_cell_pool_grad(cuda_stream stream, void *dx, enum element element, const float *dy,
                                          const struct cuda_cells *s) {
    const cell_walk walk = walk_of(s);
    const int64_t count = s->images * walk.pixels * s->channels;
    const float share = (float)(1 / ((double)walk.deep * walk.cell * walk.cell));
    return with_element(element, [&](auto zero) -> cuda_error {
        typedef decltype(zero) E;
        return LAUNCH(cell_pool_grad<E>, grid_for_count(count, 4), dim3(BLOCK), 0, stream, static_cast<E *>(dx), dy, walk, share,
                      count);
    });
}
extern "C" size_t cuda_match_cells_workspace(int images, int64_t of_g) { return (size_t)(images * of_g) * sizeof(float); }
extern "C" cuda_error cuda_match_cells(cuda_stream stream, float *indices, const float *f, const float *g, int images, int64_t of_f,
                                       int64_t of_g, int64_t channels, int count, void *workspace) {
    float *const inverse = static_cast<float *>(workspace);
    const int64_t keys = images * of_g;
    const cuda_error error = launch_row_inverses(stream, inverse, g, keys, channels);
    if (error) return error;
    return LAUNCH(match_cells, dim3((unsigned)ceil_div(of_f, TILE_ROWS), (unsigned)images), dim3(BLOCK), sizeof(row_tiles), stream,
                  indices, f, g, inverse, of_f, of_g, channels, count);
}
extern "C" cuda_error cuda_hit(cuda_stream stream, double *out, const float *matches, int each, const float *field,
                               const struct cuda_cells *s) {
    return LAUNCH(hit, dim3((unsigned)s->images), dim3(BLOCK), sizeof(hit_tiles), stream, out, matches, field, lattice_of(s), each);
}

/* Who is attended in both views, then the inverse lengths of g. */
extern "C" size_t cuda_set_positives_workspace(int images, int64_t cells) {
    return (size_t)(images * cells) * (2 * sizeof(double) + sizeof(float));
}
extern "C" cuda_error cuda_set_positives(cuda_stream stream, float *positives, double *shares, const float *f, const float *g,
                                         const float *field, const struct cuda_cells *s, void *workspace) {
    const int64_t cells = grid_pixels(&s->grid);
    double *const attended = static_cast<double *>(workspace);
    float *const inverse = reinterpret_cast<float *>(attended + 2 * cells * s->images);
    cuda_error error = launch_row_inverses(stream, inverse, g, cells * s->images, s->channels);
    if (error) return error;
    error = LAUNCH(find_attended, dim3(2, (unsigned)s->images), dim3(BLOCK), sizeof(attended_tiles), stream, attended, shares, f, g,
                   cells, s->channels, (double)s->attention);
    if (error) return error;
    return LAUNCH(set_positives, grid_of_row_tiles(cells, s->images), dim3(BLOCK), sizeof(positives_tiles), stream, positives, f, g,
                  inverse, attended, field, lattice_of(s), s->channels, s->similarity);
}
