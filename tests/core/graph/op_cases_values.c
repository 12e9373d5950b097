/* Cases of ops that work element by element, of the loss of images, and of ops over the rows of an image, which are its pixels. */
#include "core/graph/objective_ops.h"
#include "op_cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void build_hold(struct scene *s) {
    static const double flows[] = {0, 1, 0.375, -2};
    const int x = scene_feature(s, "x", s->images, &s->grid, s->channels, false);
    s->flow = flows[scene_pick(s, 0, 3)];
    s->in[x].smooth = s->flow != 0; /* where nothing flows there is no gradient */
    s->y = graph_hold(&s->graph, s->in[x].read, (float)s->flow);
}
void compute_hold(const struct scene *s, double *const *v, double *y) { memcpy(y, v[0], (size_t)s->in[0].count * sizeof *y); }

void build_leaky(struct scene *s) {
    s->slope = toss(s) ? 0 : 0.25;
    s->y = graph_leaky(&s->graph, x_of(s, false), (float)s->slope);
}
void compute_leaky(const struct scene *s, double *const *v, double *y) {
    for (int64_t i = 0; i < s->in[0].count; i++) y[i] = v[0][i] > 0 ? v[0][i] : s->slope * v[0][i];
}

void build_image_loss(struct scene *s) {
    const int prediction = x_of(s, false), truth = scene_values(s, "truth", s->images, &s->grid, s->channels, 0, 1);
    const int mask = toss(s) ? scene_values(s, "mask", s->images, &s->grid, 1, 0, 2) : ABSENT;
    s->in[truth].smooth = false, s->sigmoid = toss(s);
    if (mask != ABSENT) s->in[mask].smooth = false;
    s->y = graph_image_loss(&s->graph, prediction, s->in[truth].read, mask == ABSENT ? ABSENT : s->in[mask].read, s->sigmoid);
}
void compute_image_loss(const struct scene *s, double *const *v, double *y) {
    const double *truth = values_of(s, v, "truth"), *mask = values_of(s, v, "mask");
    const int64_t each = grid_pixels(&s->grid) * s->channels;
    memset(y, 0, (size_t)s->images * sizeof *y);
    for (int64_t i = 0; i < s->in[0].count; i++)
        y[i / each] += (mask ? mask[i / s->channels] : 1) * pow((s->sigmoid ? 1 / (1 + exp(-v[0][i])) : v[0][i]) - truth[i], 2);
}

void build_blend(struct scene *s) {
    const int mask = scene_values(s, "mask", s->images, &s->grid, 1, 0, 1);
    const int a = scene_feature(s, "a", s->images, &s->grid, s->channels, false);
    const int b = scene_feature(s, "b", s->images, &s->grid, s->channels, false);
    s->in[mask].smooth = false;
    if (toss(s)) s->in[scene_pick(s, 0, 1) ? a : b].smooth = false;
    s->y = graph_blend(&s->graph, s->in[mask].read, s->in[a].read, s->in[b].read);
}
void compute_blend(const struct scene *s, double *const *v, double *y) {
    for (int64_t i = 0; i < s->in[1].count; i++) {
        const double mask = v[0][i / s->channels];
        y[i] = mask * v[1][i] + (1 - mask) * v[2][i];
    }
}

/* ---- rows */

void build_rows(struct scene *s) {
    const struct grid grid = s->grid, one = {2, {1, 1, 1}}, all = {2, {1, 1, s->images * grid_pixels(&grid)}};
    const int apart = toss(s);
    s->y = graph_rows(&s->graph, x_of(s, false), apart ? (int)all.size[2] : 1, apart ? &one : &all);
}
void compute_rows(const struct scene *s, double *const *v, double *y) { memcpy(y, v[0], (size_t)s->in[0].count * sizeof *y); }

