/* ONNX export of any network (github.com/onnx/onnx: onnx.proto, Operators.md): a walk over the nodes of its graph, each written by
 * its operation's row.  Called by onnx_backbone.c and onnx_task.c. */
#ifndef COVER_ONNX_H
#define COVER_ONNX_H

#include "core/graph/graph.h"

enum { ONNX_OUTPUTS = 8 };

/* What is done to every output behind the graph: it becomes (N, channels) where it is one pixel whatever the image's size; its
 * channels are exclusive classes, or classes each for itself. */
enum onnx_tail { ONNX_FLAT = 1, ONNX_SOFTMAX = 2, ONNX_SIGMOID = 4 };

struct onnx_about { /* a text of the model's metadata */
    const char *key, *value;
};

struct onnx_network {
    const char *name;
    const struct graph *graph;         /* forward alone, over one image, with float32 features; its first input is the image */
    int outputs, output[ONNX_OUTPUTS]; /* tensors of the graph */
    char output_name[ONNX_OUTPUTS][16];
    unsigned tail; /* enum onnx_tail */
    const struct onnx_about *about;
    int abouts;
    const struct parameters *parameters; /* where the values of its parameters are, by name */
    const float *flat;
};

/* Input "image" (N, C, [D,] H, W) float32; N and sizes are free: what one image of the graph's grid is to an output's grid holds for
 * any size.  COVER_ERROR_MISMATCH names a missing or mis-shaped parameter; COVER_ERROR_UNSUPPORTED an operation without a row, or over
 * 2 GB (protobuf's limit). */
cover_status onnx_write(cover_context *context, const char *path, const struct onnx_network *network);
/* Does an operation have a row? */
bool onnx_knows(enum op op);

#endif
