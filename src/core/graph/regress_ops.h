/* Builders of the ops that regression of fields and contrast of regions are made of: ops.def says what each computes.  weight: of the
 * gradient alone.  Called by the objectives. */
#ifndef COVER_REGRESS_OPS_H
#define COVER_REGRESS_OPS_H

#include "graph.h"

enum { NCC_WINDOW = 9 };

static inline int graph_ncc_loss(struct graph *graph, int moved, int fixed, int mask, float weight) {
    return graph_op(graph, OP_ncc_loss, (int[]){moved, fixed, mask},
                    (struct attributes){.regress = {.weight = weight, .window = NCC_WINDOW}});
}
static inline int graph_smooth_loss(struct graph *graph, int field, float weight) {
    return graph_op(graph, OP_smooth_loss, (int[]){field}, (struct attributes){.regress = {.weight = weight}});
}
static inline int graph_inside_mask(struct graph *graph, int field, enum coordinates coordinates) {
    return graph_op(graph, OP_inside_mask, (int[]){field}, (struct attributes){.coordinates = coordinates});
}
static inline int graph_affine_field(struct graph *graph, int numbers, const struct grid *grid) {
    return graph_op(graph, OP_affine_field, (int[]){numbers}, (struct attributes){.grid = *grid});
}
static inline int graph_cosine_mean_loss(struct graph *graph, int a, int b, int mask, float weight) {
    return graph_op(graph, OP_cosine_mean_loss, (int[]){a, b, mask}, (struct attributes){.regress = {.weight = weight}});
}
static inline int graph_region_blocks(struct graph *graph, int x) {
    return graph_op(graph, OP_region_blocks, (int[]){x}, (struct attributes){0});
}
static inline int graph_local_nce(struct graph *graph, int a, int b, float temperature, float weight) {
    return graph_op(graph, OP_local_nce, (int[]){a, b},
                    (struct attributes){.regress = {.weight = weight, .temperature = temperature}});
}

#endif
