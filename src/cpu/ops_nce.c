/* Contrastive losses against a queue as ops of the CPU.  Rows of program.h's table. */
#include "row_tile.h"

#include <string.h>

/* A tile of queries made unit, and its products with a tile of keys. */
struct nce_tile {
    float products[TILE_ROWS * TILE_KEYS], inverse[TILE_ROWS], largest[TILE_ROWS];
    double log_sum[TILE_ROWS];
    float unit[]; /* TILE_ROWS x channels */
};
static size_t nce_unit(const struct program *program, const struct node *node, int index) {
    (void)index;
    return sizeof(struct nce_tile) + sizeof(float) * TILE_ROWS * (size_t)program->graph->tensors[node->input[0]].channels;
}
static void make_unit(struct nce_tile *tile, const struct call *call, const float *q, int64_t rows, int64_t channels) {
    call->kernels->row_inverses(tile->inverse, q, rows, channels);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < channels; c++) tile->unit[i * channels + c] = q[i * channels + c] * tile->inverse[i];
}

/* Logarithm of the sum over the queue, and its largest product, of each row of the tile. */
static void against_queue(struct nce_tile *tile, const struct call *call, const float *queue, int64_t keys, int64_t rows,
                          int64_t channels, float scale) {
    for (int64_t i = 0; i < rows; i++) tile->log_sum[i] = tile->largest[i] = -INFINITY;
    EACH_KEYS(first, keys) {
        const int64_t count = keys_at_once(first, keys);
        call->kernels->row_products(tile->products, TILE_KEYS, tile->unit, rows, queue + first * channels, count, channels);
        for (int64_t i = 0; i < rows; i++) {
            float largest;
            const double sum = call->kernels->row_log_sum(&largest, tile->products + i * TILE_KEYS, count, scale);
            tile->log_sum[i] = log_add(tile->log_sum[i], sum);
            tile->largest[i] = largest > tile->largest[i] ? largest : tile->largest[i];
        }
    }
}

/* ---- matched_nce */

struct matched {
    const float *q, *k, *indices, *queue;
    int64_t rows, keys, of_k, positives, channels;
    float scale;
};
static struct matched matched_of(const struct call *call, int image) {
    const struct tensor *q = input(call, 0);
    const bool indexed = call->node->input[2] != ABSENT;
    return (struct matched){.q = in(call, 0, image),
                            .k = in(call, 1, image),
                            .indices = in(call, 2, image),
                            .queue = in(call, 3, 0),
                            .rows = rows_of_tensor(q),
                            .keys = input(call, 3)->channels / q->channels,
                            .of_k = rows_of_tensor(input(call, 1)),
                            .positives = indexed ? input(call, 2)->channels : 1,
                            .channels = q->channels,
                            .scale = 1 / call->node->attributes.cells.temperature};
}
/* Positive p of row i; the first row for what is none. */
static const float *positive_of(const struct matched *m, int64_t i, int64_t p) {
    const float index = m->indices ? m->indices[i * m->positives + p] : (float)i;
    const int64_t row = !m->indices ? i : index >= 0 && index < (float)m->of_k ? (int64_t)index : 0;
    return m->k + row * m->channels;
}
static double product_with(const struct matched *m, const float *unit, const float *k) {
    return inner(unit, k, m->channels) / length_of(k, m->channels);
}
static double *matched_parts(const struct call *call, int image) {
    return (double *)call->shared + 2 * rows_of_tensor(input(call, 0)) * image;
}
static size_t matched_shared(const struct program *program, const struct node *node) {
    const struct tensor *q = &program->graph->tensors[node->input[0]];
    return 2 * sizeof(double) * (size_t)(rows_of_tensor(q) * q->images);
}

