/* preview.safetensors of a run: a few view pairs that training does not see, kept so that the report needs no dataset.
 * Tensors K.moving, K.fixed (D, H, W, C), K.field (D, H, W, dims), K.mask (D, H, W, 1); metadata K.name: the sample,
 * dataset: one line about where they come from. */
#ifndef COVER_PREVIEW_H
#define COVER_PREVIEW_H

#include "trainer.h"

enum { PREVIEW_PAIRS = 3 };

struct preview {
    cover_context *context;
    struct grid grid;
    int channels, count;
    char *dataset;
    struct {
        char *name;
        float *moving, *fixed, *field, *mask;
    } pair[PREVIEW_PAIRS];
};

/* Draw and write them; nothing when the file is there already. */
cover_status preview_write(cover_trainer *trainer, const char *path);
/* A missing file gives a preview without pairs. */
cover_status preview_read(struct preview *preview, cover_context *context, const char *path);
void preview_free(struct preview *preview);

#endif
