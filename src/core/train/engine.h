/* The engine takes a batch of samples (view pairs, or a task's images) through forward, backward and one Adam update (design: The
 * life of a step).  Lanes take samples in turn; gradients are added in a fixed binary tree over the sample's index, so the result
 * depends on neither lanes nor threads.  Called by the trainers, by bench and by golden_check. */
#ifndef COVER_ENGINE_H
#define COVER_ENGINE_H

#include "core/graph/executor.h"
#include "core/graph/model.h"
#include "core/method/sample.h"
#include "core/settings/settings.h"

/* Where samples come from.  take() is called on threads of ours, for each sample of a step once, in rising order, and may wait. */
struct sample_source {
    cover_status (*take)(void *user, int64_t index, const struct sample **sample);
    void (*give_back)(void *user, int64_t index, const struct sample *sample);
    void *user;
    /* NULL, or: how many samples of this step were taken in the step before, as batch, batch + 1, ..., so that they must not be asked
     * for again; -1 after an error.  more: those of the next step may be taken now. */
    int64_t *ahead;
    bool more;
};

/* Fills an empty model for samples of this grid; parameters: the full table, whatever the graph leaves out. */
typedef cover_status model_builder(struct model *model, cover_context *context, const struct settings *settings,
                                   const struct grid *grid);

struct step_sums {            /* over all samples of the step */
    double term[MODEL_TERMS]; /* of model.terms */
    int64_t count;
};

/* What an engine takes of each batch: samples first .. first + count - 1, all of them unless other ranks take the rest. */
struct communicator;
struct share {
    int64_t batch, first, count;
    struct communicator *with; /* the ranks that share it, NULL = alone */
};

struct engine_bytes {
    uint64_t weights, gradients, optimiser, arena_per_lane, packed, samples, batch, total; /* batch: of the batch graph */
    int lanes;
};

struct engine {
    cover_context *context;
    const struct executor *executor;
    struct settings settings;
    struct model model;
    struct program *program;
    struct grid grid;
    int64_t batch; /* samples of a step here: share.count */
    struct share share;
    int lanes, team;
    int64_t holds;          /* samples that a step has taken, and not yet given back, at once */
    float *weights, *m, *v; /* flat, model.parameters.floats and, of m and v, .trained; in the host's memory: see engine_fetch() */
    int64_t updates;        /* t of Adam */
    bool only_convolutions; /* for measuring: steps run these alone */
    float *gradient;        /* of the last step, unscaled sum over samples; belongs to the engine */
    bool *has_gradient;     /* of each parameter row */
    const struct stepper *stepper;
    struct step_state *state; /* the stepper's */
};

/* Plan for batches of `batch` samples of `grid`: everything that can be refused is refused here, nothing large is allocated. */
cover_status engine_plan(struct engine **engine, cover_context *context, const struct settings *settings, model_builder *build,
                         const struct grid *grid, int64_t batch);
/* Plan and allocate.  Weights are fresh, drawn from settings.seed. */
cover_status engine_create(struct engine **engine, cover_context *context, const struct settings *settings, model_builder *build,
                           const struct grid *grid, int64_t batch);
void engine_destroy(struct engine *engine); /* takes NULL */
struct engine_bytes engine_bytes(const struct engine *engine);
double engine_flops(const struct engine *engine); /* a step */

/* Bring weights, m, v and gradient to the host, where a device has newer ones: before they are read. */
cover_status engine_fetch(struct engine *engine);
/* Does the device draw views of images itself?  Then samples may be images. */
bool engine_draws(const struct engine *engine);
/* Tell the engine that weights, m or v were changed from outside. */
cover_status engine_weights_changed(struct engine *engine);
/* ---- what follows a step
 * Held parameters named PREFIX + NAME move towards the one that is named NAME: held = held + (1 - momentum) (that - held); with
 * momentum 0 they become it.  COVER_ERROR_INTERNAL when one has no such parameter of its shape. */
cover_status engine_follow(struct engine *engine, const char *prefix, double momentum);
/* The rows of a link as the last step had them or, where that is ABSENT, of a result of the batch graph, each made unit, overwrite rows of
 * the held parameter `queue` (K, channels) from *place on in their order, going round; *place becomes the next one's. */
cover_status engine_push(struct engine *engine, const char *queue, int64_t *place, int link, int result);
/* The rows of the model's link as the last step had them, of the whole batch, in its input's order. */
cover_status engine_rows(struct engine *engine, int link, float *rows);

/* Zero the moments of trained parameters whose names begin so: they were drawn anew.  Updates go on being counted. */
cover_status engine_forget(struct engine *engine, const char *prefix);

/* Forward alone: a result of one image of floats that the sample graph keeps, of each sample of a step here, sample after sample. */
cover_status engine_forward(struct engine *engine, const struct sample_source *source, int result, float *rows);

/* A whole step: losses, gradient, its norm / count, and the update, unless a sum is not finite or nothing counts (step_finite()). */
cover_status engine_train(struct engine *engine, const struct sample_source *source, double lr, struct step_sums *sums,
                          double *norm);
bool step_finite(const struct step_sums *sums, double norm);

/* ---- the same in parts */
/* Losses and the unscaled gradient of one batch. */
cover_status engine_step(struct engine *engine, const struct sample_source *source, struct step_sums *sums);
/* Global norm of the last step's gradient / count. */
double engine_gradient_norm(struct engine *engine, int64_t count);
/* One Adam update from the last step's gradient / count, clipped when norm is above settings.clip. */
cover_status engine_update(struct engine *engine, int64_t count, double norm, double lr);
/* Run one sample again, looking at every tensor: COVER_ERROR_NUMERIC names the first that is not finite. */
cover_status engine_diagnose(struct engine *engine, const struct sample *sample);
/* Seconds of each node of the model's graph over one sample, one thread. */
cover_status engine_time(struct engine *engine, const struct sample *sample, double *node_seconds);

#endif
