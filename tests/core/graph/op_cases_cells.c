/* Cases of ops that compare rows: cells of images with each other and with a queue. */
#include "core/graph/dense.h"
#include "op_cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows against a queue */

static int build_queue(struct scene *s) {
    const int64_t keys = scene_pick(s, 1, 2) == 1 ? scene_pick(s, 1, 9) : scene_pick(s, 250, 300);
    s->parameters.hold = true;
    const int queue = parameter(s, "queue", 2, (const int64_t[]){keys, s->channels}, -1, 1);
    s->parameters.hold = false;
    s->in[queue].smooth = false;
    return s->in[queue].tensor;
}
void build_matched_nce(struct scene *s) {
    const bool indexed = toss(s);
    if (s->grid.ndim == 2 && toss(s)) s->grid.size[2] = 20; /* more rows than one tile */
    const int q = x_of(s, false), k = scene_values(s, "k", s->images, &s->grid, s->channels, -2, 2);
    const int indices = indexed ? whole_numbers(s, "indices", scene_pick(s, 1, 4), 0, (int)grid_pixels(&s->grid) - 1) : ABSENT;
    s->in[k].smooth = false, s->epsilon = 0.2f + 0.1f * (float)scene_pick(s, 0, 3), s->weight[0] = toss(s) ? 1 : 0.5;
    s->y = graph_matched_nce(&s->graph, q, s->in[k].read, indices, build_queue(s), (float)s->epsilon, (float)s->weight[0]);
}
static double cosine_of(const double *a, const double *b, int64_t channels) {
    double product = 0, aa = 0, bb = 0;
    for (int64_t c = 0; c < channels; c++) product += a[c] * b[c], aa += a[c] * a[c], bb += b[c] * b[c];
    return product / (fmax(sqrt(aa), 1e-12) * fmax(sqrt(bb), 1e-12));
}
/* <q^, Q_j>: rows of the queue are taken as they are. */
static double against_key(const double *q, const double *key, int64_t channels) {
    double product = 0, square = 0;
    for (int64_t c = 0; c < channels; c++) product += q[c] * key[c], square += q[c] * q[c];
    return product / fmax(sqrt(square), 1e-12);
}
void compute_matched_nce(const struct scene *s, double *const *v, double *y) {
    const int queue = named(s, "queue"), indices = named(s, "indices");
    const int64_t rows = grid_pixels(&s->grid), c = s->channels, keys = s->in[queue].count / c;
    const int64_t positives = indices == ABSENT ? 1 : s->in[indices].channels;
    const double *k = values_of(s, v, "k"), t = (double)(float)s->epsilon;
    memset(y, 0, 2 * (size_t)s->images * sizeof *y);
    for (int64_t row = 0; row < s->images * rows; row++) {
        double sum = 0, most = -INFINITY, *to = y + 2 * (row / rows);
        for (int64_t j = 0; j < keys; j++) {
            const double product = against_key(v[0] + row * c, v[queue] + j * c, c);
            sum += exp(product / t), most = fmax(most, product);
        }
        for (int64_t p = 0; p < positives; p++) {
            const int64_t match = indices == ABSENT ? row : row / rows * rows + (int64_t)v[indices][row * positives + p];
            const double product = cosine_of(v[0] + row * c, k + match * c, c);
            to[0] -= log(exp(product / t) / (exp(product / t) + sum)) / (double)(positives * rows);
            if (p == 0) to[1] += (product >= most) / (double)rows;
        }
    }
}

/* ---- cells */

static struct grid grid_of_cells(const struct grid *grid, int64_t cell) {
    struct grid cells = *grid;
    for (int i = 3 - grid->ndim; i < 3; i++) cells.size[i] /= cell;
    return cells;
}
void build_cell_pool(struct scene *s) {
    s->kernel = scene_pick(s, 1, 3);
    for (int i = 3 - s->grid.ndim; i < 3; i++) s->grid.size[i] = s->kernel * scene_pick(s, 1, 3);
    s->y = graph_cell_pool(&s->graph, x_of(s, true), s->kernel);
}
void compute_cell_pool(const struct scene *s, double *const *v, double *y) {
    const struct grid cells = grid_of_cells(&s->grid, s->kernel);
    const int64_t pixels = grid_pixels(&s->grid), c = s->channels, size = s->kernel;
    const double each = (double)(pixels / grid_pixels(&cells));
    double *x = read_values(s, v, 0);
    memset(y, 0, (size_t)(s->images * grid_pixels(&cells) * c) * sizeof *y);
    for (int64_t row = 0; row < s->images * pixels; row++) {
        const int64_t p = row % pixels, w = p % s->grid.size[2] / size, h = p / s->grid.size[2] % s->grid.size[1] / size;
        const int64_t z = p / s->grid.size[2] / s->grid.size[1] / (s->grid.ndim == 3 ? size : 1);
        const int64_t cell = row / pixels * grid_pixels(&cells) + (z * cells.size[1] + h) * cells.size[2] + w;
        for (int64_t i = 0; i < c; i++) y[cell * c + i] += x[row * c + i] / each;
    }
    free(x);
}

