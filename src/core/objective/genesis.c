/* Models Genesis (Zhou et al., MedIA 2021): the image from what shuffled windows, a curve of intensities and paint have left of it.  A row
 * of objective.h's table. */
#include "reconstruct.h"

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    return reconstruct_graphs(model, context, settings, grid, RECONSTRUCT_SIGMOID);
}

/* ---- samples: the window, flipped, and what its damage leaves behind it */

static size_t scratch(const struct settings *settings, const struct grid *crop) {
    (void)settings;
    return damage_bytes(crop);
}
static void make(const struct view_work *work, struct sample *sample) {
    const struct view_maker *own = work->maker;
    const int channels = (int)own->run->settings->network.channels;
    struct damage damage;
    genesis_draw(&damage, &own->crop, &work->chance);
    look_flip(work->views, &own->crop, channels, damage.flip);
    damage_apply(work->extra, work->views, &own->crop, channels, &damage, work->scratch);
    reconstruct_sample(sample, work->extra, work->views, own->values);
}
static const struct view_plan plan = {
    .recipe = &views_window, .views = 1, .extra = reconstruct_extra, .scratch = scratch, .make = make};

/* The curve, the paint and the sigmoid are of 0 .. 1. */
static cover_status settle(cover_config *config, int64_t images) {
    (void)images;
    return view_bounded(config_settings(config));
}

/* ---- the row */

static const struct objective_setting own_settings[] = {{0}}; /* it has none */
const struct objective objective_genesis = {
    .name = "genesis",
    .title = "Models Genesis",
    .paper = "Models Genesis, Medical Image Analysis 2021",
    .text = "gives back an image whose intensities, details and parts were changed",
    .use = "for segmentation, the best known of the methods that restore; in 2D and 3D",
    .cost = "about half of COVER's operations",
    .trained = "whole",
    .sample = "image",
    .counts = "pixel in any image",
    .setting = own_settings,
    .settle = settle,
    .graphs = graphs,
    .views = &plan,
    .figure = reconstruct_figures,
    .picture = reconstruct_pictures,
};
