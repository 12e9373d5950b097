/* The state of training on a GPU, for training.c (its life), training_samples.c (what comes in), training_step.c (a step) and
 * training_batch.c (samples that meet). */
#ifndef COVER_CUDA_TRAINING_STATE_H
#define COVER_CUDA_TRAINING_STATE_H

#include "core/train/device.h"
#include "program.h"
#include "reduction.h"
#include "sevr.h"

#include <cuda_runtime_api.h>

/* Behind the flat gradient: a mark a term, 0 or NaN, that goes with it through reduction and norm. */
enum { GRADIENT_MARKS = 16 };
_Static_assert((int)GRADIENT_MARKS >= (int)MODEL_TERMS, "a mark a term");

struct range { /* of the flat buffers, in floats */
    int64_t first, count;
    int rate; /* of the model */
};

/* The batch graph: a program of one sample, with an arena, inputs and a gradient of its own. */
struct batch_part {
    struct program *program; /* NULL: the model has none */
    struct lane lane;
    int64_t samples, first; /* of all ranks; those here begin with */
    struct range *moved;    /* parameters that it gives a gradient */
    int moved_count;
};

/* What comes back after a step, in page-locked memory of the host. */
struct outcome {
    double square_sum;
    double terms[]; /* of each term's result: (samples, channels), one of the batch graph: (channels) */
};

struct training_state {
    cover_context *context;
    struct device *device;
    const struct model *model;
    int64_t samples, trained_floats;
    struct program *program;
    struct lane lane[TRAINING_SLOTS]; /* one arena and gradient, inputs of their own */
    float *staging[TRAINING_SLOTS];   /* page-locked: the inputs as they will lie in device memory */
    size_t input_offset[RUN_INPUTS], input_bytes, outcome_bytes, term_offset[MODEL_TERMS];
    float *weights, *m, *v, *gradient; /* device; GRADIENT_MARKS behind the gradient */
    struct range *trained;             /* parameters with a gradient, joined where they touch */
    int trained_count;
    double *square_sum;                       /* device */
    void *square_workspace;                   /* device */
    struct cuda_update *update, *update_host; /* one a rate: device; page-locked */
    struct outcome *outcome;                  /* page-locked */
    cudaEvent_t copied[TRAINING_SLOTS], finished;
    cudaGraphExec_t graph[TRAINING_SLOTS]; /* NULL: not captured */
    bool no_graph;                         /* capturing failed once */
    int64_t steps;
    struct reduction *reduction; /* over ranks, or NULL */
    struct batch_part batch;
    /* where views are drawn here: an image and scratch memory, which draws take in turn, and what pairs count */
    const struct settings *settings;
    float *image;
    void *scratch;
    size_t image_bytes, scratch_bytes;
    struct cuda_view_sums *view_sums, *view_sums_host[TRAINING_SLOTS]; /* of each sample: device; page-locked */
    int64_t *numbers[TRAINING_SLOTS];                                  /* of the images in their dataset */
};

/* The parameters that a graph gives a gradient, joined where they touch; NULL: any graph of the model. */
cover_status find_ranges(struct range **ranges, int *count, struct training_state *state, const struct graph *graph);

/* ---- training_batch.c; nothing happens where the model has no batch graph */
cover_status batch_plan(struct training_state *state);
uint64_t batch_bytes(const struct training_state *state);
cover_status batch_allocate(struct training_state *state); /* behind the weights */
void batch_free(struct training_state *state);
/* Behind the forward pass: rows of all ranks, the batch graph, and the rows' gradient into the lane's inputs. */
cover_status batch_start(struct training_state *state, const struct lane *lane);
/* Its part of the gradient, behind the sum over ranks. */
cover_status batch_add(struct training_state *state);
cover_status cuda_training_follow(struct training_state *state, int64_t to, int64_t from, int64_t count, float rate);
cover_status cuda_training_push(struct training_state *state, const struct push *push);
cover_status cuda_training_rows(struct training_state *state, int link, float *rows);

/* ---- training_samples.c, training_step.c: entries of struct training */
cover_status cuda_training_sample(struct training_state *state, int slot, int64_t index, const struct sample *sample);
cover_status cuda_training_counts(struct training_state *state, int slot, int64_t samples, int64_t *count,
                                  double known[SAMPLE_KNOWN]);
cover_status cuda_training_start(struct training_state *state, int slot, const struct training_step *step);
cover_status cuda_training_finish(struct training_state *state, struct training_step *step);
cover_status cuda_training_forward(struct training_state *state, int slot, int result, float *rows);
cover_status cuda_training_update(struct training_state *state, const struct adam *adam);

#endif
