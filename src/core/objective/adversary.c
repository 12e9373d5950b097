/* The adversary of in-painting.  See adversary.h. */
#include "adversary.h"

#include "core/nn/layers.h"

#include <stdio.h>

enum { CHANNELS_A_GROUP = 8 };

/* Blocks of convolution, group norm, LeakyReLU and pooling, the mean over pixels, a linear layer: a logit an image. */
static int discriminate(struct graph *graph, int x, const struct setting_list *widths) {
    char name[64];
    for (int i = 0; i < widths->count; i++) {
        int sums;
        snprintf(name, sizeof name, "discriminator.conv.%d", i);
        x = layer_conv(graph, name, x, ABSENT, widths->value[i], 3, true, INIT_UNIFORM_FAN, graph->features, &sums);
        snprintf(name, sizeof name, "discriminator.norm.%d", i);
        x = graph_max_pool2(graph, layer_norm_act(graph, name, x, ABSENT, sums, (int)widths->value[i] / CHANNELS_A_GROUP, 0.2f));
    }
    return layer_conv1(graph, "discriminator.head", graph_floats(graph, graph_global_pool(graph, x)), 1, true, INIT_UNIFORM_FAN);
}

void adversary_add(struct model *model, const struct adversary *adversary, const struct setting_list *widths,
                   int losses[ADVERSARY_LOSSES]) {
    static const struct rate rate = {.prefix = "discriminator.", .factor = 0.1, .beta1 = 0.5};
    struct graph *graph = &model->graph;
    const int shown = discriminate(graph, adversary->image, widths);
    const int seen = discriminate(graph, graph_hold(graph, adversary->restored, 0), widths);
    graph->hold = true; /* what the network loses is no gradient of the adversary */
    const int judged = discriminate(graph, adversary->restored, widths);
    graph->hold = false;
    graph_scope(graph, "adversary");
    losses[0] = graph_sigmoid_loss(graph, graph_hold(graph, judged, adversary->weight), adversary->real, ABSENT);
    losses[1] = graph_sigmoid_loss(graph, shown, adversary->real, ABSENT);
    losses[2] = graph_sigmoid_loss(graph, seen, adversary->fake, ABSENT);
    static const char *const names[] = {"adversarial", "discriminator_real", "discriminator_fake"};
    for (int i = 0; i < ADVERSARY_LOSSES; i++)
        objective_term(model, &(struct loss_term){.name = names[i],
                                                  .result = graph_result(graph, losses[i]),
                                                  .weight = i == 0 ? (double)adversary->weight : 1});
    model->rate[model->rates++] = rate;
}

cover_status adversary_fits(const struct setting_list *widths, const struct grid *crop) {
    for (int i = 0; i < widths->count; i++)
        if (widths->value[i] % CHANNELS_A_GROUP)
            return fail(COVER_ERROR_ARGUMENT, "discriminator: %lld is no multiple of %d", (long long)widths->value[i],
                        CHANNELS_A_GROUP);
    for (int i = 0; i < crop->ndim; i++)
        if (grid_axis(crop, i) >> widths->count < 1)
            return fail(COVER_ERROR_ARGUMENT, "discriminator: %d stages halve a crop of %lld pixels to nothing; use fewer",
                        widths->count, (long long)grid_axis(crop, i));
    return COVER_OK;
}
