/* Layers and the U-Net.  Called by method/cover.c and by the public backbone. */
#include "unet.h"

#include <stdio.h>

static void scope(struct graph *graph, const char *prefix) {
    snprintf(graph->scope, sizeof graph->scope, "%.63s", prefix);
}

static void suffixed(char name[80], const char *prefix, const char *suffix) { snprintf(name, 80, "%.70s.%s", prefix, suffix); }

/* A convolution over the channels of x and x2 (or ABSENT); `sums` as in graph_conv(). */
static int conv(struct graph *graph, const char *prefix, int x, int x2, int64_t c_out, int kernel, bool bias,
                enum parameter_init init, enum element element, int *sums) {
    if (x == ABSENT) return ABSENT;
    int ndim = graph->tensors[x].grid.ndim;
    int64_t c_in = graph->tensors[x].channels + (x2 == ABSENT ? 0 : graph->tensors[x2].channels), fan_in = c_in;
    int64_t shape[5] = {c_out, c_in, kernel, kernel, kernel};
    for (int i = 0; i < ndim; i++) fan_in *= kernel;
    char name[80];
    scope(graph, prefix);
    suffixed(name, prefix, "weight");
    int weights = graph_parameter(graph, name, 2 + ndim, shape, fan_in, init);
    suffixed(name, prefix, "bias");
    int offset = graph_parameter(graph, name, 1, &c_out, fan_in, INIT_UNIFORM_FAN);
    return graph_conv(graph, x, x2, weights, bias ? offset : ABSENT, kernel, element, sums);
}

int layer_conv1(struct graph *graph, const char *prefix, int x, int64_t c_out, bool bias, enum parameter_init init) {
    return conv(graph, prefix, x, ABSENT, c_out, 1, bias, init, ELEMENT_F32, NULL);
}

int layer_norm_act(struct graph *graph, const char *prefix, int x, int bias, int sums, int groups, float slope) {
    if (x == ABSENT) return ABSENT;
    int64_t channels = graph->tensors[x].channels;
    char name[80];
    scope(graph, prefix);
    suffixed(name, prefix, "weight");
    int gamma = graph_parameter(graph, name, 1, &channels, channels, INIT_ONE);
    suffixed(name, prefix, "bias");
    int beta = graph_parameter(graph, name, 1, &channels, channels, INIT_ZERO);
    return graph_norm_act(graph, x, gamma, beta, bias, sums, groups, slope);
}

static int double_conv(struct graph *graph, const char *prefix, int x, int x2, int64_t width) {
    for (int half = 0; half < 2; half++) {
        char name[80];
        int sums;
        snprintf(name, sizeof name, "backbone.%s.double_conv.%d", prefix, 3 * half);
        x = conv(graph, name, x, half ? ABSENT : x2, width, 3, true, INIT_KAIMING_NORMAL, graph->features, &sums);
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
