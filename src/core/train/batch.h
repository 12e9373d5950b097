/* The batch graph of a model (graph/model.h) on the host: rows of all samples of all ranks go in, their gradient comes out.  Called by
 * lanes.c. */
#ifndef COVER_BATCH_H
#define COVER_BATCH_H

#include "engine.h"

struct batch_pass {
    struct program *program;  /* NULL: the model has no batch graph */
    struct run run;           /* its gradient is a flat buffer of its own */
    float *rows[MODEL_LINKS]; /* of the whole batch: (image, sample, pixel, channel) */
    bool *moves;              /* a parameter row each: it has a gradient here */
    int team;
};

/* Prepare the graph, nothing large; what it will take. */
cover_status batch_pass_plan(struct batch_pass *pass, const struct engine *engine);
uint64_t batch_pass_bytes(const struct batch_pass *pass, const struct engine *engine);
cover_status batch_pass_allocate(struct batch_pass *pass, const struct engine *engine);
void batch_pass_free(struct batch_pass *pass, const struct engine *engine);
/* Take over changed weights. */
cover_status batch_pass_weights(struct batch_pass *pass, const struct engine *engine);

/* The rows of sample `index` of this rank's, from a run that has come through forward.  From any thread. */
void batch_pass_take(struct batch_pass *pass, const struct engine *engine, const struct run *run, int64_t index);
/* All ranks' rows, and the graph over them; then terms, the rows' gradient and the parameters' are there. */
cover_status batch_pass_run(struct batch_pass *pass, const struct engine *engine);
/* The gradient of a sample's rows, link by link into back[]. */
void batch_pass_give(const struct batch_pass *pass, const struct engine *engine, float *const *back, int64_t index);
double batch_pass_term(const struct batch_pass *pass, const struct engine *engine, const struct loss_term *term);
/* Before a step: a buffer of the lanes' that has an earlier step's sum has no part of this graph's left. */
void batch_pass_clear(const struct batch_pass *pass, const struct engine *engine);
/* The graph's part of the parameters' gradient to engine->gradient, once that is the sum over all ranks. */
void batch_pass_add(const struct batch_pass *pass, const struct engine *engine);

#endif
