/* DSC-PM (Li et al., ACM Multimedia 2021): DenseCL with several matches a cell, and a third loss by classes: a cell says of which prototypes
 * its match is, as the codes of all cells of the batch have it.  A row of objective.h's table. */
#include "dense_networks.h"

static const float epsilon = 0.05f; /* of the codes */
enum { ROUNDS = 3 };

/* Unit projections against the prototypes. */
static int scores_of(struct graph *graph, int projections, const struct settings *settings) {
    return head_linear(graph, "prototypes", graph_unit(graph, projections), settings->objective.prototypes, false);
}

/* The semantic loss over the cells of the batch; it comes back to `scores`, and backward goes on from there and the other two losses. */
static void meet(struct model *model, int scores, int key_scores, int match, const int loss[2], const struct settings *settings) {
    struct graph *graph = &model->graph, *batch = &model->batch;
    const int64_t samples = settings->common.batch;
    const int own = objective_link(model, "scores", scores, 1, samples);
    const int keys = objective_link(model, "scores of keys", key_scores, 1, samples);
    const int matches = objective_link(model, "matches", match, 1, samples);
    if (matches == ABSENT) return;
    graph_scope(batch, "semantic");
    const int semantic = graph_soft_cross_entropy(
        batch, own, graph_sinkhorn(batch, keys, epsilon, ROUNDS), matches, grid_pixels(&graph->tensors[scores].grid),
        (float)settings->objective.prototype_temperature, (float)samples); /* a mean, whose gradient is divided by the batch */
    objective_term(model,
                   &(struct loss_term){
                       .name = "semantic", .result = graph_result(batch, semantic), .of_batch = true, .whole = true, .weight = 1});
    objective_meet(model, &(struct derivative){.outputs = 1, .output = {semantic}}, own, scores,
                   &(struct derivative){.outputs = 2, .output = {loss[0], loss[1]}});
}

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings);
    const float temperature = (float)settings->objective.temperature;
    int loss[2];
    const struct dense_sides sides = dense_sides(model, settings, grid);
    const int scores = scores_of(graph, sides.query.projections, settings);
    graph_twin(graph, objective_twin);
    const int key_scores = scores_of(graph, sides.key.projections, settings);
    graph_twin(graph, NULL);
    graph_scope(graph, "global");
    loss[0] =
        graph_matched_nce(graph, sides.global, sides.global_key, ABSENT, objective_queue(graph, "queue", settings), temperature, 1);
    graph_scope(graph, "dense");
    const int match = graph_match_cells(graph, sides.query.features, sides.key.features, (int)settings->objective.neighbours);
    loss[1] = graph_matched_nce(graph, sides.query.projections, sides.key.projections, match,
                                objective_queue(graph, "queue.dense", settings), temperature, 1);
    dense_nce_term(model, "global", "accuracy", loss[0], 1);
    dense_nce_term(model, "dense", "accuracy_dense", loss[1], 1);
    objective_term(model, &(struct loss_term){.name = "zero", .result = ABSENT, .place = DENSE_ZERO});
    dense_figures(model, sides.query.projections, sides.key.projections, sides.field, sides.query.projections, settings);
    meet(model, scores, key_scores, match, loss, settings);
    return COVER_OK;
}

/* ---- what follows the weights: as DenseCL; then prototypes become unit in both networks */

static cover_status unit_prototypes(struct objective_run *run) {
    TRY(objective_fresh_queue(run->engine, "prototypes.weight"));
    return objective_fresh_queue(run->engine, "twin.prototypes.weight");
}
static cover_status start(struct objective_run *run) {
    TRY(dense_start(run));
    return unit_prototypes(run);
}
static cover_status after_step(struct objective_run *run) {
    TRY(dense_after_step(run));
    return unit_prototypes(run);
}

static const struct objective_setting own_settings[] = {DENSE_SETTINGS,
                                                        {"head_norm", {"cells", "cells"}},
                                                        {"temperature", {"0.2", "0.2"}},
                                                        {"momentum", {"0.999", "0.999"}},
                                                        {"queue", {NULL, NULL}},
                                                        {"neighbours", {"4", "4"}},
                                                        {"prototypes", {"64", "64"}},
                                                        {"prototype_temperature", {"0.1", "0.1"}},
                                                        {0}};
static const struct figure_words figures[] = {
    {.name = "global", .over = "zero", .title = "contrastive loss of images", .naive = "answering at random"},
    {.name = "accuracy",
     .title = "accuracy of images",
     .note = "Share of views whose own key is more alike than all of the queue."},
    {.name = "dense", .over = "zero", .title = "contrastive loss of cells", .naive = "answering at random"},
    {.name = "accuracy_dense", .title = "accuracy of cells", .note = "The same of cells and their best matches."},
    {.name = "zero", .title = "contrastive loss of an answer at random"},
    DENSE_HIT_FIGURES,
    {.name = "semantic", .title = "loss of classes", .note = "Cross-entropy of a cell's prototypes with the codes of its match."},
    {0},
};
static const struct view_plan plan = {.recipe = &views_moco, .views = 2, .field = true, .make = dense_make};
const struct objective objective_dsc_pm = {
    .name = "dsc_pm",
    .title = "DSC-PM",
    .paper = "Dense Semantic Contrast for Self-Supervised Visual Representation Learning, ACM Multimedia 2021",
    .text = "finds the other view, each cell its four most alike ones there, and puts cells of all images into classes",
    .use = "for segmentation and detection, where parts of images are of a few kinds",
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
    .start = start,
    .visit = objective_queue_visit,
    .loaded = objective_queue_loaded,
    .after_step = after_step,
};
