/* What is done to pairs of rows as ops of the CPU: lengths, propagation, cosines of near cells, codes.  Rows of program.h's table. */
#include "cell_places.h"
#include "row_tile.h"

#include <string.h>

/* ---- unit */

static cover_status run_unit(const struct call *call, int image) {
    const struct tensor *x = input(call, 0);
    const float *from = in(call, 0, image);
    float *y = out(call, 0, image), inverse[TILE_ROWS];
    const int64_t channels = x->channels;
    EACH_TILE(first, call, rows_of_tensor(x)) {
        const int64_t rows = rows_at_once(first, end_of_first);
        call->kernels->row_inverses(inverse, from + first * channels, rows, channels);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t c = (first + i) * channels; c < (first + i + 1) * channels; c++) y[c] = from[c] * inverse[i];
    }
    return COVER_OK;
}
static cover_status run_unit_grad(const struct call *call, int image) {
    const struct tensor *dy = input(call, 0);
    const float *x = in(call, 1, image);
    const int64_t rows = rows_of_tensor(dy), channels = dy->channels;
    float *dx = out(call, 0, image);
    const int64_t begin = rows * call->slab / call->slabs, end = rows * (call->slab + 1) / call->slabs;
    memcpy(dx + begin * channels, (const float *)in(call, 0, image) + begin * channels,
           (size_t)((end - begin) * channels) * sizeof *dx);
    for (int64_t i = begin; i < end; i++) through_unit(dx + i * channels, x + i * channels, channels, 1);
    return COVER_OK;
}

/* ---- propagate.  A = max(c, 0)^2 of cosines c is symmetric, so that what leaves row i by it is what comes */

struct propagation {
    float products[TILE_ROWS * TILE_KEYS], flow[TILE_ROWS * TILE_KEYS], back[TILE_ROWS * TILE_KEYS];
    float inverse[]; /* of all rows of x, then of the values */
};
static size_t propagation_bytes(const struct program *program, int tensor) {
    return sizeof(struct propagation) + 2 * sizeof(float) * (size_t)rows_of_tensor(&program->graph->tensors[tensor]);
}
static size_t propagate_unit(const struct program *program, const struct node *node, int index) {
    (void)index;
    return propagation_bytes(program, node->input[0]);
}
static cover_status run_propagate(const struct call *call, int image) {
    const struct tensor *x_of = input(call, 0), *value_of = input(call, 1);
    const int64_t cells = rows_of_tensor(x_of), channels = x_of->channels, wide = value_of->channels;
    const float *x = in(call, 0, image), *value = in(call, 1, image);
    struct propagation *at = (struct propagation *)call->scratch;
    float *const of_values = at->inverse + cells, *y = out(call, 0, image);
    call->kernels->row_inverses(at->inverse, x, cells, channels);
    call->kernels->row_inverses(of_values, value, cells, wide);
    EACH_TILE(first, call, cells) {
        const int64_t rows = rows_at_once(first, end_of_first);
        memset(y + first * wide, 0, (size_t)(rows * wide) * sizeof *y);
        EACH_KEYS(key, cells) {
            const int64_t count = keys_at_once(key, cells);
            call->kernels->row_products(at->products, TILE_KEYS, x + first * channels, rows, x + key * channels, count, channels);
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < count; j++) {
                    float *const product = &at->products[i * TILE_KEYS + j];
                    const float cosine = *product * at->inverse[first + i] * at->inverse[key + j];
                    *product = cosine < 0 ? 0 : cosine * cosine * of_values[key + j]; /* a NaN stays */
                }
            call->kernels->row_mix(y + first * wide, at->products, TILE_KEYS, rows, value + key * wide, count, wide);
        }
    }
    return COVER_OK;
}
static size_t propagate_grad_unit(const struct program *program, const struct node *node, int index) {
    (void)index;
    return propagation_bytes(program, node->input[1]);
}
/* With u = value^: dx^_i = sum of 2 max(c_ij, 0) (dy_i.u_j + dy_j.u_i) x^_j,  du_i = sum of A_ij dy_j. */
static cover_status run_propagate_grad(const struct call *call, int image) {
    const struct tensor *x_of = input(call, 1), *value_of = input(call, 2);
    const int64_t cells = rows_of_tensor(x_of), channels = x_of->channels, wide = value_of->channels;
    const float *dy = in(call, 0, image), *x = in(call, 1, image), *value = in(call, 2, image);
    const struct kernels *kernels = call->kernels;
    struct propagation *at = (struct propagation *)call->scratch;
    float *const of_values = at->inverse + cells, *dx = out(call, 0, image), *dvalue = out(call, 1, image);
    kernels->row_inverses(at->inverse, x, cells, channels);
    kernels->row_inverses(of_values, value, cells, wide);
    EACH_TILE(first, call, cells) {
        const int64_t rows = rows_at_once(first, end_of_first);
        float *const dx_at = dx + first * channels, *const dvalue_at = dvalue + first * wide;
        memset(dx_at, 0, (size_t)(rows * channels) * sizeof *dx_at);
        memset(dvalue_at, 0, (size_t)(rows * wide) * sizeof *dvalue_at);
        EACH_KEYS(key, cells) {
            const int64_t count = keys_at_once(key, cells);
            kernels->row_products(at->products, TILE_KEYS, x + first * channels, rows, x + key * channels, count, channels);
            kernels->row_products(at->flow, TILE_KEYS, dy + first * wide, rows, value + key * wide, count, wide);
            kernels->row_products(at->back, TILE_KEYS, value + first * wide, rows, dy + key * wide, count, wide);
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < count; j++) {
                    const int64_t n = i * TILE_KEYS + j;
                    const float cosine = at->products[n] * at->inverse[first + i] * at->inverse[key + j];
                    const float slope = at->flow[n] * of_values[key + j] + at->back[n] * of_values[first + i];
                    at->products[n] = cosine < 0 ? 0 : cosine * cosine;
                    at->flow[n] = cosine < 0 ? 0 : 2 * cosine * slope * at->inverse[key + j];
                }
            kernels->row_mix(dx_at, at->flow, TILE_KEYS, rows, x + key * channels, count, channels);
            kernels->row_mix(dvalue_at, at->products, TILE_KEYS, rows, dy + key * wide, count, wide);
        }
        for (int64_t i = 0; i < rows; i++) {
            through_unit(dx_at + i * channels, x + (first + i) * channels, channels, 1);
            through_unit(dvalue_at + i * wide, value + (first + i) * wide, wide, 1);
        }
    }
    return COVER_OK;
}

