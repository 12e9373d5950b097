/* Layers: parameters by name and the nodes that read them.  See layers.h. */
#include "layers.h"

#include <stdio.h>

static const float norm_epsilon = 1e-5f; /* PyTorch's */

/* prefix.suffix; one that is too long is left whole enough for parameters_add() to refuse it. */
static void suffixed(char name[PARAMETER_NAME_BYTES + 1], const char *prefix, const char *suffix) {
    snprintf(name, PARAMETER_NAME_BYTES + 1, "%s.%s", prefix, suffix);
}

int layer_conv(struct graph *graph, const char *prefix, int x, int x2, int64_t c_out, int kernel, bool bias,
               enum parameter_init init, enum element element, int *sums) {
    if (x == ABSENT) return ABSENT;
    int ndim = graph->tensors[x].grid.ndim;
    int64_t c_in = graph->tensors[x].channels + (x2 == ABSENT ? 0 : graph->tensors[x2].channels), fan_in = c_in;
    int64_t shape[5] = {c_out, c_in, kernel, kernel, kernel};
    for (int i = 0; i < ndim; i++) fan_in *= kernel;
    char name[PARAMETER_NAME_BYTES + 1];
    graph_scope(graph, prefix);
    suffixed(name, prefix, "weight");
    int weights = graph_parameter(graph, name, 2 + ndim, shape, fan_in, init);
    suffixed(name, prefix, "bias");
    int offset = graph_parameter(graph, name, 1, &c_out, fan_in, INIT_UNIFORM_FAN);
    return graph_conv(graph, x, x2, weights, bias ? offset : ABSENT, kernel, element, sums);
}

int layer_conv1(struct graph *graph, const char *prefix, int x, int64_t c_out, bool bias, enum parameter_init init) {
    return layer_conv(graph, prefix, x, ABSENT, c_out, 1, bias, init, ELEMENT_F32, NULL);
}

int layer_norm_act(struct graph *graph, const char *prefix, int x, int bias, int sums, int groups, float slope) {
    if (x == ABSENT) return ABSENT;
    int64_t channels = graph->tensors[x].channels;
    char name[PARAMETER_NAME_BYTES + 1];
    graph_scope(graph, prefix);
    suffixed(name, prefix, "weight");
    int gamma = graph_parameter(graph, name, 1, &channels, channels, INIT_ONE);
    suffixed(name, prefix, "bias");
    int beta = graph_parameter(graph, name, 1, &channels, channels, INIT_ZERO);
    return graph_norm_act(graph, x, gamma, beta, bias, sums, (struct norm_attributes){groups, norm_epsilon, slope});
}
