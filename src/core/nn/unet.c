/* Layers and the U-Net.  Called by method/objective.c and by the public backbone. */
#include "unet.h"

#include <stdio.h>

static void scope(struct graph *graph, const char *prefix) {
    snprintf(graph->scope, sizeof graph->scope, "%.63s", prefix);
}

static void suffixed(char name[80], const char *prefix, const char *suffix) { snprintf(name, 80, "%.70s.%s", prefix, suffix); }

int layer_conv(struct graph *graph, const char *prefix, int x, int64_t c_out, int kernel, bool bias, enum parameter_init init) {
    if (x == ABSENT) return ABSENT;
    int ndim = graph->tensors[x].grid.ndim;
    int64_t c_in = graph->tensors[x].channels, fan_in = c_in;
    int64_t shape[5] = {c_out, c_in, kernel, kernel, kernel};
    for (int i = 0; i < ndim; i++) fan_in *= kernel;
    char name[80];
    scope(graph, prefix);
    suffixed(name, prefix, "weight");
    int weights = graph_parameter(graph, name, 2 + ndim, shape, fan_in, init);
    suffixed(name, prefix, "bias");
    int offset = graph_parameter(graph, name, 1, &c_out, fan_in, INIT_UNIFORM_FAN);
    return graph_conv(graph, x, weights, bias ? offset : ABSENT, kernel);
}

int layer_norm_act(struct graph *graph, const char *prefix, int x, int bias, int groups, float slope) {
    if (x == ABSENT) return ABSENT;
    int64_t channels = graph->tensors[x].channels;
    char name[80];
    scope(graph, prefix);
    suffixed(name, prefix, "weight");
    int gamma = graph_parameter(graph, name, 1, &channels, channels, INIT_ONE);
    suffixed(name, prefix, "bias");
    int beta = graph_parameter(graph, name, 1, &channels, channels, INIT_ZERO);
    return graph_norm_act(graph, x, gamma, beta, bias, groups, slope);
}

static int double_conv(struct graph *graph, const char *prefix, int x, int64_t width) {
    for (int half = 0; half < 2; half++) {
        char name[80];
        snprintf(name, sizeof name, "backbone.%s.double_conv.%d", prefix, 3 * half);
        x = layer_conv(graph, name, x, width, 3, true, INIT_KAIMING_NORMAL);
        snprintf(name, sizeof name, "backbone.%s.double_conv.%d", prefix, 3 * half + 1);
        x = layer_norm_act(graph, name, x, ABSENT, (int)(width / 8), 0.2f);
    }
    return x;
}

void unet_encoder(struct graph *graph, int x, const int64_t widths[UNET_WIDTHS], int stages[LEVELS]) {
    char prefix[48];
    stages[0] = double_conv(graph, "inc", x, widths[0]);
    for (int i = 1; i < LEVELS; i++) {
        snprintf(prefix, sizeof prefix, "down%d.maxpool_conv.1", i);
        snprintf(graph->scope, sizeof graph->scope, "backbone.down%d", i);
        stages[i] = double_conv(graph, prefix, graph_max_pool2(graph, stages[i - 1]), widths[i]);
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
        int joined = graph_upsample_concat(graph, encoder[LEVELS - 1 - i], levels[i - 1]);
        levels[i] = double_conv(graph, prefix, joined, widths[LEVELS - 1 + i]);
    }
}
