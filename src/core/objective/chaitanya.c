/* Chaitanya et al. (Contrastive learning of global and local features for medical image segmentation with limited annotations, NeurIPS
 * 2020), a row of objective.h's table for either stage.  Global: each of a batch's views finds the other one of its image, by the encoder.
 * Local, behind an encoder that stays as it was learnt (`init`): in two looks of one window, blocks of pixels of a decoder's level find
 * each other among their neighbours. */
#include "core/base/regions.h"
#include "core/graph/regress_ops.h"
#include "core/nn/layers.h"
#include "networks.h"
#include "view_maker.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LOOKS = 2 };
enum { TERM_ZERO = 1 };

/* ---- what both have */

static const char paper[] =
    "Contrastive learning of global and local features for medical image segmentation with limited annotations, NeurIPS 2020";

/* Without a bias. */
static int linear(struct graph *graph, const char *name, int x, int64_t channels, int *sums) {
    if (x == ABSENT) return ABSENT;
    const int ndim = graph->tensors[x].grid.ndim;
    const int64_t c_in = graph->tensors[x].channels, shape[] = {channels, c_in, 1, 1, 1};
    char weight[64];
    graph_scope(graph, name);
    snprintf(weight, sizeof weight, "%s.weight", name);
    return graph_conv(graph, x, ABSENT, graph_parameter(graph, weight, 2 + ndim, shape, c_in, INIT_UNIFORM_FAN), ABSENT, 1,
                      ELEMENT_F32, sums);
}

static const struct objective_picture pictures[] = {{"look a", 0, 0}, {"look b", 0, 1}, {0}};

/* ---- the global stage: an MLP without biases and norm over the encoder's pooled features, twice as wide inside */

static cover_status global_graphs(struct model *model, cover_context *context, const struct settings *settings,
                                  const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings), *batch = &model->batch;
    const struct objective_settings *own = &settings->objective;
    const int rows = objective_rows(graph, graph_input(graph, "looks", LOOKS, grid, settings->network.channels), settings);
    const int x = objective_link(model, "rows", rows, 1, settings->common.batch);
    if (x == ABSENT) return graph->status;
    const int hidden = linear(batch, "projector.0", x, 2 * batch->tensors[x].channels, NULL);
    const int z = linear(batch, "projector.2", graph_leaky(batch, hidden, 0), own->projection, NULL);
    const int loss = graph_nt_xent(batch, graph_hold(batch, z, 0.5f), (float)own->temperature), result = graph_result(batch, loss);
    objective_term(model, &(struct loss_term){
                              .name = "global", .result = result, .of_batch = true, .scale = 0.5, .weight = 1, .over = "zero"});
    objective_term(model, &(struct loss_term){.name = "zero", .result = ABSENT, .place = TERM_ZERO});
    objective_term(model, &(struct loss_term){.name = "accuracy", .result = result, .place = 1, .of_batch = true, .scale = 0.5});
    objective_meet(model, &(struct derivative){.outputs = 1, .output = {loss}}, x, rows, NULL);
    return COVER_OK;
}

static void make_global(const struct view_work *work, struct sample *sample) {
    sample->known[TERM_ZERO] = log(2 * (double)work->maker->run->settings->common.batch - 1);
}
static const struct view_plan global_plan = {.recipe = &views_chaitanya_global, .views = LOOKS, .make = make_global};

static cover_status settle_global(cover_config *config, int64_t images) {
    const long long batch = config_settings(config)->common.batch;
    (void)images;
    if (batch < 2)
        return fail(COVER_ERROR_ARGUMENT, "batch=%lld: a view has no others to be told from; set batch=4 or more", batch);
    if (batch < 4)
        log_line(config_context(config), COVER_LOG_WARNING, "batch=%lld: a view is told from %lld others alone; 8 images do well",
                 batch, 2 * batch - 2);
    return COVER_OK;
}

static const struct objective_setting global_settings[] = {
    {"projection", {"128", "128"}}, {"temperature", {"0.1", "0.1"}}, {"appearance"}, {0}};
static const struct figure_words global_figures[] = {
    {.name = "global",
     .over = "zero",
     .title = "contrastive loss",
     .note = "Cross-entropy of the other view of the image among all views of the batch.",
     .naive = "answering at random"},
    {.name = "zero", .title = "contrastive loss of an answer at random"},
    {.name = "accuracy", .title = "accuracy", .note = "Share of views whose most alike one is that of the same image."},
    {0},
};
const struct objective objective_chaitanya_global = {
    .name = "chaitanya_global",
    .title = "Chaitanya et al., global",
    .paper = paper,
    .text = "finds the other view of an image among all views of the batch: the first of two stages, of the encoder",
    .use = "for segmentation from few labels; chaitanya_local goes on from its weights",
    .cost = "about 0.4 of COVER's operations",
    .trained = "encoder",
    .sample = "view pair",
    .counts = "view pair",
    .setting = global_settings,
    .settle = settle_global,
    .graphs = global_graphs,
    .views = &global_plan,
    .figure = global_figures,
    .picture = pictures,
};

/* ---- the local stage */

static bool of_encoder(const struct backbone *backbone, const char *row) {
    for (int i = 0; i < BACKBONE_MODULES && backbone->encoder_modules[i]; i++)
        if (strncmp(row, backbone->encoder_modules[i], strlen(backbone->encoder_modules[i])) == 0) return true;
    return false;
}

