/* Prefetch: threads that draw samples ahead of the engine, in the order of (step, index).  What a sample looks like depends on its
 * number alone, so nothing depends on how far ahead they are. */
#ifndef COVER_PREFETCH_H
#define COVER_PREFETCH_H

#include "engine.h"

/* How samples are made: an objective's row says it of pretraining, cases.h of tasks. */
struct sample_maker {
    int64_t floats; /* memory of one sample */
    /* Scratch memory of one thread. */
    cover_status (*worker_create)(void **worker, const struct sample_maker *maker);
    void (*worker_destroy)(void *worker); /* takes NULL */
    /* Sample `number` since step 0.  The sample's inputs lie in `memory`. */
    cover_status (*draw)(const struct sample_maker *maker, void *worker, struct sample *sample, float *memory, int64_t number);
    /* The same for a device that draws views itself (engine_draws()), or NULL: the image alone, in `memory` of image_floats. */
    cover_status (*read)(const struct sample_maker *maker, struct sample_image *image, float *memory, int64_t number);
    int64_t image_floats;
};

struct prefetch;

/* Starts with the first sample of first_step (0-based) that is the engine's; none of step `end` or later is drawn.  Engine and maker
 * must live as long. */
cover_status prefetch_create(struct prefetch **prefetch, const struct engine *engine, const struct sample_maker *maker,
                             int64_t first_step, int64_t end);
void prefetch_destroy(struct prefetch *prefetch); /* takes NULL */

/* The samples of one step; steps must be asked for in order, and each sample of a step taken once. */
struct sample_source prefetch_source(struct prefetch *prefetch, int64_t step);
/* One step of the engine (engine_train()).  After an error *prefetch is gone: some samples of the step were taken, and the next try
 * draws them again. */
cover_status prefetch_step(struct prefetch **prefetch, struct engine *engine, int64_t step, double lr, struct step_sums *sums,
                           double *norm);
/* A sum of that step went bad: run its samples again one by one, looking at every tensor, and name the first that is not finite.
 * `what`: a sample in messages, "pair".  *prefetch is gone afterwards. */
cover_status prefetch_diagnose(struct prefetch **prefetch, struct engine *engine, int64_t step, const char *what);
/* Draw any sample of a whole batch again, here and now; valid until the next redraw.  For diagnosis and for pictures. */
cover_status prefetch_redraw(struct prefetch *prefetch, int64_t step, int64_t index, const struct sample **sample);

#endif
