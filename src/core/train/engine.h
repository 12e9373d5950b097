/* The engine takes a batch of pairs through forward, backward and one Adam update (design: The life of a step).
 * Lanes take pairs in turn; gradients are added in a fixed binary tree over the pair index, so the result depends on
 * neither lanes nor threads.  Called by the trainer, by bench and by golden_check. */
#ifndef COVER_ENGINE_H
#define COVER_ENGINE_H

#include "../graph/executor.h"
#include "../method/objective.h"
#include "../method/sevr.h"

/* Where pairs come from.  take() is called on threads of ours, for each pair of a step once, in rising order, and may wait. */
struct pair_source {
    cover_status (*take)(void *user, int64_t pair, const struct view_pair **views);
    void (*give_back)(void *user, int64_t pair, const struct view_pair *views);
    void *user;
};

struct step_sums { /* over all pairs of the step */
    double vector, cosine, zero; /* sum |truth - field|, MINUS sum of cosines, sum |truth| */
    int64_t valid;               /* valid pixels, M */
};

struct engine_bytes {
    uint64_t weights, gradients, optimiser, arena_per_lane, packed, pairs, total;
    int lanes;
};

struct engine {
    cover_context *context;
    const struct executor *executor;
    struct settings settings;
    struct parameters parameters;
    struct objective objective;
    struct program *program;
    struct grid grid;
    int64_t batch;
    int lanes, team;
    float *weights, *m, *v; /* flat, parameters.floats each */
    int64_t updates;        /* t of Adam */
    uint64_t only_ops;      /* for measuring: bits of ops that steps run; 0 = all */
    float *gradient;        /* of the last step, unscaled sum over pairs; belongs to the engine */
    bool *has_gradient;     /* of each parameter row */
    struct step_state *state;
};

/* Plan for batches of `batch` pairs of `grid`: everything that can be refused is refused here, nothing large is allocated. */
cover_status engine_plan(struct engine **engine, cover_context *context, const struct settings *settings,
                         const struct grid *grid, int64_t batch);
/* Plan and allocate.  Weights are fresh, drawn from settings.seed. */
cover_status engine_create(struct engine **engine, cover_context *context, const struct settings *settings,
                           const struct grid *grid, int64_t batch);
void engine_destroy(struct engine *engine); /* takes NULL */
struct engine_bytes engine_bytes(const struct engine *engine);
double engine_flops(const struct engine *engine); /* a step */

/* Tell the engine that weights were changed from outside. */
cover_status engine_weights_changed(struct engine *engine);
/* Losses and the unscaled gradient of one batch. */
cover_status engine_step(struct engine *engine, const struct pair_source *source, struct step_sums *sums);
/* Global gradient norm of the mean over `valid` pixels. */
double engine_gradient_norm(struct engine *engine, int64_t valid);
/* One Adam update from the last step's gradient / valid, clipped when norm is above settings.clip. */
cover_status engine_update(struct engine *engine, int64_t valid, double norm, double lr);
/* Run one pair again, looking at every tensor: COVER_ERROR_NUMERIC names the first that is not finite. */
cover_status engine_diagnose(struct engine *engine, const struct view_pair *views);
/* Seconds of each op over one pair, one thread. */
cover_status engine_time(struct engine *engine, const struct view_pair *views, double *op_seconds);

#endif
