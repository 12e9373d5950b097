/* t-SNE: affinities, gradient, descent.  Constants of the descent are those of the paper's code and of scikit-learn: 250
 * steps with P times 12 and momentum 0.5, then momentum 0.8; step width max(count / 48, 50); gains in 0.01 .. */
#include "tsne.h"

#include "core/base/philox.h"
#include "core/base/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64, EARLY_STEPS = 250, WIDTH_STEPS = 100, AXIS_STEPS = 200 };
static const double EARLY_EXAGGERATION = 12, ENTROPY_TOLERANCE = 1e-5, SMALLEST = 1e-300;

/* Run a job on blocks of points on the context's threads. */
static cover_status each_block(cover_context *context, int64_t count, void (*job)(void *data, int64_t block), void *data) {
    struct pool *pool;
    TRY(context_pool(context, &pool));
    pool_each(pool, (count + BLOCK - 1) / BLOCK, job, data);
    return COVER_OK;
}

/* ---- affinities */

struct near {
    double square;
    int32_t index;
};

static bool farther(struct near a, struct near b) { return a.square > b.square || (a.square == b.square && a.index > b.index); }

/* A heap with the farthest on top. */
static void sift_down(struct near *heap, int64_t count, int64_t at) {
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && farther(heap[child + 1], heap[child])) child++;
        if (!farther(heap[child], heap[at])) return;
        struct near moved = heap[at];
        heap[at] = heap[child], heap[child] = moved;
    }
}

struct search {
    const float *points;
    int64_t count, channels, neighbours;
    double perplexity;
    struct near *near; /* count x neighbours */
    double *p;         /* conditional, count x neighbours */
};

static double square_distance(const float *a, const float *b, int64_t channels) {
    float sum[8] = {0};
    int64_t c = 0;
    for (; c + 8 <= channels; c += 8)
        for (int lane = 0; lane < 8; lane++) sum[lane] += (a[c + lane] - b[c + lane]) * (a[c + lane] - b[c + lane]);
    double rest = 0;
    for (; c < channels; c++) rest += (double)(a[c] - b[c]) * (double)(a[c] - b[c]);
    for (int lane = 0; lane < 8; lane++) rest += (double)sum[lane];
    return rest;
}

static void find_nearest(const struct search *search, int64_t i) {
    struct near *heap = search->near + i * search->neighbours;
    int64_t held = 0, wanted = search->neighbours;
    const float *points = search->points;
    for (int64_t j = 0; j < search->count; j++) {
        if (j == i) continue;
        struct near near = {square_distance(points + i * search->channels, points + j * search->channels, search->channels),
                            (int32_t)j};
        if (held < wanted) {
            heap[held++] = near;
            for (int64_t at = held == wanted ? wanted / 2 : 0; at-- > 0;) sift_down(heap, wanted, at);
        } else if (farther(heap[0], near)) {
            heap[0] = near;
            sift_down(heap, wanted, 0);
        }
    }
}

/* The precision at which the row's entropy is log(perplexity), by bisection; distances from the nearest on, so that one
 * term at least does not vanish. */
static void find_width(const struct search *search, int64_t i) {
    const struct near *near = search->near + i * search->neighbours;
    double *p = search->p + i * search->neighbours;
    double precision = 1, low = 0, high = INFINITY, nearest = INFINITY, wanted = log(search->perplexity);
    for (int64_t k = 0; k < search->neighbours; k++) nearest = fmin(nearest, near[k].square);
    for (int step = 0; step < WIDTH_STEPS; step++) {
        double sum = 0, weighted = 0;
        for (int64_t k = 0; k < search->neighbours; k++) {
            double away = near[k].square - nearest;
            p[k] = exp(-precision * away);
            sum += p[k], weighted += precision * away * p[k];
        }
        for (int64_t k = 0; k < search->neighbours; k++) p[k] /= sum;
        double entropy = log(sum) + weighted / sum;
        if (fabs(entropy - wanted) < ENTROPY_TOLERANCE) return;
        if (entropy > wanted) low = precision, precision = isinf(high) ? 2 * precision : (low + high) / 2;
        else high = precision, precision = (low + high) / 2;
    }
}

static void search_block(void *data, int64_t block) {
    const struct search *search = data;
    for (int64_t i = block * BLOCK; i < (block + 1) * BLOCK && i < search->count; i++) {
        find_nearest(search, i);
        find_width(search, i);
    }
}

struct edge {
    int32_t to;
    double p;
};

