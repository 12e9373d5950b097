/* DenseCL (Wang et al., CVPR 2021): MoCo's loss, and the same for each cell of a view, whose positive is the cell of the other view that is
 * most alike.  A row of objective.h's table. */
#include "dense_networks.h"

static const double half = 0.5; /* weight of either loss */

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings);
    const float temperature = (float)settings->objective.temperature;
    int field, of_query, of_key;
    const int views = dense_inputs(graph, settings, grid, &field);
    const struct dense_cells query = dense_cells(graph, graph_image(graph, views, 0), settings, &of_query);
    const int global = dense_projector(graph, of_query, settings);
    graph_twin(graph, objective_twin);
    const struct dense_cells key = dense_cells(graph, graph_image(graph, views, 1), settings, &of_key);
    const int global_key = dense_projector(graph, of_key, settings);
    const int mean_key = graph_global_pool(graph, key.projections);
    graph_twin(graph, NULL);
    dense_keys(model, "global keys", global_key, settings);
    dense_keys(model, "dense keys", mean_key, settings);
    graph_scope(graph, "global");
    const int loss =
        graph_matched_nce(graph, global, global_key, ABSENT, dense_queue(graph, "queue", settings), temperature, (float)half);
    graph_scope(graph, "dense");
    const int match = graph_match_cells(graph, query.features, key.features, 1);
    const int dense = graph_matched_nce(graph, query.projections, key.projections, match,
                                        dense_queue(graph, "queue.dense", settings), temperature, (float)half);
    dense_nce_term(model, "global", "accuracy", loss, half);
    dense_nce_term(model, "dense", "accuracy_dense", dense, half);
    objective_term(model, &(struct loss_term){.name = "zero", .result = ABSENT, .place = DENSE_ZERO});
    dense_figures(model, query.projections, key.projections, field, query.projections, settings);
    graph_differentiate(graph, &(struct derivative){.outputs = 2, .output = {loss, dense}, .gradient = {loss, dense}});
    return COVER_OK;
}

static const struct objective_setting own_settings[] = {DENSE_SETTINGS,
                                                        {"head_norm", {"cells", "cells"}},
                                                        {"temperature", {"0.2", "0.2"}},
                                                        {"momentum", {"0.999", "0.999"}},
                                                        {"queue", {NULL, NULL}},
                                                        {0}};
static const struct figure_words figures[] = {
    {.name = "global", .over = "zero", .title = "contrastive loss of images", .naive = "answering at random"},
    {.name = "accuracy",
     .title = "accuracy of images",
     .note = "Share of views whose own key is more alike than all of the queue."},
    {.name = "dense", .over = "zero", .title = "contrastive loss of cells", .naive = "answering at random"},
    {.name = "accuracy_dense", .title = "accuracy of cells", .note = "The same of cells and their matches."},
    {.name = "zero", .title = "contrastive loss of an answer at random"},
    DENSE_HIT_FIGURES,
    {0},
};
static const struct view_plan plan = {.recipe = &views_moco, .views = 2, .field = true, .make = dense_make};
const struct objective objective_densecl = {
    .name = "densecl",
    .title = "DenseCL",
    .paper = "Dense Contrastive Learning for Self-Supervised Visual Pre-Training, CVPR 2021",
    .text = "finds the other view, and each cell of it its most alike cell there, among keys of earlier steps",
    .use = "for segmentation and detection: features of places, not of images alone",
    .cost = "about 0.7 of COVER's operations, a second copy of the network, and two queues",
    .trained = "whole",
    .sample = "view pair",
    .counts = "view pair",
    .setting = own_settings,
    .settle = dense_settle,
    .graphs = graphs,
    .views = &plan,
    .figure = figures,
    .picture = dense_pictures,
    .state_bytes = sizeof(struct dense_state),
    .start = dense_start,
    .visit = dense_visit,
    .loaded = dense_loaded,
    .after_step = dense_after_step,
};
