/* The tables of shape rules and gradients, in the order of ops.def, and what an op costs.  Called by graph_node(),
 * graph_differentiate() and the analyses. */
#include "ops_rules.h"

#define OP(name, inputs, outputs, optional, normalised, flags, text) [OP_##name] = shape_##name,
shape_rule *const op_shape[OP_COUNT] = {
#include "ops.def"
};
#define OP(name, inputs, outputs, optional, normalised, flags, text) [OP_##name] = gradient_##name,
#define BACKWARD(name, inputs, outputs, optional, normalised, flags, text) [OP_##name] = NULL,
#define FIGURE BACKWARD
gradient_rule *const op_gradient[OP_COUNT] = {
#include "ops.def"
};

/* Multiplications and additions, counted as two; what is not a convolution or MoV is left out. */
double node_flops(const struct graph *graph, const struct node *node) {
    if (node->input[0] == ABSENT) return 0; /* a pooling's gradient with nothing to add */
    const struct tensor *first = in(graph, node, 0);
    const double pixels = (double)first->images * (double)grid_pixels(&first->grid);
    const int weights = node_weights(graph, node);
    if (weights != ABSENT) return 2 * pixels * (double)graph->parameters->rows[weights].count;
    if (node->op != OP_mov && node->op != OP_mov_grad) return 0;
    double window = 1;
    for (int i = 0; i < first->grid.ndim; i++) window *= 2 * node->attributes.mov.radius + 1;
    return node->op == OP_mov ? 2 * pixels * window * (double)first->channels
                              : 6 * pixels * window * (double)in(graph, node, 1)->channels;
}
