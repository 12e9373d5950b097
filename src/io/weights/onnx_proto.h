/* ONNX files by hand: protobuf's wire format (protobuf.dev, "Encoding") and the messages of onnx.proto3 that a network needs.  A node
 * is begun, given inputs and attributes, and ended; weights are written straight from the flat buffer.  Called by onnx.c. */
#ifndef COVER_ONNX_PROTO_H
#define COVER_ONNX_PROTO_H

#include "core/graph/parameters.h"

enum { ONNX_FLOAT = 1, ONNX_INT64 = 7 }; /* data types of constants */

struct onnx_file {
    cover_context *context;
    const struct parameters *parameters; /* what the file can hold */
    const float *flat;
    struct text graph, node; /* fields of GraphProto so far; the node at work */
    struct text properties;  /* fields of ModelProto: what the file says of itself */
    bool *used;              /* a parameter each; their values stay out of memory */
    cover_status status;     /* first error; what follows is without effect */
};

cover_status onnx_begin(struct onnx_file *file, cover_context *context, const struct parameters *parameters, const float *flat,
                        const char *name);
/* Write all that was added; name: of the operator set's user in error texts, the path. */
cover_status onnx_end(struct onnx_file *file, const char *path);
void onnx_free(struct onnx_file *file);

/* A node is named after its first output. */
void onnx_node_begin(struct onnx_file *file, const char *operator, const char * output);
void onnx_node_input(struct onnx_file *file, const char *name); /* "" = an optional input that is absent */
/* The next input is a parameter, which must be there in this shape.  COVER_ERROR_MISMATCH names it otherwise. */
void onnx_node_parameter(struct onnx_file *file, const struct parameter *row);
void onnx_node_float(struct onnx_file *file, const char *name, float value);
void onnx_node_integer(struct onnx_file *file, const char *name, int64_t value);
void onnx_node_integers(struct onnx_file *file, const char *name, int64_t value, int count); /* the same `count` times */
void onnx_node_string(struct onnx_file *file, const char *name, const char *value);
void onnx_node_end(struct onnx_file *file);

/* A text by name among the model's metadata. */
void onnx_property(struct onnx_file *file, const char *key, const char *value);

/* A constant of rank 1, stored in the graph. */
void onnx_constant(struct onnx_file *file, const char *name, int type, int64_t count, const void *data, size_t bytes);
/* An input or output (N, channels, sizes): float32, N free; size[i] NULL = 1, else a name. */
void onnx_value(struct onnx_file *file, bool output, const char *name, int64_t channels, int dims, const char *const *size);

#endif