void build_match_cells(struct scene *s) {
    s->channels += s->channels < 3 ? 2 : 0;
    if (s->grid.ndim == 2 && toss(s)) s->grid.size[2] = 40;
    const int f = x_of(s, false), g = scene_values(s, "g", s->images, &s->grid, s->channels, -2, 2);
    const int64_t most = grid_pixels(&s->grid);
    s->in[0].smooth = s->in[g].smooth = false, s->kernel = scene_pick(s, 1, most < 4 ? (int)most : 4);
    s->y = graph_match_cells(&s->graph, f, s->in[g].read, s->kernel);
}
void compute_match_cells(const struct scene *s, double *const *v, double *y) {
    const int64_t rows = grid_pixels(&s->grid), c = s->channels;
    const double *g = values_of(s, v, "g");
    for (int64_t row = 0; row < s->images * rows; row++) {
        const int64_t first = row / rows * rows;
        double *to = y + row * s->kernel;
        for (int m = 0; m < s->kernel; m++) { /* the largest of those that are not yet taken */
            double best = -INFINITY;
            for (int64_t j = 0; j < rows; j++) {
                const double cosine = cosine_of(v[0] + row * c, g + (first + j) * c, c);
                bool taken = false;
                for (int k = 0; k < m; k++) taken |= to[k] == (double)j;
                if (!taken && cosine > best) best = cosine, to[m] = (double)j;
            }
        }
    }
}

/* The distance between cell i of the moving view and cell j of the fixed one, in diagonals. */
static void fixed_place(double at[3], const struct scene *s, const double *field, int64_t j) {
    const struct grid *grid = &s->grid;
    const int64_t on[3] = {j / grid->size[2] / grid->size[1], j / grid->size[2] % grid->size[1], j % grid->size[2]};
    for (int a = 0; a < 3; a++) {
        at[a] = a < 3 - grid->ndim ? 0 : s->kernel * (double)on[a] + (s->kernel - 1) / 2.0;
        if (a >= 3 - grid->ndim && field) at[a] += field[j * grid->ndim + a - 3 + grid->ndim];
    }
}
static double between_cells(const struct scene *s, const double *field, int64_t i, int64_t j, const double *other) {
    double a[3], b[3], sum = 0;
    fixed_place(a, s, other, i), fixed_place(b, s, field, j);
    for (int k = 0; k < 3; k++) sum += (a[k] - b[k]) * (a[k] - b[k]);
    return sqrt(sum);
}
static double diagonal_of(const struct scene *s, const double *field) {
    const struct grid *grid = &s->grid;
    double own = 0, other = 0;
    for (int axis = 3 - grid->ndim; axis < 3; axis++) {
        const int64_t stride = axis == 2 ? 1 : axis == 1 ? grid->size[2] : grid->size[2] * grid->size[1];
        double sum = 0, count = 0;
        for (int64_t i = 0; i < grid_pixels(grid); i++)
            if (i / stride % grid->size[axis] + 1 < grid->size[axis])
                sum += pow(between_cells(s, field, i, i + stride, field), 2), count++;
        own += s->kernel * s->kernel, other += count > 0 ? sum / count : s->kernel * s->kernel;
    }
    return sqrt(fmax(own, other));
}
void build_hit(struct scene *s) {
    s->kernel = scene_pick(s, 1, 5), s->epsilon = scene_uniform(s, 0.4, 1.2);
    const int indices = whole_numbers(s, "indices", scene_pick(s, 1, 2), 0, (int)grid_pixels(&s->grid) - 1);
    const int field = scene_values(s, "field", s->images, &s->grid, s->grid.ndim, -6, 6);
    s->in[field].smooth = false;
    s->y = graph_op(&s->graph, OP_hit, (int[]){indices, s->in[field].read},
                    (struct attributes){.cells = {.cell = s->kernel, .threshold = (float)s->epsilon}});
}
void compute_hit(const struct scene *s, double *const *v, double *y) {
    const int64_t cells = grid_pixels(&s->grid), each = s->in[0].channels;
    for (int image = 0; image < s->images; image++) {
        const double *field = values_of(s, v, "field") + image * cells * s->grid.ndim;
        const double limit = (double)(float)s->epsilon * diagonal_of(s, field);
        double met = 0, hits = 0, partners = 0;
        for (int64_t i = 0; i < cells; i++) {
            double near = 0;
            for (int64_t j = 0; j < cells; j++) near += between_cells(s, field, i, j, NULL) < limit;
            if (near == 0) continue;
            const int64_t match = (int64_t)v[0][(image * cells + i) * each];
            met++, partners += near / (double)cells, hits += between_cells(s, field, i, match, NULL) < limit;
        }
        y[2 * image] = met > 0 ? hits / met : 0, y[2 * image + 1] = met > 0 ? partners / met : 0;
    }
}

