/* Heads of objectives: linear layers and norms over rows, which are pixels.  Names are those of PyTorch's Sequential.  Called by the
 * objectives. */
#ifndef COVER_HEADS_H
#define COVER_HEADS_H

#include "core/graph/graph.h"

/* What a row's normalisation takes its statistics from: its channel over the rows of an image; all of the row; nothing: no norm. */
enum row_norm { ROW_NORM_BATCH, ROW_NORM_LAYER, ROW_NORM_NONE };
enum { HEAD_SCALE = 1, HEAD_SHIFT = 2 };

/* A linear layer of each pixel's channels. */
int head_linear(struct graph *graph, const char *name, int x, int64_t c_out, bool bias);
/* With the parts of `parts`, then a leaky ReLU (slope 0: ReLU, 1: none).  Not of ROW_NORM_NONE. */
int head_norm(struct graph *graph, const char *name, int x, enum row_norm norm, unsigned parts, float slope);

/* A perceptron: linear layers, each but the last with a norm (of ROW_NORM_NONE: a bias) and a ReLU. */
struct mlp {
    const char *name; /* "projector": layers are projector.0, .1 (norm), .3 ... */
    int layers;
    int64_t hidden, out;
    enum row_norm norm;
    bool last_bias;
    bool last_norm; /* a norm behind the last layer, with these parts and no ReLU */
    unsigned last_parts;
};
int head_mlp(struct graph *graph, int x, const struct mlp *mlp);

#endif
