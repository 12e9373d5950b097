/* Denoising (Vincent et al., JMLR 2010): the image from what noise, masking or salt and pepper have left of it, end to end.  A row of
 * objective.h's table. */
#include "reconstruct.h"

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    return reconstruct_graphs(model, context, settings, grid, 0);
}

/* ---- samples: the window, and what is left of it behind it */

static void make(const struct view_work *work, struct sample *sample) {
    const struct objective_settings *own = &work->maker->run->settings->objective;
    const struct numbers numbers = {.drawn = chance_image(&work->chance, RANDOM_LOOK_CORRUPT, 0)};
    const int64_t values = work->maker->values;
    look_corrupt(work->extra, work->views, values, (enum corruption)own->corruption, (float)own->corruption_amount, &numbers);
    reconstruct_sample(sample, work->extra, work->views, values);
}
static const struct view_plan plan = {.recipe = &views_window, .views = 1, .extra = reconstruct_extra, .make = make};

/* ---- the row */

_Static_assert((int)CORRUPT_GAUSSIAN == (int)CORRUPTION_GAUSSIAN && (int)CORRUPT_SALT_AND_PEPPER == (int)CORRUPTION_SALT_AND_PEPPER,
               "in the order of the setting");

static const struct objective_setting own_settings[] = {{"corruption", {NULL, NULL}}, {"corruption_amount", {"0.1", "0.1"}}, {0}};
const struct objective objective_denoising = {
    .name = "denoising",
    .title = "Denoising",
    .paper = "Stacked Denoising Autoencoders, JMLR 2010",
    .text = "takes noise, masking or salt and pepper off the image",
    .use = "as a simple baseline, or where images are noisy; it learns little beyond a filter",
    .cost = "about half of COVER's operations",
    .trained = "whole",
    .sample = "image",
    .counts = "pixel in any image",
    .setting = own_settings,
    .graphs = graphs,
    .views = &plan,
    .figure = reconstruct_figures,
    .picture = reconstruct_pictures,
};
