/* Contrastive losses against a queue: matched_nce, set_nce and their gradients.  core/graph/dense.h states them, cpu/ops_nce.c is their oracle.
 * Called by the executor's rows of those names. */
#include "rows.cuh"

namespace {

/* ---- the queue: the largest product of the team's row with a key, and the logarithm of the sum over all */

struct of_queue {
    float largest;
    double log_sum;
};
__device__ inline of_queue against_queue(row_tiles &tiles, const float *rows, int count, const float *queue, int64_t keys,
                                         int64_t channels, float scale) {
    const float inverse = tiles.inverse[my_team_row()];
    float most = -INFINITY;
    double sum = 0; /* of this lane's keys */
    for (int64_t key = 0; key < keys; key += TILE_KEYS) {
        const int here = keys_from(key, keys);
        find_products(tiles, rows, count, queue + key * channels, here, channels);
        for (int j = my_place(); j < here; j += ROW_TEAM) {
            const float product = tiles.product[my_team_row()][j] * inverse;
            if (product > most) sum *= exp((double)scale * ((double)most - product)), most = product;
            sum += (double)expf(scale * (product - most));
        }
    }
    of_queue found;
    found.largest = team_largest(most);
    const double all = team_sum(most == -INFINITY ? 0.0 : sum * exp((double)scale * ((double)most - found.largest)));
    found.log_sum = (double)scale * found.largest + log(all);
    return found;
}

/* ---- matched_nce: a block takes TILE_ROWS rows of an image */

__device__ inline const float *positive_of(const cuda_nce &s, const float *k, const float *indices, int64_t row, int p) {
    if (!indices) return k + row * s.channels;
    const float index = indices[row * s.positives + p];
    return k + (row / s.rows * s.of_k + (index >= 0 && index < (float)s.of_k ? (int64_t)index : 0)) * s.channels;
}
/* <q^, k^> by the team. */
__device__ inline double cosine_with(const float *q, const float *k, float inverse, int64_t channels) {
    const double square = team_product(k, k, channels), product = team_product(q, k, channels);
    return product * (double)inverse / at_least_tiny(square);
}

__global__ void __launch_bounds__(BLOCK) matched_nce(double *parts, float *log_sums, const float *q, const float *k,
                                                     const float *indices, const float *queue, cuda_nce s) {
    row_tiles &tiles = shared<row_tiles>();
    const tile_of_rows tile = my_tile(s.rows);
    const float *const rows = q + tile.first * s.channels, *const own = tile.here ? rows + tile.row * s.channels : nullptr;
    const int64_t row = tile.first + tile.row;
    find_inverses(tiles, rows, tile.count, s.channels);
    const of_queue found = against_queue(tiles, rows, tile.count, queue, s.keys, s.channels, s.scale);
    double loss = 0, nearest = 0;
    for (int p = 0; p < s.positives; p++) {
        const float *const positive = own ? positive_of(s, k, indices, row, p) : nullptr;
        const double product = cosine_with(own, positive, tiles.inverse[tile.row], s.channels), logit = (double)s.scale * product;
        loss += log_of_both(logit, found.log_sum) - logit;
        if (p == 0) nearest = product;
    }
    if (my_place() != 0 || !own) return;
    parts[2 * row] = loss / s.positives, parts[2 * row + 1] = (float)nearest >= found.largest ? 1 : 0;
    log_sums[row] = (float)found.log_sum;
}

__global__ void __launch_bounds__(BLOCK) matched_nce_grad(float *dq, const float *q, const float *k, const float *indices,
                                                          const float *queue, const float *log_sums, cuda_nce s) {
    row_tiles &tiles = shared<row_tiles>();
    const tile_of_rows tile = my_tile(s.rows);
    const int64_t row = tile.first + tile.row;
    const float *const rows = q + tile.first * s.channels, *const own = tile.here ? rows + tile.row * s.channels : nullptr;
    float *const d = dq + tile.first * s.channels, *const own_d = own ? d + tile.row * s.channels : nullptr;
    const double log_sum = own ? (double)log_sums[row] : 0;
    double rest = 0;
    find_inverses(tiles, rows, tile.count, s.channels);
    const double inverse = (double)tiles.inverse[tile.row];
    for (int64_t c = my_place(); own && c < s.channels; c += ROW_TEAM) own_d[c] = 0;
    for (int p = 0; p < s.positives; p++) {
        const float *const positive = own ? positive_of(s, k, indices, row, p) : nullptr;
        const double logit = (double)s.scale * cosine_with(own, positive, tiles.inverse[tile.row], s.channels);
        const double other = exp(log_sum - log_of_both(logit, log_sum)) / s.positives;
        const double factor = -other / at_least_tiny(team_product(positive, positive, s.channels));
        for (int64_t c = my_place(); own && c < s.channels; c += ROW_TEAM) own_d[c] += (float)(factor * (double)positive[c]);
        rest += other;
    }
    for (int64_t key = 0; key < s.keys; key += TILE_KEYS) {
        const int here = keys_from(key, s.keys);
        find_products(tiles, rows, tile.count, queue + key * s.channels, here, s.channels);
        for (int j = my_place(); j < here; j += ROW_TEAM) {
            float *const product = &tiles.product[tile.row][j];
            *product = own ? (float)(rest * exp((double)s.scale * (double)*product * inverse - log_sum)) : 0;
        }
        add_mix(tiles, d, tile.count, queue + key * s.channels, here, s.channels);
    }
    through_unit(own_d, own, s.channels, (double)s.weight * (double)s.scale / (double)s.rows);
}

/* ---- set_nce: of a row the loss, whether it is right, its positives */

__global__ void __launch_bounds__(BLOCK) set_nce(double *parts, float *log_sums, const float *q, const float *k,
                                                 const float *inverse_k, const float *positives, const float *queue, cuda_nce s) {
    row_tiles &tiles = shared<row_tiles>();
    const tile_of_rows tile = my_tile(s.rows);
    const int64_t row = tile.first + tile.row, of_k = (int64_t)blockIdx.y * s.of_k;
    const float *const rows = q + tile.first * s.channels;
    find_inverses(tiles, rows, tile.count, s.channels);
    const of_queue found = against_queue(tiles, rows, tile.count, queue, s.keys, s.channels, s.scale);
    double sum = 0, total = 0, count = 0; /* of this lane; sum: of e to the logit less the queue's */
    float largest = -INFINITY;
    for (int64_t key = 0; key < s.of_k; key += TILE_KEYS) {
        const int here = keys_from(key, s.of_k);
        find_products(tiles, rows, tile.count, k + (of_k + key) * s.channels, here, s.channels);
        for (int j = my_place(); tile.here && j < here; j += ROW_TEAM) {
            if (!(positives[row * s.of_k + key + j] > 0)) continue;
            const float product = tiles.product[tile.row][j] * tiles.inverse[tile.row] * inverse_k[of_k + key + j];
            const double logit = (double)s.scale * (double)product;
            sum += exp(logit - found.log_sum), total += logit, count += 1;
            largest = product > largest ? product : largest;
        }
    }
    sum = team_sum(sum), total = team_sum(total), count = team_sum(count), largest = team_largest(largest);
    if (my_place() != 0 || !tile.here) return;
    const double log_sum = found.log_sum + log1p(sum);
    double *const part = parts + 3 * row;
    part[0] = count > 0 ? log_sum - total / count : 0, part[1] = count > 0 && largest >= found.largest ? 1 : 0, part[2] = count;
    log_sums[2 * row] = (float)log_sum, log_sums[2 * row + 1] = (float)count;
}
struct set_tiles {
    block_tiles<4> sums;
};
__global__ void __launch_bounds__(BLOCK) set_means(double *out, double *rows_with, const double *parts, int64_t rows) {
    const double *const of_image = parts + (int64_t)blockIdx.x * rows * 3;
    double sums[4] = {0, 0, 0, 0};
    for (int64_t i = threadIdx.x; i < rows; i += BLOCK) {
        for (int n = 0; n < 3; n++) sums[n] += of_image[3 * i + n];
        sums[3] += of_image[3 * i + 2] > 0;
    }
    block_sum(sums, shared<set_tiles>().sums);
    if (threadIdx.x != 0) return;
    for (int n = 0; n < 3; n++) out[3 * (int64_t)blockIdx.x + n] = sums[3] > 0 ? sums[n] / sums[3] : 0;
    rows_with[blockIdx.x] = sums[3];
}
__global__ void __launch_bounds__(BLOCK)
    set_nce_grad(float *dq, const float *q, const float *k, const float *inverse_k, const float *positives, const float *queue,
                 const float *log_sums, const double *rows_with, cuda_nce s) {
    row_tiles &tiles = shared<row_tiles>();
    const tile_of_rows tile = my_tile(s.rows);
    const int64_t row = tile.first + tile.row, of_k = (int64_t)blockIdx.y * s.of_k;
    const float *const rows = q + tile.first * s.channels, *const own = tile.here ? rows + tile.row * s.channels : nullptr;
    float *const d = dq + tile.first * s.channels, *const own_d = own ? d + tile.row * s.channels : nullptr;
    const double log_sum = own ? (double)log_sums[2 * row] : 0, count = own ? (double)log_sums[2 * row + 1] : 0;
    const double with = rows_with[blockIdx.y];
    find_inverses(tiles, rows, tile.count, s.channels);
    const double scale = (double)s.scale * (double)tiles.inverse[tile.row];
    for (int64_t c = my_place(); own && c < s.channels; c += ROW_TEAM) own_d[c] = 0;
    for (int64_t key = 0; key < s.keys; key += TILE_KEYS) {
        const int here = keys_from(key, s.keys);
        find_products(tiles, rows, tile.count, queue + key * s.channels, here, s.channels);
        for (int j = my_place(); j < here; j += ROW_TEAM) {
            float *const product = &tiles.product[tile.row][j];
            *product = count > 0 ? (float)exp(scale * (double)*product - log_sum) : 0;
        }
        add_mix(tiles, d, tile.count, queue + key * s.channels, here, s.channels);
    }
    for (int64_t key = 0; key < s.of_k; key += TILE_KEYS) {
        const int here = keys_from(key, s.of_k);
        const float *const keys = k + (of_k + key) * s.channels;
        find_products(tiles, rows, tile.count, keys, here, s.channels);
        for (int j = my_place(); j < here; j += ROW_TEAM) {
            float *const product = &tiles.product[tile.row][j];
            const bool positive = own && positives[row * s.of_k + key + j] > 0;
            const double inverse = (double)inverse_k[of_k + key + j];
            *product = positive ? (float)((exp(scale * (double)*product * inverse - log_sum) - 1 / count) * inverse) : 0;
        }
        add_mix(tiles, d, tile.count, keys, here, s.channels);
    }
    through_unit(own_d, own, s.channels, with > 0 ? (double)s.weight * (double)s.scale / with : 0);
}

} // namespace

