/* SimCLR (Chen et al., ICML 2020; version 2 with three layers, NeurIPS 2020): of all views of a batch, each finds the other one of its
 * image.  A row of objective.h's table. */
#include "networks.h"
#include "view_maker.h"

#include <math.h>

enum { VIEWS = 2 };
enum { TERM_ZERO = 1 };

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings), *batch = &model->batch;
    const struct objective_settings *own = &settings->objective;
    const int rows = objective_rows(graph, graph_input(graph, "views", VIEWS, grid, settings->network.channels), settings);
    const int x = objective_link(model, "rows", rows, 1, settings->common.batch); /* statistics over both views together */
    if (x == ABSENT) return graph->status;
    const int z = head_mlp(batch, x,
                           &(struct mlp){.name = "projector",
                                         .layers = (int)own->projector_layers,
                                         .hidden = batch->tensors[x].channels,
                                         .out = own->projection,
                                         .norm = objective_norm(settings),
                                         .last_norm = true,
                                         .last_parts = HEAD_SCALE});
    const int loss = graph_nt_xent(batch, graph_hold(batch, z, 0.5f), (float)own->temperature), result = graph_result(batch, loss);
    objective_term(model, &(struct loss_term){
                              .name = "nt_xent", .result = result, .of_batch = true, .scale = 0.5, .weight = 1, .over = "zero"});
    objective_term(model, &(struct loss_term){.name = "zero", .result = ABSENT, .place = TERM_ZERO});
    objective_term(model, &(struct loss_term){.name = "accuracy", .result = result, .place = 1, .of_batch = true, .scale = 0.5});
    objective_spread(model, z);
    objective_meet(model, &(struct derivative){.outputs = 1, .output = {loss}}, x, rows, NULL);
    return COVER_OK;
}

static cover_status settle(cover_config *config, int64_t images) {
    (void)images;
    return objective_enough_rows(config, 2 * config_settings(config)->common.batch);
}

static const struct objective_setting own_settings[] = {{"projection", {"128", "128"}},
                                                        {"projector_layers", {"2", "2"}},
                                                        {"head_norm", {"batch", "batch"}},
                                                        {"temperature", {"0.1", "0.1"}},
                                                        TWO_VIEWS_SETTINGS,
                                                        {0}};
static const struct figure_words figures[] = {
    {.name = "nt_xent",
     .over = "zero",
     .title = "contrastive loss",
     .note = "Cross-entropy of the other view of the image among all views of the batch.",
     .naive = "answering at random"},
    {.name = "zero", .title = "contrastive loss of an answer at random"},
    {.name = "accuracy", .title = "accuracy", .note = "Share of views whose most alike one is that of the same image."},
    SPREAD_FIGURE,
    {0},
};
/* What an answer at random costs. */
static void make(const struct view_work *work, struct sample *sample) {
    sample->known[TERM_ZERO] = log(2 * (double)work->maker->run->settings->common.batch - 1);
}
static const struct view_plan plan = {.recipe = &views_simclr, .views = VIEWS, .make = make};
static const struct objective_picture pictures[] = {{"view a", 0, 0}, {"view b", 0, 1}, {0}};
const struct objective objective_simclr = {
    .name = "simclr",
    .title = "SimCLR",
    .paper = "A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020",
    .text = "finds the other view of an image among all views of the batch",
    .use = "for classification where large batches fit: the other images of the batch are its negatives",
    .cost = "about 0.4 of COVER's operations",
    .trained = "encoder",
    .sample = "view pair",
    .counts = "view pair",
    .setting = own_settings,
    .settle = settle,
    .graphs = graphs,
    .views = &plan,
    .figure = figures,
    .picture = pictures,
};
