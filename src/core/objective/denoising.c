/* Denoising (Vincent et al., JMLR 2010): the image from what noise, masking or salt and pepper have left of it, end to end.  A row of
 * objective.h's table. */
#include "core/nn/layers.h"
#include "networks.h"
#include "view_maker.h"

enum { CHANGED, CLEAN }; /* inputs */
enum { TERM_MSE, TERM_ZERO };

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings);
    const int64_t channels = settings->network.channels;
    const int x = graph_input(graph, "changed image", 1, grid, channels), truth = graph_input(graph, "image", 1, grid, channels);
    const int prediction = layer_conv1(graph, "recon", objective_features(graph, x, settings), channels, true, INIT_UNIFORM_FAN);
    graph_scope(graph, "mse");
    const int loss = graph_image_loss(graph, prediction, truth, ABSENT, false);
    objective_term(model, &(struct loss_term){.name = "mse", .result = graph_result(graph, loss), .weight = 1, .over = "zero"});
    objective_term(model, &(struct loss_term){.name = "zero", .result = ABSENT, .place = TERM_ZERO});
    graph_differentiate(graph, &(struct derivative){.outputs = 1, .output = {loss}, .gradient = {loss}});
    return COVER_OK;
}

/* ---- samples: the window, and what is left of it behind it */

static int64_t extra(const struct settings *settings, const struct grid *crop) {
    return grid_pixels(crop) * settings->network.channels;
}
static void make(const struct view_work *work, struct sample *sample) {
    const struct objective_settings *own = &work->maker->run->settings->objective;
    const struct numbers numbers = {.drawn = chance_image(&work->chance, RANDOM_LOOK_CORRUPT, 0)};
    const int64_t values = work->maker->values;
    look_corrupt(work->extra, work->views, values, (enum corruption)own->corruption, (float)own->corruption_amount, &numbers);
    sample->input[CHANGED] = work->extra, sample->input[CLEAN] = work->views;
    sample->count = values;
    sample->known[TERM_ZERO] = squared_distance(work->extra, work->views, values);
}
static const struct view_plan plan = {.recipe = &views_window, .views = 1, .extra = extra, .make = make};

/* ---- the row */

_Static_assert((int)CORRUPT_GAUSSIAN == (int)CORRUPTION_GAUSSIAN && (int)CORRUPT_SALT_AND_PEPPER == (int)CORRUPTION_SALT_AND_PEPPER,
               "in the order of the setting");

static const struct objective_setting own_settings[] = {{"corruption", {NULL, NULL}}, {"corruption_amount", {"0.1", "0.1"}}, {0}};
static const struct figure_words figures[] = {
    {.name = "mse",
     .over = "zero",
     .title = "squared error",
     .note = "Of the restored image, a value.",
     .naive = "giving back what was seen"},
    {.name = "zero", .title = "squared error of what was seen"},
    {0},
};
static const struct objective_picture pictures[] = {{"seen", CHANGED, 0}, {"truth", CLEAN, 0}, {0}};
const struct objective objective_denoising = {
    .name = "denoising",
    .title = "Denoising",
    .paper = "Stacked Denoising Autoencoders, JMLR 2010",
    .sample = "image",
    .counts = "pixel in any image",
    .setting = own_settings,
    .graphs = graphs,
    .views = &plan,
    .figure = figures,
    .picture = pictures,
};
