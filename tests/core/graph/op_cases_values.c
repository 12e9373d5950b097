/* Cases of ops that work element by element, and of the loss of images. */
#include "core/graph/objective_ops.h"
#include "op_cases.h"

#include <math.h>
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