static cover_status run_matched_nce(const struct call *call, int image) {
    const struct matched m = matched_of(call, image);
    struct nce_tile *tile = (struct nce_tile *)call->scratch;
    float *log_sums = out(call, 1, image);
    double *parts = matched_parts(call, image);
    EACH_TILE(first, call, m.rows) {
        const int64_t rows = rows_at_once(first, end_of_first);
        make_unit(tile, call, m.q + first * m.channels, rows, m.channels);
        against_queue(tile, call, m.queue, m.keys, rows, m.channels, m.scale);
        for (int64_t i = 0; i < rows; i++) {
            double loss = 0, nearest = 0;
            for (int64_t p = 0; p < m.positives; p++) {
                const double product = product_with(&m, tile->unit + i * m.channels, positive_of(&m, first + i, p));
                loss += log_add(m.scale * product, tile->log_sum[i]) - m.scale * product;
                if (p == 0) nearest = product;
            }
            parts[2 * (first + i)] = loss / (double)m.positives;
            parts[2 * (first + i) + 1] = (float)nearest >= tile->largest[i];
            log_sums[first + i] = (float)tile->log_sum[i];
        }
    }
    return COVER_OK;
}
static void finish_matched_nce(const struct call *call) {
    const int64_t rows = rows_of_tensor(input(call, 0));
    for (int image = 0; image < input(call, 0)->images; image++) {
        const double *parts = matched_parts(call, image);
        double *to = out(call, 0, image), sum[2] = {0};
        for (int64_t i = 0; i < 2 * rows; i++) sum[i % 2] += parts[i];
        to[0] = sum[0] / (double)rows, to[1] = sum[1] / (double)rows;
    }
}

/* With s_p the share of positive p beside the queue: dq^ = (sum of (s_p - 1) k^_p / P + mean(1 - s_p) sum of softmax_j Q_j) / T. */
static cover_status run_matched_nce_grad(const struct call *call, int image) {
    const struct matched m = matched_of(call, image);
    struct nce_tile *tile = (struct nce_tile *)call->scratch;
    const float *log_sums = in(call, 4, image);
    float *dq = out(call, 0, image);
    double rest[TILE_ROWS];
    EACH_TILE(first, call, m.rows) {
        const int64_t rows = rows_at_once(first, end_of_first), c = m.channels;
        float *const d = dq + first * c;
        make_unit(tile, call, m.q + first * c, rows, c);
        memset(d, 0, (size_t)(rows * c) * sizeof *d);
        for (int64_t i = 0; i < rows; i++) {
            rest[i] = 0;
            for (int64_t p = 0; p < m.positives; p++) {
                const float *k = positive_of(&m, first + i, p);
                const double logit = m.scale * product_with(&m, tile->unit + i * c, k), sum = log_sums[first + i];
                const double other = exp(sum - log_add(logit, sum)) / (double)m.positives, factor = -other / length_of(k, c);
                for (int64_t at = 0; at < c; at++) d[i * c + at] += (float)(factor * k[at]);
                rest[i] += other;
            }
        }
        EACH_KEYS(key, m.keys) {
            const int64_t count = keys_at_once(key, m.keys);
            call->kernels->row_products(tile->products, TILE_KEYS, tile->unit, rows, m.queue + key * c, count, c);
            for (int64_t i = 0; i < rows; i++) {
                float *const row = tile->products + i * TILE_KEYS;
                call->kernels->row_shares(row, row, count, m.scale, log_sums[first + i], rest[i]);
            }
            call->kernels->row_mix(d, tile->products, TILE_KEYS, rows, m.queue + key * c, count, c);
        }
        const double factor = (double)call->node->attributes.cells.weight * m.scale / (double)m.rows;
        for (int64_t i = 0; i < rows; i++) through_unit(d + i * c, m.q + (first + i) * c, c, factor);
    }
    return COVER_OK;
}

const struct op_cpu cpu_op_matched_nce = {.any_slabs = true,
                                          .run = run_matched_nce,
                                          .finish = finish_matched_nce,
                                          .unit_bytes = nce_unit,
                                          .shared_bytes = matched_shared};
const struct op_cpu cpu_op_matched_nce_grad = {.any_slabs = true, .run = run_matched_nce_grad, .unit_bytes = nce_unit};
