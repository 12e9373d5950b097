/* A prepared graph on a GPU: where its tensors lie for `samples` samples at once, and its convolutions.  Made by executor.c, read by
 * the rows of ops_*.c and by training.c. */
#ifndef COVER_CUDA_PROGRAM_H
#define COVER_CUDA_PROGRAM_H

#include "conv.h"
#include "core/graph/executor.h"

struct prepared_conv { /* one for each (weights, grid, images) */
    int row;           /* of the weights */
    struct cuda_conv_shape shape;
    struct cuda_conv *conv;
    size_t packed_offset;
};

struct program {
    cover_context *context;
    struct device *device;
    const struct graph *graph;
    int samples;
    struct plan plan;
    struct prepared_conv *convs;
    int conv_count, *conv_of_node; /* ABSENT for other nodes */
    size_t packed_bytes;
    char *packed;      /* weights in cuDNN's order, in device memory */
    float *parameters; /* the device's copy, for runs that bring theirs from the host; NULL before the first */
};

/* Device memory of one run.  Inputs are (images, samples, pixels, channels), as every tensor. */
struct lane {
    char *arena;
    float *input[RUN_INPUTS];
    const float *parameters; /* flat */
    float *gradient;         /* flat */
};

/* One op over all images and samples: what its row works on. */
struct call {
    const struct program *program;
    const struct graph *graph;
    const struct node *node;
    const struct lane *lane;
    cuda_stream stream;
    const struct cuda_conv *conv; /* of a convolution */
    const char *packed;
    void *workspace; /* op_cuda.workspace bytes, a multiple of 256 */
};
struct op_cuda {
    cover_status (*run)(const struct call *call);
    size_t (*workspace)(const struct program *program, const struct node *node, int index);
};
#define OP(name, inputs, outputs, optional, normalised, flags, text) extern const struct op_cuda cuda_op_##name;
#include "core/graph/ops.def"
extern const struct op_cuda *const cuda_ops[OP_COUNT];

extern const struct executor executor_cuda;

/* ---- program.c */
cover_status program_create_for(struct program **program, struct device *device, const struct graph *graph, int64_t samples);
void program_free(struct program *program); /* takes NULL */
void *program_address(const struct program *program, const struct lane *lane, int tensor);
/* Weights into cuDNN's order, on the stream; program->packed must be there. */
cover_status program_pack_on(const struct program *program, cuda_stream stream, const float *parameters);
/* Start one node on the stream. */
cover_status program_start_node(const struct program *program, const struct lane *lane, cuda_stream stream, int node);

#endif
