/* What the objectives that give an image back share.  See reconstruct.h. */
#include "reconstruct.h"

#include "core/nn/layers.h"

cover_status reconstruct_graphs(struct model *model, cover_context *context, const struct settings *settings,
                                const struct grid *grid, unsigned parts) {
    struct graph *graph = objective_graph(model, context, settings);
    const int64_t channels = settings->network.channels;
    const int x = graph_input(graph, "changed image", 1, grid, channels), truth = graph_input(graph, "image", 1, grid, channels);
    const int mask = parts & RECONSTRUCT_MASKED ? graph_input(graph, "dropped pixels", 1, grid, 1) : ABSENT;
    const int prediction = layer_conv1(graph, "recon", objective_features(graph, x, settings), channels, true, INIT_UNIFORM_FAN);
    graph_scope(graph, "mse");
    const int loss = graph_image_loss(graph, prediction, truth, mask, parts & RECONSTRUCT_SIGMOID);
    objective_term(model, &(struct loss_term){.name = "mse", .result = graph_result(graph, loss), .weight = 1, .over = "zero"});
    objective_term(model, &(struct loss_term){.name = "zero", .result = ABSENT, .place = RECONSTRUCT_ZERO});
    graph_differentiate(graph, &(struct derivative){.outputs = 1, .output = {loss}, .gradient = {loss}});
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
