/* Reverse-mode differentiation of a graph: appends the backward nodes.  Called by method/cover.c.
 *
 * Tensors that are cheap to compute (upsample) are not kept for backward but computed again just before they are needed; what
 * norm_apply wrote is read normalised again, from what lies behind it (design rule 4).  Gradients of views are written straight
 * into the gradient of the whole. */
#include "ops.h"

#include <stdio.h>
#include <string.h>

struct again {
    int copy, made_at;
};

struct adjoint {
    struct graph *graph;
    int forward_tensors;
    int *gradient; /* of each forward tensor */
    bool *wanted;  /* depends on a parameter that is not frozen */
    struct again *again;
};

struct graph *adjoint_graph(struct adjoint *adjoint) {
    return adjoint->graph;
}
bool adjoint_wanted(const struct adjoint *adjoint, int tensor) { return adjoint->wanted[tensor]; }

/* Gradients of the images of a tensor become one: they are written where the whole one lies. */
static void join_views(struct adjoint *adjoint, int whole) {
    struct graph *graph = adjoint->graph;
    const int images = graph->tensors[whole].images;
    int found = 0, *parts = memory_alloc(graph->context, (size_t)images * sizeof *parts);
    if (!parts) {
        graph->status = COVER_ERROR_MEMORY;
        return;
    }
    for (int i = 0; i < images; i++) parts[i] = ABSENT;
    for (int i = 0; i < adjoint->forward_tensors; i++) {
        const struct tensor *view = &graph->tensors[i];
        if (view->parent != whole || adjoint->gradient[i] == ABSENT || view->images != 1) continue;
        int *part = &parts[view->first_image];
        if (*part != ABSENT) { /* two views of one image */
            int sum = graph_add(graph, *part, adjoint->gradient[i]);
            *part = sum;
        } else *part = adjoint->gradient[i], found++;
        adjoint->gradient[i] = ABSENT;
    }
    if (graph->status == COVER_OK && found > 0 && found < images)
        graph->status = fail(COVER_ERROR_INTERNAL, "graph: only some images of %s have a gradient", graph->tensors[whole].name);
    const int joined = found > 0 && graph->status == COVER_OK ? graph_room(graph, whole) : ABSENT; /* its parts are its producers */
    for (int i = 0; joined != ABSENT && graph->status == COVER_OK && i < images; i++) {
        struct tensor *part = &graph->tensors[parts[i]];
        if (part->parent != ABSENT || part->storage != STORAGE_ARENA || part->shared_gradient)
            graph->status = fail(COVER_ERROR_INTERNAL, "graph: the gradient %s cannot be placed", part->name);
        else part->parent = joined, part->first_image = i;
    }
    memory_free(graph->context, parts);
    adjoint_add(adjoint, whole, joined);
}

/* What its node writes beside its first output is for its own backward: a gradient into it would be lost. */
static bool takes_gradient(struct graph *graph, int tensor) {
    int root = tensor;
    while (graph->tensors[root].parent != ABSENT) root = graph->tensors[root].parent;
    const int producer = graph->tensors[root].producer;
    if (producer == ABSENT || graph->nodes[producer].output[0] == root) return true;
    graph->status = fail(COVER_ERROR_INTERNAL, "graph: a gradient flows into %s, which is not the first output of its op",
                         graph->tensors[tensor].name);
    return false;
}

int adjoint_of(struct adjoint *adjoint, int tensor) { return adjoint->gradient[tensor]; }

void adjoint_add(struct adjoint *adjoint, int tensor, int contribution) {
    struct graph *graph = adjoint->graph;
    if (graph->status != COVER_OK || contribution == ABSENT || !adjoint->wanted[tensor] || !takes_gradient(graph, tensor)) return;
    int *gradient = &adjoint->gradient[tensor];
    if (*gradient == ABSENT) {
        if (graph->tensors[tensor].storage == STORAGE_PARAMETER) { /* straight into the lane's flat gradient */
            graph->tensors[contribution].storage = STORAGE_PARAMETER_GRAD;
            graph->tensors[contribution].index = graph->tensors[tensor].index;
        }
        for (int i = 0; i < adjoint->forward_tensors; i++)
            if (adjoint->gradient[i] == contribution) graph->tensors[contribution].shared_gradient = true;
        *gradient = contribution;
        return;
    }
    int sum = graph_add(graph, *gradient, contribution);
    if (sum == ABSENT) return;
    if (graph->tensors[*gradient].shared_gradient) *gradient = sum;
    else { /* in place: the node writes the tensor that it reads, the new one is never used */
        graph->nodes[graph->node_count - 1].output[0] = *gradient;
        graph->tensor_count--;
    }
}

void adjoint_replace(struct adjoint *adjoint, int tensor, int gradient) { adjoint->gradient[tensor] = gradient; }

static int again_now(struct adjoint *adjoint, int tensor) {
    struct graph *graph = adjoint->graph;
    int producer = graph->tensors[tensor].producer, out[NODE_OUTPUTS];
    struct node node = graph->nodes[producer];
    int inputs[NODE_INPUTS]; /* they may have to be computed again too */
    for (int i = 0; i < NODE_INPUTS; i++) inputs[i] = node.input[i] == ABSENT ? ABSENT : adjoint_again(adjoint, node.input[i]);
    graph_node(graph, node.op, inputs, &node.attributes, out);
    return out[0];
}

