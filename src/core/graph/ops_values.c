/* Shape rules and gradients of ops that work element by element, and of the loss of images.  Called through the tables of ops.c. */
#include "ops_rules.h"

static cover_status shape_like_first(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    return COVER_OK;
}
SHAPE_OF(shape_hold, shape_like_first)
SHAPE_OF(shape_scaled, shape_like_first)
SHAPE_OF(shape_leaky_grad, shape_like_first)
SHAPE_OF(shape_image_loss_grad, shape_like_first)

void gradient_hold(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const struct node node = graph->nodes[index];
    int dy = adjoint_of(adjoint, node.output[0]), out[NODE_OUTPUTS];
    if (graph_node(graph, OP_scaled, &dy, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

cover_status shape_leaky(const struct graph *graph, const struct node *node, struct tensor *out) {
    if (!(node->attributes.slope >= 0)) return fail(COVER_ERROR_ARGUMENT, "the slope %g is below 0", node->attributes.slope);
    return shape_like_first(graph, node, out);
}
void gradient_leaky(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], inputs[] = {adjoint_of(adjoint, node.output[0]), node.output[0]};
    if (graph_node(graph, OP_leaky_grad, inputs, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

cover_status shape_image_loss(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *prediction = in(graph, node, 0), *truth = in(graph, node, 1);
    for (int i = 0; i < 2; i++) TRY(must_be_floats(in(graph, node, i)));
    TRY(must_have(truth, prediction->channels));
    if (node->input[2] != ABSENT) {
        TRY(must_have(in(graph, node, 2), 1));
        TRY(must_match(prediction, in(graph, node, 2)));
    }
    out[0] = vector(1);
    out[0].images = prediction->images, out[0].element = ELEMENT_F64;
    return must_match(prediction, truth);
}
void gradient_image_loss(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], inputs[] = {adjoint_again(adjoint, node.input[0]), node.input[1], node.input[2]};
    if (graph_node(graph, OP_image_loss_grad, inputs, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

/* ---- blend */

cover_status shape_blend(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *mask = in(graph, node, 0), *a = in(graph, node, 1), *b = in(graph, node, 2);
    for (int i = 0; i < 3; i++) TRY(must_be_floats(in(graph, node, i)));
    TRY(must_have(mask, 1));
    TRY(must_match(mask, a));
    TRY(must_have(b, a->channels));
    out[0] = like(a);
    return must_match(a, b);
}
cover_status shape_blend_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    for (int i = 0; i < 2; i++)
        if (!node->attributes.skip_output[i]) out[i] = like(in(graph, node, 1));
    return COVER_OK;
}
void gradient_blend(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    const struct node node = graph->nodes[index];
    struct attributes attributes = {0};
    int out[NODE_OUTPUTS], inputs[] = {node.input[0], adjoint_of(adjoint, node.output[0])};
    for (int i = 0; i < 2; i++) attributes.skip_output[i] = !adjoint_wanted(adjoint, node.input[1 + i]);
    if (!graph_node(graph, OP_blend_grad, inputs, &attributes, out)) return;
    adjoint_add(adjoint, node.input[1], out[0]);
    adjoint_add(adjoint, node.input[2], out[1]);
}
