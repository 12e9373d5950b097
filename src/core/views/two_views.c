/* Two views of one image and the field between them, one view, a window (viewer.h): where the views lie, then what is read there, then
 * their intensities.  Called by the objectives' makers. */
#include "viewer_parts.h"

#include <math.h>
#include <string.h>

enum { TRIES = 10, LEAST_SHARE = 16 }; /* of the pixels that both views must show, 1 / 16 */

/* One of the two views: where it lies. */
struct one_view {
    struct draw draw;    /* window of the crop's size, for VIEW_TURNED and VIEW_WINDOW */
    struct look_box box; /* for VIEW_BOX; its flips are everybody's */
    struct affine turn;  /* for VIEW_TURNED */
};

/* Another stream for each view and each try, of SeVR's draws too, which know seed, step and sample alone. */
static uint64_t mixed(uint64_t seed, int which) { return seed ^ (uint64_t)which * 0x9E3779B97F4A7C15u; }

/* ---- where */

static void place_box(struct one_view *view, const struct viewer *viewer, struct random_stream *stream) {
    const struct view_recipe *r = &viewer->recipe;
    const struct grid *work = &view->draw.work;
    look_box_draw(&view->box, stream, work, r->share_low, r->flip ? LOOK_FLIP_OWN : LOOK_FLIP_OFF);
    if (r->side <= 0) return;
    for (int i = 3 - work->ndim; i < 3; i++) {
        int64_t size = (int64_t)floor(r->side * (double)work->size[i] + 0.5);
        view->box.window.size[i] = size < 1 ? 1 : size;
        view->box.window.first[i] = random_below(stream, work->size[i] - view->box.window.size[i] + 1);
    }
}

static void place_turned(struct one_view *view, const struct viewer *viewer, struct random_stream *stream) {
    struct draw about = view->draw;
    memcpy(about.work.size, viewer->crop.size, sizeof about.work.size);
    affine_draw(&view->turn, &about);
    window_draw(&view->draw, &viewer->crop);
    int dims = viewer->crop.ndim;
    for (int a = 0; a < dims; a++) view->turn.centre[a] += (double)view->draw.crop.first[3 - dims + a];
    for (int i = dims == 2 ? 2 : 0; i < 3; i++) view->box.flip[i] = random_coin(stream, 0.5) && viewer->recipe.flip;
}

static void place(struct one_view *view, const struct viewer *viewer, const struct stored_image *image, const struct chance *chance,
                  int which, struct random_stream *stream) {
    const enum view_place at = viewer->recipe.place;
    *view = (struct one_view){.draw = viewer_draw(viewer, image, chance)};
    if (at == VIEW_TURNED) view->draw.seed = mixed(chance->seed, which);
    if (at == VIEW_BOX) place_box(view, viewer, stream);
    else if (at == VIEW_TURNED) place_turned(view, viewer, stream);
    else window_draw(&view->draw, &viewer->crop);
}

/* ---- the field: where a pixel of b lies in a */

static void between_boxes(struct affine *map, const struct look_box *a, const struct look_box *b, const struct grid *crop) {
    for (int k = 0, i = 3 - crop->ndim; i < 3; k++, i++) {
        double m = (double)crop->size[i], from_a = (double)a->window.size[i], from_b = (double)b->window.size[i];
        double p = b->flip[i] ? m - 1 : 0; /* the first pixel of b, unmirrored */
        double q = (double)(b->window.first[i] - a->window.first[i]) * m / from_a + (p + 0.5) * (from_b / from_a) - 0.5;
        map->shift[k] = a->flip[i] ? m - 1 - q : q;
        map->linear[k][k] = (a->flip[i] != b->flip[i] ? -1 : 1) * (from_b / from_a) - 1;
    }
}

/* Where pixel p of a turned view lies in the image: begin + step p. */
static void turned_map(double step[3][3], double begin[3], const struct one_view *view, const struct grid *crop) {
    int dims = crop->ndim;
    double at[3] = {0}, v[3];
    for (int i = 3 - dims; i < 3; i++) at[i] = (double)(view->draw.crop.first[i] + (view->box.flip[i] ? crop->size[i] - 1 : 0));
    affine_at(v, &view->turn, dims, at);
    for (int k = 0; k < dims; k++) {
        begin[k] = at[3 - dims + k] + v[k];
        for (int l = 0; l < dims; l++) step[k][l] = (view->turn.linear[k][l] + (k == l)) * (view->box.flip[3 - dims + l] ? -1 : 1);
    }
}

