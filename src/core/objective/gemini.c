/* GEMINI (He et al., Homeomorphism Prior for False Positive and Negative Problem in Medical Image Dense Contrastive Representation
 * Learning, T-PAMI 2025): two patients' images are moved onto each other by fields, and their features with them; an image is restored
 * from what damage has left of it.  A row of objective.h's table. */
#include "core/graph/regress_ops.h"
#include "regress_heads.h"
#include "view_maker.h"

#include <string.h>

enum { PAIR, DAMAGED }; /* inputs: the image and the partner's; the damaged image */
enum { CLEAN, OTHER, DIRECTIONS };
enum { KNOWN_ZERO };

/* What counts how much; what a field gets of the features' loss, they get a tenth of. */
static const float smooth_weight = 0.4f, image_weight = 1, feature_weight = 0.8f, to_features = 0.1f;

struct losses {
    int smooth, image, feature, zero;
};

/* x moved onto y by the field that both images' features give. */
static struct losses direction(struct graph *graph, const struct settings *settings, int x, int y, int fx, int fy) {
    const struct objective_settings *own = &settings->objective;
    struct losses made;
    const int field = head_deformer(graph, fx, fy, own->deformer.value);
    graph_scope(graph, "match");
    const int mask = graph_inside_mask(graph, field, own->coordinates);
    const int features = graph_warp(graph, graph_hold(graph, fx, to_features), field, own->coordinates);
    made.smooth = graph_smooth_loss(graph, field, smooth_weight);
    made.image = graph_ncc_loss(graph, graph_warp(graph, x, field, own->coordinates), y, mask, image_weight);
    made.feature = graph_cosine_mean_loss(graph, features, graph_hold(graph, fy, to_features), mask, feature_weight);
    made.zero = graph_ncc_loss(graph, x, y, ABSENT, 0);
    return made;
}

static void add_terms(struct model *model, const struct losses *losses, const char *const names[4]) {
    struct graph *graph = &model->graph;
    objective_term(model,
                   &(struct loss_term){.name = names[0], .result = graph_result(graph, losses->smooth), .weight = smooth_weight});
    objective_term(model,
                   &(struct loss_term){
                       .name = names[1], .result = graph_result(graph, losses->image), .weight = image_weight, .over = names[3]});
    objective_term(model, &(struct loss_term){.name = names[2],
                                              .result = graph_result(graph, losses->feature),
                                              .scale = 1 + (double)to_features,
                                              .weight = feature_weight});
}

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    static const char *const names[DIRECTIONS][4] = {{"smooth_forth", "image_forth", "feature_forth", "zero_forth"},
                                                     {"smooth_back", "image_back", "feature_back", "zero_back"}};
    struct graph *graph = objective_graph(model, context, settings);
    const bool restores = settings->objective.restore != RESTORE_OFF;
    const int64_t channels = settings->network.channels;
    const int pair = graph_input(graph, "image and partner", 2, grid, channels);
    const int damaged = restores ? graph_input(graph, "damaged image", 1, grid, channels) : ABSENT;
    const int full = objective_features(graph, pair, settings);
    struct derivative derivative = {0};
    struct losses losses[DIRECTIONS];
    for (int k = 0; k < DIRECTIONS; k++) {
        const int a = k ? OTHER : CLEAN, b = k ? CLEAN : OTHER;
        losses[k] = direction(graph, settings, graph_image(graph, pair, a), graph_image(graph, pair, b),
                              graph_image(graph, full, a), graph_image(graph, full, b));
        add_terms(model, &losses[k], names[k]);
        const int outputs[] = {losses[k].smooth, losses[k].image, losses[k].feature};
        for (int i = 0; i < 3; i++) derivative.output[derivative.outputs++] = outputs[i];
    }
    for (int k = 0; k < DIRECTIONS; k++)
        objective_term(model, &(struct loss_term){.name = names[k][3], .result = graph_result(graph, losses[k].zero)});
    if (restores) {
        const int features = objective_features(graph, damaged, settings);
        const int restored = head_restore(graph, features, channels, INIT_KAIMING_NORMAL);
        derivative.output[derivative.outputs++] = head_mse(model, restored, graph_image(graph, pair, CLEAN), 1);
        objective_term(model, &(struct loss_term){.name = "zero_mse", .result = ABSENT, .place = KNOWN_ZERO});
    }
    for (int i = 0; i < derivative.outputs; i++) derivative.gradient[i] = derivative.output[i];
    graph_differentiate(graph, &derivative);
    return COVER_OK;
}

