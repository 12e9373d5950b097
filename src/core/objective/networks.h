/* What the networks of objectives share: the order of their parameters, the backbone as a whole or its encoder, and its twin.  Called by
 * the objectives. */
#ifndef COVER_OBJECTIVE_NETWORKS_H
#define COVER_OBJECTIVE_NETWORKS_H

#include "core/graph/model.h"
#include "core/graph/objective_ops.h"
#include "core/nn/backbone.h"
#include "core/nn/heads.h"
#include "objective.h"

/* A model from what builds its graphs, links and terms and adds rows of parameters, trained and held ones in any order.  The table first,
 * with the whole backbone in front whatever the graphs leave out, held rows behind; then the model. */
cover_status objective_model(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid,
                             model_builder *graphs);

/* Start the graph over a sample. */
struct graph *objective_graph(struct model *model, cover_context *context, const struct settings *settings);
/* Features of x (any images): of full size; the means of the coarsest ones over pixels, floats of one pixel, a row an image. */
int objective_features(struct graph *graph, int x, const struct settings *settings);
int objective_rows(struct graph *graph, int x, const struct settings *settings);
/* The norm of heads that the setting chooses. */
enum row_norm objective_norm(const struct settings *settings);

/* Append a term; its number. */
int objective_term(struct model *model, const struct loss_term *term);
/* A tensor of the sample graph as rows of the batch graph, whose input it returns: as one image, or as many as the tensor has (the
 * views of a batch, apart).  Its link is the next one. */
int objective_link(struct model *model, const char *name, int rows, int images, int64_t batch);
/* Differentiate losses of the batch graph (outputs alone are filled in), and the sample graph backward from the gradient that comes back
 * to `rows`, which is linked as `input`, and from losses of its own (the same), NULL = none. */
void objective_meet(struct model *model, struct derivative *losses, int input, int rows, const struct derivative *own);

/* How far rows are spread: 1 = evenly over the sphere, 0 = all alike.  A term "spread" of the batch graph, of all images' rows together. */
void objective_spread(struct model *model, int rows);
#define SPREAD_FIGURE                                                                                                              \
    {                                                                                                                              \
        .name = "spread", .title = "spread",                                                                                       \
        .note = "Deviation of unit rows over the batch: 1 = spread over the sphere, near 0 = all alike, which is collapse."        \
    }

/* What every objective of two views has. */
#define TWO_VIEWS_SETTINGS                                                                                                         \
    {"views"}, {"view_area_low"}, {"view_flip"}, {"view_jitter"}, { "view_blur" }

/* ---- what settings ask for
 * A norm over the rows of a batch needs 4 at least (COVER_ERROR_ARGUMENT says the batch that would do) and should have 8. */
cover_status objective_enough_rows(const cover_config *config, int64_t rows);
/* queue=0 becomes 256 steps' keys, at most 65536 and at most half of what the images give (0: not known); at least those of a step. */
cover_status objective_settle_queue(cover_config *config, int64_t images, int64_t keys);

/* Share of a twin that stays behind update number `update`, 0 at first: from the setting's to 1 along a cosine. */
double objective_momentum(const struct settings *settings, int64_t update);

/* ---- queues: held parameters (queue, projection), and the place of the next key as an objective's state */
int objective_queue(struct graph *graph, const char *name, const struct settings *settings);
struct queue_state {
    int64_t place;
};
void objective_queue_visit(struct objective_run *run, struct visitor *visitor);
cover_status objective_queue_loaded(struct objective_run *run);              /* COVER_ERROR_FORMAT: no place of the queue */
cover_status objective_fresh_queue(struct engine *engine, const char *name); /* its rows as drawn, made unit */

extern const char objective_twin[]; /* "twin.": what held copies are named with */

#endif