extern "C" size_t cuda_nce_workspace(const struct cuda_nce *s) { return (size_t)(2 * s->rows * s->images) * sizeof(double); }
extern "C" cuda_error cuda_matched_nce(cuda_stream stream, double *loss, float *log_sums, const float *q, const float *k,
                                       const float *indices, const float *queue, const struct cuda_nce *s, void *workspace) {
    double *const parts = static_cast<double *>(workspace);
    const cuda_error error = LAUNCH(matched_nce, grid_of_row_tiles(s->rows, s->images), dim3(BLOCK), sizeof(row_tiles), stream,
                                    parts, log_sums, q, k, indices, queue, *s);
    if (error) return error;
    return LAUNCH(row_means<2>, dim3((unsigned)s->images), dim3(BLOCK), sizeof(block_tiles<1>), stream, loss, parts, s->rows);
}
extern "C" cuda_error cuda_matched_nce_grad(cuda_stream stream, float *dq, const float *q, const float *k, const float *indices,
                                            const float *queue, const float *log_sums, const struct cuda_nce *s) {
    return LAUNCH(matched_nce_grad, grid_of_row_tiles(s->rows, s->images), dim3(BLOCK), sizeof(row_tiles), stream, dq, q, k,
                  indices, queue, log_sums, *s);
}

