/* What every trainer is, whatever it learns: settings, an engine, samples read ahead, steps, checkpoints.  The kind says what a sample
 * is and what else a checkpoint holds.  Called by pretrain/trainer.c, finetune/task.c and, for whole runs, by driver.c. */
#ifndef COVER_TRAINER_CORE_H
#define COVER_TRAINER_CORE_H

#include "core/method/reader.h"
#include "core/train/prefetch.h"
#include "io/dataset/dataset.h"
#include "io/weights/checkpoint.h"

#include <libcover/trainer.h>

struct trainer_core;

struct trainer_kind {
    const char *objective; /* its name in checkpoints */
    const char *foreign;   /* what to do with a checkpoint of another */
    const char *sample;    /* a sample in messages and, "pairs_per_s", in the log */
    const char *counts;    /* what a step that counts nothing lacked, in messages; NULL = each counts something */
    bool task;             /* trained with settings of fine-tuning */
    model_builder *model;
    /* How samples are made; asked before the first is drawn. */
    cover_status (*samples)(const struct sample_maker **maker, struct trainer_core *core);
    /* Write a checkpoint, by core_write() with the kind's states; read those states back. */
    cover_status (*save)(struct trainer_core *core, const char *path);
    cover_status (*load_states)(struct trainer_core *core, struct checkpoint_file *file); /* NULL: there are none */
    cover_status (*share_states)(struct trainer_core *core); /* rank 0's, which has loaded them, to all; NULL: no rank needs them */
    /* After an update; NULL: nothing follows it. */
    cover_status (*after_step)(struct trainer_core *core);
    /* Steps of a period, and what is done before the first sample of one is drawn; NULL: there are none. */
    int64_t (*period)(const struct trainer_core *core);
    cover_status (*begin_period)(struct trainer_core *core);
};

struct trainer_core {                /* the first member of each trainer */
    const struct trainer_kind *kind; /* lives as long */
    cover_context *context;
    struct communicator *ranks;   /* that share each batch; NULL = alone */
    const cover_dataset *dataset; /* NULL: steps are on samples from elsewhere */
    char hash[65];                /* of the dataset's content */
    struct sample_reader reader;
    cover_config *config;
    struct settings settings;
    struct engine *engine;
    struct prefetch *prefetch;         /* NULL until the next step needs it */
    int64_t step;                      /* updates asked for so far; those in which nothing counted too */
    int64_t periods;                   /* begun so far */
    cover_figure figures[MODEL_TERMS]; /* of the last step */
};

/* Settings that are not the kind's, or are not sound, are refused.  On error core_free() what is there. */
cover_status core_begin(struct trainer_core *core, const struct trainer_kind *kind, cover_context *context,
                        const cover_config *config, struct communicator *ranks);
/* Where samples come from. */
void core_data(struct trainer_core *core, const cover_dataset *dataset, const cover_dataset_info *info);
/* Engine with fresh weights, for this context's share of each batch. */
cover_status core_engine(struct trainer_core *core);
void core_free(struct trainer_core *core);

/* One step of all ranks, and what it did (NULL = not asked); a number that goes bad is named. */
cover_status core_step(cover_step_report *report, struct trainer_core *core);
/* Start reading ahead from the core's step, if that is not so already. */
cover_status core_prefetch(struct trainer_core *core);

/* Work of rank 0 alone, whose result is everybody's. */
cover_status core_by_writer(struct trainer_core *core, cover_status (*work)(struct trainer_core *core, const char *path),
                            const char *path);
cover_status core_save(struct trainer_core *core, const char *path);
cover_status core_write(struct trainer_core *core, const char *path, const struct checkpoint_state *states, int count);
/* Go on from a checkpoint of the same settings and dataset. */
cover_status core_load(struct trainer_core *core, const char *path);

#endif
