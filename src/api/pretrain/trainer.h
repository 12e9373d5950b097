/* Inside of the public trainer, for pretrain.c and preview.c. */
#ifndef COVER_API_TRAINER_H
#define COVER_API_TRAINER_H

#include "api/run/trainer_core.h"
#include "core/train/pairs.h"

#include <libcover/trainer.h>

struct cover_trainer {
    struct trainer_core core;
    struct pair_maker maker;
    cover_figure figures[MODEL_TERMS]; /* of the last step */
};

/* The same without a dataset: plans, weights and steps on views from elsewhere. */
cover_status trainer_create_bare(cover_trainer **trainer, cover_context *context, const cover_config *config);

#endif