/* Parts of rows, then the inverse lengths of k. */
extern "C" size_t cuda_set_nce_workspace(const struct cuda_nce *s) {
    return (size_t)(3 * s->rows * s->images) * sizeof(double) + (size_t)(s->of_k * s->images) * sizeof(float);
}
extern "C" cuda_error cuda_set_nce(cuda_stream stream, double *loss, float *log_sums, double *rows_with, const float *q,
                                   const float *k, const float *positives, const float *queue, const struct cuda_nce *s,
                                   void *workspace) {
    double *const parts = static_cast<double *>(workspace);
    float *const inverse = reinterpret_cast<float *>(parts + 3 * s->rows * s->images);
    cuda_error error = launch_row_inverses(stream, inverse, k, s->of_k * s->images, s->channels);
    if (error) return error;
    error = LAUNCH(set_nce, grid_of_row_tiles(s->rows, s->images), dim3(BLOCK), sizeof(row_tiles), stream, parts, log_sums, q, k,
                   inverse, positives, queue, *s);
    if (error) return error;
    return LAUNCH(set_means, dim3((unsigned)s->images), dim3(BLOCK), sizeof(set_tiles), stream, loss, rows_with, parts, s->rows);
}
extern "C" cuda_error cuda_set_nce_grad(cuda_stream stream, float *dq, const float *q, const float *k, const float *positives,
                                        const float *queue, const float *log_sums, const double *rows_with,
                                        const struct cuda_nce *s, void *workspace) {
    float *const inverse = static_cast<float *>(workspace);
    const cuda_error error = launch_row_inverses(stream, inverse, k, s->of_k * s->images, s->channels);
    if (error) return error;
    return LAUNCH(set_nce_grad, grid_of_row_tiles(s->rows, s->images), dim3(BLOCK), sizeof(row_tiles), stream, dq, q, k, inverse,
                  positives, queue, log_sums, rows_with, *s);
}
