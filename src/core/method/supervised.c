/* Backbone, head and loss of a downstream task.  Called by the engine through task_model(), and by prediction. */
#include "supervised.h"

#include "core/nn/layers.h"

#include <stdio.h>
#include <string.h>

/* Modules in the order from the head back, under the prefixes of their parameters. */
static const char *const modules[] = {"backbone.up4.", "backbone.up3.", "backbone.up2.", "backbone.up1.",
                                                   "backbone.down4.", "backbone.down3.", "backbone.down2.", "backbone.down1.",
                                                   "backbone.inc."};
enum { MODULES = sizeof modules / sizeof *modules, DECODER_MODULES = LEVELS - 1 };

bool task_frozen(const struct settings *settings, const char *parameter) {
    if (strncmp(parameter, TASK_STANDARDISE ".", strlen(TASK_STANDARDISE ".")) == 0) return true;
    if (settings->task.trained == TRAINED_ALL || strncmp(parameter, TASK_HEAD ".", strlen(TASK_HEAD ".")) == 0) return false;
    if (settings->task.trained == TRAINED_HEAD) return true;
    int first = settings->task.task == TASK_CLASSIFICATION ? DECODER_MODULES : 0;
    for (int i = first; i < MODULES && i - first < settings->task.last_k; i++)
        if (strncmp(parameter, modules[i], strlen(modules[i])) == 0) return false;
    return true;
}

static int build_features(struct graph *graph, int images, const struct settings *settings) {
    int features[LEVELS];
    if (settings->task.task == TASK_SEGMENTATION) {
        unet_build(graph, images, settings->network.widths.value, features);
        return features[LEVELS - 1];
    }
    unet_encoder(graph, images, settings->network.widths.value, features);
    snprintf(graph->scope, sizeof graph->scope, "pool");
    return graph_global_pool(graph, features[LEVELS - 1]);
}

static int build_head(struct graph *graph, int features, const struct settings *settings) {
    if (features == ABSENT) return ABSENT;
    if (settings->task.standardise)
        features = layer_conv1(graph, TASK_STANDARDISE, features, graph->tensors[features].channels, true, INIT_ZERO);
    return layer_conv1(graph, TASK_HEAD, features, settings->task.classes, true, INIT_UNIFORM_FAN);
}

static void build_loss(struct task *task, const struct settings *settings, const struct grid *grid, int images, int logits,
                       bool gradient, const bool *frozen) {
    struct graph *graph = &task->graph;
    bool segmentation = settings->task.task == TASK_SEGMENTATION;
    struct grid pixel = {.ndim = grid->ndim, .size = {1, 1, 1}};
    int target = graph_input(graph, "target", images, segmentation ? grid : &pixel, settings->task.multilabel ? settings->task.classes : 1);
    int weights = graph_input(graph, "class weights", 1, &pixel, settings->task.classes);
    snprintf(graph->scope, sizeof graph->scope, "loss");
    int loss = settings->task.multilabel ? graph_sigmoid_loss(graph, logits, target, weights)
                                    : graph_softmax_loss(graph, logits, target, weights, 1, segmentation ? (float)settings->task.dice : 0);
    task->loss = graph_result(graph, loss);
    if (!gradient) return;
    struct derivative derivative = {.outputs = 1, .output = {loss}, .gradient = {loss}, .frozen = frozen};
    graph_differentiate(graph, &derivative);
}

/* Which rows of the table stay as they are; NULL after an error, which graph->status says. */
static bool *frozen_rows(struct graph *graph, const struct settings *settings) {
    if (graph->status != COVER_OK) return NULL;
    bool *frozen = memory_alloc(graph->context, (size_t)graph->parameters->count * sizeof *frozen);
    if (!frozen) graph->status = COVER_ERROR_MEMORY;
    for (int i = 0; frozen && i < graph->parameters->count; i++)
        frozen[i] = task_frozen(settings, graph->parameters->rows[i].name);
    return frozen;
}

cover_status task_build(struct task *task, cover_context *context, struct parameters *parameters, const struct settings *settings,
                        const struct grid *grid, int images, unsigned parts) {
    *task = (struct task){.logits = ABSENT, .features = ABSENT, .loss = ABSENT};
    struct graph *graph = &task->graph;
    graph_begin(graph, context, parameters);
    graph->features = settings_features(&settings->network);
    int input = graph_input(graph, "images", images, grid, settings->network.channels);
    int features = build_features(graph, input, settings);
    if (parts & TASK_FEATURES) task->features = graph_result(graph, features);
    int logits = parts & TASK_FEATURES ? ABSENT : build_head(graph, features, settings);
    if (parts & TASK_LOSS) {
        bool *frozen = parts & TASK_GRADIENT ? frozen_rows(graph, settings) : NULL;
        build_loss(task, settings, grid, images, logits, parts & TASK_GRADIENT, frozen);
        memory_free(context, frozen);
    }
    if (parts & TASK_KEEP) task->logits = graph_result(graph, logits);
    cover_status status = graph_finish(graph);
    if (status != COVER_OK) task_free(task);
    return status;
}

void task_free(struct task *task) { graph_free(&task->graph); }

cover_status task_parameters(struct parameters *parameters, cover_context *context, const struct settings *settings) {
    struct grid smallest = {.ndim = (int)settings->network.dims, .size = {1, UNET_MULTIPLE, UNET_MULTIPLE}};
    if (settings->network.dims == 3) smallest.size[0] = UNET_MULTIPLE;
    struct task task;
    *parameters = (struct parameters){.context = context};
    cover_status status = task_build(&task, context, parameters, settings, &smallest, 1, 0);
    if (status == COVER_OK) task_free(&task);
    else parameters_free(parameters);
    return status;
}

cover_status task_model(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct task task;
    TRY(task_parameters(&model->parameters, context, settings));
    TRY(task_build(&task, context, &model->parameters, settings, grid, 1, TASK_LOSS | TASK_GRADIENT));
    model->graph = task.graph;
    model->term[TERM_CROSS_ENTROPY] = (struct loss_term){task.loss, 0};
    model->term[TERM_DICE] = (struct loss_term){task.loss, 1};
    return COVER_OK;
}

int64_t task_targets(const struct settings *settings, const struct grid *crop) {
    return settings->task.task == TASK_SEGMENTATION ? grid_pixels(crop) : settings->task.multilabel ? settings->task.classes : 1;
}
