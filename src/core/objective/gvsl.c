/* GVSL (He et al., Geometric Visual Similarity Learning in 3D Medical Image Self-supervised Pre-training, CVPR 2023): another patient's
 * image is moved onto this one by an affine map and a field, and this one is restored from what damage has left of it.  A row of
 * objective.h's table. */
#include "core/graph/regress_ops.h"
#include "regress_heads.h"
#include "view_maker.h"

enum { PAIR, CLEAN }; /* inputs: the damaged image and the partner's; the image */
enum { DAMAGED, OTHER };
enum { KNOWN_ZERO };
enum { DEFORM_WIDTH = 16 };

static void add_term(struct model *model, const char *name, int loss, double weight, const char *over) {
    objective_term(model,
                   &(struct loss_term){.name = name, .result = graph_result(&model->graph, loss), .weight = weight, .over = over});
}

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings);
    const struct objective_settings *own = &settings->objective;
    const int64_t channels = settings->network.channels;
    const int pair = graph_input(graph, "damaged image and partner", 2, grid, channels);
    const int clean = graph_input(graph, "image", 1, grid, channels), other = graph_image(graph, pair, OTHER);
    const int last = backbone_levels(context, &settings->network).count - 1;
    int level[LEVELS_MAX];
    backbone_of(context, &settings->network)->build(graph, pair, &settings->network, level);
    const int damaged_features = graph_image(graph, level[last], DAMAGED), other_features = graph_image(graph, level[last], OTHER);
    int numbers = head_affine(graph, graph_image(graph, level[0], OTHER), graph_image(graph, level[0], DAMAGED), own->hidden);
    if (!own->affine_gradient) numbers = graph_hold(graph, numbers, 0);
    graph_scope(graph, "affine");
    const int map = graph_affine_field(graph, numbers, grid);
    const int turned = graph_warp(graph, other_features, map, own->coordinates);
    const int deform = head_double_conv(graph, "deform.conv", turned, damaged_features, DEFORM_WIDTH);
    const int field = head_field(graph, "deform.out", deform, INIT_UNIFORM_FAN);
    graph_scope(graph, "ncc");
    const int moved = graph_warp(graph, graph_warp(graph, other, map, own->coordinates), field, own->coordinates);
    const int ncc = graph_ncc_loss(graph, moved, clean, ABSENT, 1), smooth = graph_smooth_loss(graph, field, 1);
    const int restored = head_restore(graph, damaged_features, channels, INIT_UNIFORM_FAN);
    add_term(model, "ncc", ncc, 1, "zero_ncc");
    add_term(model, "smooth", smooth, 1, NULL);
    const int mse = head_mse(model, restored, clean, 1);
    graph_scope(graph, "zero_ncc");
    add_term(model, "zero_ncc", graph_ncc_loss(graph, other, clean, ABSENT, 0), 0, NULL);
    objective_term(model, &(struct loss_term){.name = "zero_mse", .result = ABSENT, .place = KNOWN_ZERO});
    graph_differentiate(graph, &(struct derivative){.outputs = 3, .output = {ncc, smooth, mse}, .gradient = {ncc, smooth, mse}});
    return COVER_OK;
}

/* ---- samples: the image, damaged, and a partner lie one behind the other */

static void make(const struct view_work *work, struct sample *sample) {
    const int64_t values = work->maker->values;
    sample->input[PAIR] = work->views + values, sample->input[CLEAN] = work->views;
    sample->known[KNOWN_ZERO] = squared_distance(work->views, work->views + values, values) / (double)values;
}
static const struct view_plan plan = {.recipe = &views_gvsl, .views = 3, .make = make};

static cover_status settle(cover_config *config, int64_t images) {
    (void)images;
    return head_width_fits("hidden", config_settings(config)->objective.hidden);
}

/* ---- the row */

static const struct objective_setting own_settings[] = {
    {"hidden", {"256", "256"}}, {"coordinates", {NULL, NULL}}, {"affine_gradient", {NULL, NULL}}, {0}};
static const struct figure_words figures[] = {
    {.name = "ncc",
     .over = "zero_ncc",
     .title = "correlation loss",
     .note = "1 \xe2\x88\x92 mean squared correlation in windows of 9 pixels an axis, of the moved partner and the image.",
     .naive = "moving nothing"},
    {.name = "smooth", .title = "roughness of the field", .note = "Mean squared difference of neighbours."},
    {.name = "mse",
     .over = "zero_mse",
     .title = "squared error",
     .note = "Of the restored image, a value.",
     .naive = "giving back what was seen"},
    {.name = "zero_ncc", .title = "correlation loss of the partner as it is"},
    {.name = "zero_mse", .title = "squared error of what was seen"},
    {0},
};
static const struct objective_picture pictures[] = {{"damaged", PAIR, DAMAGED}, {"partner", PAIR, OTHER}, {"truth", CLEAN, 0}, {0}};
const struct objective objective_gvsl = {
    .name = "gvsl",
    .title = "GVSL",
    .paper = "Geometric Visual Similarity Learning in 3D Medical Image Self-supervised Pre-training, CVPR 2023",
    .text = "finds the map between two images and gives back what was damaged of the first",
    .use = "for segmentation, of images of one part of the body that lie alike: two images have one anatomy",
    .cost = "about as many operations as COVER's",
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
