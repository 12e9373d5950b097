/* Rotation (Gidaris et al., ICLR 2018; volumes after Taleb et al., NeurIPS 2020): the encoder tells by how many quarter turns each copy of a
 * view was turned.  A row of objective.h's table. */
#include "core/nn/layers.h"
#include "networks.h"
#include "view_maker.h"

#include <math.h>
#include <stdio.h>

enum { COPIES, POSE }; /* inputs */
enum { TERM_ENTROPY, TERM_ACCURACY, TERM_ZERO };

static int poses(const struct settings *settings) { return settings->network.dims == 3 ? POSES_3D : POSES_2D; }

/* ---- the network: every copy an image, its features a row */

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings);
    const int copies = (int)settings->objective.rotations;
    const struct grid line = {2, {1, 1, copies}};
    const int images = graph_input(graph, "copies", copies, grid, settings->network.channels),
              pose = graph_input(graph, "pose", 1, &line, 1);
    const int rows = graph_rows(graph, objective_rows(graph, images, settings), 1, &line);
    const int logits = layer_conv1(graph, "classifier", rows, poses(settings), true, INIT_UNIFORM_FAN);
    graph_scope(graph, "cross_entropy");
    const int loss = graph_softmax_loss(graph, logits, pose, ABSENT, 1, 0), right = graph_class_right(graph, logits, pose);
    objective_term(model,
                   &(struct loss_term){.name = "cross_entropy", .result = graph_result(graph, loss), .weight = 1, .over = "zero"});
    objective_term(model, &(struct loss_term){.name = "accuracy", .result = graph_result(graph, right), .scale = 1.0 / copies});
    objective_term(model, &(struct loss_term){.name = "zero", .result = ABSENT, .place = TERM_ZERO});
    graph_differentiate(graph, &(struct derivative){.outputs = 1, .output = {loss}, .gradient = {loss}});
    return COVER_OK;
}

/* ---- samples: the view, behind it its copies and their poses */

static int64_t extra(const struct settings *settings, const struct grid *crop) {
    return settings->objective.rotations * (grid_pixels(crop) * settings->network.channels + 1);
}
static void make(const struct view_work *work, struct sample *sample) {
    const struct view_maker *own = work->maker;
    const struct settings *settings = own->run->settings;
    const int copies = (int)settings->objective.rotations;
    float *label = work->extra + copies * own->values;
    int pose[POSES_3D];
    look_poses_draw(pose, copies, &work->chance, own->crop.ndim);
    for (int i = 0; i < copies; i++) {
        look_turn(work->extra + i * own->values, work->views, &own->crop, (int)settings->network.channels, pose[i]);
        label[i] = (float)pose[i];
    }
    sample->input[COPIES] = work->extra, sample->input[POSE] = label;
    sample->known[TERM_ZERO] = log(poses(settings));
}
static const struct view_plan views = {.recipe = &views_plain, .views = 1, .extra = extra, .make = make};

/* ---- settings */

static cover_status settle(cover_config *config, int64_t images) {
    const struct settings *settings = config_settings(config);
    const struct grid crop = settings_grid(&settings->views.crop, (int)settings->network.dims);
    const long long copies = settings->objective.rotations, most = poses(settings);
    char crop_text[80], equal_text[80];
    struct grid equal = crop;
    (void)images;
    for (int i = 3 - crop.ndim; i < 3; i++)
        for (int k = 3 - crop.ndim; k < 3; k++) equal.size[k] = crop.size[i] < equal.size[k] ? crop.size[i] : equal.size[k];
    if (!grid_same(&crop, &equal))
        return fail(COVER_ERROR_SHAPE, "crop=%s: views are turned by quarter turns, so their sides must be equal; set crop=%s",
                    size_text(crop_text, &crop), size_text(equal_text, &equal));
    if (copies > most)
        return fail(COVER_ERROR_ARGUMENT, "rotations=%lld: there are %lld ways to turn a view; use %lld at most", copies, most,
                    most);
    return COVER_OK;
}

/* ---- the row */

static const struct objective_setting own_settings[] = {{"views", {NULL, NULL}},
                                                        {"view_area_low", {NULL, NULL}},
                                                        {"view_flip", {NULL, NULL}},
                                                        {"view_jitter", {NULL, NULL}},
                                                        {"view_blur", {NULL, NULL}},
                                                        {"rotations", {"4", "4"}},
                                                        {0}};
static const struct figure_words figures[] = {
    {.name = "cross_entropy",
     .over = "zero",
     .title = "cross-entropy of the pose",
     .note = "Of telling by which turns a copy differs from its image.",
     .naive = "guessing"},
    {.name = "accuracy", .title = "share of copies whose pose is told"},
    {.name = "zero", .title = "cross-entropy of guessing"},
    {0},
};
static const struct objective_picture pictures[] = {{"first", COPIES, 0}, {"second", COPIES, 1}, {0}};
const struct objective objective_rotation = {
    .name = "rotation",
    .title = "Rotation",
    .paper = "Unsupervised Representation Learning by Predicting Image Rotations, ICLR 2018",
    .text = "tells how the image was turned",
    .use = "for classification, as a baseline; images must have one orientation that means something",
    .cost = "about 0.6 of COVER's operations: each image is seen in four turns",
    .trained = "encoder",
    .sample = "image",
    .counts = "image",
    .setting = own_settings,
    .settle = settle,
    .graphs = graphs,
    .views = &views,
    .figure = figures,
    .picture = pictures,
};