static int by_index(const void *a, const void *b) {
    const struct edge *x = a, *y = b;
    return x->to != y->to ? (x->to > y->to) - (x->to < y->to) : (x->p > y->p) - (x->p < y->p);
}

/* (p_j|i + p_i|j) / 2n: each edge goes to both of its rows, and what meets is added. */
static cover_status symmetrise(struct affinities *out, cover_context *context, const struct search *search) {
    int64_t edges = 2 * search->count * search->neighbours, kept = 0;
    int64_t *end = memory_zero(context, (size_t)(search->count + 1) * sizeof *end);
    struct edge *edge = memory_alloc(context, (size_t)edges * sizeof *edge);
    cover_status status = COVER_ERROR_MEMORY;
    if (!end || !edge) goto done;
    const struct near *near = search->near;
    for (int64_t k = 0; k < search->count * search->neighbours; k++) end[k / search->neighbours]++, end[near[k].index]++;
    for (int64_t i = 0, sum = 0; i < search->count; i++) sum += end[i], end[i] = sum - end[i];
    for (int64_t k = 0; k < search->count * search->neighbours; k++) {
        int64_t i = k / search->neighbours;
        double p = search->p[k] / (2.0 * (double)search->count);
        edge[end[i]++] = (struct edge){near[k].index, p};
        edge[end[near[k].index]++] = (struct edge){(int32_t)i, p};
    }
    out->count = search->count;
    out->first = memory_alloc(context, (size_t)(search->count + 1) * sizeof *out->first);
    out->neighbour = memory_alloc(context, (size_t)edges * sizeof *out->neighbour);
    out->p = memory_alloc(context, (size_t)edges * sizeof *out->p);
    if (!out->first || !out->neighbour || !out->p) goto done;
    for (int64_t i = 0; i < search->count; i++) {
        int64_t begin = i ? end[i - 1] : 0;
        qsort(edge + begin, (size_t)(end[i] - begin), sizeof *edge, by_index);
        out->first[i] = kept;
        for (int64_t k = begin; k < end[i]; k++) {
            bool again = kept > out->first[i] && out->neighbour[kept - 1] == edge[k].to;
            if (!again) out->neighbour[kept] = edge[k].to, out->p[kept++] = 0;
            out->p[kept - 1] += edge[k].p;
        }
    }
    out->first[search->count] = kept;
    status = COVER_OK;
done:
    memory_free(context, end);
    memory_free(context, edge);
    return status;
}

cover_status affinities_make(struct affinities *affinities, cover_context *context, const float *points, int64_t count,
                             int64_t channels, double perplexity, int64_t neighbours) {
    struct search search = {
        .points = points, .count = count, .channels = channels, .neighbours = neighbours, .perplexity = perplexity};
    *affinities = (struct affinities){0};
    search.near = memory_alloc(context, (size_t)(count * neighbours) * sizeof *search.near);
    search.p = memory_alloc(context, (size_t)(count * neighbours) * sizeof *search.p);
    cover_status status = COVER_ERROR_MEMORY;
    if (!search.near || !search.p) goto done;
    GO(each_block(context, count, search_block, &search));
    status = symmetrise(affinities, context, &search);
    if (status != COVER_OK) affinities_free(affinities, context);
done:
    memory_free(context, search.near);
    memory_free(context, search.p);
    return status;
}

void affinities_free(struct affinities *affinities, cover_context *context) {
    memory_free(context, affinities->first);
    memory_free(context, affinities->neighbour);
    memory_free(context, affinities->p);
    *affinities = (struct affinities){0};
}

/* ---- gradient: 4 sum_j (p_ij - q_ij / Z) q_ij (y_i - y_j), with q_ij unnormalised and Z their sum */

struct forces {
    const struct affinities *affinities;
    const double *y;
    const struct tree *tree; /* NULL = all pairs */
    double theta, exaggeration;
    double *attract, *repel; /* count x 2 */
    double *q_sum, *cost;    /* count: sum of q, sum of p log(p / q) */
};

static void repel_all(const struct forces *forces, int64_t i) {
    const double *y = forces->y;
    double sum = 0, force[2] = {0};
    for (int64_t j = 0; j < forces->affinities->count; j++) {
        double dx = y[2 * i] - y[2 * j], dy = y[2 * i + 1] - y[2 * j + 1], q = 1 / (1 + dx * dx + dy * dy);
        sum += q;
        force[0] += q * q * dx, force[1] += q * q * dy;
    }
    forces->q_sum[i] = sum - 1;
    forces->repel[2 * i] = force[0], forces->repel[2 * i + 1] = force[1];
}

