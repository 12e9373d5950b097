/* Life, steps and checkpoints of a trainer. */
#include "trainer_core.h"

#include "core/nn/backbone.h"
#include "core/train/ranks.h"
#include "core/train/stepper.h"
#include "io/dataset/reader.h"

#include <string.h>

/* ---- life */

cover_status core_begin(struct trainer_core *core, const struct trainer_kind *kind, cover_context *context,
                        const cover_config *config, struct communicator *ranks) {
    core->kind = kind, core->context = context, core->ranks = ranks;
    TRY(config_expect(config, kind->task));
    TRY(cover_config_validate(config));
    TRY(cover_config_copy(&core->config, config));
    core->settings = *config_settings(core->config);
    return COVER_OK;
}

void core_data(struct trainer_core *core, const cover_dataset *dataset, const cover_dataset_info *info) {
    core->dataset = dataset;
    memcpy(core->hash, info->hash, sizeof core->hash);
    core->reader = dataset_reader(dataset);
}

cover_status core_engine(struct trainer_core *core) {
    const struct settings *s = &core->settings;
    struct grid grid = settings_grid(&s->views.crop, (int)s->network.dims);
    struct share share;
    TRY(share_with(&share, core->ranks, s->common.batch));
    TRY(engine_create(&core->engine, core->context, s, core->kind->model, &grid, share.count));
    return ranks_join(core->engine, &share);
}

static void stop_prefetch(struct trainer_core *core) {
    prefetch_destroy(core->prefetch);
    core->prefetch = NULL;
}

void core_free(struct trainer_core *core) {
    stop_prefetch(core);
    engine_destroy(core->engine);
    cover_config_destroy(core->config);
}

/* ---- a step */

/* The step at which the current period ends, which is begun where that is still to be done. */
static cover_status enter_period(struct trainer_core *core, int64_t *end) {
    const int64_t steps = core->kind->period ? core->kind->period(core) : 0, current = steps ? core->step / steps : 0;
    *end = steps ? (current + 1) * steps : INT64_MAX;
    if (!steps || core->periods == current + 1) return COVER_OK;
    stop_prefetch(core);
    TRY(core->kind->begin_period(core));
    core->periods = current + 1;
    return COVER_OK;
}

cover_status core_prefetch(struct trainer_core *core) {
    const struct sample_maker *maker;
    int64_t end;
    TRY(enter_period(core, &end));
    if (core->prefetch) return COVER_OK;
    TRY(core->kind->samples(&maker, core));
    return prefetch_create(&core->prefetch, core->engine, maker, core->step, end);
}

static cover_status ready(struct trainer_core *core) {
    if (cancelled(core->context)) return fail(COVER_ERROR_CANCELLED, "step %lld: cancelled", (long long)core->step + 1);
    return core_prefetch(core);
}

cover_status core_step(cover_step_report *given, struct trainer_core *core) {
    const double start = seconds_now(), rate = schedule_rate(&core->settings.common, core->step);
    struct step_sums sums;
    double norm;
    TRY(collective_agree(core->ranks, ready(core)));
    TRY(prefetch_step(&core->prefetch, core->engine, core->step, rate, &sums, &norm));
    if (!step_finite(&sums, norm)) return prefetch_diagnose(&core->prefetch, core->engine, core->step, core->kind->sample);
    core->step++;
    if (sums.count == 0 && core->kind->counts)
        log_line(core->context, COVER_LOG_WARNING, "step %lld: no %s, so no update was made", (long long)core->step,
                 core->kind->counts);
    if (core->kind->after_step && step_counts(&sums, norm)) TRY(collective_agree(core->ranks, core->kind->after_step(core)));
    const struct model *model = &core->engine->model;
    const double loss = model_figures(model, sums.term, sums.count, core->figures), seconds = seconds_now() - start;
    const cover_step_report report = {.struct_size = sizeof report,
                                      .step = core->step,
                                      .loss = loss,
                                      .figure_count = model->terms,
                                      .figures = core->figures,
                                      .grad_norm = norm,
                                      .lr = rate,
                                      .seconds = seconds,
                                      .samples_per_second = (double)core->settings.common.batch / seconds,
                                      .count = sums.count,
                                      .sample = core->kind->sample};
    report_write(given, &report, sizeof report);
    return COVER_OK;
}

/* ---- to and from files */

cover_status core_by_writer(struct trainer_core *core, cover_status (*work)(struct trainer_core *core, const char *path),
                            const char *path) {
    return collective_agree(core->ranks, core->ranks && core->ranks->rank != 0 ? COVER_OK : work(core, path));
}

cover_status core_save(struct trainer_core *core, const char *path) { return core_by_writer(core, core->kind->save, path); }

cover_status core_write(struct trainer_core *core, const char *path, const struct checkpoint_state *states, int count) {
    struct engine *engine = core->engine;
    TRY(engine_fetch(engine));
    const char *json = cover_config_json(core->config);
    if (!json) return COVER_ERROR_MEMORY;
    struct checkpoint checkpoint = {.step = core->step,
                                    .updates = engine->updates,
                                    .seed = core->settings.common.seed,
                                    .config = json,
                                    .dataset_hash = core->hash,
                                    .objective = core->kind->objective,
                                    .backbone = backbone_of(core->context, &core->settings.network)->name,
                                    .parameters = &engine->model.parameters,
                                    .weights = engine->weights,
                                    .m = engine->m,
                                    .v = engine->v,
                                    .states = states,
                                    .state_count = count};
    return checkpoint_write(core->context, path, &checkpoint);
}

static cover_status take(struct trainer_core *core, struct checkpoint_file *file) {
    struct engine *engine = core->engine;
    if (strcmp(file->objective, core->kind->objective) != 0)
        return fail(COVER_ERROR_MISMATCH, "%s: a checkpoint of objective '%s', not '%s'; %s", file->path, file->objective,
                    core->kind->objective, core->kind->foreign);
    TRY(config_resumes(core->config, file->path, file->config));
    if (core->dataset && strcmp(file->dataset_hash, core->hash) != 0)
        return fail(COVER_ERROR_MISMATCH,
                    "%s: the run was made with another dataset (content %.12s, not %.12s); give the "
                    "dataset of the run, or start a new run",
                    file->path, file->dataset_hash, core->hash);
    TRY(checkpoint_read(file, &engine->model.parameters, engine->weights, engine->m, engine->v));
    if (core->kind->load_states) TRY(core->kind->load_states(core, file));
    core->step = file->step, engine->updates = file->updates;
    return engine_weights_changed(engine);
}

static cover_status load(struct trainer_core *core, const char *path) {
    struct checkpoint_file *file;
    TRY(checkpoint_open(&file, core->context, path));
    cover_status status = take(core, file);
    checkpoint_close(file);
    return status;
}

cover_status core_load(struct trainer_core *core, const char *path) {
    TRY(core_by_writer(core, load, path));
    stop_prefetch(core);
    TRY(collective_broadcast(core->ranks, &core->step, sizeof core->step));
    TRY(collective_broadcast(core->ranks, &core->periods, sizeof core->periods));
    if (core->kind->share_states && core->ranks) TRY(core->kind->share_states(core));
    return ranks_share_state(core->engine);
}
