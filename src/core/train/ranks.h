/* Training by several ranks: each takes a contiguous block of every batch, a node of the gradient tree, and the ranks add up the
 * nodes above (architecture: The life of a step).  Called by the public trainer and by the steppers.  An engine alone, whose
 * share.with is NULL, does nothing here. */
#ifndef COVER_TRAIN_RANKS_H
#define COVER_TRAIN_RANKS_H

#include "core/base/collective.h"
#include "engine.h"

/* Of rank `rank` of `ranks`.  COVER_ERROR_ARGUMENT when there are more ranks than samples. */
cover_status share_of(struct share *share, int rank, int ranks, int64_t batch);
/* Of this rank of `ranks`; NULL: all of it. */
cover_status share_with(struct share *share, struct communicator *ranks, int64_t batch);
/* Does this number of ranks follow the tree of one rank, so that sums are the same bits? */
bool share_keeps_bits(int ranks);
/* This engine, made for share->count samples, trains with the other ranks from now on. */
cover_status ranks_join(struct engine *engine, const struct share *share);

/* After each rank's own samples: how did that go (own), then sums and engine->gradient of all ranks.  Every rank gets the same
 * status, and after an error the step was not made anywhere. */
cover_status ranks_sum(struct engine *engine, cover_status own, struct step_sums *sums);
/* The same in parts, where a device adds up gradients itself: count and what is known without a run, which it needs first, and the other terms. */
cover_status ranks_sum_counts(struct engine *engine, cover_status own, struct step_sums *sums);
cover_status ranks_sum_terms(struct engine *engine, cover_status own, struct step_sums *sums);
/* Of a whole batch's `data`, with `part` bytes a sample, each rank has its own samples'; then all have all. */
cover_status ranks_gather(const struct engine *engine, void *data, size_t part);
/* After work that must go alike on all ranks, but does not tell them: an error gives up everywhere.  Returns own. */
cover_status ranks_alike(struct engine *engine, cover_status own);
/* Rank 0's weights and optimiser on every rank. */
cover_status ranks_share_state(struct engine *engine);

#endif
