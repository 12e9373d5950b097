/* The pair's graph: views in, two loss sums and the gradient of every parameter out.  Called by train/engine.c. */
#include "cover.h"

#include <stdio.h>
#include <string.h>

static void build_losses(struct objective *objective, const struct settings *settings, const int levels[LEVELS], int field,
                         int truth, int mask, bool gradient) {
    struct graph *graph = &objective->graph;
    snprintf(graph->scope, sizeof graph->scope, "l_con");
    const int full = levels[LEVELS - 1];
    int moving = graph_warp(graph, graph_image(graph, full, 0), truth, settings->objective.coordinates);
    int cosine = graph_cosine_loss(graph, graph_image(graph, full, 1), moving, mask);
    snprintf(graph->scope, sizeof graph->scope, "l_vec");
    int vector = graph_vector_loss(graph, field, truth, mask);
    objective->vector_sum = graph_result(graph, vector);
    objective->cosine_sum = graph_result(graph, cosine);
    if (!gradient) return;
    struct derivative derivative = {0};
    if (settings->objective.loss_vec) derivative.output[derivative.outputs++] = vector;
    if (settings->objective.loss_con) derivative.output[derivative.outputs++] = cosine;
    memcpy(derivative.gradient, derivative.output, sizeof derivative.output);
    graph_differentiate(graph, &derivative);
}

cover_status objective_build(struct objective *objective, cover_context *context, struct parameters *parameters,
                             const struct settings *settings, const struct grid *grid, unsigned parts) {
    *objective = (struct objective){.vector_sum = ABSENT, .cosine_sum = ABSENT, .field = ABSENT};
    struct graph *graph = &objective->graph;
    int levels[LEVELS], level_field[LEVELS] = {ABSENT, ABSENT, ABSENT, ABSENT, ABSENT};
    graph_begin(graph, context, parameters);
    graph->features = settings_features(&settings->network);
    int images = graph_input(graph, "views", 2, grid, settings->network.channels);
    int truth = graph_input(graph, "true field", 1, grid, grid->ndim);
    int mask = graph_input(graph, "mask", 1, grid, 1);
    unet_build(graph, images, settings->network.widths.value, levels);
    int field = vpa_build(graph, levels, settings, level_field);
    if ((parts & OBJECTIVE_KEEP) && graph->status == COVER_OK) {
        for (int i = 0; i < LEVELS; i++) {
            objective->level_grid[i] = graph->tensors[levels[i]].grid;
            objective->level[i] = graph_result(graph, levels[i]);
            objective->level_field[i] = level_field[i] == ABSENT ? ABSENT : graph_result(graph, level_field[i]);
            if (level_field[i] != ABSENT) objective->field_grid[i] = graph->tensors[level_field[i]].grid;
        }
        objective->field = objective->level_field[LEVELS - 1];
    }
    if (parts & OBJECTIVE_LOSS) build_losses(objective, settings, levels, field, truth, mask, parts & OBJECTIVE_GRADIENT);
    cover_status status = graph_finish(graph);
    if (status != COVER_OK) objective_free(objective);
    return status;
}

void objective_free(struct objective *objective) { graph_free(&objective->graph); }

cover_status objective_parameters(struct parameters *parameters, cover_context *context, const struct settings *settings) {
    struct settings whole = *settings; /* ablations leave parts of the graph out, never parameters */
    whole.objective.pyramid = PYRAMID_ALL;
    struct grid smallest = {.ndim = (int)settings->network.dims, .size = {1, UNET_MULTIPLE, UNET_MULTIPLE}};
    if (settings->network.dims == 3) smallest.size[0] = UNET_MULTIPLE;
    struct objective objective;
    *parameters = (struct parameters){.context = context};
    cover_status status = objective_build(&objective, context, parameters, &whole, &smallest, 0);
    if (status == COVER_OK) objective_free(&objective);
    else parameters_free(parameters);
    return status;
}

cover_status objective_model(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct objective objective;
    TRY(objective_parameters(&model->parameters, context, settings));
    TRY(objective_build(&objective, context, &model->parameters, settings, grid, OBJECTIVE_LOSS | OBJECTIVE_GRADIENT));
    model->graph = objective.graph;
    model->term[TERM_VECTOR] = (struct loss_term){objective.vector_sum, 0};
    model->term[TERM_COSINE] = (struct loss_term){objective.cosine_sum, 0};
    return COVER_OK;
}

struct sample objective_sample(const struct view_pair *pair) {
    return (struct sample){.input = {[OBJECTIVE_IMAGES] = pair->moving, [OBJECTIVE_TRUTH] = pair->field, [OBJECTIVE_MASK] = pair->mask},
                           .count = pair->valid, .zero = pair->zero_loss};
}
