/* The public trainer: a trainer core that learns what an objective says, alone or with other ranks (include/libcover/trainer.h). */
#include "trainer.h"

#include "core/base/memory.h"
#include "core/train/ranks.h"
#include "io/weights/tensor_hash.h"
#include "io/weights/weights.h"

#include <libcover/ranks.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert((int)COVER_FIGURES_MAX == (int)MODEL_TERMS, "a figure a term");

/* ---- the dataset */

/* The first sample that the objective does not take, by its name; the status of all together where each alone would do. */
static cover_status refuse_sample(const struct objective *objective, const struct settings *settings, const cover_dataset *dataset,
                                  const cover_dataset_info *info, cover_status refused) {
    for (int64_t i = 0; i < info->samples; i++) {
        cover_sample_info sample = COVER_SAMPLE_INFO_INIT;
        TRY(cover_dataset_sample(&sample, dataset, i));
        struct grid grid = {.ndim = info->dims, .size = {sample.size[0], sample.size[1], sample.size[2]}};
        cover_status status = objective_accepts(objective, settings, &grid, info->channels);
        if (status != COVER_OK) return fail_in(status, "%s", sample.name);
    }
    return refused;
}

/* Refuse here, by the dataset's smallest image, what would fail in the middle of a run. */
static cover_status check_dataset(const struct objective *objective, const struct settings *settings, const cover_dataset *dataset,
                                  const cover_dataset_info *info) {
    if (info->samples < 1) return fail(COVER_ERROR_SHAPE, "the dataset is empty");
    if (info->dims != settings->network.dims)
        return fail(COVER_ERROR_SHAPE, "the dataset has %dD images, but dims=%d; use preset=paper-%dd", info->dims,
                    (int)settings->network.dims, info->dims);
    if (info->channels != settings->network.channels)
        return fail(COVER_ERROR_SHAPE, "the dataset has %d channel%s, but channels=%d; set channels=%d, or pack such images",
                    info->channels, info->channels == 1 ? "" : "s", (int)settings->network.channels, info->channels);
    struct grid smallest = {.ndim = info->dims, .size = {info->min_size[0], info->min_size[1], info->min_size[2]}};
    struct grid largest = {.ndim = info->dims, .size = {info->max_size[0], info->max_size[1], info->max_size[2]}};
    cover_status status = objective_accepts(objective, settings, &smallest, info->channels);
    if (status == COVER_OK) status = objective_accepts(objective, settings, &largest, info->channels);
    return status == COVER_ERROR_SHAPE ? refuse_sample(objective, settings, dataset, info, status) : status;
}

/* ---- the objective's hooks */

static struct objective_run *run_of(struct trainer_core *core) {
    struct objective_run *run = &((cover_trainer *)core)->run;
    run->step = core->step;
    return run;
}
static const struct objective *row_of(const struct trainer_core *core) { return ((const cover_trainer *)core)->objective; }

static cover_status after_step(struct trainer_core *core) { return row_of(core)->after_step(run_of(core)); }
static int64_t period(const struct trainer_core *core) { return row_of(core)->period(&((const cover_trainer *)core)->run); }
static cover_status begin_period(struct trainer_core *core) { return row_of(core)->begin_period(run_of(core)); }

static cover_status samples(const struct sample_maker **maker, struct trainer_core *core) {
    cover_trainer *trainer = (cover_trainer *)core;
    if (!trainer->maker && !(trainer->maker = memory_zero(core->context, objective_maker_bytes(trainer->objective))))
        return COVER_ERROR_MEMORY;
    *maker = trainer->maker;
    return objective_maker(trainer->maker, trainer->objective, run_of(core));
}

static cover_status start(struct trainer_core *core) { return row_of(core)->start ? row_of(core)->start(run_of(core)) : COVER_OK; }

/* ---- its state, in files and between ranks */

struct arrays { /* every array of the state */
    struct visitor visitor;
    cover_context *context;
    struct checkpoint_state *at;
    int64_t capacity;
    int count;
    bool full; /* there was no memory for more */
};
static void note_array(struct visitor *visitor, const char *name, void *data, size_t bytes) {
    struct arrays *arrays = (struct arrays *)visitor;
    if (arrays->full || !array_grow(arrays->context, &arrays->at, &arrays->capacity, arrays->count + 1, sizeof *arrays->at))
        arrays->full = true;
    else arrays->at[arrays->count++] = (struct checkpoint_state){name, data, (int64_t)bytes};
}
static cover_status list_arrays(struct arrays *arrays, struct trainer_core *core) {
    const struct objective *objective = row_of(core);
    *arrays = (struct arrays){.visitor = {note_array}, .context = core->context};
    if (objective->visit) objective->visit(run_of(core), &arrays->visitor);
    if (objective->period) note_array(&arrays->visitor, "periods", &core->periods, sizeof core->periods);
    return arrays->full ? COVER_ERROR_MEMORY : COVER_OK;
}

