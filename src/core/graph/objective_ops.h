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

#endif
