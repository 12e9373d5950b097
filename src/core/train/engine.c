/* What every way of training shares: the model, its parameters, the norm and the settings of an update.  How the samples of a step are
 * run is a stepper's: lanes.c, or resident.c.  Called by the trainer, bench and golden_check. */
#include "stepper.h"

#include "core/graph/session.h"
#include "device.h"

#include <math.h>
#include <string.h>

/* ---- making */

uint64_t engine_sample_bytes(const struct engine *engine) {
    uint64_t bytes = 0;
    for (int i = 0; i < engine->model.graph.tensor_count; i++) {
        const struct tensor *tensor = &engine->model.graph.tensors[i];
        if (tensor->storage == STORAGE_INPUT && tensor->parent == ABSENT) bytes += tensor_bytes(tensor);
    }
    return bytes;
}

struct engine_bytes engine_bytes(const struct engine *engine) {
    return engine->stepper->bytes(engine);
}

static cover_status fresh_weights(struct engine *engine) {
    engine->has_gradient = memory_zero(engine->context, (size_t)engine->model.parameters.count * sizeof *engine->has_gradient);
    if (!engine->has_gradient) return COVER_ERROR_MEMORY;
    for (int i = 0; i < engine->model.parameters.count; i++) engine->has_gradient[i] = model_has_gradient(&engine->model, i);
    parameters_initialise(&engine->model.parameters, engine->weights, (uint64_t)engine->settings.common.seed);
    return engine_weights_changed(engine);
}

cover_status engine_plan(struct engine **made, cover_context *context, const struct settings *settings, model_builder *build,
                         const struct grid *grid, int64_t batch) {
    struct engine *engine = memory_zero(context, sizeof *engine);
    if (!engine) return COVER_ERROR_MEMORY;
    *engine = (struct engine){.context = context,
                              .executor = context->executor,
                              .stepper = context->executor->training ? &stepper_resident : &stepper_lanes,
                              .settings = *settings,
                              .grid = *grid,
                              .batch = batch,
                              .share = {.batch = batch, .count = batch}};
    cover_status status;
    GO(build(&engine->model, context, &engine->settings, grid));
    GO(engine->stepper->plan(engine));
    *made = engine;
done:
    if (status != COVER_OK) engine_destroy(engine);
    return status;
}

cover_status engine_create(struct engine **made, cover_context *context, const struct settings *settings, model_builder *build,
                           const struct grid *grid, int64_t batch) {
    struct engine *engine;
    TRY(engine_plan(&engine, context, settings, build, grid, batch));
    cover_status status;
    GO(engine->stepper->allocate(engine));
    GO(fresh_weights(engine));
    *made = engine;
done:
    if (status != COVER_OK) engine_destroy(engine);
    return status;
}

void engine_destroy(struct engine *engine) {
    if (!engine) return;
    engine->stepper->free(engine);
    engine->executor->program_destroy(engine->program);
    model_free(&engine->model);
    memory_free(engine->context, engine->has_gradient);
    memory_free(engine->context, engine);
}

double engine_flops(const struct engine *engine) {
    const struct graph *graph = &engine->model.graph, *batch = &engine->model.batch;
    const bool twice = model_comes_back(&engine->model) && engine->holds > engine->lanes; /* forward, and once more for backward */
    double flops = 0, of_batch = 0;
    for (int n = 0; n < graph->node_count; n++)
        flops += node_flops(graph, &graph->nodes[n]) * (twice && n < graph->forward_nodes ? 2 : 1);
    for (int n = 0; n < batch->node_count; n++) of_batch += node_flops(batch, &batch->nodes[n]);
    return flops * (double)engine->batch + of_batch;
}

cover_status engine_weights_changed(struct engine *engine) { return engine->stepper->weights_changed(engine); }
bool engine_draws(const struct engine *engine) { return engine->executor->training && engine->executor->training->draws_views; }
cover_status engine_fetch(struct engine *engine) { return engine->stepper->fetch(engine); }

/* ---- steps */

