/* Prefetch: threads that read samples and draw view pairs ahead of the trainer, in the order of (step, pair).
 * What a pair looks like depends on (seed, step, pair) alone, so nothing depends on how far ahead they are. */
#ifndef COVER_PREFETCH_H
#define COVER_PREFETCH_H

#include "engine.h"

/* Where samples come from: io's dataset stands behind it.  read() may be called from several threads at once. */
struct sample_reader {
    int64_t count;
    int channels;
    struct grid largest; /* sizes of any sample are at most these */
    /* pixels: channels last, released with memory_free(); integer_max 255, 65535 or 0 for floats */
    cover_status (*read)(void *user, int64_t index, float **pixels, struct grid *grid, int *integer_max);
    const char *(*name)(void *user, int64_t index); /* for messages */
    void *user;
};

struct prefetch;

/* ahead: pairs kept ready beside those in work.  Starts with pair 0 of first_step (0-based). */
cover_status prefetch_create(struct prefetch **prefetch, cover_context *context, const struct settings *settings,
                             const struct sample_reader *reader, int lanes, int64_t first_step);
void prefetch_destroy(struct prefetch *prefetch); /* takes NULL */

/* The pairs of one step; steps must be asked for in order, and each pair of a step taken once. */
struct pair_source prefetch_source(struct prefetch *prefetch, int64_t step);
/* Draw any pair again, here and now; valid until the next redraw.  For diagnosis and for pictures. */
cover_status prefetch_redraw(struct prefetch *prefetch, int64_t step, int64_t pair, const struct view_pair **views);

/* A pair's memory, fixed right behind moving; fields of `pair` point into *block (memory_free it). */
cover_status pair_allocate(struct view_pair *pair, float **block, cover_context *context, const struct grid *grid, int channels);

#endif
