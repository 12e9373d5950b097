/* VADeR (Pinheiro et al., NeurIPS 2020): points of a scene find themselves in another view, as a twin sees it, among points of earlier
 * steps.  A row of objective.h's table. */
#include "dense_networks.h"

#include <math.h>

enum { MOVING_POINTS = DENSE_INPUTS, FIXED_POINTS };

static int project(struct graph *graph, int x, int points, const struct settings *settings, int *cells) {
    const int features = objective_features(graph, x, settings);
    graph_scope(graph, "points");
    const int projected = dense_head(graph, graph_sample_points(graph, features, points), settings);
    graph_scope(graph, "cells");
    *cells = dense_head(graph, graph_hold(graph, graph_cell_pool(graph, features, (int)settings->objective.cell), 0), settings);
    return projected;
}

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings);
    const struct grid points = {grid->ndim, {1, 1, settings->objective.points}};
    int field, of_query, of_key;
    const int views = dense_inputs(graph, settings, grid, &field);
    const int moving = graph_input(graph, "points of the moving view", 1, &points, grid->ndim),
              fixed = graph_input(graph, "points of the fixed view", 1, &points, grid->ndim);
    const int query = project(graph, graph_image(graph, views, 0), moving, settings, &of_query);
    graph_twin(graph, objective_twin);
    const int key = project(graph, graph_image(graph, views, 1), fixed, settings, &of_key);
    graph_twin(graph, NULL);
    dense_keys(model, "keys", key, settings);
    graph_scope(graph, "nce");
    const int loss = graph_matched_nce(graph, query, key, ABSENT, objective_queue(graph, "queue", settings),
                                       (float)settings->objective.temperature, 1);
    dense_nce_term(model, "points", "accuracy", loss, 1);
    objective_term(model, &(struct loss_term){.name = "zero", .result = ABSENT, .place = DENSE_ZERO});
    dense_figures(model, of_query, of_key, field, of_query, settings);
    graph_differentiate(graph, &(struct derivative){.outputs = 1, .output = {loss}, .gradient = {loss}});
    return COVER_OK;
}

/* ---- samples: points of the fixed view inside the mask, and where the field says they are in the moving one */

static int64_t extra(const struct settings *settings, const struct grid *crop) {
    return 2 * crop->ndim * settings->objective.points;
}
/* The pixel of the mask with this rank. */
static int64_t valid_pixel(const float *mask, int64_t rank) {
    for (int64_t p = 0;; p++)
        if (mask[p] > 0 && rank-- == 0) return p;
}
static void make(const struct view_work *work, struct sample *sample) {
    const struct view_maker *maker = work->maker;
    const struct grid *grid = &maker->crop;
    const int64_t count = maker->run->settings->objective.points, pixels = grid_pixels(grid);
    const float *field = sample->input[1], *mask = sample->input[2];
    struct random_stream stream = chance_stream(&work->chance, RANDOM_POINTS, 0);
    float *moving = work->extra, *fixed = moving + count * grid->ndim;
    int64_t valid = 0;
    for (int64_t p = 0; p < pixels; p++) valid += mask[p] > 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t p = valid > 0 ? valid_pixel(mask, random_below(&stream, valid)) : random_below(&stream, pixels);
        const int64_t at[3] = {p / grid->size[2] / grid->size[1], p / grid->size[2] % grid->size[1], p % grid->size[2]};
        for (int a = 0; a < grid->ndim; a++) {
            fixed[i * grid->ndim + a] = (float)at[3 - grid->ndim + a];
            moving[i * grid->ndim + a] = (float)at[3 - grid->ndim + a] + field[p * grid->ndim + a];
        }
    }
    sample->input[MOVING_POINTS] = moving, sample->input[FIXED_POINTS] = fixed;
    dense_make(work, sample);
}

static cover_status settle(cover_config *config, int64_t images) {
    const struct settings *settings = config_settings(config);
    TRY(dense_settle_cells(config));
    return objective_settle_queue(config, images, settings->common.batch * settings->objective.points);
}

static const struct objective_setting own_settings[] = {{"cell", {"16", "16"}},
                                                        {"hidden", {"512", "512"}},
                                                        {"projection", {"128", "128"}},
                                                        {"threshold", {"0.7", "0.57"}},
                                                        {"head_norm", {"none", "none"}},
                                                        {"temperature", {"0.07", "0.07"}},
                                                        {"momentum", {"0.999", "0.999"}},
                                                        {"queue", {NULL, NULL}},
                                                        {"points", {"32", "32"}},
                                                        {"dense_level"},
                                                        TWO_VIEWS_SETTINGS,
                                                        {0}};
static const struct figure_words figures[] = {
    {.name = "points", .over = "zero", .title = "contrastive loss of points", .naive = "answering at random"},
    {.name = "accuracy", .title = "accuracy", .note = "Share of points whose own key is more alike than all of the queue."},
    {.name = "zero", .title = "contrastive loss of an answer at random"},
    DENSE_HIT_FIGURES,
    {0},
};
static const struct view_plan plan = {.recipe = &views_moco, .views = 2, .field = true, .extra = extra, .make = make};
const struct objective objective_vader = {
    .name = "vader",
    .title = "VADeR",
    .paper = "Unsupervised Learning of Dense Visual Representations, NeurIPS 2020",
    .text = "finds the same point of the other view among keys of earlier steps",
    .use = "for segmentation: each pixel gets a feature of its own; better from weights of moco",
    .cost = "about 0.7 of COVER's operations, a second copy of the network, and a queue",
    .trained = "whole",
    .sample = "view pair",
    .counts = "view pair",
    .setting = own_settings,
    .settle = settle,
    .graphs = graphs,
    .views = &plan,
    .figure = figures,
    .picture = dense_pictures,
    .state_bytes = sizeof(struct queue_state),
    .start = dense_start,
    .visit = objective_queue_visit,
    .loaded = objective_queue_loaded,
    .after_step = dense_after_step,
};
