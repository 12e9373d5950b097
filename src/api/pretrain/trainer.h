/* Inside of the public trainer, for pretrain.c and report.c. */
#ifndef COVER_API_TRAINER_H
#define COVER_API_TRAINER_H

#include "core/train/pairs.h"

#include <libcover/trainer.h>

struct cover_trainer {
    cover_context *context;
    const cover_dataset *dataset;
    cover_config *config;
    struct settings settings;
    struct sample_reader reader;
    struct pair_maker maker;
    struct engine *engine;
    struct prefetch *prefetch; /* NULL until the next step needs it */
    int64_t step;              /* updates asked for so far; those without a valid pixel count too */
    char hash[65];             /* of the dataset's content */
    char *plan;
};

/* The same without a dataset: plans, weights and steps on views from elsewhere. */
cover_status trainer_create_bare(cover_trainer **trainer, cover_context *context, const cover_config *config);
/* Start reading ahead from the trainer's step, if that is not so already. */
cover_status trainer_prefetch(cover_trainer *trainer);

#endif
