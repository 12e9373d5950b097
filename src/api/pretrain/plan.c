/* What pretraining takes, told before it runs or of a trainer that stands (include/libcover/plan.h).  Called by the command's plan. */
#include "trainer.h"

#include "core/base/collective.h"
#include "core/train/ranks.h"

#include <libcover/plan.h>

static cover_plan plan_of(const struct engine *engine) {
    struct engine_bytes bytes = engine_bytes(engine);
    return (cover_plan){.struct_size = sizeof(cover_plan),
                        .ranks = 1,
                        .same_bits = 1,
                        .parameters = engine->model.parameters.total,
                        .flops_per_step = engine_flops(engine),
                        .weight_bytes = bytes.weights,
                        .gradient_bytes = bytes.gradients,
                        .optimiser_bytes = bytes.optimiser,
                        .arena_bytes = bytes.arena_per_lane,
                        .lanes = bytes.lanes,
                        .packed_weight_bytes = bytes.packed,
                        .sample_bytes = bytes.samples,
                        .batch_bytes = bytes.batch,
                        .total_bytes = bytes.total};
}

static cover_status plan_settled(cover_plan *given, cover_context *context, const struct settings *settings, int ranks) {
    struct grid grid = settings_grid(&settings->views.crop, (int)settings->network.dims);
    struct share share;
    int64_t most = 0;
    for (int rank = 0; rank < ranks; rank++) {
        TRY(share_of(&share, rank, ranks, settings->common.batch));
        if (share.count > most) most = share.count;
    }
    struct engine *engine;
    TRY(engine_plan(&engine, context, settings, objective_build, &grid, most));
    cover_plan plan = plan_of(engine);
    const struct objective *objective = objective_of(context, &settings->objective);
    if (objective->image_bytes) plan.image_bytes = objective->image_bytes(context, settings);
    plan.ranks = ranks, plan.samples_per_rank = most, plan.same_bits = share_keeps_bits(ranks);
    if (ranks > 1) plan.reduction_bytes = collective_sum_bytes(ranks, engine->model.parameters.trained);
    engine_destroy(engine);
    report_write(given, &plan, sizeof plan);
    return COVER_OK;
}

cover_status cover_plan_compute(cover_plan *given, cover_context *context, const cover_config *config, int ranks) {
    if (!given || !context || !config) return fail(COVER_ERROR_ARGUMENT, "cover_plan_compute: an argument is NULL");
    if (ranks < 1) return fail(COVER_ERROR_ARGUMENT, "cover_plan_compute: ranks is %d; use 1 or more", ranks);
    cover_config *settled;
    TRY(config_expect(config, false));
    TRY(cover_config_validate(config));
    TRY(cover_config_copy(&settled, config));
    cover_status status = objective_settle(settled, 0);
    if (status == COVER_OK) status = plan_settled(given, context, config_settings(settled), ranks);
    cover_config_destroy(settled);
    return status;
}

cover_status cover_trainer_plan(cover_plan *given, const cover_trainer *trainer) {
    if (!given || !trainer) return fail(COVER_ERROR_ARGUMENT, "cover_trainer_plan: an argument is NULL");
    const struct trainer_core *core = &trainer->core;
    cover_plan plan = plan_of(core->engine);
    if (trainer->objective->image_bytes) plan.image_bytes = trainer->objective->image_bytes(core->context, &core->settings);
    if (!core->context->executor->training) plan.total_bytes += plan.image_bytes * (uint64_t)core->reader.count;
    report_write(given, &plan, sizeof plan);
    return COVER_OK;
}

cover_status cover_plan_json(char **json, cover_context *context, const cover_plan *given) {
    if (!json || !context || !given) return fail(COVER_ERROR_ARGUMENT, "cover_plan_json: an argument is NULL");
    cover_plan plan = COVER_PLAN_INIT;
    TRY(options_read(&plan, sizeof plan, given, "cover_plan"));
    struct text text = {.context = context};
    text_add(&text, "{");
    if (plan.ranks > 1)
        text_add(&text, "\"ranks\": %d, \"pairs_per_rank\": %lld, \"same_bits\": %s, \"reduction_bytes\": %llu, ", plan.ranks,
                 (long long)plan.samples_per_rank, plan.same_bits ? "true" : "false", (unsigned long long)plan.reduction_bytes);
    text_add(&text,
             "\"parameters\": %lld, \"flops_per_step\": %.6g, \"bytes\": {\"weights\": %llu, \"gradients\": %llu, "
             "\"optimiser\": %llu, \"arena_per_lane\": %llu, \"lanes\": %d, \"packed_weights\": %llu, \"views\": %llu, ",
             (long long)plan.parameters, plan.flops_per_step, (unsigned long long)plan.weight_bytes,
             (unsigned long long)plan.gradient_bytes, (unsigned long long)plan.optimiser_bytes,
             (unsigned long long)plan.arena_bytes, plan.lanes, (unsigned long long)plan.packed_weight_bytes,
             (unsigned long long)plan.sample_bytes);
    if (plan.batch_bytes) text_add(&text, "\"batch_graph\": %llu, ", (unsigned long long)plan.batch_bytes);
    if (plan.image_bytes) text_add(&text, "\"per_image\": %llu, ", (unsigned long long)plan.image_bytes);
    text_add(&text, "\"total\": %llu}}", (unsigned long long)plan.total_bytes);
    return text_take(&text, json);
}
