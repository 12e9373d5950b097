/* What the dense objectives share.  See dense_networks.h. */
#include "dense_networks.h"

#include <math.h>
#include <stdio.h>

const struct objective_picture dense_pictures[] = {{"view a", DENSE_VIEWS, 0}, {"view b", DENSE_VIEWS, 1}, {0}};

/* ---- graphs */

int dense_head(struct graph *graph, int x, const struct settings *settings) {
    return head_mlp(graph, x,
                    &(struct mlp){.name = "dense",
                                  .layers = 2,
                                  .hidden = settings->objective.hidden,
                                  .out = settings->objective.projection,
                                  .norm = objective_norm(settings),
                                  .last_bias = true});
}
int dense_projector(struct graph *graph, int rows, const struct settings *settings) {
    if (rows == ABSENT) return ABSENT;
    return head_mlp(graph, rows,
                    &(struct mlp){.name = "projector",
                                  .layers = 2,
                                  .hidden = graph->tensors[rows].channels,
                                  .out = settings->objective.projection,
                                  .norm = ROW_NORM_NONE,
                                  .last_bias = true});
}

struct dense_cells dense_cells(struct graph *graph, int x, const struct settings *settings, int *coarse) {
    const struct levels levels = backbone_levels(graph->context, &settings->network);
    const int64_t number = settings->objective.dense_level;
    struct dense_cells cells;
    int level[LEVELS_MAX];
    backbone_of(graph->context, &settings->network)->build(graph, x, &settings->network, level);
    graph_scope(graph, "cells");
    cells.features = graph_cell_pool(graph, level[number], (int)settings->objective.cell / levels.at[number].stride);
    if (coarse) *coarse = graph_floats(graph, graph_global_pool(graph, level[0]));
    cells.projections = dense_head(graph, cells.features, settings);
    return cells;
}

int dense_inputs(struct graph *graph, const struct settings *settings, const struct grid *grid, int *field) {
    const int views = graph_input(graph, "views", 2, grid, settings->network.channels);
    *field = graph_cell_pool(graph, graph_input(graph, "field", 1, grid, grid->ndim), (int)settings->objective.cell);
    return views;
}

void dense_nce_term(struct model *model, const char *name, const char *accuracy, int loss, double weight) {
    const int result = graph_result(&model->graph, loss);
    objective_term(model, &(struct loss_term){.name = name, .result = result, .weight = weight, .over = "zero"});
    objective_term(model, &(struct loss_term){.name = accuracy, .result = result, .place = 1});
}

void dense_keys(struct model *model, const char *name, int keys, const struct settings *settings) {
    objective_link(model, name, keys, 1, settings->common.batch);
}

struct dense_sides dense_sides(struct model *model, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = &model->graph;
    struct dense_sides sides;
    int of_query, of_key;
    const int views = dense_inputs(graph, settings, grid, &sides.field);
    sides.query = dense_cells(graph, graph_image(graph, views, 0), settings, &of_query);
    sides.global = dense_projector(graph, of_query, settings);
    graph_twin(graph, objective_twin);
    sides.key = dense_cells(graph, graph_image(graph, views, 1), settings, &of_key);
    sides.global_key = dense_projector(graph, of_key, settings);
    const int mean_key = graph_global_pool(graph, sides.key.projections);
    graph_twin(graph, NULL);
    dense_keys(model, "global keys", sides.global_key, settings);
    dense_keys(model, "dense keys", mean_key, settings);
    return sides;
}

void dense_figures(struct model *model, int q, int k, int field, int rows, const struct settings *settings) {
    struct graph *graph = &model->graph;
    graph_scope(graph, "hit");
    const int hit = graph_hit(graph, q, k, field, (int)settings->objective.cell, (float)settings->objective.threshold);
    const int result = graph_result(graph, hit);
    objective_term(model, &(struct loss_term){.name = "hit", .result = result, .over = "hit_zero"});
    objective_term(model, &(struct loss_term){.name = "hit_zero", .result = result, .place = 1});
    objective_spread(model, objective_link(model, "cells", rows, 1, settings->common.batch));
}

/* ---- what follows the weights */

static bool has_queue(const struct objective_run *run, const char *name) {
    return parameters_find(&run->engine->model.parameters, name) >= 0;
}
cover_status dense_start(struct objective_run *run) {
    TRY(engine_follow(run->engine, objective_twin, 0));
    TRY(objective_fresh_queue(run->engine, "queue"));
    return has_queue(run, "queue.dense") ? objective_fresh_queue(run->engine, "queue.dense") : COVER_OK;
}
cover_status dense_after_step(struct objective_run *run) {
    struct queue_state *state = run->state;
    int64_t place = state->place;
    TRY(engine_push(run->engine, "queue", &place, 0, ABSENT));
    if (has_queue(run, "queue.dense")) TRY(engine_push(run->engine, "queue.dense", &(int64_t){state->place}, 1, ABSENT));
    state->place = place;
    return engine_follow(run->engine, objective_twin, run->settings->objective.momentum);
}
/* ---- settings and samples */

/* The largest cell, up to `most` pixels, of a stride's multiple that fills the crop; 0: there is none. */
static int64_t fitting_cell(const struct settings *settings, int64_t stride, int64_t most) {
    const struct grid crop = settings_grid(&settings->views.crop, (int)settings->network.dims);
    for (int64_t cell = most / stride * stride; cell > 0; cell -= stride) {
        bool fits = true;
        for (int i = 3 - crop.ndim; i < 3; i++) fits &= crop.size[i] % cell == 0;
        if (fits) return cell;
    }
    return 0;
}
cover_status dense_settle_cells(cover_config *config) {
    const struct settings *settings = config_settings(config);
    const struct levels levels = backbone_levels(config_context(config), &settings->network);
    char text[32];
    if (settings->objective.dense_level < 0) {
        snprintf(text, sizeof text, "%d", levels.count - 1);
        TRY(cover_config_set(config, "dense_level", text));
    }
    if (settings->objective.dense_level >= levels.count)
        return fail(COVER_ERROR_ARGUMENT, "dense_level=%lld: the backbone has %d levels; set dense_level=%d or less",
                    (long long)settings->objective.dense_level, levels.count, levels.count - 1);
    const int64_t stride = levels.at[settings->objective.dense_level].stride, cell = settings->objective.cell;
    const int64_t fits = fitting_cell(settings, stride, cell > stride ? cell : stride);
    if (fits == 0)
        return fail(COVER_ERROR_ARGUMENT,
                    "cell=%lld: no cell of whole pixels of dense_level=%lld fills the crop; set a crop of "
                    "multiples of %lld",
                    (long long)cell, (long long)settings->objective.dense_level, (long long)stride);
    if (fits != cell)
        return fail(COVER_ERROR_ARGUMENT, "cell=%lld: cells are multiples of %lld pixels that fill the crop; set cell=%lld",
                    (long long)cell, (long long)stride, (long long)fits);
    if (settings->objective.head_norm == HEAD_NORM_BATCH)
        return fail(COVER_ERROR_ARGUMENT, "head_norm=batch: heads of cells see one image at a time; set head_norm=cells or none");
    return COVER_OK;
}
cover_status dense_settle(cover_config *config, int64_t images) {
    TRY(dense_settle_cells(config));
    return objective_settle_queue(config, images, config_settings(config)->common.batch);
}

void dense_make(const struct view_work *work, struct sample *sample) {
    sample->known[DENSE_ZERO] = log(1 + (double)work->maker->run->settings->objective.queue);
}
