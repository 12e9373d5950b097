/* One case an op of core/graph/ops.def: a graph of that op alone on shapes drawn at random, and what it computes written once more, in
 * plain C and in double.  test_ops.c runs each on every executor and takes differences of the double for the gradients, so ops made by
 * autodiff are tested by the case of the op that they belong to.
 * A new op: a function that draws its graph, a function that computes it, a row in op_cases.c. */
#ifndef COVER_TEST_OP_CASES_H
#define COVER_TEST_OP_CASES_H

#include "core/base/philox.h"
#include "core/graph/graph.h"

enum { SCENE_INPUTS = 10, SCENE_ROWS = 16, SCENE_NORMS = 2 };

/* A graph_input() or a parameter, with its values. */
struct scene_input {
    bool parameter, smooth; /* smooth: the gradient for it is tested */
    int tensor, row;        /* row: of a parameter */
    int images;
    struct grid grid;
    int64_t channels, count; /* count: of all values */
    double *values;          /* as the device gets them: floats, or of bfloat16 */
    int read;                /* the tensor that the op reads: of bfloat16 or normalised, where this is drawn */
    int norm;                /* of the scene, or ABSENT */
};
struct scene_norm {          /* group norm and activation in front of the op */
    int gamma, beta, groups; /* gamma and beta: inputs */
    double slope;
};

struct scene {
    cover_context *context;
    struct random_stream random;
    enum element element; /* of feature maps */
    struct parameters parameters;
    struct graph graph;
    bool frozen[SCENE_ROWS]; /* parameters that only bring features into bfloat16 */
    struct scene_input in[SCENE_INPUTS];
    struct scene_norm norm[SCENE_NORMS];
    int inputs, norms;
    /* of the op */
    int images, kernel, groups, heads, radius;
    struct grid grid, to;
    int64_t channels;
    enum coordinates coordinates;
    double slope, epsilon, scale, temperature, weight[2];
    bool sigmoid;
    double flow; /* what the op multiplies its gradient by */
    bool masked;
    int numbers; /* of a loss: each image has so many, of which the first is differentiated, times scale */
    int y;       /* its first output */
};

struct op_case {
    enum op op;
    void (*build)(struct scene *scene);
    /* y of inputs with these values, in the order in which they were made */
    void (*compute)(const struct scene *scene, double *const *values, double *y);
    double tolerance; /* of float32, by 1 + rms */
    bool float_only;  /* works on floats alone */
};
extern const struct op_case op_cases[];
extern const int op_case_count;

/* Draw a case for a context: sizes and values depend on seed and element alone. */
void scene_begin(struct scene *scene, const struct op_case *op_case, cover_context *context, uint64_t seed, enum element element);
void scene_free(struct scene *scene);
int scene_pick(struct scene *scene, int low, int high);
double scene_uniform(struct scene *scene, double low, double high);
/* A feature map: of the scene's element, normalised by chance where `normalised` allows it.  Returns the input's number. */
int scene_feature(struct scene *scene, const char *name, int images, const struct grid *grid, int64_t channels, bool normalised);
int scene_values(struct scene *scene, const char *name, int images, const struct grid *grid, int64_t channels, double low,
                 double high);
/* x of the scene's shape: the tensor that the op reads. */
int x_of(struct scene *scene, bool normalised);
/* A graph input of whole numbers low .. high; no gradient is wanted for it. */
int whole_numbers(struct scene *scene, const char *name, int64_t channels, int low, int high);
bool toss(struct scene *scene);
/* Linear between the eight pixels around `at`: zero outside the grid, or the border's value where `clamped`. */
double between(const double *image, const struct grid *grid, int64_t channels, int64_t channel, const double at[3], bool clamped);
/* A parameter, or what is held as one. */
int parameter(struct scene *scene, const char *name, int rank, const int64_t *shape, double low, double high);
/* The number of a named input, ABSENT for none. */
int named(const struct scene *scene, const char *name);
/* The values that the op reads from an input, its own or normalised, in fresh memory; the values of a named one, NULL for none. */
double *read_values(const struct scene *scene, double *const *values, int number);
double *values_of(const struct scene *scene, double *const *values, const char *name);

/* An op's build and compute, in op_cases.c or a file beside it. */
#define OP(name, inputs, outputs, optional, normalised, flags, text)                                                               \
    void build_##name(struct scene *scene);                                                                                        \
    void compute_##name(const struct scene *scene, double *const *values, double *y);
#define BACKWARD(name, inputs, outputs, optional, normalised, flags, text)
#define FIGURE OP
#include "core/graph/ops.def"

#endif
