/* SimSiam (Chen and He, CVPR 2021): each view's prediction is drawn to the other view's projection, through which no gradient flows.  A
 * row of objective.h's table. */
#include "networks.h"
#include "view_maker.h"

enum { VIEWS = 2 };

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings), *batch = &model->batch;
    const struct objective_settings *own = &settings->objective;
    const enum row_norm norm = objective_norm(settings);
    const int rows = objective_rows(graph, graph_input(graph, "views", VIEWS, grid, settings->network.channels), settings);
    const int x = objective_link(model, "rows", rows, VIEWS, settings->common.batch);
    if (x == ABSENT) return graph->status;
    const int64_t width = batch->tensors[x].channels;
    const int z = head_mlp(
        batch, x,
        &(struct mlp){.name = "projector", .layers = 3, .hidden = width, .out = own->projection, .norm = norm, .last_norm = true});
    const int p = head_mlp(
        batch, z,
        &(struct mlp){
            .name = "predictor", .layers = 2, .hidden = own->hidden, .out = own->projection, .norm = norm, .last_bias = true});
    const int drawn = graph_hold(batch, p, 0.5f), to = graph_hold(batch, z, 0);
    struct derivative losses = {0};
    for (int view = 0; view < VIEWS; view++) {
        const int loss = graph_cosine_loss(batch, graph_image(batch, drawn, view), graph_image(batch, to, 1 - view), ABSENT);
        losses.output[losses.outputs++] = loss;
        objective_term(
            model, &(struct loss_term){
                       .name = view ? "view_b" : "view_a", .result = graph_result(batch, loss), .of_batch = true, .weight = 0.5});
    }
    objective_spread(model, to);
    objective_meet(model, &losses, x, rows, NULL);
    return COVER_OK;
}

static cover_status settle(cover_config *config, int64_t images) {
    (void)images;
    return objective_enough_rows(config, config_settings(config)->common.batch);
}

static const struct objective_setting own_settings[] = {
    {"projection", {"2048", "2048"}}, {"hidden", {"512", "512"}}, {"head_norm", {"batch", "batch"}}, TWO_VIEWS_SETTINGS, {0}};
static const struct figure_words figures[] = {
    {.name = "view_a",
     .title = "view a: minus the cosine",
     .note = "Of the prediction from view a and the projection of view b; -1 at best."},
    {.name = "view_b", .title = "view b: minus the cosine"},
    SPREAD_FIGURE,
    {0},
};
static const struct view_plan plan = {.recipe = &views_moco, .views = VIEWS};
static const struct objective_picture pictures[] = {{"view a", 0, 0}, {"view b", 0, 1}, {0}};
const struct objective objective_simsiam = {
    .name = "simsiam",
    .title = "SimSiam",
    .paper = "Exploring Simple Siamese Representation Learning, CVPR 2021",
    .text = "predicts the row of one view of an image from that of the other, without negatives and without a twin",
    .use = "for classification with small batches (8 and more); watch the figure spread, it can collapse",
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
