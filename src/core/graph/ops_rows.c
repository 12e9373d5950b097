/* Shape rules and gradients of rows, which are the pixels of an image: regrouped, and what is computed over all of them.  Called through
 * the tables of ops.c. */
#include "ops_rules.h"

/* ---- rows: the same values */

cover_status shape_rows(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *x = in(graph, node, 0);
    const int images = node->attributes.images;
    const int64_t given = x->images * grid_pixels(&x->grid), wanted = images * grid_pixels(&node->attributes.grid);
    if (images < 1 || given != wanted)
        return fail(COVER_ERROR_SHAPE, "%s has %lld pixels in all, not %lld", x->name, (long long)given, (long long)wanted);
    out[0] = like(x);
    out[0].images = images, out[0].grid = node->attributes.grid;
    return COVER_OK;
}
void gradient_rows(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const struct node node = graph->nodes[index];
    const struct tensor *x = &graph->tensors[node.input[0]];
    const struct attributes attributes = {.images = x->images, .grid = x->grid};
    int out[NODE_OUTPUTS], dy = adjoint_of(adjoint, node.output[0]);
    if (graph_node(graph, OP_rows, &dy, &attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

/* ---- nt_xent */

static struct tensor doubles(const struct tensor *x, int64_t count) {
    struct tensor made = vector(count);
    made.images = x->images, made.element = ELEMENT_F64;
    return made;
}
cover_status shape_nt_xent(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *z = in(graph, node, 0);
    const int64_t rows = grid_pixels(&z->grid);
    TRY(must_be_floats(z));
    if (rows % 2) return fail(COVER_ERROR_SHAPE, "%s has %lld rows, which are no two halves", z->name, (long long)rows);
    if (!(node->attributes.temperature > 0))
        return fail(COVER_ERROR_ARGUMENT, "the temperature %g is not above 0", (double)node->attributes.temperature);
    out[0] = doubles(z, 2);
    out[1] = doubles(z, 2 * rows); /* 1 / norm of each row, then the logarithm of its sum of exponentials */
    return COVER_OK;
}
cover_status shape_nt_xent_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    return COVER_OK;
}
void gradient_nt_xent(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], inputs[] = {adjoint_again(adjoint, node.input[0]), node.output[1]};
    if (graph_node(graph, OP_nt_xent_grad, inputs, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

/* ---- figures */

cover_status shape_batch_right(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *q = in(graph, node, 0), *k = in(graph, node, 1);
    for (int i = 0; i < 2; i++) TRY(must_be_floats(in(graph, node, i)));
    TRY(must_have(k, q->channels));
    out[0] = doubles(q, 1);
    return must_match(q, k);
}
cover_status shape_spread(const struct graph *graph, const struct node *node, struct tensor *out) {
    TRY(must_be_floats(in(graph, node, 0)));
    out[0] = doubles(in(graph, node, 0), 1);
    return COVER_OK;
}