/* ---- pair_cosine: the sum of the keys of a row's near cells comes first, so each row is one product */

static size_t pairs_unit(const struct program *program, const struct node *node, int index) {
    (void)index;
    const struct tensor *k = &program->graph->tensors[node->input[1]];
    return cell_places_bytes(&k->grid) + sizeof(double) * (size_t)k->channels + sizeof(float) * (size_t)rows_of_tensor(k);
}
struct pairs {
    struct cell_places *places;
    const float *y, *k;
    double *sum; /* of the keys of a row, unit */
    float *inverse;
    int64_t cells, channels;
    bool turned;
};
static struct pairs pairs_of(const struct call *call, int image) {
    const struct tensor *y = input(call, 0);
    const struct cells_attributes *how = &call->node->attributes.cells;
    struct pairs p = {.places = (struct cell_places *)call->scratch,
                      .y = in(call, 0, image),
                      .k = in(call, 1, image),
                      .sum = (double *)(void *)(call->scratch + cell_places_bytes(&y->grid)),
                      .cells = rows_of_tensor(y),
                      .channels = y->channels,
                      .turned = how->turned};
    p.inverse = (float *)(p.sum + p.channels);
    find_places(p.places, in(call, 2, image), &y->grid, how->cell, how->threshold);
    call->kernels->row_inverses(p.inverse, p.k, p.cells, p.channels);
    return p;
}
/* The keys near row i, added up; how many. */
static double add_near(const struct pairs *p, int64_t i) {
    double count = 0, own[3];
    memset(p->sum, 0, (size_t)p->channels * sizeof *p->sum);
    lattice_place(own, &p->places->grid, p->places->cell, i);
    for (int64_t j = 0; j < p->cells; j++) {
        double other[3];
        if (p->turned) lattice_place(other, &p->places->grid, p->places->cell, j);
        if (!cells_near(p->places, p->turned ? other : own, p->turned ? i : j)) continue;
        for (int64_t c = 0; c < p->channels; c++) p->sum[c] += (double)p->k[j * p->channels + c] * p->inverse[j];
        count++;
    }
    return count;
}
static double *pair_parts(const struct call *call, int image) {
    return (double *)call->shared + 2 * rows_of_tensor(input(call, 0)) * image;
}
static size_t pairs_shared(const struct program *program, const struct node *node) {
    const struct tensor *y = &program->graph->tensors[node->input[0]];
    return 2 * sizeof(double) * (size_t)(rows_of_tensor(y) * y->images);
}
static cover_status run_pair_cosine(const struct call *call, int image) {
    const struct pairs p = pairs_of(call, image);
    double *parts = pair_parts(call, image);
    for (int64_t i = p.cells * call->slab / call->slabs; i < p.cells * (call->slab + 1) / call->slabs; i++) {
        const float *y = p.y + i * p.channels;
        double product = 0;
        parts[2 * i + 1] = add_near(&p, i);
        for (int64_t c = 0; c < p.channels; c++) product += y[c] * p.sum[c];
        parts[2 * i] = product / length_of(y, p.channels);
    }
    return COVER_OK;
}
static void finish_pair_cosine(const struct call *call) {
    for (int image = 0; image < input(call, 0)->images; image++) {
        const double *parts = pair_parts(call, image);
        double *to = out(call, 0, image), sum = 0, count = 0;
        for (int64_t i = 0; i < rows_of_tensor(input(call, 0)); i++) sum += parts[2 * i], count += parts[2 * i + 1];
        to[0] = -2 * sum / (count + 1e-6), to[1] = count;
    }
}
static cover_status run_pair_cosine_grad(const struct call *call, int image) {
    const struct pairs p = pairs_of(call, image);
    const double count = ((const double *)in(call, 3, image))[1];
    const double factor = -2 * (double)call->node->attributes.cells.weight / (count + 1e-6);
    float *dy = out(call, 0, image);
    for (int64_t i = p.cells * call->slab / call->slabs; i < p.cells * (call->slab + 1) / call->slabs; i++) {
        add_near(&p, i);
        for (int64_t c = 0; c < p.channels; c++) dy[i * p.channels + c] = (float)p.sum[c];
        through_unit(dy + i * p.channels, p.y + i * p.channels, p.channels, factor);
    }
    return COVER_OK;
}

