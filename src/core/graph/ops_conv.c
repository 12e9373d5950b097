/* Shape rules and gradients of convolutions.  Called through the tables of ops.c. */
#include "ops_rules.h"

static int64_t taps(int kernel, int ndim) { return kernel == 1 ? 1 : ndim == 2 ? 9 : 27; }

cover_status shape_conv(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *x = in(graph, node, 0), *weights = in(graph, node, 1);
    const struct parameter *row = &graph->parameters->rows[weights->index];
    int64_t channels = x->channels;
    if (node->input[3] != ABSENT) {
        const struct tensor *second = in(graph, node, 3);
        TRY(must_match(x, second));
        if (second->element != x->element)
            return fail(COVER_ERROR_SHAPE, "%s and %s differ in their elements", x->name, second->name);
        channels += second->channels;
    }
    if (weights->storage != STORAGE_PARAMETER || row->rank != 2 + x->grid.ndim || row->shape[1] != channels ||
        row->count != row->shape[0] * row->shape[1] * taps(node->attributes.conv.kernel, x->grid.ndim))
        return fail(COVER_ERROR_SHAPE, "%s does not fit an input of %lld channels", weights->name, (long long)channels);
    if (node->input[2] != ABSENT) TRY(must_have(in(graph, node, 2), row->shape[0]));
    out[0] = like_with(x, row->shape[0]);
    out[0].element = node->attributes.element;
    if (node->attributes.skip_output[1]) return COVER_OK;
    out[1] = vector(CONV_SUMS_MAX * 2 * row->shape[0]);
    out[1].images = x->images, out[1].element = ELEMENT_F64;
    return COVER_OK;
}
cover_status shape_conv_grad_data(const struct graph *graph, const struct node *node, struct tensor *out) {
    int64_t channels = graph->parameters->rows[in(graph, node, 1)->index].shape[1], second = node->attributes.conv.second;
    out[0] = like_with(in(graph, node, 0), channels - second);
    out[0].element = node->attributes.element;
    if (second) out[1] = out[0], out[1].channels = second;
    return COVER_OK;
}
cover_status shape_conv_grad_weights(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = vector(graph->parameters->rows[node->attributes.conv.row].count);
    if (!node->attributes.skip_output[1]) out[1] = vector(in(graph, node, 1)->channels);
    return must_match(in(graph, node, 0), in(graph, node, 1));
}
void gradient_conv(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int dy = adjoint_of(adjoint, node.output[0]), second = node.input[3], out[NODE_OUTPUTS];
    struct attributes attributes = node.attributes;
    bool to_weights = adjoint_wanted(adjoint, node.input[1]);
    bool to_bias = node.input[2] != ABSENT && adjoint_wanted(adjoint, node.input[2]);
    attributes.conv.row = graph->tensors[node.input[1]].index;
    attributes.skip_output[1] = !to_bias;
    if (to_weights || to_bias) { /* before dx: x, computed again, is free before dx needs room */
        int x = adjoint_again(adjoint, node.input[0]), x2 = second == ABSENT ? ABSENT : adjoint_again(adjoint, second);
        if (!graph_node(graph, OP_conv_grad_weights, (int[]){x, dy, x2}, &attributes, out)) return;
        adjoint_add(adjoint, node.input[1], out[0]);
        if (to_bias) adjoint_add(adjoint, node.input[2], out[1]);
    }
    if (!adjoint_wanted(adjoint, node.input[0]) && !(second != ABSENT && adjoint_wanted(adjoint, second))) return;
    attributes.element = graph->tensors[node.input[0]].element;
    attributes.conv.second = second == ABSENT ? 0 : graph->tensors[second].channels;
    if (!graph_node(graph, OP_conv_grad_data, (int[]){dy, node.input[1]}, &attributes, out)) return;
    adjoint_add(adjoint, node.input[0], out[0]);
    if (second != ABSENT) adjoint_add(adjoint, second, out[1]);
}
