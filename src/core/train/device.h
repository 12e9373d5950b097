/* A device that keeps the whole state of training (weights, gradient, moments) in its own memory and takes all samples of a step, forward
 * and backward, in one run: what resident.c asks of it.  Called through executor->training. */
#ifndef COVER_TRAINING_H
#define COVER_TRAINING_H

#include "core/base/communicator.h"
#include "engine.h"

struct training_step {
    const struct adam *adam;   /* the update that follows, NULL = none; its scale is 1 / count */
    double clip;               /* of the norm, 0 = none */
    bool only_convolutions;    /* for measuring: these and nothing else */
    double *term[MODEL_TERMS]; /* filled in by finish(): of each sample, where the term is a result; of the batch graph [0] */
    double square_sum; /* filled in by finish(): of the gradient, over all ranks; not finite if a term or the gradient is not */
};

enum { TRAINING_SLOTS = 2 }; /* places for the samples of a step: one is filled while the device works on the other */

struct training_state;
struct push;

struct training {
    /* Plan for `samples` samples a step: nothing large is allocated. */
    cover_status (*create)(struct training_state **state, cover_context *context, const struct model *model,
                           const struct settings *settings, int64_t samples);
    bool draws_views;                                                 /* of a pair, itself: a struct sample may be an image */
    void (*destroy)(struct training_state *state);                    /* takes NULL */
    struct engine_bytes (*bytes)(const struct training_state *state); /* of device memory; one lane */
    cover_status (*allocate)(struct training_state *state);
    /* Train together with other ranks: gradients are sums over all of them, samples here are the batch's from `first` on.
     * COVER_ERROR_RANK when one is lost. */
    cover_status (*join)(struct training_state *state, struct communicator *communicator, int64_t first);
    /* The flat buffers, from and to the host; read: NULL = not wanted. */
    cover_status (*write)(struct training_state *state, const float *weights, const float *m, const float *v);
    cover_status (*read)(struct training_state *state, float *weights, float *m, float *v, float *gradient);
    /* Sample `index` of the step that will run from this slot; free to change when this returns. */
    cover_status (*sample)(struct training_state *state, int slot, int64_t index, const struct sample *sample);
    /* What the first `samples` of the slot count and what is known of them, sums, where they were given as images; waits until their views are drawn.
     * COVER_ERROR_NUMERIC: an image has a value that is not finite. */
    cover_status (*counts)(struct training_state *state, int slot, int64_t samples, int64_t *count, double known[SAMPLE_KNOWN]);
    /* Start a step and return at once; wait for it.  Nothing is updated where square_sum is not finite. */
    cover_status (*start)(struct training_state *state, int slot, const struct training_step *step);
    cover_status (*finish)(struct training_state *state, struct training_step *step);
    /* The update alone, from the gradient of the last step. */
    cover_status (*update)(struct training_state *state, const struct adam *adam);
    /* Floats [to, to + count) of the weights move by `rate` of the way to those from `from` on; the rows of a link of the last step. */
    cover_status (*follow)(struct training_state *state, int64_t to, int64_t from, int64_t count, float rate);
    cover_status (*rows)(struct training_state *state, int link, float *rows);
    /* The forward pass alone, of the samples in a slot; a result of one image that the graph keeps, of all of them. */
    cover_status (*forward)(struct training_state *state, int slot, int result, float *rows);
    cover_status (*push)(struct training_state *state, const struct push *push); /* stepper.h */
};

#endif
