/* Shape rules and gradients of normalisations and of what writes their output.  Called through the tables of ops.c. */
#include "ops_rules.h"

/* ---- norm_act */

cover_status shape_norm_act(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *x = in(graph, node, 0);
    int groups = node->attributes.norm.groups;
    if (groups < 1 || x->channels % groups)
        return fail(COVER_ERROR_SHAPE, "%lld channels do not divide into %d groups", (long long)x->channels, groups);
    for (int i = 1; i < 4; i++)
        if (node->input[i] != ABSENT) TRY(must_have(in(graph, node, i), x->channels));
    if (node->input[4] != ABSENT) TRY(must_have(in(graph, node, 4), CONV_SUMS_MAX * 2 * x->channels));
    out[0] = like(x);
    out[1] = vector(2 * (int64_t)groups); /* mean of each group, then 1 / sigma of each group; an image a row */
    out[2] = vector(2 * x->channels);     /* scale of each channel, then offset of each channel */
    out[1].images = out[2].images = x->images;
    return COVER_OK;
}
cover_status shape_norm_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 1));
    out[1] = out[2] = vector(out[0].channels);
    if (node->input[3] != ABSENT) out[3] = out[1];
    return must_match(in(graph, node, 0), in(graph, node, 1));
}
void gradient_norm_act(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int x = adjoint_again(adjoint, node.input[0]), dy = adjoint_of(adjoint, node.output[0]), out[NODE_OUTPUTS];
    int inputs[] = {dy, x, node.input[1], node.input[3], node.output[1], node.output[2]};
    if (!graph_node(graph, OP_norm_grad, inputs, &node.attributes, out)) return;
    adjoint_add(adjoint, node.input[0], out[0]);
    adjoint_add(adjoint, node.input[1], out[1]);
    adjoint_add(adjoint, node.input[2], out[2]);
    if (node.input[3] != ABSENT) adjoint_add(adjoint, node.input[3], out[3]);
}

/* ---- norm_apply, widen: the same values, so the same gradient (of widen: of results alone, which nothing reads) */

static cover_status shape_same(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    return COVER_OK;
}
SHAPE_OF(shape_norm_apply, shape_same)
void gradient_norm_apply(struct adjoint *adjoint, int index) {
    struct node node = adjoint_graph(adjoint)->nodes[index];
    int gradient = adjoint_of(adjoint, node.output[0]);
    adjoint_replace(adjoint, node.output[0], ABSENT); /* moved, so that more may be added in place */
    adjoint_add(adjoint, node.input[0], gradient);
}
cover_status shape_widen(const struct graph *graph, const struct node *node, struct tensor *out) {
    TRY(shape_same(graph, node, out));
    out[0].element = ELEMENT_F32;
    return COVER_OK;
}
cover_status shape_widen_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    TRY(shape_same(graph, node, out));
    out[0].element = node->attributes.element;
    return COVER_OK;
}
void gradient_widen(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const int x = graph->nodes[index].input[0];
    int out[NODE_OUTPUTS], dy = adjoint_of(adjoint, graph->nodes[index].output[0]);
    const struct attributes attributes = {.element = graph->tensors[x].element};
    if (attributes.element == ELEMENT_F32) adjoint_add(adjoint, x, dy);
    else if (graph_node(graph, OP_widen_grad, &dy, &attributes, out)) adjoint_add(adjoint, x, out[0]);
}