/* A turned view's steps are a rotation and mirrors, so that the way back is the transposed one. */
static void between_turned(struct affine *map, const struct one_view *a, const struct one_view *b, const struct grid *crop) {
    double step_a[3][3], step_b[3][3], begin_a[3], begin_b[3];
    turned_map(step_a, begin_a, a, crop);
    turned_map(step_b, begin_b, b, crop);
    for (int k = 0; k < crop->ndim; k++)
        for (int j = 0; j < crop->ndim; j++) {
            map->shift[k] += step_a[j][k] * (begin_b[j] - begin_a[j]);
            for (int l = 0; l < crop->ndim; l++) map->linear[k][l] += step_a[j][k] * step_b[j][l];
        }
    for (int k = 0; k < crop->ndim; k++) map->linear[k][k] -= 1;
}

static void draw_field(struct view_pair *pair, const struct viewer *viewer, const struct one_view *a, const struct one_view *b) {
    struct affine map = {0};
    struct draw draw = a->draw;
    memset(draw.crop.first, 0, sizeof draw.crop.first);
    if (viewer->recipe.place == VIEW_BOX) between_boxes(&map, &a->box, &b->box, &viewer->crop);
    if (viewer->recipe.place == VIEW_TURNED) between_turned(&map, a, b, &viewer->crop);
    affine_field(pair->field, &map, &draw, false);
    pair_mask(pair, &viewer->crop, false);
}

/* Both views, so that enough of b is in a where that matters. */
static void place_both(struct one_view view[2], struct view_pair *pair, const struct viewer *viewer,
                       const struct stored_image *image, const struct chance *chance) {
    struct random_stream stream[2];
    for (int u = 0; u < 2; u++) stream[u] = chance_stream(chance, RANDOM_LOOK_BOX, (uint32_t)u);
    for (int u = 0; u < (pair->fixed ? 2 : 1); u++) place(&view[u], viewer, image, chance, u, &stream[u]);
    if (!pair->field) return;
    int64_t least = (grid_pixels(&viewer->crop) + LEAST_SHARE - 1) / LEAST_SHARE;
    draw_field(pair, viewer, &view[0], &view[1]);
    for (int try = 1; try <= TRIES && pair->valid < least; try++) {
        place(&view[1], viewer, image, chance, 1 + try, &stream[1]);
        draw_field(pair, viewer, &view[0], &view[1]);
    }
    if (pair->valid >= least) return;
    bool flip[3];
    memcpy(flip, view[1].box.flip, sizeof flip);
    view[1] = view[0];
    memcpy(view[1].box.flip, flip, sizeof flip);
    draw_field(pair, viewer, &view[0], &view[1]);
}

/* ---- what is read there */

static void read_view(float *out, struct viewer *viewer, const struct one_view *view, const struct stored_image *image,
                      const struct intensity *intensity) {
    void *scratch = viewer->scratch.data;
    const struct draw *draw = &view->draw;
    struct resized source = {.values = viewer->source.data};
    if (viewer->recipe.place == VIEW_WINDOW) {
        source = (struct resized){out, draw->crop};
        source_fill(&source, image->pixels, &image->grid, intensity, draw, scratch);
    } else if (viewer->recipe.place == VIEW_BOX) {
        source.box = view->box.window;
        source_fill(&source, image->pixels, &image->grid, intensity, draw, scratch);
        struct look_box whole = view->box;
        memset(whole.window.first, 0, sizeof whole.window.first);
        struct grid grid = {viewer->crop.ndim, {source.box.size[0], source.box.size[1], source.box.size[2]}};
        look_resized_crop(out, &viewer->crop, &whole, source.values, &grid, image->channels, scratch);
    } else {
        affine_field(viewer->field.data, &view->turn, draw, false);
        affine_reach(&source.box, &view->turn, draw, REACH_MOVED);
        source_fill(&source, image->pixels, &image->grid, intensity, draw, scratch);
        source_warp(out, viewer->field.data, &source, draw);
        look_flip(out, &viewer->crop, image->channels, view->box.flip);
    }
}

/* ---- intensities */

static double blur_most(const struct viewer *viewer) {
    return viewer->crop.ndim == 3 ? viewer->recipe.blur_high_3d : viewer->recipe.blur_high;
}

