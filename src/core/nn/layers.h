/* Layers under the authors' naming: weights `prefix.weight`, bias `prefix.bias`.  Called by backbones, by VPA and by heads. */
#ifndef COVER_LAYERS_H
#define COVER_LAYERS_H

#include "core/graph/graph.h"

/* A convolution over the channels of x and x2 (or ABSENT); `sums` as in graph_conv().  bias false: no such input, though the
 * parameter is there (who reads the output adds it). */
int layer_conv(struct graph *graph, const char *prefix, int x, int x2, int64_t c_out, int kernel, bool bias,
               enum parameter_init init, enum element element, int *sums);
/* A 1x1 convolution into floats. */
int layer_conv1(struct graph *graph, const char *prefix, int x, int64_t c_out, bool bias, enum parameter_init init);
/* GroupNorm + LeakyReLU(slope); bias: a tensor added before, or ABSENT; sums: as graph_norm_act() has it. */
int layer_norm_act(struct graph *graph, const char *prefix, int x, int bias, int sums, int groups, float slope);

#endif
