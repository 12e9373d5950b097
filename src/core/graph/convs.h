/* The convolutions that a graph holds: its forward and backward nodes gathered by what one prepared convolution can serve.  Called by
 * executors when they prepare a program. */
#ifndef COVER_CONVS_H
#define COVER_CONVS_H

#include "graph.h"

/* One of weights, grid, elements and sources.  A forward node and the gradients of it share one; the same weights used in another way
 * are another.  What only some passes know (bias, normed) is told by the forward node where there is one. */
struct conv_use {
    int row; /* of the weights */
    struct grid grid;
    int images;                    /* 0 where the caller takes one at a time */
    int64_t c_in, c_second, c_out; /* c_in: of both sources together; c_second: of the second, 0 = there is none */
    int kernel;
    enum element x, y;
    bool bias, normed;                     /* a bias is added; a source is normalised while it is read */
    bool forward, grad_data, grad_weights; /* passes that the graph has */
};

/* Fills uses, room for one a node, and use_of_node (ABSENT for other ops); returns how many there are.  samples: how many a run takes
 * at once, or 0 where one convolution takes an image at a time. */
int graph_convs(const struct graph *graph, int samples, struct conv_use *uses, int *use_of_node);

#endif
