/* What the networks of objectives share.  See networks.h. */
#include "networks.h"

#include <math.h>
#include <stdio.h>

const char objective_twin[] = "twin.";

/* The whole backbone's rows, in the order in which it is built. */
static cover_status add_backbone(struct parameters *parameters, cover_context *context, const struct settings *settings) {
    const struct backbone *backbone = backbone_of(context, &settings->network);
    const struct grid smallest = backbone_grid(backbone, settings->network.dims, 1);
    int level[LEVELS_MAX];
    struct graph graph;
    graph_begin(&graph, context, parameters);
    backbone->build(&graph, graph_input(&graph, "image", 1, &smallest, settings->network.channels), &settings->network, level);
    cover_status status = graph_finish(&graph);
    graph_free(&graph);
    return status;
}

static cover_status build_once(struct model *model, cover_context *context, const struct settings *settings,
                               const struct grid *grid, model_builder *graphs) {
    TRY(graphs(model, context, settings, grid));
    TRY(graph_finish(&model->graph));
    return model->links ? graph_finish(&model->batch) : COVER_OK;
}

cover_status objective_model(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid,
                             model_builder *graphs) {
    model->parameters = (struct parameters){.context = context, .draft = true};
    TRY(add_backbone(&model->parameters, context, settings));
    TRY(build_once(model, context, settings, grid, graphs));
    TRY(parameters_order(&model->parameters));
    graph_free(&model->graph);
    graph_free(&model->batch);
    model->links = model->terms = model->rates = 0;
    return build_once(model, context, settings, grid, graphs);
}

struct graph *objective_graph(struct model *model, cover_context *context, const struct settings *settings) {
    graph_begin(&model->graph, context, &model->parameters);
    graph_begin(&model->batch, context, &model->parameters);
    model->graph.features = settings_features(&settings->network);
    return &model->graph;
}

int objective_features(struct graph *graph, int x, const struct settings *settings) {
    int level[LEVELS_MAX];
    backbone_of(graph->context, &settings->network)->build(graph, x, &settings->network, level);
    return level[backbone_levels(graph->context, &settings->network).count - 1];
}

int objective_rows(struct graph *graph, int x, const struct settings *settings) {
    const int coarse = backbone_of(graph->context, &settings->network)->encoder(graph, x, &settings->network);
    graph_scope(graph, "rows");
    return graph_floats(graph, graph_global_pool(graph, coarse));
}

enum row_norm objective_norm(const struct settings *settings) {
    static const enum row_norm norms[] = {[HEAD_NORM_BATCH] = ROW_NORM_BATCH,
                                          [HEAD_NORM_CELLS] = ROW_NORM_BATCH,
                                          [HEAD_NORM_LAYER] = ROW_NORM_LAYER,
                                          [HEAD_NORM_NONE] = ROW_NORM_NONE};
    return norms[settings->objective.head_norm];
}

int objective_term(struct model *model, const struct loss_term *term) {
    if (model->terms == MODEL_TERMS) model->graph.status = fail(COVER_ERROR_INTERNAL, "more than %d terms", MODEL_TERMS);
    else model->term[model->terms] = *term;
    return model->graph.status == COVER_OK ? model->terms++ : ABSENT;
}

int objective_link(struct model *model, const char *name, int rows, int images, int64_t batch) {
    struct graph *graph = &model->graph;
    const int result = graph_result(graph, rows);
    if (result == ABSENT) return ABSENT;
    const struct tensor *tensor = &graph->tensors[rows];
    const struct grid all = {2, {1, 1, batch * tensor->images / images * grid_pixels(&tensor->grid)}};
    const int input = graph_input(&model->batch, name, images, &all, tensor->channels);
    if (model->links == MODEL_LINKS) graph->status = fail(COVER_ERROR_INTERNAL, "more than %d links", MODEL_LINKS);
    else model->link[model->links++] = (struct link){result, model->batch.inputs - 1, ABSENT, ABSENT};
    return input;
}

void objective_meet(struct model *model, struct derivative *losses, int input, int rows, const struct derivative *own) {
    struct graph *graph = &model->graph;
    if (graph->status != COVER_OK || model->batch.status != COVER_OK) return;
    losses->wants = 1, losses->want[0] = input;
    for (int i = 0; i < losses->outputs; i++) losses->gradient[i] = losses->output[i];
    graph_differentiate(&model->batch, losses);
    const struct tensor *tensor = &graph->tensors[rows];
    const struct grid grid = tensor->grid;
    const int gradient = graph_result(&model->batch, losses->want_gradient[0]);
    const int back = graph_input(graph, "gradient of the rows", tensor->images, &grid, tensor->channels);
    for (int i = 0; i < model->links; i++)
        if (model->link[i].input == model->batch.tensors[input].index)
            model->link[i].gradient = gradient, model->link[i].back = graph->inputs - 1;
    struct derivative whole = {0};
    for (; own && whole.outputs < own->outputs; whole.outputs++)
        whole.output[whole.outputs] = whole.gradient[whole.outputs] = own->output[whole.outputs];
    whole.output[whole.outputs] = rows, whole.gradient[whole.outputs++] = back;
    graph_differentiate(graph, &whole);
}

