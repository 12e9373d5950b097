/* What graph.c and differentiate.c know of each op: its shape rule and its gradient, one row an op of ops.def. */
#ifndef COVER_OPS_H
#define COVER_OPS_H

#include "graph.h"

/* Fills images, grid, channels and element of each output that exists (images > 0), or says what does not fit. */
typedef cover_status shape_rule(const struct graph *graph, const struct node *node, struct tensor *outputs);
extern shape_rule *const op_shape[OP_COUNT];

enum { KEEP_NODES = 8 }; /* what was computed or written again is used again when it is needed within so many nodes */

/* Room in the arena of another tensor's shape, which the nodes before this one have filled through its images. */
int graph_room(struct graph *graph, int like);

/* The state of backward: see differentiate.c. */
struct adjoint;
/* Gradient of a forward tensor as collected so far, ABSENT when nothing flows there. */
int adjoint_of(struct adjoint *adjoint, int tensor);
/* Does a gradient have to flow into this tensor?  Not into frozen parameters and what depends on no other. */
bool adjoint_wanted(const struct adjoint *adjoint, int tensor);
/* Add one contribution to a tensor's gradient; nothing where none is wanted. */
void adjoint_add(struct adjoint *adjoint, int tensor, int gradient);
/* Take a gradient that holds what was collected so far. */
void adjoint_replace(struct adjoint *adjoint, int tensor, int gradient);
/* A forward tensor for use in backward: itself, or computed again just now when that is cheap. */
int adjoint_again(struct adjoint *adjoint, int tensor);
struct graph *adjoint_graph(struct adjoint *adjoint);

/* Emits the backward nodes of one forward node; NULL for ops without gradient. */
typedef void gradient_rule(struct adjoint *adjoint, int node);
extern gradient_rule *const op_gradient[OP_COUNT];

#endif