/* All is drawn, wanted or not, so that no number depends on a setting. */
static void change_looks(float *view, struct viewer *viewer, int which, const struct draw *draw, const struct chance *chance) {
    const struct view_recipe *r = &viewer->recipe;
    int64_t count = grid_pixels(&viewer->crop) * draw->channels;
    struct random_stream stream = chance_stream(chance, RANDOM_LOOK_INTENSITY, (uint32_t)which);
    bool jitters = random_coin(&stream, r->jitter_probability), contrast_first = random_coin(&stream, 0.5);
    float way[2], sigma, offset, spread;
    for (int i = 0; i < 2; i++) way[i] = random_uniform(&stream, (float)(1 - r->jitter), (float)(1 + r->jitter));
    bool blurs = random_coin(&stream, r->blur_probability[which]);
    sigma = random_uniform(&stream, (float)r->blur_low, (float)blur_most(viewer));
    bool solarises = random_coin(&stream, r->solarise_probability[which]);
    offset = random_uniform(&stream, (float)-r->offset, (float)r->offset);
    spread = random_uniform(&stream, (float)(1 - r->spread), (float)(1 + r->spread));
    if (r->cover_looks) {
        struct draw of = *draw;
        of.seed = mixed(chance->seed, which);
        appearance_change(view, &of, viewer->scratch.data);
        return;
    }
    if (jitters && r->jitter > 0) {
        if (contrast_first) look_contrast(view, count, way[1]);
        look_brightness(view, count, way[0]);
        if (!contrast_first) look_contrast(view, count, way[1]);
    }
    if (blurs) blur_image(view, &viewer->crop, draw->channels, (double)sigma, viewer->scratch.data);
    if (solarises) look_solarise(view, count, 0.5f);
    if (r->offset > 0) look_offset(view, count, offset, spread, 1.5f);
}

size_t two_views_scratch(const struct viewer *viewer, const struct grid *largest, const struct grid *work) {
    int channels = (int)viewer->settings.network.channels;
    size_t parts[] = {resize_bytes(largest, work, channels), look_resized_crop_bytes(&viewer->crop, work, channels),
                      blur_bytes((double)(float)blur_most(viewer), &viewer->crop, channels),
                      viewer->recipe.cover_looks ? appearance_bytes(&viewer->settings, &viewer->crop, channels) : 0};
    size_t most = 0; /* one part at a time */
    for (int i = 0; i < 4; i++) most = parts[i] > most ? parts[i] : most;
    return most;
}

/* ---- draws */

/* What COVER's pair has is written somewhere, wanted or not. */
static cover_status sevr_pair(struct viewer *viewer, struct view_pair *pair, const struct stored_image *image,
                              const struct chance *chance) {
    struct view_pair whole = *pair;
    int64_t pixels = grid_pixels(&viewer->crop);
    float *room = viewer->field.data;
    if (!whole.field) whole.field = room, whole.mask = room + pixels * viewer->crop.ndim;
    if (!whole.fixed) whole.fixed = room + pixels * (viewer->crop.ndim + 1);
    TRY(sevr_draw(viewer->sevr, &whole, image->pixels, &image->grid, image->channels, image->integer_max, chance->seed,
                  chance->step, chance->sample));
    pair->valid = whole.valid, pair->zero_loss = whole.zero_loss;
    return COVER_OK;
}

cover_status viewer_pair(struct viewer *viewer, struct view_pair *pair, const struct stored_image *image,
                         const struct chance *chance) {
    TRY(viewer_accepts(&viewer->recipe, &viewer->settings, &image->grid, image->channels));
    TRY(viewer_reserve(viewer, &image->grid));
    if (viewer->sevr) return sevr_pair(viewer, pair, image, chance);
    struct intensity intensity;
    TRY(image_intensity(&intensity, image->pixels, &image->grid, image->channels, viewer->settings.views.normalise,
                        image->integer_max));
    struct one_view view[2];
    pair->valid = 0, pair->zero_loss = 0;
    place_both(view, pair, viewer, image, chance);
    float *const out[2] = {pair->moving, pair->fixed};
    for (int u = 0; u < 2; u++) {
        if (!out[u]) continue;
        read_view(out[u], viewer, &view[u], image, &intensity);
        change_looks(out[u], viewer, u, &view[u].draw, chance);
    }
    return COVER_OK;
}

cover_status viewer_window(struct viewer *viewer, float *view, const struct stored_image *image, const struct chance *chance) {
    TRY(sevr_accepts(&viewer->settings, &image->grid, image->channels));
    TRY(viewer_reserve(viewer, &image->grid));
    struct intensity intensity;
    TRY(image_intensity(&intensity, image->pixels, &image->grid, image->channels, viewer->settings.views.normalise,
                        image->integer_max));
    struct draw draw = viewer_draw(viewer, image, chance);
    if (chance) window_draw(&draw, &viewer->crop);
    else
        for (int i = 0; i < 3; i++) draw.crop.first[i] = (draw.work.size[i] - draw.crop.size[i]) / 2;
    struct resized source = {view, draw.crop};
    source_fill(&source, image->pixels, &image->grid, &intensity, &draw, viewer->scratch.data);
    return COVER_OK;
}