static cover_status save(struct trainer_core *core, const char *path) {
    struct arrays arrays;
    cover_status status = list_arrays(&arrays, core);
    if (status == COVER_OK) status = core_write(core, path, arrays.at, arrays.count);
    memory_free(core->context, arrays.at);
    return status;
}

static cover_status load_array(const struct checkpoint_state *array, struct checkpoint_file *file) {
    uint8_t *data;
    int64_t bytes;
    TRY(checkpoint_read_state(file, array->name, &data, &bytes));
    const bool fits = bytes == array->bytes;
    if (fits) memcpy((void *)array->data, data, (size_t)bytes);
    memory_free(file->context, data);
    return fits ? COVER_OK
                : fail(COVER_ERROR_FORMAT, "state \"%s\" has %lld bytes, not %lld", array->name, (long long)bytes,
                       (long long)array->bytes);
}

static cover_status load_states(struct trainer_core *core, struct checkpoint_file *file) {
    struct arrays arrays;
    cover_status status = list_arrays(&arrays, core);
    for (int i = 0; status == COVER_OK && i < arrays.count; i++) status = load_array(&arrays.at[i], file);
    memory_free(core->context, arrays.at);
    if (status == COVER_OK && row_of(core)->loaded) status = row_of(core)->loaded(run_of(core));
    return status == COVER_ERROR_FORMAT ? fail_in(status, "%s", file->path) : status;
}

static cover_status share_states(struct trainer_core *core) {
    struct arrays arrays;
    cover_status status = collective_agree(core->ranks, list_arrays(&arrays, core));
    for (int i = 0; status == COVER_OK && i < arrays.count; i++)
        status = collective_broadcast(core->ranks, (void *)arrays.at[i].data, (size_t)arrays.at[i].bytes);
    memory_free(core->context, arrays.at);
    return status;
}

/* ---- life */

static struct trainer_kind kind_of(const struct objective *objective) {
    return (struct trainer_kind){.objective = objective->name,
                                 .foreign = "give one of this objective, or start a new run",
                                 .sample = objective->sample,
                                 .counts = objective->counts,
                                 .model = objective_build,
                                 .samples = samples,
                                 .save = save,
                                 .load_states = load_states,
                                 .share_states = share_states,
                                 .after_step = objective->after_step ? after_step : NULL,
                                 .period = objective->period ? period : NULL,
                                 .begin_period = begin_period};
}

static cover_status begin(cover_trainer *trainer, cover_context *context, const cover_config *config) {
    struct trainer_core *core = &trainer->core;
    TRY(core_begin(core, &trainer->kind, context, config, context->communicator));
    TRY(core_engine(core));
    trainer->run =
        (struct objective_run){.context = context, .settings = &core->settings, .reader = &core->reader, .engine = core->engine};
    if (!(trainer->run.state = memory_zero(context, trainer->objective->state_bytes))) return COVER_ERROR_MEMORY;
    return COVER_OK;
}

static cover_status create_bare(cover_trainer **made, cover_context *context, const cover_config *config,
                                const struct objective *objective) {
    cover_trainer *trainer = handle_make(context, sizeof *trainer);
    if (!trainer) return COVER_ERROR_MEMORY;
    cover_status status;
    trainer->objective = objective, trainer->kind = kind_of(objective);
    GO(begin(trainer, context, config));
    *made = trainer;
done:
    if (status != COVER_OK) cover_trainer_destroy(trainer);
    return status;
}