/* Nothing behind the level is wanted: what the backbone has built there is taken away. */
static void end_at(struct graph *graph, int level) {
    if (graph->status != COVER_OK) return;
    const int last = graph->tensors[level].producer;
    int tensors = level + 1;
    for (int i = 0; i < NODE_OUTPUTS; i++)
        if (graph->nodes[last].output[i] >= tensors) tensors = graph->nodes[last].output[i] + 1;
    graph->node_count = last + 1, graph->tensor_count = tensors;
    for (int i = 0; i < tensors; i++)
        if (graph->tensors[i].written >= tensors) graph->tensors[i].written = ABSENT;
}

/* 1x1 convolution, norm over the cells of a view, ReLU, 1x1 convolution, as wide as the level. */
static int local_head(struct graph *graph, int x, bool norm) {
    if (x == ABSENT) return ABSENT;
    const int64_t channels = graph->tensors[x].channels;
    int sums = ABSENT;
    x = linear(graph, "local.0", x, channels, norm ? &sums : NULL);
    x = norm ? layer_norm_act(graph, "local.1", x, ABSENT, sums, (int)channels, 0) : graph_leaky(graph, x, 0);
    return linear(graph, "local.3", x, channels, NULL);
}

/* Which rows stay as they are: the encoder's.  memory_free() it. */
static bool *frozen_rows(struct graph *graph, const struct settings *settings) {
    const struct backbone *backbone = backbone_of(graph->context, &settings->network);
    const struct parameters *parameters = graph->parameters;
    bool *frozen = memory_zero(graph->context, (size_t)parameters->count * sizeof *frozen);
    for (int i = 0; frozen && i < parameters->count; i++) frozen[i] = of_encoder(backbone, parameters->rows[i].name);
    return frozen;
}

static cover_status local_graphs(struct model *model, cover_context *context, const struct settings *settings,
                                 const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings);
    const struct objective_settings *own = &settings->objective;
    const int looks = graph_input(graph, "looks", LOOKS, grid, settings->network.channels);
    int level[LEVELS_MAX];
    backbone_of(context, &settings->network)->build(graph, looks, &settings->network, level);
    end_at(graph, level[own->local_level]);
    const int features = local_head(graph, level[own->local_level], own->head_norm == HEAD_NORM_CELLS);
    graph_scope(graph, "regions");
    const int z = linear(graph, "region", graph_region_blocks(graph, features), own->projection, NULL);
    graph_scope(graph, "local");
    const int loss = graph_local_nce(graph, graph_image(graph, z, 0), graph_image(graph, z, 1), (float)own->temperature, 1);
    objective_term(model, &(struct loss_term){.name = "local", .result = graph_result(graph, loss), .weight = 1, .over = "zero"});
    objective_term(model, &(struct loss_term){.name = "zero", .result = ABSENT, .place = TERM_ZERO});
    if (graph->status != COVER_OK) return graph->status;
    bool *const frozen = frozen_rows(graph, settings);
    if (!frozen) return COVER_ERROR_MEMORY;
    graph_differentiate(graph, &(struct derivative){.outputs = 1, .output = {loss}, .gradient = {loss}, .frozen = frozen});
    memory_free(context, frozen);
    return COVER_OK;
}

/* ---- samples */

static void make_local(const struct view_work *work, struct sample *sample) {
    (void)work;
    sample->known[TERM_ZERO] = log(1 + 2 * REGION_NEGATIVES);
}
static const struct view_plan local_plan = {.recipe = &views_chaitanya_local, .views = LOOKS, .make = make_local};

static cover_status settle_local(cover_config *config, int64_t images) {
    const struct settings *settings = config_settings(config);
    const struct objective_settings *own = &settings->objective;
    const struct levels levels = backbone_levels(config_context(config), &settings->network);
    const struct grid crop = settings_grid(&settings->views.crop, (int)settings->network.dims);
    (void)images;
    if (own->local_level < 1 || own->local_level >= levels.count)
        return fail(COVER_ERROR_ARGUMENT, "local_level=%lld: the decoder's levels are 1 to %d", (long long)own->local_level,
                    levels.count - 1);
    const int stride = levels.at[own->local_level].stride;
    for (int i = 3 - crop.ndim; i < 3; i++)
        if (crop.size[i] / stride < REGION_LEAST)
            return fail(COVER_ERROR_ARGUMENT, "crop: level %lld of %lld pixels has %lld, regions need %d; set a crop of %d or more",
                        (long long)own->local_level, (long long)crop.size[i], (long long)(crop.size[i] / stride), REGION_LEAST,
                        REGION_LEAST * stride);
    return COVER_OK;
}

/* ---- the row */

static const struct objective_setting local_settings[] = {{"local_level", {"2", "2"}},
                                                          {"projection", {"128", "128"}},
                                                          {"temperature", {"0.1", "0.1"}},
                                                          {"head_norm", {"cells", "cells"}},
                                                          {"appearance"},
                                                          {0}};
static const struct figure_words local_figures[] = {
    {.name = "local",
     .over = "zero",
     .title = "contrastive loss of regions",
     .note = "Cross-entropy of the same region of the other look among five neighbours of both.",
     .naive = "answering at random"},
    {.name = "zero", .title = "contrastive loss of an answer at random"},
    {0},
};
const struct objective objective_chaitanya_local = {
    .name = "chaitanya_local",
    .title = "Chaitanya et al., local",
    .paper =
        "Contrastive learning of global and local features for medical image segmentation with limited annotations, NeurIPS 2020",
    .text = "tells regions of an image apart in both views: the second stage, of the decoder up to a level",
    .use = "for segmentation from few labels, from weights of chaitanya_global, whose encoder it leaves as it is",
    .cost = "about 0.4 of COVER's operations",
    .trained = "up2",
    .sample = "look pair",
    .counts = "look pair",
    .setting = local_settings,
    .settle = settle_local,
    .graphs = local_graphs,
    .views = &local_plan,
    .figure = local_figures,
    .picture = pictures,
};