/* ---- soft_cross_entropy */

static const float *codes_of(const struct call *call, int image, int64_t row) {
    const struct tensor *codes = input(call, 1);
    const float *indices = in(call, 2, image);
    const int64_t group = call->node->attributes.cells.count ? call->node->attributes.cells.count : rows_of_tensor(codes);
    const float index = indices ? indices[row * input(call, 2)->channels] : 0;
    const int64_t from = !indices ? row : row / group * group + (index >= 0 && index < (float)group ? (int64_t)index : 0);
    return (const float *)in(call, 1, image) + from * codes->channels;
}
static double log_sum_of(const float *scores, int64_t channels, double scale) {
    double largest = scores[0], sum = 0;
    for (int64_t c = 1; c < channels; c++) largest = scores[c] > largest ? scores[c] : largest;
    for (int64_t c = 0; c < channels; c++) sum += exp(scale * (scores[c] - largest));
    return scale * largest + log(sum);
}
static size_t entropy_shared(const struct program *program, const struct node *node) {
    const struct tensor *scores = &program->graph->tensors[node->input[0]];
    return sizeof(double) * (size_t)(rows_of_tensor(scores) * scores->images);
}
static cover_status run_soft_cross_entropy(const struct call *call, int image) {
    const struct tensor *s = input(call, 0);
    const int64_t rows = rows_of_tensor(s), channels = s->channels;
    const double scale = 1 / (double)call->node->attributes.cells.temperature;
    double *parts = (double *)call->shared + rows * image;
    for (int64_t i = rows * call->slab / call->slabs; i < rows * (call->slab + 1) / call->slabs; i++) {
        const float *scores = (const float *)in(call, 0, image) + i * channels, *codes = codes_of(call, image, i);
        const double log_sum = log_sum_of(scores, channels, scale);
        parts[i] = 0;
        for (int64_t c = 0; c < channels; c++) parts[i] += codes[c] * (log_sum - scale * scores[c]);
    }
    return COVER_OK;
}
static void finish_soft_cross_entropy(const struct call *call) {
    const int64_t rows = rows_of_tensor(input(call, 0));
    for (int image = 0; image < input(call, 0)->images; image++) {
        double sum = 0;
        for (int64_t i = 0; i < rows; i++) sum += ((double *)call->shared)[rows * image + i];
        *(double *)out(call, 0, image) = sum / (double)rows;
    }
}
static cover_status run_soft_cross_entropy_grad(const struct call *call, int image) {
    const struct tensor *s = input(call, 0);
    const int64_t rows = rows_of_tensor(s), channels = s->channels;
    const double scale = 1 / (double)call->node->attributes.cells.temperature;
    const double factor = (double)call->node->attributes.cells.weight * scale / (double)rows;
    float *d = out(call, 0, image);
    for (int64_t i = rows * call->slab / call->slabs; i < rows * (call->slab + 1) / call->slabs; i++) {
        const float *scores = (const float *)in(call, 0, image) + i * channels, *codes = codes_of(call, image, i);
        const double log_sum = log_sum_of(scores, channels, scale);
        double all = 0;
        for (int64_t c = 0; c < channels; c++) all += codes[c];
        for (int64_t c = 0; c < channels; c++)
            d[i * channels + c] = (float)(factor * (all * exp(scale * scores[c] - log_sum) - codes[c]));
    }
    return COVER_OK;
}

