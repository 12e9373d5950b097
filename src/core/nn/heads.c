/* Linear layers and norms over rows.  See heads.h. */
#include "heads.h"

#include "core/graph/objective_ops.h"

#include <stdio.h>

static const float norm_epsilon = 1e-5f; /* PyTorch's */

int head_linear(struct graph *graph, const char *name, int x, int64_t c_out, bool bias) {
    if (x == ABSENT || graph->status != COVER_OK) return ABSENT;
    const struct tensor *tensor = &graph->tensors[x];
    const int64_t c_in = tensor->channels, shape[5] = {c_out, c_in, 1, 1, 1};
    const int rank = 2 + tensor->grid.ndim;
    char whole[PARAMETER_NAME_BYTES];
    graph_scope(graph, name);
    snprintf(whole, sizeof whole, "%s.weight", name);
    const int weights = graph_parameter(graph, whole, rank, shape, c_in, INIT_UNIFORM_FAN);
    snprintf(whole, sizeof whole, "%s.bias", name);
    const int offset = bias ? graph_parameter(graph, whole, 1, &c_out, c_in, INIT_UNIFORM_FAN) : ABSENT;
    return graph_conv(graph, x, ABSENT, weights, offset, 1, ELEMENT_F32, NULL);
}

/* A scale or a shift; one that the norm has not is held at what does nothing. */
static int factor(struct graph *graph, const char *name, const char *suffix, const char *held, int64_t channels, bool wanted,
                  enum parameter_init init) {
    char whole[PARAMETER_NAME_BYTES];
    const bool before = graph->parameters->hold;
    snprintf(whole, sizeof whole, "%s.%s", name, wanted ? suffix : held);
    if (!wanted) graph->parameters->hold = true;
    const int made = graph_parameter(graph, whole, 1, &channels, channels, init);
    graph->parameters->hold = before;
    return made;
}

int head_norm(struct graph *graph, const char *name, int x, enum row_norm norm, unsigned parts, float slope) {
    if (x == ABSENT || graph->status != COVER_OK) return ABSENT;
    const int64_t channels = graph->tensors[x].channels;
    const struct grid grid = graph->tensors[x].grid, pixel = {grid.ndim, {1, 1, 1}};
    const int images = graph->tensors[x].images;
    const int gamma = factor(graph, name, "weight", "one", channels, parts & HEAD_SCALE, INIT_ONE);
    const int beta = factor(graph, name, "bias", "zero", channels, parts & HEAD_SHIFT, INIT_ZERO);
    const bool layer = norm == ROW_NORM_LAYER;
    graph_scope(graph, name);
    if (layer) x = graph_rows(graph, x, (int)(images * grid_pixels(&grid)), &pixel);
    x = graph_norm_act(graph, x, gamma, beta, ABSENT, ABSENT,
                       (struct norm_attributes){layer ? 1 : (int)channels, norm_epsilon, slope});
    return layer ? graph_rows(graph, x, images, &grid) : x;
}

int head_mlp(struct graph *graph, int x, const struct mlp *mlp) {
    const bool normed = mlp->norm != ROW_NORM_NONE;
    int place = 0;
    for (int i = 0; i < mlp->layers; i++) {
        char name[PARAMETER_NAME_BYTES - 16];
        const bool last = i + 1 == mlp->layers;
        snprintf(name, sizeof name, "%s.%d", mlp->name, place++);
        x = head_linear(graph, name, x, last ? mlp->out : mlp->hidden, last ? mlp->last_bias : !normed);
        if (normed && (!last || mlp->last_norm)) {
            snprintf(name, sizeof name, "%s.%d", mlp->name, place++);
            x = head_norm(graph, name, x, mlp->norm, last ? mlp->last_parts : HEAD_SCALE | HEAD_SHIFT, last ? 1 : 0);
        } else if (!last) x = graph_leaky(graph, x, 0);
        if (!last) place++; /* the ReLU's */
    }
    return x;
}
