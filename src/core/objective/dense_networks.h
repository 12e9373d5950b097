/* What the dense objectives share: a view's cells with their projections, the queues of a twin's keys, the figures of what was matched, and
 * what settings must keep to.  Called by densecl.c, setsim.c, dsc_pm.c, pixpro.c and vader.c. */
#ifndef COVER_DENSE_NETWORKS_H
#define COVER_DENSE_NETWORKS_H

#include "core/graph/dense.h"
#include "networks.h"
#include "view_maker.h"

enum { DENSE_VIEWS, DENSE_FIELD, DENSE_INPUTS }; /* of the sample graph: moving and fixed, then the field between them */
enum { DENSE_ZERO };                             /* known of a sample: the loss of an answer at random */

/* All images of x: the features of their cells, and what the head `dense` makes of these.  coarse: NULL, or where the coarsest level's means
 * go, floats. */
struct dense_cells {
    int features, projections;
};
struct dense_cells dense_cells(struct graph *graph, int x, const struct settings *settings, int *coarse);
/* The head `dense` on rows. */
int dense_head(struct graph *graph, int x, const struct settings *settings);
/* MoCo's head on the coarsest level's means. */
int dense_projector(struct graph *graph, int rows, const struct settings *settings);
/* Views, and the mean field over each cell. */
int dense_inputs(struct graph *graph, const struct settings *settings, const struct grid *grid, int *field);

/* The loss of keys: its first number is a term with this weight, the second the figure `accuracy`. */
void dense_nce_term(struct model *model, const char *name, const char *accuracy, int loss, double weight);
/* Terms hit and hit_zero of projections q of the moving view's cells among k of the fixed one's, and spread of rows, of which there may be
 * more images. */
void dense_figures(struct model *model, int q, int k, int field, int rows, const struct settings *settings);
/* Keys of each sample, for the queues: their link. */
void dense_keys(struct model *model, const char *name, int keys, const struct settings *settings);
/* The moving view as the network sees it, the fixed one as its twin does: cells, and MoCo's projection of the whole.  Keys of both kinds
 * are linked. */
struct dense_sides {
    struct dense_cells query, key;
    int global, global_key, field;
};
struct dense_sides dense_sides(struct model *model, const struct settings *settings, const struct grid *grid);

/* ---- queues `queue` and `queue.dense`, whose keys are linked first, in this order; a struct queue_state is the place of both */
cover_status dense_start(struct objective_run *run);
cover_status dense_after_step(struct objective_run *run);
/* Level and cells must fit network and crop; the queue gets its length of the keys of a step. */
cover_status dense_settle_cells(cover_config *config);
cover_status dense_settle(cover_config *config, int64_t images);
void dense_make(const struct view_work *work, struct sample *sample);

#define DENSE_SETTINGS                                                                                                             \
    {"dense_level"}, {"cell", {"16", "16"}}, {"hidden", {"512", "512"}}, {"projection", {"128", "128"}},                           \
        {"threshold", {"0.7", "0.57"}}, TWO_VIEWS_SETTINGS
#define DENSE_HIT_FIGURES                                                                                                          \
    {.name = "hit",                                                                                                                \
     .over = "hit_zero",                                                                                                           \
     .title = "places found",                                                                                                      \
     .note = "Share of cells whose most alike cell of the other view lies at the same place.",                                     \
     .naive = "a cell by chance"},                                                                                                 \
        {.name = "hit_zero", .title = "places found by chance"}, SPREAD_FIGURE
extern const struct objective_picture dense_pictures[];

#endif