void objective_spread(struct model *model, int rows) {
    struct graph *batch = &model->batch;
    graph_scope(batch, "spread");
    if (rows == ABSENT || batch->status != COVER_OK) return;
    const struct tensor *tensor = &batch->tensors[rows];
    const struct grid all = {2, {1, 1, tensor->images * grid_pixels(&tensor->grid)}};
    const int spread = graph_spread(batch, tensor->images > 1 ? graph_rows(batch, rows, 1, &all) : rows);
    objective_term(model,
                   &(struct loss_term){.name = "spread", .result = graph_result(batch, spread), .of_batch = true, .whole = true});
}

/* ---- what settings ask for */

cover_status objective_enough_rows(const cover_config *config, int64_t rows) {
    const struct settings *settings = config_settings(config);
    const long long batch = settings->common.batch, least = (4 * batch + rows - 1) / rows;
    if (settings->objective.head_norm != HEAD_NORM_BATCH) return COVER_OK;
    if (rows < 4)
        return fail(COVER_ERROR_ARGUMENT,
                    "batch=%lld: a norm over %lld rows leaves nothing to learn from; set batch=%lld or more (8 do well), or "
                    "head_norm=layer",
                    batch, (long long)rows, least);
    if (rows < 8)
        log_line(config_context(config), COVER_LOG_WARNING, "batch=%lld: a norm over %lld rows is coarse; %lld do well", batch,
                 (long long)rows, 8 * batch / rows);
    return COVER_OK;
}

cover_status objective_settle_queue(cover_config *config, int64_t images, int64_t keys) {
    const struct settings *settings = config_settings(config);
    int64_t queue = settings->objective.queue;
    char text[32];
    if (queue == 0) {
        const int64_t of_images = images > 0 ? images * (keys / settings->common.batch) / 2 / keys * keys : INT64_MAX;
        queue = keys < INT64_MAX / 256 ? 256 * keys : keys;
        queue = queue < 65536 ? queue : 65536;
        queue = queue < of_images ? queue : of_images;
        queue = queue > keys ? queue : keys;
    }
    if (queue < keys)
        return fail(COVER_ERROR_ARGUMENT, "queue=%lld: a step brings %lld keys; set queue=%lld or more, or a smaller batch",
                    (long long)queue, (long long)keys, (long long)keys);
    snprintf(text, sizeof text, "%lld", (long long)queue);
    return cover_config_set(config, "queue", text);
}

double objective_momentum(const struct settings *settings, int64_t update) {
    const double done = (double)update / (double)settings->common.steps;
    return 1 - (1 - settings->objective.momentum) * (1 + cos(3.14159265358979323846 * (done < 1 ? done : 1))) / 2;
}

/* ---- queues */

cover_status objective_fresh_queue(struct engine *engine, const char *name) {
    const int found = parameters_find(&engine->model.parameters, name);
    if (found < 0) return fail(COVER_ERROR_INTERNAL, "%s: there is no such queue", name);
    const struct parameter *queue = &engine->model.parameters.rows[found];
    TRY(engine_fetch(engine));
    for (int64_t i = 0; i < queue->shape[0]; i++) {
        float *row = engine->weights + queue->offset + i * queue->shape[1];
        double sum = 0;
        for (int64_t c = 0; c < queue->shape[1]; c++) sum += (double)row[c] * row[c];
        for (int64_t c = 0; c < queue->shape[1]; c++) row[c] = (float)(row[c] / fmax(sqrt(sum), 1e-12));
    }
    return engine_weights_changed(engine);
}

int objective_queue(struct graph *graph, const char *name, const struct settings *settings) {
    const int64_t shape[] = {settings->objective.queue, settings->objective.projection};
    const bool before = graph->parameters->hold;
    graph->parameters->hold = true;
    const int queue = graph_parameter(graph, name, 2, shape, 2, INIT_KAIMING_NORMAL);
    graph->parameters->hold = before;
    return queue;
}

void objective_queue_visit(struct objective_run *run, struct visitor *visitor) {
    visitor->array(visitor, "queue.place", run->state, sizeof(struct queue_state));
}

cover_status objective_queue_loaded(struct objective_run *run) {
    const int64_t place = ((const struct queue_state *)run->state)->place, rows = run->settings->objective.queue;
    if (place >= 0 && place < rows) return COVER_OK;
    return fail(COVER_ERROR_FORMAT, "place %lld of a queue of %lld", (long long)place, (long long)rows);
}
