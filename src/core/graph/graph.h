/* The graph: a model described once as a list of operations over tensors, in the order in which they run.
 * Built by nn/ and method/, differentiated here, planned by plan.c, run by an executor.  Knows base/ alone. */
#ifndef COVER_GRAPH_H
#define COVER_GRAPH_H

#include "core/base/base.h"
#include "core/base/element.h"
#include "core/base/grid.h"
#include "parameters.h"

enum op {
#define OP(name, inputs, outputs, optional, normalised, flags, text) OP_##name,
#include "ops.def"
    OP_COUNT
};
enum { OP_CHEAP = 1, OP_GRADIENT = 2, OP_IN_PLACE = 4, OP_NORMALISES = 8, OP_FIGURE = 16 };
enum { NODE_INPUTS = 6, NODE_OUTPUTS = 4, ABSENT = -1 };
enum { GRAPH_INPUTS = 16 }; /* most of a graph */

struct op_row {
    const char *name, *text;
    int inputs, outputs;
    unsigned optional, normalised, flags;
};
extern const struct op_row op_rows[OP_COUNT];

/* Names of tensors are for messages and tables alone: a long one is cut. */
enum { GRAPH_NAME_BYTES = 160 };

enum storage {
    STORAGE_ARENA,          /* lives in the lane's arena between its first writer and its last reader */
    STORAGE_INPUT,          /* given at each run: index says which */
    STORAGE_PARAMETER,      /* in the flat parameter buffer: index is the parameter's row */
    STORAGE_PARAMETER_GRAD, /* in the lane's flat gradient buffer, same layout */
    STORAGE_RESULT,         /* kept to the end of the run, readable by the caller: index says which */
    STORAGE_NORMALISED      /* nowhere: what norm_act gives is its input, normalised by whoever reads it */
};

/* images x grid x channels, channels last.  A view is some whole images of its parent.  A normalised tensor is read as
 * leaky(raw * scale + offset) with the scale, then the offset, of each channel in `coefficients`, an image a row. */
struct tensor {
    char name[GRAPH_NAME_BYTES];
    int images;
    struct grid grid;
    int64_t channels;
    enum element element;
    enum storage storage;
    int index;
    int parent, first_image; /* parent ABSENT: owns its memory */
    int producer;            /* node that wrote it first, ABSENT for inputs and parameters */
    int raw, coefficients;   /* of a normalised tensor */
    float slope;
    int written, written_used; /* the copy that norm_apply wrote of it, or ABSENT; the node that last used that */
    bool shared_gradient;      /* is the gradient of two tensors, so nothing may be added to it in place */
    bool held;                 /* a use of a parameter into which no gradient flows, whatever its row */
};

/* Of a node, what its inputs do not tell. */
struct conv_attributes {
    int kernel;
    int row;        /* conv_grad_weights: of the weights */
    int64_t second; /* conv_grad_data: channels of dx2 */
};
struct norm_attributes { /* slope of the activation, 1 = none */
    int groups;
    float epsilon, slope;
};
struct mov_attributes {
    int heads, radius;
};
struct softmax_attributes { /* weights are of the gradient; smooth: what smooths the sums of Dice */
    float ce_weight, dice_weight, smooth;
};
struct cells_attributes { /* of what compares rows, which are cells of images; dense.h says which op reads what */
    float temperature, weight, threshold, attention, similarity;
    int count, cell;
    bool turned;
};
struct regress_attributes { /* weight: of the gradient alone */
    float weight, temperature;
    int window; /* pixels along an axis, odd */
};
struct attributes {
    struct grid grid;     /* of the output: resize, affine_field, gradients of resize, poolings and region_blocks */
    enum element element; /* of the output: conv and its data gradient */
    bool skip_output[2];  /* outputs that nobody wants */
    union {               /* the op's own */
        struct conv_attributes conv;
        struct norm_attributes norm;
        struct mov_attributes mov;
        struct softmax_attributes softmax;
        struct cells_attributes cells;
        struct regress_attributes regress;
        float scale;                  /* resize_corners; of the gradient: hold */
        int images;                   /* of the output: rows */
        float temperature;            /* nt_xent */
        float slope;                  /* leaky */
        bool sigmoid;                 /* image_loss */
        enum coordinates coordinates; /* warp, inside_mask */
    };
};

struct node {
    enum op op;
    int input[NODE_INPUTS], output[NODE_OUTPUTS];
    struct attributes attributes;
};

struct graph {
    cover_context *context;
    struct parameters *parameters; /* of the network, not owned */
    struct tensor *tensors;
    struct node *nodes;
    int tensor_count, tensor_capacity, node_count, node_capacity;
    int inputs, results;          /* how many there are of each */
    int forward_nodes;            /* nodes before graph_differentiate() added its own */
    enum element features;        /* of feature maps and their gradients, as layers make them */
    const char *prefix;           /* put before the names of parameters: "twin.", or NULL */
    bool hold;                    /* uses of parameters are held */
    char scope[GRAPH_NAME_BYTES]; /* put before the names of what is built next */
    cover_status status;          /* first error; building goes on as no-ops and graph_finish() reports it */
};