static void attract(const struct forces *forces, int64_t i) {
    const struct affinities *affinities = forces->affinities;
    const double *y = forces->y;
    double force[2] = {0}, cost = 0;
    for (int64_t k = affinities->first[i]; k < affinities->first[i + 1]; k++) {
        int64_t j = affinities->neighbour[k];
        double dx = y[2 * i] - y[2 * j], dy = y[2 * i + 1] - y[2 * j + 1], q = 1 / (1 + dx * dx + dy * dy);
        double p = forces->exaggeration * affinities->p[k];
        force[0] += p * q * dx, force[1] += p * q * dy;
        cost += p * log(fmax(p, SMALLEST) / q);
    }
    forces->attract[2 * i] = force[0], forces->attract[2 * i + 1] = force[1];
    forces->cost[i] = cost;
}

static void forces_block(void *data, int64_t block) {
    const struct forces *forces = data;
    for (int64_t i = block * BLOCK; i < (block + 1) * BLOCK && i < forces->affinities->count; i++) {
        attract(forces, i);
        if (forces->tree) tree_repel(forces->tree, forces->y + 2 * i, forces->theta, &forces->q_sum[i], &forces->repel[2 * i]);
        else repel_all(forces, i);
    }
}

static cover_status forces_run(double *kl, double *gradient, cover_context *context, struct forces *forces) {
    int64_t count = forces->affinities->count;
    TRY(each_block(context, count, forces_block, forces));
    double z = 0, cost = 0, mass = 0;
    for (int64_t i = 0; i < count; i++) z += forces->q_sum[i], cost += forces->cost[i];
    for (int64_t k = 0; k < forces->affinities->first[count]; k++) mass += forces->affinities->p[k];
    for (int64_t i = 0; i < 2 * count; i++) gradient[i] = 4 * (forces->attract[i] - forces->repel[i] / z);
    *kl = cost + forces->exaggeration * mass * log(z);
    return COVER_OK;
}

static cover_status forces_allocate(struct forces *forces, cover_context *context, int64_t count) {
    forces->attract = memory_alloc(context, (size_t)(6 * count) * sizeof *forces->attract);
    if (!forces->attract) return COVER_ERROR_MEMORY;
    forces->repel = forces->attract + 2 * count;
    forces->q_sum = forces->attract + 4 * count;
    forces->cost = forces->attract + 5 * count;
    return COVER_OK;
}

cover_status tsne_gradient(double *kl, double *gradient, cover_context *context, const struct affinities *affinities,
                           const double *y, double theta, double exaggeration) {
    struct forces forces = {.affinities = affinities, .y = y, .theta = theta, .exaggeration = exaggeration};
    struct tree *tree = NULL;
    cover_status status;
    GO(forces_allocate(&forces, context, affinities->count));
    if (theta > 0) {
        GO(tree_create(&tree, context, affinities->count));
        tree_build(tree, y);
        forces.tree = tree;
    }
    status = forces_run(kl, gradient, context, &forces);
done:
    tree_destroy(tree, context);
    memory_free(context, forces.attract);
    return status;
}

/* ---- the start: the two main axes, 1e-4 wide, with a trace of noise that parts equal points */

static void multiply_covariance(double *out, const double *covariance, const double *axis, int64_t channels) {
    for (int64_t r = 0; r < channels; r++) {
        out[r] = 0;
        for (int64_t c = 0; c < channels; c++) out[r] += covariance[r * channels + c] * axis[c];
    }
}

