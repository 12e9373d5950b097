/* What the methods do to views, a row each (viewer.h), and the settings that change it.  Called by the objectives' makers. */
#include "viewer.h"

#define JITTER(strength) .jitter = (strength), .jitter_probability = 0.8
#define BLUR(a, b) .blur_low = 0.1, .blur_high = 2, .blur_high_3d = 1, .blur_probability = {a, b}

const struct view_recipe views_moco = {.share_low = 0.2, .flip = true, JITTER(0.4), BLUR(0.5, 0.5)};
const struct view_recipe views_simclr = {.share_low = 0.08, .flip = true, JITTER(0.8), BLUR(0.5, 0.5)};
const struct view_recipe views_byol = {
    .share_low = 0.08, .flip = true, JITTER(0.4), BLUR(1, 0.1), .solarise_probability = {0, 0.2}};
const struct view_recipe views_plain = {.share_low = 0.08, .flip = true};
const struct view_recipe views_chaitanya_global = {.side = 100.0 / 192, .offset = 0.3, .spread = 0.3};
const struct view_recipe views_chaitanya_local = {.place = VIEW_WINDOW, .offset = 0.3, .spread = 0.3};
const struct view_recipe views_window = {.place = VIEW_WINDOW};
const struct view_recipe views_gvsl = {.place = VIEW_PARTNER, .deforms = true};
const struct view_recipe views_gemini = {.place = VIEW_PARTNER};

static bool clamps(const struct view_recipe *recipe) {
    return recipe->jitter > 0 || recipe->offset > 0 || recipe->solarise_probability[1] > 0 || recipe->place == VIEW_PARTNER;
}

cover_status view_bounded(const struct settings *settings) {
    if (settings->views.normalise != NORMALISE_NONE) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT,
                "normalise=none leaves intensities anywhere, but the objective takes them to lie within 0..1; "
                "set normalise=range");
}

cover_status view_recipe_settle(struct view_recipe *recipe, const struct view_recipe *own, const struct settings *settings) {
    const struct objective_settings *s = &settings->objective;
    *recipe = *own;
    if (own->offset > 0 && s->appearance == LOOKS_COVER) recipe->offset = recipe->spread = 0, recipe->cover_looks = true;
    if (own->place == VIEW_BOX) {
        if (s->views == VIEWS_MILD) *recipe = (struct view_recipe){.place = VIEW_TURNED, .flip = true};
        if (s->views == VIEWS_SEVR) *recipe = (struct view_recipe){.place = VIEW_SEVR};
        if (s->view_flip == VIEW_FLIP_OFF) recipe->flip = false;
        if (s->view_area_low > 0) recipe->share_low = s->view_area_low, recipe->side = 0;
        if (s->view_jitter != 0) recipe->jitter = s->view_jitter > 0 ? s->view_jitter : 0;
        if (s->view_jitter > 0 && recipe->jitter_probability == 0) recipe->jitter_probability = 0.8;
        if (s->view_blur > 0) recipe->blur_high = recipe->blur_high_3d = s->view_blur;
        if (s->view_blur > 0 && recipe->blur_probability[0] == 0) recipe->blur_probability[0] = recipe->blur_probability[1] = 0.5;
        if (s->view_blur < 0) recipe->blur_probability[0] = recipe->blur_probability[1] = 0;
        if (recipe->blur_low > recipe->blur_high) recipe->blur_low = recipe->blur_high;
    } else if (s->views != VIEWS_OWN || s->view_flip != VIEW_FLIP_OWN || s->view_area_low != 0 || s->view_jitter != 0 ||
               s->view_blur != 0)
        return fail(COVER_ERROR_ARGUMENT,
                    "views and view_* change how two views of one image are drawn, which this objective does not; "
                    "leave them out");
    return clamps(recipe) ? view_bounded(settings) : COVER_OK;
}
