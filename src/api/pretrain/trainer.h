/* Inside of the public trainer, for pretrain.c and preview.c. */
#ifndef COVER_API_TRAINER_H
#define COVER_API_TRAINER_H

#include "api/run/trainer_core.h"
#include "core/objective/objective.h"

#include <libcover/trainer.h>

struct cover_trainer {
    struct trainer_core core;
    const struct objective *objective;
    struct trainer_kind kind;   /* the objective's */
    struct objective_run run;   /* what its hooks see */
    struct sample_maker *maker; /* NULL until samples are needed */
};

#endif
