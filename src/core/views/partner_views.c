/* Two images under one transformation (GVSL, GEMINI): clean A, damaged A and its partner B (viewer.h).  Called by the objectives' makers. */
#include "viewer_parts.h"

#include <string.h>

size_t partner_scratch(const struct viewer *viewer, const struct grid *largest, const struct grid *work) {
    size_t parts[] = {resize_bytes(largest, work, (int)viewer->settings.network.channels),
                      deform_bytes(&viewer->settings, work, &viewer->crop), damage_bytes(work)};
    size_t most = 0; /* one part at a time */
    for (int i = 0; i < 3; i++) most = parts[i] > most ? parts[i] : most;
    return most;
}

/* The whole resized image with its frame of zeros. */
static cover_status read_whole(struct resized *source, struct viewer *viewer, const struct stored_image *image,
                               const struct draw *draw) {
    struct intensity intensity;
    const struct affine still = {0};
    TRY(image_intensity(&intensity, image->pixels, &image->grid, image->channels, viewer->settings.views.normalise,
                        image->integer_max));
    affine_reach(&source->box, &still, draw, REACH_ANYWHERE);
    source_fill(source, image->pixels, &image->grid, &intensity, draw, viewer->scratch.data);
    return COVER_OK;
}

/* B's window at the same fraction of its range as A's. */
static void place_partner(struct draw *b, const struct draw *a) {
    for (int i = 0; i < 3; i++) {
        int64_t range_a = a->work.size[i] - a->crop.size[i], range_b = b->work.size[i] - b->crop.size[i];
        b->crop.first[i] = range_a > 0 ? (a->crop.first[i] * range_b + range_a / 2) / range_a : range_b / 2;
    }
}

/* A is damaged where it lies, before the map: the frame stays zero. */
static void damage_source(struct resized *damaged, const struct resized *source, const struct draw *draw,
                          const struct chance *chance, void *scratch) {
    struct damage damage;
    gvsl_damage_draw(&damage, &draw->work, chance);
    for (int i = 0; i < 3; i++) damage.first[i] = -source->box.first[i];
    struct grid framed = {draw->work.ndim, {source->box.size[0], source->box.size[1], source->box.size[2]}};
    damaged->box = source->box;
    damage_apply(damaged->values, source->values, &framed, draw->channels, &damage, scratch);
}

cover_status viewer_partner(struct viewer *viewer, struct partner_views *views, const struct stored_image *a,
                            const struct stored_image *b, const struct chance *chance) {
    const struct settings *s = &viewer->settings;
    TRY(viewer_accepts(&viewer->recipe, s, &a->grid, a->channels));
    TRY(viewer_accepts(&viewer->recipe, s, &b->grid, b->channels));
    TRY(viewer_reserve(viewer, &a->grid));
    TRY(viewer_reserve(viewer, &b->grid));
    struct draw draw = viewer_draw(viewer, a, chance), other = viewer_draw(viewer, b, chance);
    float *field = viewer->field.data;
    draw.two_angles = !viewer->recipe.deforms;
    window_draw(&draw, &viewer->crop);
    place_partner(&other, &draw);
    struct affine affine;
    affine_draw(&affine, &draw);
    affine_field(field, &affine, &draw, false);
    if (viewer->recipe.deforms) deform_smooth(field, &draw, viewer->scratch.data);

    struct resized source = {.values = viewer->source.data}, damaged = {.values = viewer->second.data};
    TRY(read_whole(&source, viewer, a, &draw));
    source_warp(views->clean, field, &source, &draw);
    damage_source(&damaged, &source, &draw, chance, viewer->scratch.data);
    source_warp(views->damaged, field, &damaged, &draw);
    TRY(read_whole(&source, viewer, b, &other));
    source_warp(views->partner, field, &source, &other);
    return COVER_OK;
}
