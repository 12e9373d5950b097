/* Cases of ops that compare rows: cells of images with each other and with a queue. */
#include "core/graph/dense.h"
#include "op_cases.h"

#include <math.h>
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
