/* SetSim (Wang et al., CVPR 2022): as DenseCL, but a cell has a set of positives: cells that stand out in both views and are alike, and
 * those at the same place.  A row of objective.h's table. */
#include "dense_networks.h"

static const double half = 0.5; /* weight of either loss */

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings);
    const struct objective_settings *own = &settings->objective;
    const float temperature = (float)own->temperature;
    const struct cells_attributes how = {.cell = (int)own->cell,
                                         .threshold = (float)own->geometry,
                                         .attention = (float)own->attention,
                                         .similarity = (float)own->similarity};
    int shares;
    const struct dense_sides sides = dense_sides(model, settings, grid);
    graph_scope(graph, "global");
    const int loss = graph_matched_nce(graph, sides.global, sides.global_key, ABSENT, objective_queue(graph, "queue", settings),
                                       temperature, (float)half);
    graph_scope(graph, "dense");
    const int positives = graph_set_positives(graph, sides.query.features, sides.key.features, sides.field, &how, &shares);
    const int dense = graph_set_nce(graph, sides.query.projections, sides.key.projections, positives,
                                    objective_queue(graph, "queue.dense", settings), temperature, (float)half);
    dense_nce_term(model, "global", "accuracy", loss, half);
    dense_nce_term(model, "dense", "accuracy_dense", dense, half);
    objective_term(model, &(struct loss_term){.name = "positives", .result = graph_result(graph, dense), .place = 2});
    objective_term(model, &(struct loss_term){.name = "attended", .result = graph_result(graph, shares)});
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
                                                        {"attention", {"0.7", "0.7"}},
                                                        {"similarity", {"0.2", "0.2"}},
                                                        {"geometry", {"0.5", "0.41"}},
                                                        {0}};
static const struct figure_words figures[] = {
    {.name = "global", .over = "zero", .title = "contrastive loss of images", .naive = "answering at random"},
    {.name = "accuracy",
     .title = "accuracy of images",
     .note = "Share of views whose own key is more alike than all of the queue."},
    {.name = "dense", .over = "zero", .title = "contrastive loss of cells", .naive = "answering at random"},
    {.name = "accuracy_dense", .title = "accuracy of cells", .note = "Share of cells with positives whose most alike key is one."},
    {.name = "positives", .title = "positives", .note = "Of a cell that has any, on average."},
    {.name = "attended", .title = "share of cells that stand out"},
    {.name = "zero", .title = "contrastive loss of an answer at random"},
    DENSE_HIT_FIGURES,
    {0},
};
static const struct view_plan plan = {.recipe = &views_moco, .views = 2, .field = true, .make = dense_make};
const struct objective objective_setsim = {
    .name = "setsim",
    .title = "SetSim",
    .paper = "Exploring Set Similarity for Dense Self-supervised Representation Learning, CVPR 2022",
    .text = "as DenseCL, where a cell has a set of alike or near cells as its own",
    .use = "for segmentation and detection, where one match a cell is too few",
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
