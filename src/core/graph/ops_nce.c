/* Shape rules and gradients of contrastive losses against a queue.  Called through the tables of ops.c, built by dense.h's functions. */
#include "dense.h"
#include "ops_rules.h"

static cover_status rows_of(const struct tensor *q, const struct tensor *k) {
    TRY(must_be_floats(q));
    TRY(must_be_floats(k));
    TRY(must_have(k, q->channels));
    return q->images == k->images ? COVER_OK : fail(COVER_ERROR_SHAPE, "%s and %s differ in images", q->name, k->name);
}
static cover_status must_be_queue(const struct tensor *queue, int64_t channels) {
    if (queue->storage == STORAGE_PARAMETER && queue->channels % channels == 0) return COVER_OK;
    return fail(COVER_ERROR_SHAPE, "%s is no queue of rows of %lld", queue->name, (long long)channels);
}
static struct tensor numbers_of(const struct tensor *q, int64_t count) {
    struct tensor made = vector(count);
    made.images = q->images, made.element = ELEMENT_F64;
    return made;
}

cover_status shape_matched_nce(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *q = in(graph, node, 0), *k = in(graph, node, 1);
    TRY(rows_of(q, k));
    TRY(must_be_queue(in(graph, node, 3), q->channels));
    if (!(node->attributes.cells.temperature > 0)) return fail(COVER_ERROR_ARGUMENT, "logits need a temperature above 0");
    if (node->input[2] == ABSENT) TRY(must_match(q, k));
    else TRY(must_match(q, in(graph, node, 2)));
    out[0] = numbers_of(q, 2), out[1] = like_with(q, 1);
    return COVER_OK;
}
cover_status shape_matched_nce_grad(const struct graph *graph, const struct node *node, struct tensor *out) {
    out[0] = like(in(graph, node, 0));
    return COVER_OK;
}
void gradient_matched_nce(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], q = adjoint_again(adjoint, node.input[0]), k = adjoint_again(adjoint, node.input[1]);
    int inputs[] = {q, k, node.input[2], node.input[3], node.output[1]};
    if (graph_node(graph, OP_matched_nce_grad, inputs, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

cover_status shape_set_nce(const struct graph *graph, const struct node *node, struct tensor *out) {
    const struct tensor *q = in(graph, node, 0), *k = in(graph, node, 1), *positives = in(graph, node, 2);
    TRY(rows_of(q, k));
    TRY(must_be_queue(in(graph, node, 3), q->channels));
    TRY(must_be_floats(positives));
    TRY(must_have(positives, grid_pixels(&k->grid)));
    TRY(must_match(q, positives));
    if (!(node->attributes.cells.temperature > 0)) return fail(COVER_ERROR_ARGUMENT, "logits need a temperature above 0");
    out[0] = numbers_of(q, 3), out[1] = like_with(q, 2), out[2] = numbers_of(q, 1);
    return COVER_OK;
}
SHAPE_OF(shape_set_nce_grad, shape_matched_nce_grad)
void gradient_set_nce(struct adjoint *adjoint, int index) {
    struct graph *graph = adjoint_graph(adjoint);
    struct node node = graph->nodes[index];
    int out[NODE_OUTPUTS], q = adjoint_again(adjoint, node.input[0]), k = adjoint_again(adjoint, node.input[1]);
    int inputs[] = {q, k, node.input[2], node.input[3], node.output[1], node.output[2]};
    if (graph_node(graph, OP_set_nce_grad, inputs, &node.attributes, out)) adjoint_add(adjoint, node.input[0], out[0]);
}

int graph_matched_nce(struct graph *graph, int q, int k, int indices, int queue, float temperature, float weight) {
    return graph_op(graph, OP_matched_nce, (int[]){q, k, indices, queue},
                    (struct attributes){.cells = {.temperature = temperature, .weight = weight}});
}
int graph_set_nce(struct graph *graph, int q, int k, int positives, int queue, float temperature, float weight) {
    return graph_op(graph, OP_set_nce, (int[]){q, k, positives, queue},
                    (struct attributes){.cells = {.temperature = temperature, .weight = weight}});
}
