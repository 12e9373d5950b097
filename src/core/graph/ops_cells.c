/* Shape rules and gradients of what is done to cells of images.  Called through the tables of ops.c, built by dense.h's functions. */
#include "dense.h"
#include "ops_rules.h"

enum { MATCHES_MOST = 16 };

cover_status shape_cell_pool(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *x = in(graph, node, 0);
    const int cell = node->attributes.cells.cell;
    out[0] = like(x);
    out[0].element = ELEMENT_F32;
    for (int i = 3 - x->grid.ndim; i < 3; i++) {
        if (cell < 1 || x->grid.size[i] % cell)
            return fail(COVER_ERROR_SHAPE, "cells of %d pixels do not fill a size of %lld", cell, (long long)x->grid.size[i]);
        out[0].grid.size[i] /= cell;
    }
    return COVER_OK;
}
cover_status shape_cell_pool_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    out[0].grid = node->attributes.grid, out[0].element = node->attributes.element;
    return COVER_OK;
}
void gradient_cell_pool(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const struct node node = graph->nodes[index];
    const struct tensor *x = &graph->tensors[node.input[0]];
    int out[NODE_OUTPUTS], dy = adjoint_of(adjoint, node.output[0]);
    struct attributes attributes = node.attributes;
    attributes.grid = x->grid, attributes.element = x->element;
    if (graph_node(graph, OP_cell_pool_grad, &dy, &attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

cover_status shape_match_cells(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *f = in(graph, node, 0), *g = in(graph, node, 1);
    const int count = node->attributes.cells.count;
    TRY(must_be_floats(f));
    TRY(must_be_floats(g));
    TRY(must_have(g, f->channels));
    if (f->images != g->images) return fail(COVER_ERROR_SHAPE, "%s and %s differ in images", f->name, g->name);
    if (count < 1 || count > MATCHES_MOST || count > grid_pixels(&g->grid))
        return fail(COVER_ERROR_SHAPE, "%d matches of %lld cells", count, (long long)grid_pixels(&g->grid));
    out[0] = like_with(f, count);
    return COVER_OK;
}

cover_status shape_hit(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *matches = in(graph, node, 0), *field = in(graph, node, 1);
    TRY(must_have(field, field->grid.ndim));
    TRY(must_match(matches, field));
    out[0] = vector(2), out[0].images = field->images, out[0].element = ELEMENT_F64;
    return COVER_OK;
}

int graph_cell_pool(struct graph *graph, int x, int cell) {
    return graph_op(graph, OP_cell_pool, (int[]){x}, (struct attributes){.cells = {.cell = cell}});
}
int graph_match_cells(struct graph *graph, int f, int g, int count) {
    return graph_op(graph, OP_match_cells, (int[]){f, g}, (struct attributes){.cells = {.count = count}});
}
int graph_hit(struct graph *graph, int q, int k, int field, int cell, float threshold) {
    const int matches = graph_match_cells(graph, q, k, 1);
    return graph_op(graph, OP_hit, (int[]){matches, field}, (struct attributes){.cells = {.cell = cell, .threshold = threshold}});
}

/* ---- set_positives */

cover_status shape_set_positives(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *f = in(graph, node, 0), *g = in(graph, node, 1), *field = in(graph, node, 2);
    for (int i = 0; i < 3; i++) TRY(must_be_floats(in(graph, node, i)));
    TRY(must_have(g, f->channels));
    TRY(must_have(field, field->grid.ndim));
    TRY(must_match(f, g));
    TRY(must_match(f, field));
    out[0] = like_with(f, grid_pixels(&g->grid));
    out[1] = vector(2), out[1].images = f->images, out[1].element = ELEMENT_F64;
    return COVER_OK;
}

/* ---- sample_points */

cover_status shape_sample_points(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *x = in(graph, node, 0), *points = in(graph, node, 1);
    TRY(must_have(points, x->grid.ndim));
    if (x->images != points->images) return fail(COVER_ERROR_SHAPE, "%s and %s differ in images", x->name, points->name);
    out[0] = like_with(points, x->channels);
    return must_be_floats(points);
}
cover_status shape_sample_points_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    out[0].grid = node->attributes.grid, out[0].element = node->attributes.element;
    return COVER_OK;
}
void gradient_sample_points(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const struct node node = graph->nodes[index];
    const struct tensor *x = &graph->tensors[node.input[0]];
    int out[NODE_OUTPUTS], inputs[] = {adjoint_of(adjoint, node.output[0]), node.input[1]};
    const struct attributes attributes = {.grid = x->grid, .element = x->element};
    if (graph_node(graph, OP_sample_points_grad, inputs, &attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

int graph_set_positives(struct graph *graph, int f, int g, int field, const struct cells_attributes *how, int *shares) {
    int out[NODE_OUTPUTS];
    const bool made = graph_node(graph, OP_set_positives, (int[]){f, g, field}, &(struct attributes){.cells = *how}, out);
    *shares = made ? out[1] : ABSENT;
    return made ? out[0] : ABSENT;
}
int graph_sample_points(struct graph *graph, int x, int points) {
    return graph_op(graph, OP_sample_points, (int[]){x, points}, (struct attributes){0});
}
