/* DenseCL (Wang et al., CVPR 2021): MoCo's loss, and the same for each cell of a view, whose positive is the cell of the other view that is
 * most alike.  A row of objective.h's table. */
#include "dense_networks.h"

static const double half = 0.5; /* weight of either loss */

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings);
    const float temperature = (float)settings->objective.temperature;
    const struct dense_sides sides = dense_sides(model, settings, grid);
    graph_scope(graph, "global");
    const int loss = graph_matched_nce(graph, sides.global, sides.global_key, ABSENT, objective_queue(graph, "queue", settings),
                                       temperature, (float)half);
    graph_scope(graph, "dense");
    const int match = graph_match_cells(graph, sides.query.features, sides.key.features, 1);
    const int dense = graph_matched_nce(graph, sides.query.projections, sides.key.projections, match,
                                        objective_queue(graph, "queue.dense", settings), temperature, (float)half);
    dense_nce_term(model, "global", "accuracy", loss, half);
    dense_nce_term(model, "dense", "accuracy_dense", dense, half);
    objective_term(model, &(struct loss_term){.name = "zero", .result = ABSENT, .place = DENSE_ZERO});
    dense_figures(model, sides.query.projections, sides.key.projections, sides.field, sides.query.projections, settings);
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
    .state_bytes = sizeof(struct queue_state),
    .start = dense_start,
    .visit = objective_queue_visit,
    .loaded = objective_queue_loaded,
    .after_step = dense_after_step,
};
