/* How the samples of a step are run: what engine.c asks of lanes.c, where the host's threads share them, and of resident.c, where a
 * device keeps the whole state and takes them all at once. */
#ifndef COVER_STEPPER_H
#define COVER_STEPPER_H

#include "engine.h"

/* Floats [to, to + count) of the weights that follow those from `from` on. */
struct follow {
    int64_t to, from, count;
};

/* Rows of a link or, where that is ABSENT, of a result of the batch graph, made unit, that overwrite those of a ring in the weights: `count`
 * rows of `width` floats, the first at `place` of the `rows` from `to` on. */
struct push {
    int link, result;
    int64_t to, rows, width, place, count;
};

struct stepper {
    cover_status (*plan)(struct engine *engine); /* choose, and refuse what does not fit; nothing large is allocated */
    struct engine_bytes (*bytes)(const struct engine *engine);
    cover_status (*allocate)(struct engine *engine); /* also engine->weights, m and v, zeros */
    void (*free)(struct engine *engine);             /* of an engine in any state */
    cover_status (*join)(struct engine *engine);     /* engine->share has other ranks; NULL: nothing to do */
    cover_status (*weights_changed)(struct engine *engine);
    cover_status (*fetch)(struct engine *engine);
    cover_status (*step)(struct engine *engine, const struct sample_source *source, struct step_sums *sums);
    double (*square_sum)(struct engine *engine); /* of the last step's gradient */
    cover_status (*update)(struct engine *engine, const struct adam *adam);
    /* All three in one; *norm of the gradient / count.  engine->updates counts the update, if there was one. */
    cover_status (*train)(struct engine *engine, const struct sample_source *source, double lr, struct step_sums *sums,
                          double *norm);
    cover_status (*follow)(struct engine *engine, const struct follow *ranges, int count, float rate);
    cover_status (*rows)(struct engine *engine, int link, float *rows);
    cover_status (*forward)(struct engine *engine, const struct sample_source *source, int result, float *rows);
    cover_status (*push)(struct engine *engine, const struct push *push);
    /* A program of one sample, with arena and gradient in `run`; false: there is none to lend. */
    bool (*lend)(struct engine *engine, struct program **program, struct run *run);
};

extern const struct stepper stepper_lanes, stepper_resident;

uint64_t engine_sample_bytes(const struct engine *engine); /* inputs of one sample */
void engine_set_inputs(struct run *run, const struct model *model, const struct sample *sample);
/* Memory for the gradients that links bring back to a sample, zeros, as inputs of the run; freed one by one. */
cover_status engine_back_inputs(float *back[MODEL_LINKS], struct run *run, const struct engine *engine);
struct adam engine_adam(const struct engine *engine, int64_t count, double lr); /* of the next update, not clipped */
bool step_counts(const struct step_sums *sums, double norm);                    /* is there something to update from? */
double tree_sum(const double *values, int64_t lo, int64_t hi);                  /* as gradients are added */

#endif
