/* Where images come from: io's dataset stands behind it.  Every call may be made from several threads at once.
 * Called by pairs.c (pretraining) and cases.c (tasks). */
#ifndef COVER_READER_H
#define COVER_READER_H

#include "core/base/base.h"
#include "core/base/grid.h"

struct sample_reader {
    int64_t count;
    int channels;
    struct grid largest; /* sizes of any sample are at most these */
    /* pixels: channels last, released with memory_free(); integer_max 255, 65535 or 0 for floats */
    cover_status (*read)(void *user, int64_t index, float **pixels, struct grid *grid, int *integer_max);
    const char *(*name)(void *user, int64_t index); /* for messages */
    /* Tasks; NULL in pretraining.  Segmentation: a class a pixel of the image, memory_free() it; `ignore` is the label that does
     * not count, -1 = none.  Classification: the class index, or with several labels an image 1, 0 or -1 (not known) a class. */
    cover_status (*label)(void *user, int64_t index, uint16_t **label, struct grid *grid);
    cover_status (*target)(void *user, int64_t index, float *target, int targets);
    int ignore;
    void *user;
};

#endif
