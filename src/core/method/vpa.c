/* VPA, the vector pyramid aggregation, over MoV heads (paper, eq. 8 and 30; method: MoV, VPA).  Called by cover.c.
 *
 * The projection's 1x1 convolution is linear and acts on each pixel alone, so it commutes with the warp: projecting first
 * and warping its few channels gives what warping the many channels of the features first would.  Its bias does not commute
 * at the border, where a warp reads zeros; it is therefore added behind the warp, by the norm. */
#include "cover.h"

#include "core/nn/layers.h"

#include <stdio.h>

/* Projected features of one view: GroupNorm with one group over conv + bias. */
static int normalise(struct graph *graph, int level, int x) {
    char name[32];
    if (x == ABSENT) return ABSENT;
    int64_t channels = graph->tensors[x].channels;
    snprintf(name, sizeof name, "proj.%d.proj.bias", level);
    int bias = graph_parameter(graph, name, 1, &channels, 1, INIT_UNIFORM_FAN);
    snprintf(name, sizeof name, "proj.%d.norm", level);
    return layer_norm_act(graph, name, x, bias, ABSENT, 1, 1.0f);
}

/* The vectors of one level: MoV of the fixed view's queries over the moving view's keys, after what is known so far. */
static int level_vectors(struct graph *graph, int level, int features, int flow, const struct settings *settings) {
    char name[32];
    int64_t heads = settings->objective.heads.value[level];
    snprintf(name, sizeof name, "proj.%d.proj", level);
    int projected = layer_conv1(graph, name, features, heads * settings->objective.head_dim, false, INIT_UNIFORM_FAN);
    int moving = graph_image(graph, projected, 0), fixed = graph_image(graph, projected, 1);
    snprintf(graph->scope, sizeof graph->scope, "vpa.%d", level);
    if (flow != ABSENT) moving = graph_warp(graph, moving, flow, settings->objective.coordinates);
    int query = normalise(graph, level, fixed), key = normalise(graph, level, moving);
    snprintf(graph->scope, sizeof graph->scope, "vpa.%d", level);
    return graph_mov(graph, query, key, (int)heads, (int)settings->objective.radius);
}

int vpa_build(struct graph *graph, const int levels[LEVELS_MAX], const struct settings *settings, int *level_field) {
    int last = backbone_levels(graph->context, &settings->network).count - 1;
    return vpa_build_from(graph, settings->objective.pyramid == PYRAMID_DIRECT ? last : 0, levels, settings, level_field);
}

int vpa_build_from(struct graph *graph, int first, const int levels[LEVELS_MAX], const struct settings *settings,
                   int *level_field) {
    const struct levels known = backbone_levels(graph->context, &settings->network);
    int flow = ABSENT;
    for (int i = first; i < known.count && graph->status == COVER_OK; i++) {
        int vectors = level_vectors(graph, i, levels[i], flow, settings);
        if (i + 1 < known.count && graph->status == COVER_OK) { /* on to the next level's grid, in its pixels */
            struct grid next = graph->tensors[levels[i + 1]].grid;
            float step = (float)(known.at[i].stride / known.at[i + 1].stride);
            vectors = graph_resize_corners(graph, vectors, &next, step);
            if (flow != ABSENT) flow = graph_resize_corners(graph, flow, &next, step);
        }
        flow =
            flow == ABSENT ? vectors : graph_add(graph, graph_warp(graph, flow, vectors, settings->objective.coordinates), vectors);
        if (level_field) level_field[i] = flow;
    }
    return flow;
}
