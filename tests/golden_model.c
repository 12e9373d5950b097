/* A whole model against its golden file: levels, field, mask, losses, every gradient, ten optimiser steps. */
#include "core/base/philox.h"
#include "core/objective/pairs.h"
#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PAIRS_MAX = 16, STEPS = 10 };
static const double bound_forward = 1e-4, bound_gradient = 3e-4, bound_after = 1e-3, bound_loss = 5e-6, bound_trajectory = 2e-3,
                    bound_norm = 3e-2;
/* bf16: levels in relative L2, losses before the first update, 1 - cosine of the whole gradient */
static const double half_level = 0.03, half_loss = 1e-2, half_cosine = 0.02;

struct network {
    cover_config *config;
    struct settings settings;
    struct tensor images, fields;
    float *moving, *fixed, *dvf, *views, *mask;
    struct view_pair pairs[PAIRS_MAX];
    struct sample samples[PAIRS_MAX];
};

static cover_status read_settings(struct golden *golden, struct network *model) {
    static const char *const names[] = {"dims", "coordinates", "widths", "radius", "heads", "head_dim", "lr", "weight_decay"};
    const char *dims = tensor_file_metadata(golden->file, "dims");
    TRY(cover_config_create(&model->config, golden->context, dims && *dims == '3' ? "paper-3d" : "paper-2d"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = tensor_file_metadata(golden->file, names[i]);
        if (!value) return fail(COVER_ERROR_FORMAT, "%s: metadata has no %s", golden->path, names[i]);
        TRY(cover_config_set(model->config, names[i], value));
    }
    const char *clip = tensor_file_metadata(golden->file, "clip");
    TRY(cover_config_set(model->config, "clip", !clip || strcmp(clip, "none") == 0 ? "0" : clip));
    TRY(cover_config_set(model->config, "precision", golden->half ? "bf16" : "fp32"));
    model->settings = *config_settings(model->config);
    model->settings.network.channels = model->images.channels;
    return COVER_OK;
}

/* The valid mask of method.md: p + v inside the image on every axis. */
static void make_pair(struct network *model, int index) {
    int64_t pixels = grid_pixels(&model->images.grid), channels = model->images.channels;
    int ndim = model->images.grid.ndim;
    const int64_t *size = model->images.grid.size;
    struct view_pair *pair = &model->pairs[index];
    pair->moving = model->views + 2 * index * pixels * channels;
    pair->fixed = pair->moving + pixels * channels;
    pair->field = model->dvf + index * pixels * ndim;
    pair->mask = model->mask + index * pixels;
    memcpy(pair->moving, model->moving + index * pixels * channels, (size_t)(pixels * channels) * sizeof(float));
    memcpy(pair->fixed, model->fixed + index * pixels * channels, (size_t)(pixels * channels) * sizeof(float));
    for (int64_t p = 0; p < pixels; p++) {
        int64_t at[3] = {p / (size[1] * size[2]), p / size[2] % size[1], p % size[2]};
        bool inside = true;
        for (int a = 0; a < ndim; a++) {
            float position = (float)at[3 - ndim + a] + pair->field[p * ndim + a];
            inside &= position >= 0 && position <= (float)(grid_axis(&model->images.grid, a) - 1);
        }
        pair->mask[p] = inside;
        pair->valid += inside;
        for (int a = 0; a < ndim && inside; a++) pair->zero_loss += fabsf(pair->field[p * ndim + a]);
    }
    model->samples[index] = pair_sample(pair);
}

static bool read_inputs(struct golden *golden, struct network *model) {
    struct tensor fixed;
    model->moving = golden_load(golden, "in.moving", &model->images);
    model->fixed = golden_load(golden, "in.fixed", &fixed);
    model->dvf = golden_load(golden, "in.dvf", &model->fields);
    if (!model->moving || !model->fixed || !model->dvf) return false;
    if (model->images.images > PAIRS_MAX || model->fields.images != model->images.images ||
        tensor_elements(&fixed) != tensor_elements(&model->images) || model->fields.channels != model->images.grid.ndim) {
        fail(COVER_ERROR_SHAPE, "%s: in.moving, in.fixed and in.dvf do not fit each other", golden->path);
        golden_error(golden, "inputs");
        return false;
    }
    int64_t pixels = model->images.images * grid_pixels(&model->images.grid);
    model->views = memory_alloc(golden->context, (size_t)(2 * pixels * model->images.channels) * sizeof(float));
    model->mask = memory_alloc(golden->context, (size_t)pixels * sizeof(float));
    if (!model->views || !model->mask) return false;
    for (int i = 0; i < model->images.images; i++) make_pair(model, i);
    golden_tensor(golden, "out.mask", model->mask, 0);
    return true;
}

static void move(const struct golden *golden, int parameter, float *weights, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const struct random4 r = philox((uint64_t)golden->draw, (uint32_t)i, RANDOM_TEST, (uint32_t)parameter, 0);
        weights[i] = (float)(weights[i] * (1 + golden->noise * (2.0 * uniform01(r.word[0]) - 1)));
    }
}

