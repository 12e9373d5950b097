/* Gathers the convolutions of a graph.  Called by cpu/executor.c and cuda/program.c. */
#include "convs.h"

static bool normalised(const struct graph *graph, int tensor) {
    return tensor != ABSENT && graph->tensors[tensor].storage == STORAGE_NORMALISED;
}

/* All that one node tells of its convolution. */
static struct conv_use use_of(const struct graph *graph, const struct node *node, int samples) {
    const struct tensor *first = &graph->tensors[node->input[0]];
    const int row = node_weights(graph, node);
    const struct parameter *weights = &graph->parameters->rows[row];
    struct conv_use use = {.row = row,
                           .grid = first->grid,
                           .images = first->images * samples,
                           .c_in = weights->shape[1],
                           .c_out = weights->shape[0],
                           .kernel = node->attributes.conv.kernel,
                           .forward = node->op == OP_conv,
                           .grad_data = node->op == OP_conv_grad_data,
                           .grad_weights = node->op == OP_conv_grad_weights};
    int second = ABSENT;
    if (use.grad_data) {
        second = node->output[1];
        use.x = graph->tensors[node->output[0]].element, use.y = first->element;
    } else {
        second = node->input[use.forward ? 3 : 2];
        use.x = first->element, use.y = graph->tensors[use.forward ? node->output[0] : node->input[1]].element;
        use.bias = use.forward ? node->input[2] != ABSENT : node->output[1] != ABSENT;
        use.normed = normalised(graph, node->input[0]) || normalised(graph, second);
    }
    if (second != ABSENT) use.c_second = graph->tensors[second].channels;
    return use;
}

/* Can what is gathered serve this node?  A forward node wants all of it as it is; a gradient has no say in what its pass does not do. */
static bool serves(const struct conv_use *use, const struct conv_use *node) {
    const bool alike = use->row == node->row && grid_same(&use->grid, &node->grid) && use->images == node->images &&
                       use->kernel == node->kernel && use->x == node->x && use->y == node->y && use->c_second == node->c_second;
    if (!alike || node->grad_data) return alike;
    if (node->forward) return use->bias == node->bias && use->normed == node->normed;
    return use->bias >= node->bias && use->normed == node->normed;
}

int graph_convs(const struct graph *graph, int samples, struct conv_use *uses, int *use_of_node) {
    int count = 0;
    for (int n = 0; n < graph->node_count; n++) {
        use_of_node[n] = ABSENT;
        if (node_weights(graph, &graph->nodes[n]) == ABSENT) continue;
        const struct conv_use node = use_of(graph, &graph->nodes[n], samples);
        int found = 0;
        while (found < count && !serves(&uses[found], &node)) found++;
        if (found == count) uses[count++] = node;
        uses[found].forward |= node.forward, uses[found].grad_data |= node.grad_data, uses[found].grad_weights |= node.grad_weights;
        use_of_node[n] = found;
    }
    return count;
}
