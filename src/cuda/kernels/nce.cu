/* Contrastive losses against a queue: matched_nce and its gradient.  core/graph/dense.h states them, cpu/ops_nce.c is their oracle.
 * Called by the executor's rows of those names. */
#include "rows.cuh"

namespace {

/* ---- means over the rows of an image of `values` numbers a row */

__global__ void __launch_bounds__(BLOCK) row_means(double *out, const double *parts, int64_t rows, int values) {
    const double *const of_image = parts + (int64_t)blockIdx.x * rows * values;
    for (int q = 0; q < values; q++) {
        double sum[1] = {0};
        for (int64_t i = threadIdx.x; i < rows; i += BLOCK) sum[0] += of_image[i * values + q];
        block_sum(sum, shared<block_tiles<1>>());
        if (threadIdx.x == 0) out[(int64_t)blockIdx.x * values + q] = sum[0] / (double)rows;
        __syncthreads();
    }
}

/* ---- matched_nce: a block takes TILE_ROWS rows of an image */

__device__ inline const float *positive_of(const cuda_nce &s, const float *k, const float *indices, int64_t image, int64_t i,
                                           int p) {
    if (!indices) return k + (image * s.rows + i) * s.channels;
    const float index = indices[(image * s.rows + i) * s.positives + p];
    return k + (image * s.of_k + (index >= 0 && index < (float)s.of_k ? (int64_t)index : 0)) * s.channels;
}
/* <q^, k^> by the team, for a row that is one of `count`. */
__device__ inline double cosine_with(const float *q, const float *k, float inverse, int64_t channels) {
    const double square = team_product(k, k, channels), product = team_product(q, k, channels);
    return product * (double)inverse / at_least_tiny(square);
}

__global__ void __launch_bounds__(BLOCK) matched_nce(double *parts, float *log_sums, const float *q, const float *k,
                                                     const float *indices, const float *queue, cuda_nce s) {
    row_tiles &tiles = shared<row_tiles>();
    const int64_t image = blockIdx.y, first = (int64_t)blockIdx.x * TILE_ROWS, left = s.rows - first;
    const int count = (int)(left < TILE_ROWS ? left : TILE_ROWS), r = my_team_row();
    const float *const rows = q + (image * s.rows + first) * s.channels;
    float most = -INFINITY;
    double sum = 0; /* of e to what is below the largest so far, of this lane's keys */
    find_inverses(tiles, rows, count, s.channels);
    for (int64_t key = 0; key < s.keys; key += TILE_KEYS) {
        const int keys = (int)(s.keys - key < TILE_KEYS ? s.keys - key : TILE_KEYS);
        find_products(tiles, rows, count, queue + key * s.channels, keys, s.channels);
        for (int j = my_place(); j < keys; j += ROW_TEAM) {
            const float product = tiles.product[r][j];
            if (product > most) sum *= exp((double)s.scale * ((double)most - product)), most = product;
            sum += (double)expf(s.scale * (product - most));
        }
    }
    const float largest = team_largest(most);
    const double all = team_sum(most == -INFINITY ? 0.0 : sum * exp((double)s.scale * ((double)most - largest)));
    const double log_sum = (double)s.scale * largest + log(all);
    double loss = 0, nearest = 0;
    for (int p = 0; p < s.positives; p++) {
        const float *const positive = r < count ? positive_of(s, k, indices, image, first + r, p) : nullptr;
        const double product = cosine_with(r < count ? rows + r * s.channels : nullptr, positive, tiles.inverse[r], s.channels);
        loss += log_of_both((double)s.scale * product, log_sum) - (double)s.scale * product;
        if (p == 0) nearest = product;
    }
    if (my_place() != 0 || r >= count) return;
    const int64_t row = image * s.rows + first + r;
    parts[2 * row] = loss / s.positives, parts[2 * row + 1] = (float)nearest >= largest ? 1 : 0;
    log_sums[row] = (float)log_sum;
}

/* d = (d - q^ <q^, d>) factor / |q| of the team's row; d may be NULL. */
__device__ inline void through_unit(float *d, const float *q, float inverse, int64_t channels, double factor) {
    const double along = inverse >= 1e12f ? 0 : team_product(q, d, channels) * (double)inverse * (double)inverse;
    for (int64_t c = my_place(); d && c < channels; c += ROW_TEAM)
        d[c] = (float)(((double)d[c] - along * (double)q[c]) * factor * (double)inverse);
}

__global__ void __launch_bounds__(BLOCK) matched_nce_grad(float *dq, const float *q, const float *k, const float *indices,
                                                          const float *queue, const float *log_sums, cuda_nce s) {
    row_tiles &tiles = shared<row_tiles>();
    const int64_t image = blockIdx.y, first = (int64_t)blockIdx.x * TILE_ROWS, left = s.rows - first;
    const int count = (int)(left < TILE_ROWS ? left : TILE_ROWS), r = my_team_row();
    const float *const rows = q + (image * s.rows + first) * s.channels, *const own = r < count ? rows + r * s.channels : nullptr;
    float *const d = dq + (image * s.rows + first) * s.channels, *const own_d = r < count ? d + r * s.channels : nullptr;
    const double log_sum = r < count ? (double)log_sums[image * s.rows + first + r] : 0;
    double rest = 0;
    find_inverses(tiles, rows, count, s.channels);
    for (int64_t c = my_place(); own && c < s.channels; c += ROW_TEAM) own_d[c] = 0;
    for (int p = 0; p < s.positives; p++) {
        const float *const positive = own ? positive_of(s, k, indices, image, first + r, p) : nullptr;
        const double logit = (double)s.scale * cosine_with(own, positive, tiles.inverse[r], s.channels);
        const double other = exp(log_sum - log_of_both(logit, log_sum)) / s.positives;
        const double factor = -other / at_least_tiny(team_product(positive, positive, s.channels));
        for (int64_t c = my_place(); own && c < s.channels; c += ROW_TEAM) own_d[c] += (float)(factor * (double)positive[c]);
        rest += other;
    }
    for (int64_t key = 0; key < s.keys; key += TILE_KEYS) {
        const int keys = (int)(s.keys - key < TILE_KEYS ? s.keys - key : TILE_KEYS);
        find_products(tiles, rows, count, queue + key * s.channels, keys, s.channels);
        for (int j = my_place(); j < keys; j += ROW_TEAM)
            tiles.product[r][j] = own ? (float)(rest * exp((double)s.scale * (double)tiles.product[r][j] - log_sum)) : 0;
        add_mix(tiles, d, count, queue + key * s.channels, keys, s.channels);
    }
    through_unit(own_d, own, tiles.inverse[r], s.channels, (double)s.weight * (double)s.scale / (double)s.rows);
}

dim3 grid_of_tiles(const cuda_nce *s) { return dim3((unsigned)ceil_div(s->rows, TILE_ROWS), (unsigned)s->images); }

} // namespace

extern "C" size_t cuda_nce_workspace(const struct cuda_nce *s) { return (size_t)(2 * s->rows * s->images) * sizeof(double); }
extern "C" cuda_error cuda_matched_nce(cuda_stream stream, double *loss, float *log_sums, const float *q, const float *k,
                                       const float *indices, const float *queue, const struct cuda_nce *s, void *workspace) {
    double *const parts = static_cast<double *>(workspace);
    const cuda_error error =
        LAUNCH(matched_nce, grid_of_tiles(s), dim3(BLOCK), sizeof(row_tiles), stream, parts, log_sums, q, k, indices, queue, *s);
    if (error) return error;
    return LAUNCH(row_means, dim3((unsigned)s->images), dim3(BLOCK), sizeof(block_tiles<1>), stream, loss, parts, s->rows, 2);
}
extern "C" cuda_error cuda_matched_nce_grad(cuda_stream stream, float *dq, const float *q, const float *k, const float *indices,
                                            const float *queue, const float *log_sums, const struct cuda_nce *s) {
    return LAUNCH(matched_nce_grad, grid_of_tiles(s), dim3(BLOCK), sizeof(row_tiles), stream, dq, q, k, indices, queue, log_sums,
                  *s);
}
