/* Objectives that give an image back from what a change has left of it: the whole network, a 1x1 convolution and the squared error.
 * Called by denoising.c, inpainting.c and genesis.c. */
#ifndef COVER_OBJECTIVE_RECONSTRUCT_H
#define COVER_OBJECTIVE_RECONSTRUCT_H

#include "networks.h"
#include "view_maker.h"

/* Inputs; from the third on where only dropped pixels count, from the fourth on with an adversary. */
enum { RECONSTRUCT_SEEN, RECONSTRUCT_TRUTH, RECONSTRUCT_DROPPED, RECONSTRUCT_WEIGHTS, RECONSTRUCT_REAL, RECONSTRUCT_FAKE };
enum { RECONSTRUCT_MSE, RECONSTRUCT_ZERO }; /* terms */
enum reconstruct_part {
    RECONSTRUCT_SIGMOID = 1, /* the prediction goes through a sigmoid */
    RECONSTRUCT_MASKED = 2,  /* there is a mask of dropped pixels */
    RECONSTRUCT_JUDGED = 4   /* and an adversary: the squared error is weighted, as a sample counts 1 */
};
/* The graphs of a row (objective.h), of these parts. */
cover_status reconstruct_graphs(struct model *model, cover_context *context, const struct settings *settings,
                                const struct grid *grid, unsigned parts);
/* A sample of what is seen of the truth: each of their values counts. */
void reconstruct_sample(struct sample *sample, const float *seen, const float *truth, int64_t values);
/* A sample whose dropped pixels become the mean of the truth in `seen`, and alone count. */
void reconstruct_dropped(struct sample *sample, float *seen, const float *truth, const float *dropped, const struct grid *grid,
                         int64_t channels);
/* The same with an adversary; weights: each dropped value's part, by how many a sample of the batch has on average. */
void reconstruct_judged(struct sample *sample, float *weights, const struct grid *grid, double average);
/* As large as the view, for what is seen (view_plan.extra). */
int64_t reconstruct_extra(const struct settings *settings, const struct grid *crop);

extern const struct figure_words reconstruct_figures[];
extern const struct objective_picture reconstruct_pictures[]; /* seen and truth */

#endif
