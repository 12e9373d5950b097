/* Builders of the ops that objectives are made of, beside those of graph.h: ops.def says what each computes.  Called by core/objective
 * and by tests. */
#ifndef COVER_OBJECTIVE_OPS_H
#define COVER_OBJECTIVE_OPS_H

#include "graph.h"

/* The same values; the gradient that flows back is `scale` times as large.  0: none flows, and backward stops here. */
static inline int graph_hold(struct graph *graph, int x, float scale) {
    return graph_op(graph, OP_hold, (int[]){x}, (struct attributes){.scale = scale});
}
static inline int graph_leaky(struct graph *graph, int x, float slope) {
    return graph_op(graph, OP_leaky, (int[]){x}, (struct attributes){.slope = slope});
}
/* A double an image.  mask: a channel of weights, or ABSENT for ones. */
static inline int graph_image_loss(struct graph *graph, int prediction, int truth, int mask, bool sigmoid) {
    return graph_op(graph, OP_image_loss, (int[]){prediction, truth, mask}, (struct attributes){.sigmoid = sigmoid});
}
/* mask a + (1 - mask) b; mask: a channel, no gradient flows into it. */
static inline int graph_blend(struct graph *graph, int mask, int a, int b) {
    return graph_op(graph, OP_blend, (int[]){mask, a, b}, (struct attributes){0});
}
/* The same pixels in the same order as `images` images of a grid. */
static inline int graph_rows(struct graph *graph, int x, int images, const struct grid *grid) {
    return graph_op(graph, OP_rows, (int[]){x}, (struct attributes){.images = images, .grid = *grid});
}
/* z: one image of 2 B pixels, the rows of one view, then of the other.  Two doubles: sum over rows, how many have their positive as the
 * largest. */
static inline int graph_nt_xent(struct graph *graph, int z, float temperature) {
    return graph_op(graph, OP_nt_xent, (int[]){z}, (struct attributes){.temperature = temperature});
}
/* Figures, a double an image. */
static inline int graph_batch_right(struct graph *graph, int q, int k) {
    return graph_op(graph, OP_batch_right, (int[]){q, k}, (struct attributes){0});
}
static inline int graph_spread(struct graph *graph, int x) {
    return graph_op(graph, OP_spread, (int[]){x}, (struct attributes){0});
}

#endif
