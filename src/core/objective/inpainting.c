/* In-painting (context encoder: Pathak et al., CVPR 2016), with or without its adversary: pixels that were dropped, from those around them.
 * A row of objective.h's table. */
#include "adversary.h"
#include "reconstruct.h"

static bool judged(const struct settings *settings) { return settings->objective.adversarial > 0; }

static cover_status graphs(struct model *model, cover_context *context, const struct settings *settings, const struct grid *grid) {
    return reconstruct_graphs(model, context, settings, grid, RECONSTRUCT_MASKED | (judged(settings) ? RECONSTRUCT_JUDGED : 0));
}

/* ---- samples: the window, behind it what is seen of it, the mask, and its weights */

static int64_t extra(const struct settings *settings, const struct grid *crop) {
    return reconstruct_extra(settings, crop) + (judged(settings) ? 2 : 1) * grid_pixels(crop);
}
static size_t scratch(const struct settings *settings, const struct grid *crop) {
    (void)settings;
    return look_mask_bytes(crop);
}
static void make(const struct view_work *work, struct sample *sample) {
    const struct view_maker *own = work->maker;
    const struct settings *settings = own->run->settings;
    float *dropped = work->extra + own->values;
    look_mask_draw(dropped, &own->crop, (enum look_mask)settings->objective.mask, settings->objective.mask_share, &work->chance,
                   work->scratch);
    reconstruct_dropped(sample, work->extra, work->views, dropped, &own->crop, settings->network.channels);
    if (judged(settings)) /* every sample drops as many */
        reconstruct_judged(sample, dropped + grid_pixels(&own->crop), &own->crop, (double)sample->count);
}
static const struct view_plan plan = {.recipe = &views_window, .views = 1, .extra = extra, .scratch = scratch, .make = make};

/* ---- the row */

_Static_assert((int)LOOK_MASK_REGION == (int)MASK_REGION && (int)LOOK_MASK_BLOCKS == (int)MASK_BLOCKS &&
                   (int)LOOK_MASK_CENTRE == (int)MASK_CENTRE,
               "in the order of the setting");

/* Of regions: their share must be a pixel at least, and leave one. */
static cover_status settle(cover_config *config, int64_t images) {
    const struct settings *settings = config_settings(config);
    const struct grid crop = settings_grid(&settings->views.crop, (int)settings->network.dims);
    const double pixels = (double)grid_pixels(&crop), share = settings->objective.mask_share;
    (void)images;
    if (settings->objective.mask == MASK_REGION && (share * pixels < 0.5 || share * pixels >= pixels - 0.5))
        return fail(COVER_ERROR_ARGUMENT,
                    "mask_share=%g: of a crop of %.0f pixels one at least must be dropped and one be left; set "
                    "mask_share=0.25",
                    share, pixels);
    if (judged(settings) && settings->objective.mask == MASK_BLOCKS)
        return fail(COVER_ERROR_ARGUMENT, "adversarial=%g: with mask=blocks samples drop more or less; set mask=region or centre",
                    settings->objective.adversarial);
    return judged(settings) ? adversary_fits(&settings->objective.discriminator, &crop) : COVER_OK;
}

static const struct objective_setting own_settings[] = {
    {"mask", {NULL, NULL}}, {"mask_share", {"0.25", "0.25"}}, {"adversarial", {NULL, NULL}}, {"discriminator", {NULL, NULL}}, {0}};
static const struct figure_words figures[] = {
    {.name = "mse",
     .over = "zero",
     .title = "squared error",
     .note = "Of the dropped pixels, a value.",
     .naive = "the mean of the image"},
    {.name = "zero", .title = "squared error of the image's mean"},
    {.name = "adversarial",
     .title = "what the network loses by the adversary",
     .note = "Cross-entropy of taking the restored image for a real one; ln 2 where the adversary cannot tell."},
    {.name = "discriminator_real", .title = "what the adversary loses on images"},
    {.name = "discriminator_fake", .title = "what the adversary loses on restored ones"},
    {0},
};
static const struct objective_picture pictures[] = {
    {"seen", RECONSTRUCT_SEEN, 0}, {"truth", RECONSTRUCT_TRUTH, 0}, {"dropped", RECONSTRUCT_DROPPED, 0}, {0}};
const struct objective objective_inpainting = {
    .name = "inpainting",
    .title = "In-painting",
    .paper = "Context Encoders: Feature Learning by Inpainting, CVPR 2016",
    .text = "fills regions that were dropped from the image",
    .use = "for segmentation, as a baseline that must know what belongs where",
    .cost = "about half of COVER's operations",
    .trained = "whole",
    .sample = "image",
    .counts = "dropped pixel in any image",
    .setting = own_settings,
    .settle = settle,
    .graphs = graphs,
    .views = &plan,
    .figure = figures,
    .picture = pictures,
};
