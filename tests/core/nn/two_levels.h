/* A second backbone, which the library does not know: two levels of strides 3 and 1, so a step of 3 in VPA and sizes that are multiples
 * of 3.  A context takes it as an added row (core/base/added.h). */
#ifndef COVER_TESTS_TWO_LEVELS_H
#define COVER_TESTS_TWO_LEVELS_H

#include "core/base/added.h"
#include "core/nn/backbone.h"
#include "core/nn/layers.h"

#include <stdio.h>

static cover_status two_check(const struct network_settings *settings) {
    for (int i = 0; i < settings->widths.count; i++)
        if (settings->widths.value[i] % 8) return fail(COVER_ERROR_ARGUMENT, "widths: two multiples of 8 are expected");
    return settings->widths.count == 2 ? COVER_OK : fail(COVER_ERROR_ARGUMENT, "widths: two multiples of 8 are expected");
}

static void two_levels(const struct network_settings *settings, struct levels *levels) {
    *levels = (struct levels){2, {{settings->widths.value[0], 3}, {settings->widths.value[1], 1}}};
}

static int two_block(struct graph *graph, const char *name, int x, int x2, int64_t width) {
    char prefix[64];
    int sums;
    snprintf(prefix, sizeof prefix, "backbone.%s.conv", name);
    x = layer_conv(graph, prefix, x, x2, width, 3, true, INIT_KAIMING_NORMAL, ELEMENT_F32, &sums);
    snprintf(prefix, sizeof prefix, "backbone.%s.norm", name);
    return layer_norm_act(graph, prefix, x, ABSENT, sums, (int)(width / 8), 0.2f);
}

/* Level 0 and, beside it, the full-size features that it is made of. */
static int two_coarse(struct graph *graph, int x, const struct network_settings *settings, int *fine) {
    if (x == ABSENT) return *fine = ABSENT;
    const struct grid full = graph->tensors[x].grid, third = level_grid(&full, 3);
    *fine = two_block(graph, "stem", x, ABSENT, settings->widths.value[1]);
    return two_block(graph, "coarse", graph_resize_corners(graph, *fine, &third, 1), ABSENT, settings->widths.value[0]);
}

static int two_encoder(struct graph *graph, int x, const struct network_settings *settings) {
    int fine;
    return two_coarse(graph, x, settings, &fine);
}

static void two_build(struct graph *graph, int x, const struct network_settings *settings, int level[LEVELS_MAX]) {
    int fine;
    level[0] = two_coarse(graph, x, settings, &fine), level[1] = ABSENT;
    if (level[0] == ABSENT) return;
    const struct grid full = graph->tensors[x].grid;
    level[1] = two_block(graph, "fine", fine, graph_resize_corners(graph, level[0], &full, 1), settings->widths.value[1]);
}

static cover_status two_describe(cover_config *config, const struct named_shape *shapes, int64_t count) {
    const struct named_shape *stem = named_shape(shapes, count, "backbone.stem.conv.weight"),
                             *coarse = named_shape(shapes, count, "backbone.coarse.conv.weight");
    char text[64];
    if (!stem || !coarse || stem->rank < 4) return fail(COVER_ERROR_MISMATCH, "this has not two levels");
    snprintf(text, sizeof text, "%d", stem->rank - 2);
    TRY(cover_config_set(config, "dims", text));
    snprintf(text, sizeof text, "%lld", (long long)stem->shape[1]);
    TRY(cover_config_set(config, "channels", text));
    snprintf(text, sizeof text, "%lld,%lld", (long long)coarse->shape[0], (long long)stem->shape[0]);
    return cover_config_set(config, "widths", text);
}

static const struct backbone backbone_two_levels = {
    .name = "two_levels",
    .multiple = 3,
    .normalisation = "group8",
    .settings = {"widths"},
    .encoder_modules = {"backbone.coarse.", "backbone.stem."},
    .decoder_modules = {"backbone.fine."},
    .check = two_check,
    .levels = two_levels,
    .build = two_build,
    .encoder = two_encoder,
    .describe = two_describe,
};
static const struct added_row two_levels_rows[] = {{"backbone", "two_levels", &backbone_two_levels}, {NULL, NULL, NULL}};

/* Pretraining of it on the images of a test; the context has the row. */
static inline cover_status two_levels_config(cover_config **config, cover_context *context) {
    static const char *const values[][2] = {
        {"backbone", "two_levels"},
        {"widths", "16,8"},
        {"heads", "2,1"},
        {"crop", "24x27"},
        {"work", "36x36"},
        {"batch", "5"},
        {"steps", "6"},
        {"warmup", "2"},
        {"radius", "2"},
        {"lr", "1e-4"},
    };
    TRY(cover_config_create(config, context, "demo"));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) TRY(cover_config_set(*config, values[i][0], values[i][1]));
    return COVER_OK;
}

#endif