cover_status engine_step(struct engine *engine, const struct sample_source *source, struct step_sums *sums) {
    return engine->stepper->step(engine, source, sums);
}

double engine_gradient_norm(struct engine *engine, int64_t count) {
    return sqrt(engine->stepper->square_sum(engine)) / (double)(count > 0 ? count : 1);
}

struct adam engine_adam(const struct engine *engine, int64_t count, double lr) {
    return adam_update(engine->updates + 1, lr, engine->settings.common.weight_decay, count);
}

cover_status engine_update(struct engine *engine, int64_t count, double norm, double lr) {
    const struct adam adam = adam_clipped(engine_adam(engine, count, lr), engine->settings.common.clip, norm);
    engine->updates++;
    return engine->stepper->update(engine, &adam);
}

bool step_counts(const struct step_sums *sums, double norm) { return sums->count > 0 && step_finite(sums, norm); }
bool step_finite(const struct step_sums *sums, double norm) {
    double sum = norm;
    for (int i = 0; i < MODEL_TERMS; i++) sum += sums->term[i]; /* zeros behind the model's */
    return isfinite(sum);
}

cover_status engine_train(struct engine *engine, const struct sample_source *source, double lr, struct step_sums *sums,
                          double *norm) {
    return engine->stepper->train(engine, source, lr, sums, norm);
}

void engine_set_inputs(struct run *run, const struct model *model, const struct sample *sample) {
    memcpy(run->input, sample->input, (size_t)model_inputs(model) * sizeof *run->input);
}

/* ---- what follows a step */

/* The ranges of held rows with this prefix, joined where both sides touch; at most a row each. */
static cover_status find_followers(struct follow *ranges, int *count, const struct parameters *parameters, const char *prefix) {
    const size_t length = strlen(prefix);
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *held = &parameters->rows[i];
        if (parameter_trained(parameters, i) || strncmp(held->name, prefix, length) != 0) continue;
        const int found = parameters_find(parameters, held->name + length);
        if (found < 0 || parameters->rows[found].count != held->count)
            return fail(COVER_ERROR_INTERNAL, "%s: there is no parameter that it can follow", held->name);
        const int64_t end = i + 1 < parameters->count ? parameters->rows[i + 1].offset : parameters->floats;
        const struct follow fresh = {held->offset, parameters->rows[found].offset, end - held->offset}; /* with its padding */
        struct follow *last = *count ? &ranges[*count - 1] : NULL;
        if (last && last->to + last->count == fresh.to && last->from + last->count == fresh.from) last->count += fresh.count;
        else ranges[(*count)++] = fresh;
    }
    return COVER_OK;
}

cover_status engine_follow(struct engine *engine, const char *prefix, double momentum) {
    const struct parameters *parameters = &engine->model.parameters;
    struct follow *ranges = memory_alloc(engine->context, (size_t)parameters->count * sizeof *ranges);
    int count = 0;
    if (!ranges) return COVER_ERROR_MEMORY;
    cover_status status = find_followers(ranges, &count, parameters, prefix);
    if (status == COVER_OK) status = engine->stepper->follow(engine, ranges, count, (float)(1 - momentum));
    memory_free(engine->context, ranges);
    return status;
}

cover_status engine_push(struct engine *engine, const char *queue, int64_t *place, int link, int result) {
    const struct parameters *parameters = &engine->model.parameters;
    const int found = parameters_find(parameters, queue);
    const struct tensor *rows = link == ABSENT ? graph_tensor(&engine->model.batch, STORAGE_RESULT, result)
                                               : link_input(&engine->model, &engine->model.link[link]);
    const int64_t count = tensor_elements(rows) / rows->channels;
    if (found < 0 || parameters->rows[found].rank != 2 || parameters->rows[found].shape[1] != rows->channels ||
        parameters->rows[found].shape[0] < count || parameter_trained(parameters, found))
        return fail(COVER_ERROR_INTERNAL, "%s: is no queue for such rows", queue);
    const struct parameter *ring = &parameters->rows[found];
    TRY(engine->stepper->push(engine, &(struct push){link, result, ring->offset, ring->shape[0], ring->shape[1], *place, count}));
    *place = (*place + count) % ring->shape[0];
    return COVER_OK;
}

