/* A stored network that predicts the field between two images held as channels-last floats.  Called by match and by the
 * report. */
#ifndef COVER_MATCHER_H
#define COVER_MATCHER_H

#include "core/graph/session.h"
#include "core/method/cover.h"

struct matcher {
    cover_context *context;
    cover_config *config;
    struct settings settings;
    struct parameters parameters;
    float *weights;
    /* for one grid at a time */
    struct grid grid;
    struct pair_graph pair;
    struct session session; /* open for `grid`, or closed */
    struct run run;
    float *views; /* both images, the caller fills them: moving, then fixed */
};

/* Load the network of a run folder, checkpoint or weight file. */
cover_status matcher_open(struct matcher *matcher, cover_context *context, const char *weights);
/* Prepare for images of a grid (multiples of the backbone's) and allocate views. */
cover_status matcher_prepare(struct matcher *matcher, const struct grid *grid);
/* Run on views. */
cover_status matcher_run(struct matcher *matcher);
/* After it: the field (pixels x ndim), or that after one level with its grid; NULL when the network skips the level. */
const float *matcher_field(const struct matcher *matcher);
const float *matcher_level_field(const struct matcher *matcher, int level, struct grid *grid);
void matcher_close(struct matcher *matcher);

#endif