/* ---- samples: the views lie as image, damaged, partner; the extra floats have the image and the partner side by side */

static int64_t extra(const struct settings *settings, const struct grid *crop) {
    return 2 * grid_pixels(crop) * settings->network.channels;
}
static void make(const struct view_work *work, struct sample *sample) {
    const int64_t values = work->maker->values;
    const size_t bytes = (size_t)values * sizeof *work->extra;
    memcpy(work->extra, work->views, bytes);
    memcpy(work->extra + values, work->views + 2 * values, bytes);
    sample->input[PAIR] = work->extra, sample->input[DAMAGED] = work->views + values;
    sample->known[KNOWN_ZERO] = squared_distance(work->views, work->views + values, values) / (double)values;
}
static const struct view_plan plan = {.recipe = &views_gemini, .views = 3, .extra = extra, .make = make};

static cover_status settle(cover_config *config, int64_t images) {
    const struct setting_list *widths = &config_settings(config)->objective.deformer;
    (void)images;
    if (widths->count != DEFORMER_STAGES)
        return fail(COVER_ERROR_ARGUMENT, "deformer: %d values, but it has %d stages", widths->count, DEFORMER_STAGES);
    for (int i = 0; i < DEFORMER_STAGES; i++) TRY(head_width_fits("deformer", widths->value[i]));
    return COVER_OK;
}

/* ---- the row */

static const struct objective_setting own_settings[] = {
    {"deformer", {NULL, NULL}}, {"restore", {NULL, NULL}}, {"coordinates", {NULL, NULL}}, {0}};
static const char about_image[] =
    "1 \xe2\x88\x92 mean squared correlation in windows of 9 pixels an axis, where the field stays inside.";
static const char about_feature[] = "1.1 (1 \xe2\x88\x92 mean cosine) of the moved features and the other image's.";
static const struct figure_words figures[] = {
    {.name = "smooth_forth", .title = "roughness of the field", .note = "Mean squared difference of neighbours."},
    {.name = "image_forth", .over = "zero_forth", .title = "correlation loss", .note = about_image, .naive = "moving nothing"},
    {.name = "feature_forth", .title = "loss of the features", .note = about_feature},
    {.name = "smooth_back", .title = "roughness of the field back"},
    {.name = "image_back", .over = "zero_back", .title = "correlation loss back", .note = about_image, .naive = "moving nothing"},
    {.name = "feature_back", .title = "loss of the features back", .note = about_feature},
    {.name = "zero_forth", .title = "correlation loss of the images as they are"},
    {.name = "zero_back", .title = "correlation loss of the images as they are, back"},
    {.name = "mse",
     .over = "zero_mse",
     .title = "squared error",
     .note = "Of the restored image, a value.",
     .naive = "giving back what was seen"},
    {.name = "zero_mse", .title = "squared error of what was seen"},
    {0},
};
static const struct objective_picture pictures[] = {{"image", PAIR, CLEAN}, {"partner", PAIR, OTHER}, {"damaged", DAMAGED, 0}, {0}};
const struct objective objective_gemini = {
    .name = "gemini",
    .title = "GEMINI",
    .paper =
        "Homeomorphism Prior for False Positive and Negative Problem in Medical Image Dense Contrastive Representation Learning, "
        "T-PAMI 2025",
    .text = "finds maps between two images both ways, so that what they lead together has alike features",
    .use = "for segmentation, of images of one part of the body that lie alike; matching and restoring share one update",
    .cost = "about 1.9 times COVER's operations in 2D, 2.2 times in 3D: two images are matched, one is restored",
    .trained = "whole",
    .sample = "image pair",
    .counts = "image pair",
    .setting = own_settings,
    .settle = settle,
    .graphs = graphs,
    .views = &plan,
    .figure = figures,
    .picture = pictures,
};
