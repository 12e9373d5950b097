/* What the objectives that give an image back share.  See reconstruct.h. */
#include "reconstruct.h"

#include "adversary.h"
#include "core/nn/layers.h"

#include <string.h>

cover_status reconstruct_graphs(struct model *model, cover_context *context, const struct settings *settings,
                                const struct grid *grid, unsigned parts) {
    struct graph *graph = objective_graph(model, context, settings);
    const int64_t channels = settings->network.channels;
    const int x = graph_input(graph, "changed image", 1, grid, channels), truth = graph_input(graph, "image", 1, grid, channels);
    const int mask = parts & RECONSTRUCT_MASKED ? graph_input(graph, "dropped pixels", 1, grid, 1) : ABSENT;
    const int prediction = layer_conv1(graph, "recon", objective_features(graph, x, settings), channels, true, INIT_UNIFORM_FAN);
    const bool judged = parts & RECONSTRUCT_JUDGED;
    const double weight = judged ? 1 - settings->objective.adversarial : 1;
    const int weights = judged ? graph_input(graph, "weights", 1, grid, 1) : mask;
    graph_scope(graph, "mse");
    const int weighed = judged ? graph_hold(graph, prediction, (float)weight) : prediction;
    const int loss = graph_image_loss(graph, weighed, truth, weights, parts & RECONSTRUCT_SIGMOID);
    objective_term(model,
                   &(struct loss_term){.name = "mse", .result = graph_result(graph, loss), .weight = weight, .over = "zero"});
    objective_term(model, &(struct loss_term){.name = "zero", .result = ABSENT, .place = RECONSTRUCT_ZERO});
    struct derivative derivative = {.outputs = 1, .output = {loss}};
    if (judged) {
        const struct grid one = {grid->ndim, {1, 1, 1}};
        const int real = graph_input(graph, "one", 1, &one, 1), fake = graph_input(graph, "nought", 1, &one, 1);
        const struct adversary adversary = {.image = truth,
                                            .restored = graph_blend(graph, mask, prediction, truth),
                                            .real = real,
                                            .fake = fake,
                                            .weight = (float)settings->objective.adversarial};
        adversary_add(model, &adversary, &settings->objective.discriminator, derivative.output + 1);
        derivative.outputs += ADVERSARY_LOSSES;
    }
    memcpy(derivative.gradient, derivative.output, sizeof derivative.gradient);
    graph_differentiate(graph, &derivative);
    return COVER_OK;
}

int64_t reconstruct_extra(const struct settings *settings, const struct grid *crop) {
    return grid_pixels(crop) * settings->network.channels;
}

void reconstruct_sample(struct sample *sample, const float *seen, const float *truth, int64_t values) {
    sample->input[RECONSTRUCT_SEEN] = seen, sample->input[RECONSTRUCT_TRUTH] = truth;
    sample->count = values;
    sample->known[RECONSTRUCT_ZERO] = squared_distance(seen, truth, values);
}

void reconstruct_dropped(struct sample *sample, float *seen, const float *truth, const float *dropped, const struct grid *grid,
                         int64_t channels) {
    const int64_t pixels = grid_pixels(grid);
    look_fill(seen, truth, dropped, grid, (int)channels, mean_value(truth, pixels * channels));
    sample->input[RECONSTRUCT_SEEN] = seen, sample->input[RECONSTRUCT_TRUTH] = truth, sample->input[RECONSTRUCT_DROPPED] = dropped;
    sample->count = 0;
    for (int64_t i = 0; i < pixels; i++) sample->count += dropped[i] != 0 ? channels : 0;
    sample->known[RECONSTRUCT_ZERO] = squared_distance(seen, truth, pixels * channels); /* the rest is the same */
}

void reconstruct_judged(struct sample *sample, float *weights, const struct grid *grid, double average) {
    static const float real = 1, fake = 0;
    const float *dropped = sample->input[RECONSTRUCT_DROPPED];
    for (int64_t i = 0; i < grid_pixels(grid); i++) weights[i] = (float)((double)dropped[i] / average);
    sample->input[RECONSTRUCT_WEIGHTS] = weights, sample->input[RECONSTRUCT_REAL] = &real, sample->input[RECONSTRUCT_FAKE] = &fake;
    sample->known[RECONSTRUCT_ZERO] /= average;
    sample->count = 1;
}

const struct figure_words reconstruct_figures[] = {
    {.name = "mse",
     .over = "zero",
     .title = "squared error",
     .note = "Of the restored image, a value.",
     .naive = "giving back what was seen"},
    {.name = "zero", .title = "squared error of what was seen"},
    {0},
};
const struct objective_picture reconstruct_pictures[] = {{"seen", RECONSTRUCT_SEEN, 0}, {"truth", RECONSTRUCT_TRUTH, 0}, {0}};