/* ---- sets of positives */

static int field_of(struct scene *s) {
    const int field = scene_values(s, "field", s->images, &s->grid, s->grid.ndim, -6, 6);
    s->in[field].smooth = false, s->kernel = scene_pick(s, 1, 5), s->epsilon = (float)scene_uniform(s, 0.4, 1.2);
    return s->in[field].read;
}
void build_set_positives(struct scene *s) {
    s->channels += s->channels < 2;
    const int f = x_of(s, false), g = scene_values(s, "g", s->images, &s->grid, s->channels, -2, 2), field = field_of(s);
    s->in[0].smooth = s->in[g].smooth = false, s->weight[0] = 0.3, s->weight[1] = 0.1;
    const struct cells_attributes how = {
        .cell = s->kernel, .threshold = (float)s->epsilon, .attention = (float)s->weight[0], .similarity = (float)s->weight[1]};
    s->y = graph_set_positives(&s->graph, f, s->in[g].read, field, &how, &s->groups);
}
static bool attended(const double *f, int64_t row, int64_t rows, int64_t channels, double threshold) {
    double low = INFINITY, high = -INFINITY, length = 0, own = 0;
    for (int64_t i = 0; i < rows; i++) {
        double square = 0;
        for (int64_t c = 0; c < channels; c++) square += f[i * channels + c] * f[i * channels + c] / (double)channels;
        low = fmin(low, square), high = fmax(high, square), length += square * square;
        if (i == row) own = square;
    }
    length = sqrt(length);
    return (own / length - low / length) / (high / length - low / length + 1e-10) >= threshold;
}
void compute_set_positives(const struct scene *s, double *const *v, double *y) {
    const int64_t cells = grid_pixels(&s->grid), c = s->channels;
    for (int64_t row = 0; row < s->images * cells; row++) {
        const int64_t image = row / cells;
        const double *f = v[0] + image * cells * c, *g = values_of(s, v, "g") + image * cells * c;
        const double *field = values_of(s, v, "field") + image * cells * s->grid.ndim;
        for (int64_t j = 0; j < cells; j++) {
            const bool both =
                attended(f, row % cells, cells, c, (float)s->weight[0]) && attended(g, j, cells, c, (float)s->weight[0]);
            const bool alike = both && cosine_of(v[0] + row * c, g + j * c, c) >= (double)(float)s->weight[1];
            y[row * cells + j] = alike || between_cells(s, field, row % cells, j, NULL) < s->epsilon * diagonal_of(s, field);
        }
    }
}