static cover_status load_weights(struct golden *golden, const struct parameters *parameters, float *weights) {
    for (int i = 0; i < parameters->count; i++) {
        char name[96];
        snprintf(name, sizeof name, "param.%s", parameters->rows[i].name);
        const struct tensor_entry *entry = tensor_file_find(golden->file, name);
        if (!entry || entry->elements != parameters->rows[i].count)
            return fail(COVER_ERROR_FORMAT, "%s: %s is missing or has another shape", golden->path, name);
        TRY(tensor_read_f32(golden->file, entry, weights + parameters->rows[i].offset));
        if (golden->noise > 0 && golden->draw > 0) move(golden, i, weights + parameters->rows[i].offset, entry->elements);
    }
    return COVER_OK;
}

/* ---- forward: levels of both views and the field */

struct forward {
    struct pair_graph pair;
    struct program *program;
    struct run run;
    struct levels levels;
    float *level[LEVELS_MAX][2], *flow; /* of all pairs, channels last */
};

static void keep(float *all, const void *result, int pair, size_t bytes, int image) {
    memcpy((char *)all + (size_t)pair * bytes, (const char *)result + (size_t)image * bytes, bytes);
}

static cover_status run_forward(struct golden *golden, struct network *model, struct forward *forward) {
    const struct executor *executor = golden->context->executor;
    size_t pixels = (size_t)grid_pixels(&model->images.grid) * (size_t)model->images.grid.ndim * sizeof(float);
    for (int pair = 0; pair < model->images.images; pair++) {
        forward->run.input[PAIR_IMAGES] = model->pairs[pair].moving;
        TRY(run_once(golden->context, executor, forward->program, &forward->run, golden->context->threads));
        for (int i = 0; i < forward->levels.count; i++) {
            const void *level = executor->program_result(forward->program, &forward->run, forward->pair.level[i]);
            size_t bytes = (size_t)(grid_pixels(&forward->pair.level_grid[i]) * forward->levels.at[i].channels) * 4;
            for (int view = 0; view < 2; view++) keep(forward->level[i][view], level, pair, bytes, view);
        }
        keep(forward->flow, executor->program_result(forward->program, &forward->run, forward->pair.field), pair, pixels, 0);
    }
    return COVER_OK;
}

static void compare_forward(struct golden *golden, struct network *model, struct forward *forward) {
    static const char *const views[] = {"moving", "fixed"};
    for (int i = 0; i < forward->levels.count; i++)
        for (int view = 0; view < 2; view++) {
            char name[64];
            struct tensor shape = {
                .images = model->images.images, .grid = forward->pair.level_grid[i], .channels = forward->levels.at[i].channels};
            snprintf(name, sizeof name, "out.level_%s.%d", views[view], i);
            golden_store(golden, &shape, forward->level[i][view]);
            if (golden->half) golden_distance(golden, name, forward->level[i][view], half_level);
            else golden_tensor(golden, name, forward->level[i][view], bound_forward);
        }
    if (golden->half) return;
    golden_store(golden, &model->fields, forward->flow);
    golden_tensor(golden, "out.flow", forward->flow, bound_forward);
}

static cover_status check_forward(struct golden *golden, struct network *model) {
    cover_context *context = golden->context;
    const struct executor *executor = context->executor;
    struct parameters parameters;
    struct forward forward = {.levels = backbone_levels(context, &model->settings.network)};
    float *weights = NULL;
    cover_status status;
    TRY(pair_parameters(&parameters, context, &model->settings));
    GO(pair_graph_build(&forward.pair, context, &parameters, &model->settings, &model->images.grid, PAIR_KEEP));
    GO(executor->program_create(&forward.program, context, &forward.pair.graph, context->threads));
    weights = memory_zero(context, (size_t)parameters.floats * sizeof *weights);
    GO(executor->arena_create(&forward.run.arena, forward.program));
    size_t images = (size_t)model->images.images;
    for (int i = 0; i < forward.levels.count; i++)
        for (int view = 0; view < 2; view++)
            forward.level[i][view] = memory_alloc(context, images * (size_t)grid_pixels(&forward.pair.level_grid[i]) *
                                                               (size_t)forward.levels.at[i].channels * sizeof(float));
    forward.flow = memory_alloc(context, (size_t)tensor_elements(&model->fields) * sizeof(float));
    GO(load_weights(golden, &parameters, weights));
    forward.run.parameters = weights;
    GO(executor->program_pack(forward.program, weights));
    GO(run_forward(golden, model, &forward));
    compare_forward(golden, model, &forward);
done:
    for (int i = 0; i < 2 * LEVELS_MAX; i++) memory_free(context, forward.level[i / 2][i % 2]);
    memory_free(context, forward.flow);
    executor->arena_destroy(forward.program, forward.run.arena);
    memory_free(context, weights);
    executor->program_destroy(forward.program);
    pair_graph_free(&forward.pair);
    parameters_free(&parameters);
    return status;
}

/* ---- training: losses, gradients, ten updates */

static cover_status take(void *user, int64_t index, const struct sample **sample) {
    *sample = &((struct network *)user)->samples[index];
    return COVER_OK;
}
static void give_back(void *user, int64_t index, const struct sample *sample) { (void)user, (void)index, (void)sample; }

