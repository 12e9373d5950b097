/* Inside of the CPU executor: a prepared program, one node at work, and the table of ops.  executor.c prepares and runs,
 * the files ops_*.c have one row an op. */
#ifndef COVER_CPU_PROGRAM_H
#define COVER_CPU_PROGRAM_H

#include "conv.h"
#include "core/graph/executor.h"
#include "kernels.h"

struct prepared_conv { /* shared by the forward and backward nodes of one layer: core/graph/convs.h */
    struct conv *conv;
    struct conv_shape shape;
    int row; /* of its weights */
    size_t packed_offset;
};

struct program {
    cover_context *context;
    const struct graph *graph;
    const struct kernels *kernels[2]; /* of each element of feature maps */
    struct plan plan;
    int team;
    struct prepared_conv *convs;
    int conv_count;
    int *conv_of_node;
    size_t *unit_bytes;    /* workspace of each node for one unit at work */
    size_t *result_offset; /* of each result, in the arena */
    char *packed;
    size_t packed_bytes;
    char *pack_scratch;
    size_t pack_scratch_bytes; /* a thread */
    atomic_int next;           /* conv being created or packed */
    const float *parameters;   /* being packed */
    pthread_mutex_t error_lock;
    cover_status status;
    char error[1024];
};

/* One node at work. */
struct call {
    const struct program *program;
    const struct graph *graph;
    const struct node *node;
    const struct kernels *kernels; /* of the element of its features: its first input's, of a gradient its first output's */
    struct run *run;
    const struct conv *conv;
    const char *packed;
    char *unit_scratch; /* of all units at work, unit_bytes each */
    size_t unit_bytes;
    char *scratch; /* of this unit */
    char *shared;  /* of all units */
    int slab, slabs;
};

struct op_cpu {
    /* A unit of work is a slab of an image: `slabs` says into how many an image is cut, by its shape alone, where a result
     * depends on that (0: there is nothing to run); elsewhere `any_slabs` allows any number; with neither the unit is the
     * image. */
    bool any_slabs;
    int (*slabs)(const struct program *program, const struct node *node, int index);
    cover_status (*run)(const struct call *call, int image);
    /* after all units, on one thread; NULL = nothing to do */
    void (*finish)(const struct call *call);
    /* after that, a second pass over the images, in any number of slabs; NULL = there is none */
    cover_status (*again)(const struct call *call, int image);
    size_t (*unit_bytes)(const struct program *program, const struct node *node, int index);
    size_t (*shared_bytes)(const struct program *program, const struct node *node);
};

#define OP(name, inputs, outputs, optional, normalised, flags, text) extern const struct op_cpu cpu_op_##name;
#include "core/graph/ops.def"
extern const struct op_cpu *const cpu_ops[OP_COUNT];

/* Slabs of each image of a node, for a team of so many. */
int program_slabs(const struct program *program, int node, int team);

/* Memory of one image of a tensor (a vector or parameter: of the whole), for the lane at work; NULL for ABSENT.  Of a
 * normalised tensor: what it is read from. */
void *call_address(const struct call *call, int tensor, int image);

#endif
