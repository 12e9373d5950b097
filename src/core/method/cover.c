/* The pair's graph: views in, two loss sums and the gradient of every parameter out.  Called by the engine through
 * the row of objective/pairs.c, by bench and by matching. */
#include "cover.h"

#include <stdio.h>
#include <string.h>

static void build_losses(struct pair_graph *pair, const struct settings *settings, int full, int field, int truth, int mask,
                         bool gradient) {
    struct graph *graph = &pair->graph;
    snprintf(graph->scope, sizeof graph->scope, "l_con");
    int moving = graph_warp(graph, graph_image(graph, full, 0), truth, settings->objective.coordinates);
    int cosine = graph_cosine_loss(graph, graph_image(graph, full, 1), moving, mask);
    snprintf(graph->scope, sizeof graph->scope, "l_vec");
    int vector = graph_vector_loss(graph, field, truth, mask);
    pair->vector_sum = graph_result(graph, vector);
    pair->cosine_sum = graph_result(graph, cosine);
    if (!gradient) return;
    struct derivative derivative = {0};
    if (settings->objective.loss_vec) derivative.output[derivative.outputs++] = vector;
    if (settings->objective.loss_con) derivative.output[derivative.outputs++] = cosine;
    memcpy(derivative.gradient, derivative.output, sizeof derivative.output);
    graph_differentiate(graph, &derivative);
}

cover_status pair_graph_build(struct pair_graph *pair, cover_context *context, struct parameters *parameters,
                              const struct settings *settings, const struct grid *grid, unsigned parts) {
    *pair = (struct pair_graph){.vector_sum = ABSENT, .cosine_sum = ABSENT, .field = ABSENT};
    struct graph *graph = &pair->graph;
    const struct backbone *backbone = backbone_of(context, &settings->network);
    int levels[LEVELS_MAX], level_field[LEVELS_MAX], last = backbone_levels(context, &settings->network).count - 1;
    for (int i = 0; i <= last; i++) level_field[i] = ABSENT;
    pair->levels = last + 1;
    graph_begin(graph, context, parameters);
    graph->features = settings_features(&settings->network);
    int images = graph_input(graph, "views", 2, grid, settings->network.channels);
    int truth = graph_input(graph, "true field", 1, grid, grid->ndim);
    int mask = graph_input(graph, "mask", 1, grid, 1);
    backbone->build(graph, images, &settings->network, levels);
    int field = vpa_build(graph, levels, settings, level_field);
    if ((parts & PAIR_KEEP) && graph->status == COVER_OK) {
        for (int i = 0; i <= last; i++) {
            pair->level_grid[i] = graph->tensors[levels[i]].grid;
            pair->level[i] = graph_result(graph, levels[i]);
            pair->level_field[i] = level_field[i] == ABSENT ? ABSENT : graph_result(graph, level_field[i]);
            if (level_field[i] != ABSENT) pair->field_grid[i] = graph->tensors[level_field[i]].grid;
        }
        pair->field = pair->level_field[last];
    }
    if (parts & PAIR_LOSS) build_losses(pair, settings, levels[last], field, truth, mask, parts & PAIR_GRADIENT);
    cover_status status = graph_finish(graph);
    if (status != COVER_OK) pair_graph_free(pair);
    return status;
}

void pair_graph_free(struct pair_graph *pair) { graph_free(&pair->graph); }

cover_status pair_parameters(struct parameters *parameters, cover_context *context, const struct settings *settings) {
    struct settings whole = *settings; /* ablations leave parts of the graph out, never parameters */
    whole.objective.pyramid = PYRAMID_ALL;
    const struct grid smallest = backbone_grid(backbone_of(context, &settings->network), settings->network.dims, 1);
    struct pair_graph pair;
    *parameters = (struct parameters){.context = context};
    cover_status status = pair_graph_build(&pair, context, parameters, &whole, &smallest, 0);
    if (status == COVER_OK) pair_graph_free(&pair);
    else parameters_free(parameters);
    return status;
}

cover_status pair_model(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct pair_graph pair;
    TRY(pair_parameters(&model->parameters, context, settings));
    TRY(pair_graph_build(&pair, context, &model->parameters, settings, grid, PAIR_LOSS | PAIR_GRADIENT));
    model->graph = pair.graph;
    model->term[TERM_VECTOR] =
        (struct loss_term){.name = "l_vec", .result = pair.vector_sum, .weight = settings->objective.loss_vec, .over = "l_zero"};
    model->term[TERM_COSINE] =
        (struct loss_term){.name = "l_con", .result = pair.cosine_sum, .offset = 1, .weight = settings->objective.loss_con};
    model->term[TERM_ZERO] = (struct loss_term){.name = "l_zero", .result = ABSENT};
    model->terms = PAIR_TERMS;
    return COVER_OK;
}

struct sample pair_sample(const struct view_pair *pair) {
    return (struct sample){.input = {[PAIR_IMAGES] = pair->moving, [PAIR_TRUTH] = pair->field, [PAIR_MASK] = pair->mask},
                           .count = pair->valid,
                           .known = {pair->zero_loss}};
}
