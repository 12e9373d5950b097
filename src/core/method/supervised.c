/* Backbone, head and loss of a downstream task.  Called by the engine through task_model(), and by prediction. */
#include "supervised.h"

#include "core/nn/layers.h"

#include <stdio.h>
#include <string.h>

/* Is the parameter in one of `most` modules of the list?  Those that were looked at are taken off `most`. */
static bool in_modules(const char *const modules[BACKBONE_MODULES], const char *parameter, int64_t *most) {
    for (int i = 0; i < BACKBONE_MODULES && modules[i] && *most > 0; i++, --*most)
        if (strncmp(parameter, modules[i], strlen(modules[i])) == 0) return true;
    return false;
}

bool task_frozen(const struct task_kind *kind, const struct backbone *backbone, const struct task_settings *task,
                 const char *parameter) {
    if (strncmp(parameter, TASK_STANDARDISE ".", strlen(TASK_STANDARDISE ".")) == 0) return true;
    if (task->trained == TRAINED_ALL || strncmp(parameter, TASK_HEAD ".", strlen(TASK_HEAD ".")) == 0) return false;
    if (task->trained == TRAINED_HEAD) return true;
    int64_t modules = task->last_k;
    if (kind->dense && in_modules(backbone->decoder_modules, parameter, &modules)) return false;
    return !in_modules(backbone->encoder_modules, parameter, &modules);
}

static int build_features(struct graph *graph, int images, const struct task_kind *kind, const struct network_settings *network) {
    const struct backbone *backbone = backbone_of(graph->context, network);
    if (kind->dense) {
        int levels[LEVELS_MAX];
        backbone->build(graph, images, network, levels);
        return levels[backbone_levels(graph->context, network).count - 1];
    }
    int coarse = backbone->encoder(graph, images, network);
    graph_scope(graph, "pool");
    return graph_global_pool(graph, coarse);
}

static int build_head(struct graph *graph, int features, const struct task_settings *task) {
    if (features == ABSENT) return ABSENT;
    if (task->standardise)
        features = layer_conv1(graph, TASK_STANDARDISE, features, graph->tensors[features].channels, true, INIT_ZERO);
    return layer_conv1(graph, TASK_HEAD, features, task->classes, true, INIT_UNIFORM_FAN);
}

static void build_loss(struct task *task, const struct task_kind *kind, const struct task_settings *settings,
                       const struct grid *grid, int images, int logits, bool gradient, const bool *frozen) {
    struct graph *graph = &task->graph;
    struct grid pixel = {.ndim = grid->ndim, .size = {1, 1, 1}};
    int target = graph_input(graph, "target", images, kind->dense ? grid : &pixel, kind->targets(settings));
    int weights = graph_input(graph, "class weights", 1, &pixel, settings->classes);
    snprintf(graph->scope, sizeof graph->scope, "loss");
    int loss = kind->loss(graph, logits, target, weights, settings);
    task->loss = graph_result(graph, loss);
    if (!gradient) return;
    struct derivative derivative = {.outputs = 1, .output = {loss}, .gradient = {loss}, .frozen = frozen};
    graph_differentiate(graph, &derivative);
}

/* Which rows of the table stay as they are; NULL after an error, which graph->status says. */
static bool *frozen_rows(struct graph *graph, const struct task_kind *kind, const struct settings *settings) {
    if (graph->status != COVER_OK) return NULL;
    bool *frozen = memory_alloc(graph->context, (size_t)graph->parameters->count * sizeof *frozen);
    if (!frozen) graph->status = COVER_ERROR_MEMORY;
    for (int i = 0; frozen && i < graph->parameters->count; i++)
        frozen[i] =
            task_frozen(kind, backbone_of(graph->context, &settings->network), &settings->task, graph->parameters->rows[i].name);
    return frozen;
}

cover_status task_build(struct task *task, cover_context *context, struct parameters *parameters, const struct task_kind *kind,
                        const struct settings *settings, const struct grid *grid, int images, unsigned parts) {
    *task = (struct task){.logits = ABSENT, .features = ABSENT, .loss = ABSENT};
    struct graph *graph = &task->graph;
    graph_begin(graph, context, parameters);
    graph->features = settings_features(&settings->network);
    int input = graph_input(graph, "images", images, grid, settings->network.channels);
    int features = build_features(graph, input, kind, &settings->network);
    if (parts & TASK_FEATURES) task->features = graph_result(graph, features);
    int logits = parts & TASK_FEATURES ? ABSENT : build_head(graph, features, &settings->task);
    if (parts & TASK_LOSS) {
        bool *frozen = parts & TASK_GRADIENT ? frozen_rows(graph, kind, settings) : NULL;
        build_loss(task, kind, &settings->task, grid, images, logits, parts & TASK_GRADIENT, frozen);
        memory_free(context, frozen);
    }
    if (parts & TASK_KEEP) task->logits = graph_result(graph, logits);
    cover_status status = graph_finish(graph);
    if (status != COVER_OK) task_free(task);
    return status;
}

void task_free(struct task *task) { graph_free(&task->graph); }

cover_status task_parameters(struct parameters *parameters, cover_context *context, const struct settings *settings) {
    const struct task_kind *kind = task_kind_of(context, &settings->task);
    const struct grid smallest = backbone_grid(backbone_of(context, &settings->network), settings->network.dims, 1);
    struct task task;
    *parameters = (struct parameters){.context = context};
    cover_status status = task_build(&task, context, parameters, kind, settings, &smallest, 1, 0);
    if (status == COVER_OK) task_free(&task);
    else parameters_free(parameters);
    return status;
}

cover_status task_model(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    const struct task_kind *kind = task_kind_of(context, &settings->task);
    struct task task;
    TRY(task_parameters(&model->parameters, context, settings));
    TRY(task_build(&task, context, &model->parameters, kind, settings, grid, 1, TASK_LOSS | TASK_GRADIENT));
    model->graph = task.graph;
    model->terms = kind->terms;
    for (int i = 0; i < kind->terms; i++)
        model->term[i] = (struct loss_term){
            .name = kind->term[i], .result = task.loss, .place = i, .weight = kind->weight ? kind->weight(&settings->task, i) : 1};
    return COVER_OK;
}

int64_t task_targets(const struct task_kind *kind, const struct task_settings *task, const struct grid *crop) {
    return (kind->dense ? grid_pixels(crop) : 1) * kind->targets(task);
}
