/* Shape rules and gradients of losses.  Called through the tables of ops.c. */
#include "ops_rules.h"

/* ---- losses */

static cover_status shape_loss(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *a = in(graph, node, 0), *b = in(graph, node, 1);
    TRY(must_have(b, a->channels));
    if (node->input[2] != ABSENT) {
        TRY(must_have(in(graph, node, 2), 1));
        TRY(must_match(a, in(graph, node, 2)));
    }
    out[0] = vector(1);
    out[0].images = a->images, out[0].element = ELEMENT_F64;
    return must_match(a, b);
}
SHAPE_OF(shape_vector_loss, shape_loss)
SHAPE_OF(shape_cosine_loss, shape_loss)
cover_status shape_vector_loss_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    return COVER_OK;
}
cover_status shape_cosine_loss_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0)), out[1] = like(in(graph, node, 1));
    return COVER_OK;
}
void gradient_vector_loss(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS];
    if (graph_node(graph, OP_vector_loss_grad, node.input, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}
void gradient_cosine_loss(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int a = adjoint_again(adjoint, node.input[0]), b = adjoint_again(adjoint, node.input[1]);
    int out[NODE_OUTPUTS], inputs[] = {a, b, node.input[2]};
    if (!graph_node(graph, OP_cosine_loss_grad, inputs, &node.attributes, out)) return;
    adjoint_add(adjoint, node.input[0], out[0]);
    adjoint_add(adjoint, node.input[1], out[1]);
}

/* ---- losses of a task: f64 results, an image a row */

enum { TASK_LOSSES = 2, SOFTMAX_CLASS_STATISTICS = 3 }; /* of softmax_loss: kernels.h says which */

static cover_status task_loss(const struct graph *graph, const struct node *node, int64_t statistics, struct tensor *out) {
    const struct tensor *logits = in(graph, node, 0);
    if (node->input[2] != ABSENT) {
        const struct tensor *weights = in(graph, node, 2);
        TRY(must_have(weights, logits->channels));
        if (weights->images != 1 || grid_pixels(&weights->grid) != 1)
            return fail(COVER_ERROR_SHAPE, "%s is not one vector", weights->name);
    }
    out[0] = vector(TASK_LOSSES), out[1] = vector(statistics);
    for (int i = 0; i < 2; i++) out[i].images = logits->images, out[i].element = ELEMENT_F64;
    return must_match(logits, in(graph, node, 1));
}
cover_status shape_softmax_loss(const struct graph *graph, const struct node *node, struct tensor *out) {
    int64_t classes = in(graph, node, 0)->channels;
    if (classes < 2) return fail(COVER_ERROR_SHAPE, "%s has one channel, but classes are at least 2", in(graph, node, 0)->name);
    if (!(node->attributes.softmax.smooth > 0)) return fail(COVER_ERROR_ARGUMENT, "the Dice loss needs smooth > 0");
    TRY(must_have(in(graph, node, 1), 1));
    return task_loss(graph, node, 1 + SOFTMAX_CLASS_STATISTICS * classes, out);
}
cover_status shape_sigmoid_loss(const struct graph *graph, const struct node *node, struct tensor *out) {
    TRY(must_have(in(graph, node, 1), in(graph, node, 0)->channels));
    return task_loss(graph, node, 1, out);
}
static cover_status shape_task_loss_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    return COVER_OK;
}
SHAPE_OF(shape_softmax_loss_grad, shape_task_loss_grad)
SHAPE_OF(shape_sigmoid_loss_grad, shape_task_loss_grad)
static void gradient_task_loss(struct adjoint *adjoint, int index, enum op grad) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int logits = adjoint_again(adjoint, node.input[0]);
    int out[NODE_OUTPUTS], inputs[] = {logits, node.input[1], node.input[2], node.output[1]};
    if (graph_node(graph, grad, inputs, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}
void gradient_softmax_loss(struct adjoint *adjoint, int index) { gradient_task_loss(adjoint, index, OP_softmax_loss_grad); }
void gradient_sigmoid_loss(struct adjoint *adjoint, int index) { gradient_task_loss(adjoint, index, OP_sigmoid_loss_grad); }

/* ---- a figure */

cover_status shape_class_right(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *logits = in(graph, node, 0);
    out[0] = vector(1);
    out[0].images = logits->images, out[0].element = ELEMENT_F64;
    TRY(must_have(in(graph, node, 1), 1));
    return must_match(logits, in(graph, node, 1));
}
void gradient_class_right(struct adjoint *adjoint, int index) { (void)adjoint, (void)index; } /* it is flat nearly everywhere */
