/* SeVR, one draw from end to end (paper, section 3.2; supplement B.1-B.3): field, mask, the two views of one image.
 * Called by the trainer's prefetch threads and by the public sampler; the parts are in sevr_*.c. */
#include "sevr.h"

#include "sevr_parts.h"

#include <math.h>

struct sevr {
    cover_context *context;
    struct settings settings;
    struct grid crop;
    struct room source, scratch;
};

cover_status sevr_accepts(const struct settings *settings, const struct grid *grid, int channels) {
    TRY(sizes_accept(settings, grid, channels));
    struct grid crop = settings_grid(&settings->views.crop, grid->ndim), work = work_grid(settings, grid);
    for (int i = 3 - grid->ndim; i < 3; i++)
        if (work.size[i] < crop.size[i]) {
            struct grid enough = work;
            for (int k = 3 - grid->ndim; k < 3; k++) enough.size[k] = crop.size[k] > work.size[k] ? crop.size[k] : work.size[k];
            char work_text[80], crop_text[80], enough_text[80];
            return fail(COVER_ERROR_SHAPE, "%s is smaller than crop=%s; set work=%s to enlarge the images, or a crop within %s",
                        size_text(work_text, &work), size_text(crop_text, &crop), size_text(enough_text, &enough), work_text);
        }
    return COVER_OK;
}

cover_status sevr_reserve(struct sevr *sevr, const struct grid *largest) {
    const struct settings *s = &sevr->settings;
    int channels = (int)s->network.channels;
    TRY(sevr_accepts(s, largest, channels));
    struct grid work = work_grid(s, largest);
    size_t parts[] = {resize_bytes(largest, &work, channels), deform_bytes(s, &work, &sevr->crop),
                      appearance_bytes(s, &sevr->crop, channels)};
    size_t scratch = 0; /* one part at a time */
    for (int i = 0; i < 3; i++) scratch = parts[i] > scratch ? parts[i] : scratch;
    TRY(room_grow(sevr->context, &sevr->source, source_bytes(&work, channels)));
    return room_grow(sevr->context, &sevr->scratch, scratch);
}

cover_status sevr_create(struct sevr **out, cover_context *context, const struct settings *settings) {
    struct sevr *sevr = memory_zero(context, sizeof *sevr);
    if (!sevr) return COVER_ERROR_MEMORY;
    sevr->context = context, sevr->settings = *settings;
    sevr->crop = settings_grid(&settings->views.crop, (int)settings->network.dims);
    cover_status status = sevr_reserve(sevr, &sevr->crop);
    if (status != COVER_OK) {
        sevr_destroy(sevr);
        return status;
    }
    *out = sevr;
    return COVER_OK;
}

void sevr_destroy(struct sevr *sevr) {
    if (!sevr) return;
    memory_free(sevr->context, sevr->source.data);
    memory_free(sevr->context, sevr->scratch.data);
    memory_free(sevr->context, sevr);
}

size_t sevr_bytes(const struct sevr *sevr) { return sizeof *sevr + sevr->source.bytes + sevr->scratch.bytes; }

struct view_bytes sevr_pair_bytes(const struct sevr *sevr) {
    size_t bytes = (size_t)grid_pixels(&sevr->crop) * sizeof(float);
    return (struct view_bytes){bytes * (size_t)sevr->settings.network.channels, bytes * (size_t)sevr->crop.ndim, bytes};
}

void window_draw(struct draw *draw, const struct grid *crop) {
    struct random_stream stream = draw_stream(draw, RANDOM_VIEW_CROP);
    for (int i = 0; i < 3; i++) {
        draw->crop.size[i] = crop->size[i];
        if (i >= 3 - crop->ndim) draw->crop.first[i] = random_below(&stream, draw->work.size[i] - crop->size[i] + 1);
    }
}

/* One row of the mask (supplement B.3), eq. 19: 1 where p + v lies within the view; `released` leaves 0 itself out.
 * rest: is the row inside along the other axes as well?  Returns the number of ones, adds their |v| to *zero_loss. */
static inline int64_t mask_row(float *mask, const float *field, const float start[3], const float last[3], bool released,
                               int64_t count, int dims, double *zero_loss) {
    enum { LANES = 4 };
    double sums[LANES] = {0};
    int32_t valid[LANES] = {0};
    for (int64_t block = 0; block < count; block += LANES)
        for (int64_t x = block; x < block + LANES && x < count; x++) {
            int inside = 1;
            float magnitude = 0;
            for (int a = 0; a < dims; a++) {
                float v = field[x * dims + a], at = start[a] + (a == dims - 1 ? (float)x : 0) + v;
                inside &= (released ? at > 0 : at >= 0) & (at <= last[a]);
                magnitude += fabsf(v);
            }
            mask[x] = (float)inside;
            valid[x - block] += inside;
            sums[x - block] += inside ? (double)magnitude : 0;
        }
    *zero_loss += (sums[0] + sums[1]) + (sums[2] + sums[3]);
    return (int64_t)valid[0] + valid[1] + valid[2] + valid[3];
}

void pair_mask(struct view_pair *pair, const struct grid *crop, bool released) {
    int dims = crop->ndim;
    float last[3];
    for (int a = 0; a < dims; a++) last[a] = (float)(grid_axis(crop, a) - 1);
    pair->valid = 0, pair->zero_loss = 0;
    for (int64_t z = 0, row = 0; z < crop->size[0]; z++)
        for (int64_t y = 0; y < crop->size[1]; y++, row++) {
            float start[3] = {dims == 3 ? (float)z : (float)y, dims == 3 ? (float)y : 0, 0};
            float *mask = pair->mask + row * crop->size[2];
            const float *field = pair->field + row * crop->size[2] * dims;
            pair->valid += dims == 2 ? mask_row(mask, field, start, last, released, crop->size[2], 2, &pair->zero_loss)
                                     : mask_row(mask, field, start, last, released, crop->size[2], 3, &pair->zero_loss);
        }
}

cover_status sevr_draw(struct sevr *sevr, struct view_pair *pair, const float *image, const struct grid *grid, int channels,
                       float integer_max, uint64_t seed, uint32_t step, uint32_t sample) {
    const struct settings *s = &sevr->settings;
    TRY(sevr_accepts(s, grid, channels));
    TRY(sevr_reserve(sevr, grid));
    struct intensity intensity;
    TRY(image_intensity(&intensity, image, grid, channels, s->views.normalise, integer_max));

    struct draw draw = {.settings = s, .seed = seed, .step = step, .sample = sample, .channels = channels};
    draw.work = work_grid(s, grid);
    window_draw(&draw, &sevr->crop);
    struct affine affine;
    affine_draw(&affine, &draw);
    bool flow = s->views.diffeo_alpha > 0, smooth = s->views.deform_alpha > 0;
    if (flow) deform_diffeomorphic(pair->field, &draw, sevr->scratch.data);
    affine_field(pair->field, &affine, &draw, flow);
    if (smooth) deform_smooth(pair->field, &draw, sevr->scratch.data);
    pair_mask(pair, &sevr->crop, s->objective.coordinates == COORDINATES_RELEASED);

    struct resized source = {.values = sevr->source.data};
    affine_reach(&source.box, &affine, &draw, flow || smooth ? REACH_ANYWHERE : REACH_BOTH);
    source_fill(&source, image, grid, &intensity, &draw, sevr->scratch.data);
    source_warp(pair->fixed, pair->field, &source, &draw);
    source_crop(pair->moving, &source, &draw);
    appearance_change(pair->moving, &draw, sevr->scratch.data);
    return COVER_OK;
}
