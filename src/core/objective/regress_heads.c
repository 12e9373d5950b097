/* Heads that move and restore images.  See regress_heads.h. */
#include "regress_heads.h"

#include "core/base/affine_map.h"
#include "core/nn/layers.h"

#include <stdio.h>

enum { CHANNELS_A_GROUP = 8, RESTORE_WIDTH = 16, RESTORE_GROUPS = 4 };
static const float slope = 0.2f;

int head_conv_norm(struct graph *graph, const char *prefix, int first, int x, int x2, int64_t width, int groups,
                   enum parameter_init init) {
    char name[80];
    int sums;
    snprintf(name, sizeof name, "%s.%d", prefix, first);
    x = layer_conv(graph, name, x, x2, width, 3, true, init, graph->features, &sums);
    snprintf(name, sizeof name, "%s.%d", prefix, first + 1);
    return layer_norm_act(graph, name, x, ABSENT, sums, groups, slope);
}

int head_double_conv(struct graph *graph, const char *prefix, int x, int x2, int64_t width) {
    char name[64];
    const int groups = (int)(width / CHANNELS_A_GROUP);
    snprintf(name, sizeof name, "%s.double_conv", prefix);
    x = head_conv_norm(graph, name, 0, x, x2, width, groups, INIT_UNIFORM_FAN);
    return head_conv_norm(graph, name, 3, x, ABSENT, width, groups, INIT_UNIFORM_FAN);
}

int head_field(struct graph *graph, const char *name, int x, enum parameter_init init) {
    if (x == ABSENT) return ABSENT;
    return layer_conv(graph, name, x, ABSENT, graph->tensors[x].grid.ndim, 3, true, init, ELEMENT_F32, NULL);
}

int head_restore(struct graph *graph, int x, int64_t channels, enum parameter_init init) {
    x = head_conv_norm(graph, "restore", 0, x, ABSENT, RESTORE_WIDTH, RESTORE_GROUPS, init);
    return layer_conv1(graph, "restore.3", x, channels, true, init);
}

int head_affine(struct graph *graph, int x, int x2, int64_t width) {
    x = head_double_conv(graph, "affine.conv", x, x2, width);
    if (x == ABSENT) return ABSENT;
    const int ndim = graph->tensors[x].grid.ndim;
    const int64_t numbers = ndim == 2 ? AFFINE_2D : AFFINE_3D, shape[] = {numbers, width, 1, 1, 1};
    graph_scope(graph, "affine.out");
    const int weights = graph_parameter(graph, "affine.out.weight", 2 + ndim, shape, width, INIT_ZERO);
    const int bias = graph_parameter(graph, "affine.out.bias", 1, &numbers, width, INIT_ZERO);
    return graph_conv(graph, graph_floats(graph, graph_global_pool(graph, x)), ABSENT, weights, bias, 1, ELEMENT_F32, NULL);
}

static int deformer_stage(struct graph *graph, int stage, int x, int x2, int64_t width) {
    char name[32];
    snprintf(name, sizeof name, "deformer.conv%d", stage);
    return head_conv_norm(graph, name, 0, x, x2, width, (int)(width / CHANNELS_A_GROUP), INIT_KAIMING_NORMAL);
}
int head_deformer(struct graph *graph, int x, int x2, const int64_t widths[DEFORMER_STAGES]) {
    const int x1 = deformer_stage(graph, 1, x, x2, widths[0]);
    const int half = deformer_stage(graph, 2, graph_max_pool2(graph, x1), ABSENT, widths[1]);
    const int quarter = deformer_stage(graph, 3, graph_max_pool2(graph, half), ABSENT, widths[2]);
    const int up = deformer_stage(graph, 4, graph_upsample(graph, quarter), half, widths[3]);
    const int full = deformer_stage(graph, 5, graph_upsample(graph, up), x1, widths[4]);
    return head_field(graph, "deformer.out", full, INIT_KAIMING_NORMAL);
}

int head_mse(struct model *model, int restored, int truth, float weight) {
    struct graph *graph = &model->graph;
    if (restored == ABSENT || truth == ABSENT) return ABSENT;
    const double values = (double)tensor_elements(&graph->tensors[truth]);
    graph_scope(graph, "mse");
    const int loss = graph_image_loss(graph, graph_hold(graph, restored, (float)(weight / values)), truth, ABSENT, false);
    objective_term(
        model,
        &(struct loss_term){
            .name = "mse", .result = graph_result(graph, loss), .scale = 1 / values, .weight = (double)weight, .over = "zero_mse"});
    return loss;
}

cover_status head_width_fits(const char *setting, int64_t width) {
    if (width > 0 && width % CHANNELS_A_GROUP == 0) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT, "%s: %lld is not a multiple of %d (GroupNorm takes %d channels a group)", setting,
                (long long)width, CHANNELS_A_GROUP, CHANNELS_A_GROUP);
}
