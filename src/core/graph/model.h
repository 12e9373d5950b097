/* A network with its loss, as the engine trains it: parameters, the differentiated graph over one sample, and where the terms of
 * the loss lie.  Filled by method/cover.c and method/supervised.c, trained by train/engine.c. */
#ifndef COVER_MODEL_H
#define COVER_MODEL_H

#include "graph.h"

enum { MODEL_TERMS = 2 };

struct loss_term { /* the place-th double of a kept result */
    int result, place;
};

struct model {
    struct parameters parameters;
    struct graph graph; /* of these parameters */
    struct loss_term term[MODEL_TERMS];
};

void model_free(struct model *model);

/* An image that a device draws a pair of views from (views/sevr.h): the pair (seed, step, index). */
struct sample_image {
    const float *pixels; /* channels last, as stored */
    struct grid grid;
    int channels;
    float integer_max;
    uint64_t seed;
    uint32_t step, index;
    int64_t number; /* of the image in its dataset, for messages */
};

/* What a run over one sample reads, and what its sums are later divided by. */
enum { SAMPLE_INPUTS = 4 };
struct sample {
    const struct sample_image *image;  /* NULL, or what stands for all that follows */
    const float *input[SAMPLE_INPUTS]; /* of each graph_input() */
    int64_t count;                     /* COVER: valid pixels; a task: 1 */
    double zero;                       /* COVER: what the zero field would lose; else 0 */
};

#endif
