/* Rows of samples through the batch graph.  A sample's rows of one image lie together, images one behind the other, so each rank has
 * a block of every image. */
#include "batch.h"

#include "ranks.h"

#include <string.h>

static const struct model *model_of(const struct engine *engine) { return &engine->model; }

static size_t link_bytes(const struct engine *engine, const struct link *link) {
    return tensor_bytes(link_input(model_of(engine), link));
}
/* Of one image of one sample. */
static size_t part_bytes(const struct engine *engine, const struct link *link) {
    const struct tensor *rows = link_rows(model_of(engine), link);
    return tensor_bytes(rows) / (size_t)rows->images;
}

cover_status batch_pass_plan(struct batch_pass *pass, const struct engine *engine) {
    *pass = (struct batch_pass){.team = engine->context->threads};
    if (!model_of(engine)->links) return COVER_OK;
    TRY(model_check(model_of(engine), engine->settings.common.batch));
    return engine->executor->program_create(&pass->program, engine->context, &model_of(engine)->batch, pass->team);
}

uint64_t batch_pass_bytes(const struct batch_pass *pass, const struct engine *engine) {
    if (!pass->program) return 0;
    uint64_t bytes = engine->executor->program_plan(pass->program)->arena_bytes +
                     engine->executor->program_packed_bytes(pass->program) +
                     (uint64_t)model_of(engine)->parameters.trained * sizeof(float);
    for (int i = 0; i < model_of(engine)->links; i++) bytes += link_bytes(engine, &model_of(engine)->link[i]);
    return bytes;
}

cover_status batch_pass_allocate(struct batch_pass *pass, const struct engine *engine) {
    const struct model *model = model_of(engine);
    cover_context *context = engine->context;
    if (!pass->program) return COVER_OK;
    for (int i = 0; i < model->links; i++) {
        pass->rows[i] = memory_alloc(context, link_bytes(engine, &model->link[i]));
        if (!pass->rows[i]) return COVER_ERROR_MEMORY;
        pass->run.input[model->link[i].input] = pass->rows[i];
    }
    pass->run.gradient = memory_zero(context, (size_t)model->parameters.trained * sizeof(float));
    pass->moves = memory_zero(context, (size_t)model->parameters.count * sizeof *pass->moves);
    if (!pass->run.gradient || !pass->moves) return COVER_ERROR_MEMORY;
    for (int i = 0; i < model->parameters.count; i++) pass->moves[i] = graph_has_gradient(&model->batch, i);
    return engine->executor->arena_create(&pass->run.arena, pass->program);
}

void batch_pass_free(struct batch_pass *pass, const struct engine *engine) {
    cover_context *context = engine->context;
    if (pass->program) engine->executor->arena_destroy(pass->program, pass->run.arena);
    for (int i = 0; i < MODEL_LINKS; i++) memory_free(context, pass->rows[i]);
    memory_free(context, pass->run.gradient);
    memory_free(context, pass->moves);
    engine->executor->program_destroy(pass->program);
    *pass = (struct batch_pass){0};
}

cover_status batch_pass_weights(struct batch_pass *pass, const struct engine *engine) {
    pass->run.parameters = engine->weights;
    return pass->program ? engine->executor->program_pack(pass->program, engine->weights) : COVER_OK;
}

/* ---- a step */

/* A sample's rows of a link, image by image, to their places among those of the whole batch, or back from there. */
static void copy_rows(const struct engine *engine, const struct link *link, char *all, char *own, int64_t index, bool back) {
    const size_t part = part_bytes(engine, link);
    const int images = link_rows(model_of(engine), link)->images;
    for (int k = 0; k < images; k++) {
        char *there = all + (size_t)(k * engine->share.batch + engine->share.first + index) * part, *here = own + (size_t)k * part;
        memcpy(back ? here : there, back ? there : here, part);
    }
}

void batch_pass_take(struct batch_pass *pass, const struct engine *engine, const struct run *run, int64_t index) {
    for (int i = 0; i < model_of(engine)->links; i++) {
        const struct link *link = &model_of(engine)->link[i];
        const void *rows = engine->executor->program_result(engine->program, run, link->result);
        copy_rows(engine, link, (char *)pass->rows[i], (char *)rows, index, false);
    }
}

void batch_pass_give(const struct batch_pass *pass, const struct engine *engine, float *const *back, int64_t index) {
    for (int i = 0; i < model_of(engine)->links; i++) {
        const struct link *link = &model_of(engine)->link[i];
        if (link->back == ABSENT) continue;
        const void *gradient = engine->executor->program_result(pass->program, &pass->run, link->gradient);
        copy_rows(engine, link, (char *)gradient, (char *)back[i], index, true);
    }
}

static cover_status gather(const struct batch_pass *pass, const struct engine *engine) {
    const struct model *model = model_of(engine);
    for (int i = 0; i < model->links; i++) {
        const size_t part = part_bytes(engine, &model->link[i]);
        const int images = link_rows(model, &model->link[i])->images;
        for (int k = 0; k < images; k++)
            TRY(ranks_gather(engine, (char *)pass->rows[i] + (size_t)(k * engine->share.batch) * part, part));
    }
    return COVER_OK;
}

cover_status batch_pass_run(struct batch_pass *pass, const struct engine *engine) {
    TRY(gather(pass, engine));
    return run_once(engine->context, engine->executor, pass->program, &pass->run, pass->team);
}

double batch_pass_term(const struct batch_pass *pass, const struct engine *engine, const struct loss_term *term) {
    const double *values = engine->executor->program_result(pass->program, &pass->run, term->result);
    return values[term->place];
}

void batch_pass_clear(const struct batch_pass *pass, const struct engine *engine) {
    const struct parameters *parameters = &model_of(engine)->parameters;
    for (int i = 0; pass->program && engine->gradient && i < parameters->count; i++)
        if (pass->moves[i])
            memset(engine->gradient + parameters->rows[i].offset, 0, (size_t)parameters->rows[i].count * sizeof(float));
}

void batch_pass_add(const struct batch_pass *pass, const struct engine *engine) {
    const struct parameters *parameters = &model_of(engine)->parameters;
    for (int i = 0; pass->program && i < parameters->count; i++) {
        const struct parameter *row = &parameters->rows[i];
        float *to = engine->gradient + row->offset;
        const float *from = pass->run.gradient + row->offset;
        if (pass->moves[i]) engine->executor->add(engine->program, to, to, from, row->count);
    }
}
