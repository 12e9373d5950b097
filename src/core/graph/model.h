/* A network with its loss, as the engine trains it: parameters, the differentiated graph over one sample, perhaps one in which all
 * samples of a batch meet, and the named terms of the loss.  Filled by method/cover.c and method/supervised.c, trained by train/engine.c. */
#ifndef COVER_MODEL_H
#define COVER_MODEL_H

#include "graph.h"

#include <libcover/figure.h>

enum { MODEL_TERMS = 16, MODEL_LINKS = 8, MODEL_RATES = 2 }; /* most of a model */

/* A figure of each step: weight of the loss or none.  A sample's value of it is the place-th double of a kept result, or of what is
 * known of the sample before it runs (result ABSENT); or a result of the batch graph is the sum over all samples. */
struct loss_term {
    const char *name; /* in the log; a literal */
    int result, place;
    bool of_batch;    /* the result is the batch graph's */
    double offset;    /* the figure is offset + scale * sum / count */
    double scale;     /* 0 = 1 */
    bool whole;       /* of the batch graph: not divided by count */
    double weight;    /* of the figure in the loss; 0: it is only told */
    const char *over; /* the figure that an answer which knows nothing would have, or NULL */
};

/* Rows that leave a sample's graph for the batch graph, and their gradient on its way back.  A kept result of images x pixels x channels
 * of each sample becomes an input of one image with (image, sample, pixel) as its pixels, or of as many images; so a row is a pixel: a linear layer is a
 * convolution 1 wide, a batch norm is norm_act with a channel a group. */
struct link {
    int result;   /* of the sample graph */
    int input;    /* of the batch graph */
    int gradient; /* result of the batch graph of the input's shape, or ABSENT: nothing comes back */
    int back;     /* input of the sample graph, of the result's shape, that takes a sample's part of it; ABSENT with it */
};

/* Parameters whose names begin with `prefix` are updated at a rate of `factor` times that of the others, with a beta1 of their own. */
struct rate {
    const char *prefix;
    double factor, beta1;
};

/* With a batch graph a step has three legs: each sample forward to its rows; the batch graph, whose losses and gradients are sums over
 * all rows, with settings.common.batch samples of all ranks; each sample forward again and backward.  The sum of gradients is that of
 * the whole batch at once, and memory is that of the lanes. */
struct model {
    struct parameters parameters;
    struct graph graph; /* of these parameters, over one sample */
    struct graph batch; /* of the same ones; without links there is none */
    struct link link[MODEL_LINKS];
    int links;
    struct loss_term term[MODEL_TERMS];
    int terms;
    struct rate rate[MODEL_RATES];
    int rates;
};

void model_free(struct model *model);

/* Does training move this parameter? */
bool model_has_gradient(const struct model *model, int parameter);
/* 1 + the place of a parameter's rate; 0: that of the others. */
int model_rate(const struct model *model, int parameter);
/* Does the batch graph give samples a gradient?  Else they are through after one leg, and it has figures alone. */
bool model_comes_back(const struct model *model);
/* Inputs of the sample graph that a sample brings: the first ones, before those of gradients that links bring back. */
int model_inputs(const struct model *model);
/* The tensor of a link at its end in the sample graph, and in the batch graph. */
const struct tensor *link_rows(const struct model *model, const struct link *link);
const struct tensor *link_input(const struct model *model, const struct link *link);
/* COVER_ERROR_INTERNAL unless links and graphs fit together for a batch of `batch`. */
cover_status model_check(const struct model *model, int64_t batch);

/* The figures of a step from the sums of its terms, model->terms of them, and the loss, which is returned.  With nothing counted the
 * sums are not divided. */
double model_figures(const struct model *model, const double *sums, int64_t count, cover_figure *figures);

#endif
