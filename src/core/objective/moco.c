/* MoCo v2 (Chen et al., 2020): a view finds the other one of its image, as a slowly following twin sees it, among keys of earlier steps.
 * A row of objective.h's table. */
#include "core/graph/dense.h"
#include "networks.h"
#include "view_maker.h"

#include <math.h>

enum { VIEWS = 2 };
enum { TERM_ZERO = 1 };
enum { LINK_QUERY, LINK_KEY }; /* of samples on their own; else: */
enum { RESULT_KEYS };          /* of the batch graph */

static int projector(struct graph *graph, int x, const struct settings *settings) {
    return head_mlp(graph, x,
                    &(struct mlp){.name = "projector",
                                  .layers = 2,
                                  .hidden = graph->tensors[x == ABSENT ? 0 : x].channels,
                                  .out = settings->objective.projection,
                                  .norm = objective_norm(settings),
                                  .last_bias = true});
}

static int loss_of(struct model *model, struct graph *graph, int query, int key, const struct settings *settings, bool of_batch) {
    graph_scope(graph, "nce");
    const int loss = graph_matched_nce(
        graph, query, key, ABSENT, objective_queue(graph, "queue", settings), (float)settings->objective.temperature,
        of_batch ? (float)settings->common.batch : 1); /* a mean, whose gradient is divided by the batch */
    const int result = graph_result(graph, loss);
    objective_term(
        model,
        &(struct loss_term){.name = "nce", .result = result, .of_batch = of_batch, .whole = of_batch, .weight = 1, .over = "zero"});
    objective_term(model, &(struct loss_term){.name = "zero", .result = ABSENT, .place = TERM_ZERO});
    objective_term(model,
                   &(struct loss_term){.name = "accuracy", .result = result, .place = 1, .of_batch = of_batch, .whole = of_batch});
    return loss;
}

/* The keys of a step among each other, and how far the queries are spread. */
static void add_figures(struct model *model, int query, int key) {
    struct graph *batch = &model->batch;
    const int right = graph_batch_right(batch, query, key);
    objective_term(model, &(struct loss_term){.name = "accuracy_batch", .result = graph_result(batch, right), .of_batch = true});
    objective_spread(model, query);
}

/* Each sample on its own: heads without a norm over rows. */
static void build_alone(struct model *model, int rows, int twin_rows, const struct settings *settings) {
    struct graph *graph = &model->graph;
    const int query = projector(graph, rows, settings);
    graph_twin(graph, objective_twin);
    const int key = projector(graph, twin_rows, settings);
    graph_twin(graph, NULL);
    const int loss = loss_of(model, graph, query, key, settings, false);
    const int query_rows = objective_link(model, "queries", query, 1, settings->common.batch),
              key_rows = objective_link(model, "keys", key, 1, settings->common.batch);
    if (key_rows == ABSENT) return;
    add_figures(model, query_rows, key_rows);
    graph_differentiate(graph, &(struct derivative){.outputs = 1, .output = {loss}, .gradient = {loss}});
}

/* With a batch norm in the heads. */
static void build_together(struct model *model, int rows, int twin_rows, const struct settings *settings) {
    struct graph *batch = &model->batch;
    const int x = objective_link(model, "rows", rows, 1, settings->common.batch),
              twin = objective_link(model, "twin's rows", twin_rows, 1, settings->common.batch);
    if (twin == ABSENT) return;
    const int query = projector(batch, x, settings);
    graph_twin(batch, objective_twin);
    const int key = projector(batch, twin, settings);
    graph_twin(batch, NULL);
    graph_result(batch, key); /* RESULT_KEYS */
    const int loss = loss_of(model, batch, query, key, settings, true);
    add_figures(model, query, key);
    objective_meet(model, &(struct derivative){.outputs = 1, .output = {loss}}, x, rows, NULL);
}

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings);
    const int views = graph_input(graph, "views", VIEWS, grid, settings->network.channels);
    const int rows = objective_rows(graph, graph_image(graph, views, 0), settings);
    graph_twin(graph, objective_twin);
    const int twin_rows = objective_rows(graph, graph_image(graph, views, 1), settings);
    graph_twin(graph, NULL);
    if (objective_norm(settings) == ROW_NORM_NONE) build_alone(model, rows, twin_rows, settings);
    else build_together(model, rows, twin_rows, settings);
    return COVER_OK;
}

/* ---- what follows the weights */

static cover_status start(struct objective_run *run) {
    TRY(engine_follow(run->engine, objective_twin, 0));
    return objective_fresh_queue(run->engine, "queue");
}
static cover_status after_step(struct objective_run *run) {
    struct queue_state *state = run->state;
    const bool alone = objective_norm(run->settings) == ROW_NORM_NONE;
    TRY(engine_push(run->engine, "queue", &state->place, alone ? LINK_KEY : ABSENT, alone ? ABSENT : RESULT_KEYS));
    return engine_follow(run->engine, objective_twin, run->settings->objective.momentum);
}
static cover_status settle(cover_config *config, int64_t images) {
    const struct settings *settings = config_settings(config);
    TRY(objective_settle_queue(config, images, settings->common.batch));
    return settings->objective.head_norm == HEAD_NORM_BATCH ? objective_enough_rows(config, settings->common.batch) : COVER_OK;
}

static const struct objective_setting own_settings[] = {{"projection", {"128", "128"}},
                                                        {"head_norm", {"none", "none"}},
                                                        {"temperature", {"0.2", "0.2"}},
                                                        {"momentum", {"0.999", "0.999"}},
                                                        {"queue", {NULL, NULL}},
                                                        TWO_VIEWS_SETTINGS,
                                                        {0}};
static const struct figure_words figures[] = {
    {.name = "nce",
     .over = "zero",
     .title = "contrastive loss",
     .note = "Cross-entropy of the key of the same image among those of the queue.",
     .naive = "answering at random"},
    {.name = "zero", .title = "contrastive loss of an answer at random"},
    {.name = "accuracy", .title = "accuracy", .note = "Share of queries whose own key is more alike than all of the queue."},
    {.name = "accuracy_batch",
     .title = "accuracy within the batch",
     .note = "Share of queries whose own key is the most alike of the batch's keys."},
    SPREAD_FIGURE,
    {0},
};
/* What an answer at random costs. */
static void make(const struct view_work *work, struct sample *sample) {
    sample->known[TERM_ZERO] = log(1 + (double)work->maker->run->settings->objective.queue);
}
static const struct view_plan plan = {.recipe = &views_moco, .views = VIEWS, .make = make};
static const struct objective_picture pictures[] = {{"view a", 0, 0}, {"view b", 0, 1}, {0}};
const struct objective objective_moco = {
    .name = "moco",
    .title = "MoCo v2",
    .paper = "Improved Baselines with Momentum Contrastive Learning, 2020",
    .text = "finds the other view of an image, as a slowly following twin sees it, among keys of earlier steps",
    .use = "for classification with any batch: its negatives wait in a queue, so it suits volumes, too",
    .cost = "about 0.2 of COVER's operations, a second copy of the encoder, and the queue",
    .trained = "encoder",
    .sample = "view pair",
    .counts = "view pair",
    .setting = own_settings,
    .settle = settle,
    .graphs = graphs,
    .views = &plan,
    .figure = figures,
    .picture = pictures,
    .state_bytes = sizeof(struct queue_state),
    .start = start,
    .visit = objective_queue_visit,
    .loaded = objective_queue_loaded,
    .after_step = after_step,
};
