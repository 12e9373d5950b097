/* COVER as a graph over one pair of views: backbone on both, VPA, L_vec and L_con, and their gradient (method: MoV, VPA,
 * Losses).  Called by the training engine, by match and by the tests. */
#ifndef COVER_OBJECTIVE_H
#define COVER_OBJECTIVE_H

#include "core/graph/model.h"
#include "core/nn/unet.h"
#include "core/settings/settings.h"
#include "core/views/sevr.h"
#include "sample.h"

enum { OBJECTIVE_IMAGES, OBJECTIVE_TRUTH, OBJECTIVE_MASK, OBJECTIVE_INPUTS }; /* inputs, in this order */

struct objective {
    struct graph graph;
    int vector_sum, cosine_sum; /* results: sum |truth - field| and MINUS the sum of cosines, doubles */
    int field;                  /* result: the predicted field, when kept */
    int level[LEVELS];          /* results: features of both images (moving, fixed), when kept */
    int level_field[LEVELS];    /* results: the field after each level, on the next level's grid, when kept */
    struct grid level_grid[LEVELS], field_grid[LEVELS];
};

enum objective_parts {
    OBJECTIVE_LOSS = 1,     /* both losses; needs truth and mask */
    OBJECTIVE_GRADIENT = 2, /* and their gradient */
    OBJECTIVE_KEEP = 4      /* keep field, levels and level fields readable */
};

/* Build for pairs of this grid.  parameters: filled on the first use of a network, matched on later ones. */
cover_status objective_build(struct objective *objective, cover_context *context, struct parameters *parameters,
                             const struct settings *settings, const struct grid *grid, unsigned parts);
void objective_free(struct objective *objective);

/* The full parameter table of a network: the same whatever is later built or left out. */
cover_status objective_parameters(struct parameters *parameters, cover_context *context, const struct settings *settings);

/* What the engine trains; its terms are the two sums.  A view pair as a sample of it: fixed lies behind moving. */
enum { TERM_VECTOR, TERM_COSINE };
cover_status objective_model(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid);
struct sample objective_sample(const struct view_pair *pair);

/* VPA over levels of both images (image 0 moving, 1 fixed): the field on the last level's grid.
 * level_field: the field after each level, may be NULL. */
int vpa_build(struct graph *graph, const int levels[LEVELS], const struct settings *settings, int *level_field);
/* The same over the levels from `first` on, whatever the setting of the pyramid. */
int vpa_build_from(struct graph *graph, int first, const int levels[LEVELS], const struct settings *settings,
                   int *level_field);

#endif