cover_status engine_rows(struct engine *engine, int link, float *rows) { return engine->stepper->rows(engine, link, rows); }

cover_status engine_forget(struct engine *engine, const char *prefix) {
    const struct parameters *parameters = &engine->model.parameters;
    TRY(engine_fetch(engine));
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *row = &parameters->rows[i];
        if (!parameter_trained(parameters, i) || strncmp(row->name, prefix, strlen(prefix)) != 0) continue;
        memset(engine->m + row->offset, 0, (size_t)row->count * sizeof *engine->m);
        memset(engine->v + row->offset, 0, (size_t)row->count * sizeof *engine->v);
    }
    return engine_weights_changed(engine);
}

cover_status engine_forward(struct engine *engine, const struct sample_source *source, int result, float *rows) {
    const struct tensor *kept = graph_tensor(&engine->model.graph, STORAGE_RESULT, result);
    if (!kept || kept->images != 1 || kept->element != ELEMENT_F32)
        return fail(COVER_ERROR_INTERNAL, "result %d of the graph is not one image of floats", result);
    return engine->stepper->forward(engine, source, result, rows);
}

cover_status engine_back_inputs(float *back[MODEL_LINKS], struct run *run, const struct engine *engine) {
    for (int i = 0; i < engine->model.links; i++) {
        const struct link *link = &engine->model.link[i];
        if (link->back == ABSENT) continue;
        back[i] = memory_zero(engine->context, tensor_bytes(link_rows(&engine->model, link)));
        if (!back[i]) return COVER_ERROR_MEMORY;
        run->input[link->back] = back[i];
    }
    return COVER_OK;
}

/* ---- looking closer at one sample, by one thread */

struct closer { /* a program of one sample, with a lane of its own */
    struct session session;
    struct run run;
    float *back[MODEL_LINKS]; /* zeros: what flows back from other samples is not known here */
    bool lent;
};

static cover_status look_closer(struct closer *closer, struct engine *engine, const struct sample *sample) {
    cover_context *context = engine->context;
    *closer = (struct closer){.session = {.context = context, .graph = &engine->model.graph, .team = 1}};
    closer->run.parameters = engine->weights;
    engine_set_inputs(&closer->run, &engine->model, sample);
    TRY(engine_back_inputs(closer->back, &closer->run, engine));
    if ((closer->lent = engine->stepper->lend(engine, &closer->session.program, &closer->run))) return COVER_OK;
    TRY(engine_fetch(engine));
    TRY(session_open(&closer->session, context, &engine->model.graph, engine->weights, 1));
    TRY(session_begin(&closer->session, &closer->run));
    closer->run.gradient = memory_zero(context, (size_t)engine->model.parameters.trained * sizeof(float));
    return closer->run.gradient ? COVER_OK : COVER_ERROR_MEMORY;
}
static void look_away(struct closer *closer, struct engine *engine) {
    for (int i = 0; i < MODEL_LINKS; i++) memory_free(engine->context, closer->back[i]);
    if (closer->lent) return;
    session_end(&closer->session, &closer->run);
    session_close(&closer->session);
    memory_free(engine->context, closer->run.gradient);
}

cover_status engine_diagnose(struct engine *engine, const struct sample *sample) {
    struct closer closer;
    cover_status status;
    GO(look_closer(&closer, engine, sample));
    closer.run.check = true;
    status = session_run(&closer.session, &closer.run);
done:
    look_away(&closer, engine);
    return status;
}

cover_status engine_time(struct engine *engine, const struct sample *sample, double *node_seconds) {
    struct closer closer;
    cover_status status;
    GO(look_closer(&closer, engine, sample));
    status = session_time(&closer.session, &closer.run, node_seconds);
done:
    look_away(&closer, engine);
    return status;
}
