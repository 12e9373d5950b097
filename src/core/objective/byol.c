/* BYOL (Grill et al., NeurIPS 2020): each view's prediction is drawn to what a slowly following twin projects of the other view.  A row of
 * objective.h's table. */
#include "networks.h"
#include "view_maker.h"

enum { VIEWS = 2 };

static int mlp(struct graph *graph, const char *name, int x, const struct settings *settings) {
    return head_mlp(graph, x,
                    &(struct mlp){.name = name,
                                  .layers = 2,
                                  .hidden = settings->objective.hidden,
                                  .out = settings->objective.projection,
                                  .norm = objective_norm(settings)});
}

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings), *batch = &model->batch;
    const int views = graph_input(graph, "views", VIEWS, grid, settings->network.channels),
              rows = objective_rows(graph, views, settings);
    graph_twin(graph, objective_twin);
    const int twin_rows = objective_rows(graph, views, settings);
    graph_twin(graph, NULL);
    const int x = objective_link(model, "rows", rows, VIEWS, settings->common.batch),
              twin = objective_link(model, "twin's rows", twin_rows, VIEWS, settings->common.batch);
    if (twin == ABSENT) return graph->status;
    const int p = mlp(batch, "predictor", mlp(batch, "projector", x, settings), settings);
    graph_twin(batch, objective_twin);
    const int z = mlp(batch, "projector", twin, settings);
    graph_twin(batch, NULL);
    const int drawn = graph_hold(batch, p, 2);
    struct derivative losses = {0};
    for (int view = 0; view < VIEWS; view++) {
        const int loss = graph_cosine_loss(batch, graph_image(batch, drawn, view), graph_image(batch, z, 1 - view), ABSENT);
        losses.output[losses.outputs++] = loss;
        objective_term(model, &(struct loss_term){.name = view ? "view_b" : "view_a",
                                                  .result = graph_result(batch, loss),
                                                  .of_batch = true,
                                                  .offset = 2,
                                                  .scale = 2,
                                                  .weight = 1});
    }
    objective_spread(model, z);
    objective_meet(model, &losses, x, rows, NULL);
    return COVER_OK;
}

static cover_status start(struct objective_run *run) { return engine_follow(run->engine, objective_twin, 0); }
static cover_status after_step(struct objective_run *run) {
    return engine_follow(run->engine, objective_twin, objective_momentum(run->settings, run->engine->updates - 1));
}

static cover_status settle(cover_config *config, int64_t images) {
    (void)images;
    return objective_enough_rows(config, config_settings(config)->common.batch);
}

static const struct objective_setting own_settings[] = {
    {"projection", {"256", "256"}},   {"hidden", {"4096", "4096"}}, {"head_norm", {"batch", "batch"}},
    {"momentum", {"0.996", "0.996"}}, TWO_VIEWS_SETTINGS,           {0}};
static const struct figure_words figures[] = {
    {.name = "view_a",
     .title = "view a: distance",
     .note = "Of the unit prediction from view a and the twin's unit projection of view b, squared; 4 at most."},
    {.name = "view_b", .title = "view b: distance"},
    SPREAD_FIGURE,
    {0},
};
static const struct view_plan plan = {.recipe = &views_byol, .views = VIEWS};
static const struct objective_picture pictures[] = {{"view a", 0, 0}, {"view b", 0, 1}, {0}};
const struct objective objective_byol = {
    .name = "byol",
    .title = "BYOL",
    .paper = "Bootstrap Your Own Latent, NeurIPS 2020",
    .text = "predicts what a slowly following twin makes of the other view of the image, without negatives",
    .use = "for classification; steadier than SimSiam, with batches of 8 and more",
    .cost = "about half of COVER's operations, and a second copy of encoder and projector",
    .trained = "encoder",
    .sample = "view pair",
    .counts = "view pair",
    .setting = own_settings,
    .settle = settle,
    .graphs = graphs,
    .views = &plan,
    .figure = figures,
    .picture = pictures,
    .start = start,
    .after_step = after_step,
};