/* ---- sinkhorn: codes = e_ij row_i column_j, and each round finds columns, then rows; a double holds e to a cosine by epsilon */

static size_t sinkhorn_shared(const struct program *program, const struct node *node) {
    const struct tensor *s = &program->graph->tensors[node->input[0]];
    return sizeof(double) * (size_t)(rows_of_tensor(s) * (s->channels + 1) + 2 * s->channels) * (size_t)s->images;
}
static cover_status run_sinkhorn(const struct call *call, int image) {
    const struct tensor *s = input(call, 0);
    const int64_t rows = rows_of_tensor(s), channels = s->channels;
    const float *scores = in(call, 0, image);
    float *codes = out(call, 0, image);
    double *e = (double *)call->shared + (rows * (channels + 1) + 2 * channels) * image, *row = e + rows * channels;
    double *column = row + rows, *sum = column + channels;
    const double scale = 1 / (double)call->node->attributes.cells.temperature;
    for (int64_t i = 0; i < rows * channels; i++) e[i] = exp(scale * scores[i]);
    for (int64_t i = 0; i < rows; i++) row[i] = 1;
    for (int round = 0; round < call->node->attributes.cells.count; round++) {
        memset(sum, 0, (size_t)channels * sizeof *sum);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t c = 0; c < channels; c++) sum[c] += e[i * channels + c] * row[i];
        for (int64_t c = 0; c < channels; c++) column[c] = 1 / (sum[c] * (double)channels);
        for (int64_t i = 0; i < rows; i++) {
            double of_row = 0;
            for (int64_t c = 0; c < channels; c++) of_row += e[i * channels + c] * column[c];
            row[i] = 1 / (of_row * (double)rows);
        }
    }
    for (int64_t i = 0; i < rows * channels; i++)
        codes[i] = (float)(e[i] * row[i / channels] * column[i % channels] * (double)rows);
    return COVER_OK;
}

const struct op_cpu cpu_op_unit = {.any_slabs = true, .run = run_unit};
const struct op_cpu cpu_op_unit_grad = {.any_slabs = true, .run = run_unit_grad};
const struct op_cpu cpu_op_propagate = {.any_slabs = true, .run = run_propagate, .unit_bytes = propagate_unit};
const struct op_cpu cpu_op_propagate_grad = {.any_slabs = true, .run = run_propagate_grad, .unit_bytes = propagate_grad_unit};
const struct op_cpu cpu_op_pair_cosine = {.any_slabs = true,
                                          .run = run_pair_cosine,
                                          .finish = finish_pair_cosine,
                                          .unit_bytes = pairs_unit,
                                          .shared_bytes = pairs_shared};
const struct op_cpu cpu_op_pair_cosine_grad = {.any_slabs = true, .run = run_pair_cosine_grad, .unit_bytes = pairs_unit};
const struct op_cpu cpu_op_soft_cross_entropy = {
    .any_slabs = true, .run = run_soft_cross_entropy, .finish = finish_soft_cross_entropy, .shared_bytes = entropy_shared};
const struct op_cpu cpu_op_soft_cross_entropy_grad = {.any_slabs = true, .run = run_soft_cross_entropy_grad};
const struct op_cpu cpu_op_sinkhorn = {.run = run_sinkhorn, .shared_bytes = sinkhorn_shared};
