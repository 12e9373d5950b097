/* preview.safetensors of a run: a few samples that training does not see, kept so that the report needs no dataset.  Tensors K.NAME
 * (D, H, W, C), one for each picture of the objective's row; metadata K.name: the image's, dataset: one line about where they come from. */
#ifndef COVER_PREVIEW_H
#define COVER_PREVIEW_H

#include "report/report.h"
#include "trainer.h"

enum { PREVIEW_SAMPLES = 3 };

struct preview {
    cover_context *context;
    char *dataset;
    struct report_sample sample[PREVIEW_SAMPLES]; /* a picture for each of the row's, in its order */
    int count;
};

/* Draw and write them; nothing when the file is there already. */
cover_status preview_write(cover_trainer *trainer, const char *path);
/* A missing file gives a preview without samples. */
cover_status preview_read(struct preview *preview, cover_context *context, const struct objective *objective, const char *path);
void preview_free(struct preview *preview);

#endif
