/* A worker's memory for the views of viewer.h, and what it takes.  Called by the objectives' makers. */
#include "viewer_parts.h"

#include <string.h>

cover_status viewer_accepts(const struct view_recipe *recipe, const struct settings *settings, const struct grid *grid,
                            int channels) {
    return recipe->place == VIEW_BOX ? sizes_accept(settings, grid, channels) : sevr_accepts(settings, grid, channels);
}

/* The map of a place, in SeVR's words. */
static void set_map(struct settings *settings, const struct view_recipe *recipe) {
    static const double largest_turn[] = {[VIEW_TURNED] = 10, [VIEW_PARTNER] = 20};
    struct views_settings *v = &settings->views;
    if (recipe->place == VIEW_SEVR) return;
    settings->objective.coordinates = COORDINATES_EXACT;
    v->affine = AFFINE_PAPER;
    v->diffeo_alpha = v->deform_alpha = v->translate = v->shear_degrees = 0;
    v->scale_low = v->scale_high = 1;
    v->rotate_degrees = recipe->place == VIEW_TURNED || recipe->place == VIEW_PARTNER ? largest_turn[recipe->place] : 0;
    if (recipe->place == VIEW_PARTNER) v->scale_low = 0.75, v->scale_high = 1.25;
    if (recipe->deforms) {
        v->translate = 0.1, v->shear_degrees = 10;
        v->deform_alpha = 512, v->deform_sigma_low = 10, v->deform_sigma_high = 13;
    }
}

cover_status viewer_reserve(struct viewer *viewer, const struct grid *largest) {
    const struct settings *s = &viewer->settings;
    int channels = (int)s->network.channels;
    TRY(viewer_accepts(&viewer->recipe, s, largest, channels));
    if (viewer->sevr) TRY(sevr_reserve(viewer->sevr, largest));
    struct grid work = work_grid(s, largest);
    bool partner = viewer->recipe.place == VIEW_PARTNER;
    size_t field = (size_t)(grid_pixels(&viewer->crop) * viewer->crop.ndim) * sizeof(float);
    if (!viewer->sevr) TRY(room_grow(viewer->context, &viewer->source, source_bytes(&work, channels)));
    if (partner) TRY(room_grow(viewer->context, &viewer->second, source_bytes(&work, channels)));
    if (partner || viewer->recipe.place == VIEW_TURNED) TRY(room_grow(viewer->context, &viewer->field, field));
    size_t scratch = (partner ? partner_scratch : two_views_scratch)(viewer, largest, &work);
    return room_grow(viewer->context, &viewer->scratch, scratch);
}

cover_status viewer_create(struct viewer **out, cover_context *context, const struct settings *settings,
                           const struct view_recipe *recipe) {
    struct viewer *viewer = memory_zero(context, sizeof *viewer);
    if (!viewer) return COVER_ERROR_MEMORY;
    cover_status status = COVER_OK;
    viewer->context = context, viewer->settings = *settings, viewer->recipe = *recipe;
    viewer->crop = settings_grid(&settings->views.crop, (int)settings->network.dims);
    set_map(&viewer->settings, recipe);
    if (recipe->place == VIEW_SEVR) {
        GO(sevr_create(&viewer->sevr, context, settings));
        size_t pixels = (size_t)grid_pixels(&viewer->crop); /* for a field and a mask that nobody wants, and a second view */
        GO(room_grow(context, &viewer->field,
                     pixels * ((size_t)viewer->crop.ndim + 1 + (size_t)settings->network.channels) * sizeof(float)));
    }
    GO(viewer_reserve(viewer, &viewer->crop));
done:
    if (status == COVER_OK) *out = viewer;
    else viewer_destroy(viewer);
    return status;
}

void viewer_destroy(struct viewer *viewer) {
    if (!viewer) return;
    sevr_destroy(viewer->sevr);
    struct room *rooms[] = {&viewer->source, &viewer->second, &viewer->field, &viewer->scratch};
    for (int i = 0; i < 4; i++) memory_free(viewer->context, rooms[i]->data);
    memory_free(viewer->context, viewer);
}

size_t viewer_bytes(const struct viewer *viewer) {
    return sizeof *viewer + viewer->source.bytes + viewer->second.bytes + viewer->field.bytes + viewer->scratch.bytes +
           (viewer->sevr ? sevr_bytes(viewer->sevr) : 0);
}

struct draw viewer_draw(const struct viewer *viewer, const struct stored_image *image, const struct chance *chance) {
    struct draw draw = {
        .settings = &viewer->settings, .channels = image->channels, .work = work_grid(&viewer->settings, &image->grid)};
    if (chance) draw.seed = chance->seed, draw.step = chance->step, draw.sample = chance->sample;
    memcpy(draw.crop.size, viewer->crop.size, sizeof draw.crop.size);
    return draw;
}
