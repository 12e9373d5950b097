/* The samples of pretraining: view pairs drawn by SeVR from a reader's images, in the order of a permutation an epoch.
 * Called by the trainer through prefetch.h. */
#ifndef COVER_PAIRS_H
#define COVER_PAIRS_H

#include "core/method/cover.h"
#include "core/method/reader.h"
#include "core/train/prefetch.h"

struct pair_maker {
    struct sample_maker maker;
    cover_context *context;
    const struct settings *settings;
    const struct sample_reader *reader;
};
/* settings and reader must live as long as the maker. */
cover_status pair_maker(struct pair_maker *maker, cover_context *context, const struct settings *settings,
                        const struct sample_reader *reader);

/* A pair's memory, fixed right behind moving; fields of `pair` point into *block (memory_free it). */
cover_status pair_allocate(struct view_pair *pair, float **block, cover_context *context, const struct grid *grid, int channels);

#endif
