/* Ops that compare rows: the cells or points of an image (images, pixels of the grid, channels), all float32.  What an op gives is of each
 * image; gradients are those of the first number alone, times `weight`.  Called by core/objective.
 *
 * Lengths are at least 1e-12, x^ = x / |x|; logits are products of x^ by the temperature; ties go to the first in memory order. */
#ifndef COVER_DENSE_H
#define COVER_DENSE_H

#include "graph.h"

/* {mean over rows of -log(e^(q.k) / (e^(q.k) + sum over the queue of e^(q.Q))), share of rows where q.k is the largest of these}, an image a
 * row.  The positive of row i is row i of k; or, with indices (P numbers a row, of rows of k), each of P in its turn, and the mean over
 * them; the share is of the first.  queue: a parameter (K, channels) of unit rows, held.  Nothing flows into k. */
int graph_matched_nce(struct graph *graph, int q, int k, int indices, int queue, float temperature, float weight);

/* x, normalised or not, as floats: its mean over cells of `cell` pixels an axis, which fill the grid. */
int graph_cell_pool(struct graph *graph, int x, int cell);
/* For each row of f the numbers of the `count` rows of g of the largest cosine, the best first; no gradient. */
int graph_match_cells(struct graph *graph, int f, int g, int count);
/* Cells are near each other where their centres are less than `threshold` diagonals of a cell apart.  field: the mean field over each cell
 * of the fixed view, b(p) = a(p + field(p)), in pixels of the moving one, of which a cell has `cell` an axis.  Of the moving view's cells
 * (rows of q) that have a near one: {share of those whose row of k with the largest cosine is near, mean share of rows of k that are}; zeros
 * where there are none.  No gradient. */
int graph_hit(struct graph *graph, int q, int k, int field, int cell, float threshold);

/* 1 where row i of f has row j of g as a positive, (rows of f, rows of g), else 0: both attended and cos >= how->similarity, or their cells
 * nearer than how->threshold diagonals (graph_hit() says of field and cell).  Attended is a row whose mean square, over the length of those
 * of its image and scaled to 0..1 over the image, is at least how->attention.  shares: {share of rows of f that are attended, of g}.  No
 * gradient. */
int graph_set_positives(struct graph *graph, int f, int g, int field, const struct cells_attributes *how, int *shares);
/* Of rows of q with positives: {mean of the mean over them of -log(e^(q.k) / (sum over the positives and the queue)), share where the largest
 * is a positive, mean number of positives}; zeros where no row has any.  Nothing flows into k. */
int graph_set_nce(struct graph *graph, int q, int k, int positives, int queue, float temperature, float weight);

/* x, normalised or not, at points (image, point, axis) in pixels, linear, what lies outside being zero: a row a point. */
int graph_sample_points(struct graph *graph, int x, int points);

/* x^ of each row. */
int graph_unit(struct graph *graph, int x);
/* y_i = sum over j of max(cos(x_i, x_j), 0)^2 value_j^ */
int graph_propagate(struct graph *graph, int x, int value);
/* Over pairs of near cells (graph_hit() says of field and cell; y is of the moving view, turned: of the fixed one, k of the other):
 * {-2 / (n + 1e-6) x sum of cos(y_i, k_j), n pairs}.  Nothing flows into k. */
int graph_pair_cosine(struct graph *graph, int y, int k, int field, bool turned, int cell, float threshold, float weight);

/* Mean over rows of -sum of codes log softmax(scores / temperature); with indices, codes are of the row that a row's first index names,
 * among its group of so many rows (0: all of the image).  Nothing flows into codes. */
int graph_soft_cross_entropy(struct graph *graph, int scores, int codes, int indices, int64_t group, float temperature,
                             float weight);
/* Codes of all rows together, whose rows sum to 1 and whose columns nearly to an equal share: e^(scores / epsilon), over their sum, then each
 * round columns to an equal share and rows to theirs.  No gradient. */
int graph_sinkhorn(struct graph *graph, int scores, float epsilon, int rounds);

#endif