void build_set_nce(struct scene *s) {
    const int q = x_of(s, false), k = scene_values(s, "k", s->images, &s->grid, s->channels, -2, 2);
    const int positives = whole_numbers(s, "positives", grid_pixels(&s->grid), -2, 1);
    s->in[k].smooth = false, s->epsilon = 0.2f + 0.1f * (float)scene_pick(s, 0, 3), s->scale = toss(s) ? 1 : 0.5;
    s->y = graph_set_nce(&s->graph, q, s->in[k].read, positives, build_queue(s), (float)s->epsilon, (float)s->scale);
    s->numbers = 3;
}
void compute_set_nce(const struct scene *s, double *const *v, double *y) {
    const int queue = named(s, "queue");
    const int64_t rows = grid_pixels(&s->grid), c = s->channels, keys = s->in[queue].count / c;
    const double t = (double)(float)s->epsilon;
    memset(y, 0, 3 * (size_t)s->images * sizeof *y);
    for (int image = 0; image < s->images; image++) {
        double with = 0, *to = y + 3 * image;
        for (int64_t i = image * rows; i < (image + 1) * rows; i++) {
            const double *q = v[0] + i * c, *k = values_of(s, v, "k") + image * rows * c;
            const double *positives = values_of(s, v, "positives") + i * rows;
            double sum = 0, total = 0, count = 0, most = -INFINITY, best = -INFINITY;
            for (int64_t j = 0; j < keys; j++) {
                const double product = against_key(q, v[queue] + j * c, c);
                sum += exp(product / t), most = fmax(most, product);
            }
            for (int64_t j = 0; j < rows; j++) {
                const double product = positives[j] > 0 ? cosine_of(q, k + j * c, c) : 0;
                if (positives[j] > 0) sum += exp(product / t), total += product / t, count++, best = fmax(best, product);
            }
            if (count == 0) continue;
            with++, to[0] += log(sum) - total / count, to[1] += best >= most, to[2] += count;
        }
        for (int n = 0; n < 3; n++) to[n] = with > 0 ? to[n] / with : 0;
    }
}

/* ---- points */

void build_sample_points(struct scene *s) {
    const struct grid points = {s->grid.ndim, {1, 1, scene_pick(s, 1, 12)}};
    const int x = x_of(s, true), at = scene_values(s, "points", s->images, &points, s->grid.ndim, -1.5, 5);
    s->in[at].smooth = false;
    s->y = graph_sample_points(&s->graph, x, s->in[at].read);
}
void compute_sample_points(const struct scene *s, double *const *v, double *y) {
    const int at = named(s, "points"), ndim = s->grid.ndim;
    const int64_t each = grid_pixels(&s->in[at].grid), c = s->channels, pixels = grid_pixels(&s->grid);
    double *x = read_values(s, v, 0);
    for (int64_t i = 0; i < s->images * each; i++) {
        double place[3] = {0};
        for (int a = 0; a < ndim; a++) place[3 - ndim + a] = v[at][i * ndim + a];
        for (int64_t k = 0; k < c; k++) y[i * c + k] = between(x + i / each * pixels * c, &s->grid, c, k, place, false);
    }
    free(x);
}

/* ---- pairs of rows */

