/* A complete objective in one file, to start one's own from: is this view an image, or its negative?  The encoder learns it from views that
 * are turned into negatives by chance.  In the library it would lie in src/core/objective and have the line OBJECTIVE(inversion) in
 * src/core/settings/objectives.def; everything else (option, presets, help, log, pages, checkpoints, weights) follows from the row. */
#include "core/nn/heads.h"
#include "core/objective/networks.h"
#include "core/objective/view_maker.h"

#include <math.h>

enum { VIEW, ANSWER };            /* inputs of a sample */
enum { TERM_ENTROPY, TERM_ZERO }; /* its figures */

/* The graph over one sample, its loss, and backward.  Called twice: first to see which parameters there are. */
static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    struct graph *graph = objective_graph(model, context, settings);
    const struct grid pixel = {grid->ndim, {1, 1, 1}};
    const int view = graph_input(graph, "view", 1, grid, settings->network.channels);
    const int answer = graph_input(graph, "answer", 1, &pixel, 1);
    const int logits = head_linear(graph, "classifier", objective_rows(graph, view, settings), 2, true);
    graph_scope(graph, "loss");
    const int loss = graph_softmax_loss(graph, logits, answer, ABSENT, 1, 0);
    objective_term(model,
                   &(struct loss_term){.name = "cross_entropy", .result = graph_result(graph, loss), .weight = 1, .over = "zero"});
    objective_term(model, &(struct loss_term){.name = "zero", .result = ABSENT, .place = TERM_ZERO});
    graph_differentiate(graph, &(struct derivative){.outputs = 1, .output = {loss}, .gradient = {loss}});
    return COVER_OK;
}

/* A sample: the view is drawn; what is made of it depends on (seed, step, sample) alone. */
static int64_t extra(const struct settings *settings, const struct grid *crop) {
    (void)settings, (void)crop;
    return 1;
}
static void make(const struct view_work *work, struct sample *sample) {
    struct random_stream stream = chance_stream(&work->chance, RANDOM_LOOK_POSE, 0);
    const bool negative = random_coin(&stream, 0.5);
    for (int64_t i = 0; negative && i < work->maker->values; i++) work->views[i] = 1 - work->views[i];
    *work->extra = negative;
    sample->input[ANSWER] = work->extra;
    sample->known[TERM_ZERO] = log(2);
}
static const struct view_plan plan = {.recipe = &views_plain, .views = 1, .extra = extra, .make = make};

static const struct objective_setting settings[] = {TWO_VIEWS_SETTINGS, {0}};
static const struct figure_words figures[] = {
    {.name = "cross_entropy", .over = "zero", .title = "cross-entropy", .naive = "tossing a coin"},
    {.name = "zero", .title = "cross-entropy of a coin"},
    {0},
};
static const struct objective_picture pictures[] = {{"view", VIEW, 0}, {0}};
const struct objective objective_inversion = {
    .name = "inversion",
    .title = "Inversion",
    .text = "tells images from their negatives",
    .use = "as an example; it is too easy to teach much",
    .cost = "about 0.15 of COVER's step, by its operations",
    .trained = "encoder",
    .sample = "view",
    .counts = "view",
    .setting = settings,
    .graphs = graphs,
    .views = &plan,
    .figure = figures,
    .picture = pictures,
};
