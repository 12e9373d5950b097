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

#endif
