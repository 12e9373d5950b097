/* The public trainer: a trainer core that learns what an objective says, alone or with other ranks (include/libcover/trainer.h). */
#include "trainer.h"

#include "core/train/ranks.h"
#include "io/weights/weights.h"

#include <libcover/ranks.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert((int)COVER_FIGURES_MAX == (int)MODEL_TERMS, "a figure a term");

/* ---- the dataset */

/* Refuse here, by the dataset's smallest image, what would fail in the middle of a run. */
static cover_status check_dataset(const struct objective *objective, const struct settings *settings,
                                  const cover_dataset_info *info) {
    if (info->samples < 1) return fail(COVER_ERROR_SHAPE, "the dataset is empty");
    if (info->dims != settings->network.dims)
        return fail(COVER_ERROR_SHAPE, "the dataset has %dD images, but dims=%d; use a preset for %dD", info->dims,
                    (int)settings->network.dims, info->dims);
    if (info->channels != settings->network.channels)
        return fail(COVER_ERROR_SHAPE, "the dataset has %d channels, but channels=%d; set channels=%d, or pack such images",
                    info->channels, (int)settings->network.channels, info->channels);
    struct grid smallest = {.ndim = info->dims, .size = {info->min_size[0], info->min_size[1], info->min_size[2]}};
    struct grid largest = {.ndim = info->dims, .size = {info->max_size[0], info->max_size[1], info->max_size[2]}};
    TRY(objective->accepts(settings, &smallest, info->channels));
    return objective->accepts(settings, &largest, info->channels);
}

/* ---- life */

static cover_status samples(const struct sample_maker **maker, struct trainer_core *core) {
    cover_trainer *trainer = (cover_trainer *)core;
    if (!trainer->maker && !(trainer->maker = memory_zero(core->context, trainer->objective->maker_bytes)))
        return COVER_ERROR_MEMORY;
    *maker = trainer->maker;
    return trainer->objective->maker(trainer->maker, core->context, &core->settings, &core->reader);
}
static cover_status save(struct trainer_core *core, const char *path) { return core_write(core, path, NULL, 0); }

static struct trainer_kind kind_of(const struct objective *objective) {
    return (struct trainer_kind){.objective = objective->name,
                                 .foreign = "give one of this objective, or start a new run",
                                 .sample = objective->sample,
                                 .counts = objective->counts,
                                 .model = objective->build,
                                 .samples = samples,
                                 .save = save};
}

static cover_status create_bare(cover_trainer **made, cover_context *context, const cover_config *config,
                                const struct objective *objective) {
    cover_trainer *trainer = memory_zero(context, sizeof *trainer);
    if (!trainer) return COVER_ERROR_MEMORY;
    cover_status status;
    trainer->objective = objective, trainer->kind = kind_of(objective);
    GO(core_begin(&trainer->core, &trainer->kind, context, config, context->communicator));
    GO(core_engine(&trainer->core));
    *made = trainer;
done:
    if (status != COVER_OK) cover_trainer_destroy(trainer);
    return status;
}

static cover_status create_here(cover_trainer **made, cover_context *context, cover_dataset *dataset, const cover_config *config,
                                const cover_dataset_info *info) {
    const struct objective *objective = objective_of(context, &config_settings(config)->objective);
    TRY(check_dataset(objective, config_settings(config), info));
    TRY(create_bare(made, context, config, objective));
    core_data(&(*made)->core, dataset, info);
    return COVER_OK;
}

/* Every setting and the dataset must be the same on all ranks; how many lanes a rank has is its own business. */
static cover_status same_run(cover_context *context, const cover_config *config, const cover_dataset_info *info) {
    struct text text = {.context = context};
    char *lines;
    text_add(&text, "dataset=content %.12s\n", info->hash);
    for (int i = 0; cover_config_key_at(i); i++) {
        const char *name = cover_config_key_at(i)->name, *value = cover_config_get(config, name);
        if (value && strcmp(name, "lanes") != 0) text_add(&text, "%s=%s\n", name, value);
    }
    cover_status status = text_take(&text, &lines);
    TRY(collective_agree(context->communicator, status));
    status = collective_same(context->communicator, context, "", lines, "start all ranks with the same settings and dataset");
    memory_free(context, lines);
    return status;
}