static cover_status create_here(cover_trainer **made, cover_context *context, cover_dataset *dataset, const cover_config *config,
                                const cover_dataset_info *info) {
    const struct objective *objective = objective_of(context, &config_settings(config)->objective);
    cover_config *settled;
    TRY(cover_config_copy(&settled, config));
    cover_status status;
    GO(objective_settle(settled, info->samples));
    GO(check_dataset(objective, config_settings(settled), dataset, info));
    GO(create_bare(made, context, settled, objective));
    core_data(&(*made)->core, dataset, info);
    GO(start(&(*made)->core));
    if (objective->image_bytes)
        GO(memory_room(context, objective->image_bytes(context, &(*made)->core.settings) * (uint64_t)info->samples));
done:
    cover_config_destroy(settled);
    return status;
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
    if (trainer->run.state && trainer->objective->end) trainer->objective->end(&trainer->run);
    core_free(&trainer->core);
    memory_free(trainer->core.context, trainer->run.state);
    memory_free(trainer->core.context, trainer->maker);
    handle_free(trainer->core.context, trainer);
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

/* In front of the tensors that do not fit: the setting that makes theirs another network. */
static void say_why(cover_status status, const struct trainer_core *core, const cover_config *stored, bool head,
                    const char *misfits) {
    const char *name = weights_differ_in(core->config, stored, head);
    if (name)
        fail(status,
             "weights of a network of %s=%s, but the settings say %s (give neither a preset nor %s, and the weights decide): %s",
             name, cover_config_get(stored, name), cover_config_get(core->config, name), name, misfits);
    else fail(status, "%s", misfits);
}

/* Of another objective, or of this one as it is exported, the backbone alone is taken: there is nothing else to take. */
static bool has_no_more(struct trainer_core *core, struct tensor_file *file) {
    const char *objective = weights_origin(file).objective;
    const bool task = objective && strcmp(objective, OBJECTIVE_OF_TASKS) == 0;
    if (!objective) objective = "cover"; /* the authors' */
    if (strcmp(objective, row_of(core)->name) != 0) return !task;
    bool more = row_of(core)->pairs; /* whose exports are whole */
    for (int64_t i = 0; i < file->count; i++) more = more || strncmp(file->entries[i].name, "backbone.", 9) != 0;
    return !more;
}

/* Which tensors are looked at. */
static cover_status choose(struct weights_match *match, const char *fresh[BACKBONE_MODULES + 1], struct trainer_core *core,
                           struct tensor_file *file) {
    if (!has_no_more(core, file)) return COVER_OK;
    TRY(weights_untrained(fresh, file, backbone_of(core->context, &core->settings.network)));
    match->only = "backbone.", match->fresh = fresh;
    log_line(core->context, COVER_LOG_INFO, "%s: the %s is taken; what objective %s has beside it begins as it is drawn",
             file->source.name, fresh[0] ? "trained part of its backbone" : "backbone", row_of(core)->name);
    return COVER_OK;
}

static cover_status init_from(struct trainer_core *core, struct tensor_file *file, bool allow_partial) {
    struct weights_match match = {.allow_partial = allow_partial};
    struct weights_about about;
    const char *fresh[BACKBONE_MODULES + 1];
    cover_config *stored;
    char *misfits = NULL;
    TRY(cover_config_copy(&stored, core->config));
    const bool known = weights_describe(stored, &about, file) == COVER_OK;
    cover_status status = tensor_hash_verify(file, NULL);
    if (status == COVER_OK && known) status = choose(&match, fresh, core, file);
    if (status == COVER_OK) status = weights_load(core->engine->weights, &core->engine->model.parameters, file, &match);
    if (status == COVER_ERROR_MISMATCH && known) misfits = memory_text(core->context, cover_error_text());
    if (misfits) say_why(status, core, stored, about.head, misfits);
    memory_free(core->context, misfits);
    cover_config_destroy(stored);
    return status;
}

static cover_status init_weights(struct trainer_core *core, const char *path, bool allow_partial) {
    struct tensor_file *file;
    TRY(weights_open(&file, core->context, path));
    cover_status status = init_from(core, file, allow_partial);
    tensor_file_close(file);
    return status == COVER_OK ? engine_weights_changed(core->engine) : status;
}
static cover_status init_whole(struct trainer_core *core, const char *path) { return init_weights(core, path, false); }
static cover_status init_partly(struct trainer_core *core, const char *path) { return init_weights(core, path, true); }

cover_status cover_trainer_init_weights(cover_trainer *trainer, const char *path, int allow_partial) {
    if (!trainer || !path) return fail(COVER_ERROR_ARGUMENT, "cover_trainer_init_weights: an argument is NULL");
    TRY(core_by_writer(&trainer->core, allow_partial ? init_partly : init_whole, path));
    TRY(ranks_share_state(trainer->core.engine));
    return collective_agree(trainer->core.ranks, start(&trainer->core));
}

static cover_status export_weights(struct trainer_core *core, const char *path) {
    TRY(engine_fetch(core->engine));
    const char *only =
        row_of(core)->pairs ? NULL : "backbone."; /* heads of the others, twins and queues are of no use to anybody */
    return weights_write(core->context, path, &core->engine->model.parameters, core->engine->weights, core->config, only,
                         core->step, NULL);
}

cover_status cover_trainer_export(cover_trainer *trainer, const char *path) {
    if (!trainer || !path) return fail(COVER_ERROR_ARGUMENT, "cover_trainer_export: an argument is NULL");
    return core_by_writer(&trainer->core, export_weights, path);
}
