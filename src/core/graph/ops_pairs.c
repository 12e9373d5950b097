/* Shape rules and gradients of what is done to pairs of rows: lengths, propagation, cosines, codes.  Called through the tables of ops.c,
 * built by dense.h's functions. */
#include "dense.h"
#include "ops_rules.h"

static struct tensor numbers_of(const struct tensor *rows, int64_t count) {
    struct tensor made = vector(count);
    made.images = rows->images, made.element = ELEMENT_F64;
    return made;
}
static cover_status like_first(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    return COVER_OK;
}

/* ---- unit */

cover_status shape_unit(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    return must_be_floats(in(graph, node, 0));
}
SHAPE_OF(shape_unit_grad, like_first)
void gradient_unit(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], x = adjoint_again(adjoint, node.input[0]), inputs[] = {adjoint_of(adjoint, node.output[0]), x};
    if (graph_node(graph, OP_unit_grad, inputs, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

/* ---- propagate */

cover_status shape_propagate(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *x = in(graph, node, 0), *value = in(graph, node, 1);
    TRY(must_be_floats(x));
    TRY(must_be_floats(value));
    out[0] = like(value);
    return must_match(x, value);
}
cover_status shape_propagate_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 1)), out[1] = like(in(graph, node, 2));
    return COVER_OK;
}
void gradient_propagate(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], x = adjoint_again(adjoint, node.input[0]), value = adjoint_again(adjoint, node.input[1]);
    int inputs[] = {adjoint_of(adjoint, node.output[0]), x, value};
    if (!graph_node(graph, OP_propagate_grad, inputs, &node.attributes, out)) return;
    adjoint_add(adjoint, node.input[0], out[0]);
    adjoint_add(adjoint, node.input[1], out[1]);
}

/* ---- pair_cosine */

cover_status shape_pair_cosine(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *y = in(graph, node, 0), *k = in(graph, node, 1), *field = in(graph, node, 2);
    for (int i = 0; i < 3; i++) TRY(must_be_floats(in(graph, node, i)));
    TRY(must_have(k, y->channels));
    TRY(must_have(field, field->grid.ndim));
    TRY(must_match(y, k));
    TRY(must_match(y, field));
    out[0] = numbers_of(y, 2);
    return COVER_OK;
}
SHAPE_OF(shape_pair_cosine_grad, like_first)
void gradient_pair_cosine(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], y = adjoint_again(adjoint, node.input[0]), k = adjoint_again(adjoint, node.input[1]);
    int inputs[] = {y, k, node.input[2], node.output[0]};
    if (graph_node(graph, OP_pair_cosine_grad, inputs, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

/* ---- soft_cross_entropy, sinkhorn */

cover_status shape_soft_cross_entropy(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *scores = in(graph, node, 0), *codes = in(graph, node, 1);
    TRY(must_be_floats(scores));
    TRY(must_be_floats(codes));
    TRY(must_have(codes, scores->channels));
    TRY(must_match(scores, codes));
    if (node->input[2] != ABSENT) TRY(must_match(scores, in(graph, node, 2)));
    if (node->attributes.cells.count && grid_pixels(&scores->grid) % node->attributes.cells.count)
        return fail(COVER_ERROR_SHAPE, "%s is not of groups of %d rows", scores->name, node->attributes.cells.count);
    if (!(node->attributes.cells.temperature > 0)) return fail(COVER_ERROR_ARGUMENT, "scores need a temperature above 0");
    out[0] = numbers_of(scores, 1);
    return COVER_OK;
}
SHAPE_OF(shape_soft_cross_entropy_grad, like_first)
void gradient_soft_cross_entropy(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], scores = adjoint_again(adjoint, node.input[0]), inputs[] = {scores, node.input[1], node.input[2]};
    if (graph_node(graph, OP_soft_cross_entropy_grad, inputs, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

cover_status shape_sinkhorn(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct cells_attributes *attributes = &node->attributes.cells;
    if (!(attributes->temperature > 0) || attributes->count < 1)
        return fail(COVER_ERROR_ARGUMENT, "codes need a temperature above 0, and rounds");
    out[0] = like(in(graph, node, 0));
    return must_be_floats(in(graph, node, 0));
}

int graph_unit(struct graph *graph, int x) { return graph_op(graph, OP_unit, (int[]){x}, (struct attributes){0}); }
int graph_propagate(struct graph *graph, int x, int value) {
    return graph_op(graph, OP_propagate, (int[]){x, value}, (struct attributes){0});
}
int graph_pair_cosine(struct graph *graph, int y, int k, int field, bool turned, int cell, float threshold, float weight) {
    const struct cells_attributes cells = {.cell = cell, .threshold = threshold, .weight = weight, .turned = turned};
    return graph_op(graph, OP_pair_cosine, (int[]){y, k, field}, (struct attributes){.cells = cells});
}
int graph_soft_cross_entropy(struct graph *graph, int scores, int codes, int indices, int64_t group, float temperature,
                             float weight) {
    return graph_op(graph, OP_soft_cross_entropy, (int[]){scores, codes, indices},
                    (struct attributes){.cells = {.temperature = temperature, .weight = weight, .count = (int)group}});
}
int graph_sinkhorn(struct graph *graph, int scores, float epsilon, int rounds) {
    return graph_op(graph, OP_sinkhorn, (int[]){scores}, (struct attributes){.cells = {.temperature = epsilon, .count = rounds}});
}