static void unit_rows(double *to, const double *from, int64_t rows, int64_t channels) {
    for (int64_t i = 0; i < rows; i++) {
        double square = 0;
        for (int64_t c = 0; c < channels; c++) square += pow(from[i * channels + c], 2);
        for (int64_t c = 0; c < channels; c++) to[i * channels + c] = from[i * channels + c] / fmax(sqrt(square), 1e-12);
    }
}
static double *units_of(const struct scene *s, const double *from) {
    double *to = malloc((size_t)s->in[0].count * sizeof *to);
    unit_rows(to, from, s->in[0].count / s->channels, s->channels);
    return to;
}
static double product(const double *a, const double *b, int64_t channels) {
    double sum = 0;
    for (int64_t c = 0; c < channels; c++) sum += a[c] * b[c];
    return sum;
}

void build_nt_xent(struct scene *s) {
    s->channels += s->channels == 1; /* unit rows of one channel are all alike */
    s->grid.size[2] *= 2, s->temperature = toss(s) ? 0.1f : 0.5f;
    s->weight[0] = 1;
    s->y = graph_nt_xent(&s->graph, x_of(s, false), (float)s->temperature);
}
void compute_nt_xent(const struct scene *s, double *const *v, double *y) {
    const int64_t rows = grid_pixels(&s->grid);
    double *const z = units_of(s, v[0]);
    memset(y, 0, (size_t)s->images * 2 * sizeof *y);
    for (int64_t row = 0; row < s->images * rows; row++) {
        const int64_t first = row / rows * rows, own = first + (row - first + rows / 2) % rows;
        const double positive = product(z + row * s->channels, z + own * s->channels, s->channels);
        double sum = 0;
        bool right = true;
        for (int64_t k = first; k < first + rows; k++) {
            if (k == row) continue;
            const double value = product(z + row * s->channels, z + k * s->channels, s->channels);
            sum += exp((value - positive) / s->temperature);
            right = right && (k == own || (k < own ? value < positive : value <= positive));
        }
        y[row / rows * 2] += log(sum), y[row / rows * 2 + 1] += right;
    }
    free(z);
}

static int figure_input(struct scene *s, const char *name) {
    const int input = scene_feature(s, name, s->images, &s->grid, s->channels, false);
    s->in[input].smooth = false;
    return s->in[input].read;
}
void build_batch_right(struct scene *s) {
    s->channels += s->channels == 1;
    const int q = figure_input(s, "q"), k = figure_input(s, "k");
    for (int64_t i = 0; i < s->in[0].count; i++) /* alike, so that many are right */
        s->in[1].values[i] = (double)(float)(s->in[0].values[i] + 0.5 * s->in[1].values[i]);
    s->y = graph_batch_right(&s->graph, q, k);
}
void compute_batch_right(const struct scene *s, double *const *v, double *y) {
    const int64_t rows = grid_pixels(&s->grid);
    double *const k = units_of(s, v[1]);
    memset(y, 0, (size_t)s->images * sizeof *y);
    for (int64_t row = 0; row < s->images * rows; row++) {
        const int64_t first = row / rows * rows;
        int64_t best = first;
        for (int64_t other = first; other < first + rows; other++)
            if (product(v[0] + row * s->channels, k + other * s->channels, s->channels) >
                product(v[0] + row * s->channels, k + best * s->channels, s->channels))
                best = other;
        y[row / rows] += best == row;
    }
    free(k);
}

void build_spread(struct scene *s) { s->y = graph_spread(&s->graph, figure_input(s, "x")); }
void compute_spread(const struct scene *s, double *const *v, double *y) {
    const int64_t rows = grid_pixels(&s->grid), channels = s->channels;
    double *const z = units_of(s, v[0]);
    memset(y, 0, (size_t)s->images * sizeof *y);
    for (int64_t i = 0; i < s->images * channels; i++) {
        const double *const column = z + i / channels * rows * channels + i % channels;
        double mean = 0, squares = 0;
        for (int64_t row = 0; row < rows; row++) mean += column[row * channels] / (double)rows;
        for (int64_t row = 0; row < rows; row++) squares += pow(column[row * channels] - mean, 2);
        y[i / channels] += sqrt(squares / (double)rows) / sqrt((double)channels);
    }
    free(z);
}
