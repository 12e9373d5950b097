/* A result of many samples under the weights as they are: what an objective that looks at the whole dataset asks for at the start of a
 * period.  Called by objectives. */
#ifndef COVER_EMBED_H
#define COVER_EMBED_H

#include "prefetch.h"

/* A kept result of one image of floats, of samples 0 .. count - 1 of a maker: `rows`, sample after sample, on all ranks, which share the
 * work and make this call together.  Samples up to the next multiple of the batch are drawn, too. */
cover_status embed_samples(float *rows, struct engine *engine, const struct sample_maker *maker, int64_t count, int result);

#endif
