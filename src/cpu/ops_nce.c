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

/* ---- set_nce: rows of k that are positives of a row, beside the queue.  Parts of a row: loss, right, its positives */

struct set_nce {
    const float *q, *k, *positives, *queue;
    int64_t rows, of_k, keys, channels;
    float scale;
};
static struct set_nce set_of(const struct call *call, int image) {
    const struct tensor *q = input(call, 0);
    return (struct set_nce){.q = in(call, 0, image),
                            .k = in(call, 1, image),
                            .positives = in(call, 2, image),
                            .queue = in(call, 3, 0),
                            .rows = rows_of_tensor(q),
                            .of_k = rows_of_tensor(input(call, 1)),
                            .keys = input(call, 3)->channels / q->channels,
                            .channels = q->channels,
                            .scale = 1 / call->node->attributes.cells.temperature};
}
/* The inverse lengths of k lie behind the tile's rows. */
static size_t set_unit(const struct program *program, const struct node *node, int index) {
    const struct tensor *k = &program->graph->tensors[node->input[1]];
    return nce_unit(program, node, index) + sizeof(float) * (size_t)rows_of_tensor(k);
}
static float *inverses_of_k(struct nce_tile *tile, const struct call *call, const struct set_nce *s) {
    float *inverse = tile->unit + TILE_ROWS * s->channels;
    call->kernels->row_inverses(inverse, s->k, s->of_k, s->channels);
    return inverse;
}
static double *set_parts(const struct call *call, int image) {
    return (double *)call->shared + 3 * rows_of_tensor(input(call, 0)) * image;
}
static size_t set_shared(const struct program *program, const struct node *node) {
    const struct tensor *q = &program->graph->tensors[node->input[0]];
    return 3 * sizeof(double) * (size_t)(rows_of_tensor(q) * q->images);
}

static cover_status run_set_nce(const struct call *call, int image) {
    const struct set_nce s = set_of(call, image);
    struct nce_tile *tile = (struct nce_tile *)call->scratch;
    const float *inverse = inverses_of_k(tile, call, &s);
    float *log_sums = out(call, 1, image);
    EACH_TILE(first, call, s.rows) {
        const int64_t rows = rows_at_once(first, end_of_first);
        double total[TILE_ROWS] = {0}, largest[TILE_ROWS], count[TILE_ROWS] = {0}, *part = set_parts(call, image) + 3 * first;
        make_unit(tile, call, s.q + first * s.channels, rows, s.channels);
        against_queue(tile, call, s.queue, s.keys, rows, s.channels, s.scale);
        for (int64_t i = 0; i < rows; i++) largest[i] = -INFINITY;
        EACH_KEYS(key, s.of_k) {
            const int64_t keys = keys_at_once(key, s.of_k);
            call->kernels->row_products(tile->products, TILE_KEYS, tile->unit, rows, s.k + key * s.channels, keys, s.channels);
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < keys; j++) {
                    if (!(s.positives[(first + i) * s.of_k + key + j] > 0)) continue;
                    const double product = (double)(tile->products[i * TILE_KEYS + j] * inverse[key + j]);
                    tile->log_sum[i] = log_add(tile->log_sum[i], s.scale * product), total[i] += s.scale * product, count[i]++;
                    largest[i] = product > largest[i] ? product : largest[i];
                }
        }
        for (int64_t i = 0; i < rows; i++, part += 3) {
            part[0] = count[i] > 0 ? tile->log_sum[i] - total[i] / count[i] : 0;
            part[1] = count[i] > 0 && largest[i] >= (double)tile->largest[i], part[2] = count[i];
            log_sums[2 * (first + i)] = (float)tile->log_sum[i], log_sums[2 * (first + i) + 1] = (float)count[i];
        }
    }
    return COVER_OK;
}
static void finish_set_nce(const struct call *call) {
    for (int image = 0; image < input(call, 0)->images; image++) {
        const double *part = set_parts(call, image);
        double *to = out(call, 0, image), sum[3] = {0}, with = 0;
        for (int64_t i = 0; i < rows_of_tensor(input(call, 0)); i++, part += 3) {
            for (int n = 0; n < 3; n++) sum[n] += part[n];
            with += part[2] > 0;
        }
        for (int n = 0; n < 3; n++) to[n] = with > 0 ? sum[n] / with : 0;
        *(double *)out(call, 2, image) = with;
    }
}

/* dq^ = (sum over positives of (softmax_j - 1 / count) k^_j + sum over the queue of softmax_j Q_j) / T, by the rows with positives. */
static cover_status run_set_nce_grad(const struct call *call, int image) {
    const struct set_nce s = set_of(call, image);
    struct nce_tile *tile = (struct nce_tile *)call->scratch;
    const float *inverse = inverses_of_k(tile, call, &s), *log_sums = in(call, 4, image);
    const double with = *(const double *)in(call, 5, image);
    const int64_t c = s.channels;
    EACH_TILE(first, call, s.rows) {
        const int64_t rows = rows_at_once(first, end_of_first);
        float *const d = (float *)out(call, 0, image) + first * c;
        make_unit(tile, call, s.q + first * c, rows, c);
        memset(d, 0, (size_t)(rows * c) * sizeof *d);
        EACH_KEYS(key, s.keys) {
            const int64_t keys = keys_at_once(key, s.keys);
            call->kernels->row_products(tile->products, TILE_KEYS, tile->unit, rows, s.queue + key * c, keys, c);
            for (int64_t i = 0; i < rows; i++) {
                float *const row = tile->products + i * TILE_KEYS;
                const float *sums = log_sums + 2 * (first + i);
                call->kernels->row_shares(row, row, keys, s.scale, sums[0], sums[1] > 0);
            }
            call->kernels->row_mix(d, tile->products, TILE_KEYS, rows, s.queue + key * c, keys, c);
        }
        EACH_KEYS(key, s.of_k) {
            const int64_t keys = keys_at_once(key, s.of_k);
            call->kernels->row_products(tile->products, TILE_KEYS, tile->unit, rows, s.k + key * c, keys, c);
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < keys; j++) {
                    float *const product = &tile->products[i * TILE_KEYS + j];
                    const float *sums = log_sums + 2 * (first + i);
                    const double logit = (double)s.scale * (double)(*product * inverse[key + j]);
                    const bool positive = s.positives[(first + i) * s.of_k + key + j] > 0;
                    *product =
                        positive ? (float)((exp(logit - (double)sums[0]) - 1 / (double)sums[1]) * (double)inverse[key + j]) : 0;
                }
            call->kernels->row_mix(d, tile->products, TILE_KEYS, rows, s.k + key * c, keys, c);
        }
        const double factor = with > 0 ? (double)call->node->attributes.cells.weight * s.scale / with : 0;
        for (int64_t i = 0; i < rows; i++) through_unit(d + i * c, s.q + (first + i) * c, c, factor);
    }
    return COVER_OK;
}

const struct op_cpu cpu_op_matched_nce = {.any_slabs = true,
                                          .run = run_matched_nce,
                                          .finish = finish_matched_nce,
                                          .unit_bytes = nce_unit,
                                          .shared_bytes = matched_shared};
const struct op_cpu cpu_op_matched_nce_grad = {.any_slabs = true, .run = run_matched_nce_grad, .unit_bytes = nce_unit};
const struct op_cpu cpu_op_set_nce = {
    .any_slabs = true, .run = run_set_nce, .finish = finish_set_nce, .unit_bytes = set_unit, .shared_bytes = set_shared};
const struct op_cpu cpu_op_set_nce_grad = {.any_slabs = true, .run = run_set_nce_grad, .unit_bytes = set_unit};
