/* t-SNE: points of many dimensions to two, so that near ones stay near (van der Maaten and Hinton 2008; with a tree,
 * van der Maaten 2014).  Plain arrays and base/ alone; called by src/api/analysis/analysis_tsne.c.
 * Results are the same bits for any number of threads: each point's force is one sum in a fixed order. */
#ifndef COVER_TSNE_H
#define COVER_TSNE_H

#include "core/base/base.h"

/* Symmetric affinities p_ij of near points, rows of neighbours in rising order; they sum to 1. */
struct affinities {
    int64_t count;
    int64_t *first; /* count + 1: row i is first[i] .. first[i + 1] - 1 */
    int32_t *neighbour;
    double *p;
};
/* Gaussians over the `neighbours` nearest of each point, each of such a width that 2^entropy is the perplexity. */
cover_status affinities_make(struct affinities *affinities, cover_context *context, const float *points, int64_t count,
                             int64_t channels, double perplexity, int64_t neighbours);
void affinities_free(struct affinities *affinities, cover_context *context);

/* KL(P || Q) at y (count, 2) with q_ij ~ 1 / (1 + |y_i - y_j|^2), and its gradient.  theta 0: all pairs; else a cell of a
 * quadtree that is seen under less than theta (width / distance) counts as one point.  exaggeration: factor on P. */
cover_status tsne_gradient(double *kl, double *gradient, cover_context *context, const struct affinities *affinities,
                           const double *y, double theta, double exaggeration);

struct tsne_options {
    double perplexity, theta;
    int iterations;
    uint64_t seed;
    cover_progress_fn *progress;
    void *user;
};
/* The whole: affinities, a start along the two main axes, gradient descent.  y: (count, 2), centred. */
cover_status tsne_run(double *y, double *kl, cover_context *context, const float *points, int64_t count, int64_t channels,
                      const struct tsne_options *options);

/* ---- tsne_tree.c */

struct tree;                                                                         /* quadtree over points of a plane */
cover_status tree_create(struct tree **tree, cover_context *context, int64_t count); /* room for so many points */
void tree_destroy(struct tree *tree, cover_context *context);                        /* takes NULL */
void tree_build(struct tree *tree, const double *y);
/* Sum over all points of q and of q^2 (at - point), the point at `at` itself, of which there must be one, left out. */
void tree_repel(const struct tree *tree, const double at[2], double theta, double *q_sum, double force[2]);

#endif
