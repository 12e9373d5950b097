/* A network with its loss, as the engine trains it: parameters, the differentiated graph over one sample, and the named terms of the
 * loss.  Filled by method/cover.c and method/supervised.c, trained by train/engine.c. */
#ifndef COVER_MODEL_H
#define COVER_MODEL_H

#include "graph.h"

#include <libcover/figure.h>

enum { MODEL_TERMS = 16 }; /* most of a model */

/* A figure of each step: weight of the loss or none.  A sample's value of it is the place-th double of a kept result, or of what is
 * known of the sample before it runs (result ABSENT). */
struct loss_term {
    const char *name; /* in the log; a literal */
    int result, place;
    double offset;    /* the figure is offset + sum / count */
    double weight;    /* of the figure in the loss; 0: it is only told */
    const char *over; /* the figure that an answer which knows nothing would have, or NULL */
};

struct model {
    struct parameters parameters;
    struct graph graph; /* of these parameters */
    struct loss_term term[MODEL_TERMS];
    int terms;
};

void model_free(struct model *model);

/* The figures of a step from the sums of its terms, model->terms of them, and the loss, which is returned.  With nothing counted the
 * sums are not divided. */
double model_figures(const struct model *model, const double *sums, int64_t count, cover_figure *figures);

#endif