cover_status cover_trainer_create(cover_trainer **out, cover_context *context, cover_dataset *dataset, const cover_config *config) {
    if (!out || !context || !dataset || !config) return fail(COVER_ERROR_ARGUMENT, "cover_trainer_create: an argument is NULL");
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    struct communicator *ranks = context->communicator;
    cover_trainer *trainer = NULL;
    cover_status status = cover_config_validate(config);
    if (status == COVER_OK) status = cover_dataset_get_info(&info, dataset);
    TRY(collective_agree(ranks, status));
    if (ranks) TRY(same_run(context, config, &info));
    GO(collective_agree(ranks, create_here(&trainer, context, dataset, config, &info)));
    GO(ranks_share_state(trainer->core.engine));
    if (ranks && ranks->rank == 0 && !share_keeps_bits(ranks->ranks))
        log_line(context, COVER_LOG_WARNING, "with %d ranks losses and weights are not the same bits as with 1, 2, 4, 8, ... ranks",
                 ranks->ranks);
    *out = trainer;
done:
    if (status != COVER_OK) cover_trainer_destroy(trainer);
    return status;
}

void cover_trainer_destroy(cover_trainer *trainer) {
    if (!trainer) return;
    core_free(&trainer->core);
    memory_free(trainer->core.context, trainer->maker);
    memory_free(trainer->core.context, trainer);
}

/* ---- a step */

cover_status cover_trainer_step(cover_step_report *given, cover_trainer *trainer) {
    if (!trainer) return fail(COVER_ERROR_ARGUMENT, "cover_trainer_step: the trainer is NULL");
    if (!trainer->core.reader.read) return fail(COVER_ERROR_ARGUMENT, "cover_trainer_step: the trainer has no dataset");
    return core_step(given, &trainer->core);
}

/* ---- to and from files */

cover_status cover_trainer_save(cover_trainer *trainer, const char *path) {
    if (!trainer || !path) return fail(COVER_ERROR_ARGUMENT, "cover_trainer_save: an argument is NULL");
    return core_save(&trainer->core, path);
}

cover_status cover_trainer_load(cover_trainer *trainer, const char *path) {
    if (!trainer || !path) return fail(COVER_ERROR_ARGUMENT, "cover_trainer_load: an argument is NULL");
    return core_load(&trainer->core, path);
}

static cover_status init_weights(struct trainer_core *core, const char *path, bool allow_partial) {
    struct tensor_file *file;
    TRY(weights_open(&file, core->context, path));
    struct weights_match match = {.allow_partial = allow_partial};
    cover_status status = weights_load(core->engine->weights, &core->engine->model.parameters, file, &match);
    tensor_file_close(file);
    return status == COVER_OK ? engine_weights_changed(core->engine) : status;
}
static cover_status init_whole(struct trainer_core *core, const char *path) { return init_weights(core, path, false); }
static cover_status init_partly(struct trainer_core *core, const char *path) { return init_weights(core, path, true); }

cover_status cover_trainer_init_weights(cover_trainer *trainer, const char *path, int allow_partial) {
    if (!trainer || !path) return fail(COVER_ERROR_ARGUMENT, "cover_trainer_init_weights: an argument is NULL");
    TRY(core_by_writer(&trainer->core, allow_partial ? init_partly : init_whole, path));
    return ranks_share_state(trainer->core.engine);
}

static cover_status export_weights(struct trainer_core *core, const char *path) {
    TRY(engine_fetch(core->engine));
    return weights_write(core->context, path, &core->engine->model.parameters, core->engine->weights, core->config, NULL,
                         core->step);
}

cover_status cover_trainer_export(cover_trainer *trainer, const char *path) {
    if (!trainer || !path) return fail(COVER_ERROR_ARGUMENT, "cover_trainer_export: an argument is NULL");
    return core_by_writer(&trainer->core, export_weights, path);
}
