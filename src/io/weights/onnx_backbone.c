/* A backbone as ONNX: its graph is built as for any run, and written by onnx.c.  See onnx_backbone.h. */
#include "onnx_backbone.h"

#include "core/nn/backbone.h"
#include "onnx.h"
#include "onnx_about.h"

#include <stdio.h>

_Static_assert((int)LEVELS_MAX <= (int)ONNX_OUTPUTS, "every level is an output");

/* Twice the smallest grid, so that a level of one pixel is told from a mean over pixels. */
cover_status onnx_write_backbone(cover_context *context, const char *path, const cover_config *config,
                                 const struct parameters *parameters, const float *flat) {
    const struct network_settings *settings = &config_settings(config)->network;
    const struct backbone *backbone = backbone_of(context, settings);
    const struct grid grid = backbone_grid(backbone, settings->dims, 2);
    char name[64];
    struct parameters rows = {.context = context};
    struct arena arena = {.context = context};
    struct graph graph;
    struct onnx_network network = {
        .name = name, .graph = &graph, .outputs = backbone_levels(context, settings).count, .parameters = parameters, .flat = flat};
    snprintf(name, sizeof name, "cover_%s", backbone->name);
    graph_begin(&graph, context, &rows);
    backbone->build(&graph, graph_input(&graph, "image", 1, &grid, settings->channels), settings, network.output);
    for (int i = 0; i < network.outputs; i++) snprintf(network.output_name[i], sizeof network.output_name[i], "level%d", i);
    cover_status status = graph_finish(&graph);
    if (status == COVER_OK) status = onnx_tell(&network, &arena, config, NULL);
    if (status == COVER_OK) status = onnx_write(context, path, &network);
    graph_free(&graph);
    arena_free(&arena);
    parameters_free(&rows);
    return status;
}
