/* The parameters of a network: one table of names and shapes over one flat float buffer.  Names are those of the authors'
 * checkpoints.  The graph, the optimiser, weight files and checkpoints all go by this table. */
#ifndef COVER_PARAMETERS_H
#define COVER_PARAMETERS_H

#include "core/base/base.h"

/* How a fresh network fills a parameter (method.md of the docs: "Initialisation"). */
enum parameter_init {
    INIT_ZERO,
    INIT_ONE,
    INIT_KAIMING_NORMAL, /* normal, sigma sqrt(2 / fan_in), gain sqrt 2 */
    INIT_UNIFORM_FAN     /* uniform in +-1 / sqrt(fan_in): PyTorch's default for convolutions and their biases */
};

enum { PARAMETER_ALIGNMENT = 16 };   /* floats: each parameter starts on a cache line */
enum { PARAMETER_NAME_BYTES = 128 }; /* with the end; published names have up to 80 characters */

struct parameter {
    char name[PARAMETER_NAME_BYTES];
    int rank;
    int64_t shape[5];
    int64_t count;  /* elements */
    int64_t offset; /* into the flat buffer, in floats, a multiple of PARAMETER_ALIGNMENT */
    int64_t fan_in; /* inputs of one output of its layer */
    enum parameter_init init;
    bool held;
};

struct parameters {
    cover_context *context;
    struct parameter *rows;
    int count, capacity;
    int64_t floats; /* of the flat buffer, padding included (padding stays zero) */
    int64_t total;  /* parameters without padding */
    /* Held rows lie behind those that training moves: they have neither a gradient nor moments, so those buffers are `trained` floats.
     * Rows are held that are added while `hold` is set; the trained ones come first, unless this is a draft, in which a builder may add
     * them as it meets them and which parameters_order() then puts in order, for the builder's second time. */
    bool hold, draft;
    int64_t trained;
};

/* Is this row one that training moves? */
bool parameter_trained(const struct parameters *parameters, int row);

/* Row of a name, -1 when there is none. */
int parameters_find(const struct parameters *parameters, const char *name);
/* Add a row and return it through *row; a name that is there must have the same shape.  Too long a name is refused, not cut. */
cover_status parameters_add(struct parameters *parameters, const char *name, int rank, const int64_t *shape, int64_t fan_in,
                            enum parameter_init init, int *row);
/* A draft becomes a table: held rows go behind, both kinds in the order in which they were added.  Graphs over the draft are of no use. */
cover_status parameters_order(struct parameters *parameters);
void parameters_free(struct parameters *parameters);
/* Fresh values, drawn by Philox from (seed, row, element). */
void parameters_initialise(const struct parameters *parameters, float *flat, uint64_t seed);

#endif
