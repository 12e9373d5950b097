/* One training sample of a downstream task, from end to end (augment.h): where the crop lies, how it is moved, what is
 * read, flips and appearance.  The parts are SeVR's (sevr_parts.h), looks.h and augment_label.c. */
#include "augment.h"

#include "augment_label.h"
#include "looks.h"

#include <math.h>
#include <string.h>

struct augment {
    cover_context *context;
    struct settings settings;
    struct grid crop;
    bool moves; /* is there an affine map to draw? */
    int64_t *counts;
    struct room source, field, scratch;
};

cover_status augment_accepts(const struct settings *settings, const struct grid *grid, int channels) {
    return sizes_accept(settings, grid, channels);
}

cover_status augment_reserve(struct augment *augment, const struct grid *largest) {
    const struct settings *s = &augment->settings;
    int channels = (int)s->network.channels;
    TRY(augment_accepts(s, largest, channels));
    struct grid work = work_grid(s, largest), box;
    size_t resize = resize_bytes(largest, &work, channels), look = appearance_bytes(s, &augment->crop, channels);
    TRY(room_grow(augment->context, &augment->scratch, resize > look ? resize : look)); /* one part at a time */
    if (!augment->moves) return COVER_OK;
    affine_span(&box, s, &augment->crop);
    for (int i = 3 - box.ndim; i < 3; i++) box.size[i] = box.size[i] < work.size[i] ? box.size[i] : work.size[i];
    TRY(room_grow(augment->context, &augment->source, source_bytes(&box, channels)));
    size_t field = (size_t)(grid_pixels(&augment->crop) * augment->crop.ndim) * sizeof(float);
    return room_grow(augment->context, &augment->field, field);
}

cover_status augment_create(struct augment **out, cover_context *context, const struct settings *settings) {
    struct augment *augment = memory_zero(context, sizeof *augment);
    if (!augment) return COVER_ERROR_MEMORY;
    augment->context = context, augment->settings = *settings;
    struct settings *s = &augment->settings;
    s->views.affine = AFFINE_PAPER,
    s->objective.coordinates = COORDINATES_EXACT; /* what pretraining tried is no matter of the task */
    augment->crop = settings_grid(&s->views.crop, (int)s->network.dims);
    augment->moves = s->views.translate != 0 || s->views.rotate_degrees != 0 || s->views.shear_degrees != 0 ||
                     s->views.scale_low != 1 || s->views.scale_high != 1;
    cover_status status;
    GO(augment_reserve(augment, &augment->crop));
    if (s->views.foreground > 0 && !(augment->counts = memory_zero(context, LABEL_VALUES * sizeof *augment->counts)))
        status = COVER_ERROR_MEMORY;
done:
    if (status == COVER_OK) *out = augment;
    else augment_destroy(augment);
    return status;
}

void augment_destroy(struct augment *augment) {
    if (!augment) return;
    memory_free(augment->context, augment->source.data);
    memory_free(augment->context, augment->field.data);
    memory_free(augment->context, augment->scratch.data);
    memory_free(augment->context, augment->counts);
    memory_free(augment->context, augment);
}

size_t augment_bytes(const struct augment *augment) {
    return sizeof *augment + augment->source.bytes + augment->field.bytes + augment->scratch.bytes +
           (augment->counts ? LABEL_VALUES * sizeof *augment->counts : 0);
}

/* ---- where */

/* One affine map about the middle of a crop that begins at 0. */
static void draw_map(struct affine *affine, const struct draw *draw) {
    struct draw about = *draw;
    memcpy(about.work.size, draw->crop.size, sizeof about.work.size);
    affine_draw(affine, &about);
}

/* Move a placed crop by so little that the map shows `target` (a position of the resized image) at one of its pixels. */
static void show_target(struct draw *draw, const struct affine *affine, const double target[3]) {
    int dims = draw->work.ndim;
    double place[3], at[3], v[3];
    for (int i = 0; i < 3; i++) place[i] = at[i] = target[i] - (double)draw->crop.first[i];
    affine_origin(place, affine, dims, at);
    for (int i = 0; i < 3; i++) place[i] = fmin(fmax(floor(place[i] + 0.5), 0), (double)(draw->crop.size[i] - 1));
    affine_at(v, affine, dims, place);
    for (int a = 0, i = 3 - dims; a < dims; a++, i++) draw->crop.first[i] = (int64_t)floor(target[i] - place[i] - v[a] + 0.5);
}

/* The crop's first pixel, and the map's centre with it.  Before it is moved, the crop lies within the image and shows
 * the target, if there is one, at a random place. */
