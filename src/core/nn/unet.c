/* The U-Net: see unet.h.  Called by method/cover.c and by the public backbone. */
#include "unet.h"

#include "layers.h"

#include <stdio.h>

static int double_conv(struct graph *graph, const char *prefix, int x, int x2, int64_t width) {
    for (int half = 0; half < 2; half++) {
        char name[80];
        int sums;
        snprintf(name, sizeof name, "backbone.%s.double_conv.%d", prefix, 3 * half);
        x = layer_conv(graph, name, x, half ? ABSENT : x2, width, 3, true, INIT_KAIMING_NORMAL, graph->features, &sums);
        snprintf(name, sizeof name, "backbone.%s.double_conv.%d", prefix, 3 * half + 1);
        x = layer_norm_act(graph, name, x, ABSENT, sums, (int)(width / 8), 0.2f);
    }
    return x;
}

void unet_encoder(struct graph *graph, int x, const int64_t widths[UNET_WIDTHS], int stages[LEVELS]) {
    char prefix[48];
    stages[0] = double_conv(graph, "inc", x, ABSENT, widths[0]);
    for (int i = 1; i < LEVELS; i++) {
        snprintf(prefix, sizeof prefix, "down%d.maxpool_conv.1", i);
        snprintf(graph->scope, sizeof graph->scope, "backbone.down%d", i);
        stages[i] = double_conv(graph, prefix, graph_max_pool2(graph, stages[i - 1]), ABSENT, widths[i]);
    }
}

void unet_build(struct graph *graph, int x, const int64_t widths[UNET_WIDTHS], int levels[LEVELS]) {
    int encoder[LEVELS];
    char prefix[48];
    unet_encoder(graph, x, widths, encoder);
    levels[0] = encoder[LEVELS - 1];
    for (int i = 1; i < LEVELS; i++) {
        snprintf(prefix, sizeof prefix, "up%d.conv", i);
        snprintf(graph->scope, sizeof graph->scope, "backbone.up%d", i);
        int deep = graph_upsample(graph, levels[i - 1]);
        levels[i] = double_conv(graph, prefix, encoder[LEVELS - 1 - i], deep, widths[LEVELS - 1 + i]);
    }
}
