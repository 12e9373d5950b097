/* COVER as a graph over one pair of views: backbone on both, VPA, L_vec and L_con, and their gradient (method: MoV, VPA,
 * Losses).  Called by the training engine, by match and by the tests. */
#ifndef COVER_METHOD_COVER_H
#define COVER_METHOD_COVER_H

#include "core/graph/model.h"
#include "core/nn/backbone.h"
#include "core/settings/settings.h"
#include "core/views/sevr.h"
#include "sample.h"

enum { PAIR_IMAGES, PAIR_TRUTH, PAIR_MASK, PAIR_INPUTS }; /* inputs, in this order */

struct pair_graph {
    struct graph graph;
    int vector_sum, cosine_sum;  /* results: sum |truth - field| and MINUS the sum of cosines, doubles */
    int field;                   /* result: the predicted field, when kept */
    int levels;                  /* of the backbone */
    int level[LEVELS_MAX];       /* results: features of both images (moving, fixed), when kept */
    int level_field[LEVELS_MAX]; /* results: the field after each level, on the next level's grid, when kept */
    struct grid level_grid[LEVELS_MAX], field_grid[LEVELS_MAX];
};

enum pair_parts {
    PAIR_LOSS = 1,     /* both losses; needs truth and mask */
    PAIR_GRADIENT = 2, /* and their gradient */
    PAIR_KEEP = 4      /* keep field, levels and level fields readable */
};

/* Build for pairs of this grid.  parameters: filled on the first use of a network, matched on later ones. */
cover_status pair_graph_build(struct pair_graph *pair, cover_context *context, struct parameters *parameters,
                              const struct settings *settings, const struct grid *grid, unsigned parts);
void pair_graph_free(struct pair_graph *pair);

/* The full parameter table of a network: the same whatever is later built or left out. */
cover_status pair_parameters(struct parameters *parameters, cover_context *context, const struct settings *settings);

/* What the engine trains; its terms: l_vec, l_con, and what the zero field would lose.  A view pair as a sample of it: fixed lies
 * behind moving. */
enum { TERM_VECTOR, TERM_COSINE, TERM_ZERO, PAIR_TERMS };
cover_status pair_model(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid);
struct sample pair_sample(const struct view_pair *pair);

/* VPA over the backbone's levels of both images (image 0 moving, 1 fixed): the field on the last level's grid.
 * level_field: the field after each level, may be NULL. */
int vpa_build(struct graph *graph, const int levels[LEVELS_MAX], const struct settings *settings, int *level_field);
/* The same over the levels from `first` on, whatever the setting of the pyramid. */
int vpa_build_from(struct graph *graph, int first, const int levels[LEVELS_MAX], const struct settings *settings, int *level_field);

#endif
