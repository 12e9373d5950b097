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

#endif
