/* PixPro (Xie et al., CVPR 2021): each cell of a view, smoothed over the cells of its image that are alike, is drawn to what a twin says of
 * the cells at the same place in the other view.  A row of objective.h's table. */
#include "dense_networks.h"

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings);
    const int cell = (int)settings->objective.cell;
    const float threshold = (float)settings->objective.threshold;
    static const char *const names[] = {"forth", "back"};
    int field, loss[2], pairs = ABSENT;
    const int views = dense_inputs(graph, settings, grid, &field);
    const int x = dense_cells(graph, views, settings, NULL).projections;
    const int value = head_linear(graph, "value", x, settings->objective.projection, true);
    graph_scope(graph, "propagation");
    const int y = graph_propagate(graph, x, value);
    graph_twin(graph, objective_twin);
    const int key = dense_cells(graph, views, settings, NULL).projections;
    graph_twin(graph, NULL);
    for (int i = 0; i < 2; i++) {
        graph_scope(graph, names[i]);
        loss[i] =
            graph_pair_cosine(graph, graph_image(graph, y, i), graph_image(graph, key, 1 - i), field, i == 1, cell, threshold, 1);
        const int result = graph_result(graph, loss[i]);
        objective_term(model, &(struct loss_term){.name = names[i], .result = result, .weight = 1});
        if (i == 0) pairs = result;
    }
    objective_term(model, &(struct loss_term){.name = "pairs", .result = pairs, .place = 1});
    dense_figures(model, graph_image(graph, y, 0), graph_image(graph, key, 1), field, y, settings);
    graph_differentiate(graph, &(struct derivative){.outputs = 2, .output = {loss[0], loss[1]}, .gradient = {loss[0], loss[1]}});
    return COVER_OK;
}

/* ---- what follows the weights */

static cover_status start(struct objective_run *run) { return engine_follow(run->engine, objective_twin, 0); }
static cover_status after_step(struct objective_run *run) {
    return engine_follow(run->engine, objective_twin, objective_momentum(run->settings, run->engine->updates));
}
static cover_status settle(cover_config *config, int64_t images) {
    (void)images;
    return dense_settle_cells(config);
}

static const struct objective_setting own_settings[] = {{"dense_level"},
                                                        {"cell", {"16", "16"}},
                                                        {"hidden", {"4096", "4096"}},
                                                        {"projection", {"256", "256"}},
                                                        {"threshold", {"0.7", "0.57"}},
                                                        {"head_norm", {"cells", "cells"}},
                                                        {"momentum", {"0.99", "0.99"}},
                                                        TWO_VIEWS_SETTINGS,
                                                        {0}};
static const struct figure_words figures[] = {
    {.name = "forth",
     .title = "moving to fixed",
     .note = "-2 times the mean cosine of a smoothed cell with the twin's cells at its place; -2 at best."},
    {.name = "back", .title = "fixed to moving"},
    {.name = "pairs", .title = "pairs of cells at the same place"},
    DENSE_HIT_FIGURES,
    {0},
};
static const struct view_plan plan = {.recipe = &views_byol, .views = 2, .field = true};
const struct objective objective_pixpro = {
    .name = "pixpro",
    .title = "PixPro",
    .paper = "Propagate Yourself, CVPR 2021",
    .text = "agrees, pixel by pixel of two views, with what a slowly following twin makes of the same place",
    .use = "for segmentation; without negatives, it can collapse: watch the figure spread",
    .cost = "about 1.4 times COVER's operations, and a second copy of the network",
    .trained = "whole",
    .sample = "view pair",
    .counts = "view pair",
    .setting = own_settings,
    .settle = settle,
    .graphs = graphs,
    .views = &plan,
    .figure = figures,
    .picture = dense_pictures,
    .start = start,
    .after_step = after_step,
};
