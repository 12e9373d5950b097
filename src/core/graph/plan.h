/* The plan: every tensor and workspace of a graph at its offset in one arena, and what a run costs, before anything runs.
 * Called by executors; a lane's arena is one block of arena_bytes. */
#ifndef COVER_PLAN_H
#define COVER_PLAN_H

#include "graph.h"

struct plan {
    int64_t samples;
    size_t arena_bytes;       /* of one lane */
    size_t tensor_peak_bytes; /* largest sum of tensors that live at once: the bound that placement aims at */
    double flops;             /* of one run */
    size_t *offset;           /* of each tensor, views included, in the arena */
    size_t *workspace;        /* of each node, in the arena */
};

/* Place everything.  workspace_bytes: what each node needs while it runs.  samples: how many a run takes at once; every tensor but
 * the parameters holds that many times its images, those of all samples for image 0 first, so that a view is one block. */
cover_status plan_create(struct plan *plan, const struct graph *graph, const size_t *workspace_bytes, int64_t samples,
                         size_t alignment);
void plan_free(struct plan *plan, cover_context *context);

#endif
