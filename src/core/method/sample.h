/* A sample: what a run of a model over one view pair, or one labelled image, reads.  Made by pairs.c in objective/ and cases.c in train/, taken by the
 * engine and by devices that train. */
#ifndef COVER_SAMPLE_H
#define COVER_SAMPLE_H

#include "core/graph/model.h"

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
enum { SAMPLE_INPUTS = GRAPH_INPUTS, SAMPLE_KNOWN = MODEL_TERMS };
struct sample {
    const struct sample_image *image;  /* NULL, or what stands for all that follows */
    const float *input[SAMPLE_INPUTS]; /* of each graph_input() */
    int64_t count;                     /* COVER: valid pixels; a task: 1 */
    double known[SAMPLE_KNOWN];        /* terms that need no run, by their place (struct loss_term) */
};

#endif