int adjoint_again(struct adjoint *adjoint, int tensor) {
    struct graph *graph = adjoint->graph;
    const struct tensor *forward = &graph->tensors[tensor];
    if (graph->status != COVER_OK) return ABSENT;
    if (forward->parent != ABSENT) {
        int first = forward->first_image, whole = adjoint_again(adjoint, forward->parent);
        return whole == graph->tensors[tensor].parent ? tensor : graph_image(graph, whole, first);
    }
    if (forward->storage != STORAGE_ARENA || forward->producer == ABSENT) return tensor;
    struct node node = graph->nodes[forward->producer];
    if (node.op == OP_norm_apply) return node.input[0];
    if (!(op_rows[node.op].flags & OP_CHEAP) || node.output[0] != tensor) return tensor;
    struct again *known = &adjoint->again[tensor];
    if (known->copy == ABSENT || graph->node_count - known->made_at > KEEP_NODES) known->copy = again_now(adjoint, tensor);
    known->made_at = graph->node_count;
    return known->copy;
}

/* Nothing flows through a hold of scale 0, or through a figure. */
static bool stops(const struct node *node) {
    return (node->op == OP_hold && node->attributes.scale == 0) || !op_gradient[node->op];
}

static void find_wanted(struct adjoint *adjoint, const struct derivative *derivative) {
    const struct graph *graph = adjoint->graph;
    for (int i = 0; i < adjoint->forward_tensors; i++) {
        const struct tensor *tensor = &graph->tensors[i];
        adjoint->wanted[i] = tensor->storage == STORAGE_PARAMETER && !tensor->held &&
                             parameter_trained(graph->parameters, tensor->index) &&
                             !(derivative->frozen && derivative->frozen[tensor->index]);
    }
    for (int i = 0; i < derivative->wants; i++) adjoint->wanted[derivative->want[i]] = true;
    for (int n = 0; n < graph->forward_nodes; n++) {
        const struct node *node = &graph->nodes[n];
        bool wanted = false;
        for (int i = 0; i < NODE_INPUTS; i++) {
            int input = node->input[i];
            if (input == ABSENT) continue;
            int parent = graph->tensors[input].parent;
            if (parent != ABSENT && adjoint->wanted[parent]) adjoint->wanted[input] = true;
            wanted |= adjoint->wanted[input];
        }
        for (int i = 0; i < NODE_OUTPUTS; i++)
            if (node->output[i] != ABSENT) adjoint->wanted[node->output[i]] = wanted && !stops(node);
    }
}

static void backward(struct adjoint *adjoint) {
    struct graph *graph = adjoint->graph;
    for (int n = graph->forward_nodes - 1; n >= 0 && graph->status == COVER_OK; n--) {
        struct node node = graph->nodes[n];
        int output = node.output[0];
        graph_scope(graph, graph->tensors[output].name);
        if (graph->tensors[output].images > 1) join_views(adjoint, output);
        if (adjoint->gradient[output] != ABSENT && adjoint->wanted[output]) op_gradient[node.op](adjoint, n);
    }
}

/* What flows in has the output's shape and element. */
static bool fits(struct graph *graph, int output, int gradient) {
    const struct tensor *y = &graph->tensors[output], *dy = &graph->tensors[gradient];
    if (y->element == dy->element && tensor_elements(y) == tensor_elements(dy) && y->channels == dy->channels) return true;
    graph->status = fail(COVER_ERROR_INTERNAL, "graph: the gradient %s does not fit %s", dy->name, y->name);
    return false;
}

void graph_differentiate(struct graph *graph, struct derivative *derivative) {
    if (graph->status != COVER_OK) return;
    graph->forward_nodes = graph->node_count;
    int forward = graph->tensor_count;
    struct adjoint adjoint = {.graph = graph, .forward_tensors = forward};
    adjoint.gradient = memory_alloc(graph->context, (size_t)forward * sizeof *adjoint.gradient);
    adjoint.wanted = memory_zero(graph->context, (size_t)forward * sizeof *adjoint.wanted);
    adjoint.again = memory_alloc(graph->context, (size_t)forward * sizeof *adjoint.again);
    if (!adjoint.gradient || !adjoint.wanted || !adjoint.again) graph->status = COVER_ERROR_MEMORY;
    else {
        for (int i = 0; i < forward; i++) adjoint.gradient[i] = ABSENT, adjoint.again[i].copy = ABSENT;
        for (int i = 0; i < derivative->outputs; i++) { /* what flows in is the caller's: nothing is added to it in place */
            if (!takes_gradient(graph, derivative->output[i]) || !fits(graph, derivative->output[i], derivative->gradient[i]))
                break;
            adjoint.gradient[derivative->output[i]] = derivative->gradient[i];
            graph->tensors[derivative->gradient[i]].shared_gradient = true;
        }
        find_wanted(&adjoint, derivative);
        backward(&adjoint);
        for (int i = 0; i < derivative->wants; i++) {
            int want = derivative->want[i];
            if (graph->tensors[want].producer == ABSENT && graph->tensors[want].images > 1) join_views(&adjoint, want);
            derivative->want_gradient[i] = adjoint.gradient[want];
        }
    }
    memory_free(graph->context, adjoint.gradient);
    memory_free(graph->context, adjoint.wanted);
    memory_free(graph->context, adjoint.again);
}

bool graph_has_gradient(const struct graph *graph, int parameter) {
    for (int i = 0; i < graph->tensor_count; i++)
        if (graph->tensors[i].storage == STORAGE_PARAMETER_GRAD && graph->tensors[i].index == parameter) return true;
    return false;
}
