/* The U-Net: nine double convolutions, four poolings, four upsamplings (method: Backbone), in the authors' names.  A row of
 * backbone.h's table. */
#include "backbone.h"
#include "layers.h"

#include <stdio.h>

enum { DEPTH = 5, STAGES = 9, CHANNELS_A_GROUP = 8 };

/* Prefixes of the stages' parameters behind "backbone.", in the order of the setting `widths`. */
static const char *const stages[STAGES] = {
    "inc",
    "down1.maxpool_conv.1",
    "down2.maxpool_conv.1",
    "down3.maxpool_conv.1",
    "down4.maxpool_conv.1",
    "up1.conv",
    "up2.conv",
    "up3.conv",
    "up4.conv",
};

static cover_status check(const struct network_settings *settings) {
    if (settings->widths.count != STAGES)
        return fail(COVER_ERROR_ARGUMENT, "widths: %d values, but the U-Net has nine stages", settings->widths.count);
    for (int i = 0; i < STAGES; i++)
        if (settings->widths.value[i] < 1 || settings->widths.value[i] % CHANNELS_A_GROUP)
            return fail(COVER_ERROR_ARGUMENT, "widths: %lld is not a multiple of 8 (GroupNorm takes 8 channels a group)",
                        (long long)settings->widths.value[i]);
    return COVER_OK;
}

static void levels_of(const struct network_settings *settings, struct levels *levels) {
    levels->count = DEPTH;
    for (int i = 0; i < DEPTH; i++) levels->at[i] = (struct level){settings->widths.value[DEPTH - 1 + i], 1 << (DEPTH - 1 - i)};
}

/* ---- the graph */

static int double_conv(struct graph *graph, int stage, int x, int x2, int64_t width) {
    for (int half = 0; half < 2; half++) {
        char name[80];
        int sums;
        snprintf(name, sizeof name, "backbone.%s.double_conv.%d", stages[stage], 3 * half);
        x = layer_conv(graph, name, x, half ? ABSENT : x2, width, 3, true, INIT_KAIMING_NORMAL, graph->features, &sums);
        snprintf(name, sizeof name, "backbone.%s.double_conv.%d", stages[stage], 3 * half + 1);
        x = layer_norm_act(graph, name, x, ABSENT, sums, (int)(width / CHANNELS_A_GROUP), 0.2f);
    }
    return x;
}

/* Outputs of the encoder's stages, full size to coarse. */
static void build_encoder(struct graph *graph, int x, const struct network_settings *settings, int output[DEPTH]) {
    const int64_t *widths = settings->widths.value;
    char scope[32];
    output[0] = double_conv(graph, 0, x, ABSENT, widths[0]);
    for (int i = 1; i < DEPTH; i++) {
        snprintf(scope, sizeof scope, "backbone.down%d", i);
        graph_scope(graph, scope);
        output[i] = double_conv(graph, i, graph_max_pool2(graph, output[i - 1]), ABSENT, widths[i]);
    }
}

static int encoder(struct graph *graph, int x, const struct network_settings *settings) {
    int output[DEPTH];
    build_encoder(graph, x, settings, output);
    return output[DEPTH - 1];
}

static void build(struct graph *graph, int x, const struct network_settings *settings, int level[LEVELS_MAX]) {
    int skip[DEPTH];
    char scope[32];
    build_encoder(graph, x, settings, skip);
    level[0] = skip[DEPTH - 1];
    for (int i = 1; i < DEPTH; i++) {
        snprintf(scope, sizeof scope, "backbone.up%d", i);
        graph_scope(graph, scope);
        int deep = graph_upsample(graph, level[i - 1]), stage = DEPTH - 1 + i;
        level[i] = double_conv(graph, stage, skip[DEPTH - 1 - i], deep, settings->widths.value[stage]);
    }
}

/* ---- files of the authors' model: widths from the first convolution of each stage */

static cover_status set_integer(cover_config *config, const char *name, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return cover_config_set(config, name, text);
}

static cover_status describe(cover_config *config, const struct named_shape *shapes, int64_t count) {
    char widths[256] = "";
    size_t used = 0;
    for (int stage = 0; stage < STAGES; stage++) {
        char name[96];
        snprintf(name, sizeof name, "backbone.%s.double_conv.0.weight", stages[stage]);
        const struct named_shape *found = named_shape(shapes, count, name);
        if (!found || (found->rank != 4 && found->rank != 5))
            return fail(COVER_ERROR_MISMATCH, "%s is %s, so this is no U-Net of COVER", name,
                        found ? "no weight of a 2D or 3D convolution" : "missing");
        used += (size_t)snprintf(widths + used, sizeof widths - used, "%s%lld", stage ? "," : "", (long long)found->shape[0]);
        if (stage > 0) continue;
        TRY(set_integer(config, "dims", found->rank - 2));
        TRY(set_integer(config, "channels", found->shape[1]));
    }
    return cover_config_set(config, "widths", widths);
}

const struct backbone backbone_unet = {
    .name = "unet",
    .multiple = 1 << (DEPTH - 1),
    .normalisation = "group8",
    .settings = {"widths"},
    .encoder_modules = {"backbone.down4.", "backbone.down3.", "backbone.down2.", "backbone.down1.", "backbone.inc."},
    .decoder_modules = {"backbone.up4.", "backbone.up3.", "backbone.up2.", "backbone.up1."},
    .check = check,
    .levels = levels_of,
    .build = build,
    .encoder = encoder,
    .describe = describe,
};