static double dot(const double *a, const double *b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

/* Power iteration; the second axis is kept at right angles to the first. */
static void main_axis(double *axis, const double *other, const double *covariance, double *product, int64_t channels,
                      struct random_stream *random) {
    for (int64_t c = 0; c < channels; c++) axis[c] = (double)random_uniform(random, -1, 1);
    for (int step = 0; step < AXIS_STEPS; step++) {
        multiply_covariance(product, covariance, axis, channels);
        double along = other ? dot(product, other, channels) : 0;
        for (int64_t c = 0; c < channels && other; c++) product[c] -= along * other[c];
        double length = sqrt(dot(product, product, channels));
        for (int64_t c = 0; c < channels; c++) axis[c] = length > 0 ? product[c] / length : 0;
    }
}

static cover_status start(double *y, cover_context *context, const float *points, int64_t count, int64_t channels, uint64_t seed) {
    struct random_stream random = random_stream(seed, RANDOM_EMBEDDING, 0, 0);
    double *mean = memory_zero(context, (size_t)(channels * (channels + 4)) * sizeof *mean);
    if (!mean) return COVER_ERROR_MEMORY;
    double *axis[2] = {mean + channels, mean + 2 * channels}, *product = mean + 3 * channels, *covariance = mean + 4 * channels;
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < channels; c++) mean[c] += (double)points[i * channels + c] / (double)count;
    for (int64_t i = 0; i < count; i++)
        for (int64_t r = 0; r < channels; r++)
            for (int64_t c = 0; c < channels; c++)
                covariance[r * channels + c] +=
                    ((double)points[i * channels + r] - mean[r]) * ((double)points[i * channels + c] - mean[c]) / (double)count;
    main_axis(axis[0], NULL, covariance, product, channels, &random);
    main_axis(axis[1], axis[0], covariance, product, channels, &random);
    multiply_covariance(product, covariance, axis[0], channels);
    double variance = dot(product, axis[0], channels), scale = variance > 0 ? 1e-4 / sqrt(variance) : 0;
    for (int64_t i = 0; i < count; i++)
        for (int a = 0; a < 2; a++) {
            double along = 0;
            for (int64_t c = 0; c < channels; c++) along += ((double)points[i * channels + c] - mean[c]) * axis[a][c];
            y[2 * i + a] = scale * along + (double)random_uniform(&random, -1e-7f, 1e-7f);
        }
    memory_free(context, mean);
    return COVER_OK;
}

/* ---- descent */

static void centre(double *y, int64_t count) {
    double mean[2] = {0};
    for (int64_t i = 0; i < 2 * count; i++) mean[i % 2] += y[i] / (double)count;
    for (int64_t i = 0; i < 2 * count; i++) y[i] -= mean[i % 2];
}

/* A step with momentum, each coordinate with a gain that grows while its direction stays. */
static void step_down(double *y, double *update, double *gain, const double *gradient, int64_t values, double rate,
                      double momentum) {
    for (int64_t i = 0; i < values; i++) {
        gain[i] = update[i] * gradient[i] < 0 ? gain[i] + 0.2 : fmax(0.01, gain[i] * 0.8);
        update[i] = momentum * update[i] - rate * gain[i] * gradient[i];
        y[i] += update[i];
    }
}

static cover_status descend(double *y, double *kl, cover_context *context, struct forces *forces, struct tree *tree,
                            const struct tsne_options *options) {
    int64_t values = 2 * forces->affinities->count;
    double *gradient = memory_zero(context, (size_t)(3 * values) * sizeof *gradient);
    if (!gradient) return COVER_ERROR_MEMORY;
    double *update = gradient + values, *gain = gradient + 2 * values;
    double rate = fmax((double)values / 96, 50);
    cover_status status = COVER_OK;
    for (int64_t i = 0; i < values; i++) gain[i] = 1;
    for (int step = 0; step <= options->iterations; step++) {
        bool early = step < EARLY_STEPS && step < options->iterations;
        forces->exaggeration = early ? EARLY_EXAGGERATION : 1;
        if (tree) tree_build(tree, y);
        GO(forces_run(kl, gradient, context, forces));
        if (step == options->iterations) break; /* the divergence of what is returned */
        step_down(y, update, gain, gradient, values, rate, step < EARLY_STEPS ? 0.5 : 0.8);
        centre(y, values / 2);
        if (cancelled(context)) GO(fail(COVER_ERROR_CANCELLED, "t-SNE: cancelled"));
        GO(progress_call(context, options->progress, options->user, step + 1, options->iterations, "t-SNE"));
    }
done:
    memory_free(context, gradient);
    return status;
}

cover_status tsne_run(double *y, double *kl, cover_context *context, const float *points, int64_t count, int64_t channels,
                      const struct tsne_options *options) {
    /* all pairs, or three times the perplexity as in the paper on the tree */
    int64_t neighbours = options->theta > 0 ? (int64_t)(3 * options->perplexity) + 1 : count - 1;
    struct affinities affinities = {0};
    struct forces forces = {.affinities = &affinities, .y = y, .theta = options->theta};
    struct tree *tree = NULL;
    cover_status status;
    if (neighbours > count - 1) neighbours = count - 1;
    GO(affinities_make(&affinities, context, points, count, channels, options->perplexity, neighbours));
    GO(forces_allocate(&forces, context, count));
    if (options->theta > 0) GO(tree_create(&tree, context, count));
    forces.tree = tree;
    GO(start(y, context, points, count, channels, options->seed));
    status = descend(y, kl, context, &forces, tree, options);
done:
    tree_destroy(tree, context);
    memory_free(context, forces.attract);
    affinities_free(&affinities, context);
    return status;
}