static void place_crop(struct draw *draw, struct affine *affine, const double *target, struct random_stream *stream) {
    int dims = draw->work.ndim;
    for (int i = 3 - dims; i < 3; i++) {
        int64_t size = draw->crop.size[i], spare = draw->work.size[i] - size;
        int64_t low = spare < 0 ? -(-spare / 2) : 0, high = spare < 0 ? low : spare;
        if (target) { /* of the positions that show it */
            int64_t near = (int64_t)floor(target[i] + 0.5);
            low = low > near - size + 1 ? low : near - size + 1, high = high < near ? high : near;
        }
        draw->crop.first[i] = low + random_below(stream, high - low + 1);
    }
    if (target) show_target(draw, affine, target);
    for (int a = 0; a < dims; a++) affine->centre[a] += (double)draw->crop.first[3 - dims + a];
}

/* The middle of a pixel of the stored image as a position of the resized one. */
static void resized_position(double target[3], const int64_t pixel[3], const struct grid *grid, const struct grid *work) {
    for (int i = 0; i < 3; i++) {
        double at = ((double)pixel[i] + 0.5) * ((double)work->size[i] / (double)grid->size[i]) - 0.5;
        target[i] = fmin(fmax(at, 0), (double)(work->size[i] - 1));
    }
}

/* ---- flips, in place */

static void draw_flips(float *image, float *label, const struct draw *draw) {
    int first = draw->settings->views.flip == FLIP_ALL ? 3 - draw->work.ndim : 2;
    if (draw->settings->views.flip == FLIP_OFF) return;
    struct random_stream stream = draw_stream(draw, RANDOM_TASK_FLIP);
    struct grid crop = {draw->work.ndim, {draw->crop.size[0], draw->crop.size[1], draw->crop.size[2]}};
    bool axes[3] = {false};
    for (int i = first; i < 3; i++) axes[i] = random_coin(&stream, 0.5);
    look_flip(image, &crop, draw->channels, axes);
    if (label) look_flip(label, &crop, 1, axes);
}

/* ---- one sample */

cover_status augment_draw(struct augment *augment, float *out_image, float *out_label, const float *image, const uint16_t *label,
                          int ignore, const struct grid *grid, int channels, float integer_max, uint64_t seed, uint32_t step,
                          uint32_t index) {
    const struct settings *s = &augment->settings;
    TRY(augment_accepts(s, grid, channels));
    TRY(augment_reserve(augment, grid));
    if (out_label && !label)
        return fail(COVER_ERROR_ARGUMENT, "sample %u: the task needs a label of its pixels, but the image has none", index);
    struct intensity intensity;
    TRY(image_intensity(&intensity, image, grid, channels, s->views.normalise, integer_max));

    struct draw draw = {.settings = s, .seed = seed, .step = step, .sample = index, .channels = channels};
    draw.work = work_grid(s, grid);
    memcpy(draw.crop.size, augment->crop.size, sizeof draw.crop.size);
    struct affine affine = {0};
    if (augment->moves) draw_map(&affine, &draw);
    struct random_stream stream = draw_stream(&draw, RANDOM_TASK_CROP);
    int64_t pixel[3];
    double target[3];
    bool aimed = label && augment->counts && random_coin(&stream, s->views.foreground) &&
                 label_foreground(pixel, label, ignore, grid, &stream, augment->counts);
    if (aimed) resized_position(target, pixel, grid, &draw.work);
    place_crop(&draw, &affine, aimed ? target : NULL, &stream);

    float *field = NULL;
    struct resized source = {.values = out_image, .box = draw.crop};
    if (augment->moves) {
        field = augment->field.data;
        affine_field(field, &affine, &draw, false);
        affine_reach(&source.box, &affine, &draw, REACH_MOVED);
        source.values = augment->source.data;
    }
    source_fill(&source, image, grid, &intensity, &draw, augment->scratch.data);
    if (augment->moves) source_warp(out_image, field, &source, &draw);
    if (out_label) label_read(out_label, label, ignore, grid, field, &draw);
    draw_flips(out_image, out_label, &draw);
    appearance_change(out_image, &draw, augment->scratch.data);
    return COVER_OK;
}

/* ---- without chance */

cover_status augment_plain(cover_context *context, const struct settings *settings, float **out, struct grid *grid,
                           const float *image, int channels, float integer_max) {
    TRY(augment_accepts(settings, grid, channels));
    struct intensity intensity;
    TRY(image_intensity(&intensity, image, grid, channels, settings->views.normalise, integer_max));
    struct draw draw = {.settings = settings, .channels = channels, .work = work_grid(settings, grid)};
    struct resized source = {.box = {.size = {draw.work.size[0], draw.work.size[1], draw.work.size[2]}}};
    void *scratch = memory_alloc(context, resize_bytes(grid, &draw.work, channels));
    source.values = scratch ? memory_alloc(context, (size_t)(grid_pixels(&draw.work) * channels) * sizeof(float)) : NULL;
    if (source.values) source_fill(&source, image, grid, &intensity, &draw, scratch);
    memory_free(context, scratch);
    if (!source.values) return COVER_ERROR_MEMORY;
    *out = source.values, *grid = draw.work;
    return COVER_OK;
}
