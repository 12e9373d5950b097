/* A backbone as ONNX: its graph is built as for any run, and written by onnx.c.  See onnx_backbone.h. */
#include "onnx_backbone.h"

#include "core/nn/unet.h"
#include "onnx.h"

#include <stdio.h>

/* Twice the smallest grid, so that a level of one pixel is told from a mean over pixels. */
cover_status onnx_write_backbone(cover_context *context, const char *path, const struct network_settings *settings,
                                 const struct parameters *parameters, const float *flat) {
    struct grid grid = {.ndim = (int)settings->dims, .size = {2 * UNET_MULTIPLE, 2 * UNET_MULTIPLE, 2 * UNET_MULTIPLE}};
    if (settings->dims == 2) grid.size[0] = 1;
    struct parameters rows = {.context = context};
    struct graph graph;
    struct onnx_network network = {.name = "cover_unet", .graph = &graph, .outputs = LEVELS, .parameters = parameters, .flat = flat};
    graph_begin(&graph, context, &rows);
    unet_build(&graph, graph_input(&graph, "image", 1, &grid, settings->channels), settings->widths.value, network.output);
    for (int i = 0; i < LEVELS; i++) snprintf(network.output_name[i], sizeof network.output_name[i], "level%d", i);
    cover_status status = graph_finish(&graph);
    if (status == COVER_OK) status = onnx_write(context, path, &network);
    graph_free(&graph);
    parameters_free(&rows);
    return status;
}