void build_unit(struct scene *s) { s->y = graph_unit(&s->graph, x_of(s, false)); }
void compute_unit(const struct scene *s, double *const *v, double *y) {
    const int64_t c = s->channels;
    for (int64_t i = 0; i < s->in[0].count; i++) {
        double square = 0;
        for (int64_t k = i / c * c; k < i / c * c + c; k++) square += v[0][k] * v[0][k];
        y[i] = v[0][i] / fmax(sqrt(square), 1e-12);
    }
}
void build_propagate(struct scene *s) {
    s->channels += s->channels < 2;
    const int x = x_of(s, false), value = scene_values(s, "value", s->images, &s->grid, toss(s) ? 7 : s->channels, -2, 2);
    s->y = graph_propagate(&s->graph, x, s->in[value].read);
}
void compute_propagate(const struct scene *s, double *const *v, double *y) {
    const int value = named(s, "value");
    const int64_t cells = grid_pixels(&s->grid), c = s->channels, wide = s->in[value].channels;
    memset(y, 0, (size_t)(s->images * cells * wide) * sizeof *y);
    for (int64_t i = 0; i < s->images * cells; i++)
        for (int64_t j = i / cells * cells; j < i / cells * cells + cells; j++) {
            const double a = pow(fmax(cosine_of(v[0] + i * c, v[0] + j * c, c), 0), 2), *u = v[value] + j * wide;
            double square = 0;
            for (int64_t k = 0; k < wide; k++) square += u[k] * u[k];
            for (int64_t k = 0; k < wide; k++) y[i * wide + k] += a * u[k] / fmax(sqrt(square), 1e-12);
        }
}
void build_pair_cosine(struct scene *s) {
    const int y = x_of(s, false), k = scene_values(s, "k", s->images, &s->grid, s->channels, -2, 2), field = field_of(s);
    s->in[k].smooth = false, s->sigmoid = toss(s), s->weight[0] = toss(s) ? 1 : 0.5; /* sigmoid: turned */
    s->y = graph_pair_cosine(&s->graph, y, s->in[k].read, field, s->sigmoid, s->kernel, (float)s->epsilon, (float)s->weight[0]);
}
void compute_pair_cosine(const struct scene *s, double *const *v, double *y) {
    const int64_t cells = grid_pixels(&s->grid), c = s->channels;
    for (int image = 0; image < s->images; image++) {
        const double *field = values_of(s, v, "field") + image * cells * s->grid.ndim, limit = s->epsilon * diagonal_of(s, field);
        const double *own = v[0] + image * cells * c, *k = values_of(s, v, "k") + image * cells * c;
        double sum = 0, count = 0;
        for (int64_t i = 0; i < cells; i++)
            for (int64_t j = 0; j < cells; j++)
                if (between_cells(s, field, s->sigmoid ? j : i, s->sigmoid ? i : j, NULL) < limit)
                    sum += cosine_of(own + i * c, k + j * c, c), count++;
        y[2 * image] = -2 * sum / (count + 1e-6), y[2 * image + 1] = count;
    }
}
void build_soft_cross_entropy(struct scene *s) {
    const int scores = x_of(s, false), codes = scene_values(s, "codes", s->images, &s->grid, s->channels, 0, 1);
    const int indices = toss(s) ? whole_numbers(s, "indices", scene_pick(s, 1, 2), 0, (int)grid_pixels(&s->grid) - 1) : ABSENT;
    const int64_t rows = grid_pixels(&s->grid);
    s->kernel = toss(s) && rows % 2 == 0 ? (int)rows / 2 : 0; /* two groups */
    for (int64_t i = 0; s->kernel && indices != ABSENT && i < s->in[2].count; i++)
        s->in[2].values[i] = scene_pick(s, 0, s->kernel - 1);
    s->in[codes].smooth = false, s->epsilon = 0.25f, s->weight[0] = s->weight[1] = toss(s) ? 1 : 0.5;
    s->y =
        graph_soft_cross_entropy(&s->graph, scores, s->in[codes].read, indices, s->kernel, (float)s->epsilon, (float)s->weight[0]);
}
void compute_soft_cross_entropy(const struct scene *s, double *const *v, double *y) {
    const int indices = named(s, "indices");
    const int64_t rows = grid_pixels(&s->grid), c = s->channels, group = s->kernel ? s->kernel : rows;
    memset(y, 0, (size_t)s->images * sizeof *y);
    for (int64_t i = 0; i < s->images * rows; i++) {
        const int64_t from = indices == ABSENT ? i : i / group * group + (int64_t)v[indices][i * s->in[indices].channels];
        double sum = 0;
        for (int64_t k = 0; k < c; k++) sum += exp(v[0][i * c + k] / s->epsilon);
        for (int64_t k = 0; k < c; k++)
            y[i / rows] -= values_of(s, v, "codes")[from * c + k] * (v[0][i * c + k] / s->epsilon - log(sum)) / (double)rows;
    }
}
void build_sinkhorn(struct scene *s) {
    const int scores = x_of(s, false);
    s->in[0].smooth = false, s->epsilon = 0.25f, s->kernel = scene_pick(s, 1, 4);
    s->y = graph_sinkhorn(&s->graph, scores, (float)s->epsilon, s->kernel);
}
void compute_sinkhorn(const struct scene *s, double *const *v, double *y) {
    const int64_t rows = grid_pixels(&s->grid), c = s->channels;
    for (int64_t i = 0; i < s->images * rows * c; i++) y[i] = exp(v[0][i] / s->epsilon);
    for (int image = 0; image < s->images; image++)
        for (int half = 0; half < 2 * s->kernel; half++) { /* columns, then rows */
            double *q = y + image * rows * c;
            const int64_t outer = half % 2 ? rows : c, inner = half % 2 ? c : rows, step = half % 2 ? 1 : c,
                          stride = half % 2 ? c : 1;
            for (int64_t a = 0; a < outer; a++) {
                double sum = 0;
                for (int64_t b = 0; b < inner; b++) sum += q[a * stride + b * step];
                for (int64_t b = 0; b < inner; b++) q[a * stride + b * step] /= sum * (half % 2 ? 1 : (double)c / (double)rows);
            }
        }
}