static void compare_gradients(struct golden *golden, const struct engine *engine, int64_t valid) {
    for (int i = 0; i < engine->model.parameters.count; i++) {
        const struct parameter *row = &engine->model.parameters.rows[i];
        float *values = engine->gradient + row->offset, *mean = memory_alloc(golden->context, (size_t)row->count * 4);
        char name[96];
        snprintf(name, sizeof name, "grad.%s", row->name);
        for (int64_t k = 0; mean && k < row->count; k++) mean[k] = values[k] / (float)valid;
        if (mean) golden_tensor(golden, name, mean, bound_gradient);
        else golden_error(golden, name);
        memory_free(golden->context, mean);
    }
}

static cover_status compare_direction(struct golden *golden, const struct engine *engine) {
    double product = 0, square = 0, expected_square = 0;
    for (int i = 0; i < engine->model.parameters.count; i++) {
        const struct parameter *row = &engine->model.parameters.rows[i];
        const float *values = engine->gradient + row->offset;
        char name[96];
        float *expected;
        snprintf(name, sizeof name, "grad.%s", row->name);
        const struct tensor_entry *entry = tensor_file_find(golden->file, name);
        if (!entry || entry->elements != row->count) return fail(COVER_ERROR_FORMAT, "%s: %s does not fit", golden->path, name);
        TRY(tensor_load_f32(golden->file, entry, &expected));
        for (int64_t k = 0; k < row->count; k++) {
            product += (double)values[k] * expected[k];
            square += (double)values[k] * values[k], expected_square += (double)expected[k] * expected[k];
        }
        memory_free(golden->context, expected);
    }
    golden_cosine(golden, "grad: 1 - cosine", product, square, expected_square, half_cosine);
    return COVER_OK;
}

static void compare_after(struct golden *golden, const struct engine *engine) {
    for (int i = 0; i < engine->model.parameters.count; i++) {
        char name[96];
        snprintf(name, sizeof name, "after10.%s", engine->model.parameters.rows[i].name);
        if (tensor_file_find(golden->file, name))
            golden_tensor(golden, name, engine->weights + engine->model.parameters.rows[i].offset, bound_after);
    }
}

static cover_status check_training(struct golden *golden, struct network *model, struct engine *engine) {
    const struct tensor_entry *entry = tensor_file_find(golden->file, "out.trajectory");
    float expected[STEPS][3];
    if (!entry || entry->elements != STEPS * 3) return fail(COVER_ERROR_FORMAT, "%s: out.trajectory is missing", golden->path);
    TRY(tensor_read_f32(golden->file, entry, &expected[0][0]));
    struct sample_source source = {take, give_back, model};
    for (int step = 0; step < STEPS; step++) {
        struct step_sums sums;
        TRY(engine_step(engine, &source, &sums));
        TRY(engine_fetch(engine));
        double vector = sums.term[TERM_VECTOR] / (double)sums.count, cosine = 1 + sums.term[TERM_COSINE] / (double)sums.count;
        double norm = engine_gradient_norm(engine, sums.count);
        char name[64];
        if (step == 0) {
            const char *lv = tensor_file_metadata(golden->file, "loss_vec"), *lc = tensor_file_metadata(golden->file, "loss_con");
            golden_number(golden, "loss_vec", vector, lv ? atof(lv) : NAN, golden->half ? half_loss : bound_loss);
            golden_number(golden, "loss_con", cosine, lc ? atof(lc) : NAN, golden->half ? half_loss : bound_loss);
            if (golden->half) return compare_direction(golden, engine);
            compare_gradients(golden, engine, sums.count);
        }
        snprintf(name, sizeof name, "trajectory.%d.loss_vec", step);
        golden_number(golden, name, vector, expected[step][0], bound_trajectory);
        snprintf(name, sizeof name, "trajectory.%d.loss_con", step);
        golden_number(golden, name, cosine, expected[step][1], bound_trajectory);
        snprintf(name, sizeof name, "trajectory.%d.gradient_norm", step);
        golden_number(golden, name, norm, expected[step][2], bound_norm);
        TRY(engine_update(engine, sums.count, norm, model->settings.common.lr));
    }
    compare_after(golden, engine);
    return COVER_OK;
}

void golden_model(struct golden *golden) {
    struct network model = {0};
    struct engine *engine = NULL;
    cover_status status = COVER_OK;
    if (!read_inputs(golden, &model)) goto done;
    GO(read_settings(golden, &model));
    GO(check_forward(golden, &model));
    GO(engine_create(&engine, golden->context, &model.settings, pair_model, &model.images.grid, model.images.images));
    GO(load_weights(golden, &engine->model.parameters, engine->weights));
    GO(engine_weights_changed(engine));
    GO(check_training(golden, &model, engine));
done:
    if (status != COVER_OK) golden_error(golden, golden->path);
    engine_destroy(engine);
    cover_config_destroy(model.config);
    memory_free(golden->context, model.moving);
    memory_free(golden->context, model.fixed);
    memory_free(golden->context, model.dvf);
    memory_free(golden->context, model.views);
    memory_free(golden->context, model.mask);
}