void graph_begin(struct graph *graph, cover_context *context, struct parameters *parameters);
void graph_free(struct graph *graph);
/* The first error of all that was built. */
cover_status graph_finish(const struct graph *graph);

/* Put this before the names of what is built next. */
void graph_scope(struct graph *graph, const char *name);
/* What is built until it is called with NULL has held parameters of its own, named prefix + name: a twin of what is built without.
 * The prefix is a literal. */
void graph_twin(struct graph *graph, const char *prefix);

/* ---- building: each returns a tensor, ABSENT after an error */
int graph_input(struct graph *graph, const char *name, int images, const struct grid *grid, int64_t channels);
int graph_parameter(struct graph *graph, const char *name, int rank, const int64_t *shape, int64_t fan_in,
                    enum parameter_init init);
int graph_image(struct graph *graph, int tensor, int image); /* a view of one image */
/* A tensor as floats that are written: itself, or widened. */
int graph_floats(struct graph *graph, int x);
/* Keep a tensor to the end, as floats; returns the result's index. */
int graph_result(struct graph *graph, int tensor);
/* Add a node of any op; outputs are made by its shape rule. */
bool graph_node(struct graph *graph, enum op op, const int *inputs, const struct attributes *attributes, int *outputs);
/* The same for its first output; what follows names the ops and their attributes. */
int graph_op(struct graph *graph, enum op op, const int *inputs, struct attributes attributes);

/* Over the channels of x and, unless it is ABSENT, x2; y is of `element`.  sums: NULL, or where the tensor goes that
 * graph_norm_act() can take its statistics from. */
int graph_conv(struct graph *graph, int x, int x2, int weights, int bias, int kernel, enum element element, int *sums);
/* sums: of the convolution that made x, or ABSENT */
int graph_norm_act(struct graph *graph, int x, int gamma, int beta, int bias, int sums, struct norm_attributes norm);
int graph_max_pool2(struct graph *graph, int x);
int graph_upsample(struct graph *graph, int x);
int graph_resize_corners(struct graph *graph, int x, const struct grid *grid, float scale);
int graph_warp(struct graph *graph, int source, int field, enum coordinates coordinates);
int graph_mov(struct graph *graph, int query, int key, int heads, int radius);
int graph_vector_loss(struct graph *graph, int prediction, int truth, int mask);
int graph_cosine_loss(struct graph *graph, int a, int b, int mask);
/* Losses of segmentation and classification, an image a row: cpu/kernels.def has the formulas.  target: one channel, the class;
 * of the sigmoid loss a channel a class, 0 or 1; negative = not known.  class_weights: an input of one image, one pixel and
 * a channel a class, or ABSENT for ones.  The gradient of the softmax loss is that of ce_weight * cross-entropy +
 * dice_weight * Dice loss. */
int graph_softmax_loss(struct graph *graph, int logits, int target, int class_weights, float ce_weight, float dice_weight);
int graph_sigmoid_loss(struct graph *graph, int logits, int target, int class_weights);
int graph_class_right(struct graph *graph, int logits, int target); /* how many pixels of an image are answered with their class */
int graph_global_pool(struct graph *graph, int x);                  /* mean over pixels: a grid of one pixel */
int graph_add(struct graph *graph, int a, int b);

/* What graph_differentiate() is asked: outputs with the gradient that flows into each, tensors whose gradient is wanted
 * beside the parameters'. */
enum { DERIVATIVES = 8 };
struct derivative {
    int outputs, wants;
    int output[DERIVATIVES],
        gradient[DERIVATIVES]; /* gradient: a tensor of the output's shape; of a loss the loss itself, meaning 1 */
    int want[DERIVATIVES];
    int want_gradient[DERIVATIVES]; /* filled in: ABSENT where nothing flows */
    const bool *frozen;             /* a parameter row each: those whose gradient nobody wants; NULL = none */
};
/* Add the nodes that compute the gradient of every trained parameter in the graph that is not frozen and of the wanted tensors;
 * below the last of them backward stops.  Losses of pairs are sums over pixels; their gradients are unscaled too. */
void graph_differentiate(struct graph *graph, struct derivative *derivative);
/* Does parameter row have a gradient here? */
bool graph_has_gradient(const struct graph *graph, int parameter);

/* ---- facts */
enum { CONV_SUMS_MAX = 8 }; /* parts of an image, at most, whose sums a convolution gives: (parts, 2, channels) */
/* The input, parameter or result of this number that is no view; NULL: there is none. */
const struct tensor *graph_tensor(const struct graph *graph, enum storage storage, int index);
/* Where the values of a tensor lie: itself, or what a normalised one is read from. */
int graph_stored(const struct graph *graph, int tensor);
int64_t tensor_elements(const struct tensor *tensor); /* all images */
size_t tensor_bytes(const struct tensor *tensor);
/* Is all of a node's output written by every executor?  Not the sums of a convolution, which has a place for more parts than there are. */
bool node_writes(const struct node *node, int output);
double node_flops(const struct graph *graph, const struct node *node);
/* The row of a convolution's weights, in its passes too; ABSENT for other ops. */
int node_weights(const struct graph *graph, const struct node *node);

#endif
