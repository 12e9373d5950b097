/* Shape rules and gradients of what moves, pools and adds pixels.  Called through the tables of ops.c. */
#include "ops_rules.h"

/* ---- max_pool2 */

cover_status shape_max_pool2(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *x = in(graph, node, 0); /* the last row of an odd size is dropped */
    for (int i = 3 - x->grid.ndim; i < 3; i++)
        if (x->grid.size[i] < 2) return fail(COVER_ERROR_SHAPE, "a size of %lld cannot be halved", (long long)x->grid.size[i]);
    out[0] = like(x);
    out[0].grid = scaled(&x->grid, 0);
    out[1] = out[0];
    out[1].element = ELEMENT_U8;
    return COVER_OK;
}
cover_status shape_max_pool2_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 1));
    out[0].grid = node->attributes.grid;
    return node->input[0] == ABSENT ? COVER_OK : must_match(&out[0], in(graph, node, 0));
}
void gradient_max_pool2(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int plus = adjoint_of(adjoint, node.input[0]); /* what has flown in from elsewhere is added on the way */
    int out[NODE_OUTPUTS], inputs[] = {plus, adjoint_of(adjoint, node.output[0]), node.output[1]};
    struct attributes attributes = {.grid = graph->tensors[node.input[0]].grid};
    if (!graph_node(graph, OP_max_pool2_grad, inputs, &attributes, out)) return;
    if (plus == ABSENT) adjoint_add(adjoint, node.input[0], out[0]);
    else adjoint_replace(adjoint, node.input[0], out[0]);
}

/* ---- upsample */

cover_status shape_upsample(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    out[0].grid = scaled(&out[0].grid, 1);
    return COVER_OK;
}
cover_status shape_upsample_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    out[0].grid = scaled(&out[0].grid, 0);
    return COVER_OK;
}
void gradient_upsample(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], dy = adjoint_of(adjoint, node.output[0]);
    if (graph_node(graph, OP_upsample_grad, &dy, &(struct attributes){0}, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

/* ---- resize_corners */

cover_status shape_resize_corners(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *x = in(graph, node, 0);
    if (node->attributes.grid.ndim != x->grid.ndim) return fail(COVER_ERROR_SHAPE, "2D and 3D are mixed");
    out[0] = like(x);
    out[0].grid = node->attributes.grid;
    return COVER_OK;
}
SHAPE_OF(shape_resize_corners_grad, shape_resize_corners)
void gradient_resize_corners(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], dy = adjoint_of(adjoint, node.output[0]);
    struct attributes attributes = node.attributes;
    attributes.grid = graph->tensors[node.input[0]].grid;
    if (graph_node(graph, OP_resize_corners_grad, &dy, &attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

/* ---- warp */

cover_status shape_warp(const struct graph *graph, const struct node *node, struct tensor *out) {
    TRY(must_have(in(graph, node, 1), in(graph, node, 0)->grid.ndim));
    out[0] = like(in(graph, node, 0));
    return must_match(in(graph, node, 0), in(graph, node, 1));
}
cover_status shape_warp_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    if (!node->attributes.skip_output[0]) out[0] = like(in(graph, node, 0));
    if (!node->attributes.skip_output[1]) out[1] = like(in(graph, node, 2));
    return COVER_OK;
}
void gradient_warp(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    bool to_source = adjoint_wanted(adjoint, node.input[0]), to_field = adjoint_wanted(adjoint, node.input[1]);
    struct attributes attributes = node.attributes;
    attributes.skip_output[0] = !to_source, attributes.skip_output[1] = !to_field;
    int source = to_field ? adjoint_again(adjoint, node.input[0]) : ABSENT; /* its values matter to the field alone */
    int out[NODE_OUTPUTS], inputs[] = {adjoint_of(adjoint, node.output[0]), source, node.input[1]};
    if (!graph_node(graph, OP_warp_grad, inputs, &attributes, out)) return;
    if (to_source) adjoint_add(adjoint, node.input[0], out[0]);
    if (to_field) adjoint_add(adjoint, node.input[1], out[1]);
}

/* ---- mov */

cover_status shape_mov(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *query = in(graph, node, 0), *key = in(graph, node, 1);
    if (node->attributes.mov.heads < 1 || query->channels % node->attributes.mov.heads)
        return fail(COVER_ERROR_SHAPE, "%lld channels do not divide into %d heads", (long long)query->channels,
                    node->attributes.mov.heads);
    TRY(must_have(key, query->channels));
    out[0] = like_with(query, query->grid.ndim);
    return must_match(query, key);
}
cover_status shape_mov_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 1)), out[1] = like(in(graph, node, 2));
    return COVER_OK;
}
void gradient_mov(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int query = adjoint_again(adjoint, node.input[0]), key = adjoint_again(adjoint, node.input[1]);
    int out[NODE_OUTPUTS], inputs[] = {adjoint_of(adjoint, node.output[0]), query, key};
    if (!graph_node(graph, OP_mov_grad, inputs, &node.attributes, out)) return;
    adjoint_add(adjoint, node.input[0], out[0]);
    adjoint_add(adjoint, node.input[1], out[1]);
}

/* ---- global_pool */

cover_status shape_global_pool(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    out[0].grid = (struct grid){out[0].grid.ndim, {1, 1, 1}};
    return COVER_OK;
}
cover_status shape_global_pool_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    out[0].grid = node->attributes.grid;
    return COVER_OK;
}
void gradient_global_pool(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], dy = adjoint_of(adjoint, node.output[0]);
    struct attributes attributes = {.grid = graph->tensors[node.input[0]].grid};
    if (graph_node(graph, OP_global_pool_grad, &dy, &attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

/* ---- add */

cover_status shape_add(const struct graph *graph, const struct node *node, struct tensor *out) {
    TRY(must_have(in(graph, node, 1), in(graph, node, 0)->channels));
    out[0] = like(in(graph, node, 0));
    return must_match(in(graph, node, 0), in(graph, node, 1));
}
void gradient_add(struct adjoint *adjoint, int index) {
    struct node node = adjoint_graph(adjoint)->nodes[index];
    int dy = adjoint_of(adjoint, node.output[0]);
    for (int i = 0; i < 2; i++)
        if (adjoint_wanted(adjoint, node.input[i])) adjoint_add(adjoint, node.input[i], dy);
}
