/* SeVR on the device, the host's part (sevr.h): draws what is random, lays out the workspace, starts the kernels in their order. */
#include "sevr.h"

#include "../core/method/sevr_parts.h"
#include "device.h"

#include <string.h>

enum { RANGE, PARTIAL, SUMS, SOURCE, OTHER, WEIGHTS, PARTS };

/* Where each part of the workspace begins; [PARTS] is the end. */
static void layout(size_t at[PARTS + 1], const struct settings *s, const struct grid *grid) {
    const struct grid work = work_grid(s, grid), crop = settings_grid(&s->crop, grid->ndim);
    const size_t radius = (size_t)gaussian_radius((double)(float)s->blur);
    const size_t view = (size_t)grid_pixels(&crop) * (size_t)s->channels * sizeof(float);
    const size_t bytes[PARTS] = {
        [RANGE] = sizeof(struct cuda_range),
        [PARTIAL] = SEVR_BLOCKS * sizeof(struct cuda_mask_sum),
        [SUMS] = SEVR_SUMS * sizeof(double),
        [SOURCE] = source_bytes(&work, (int)s->channels),
        [OTHER] = radius ? view : 0,
        [WEIGHTS] = radius ? (radius + 1) * sizeof(float) : 0,
    };
    at[0] = 0;
    for (int i = 0; i < PARTS; i++) at[i + 1] = at[i] + (bytes[i] + 255) / 256 * 256;
}

bool cuda_sevr_serves(const struct settings *settings) { return settings->deform_alpha <= 0 && settings->diffeo_alpha <= 0; }

size_t cuda_sevr_workspace(const struct settings *settings, const struct grid *grid) {
    size_t at[PARTS + 1];
    layout(at, settings, grid);
    return at[PARTS];
}

/* The window, the affine map, and what of the image the views read. */
static struct cuda_draw place_views(struct draw *draw, const struct grid *grid, float integer_max) {
    const struct settings *s = draw->settings;
    const struct grid crop = settings_grid(&s->crop, grid->ndim);
    struct cuda_draw out = {.ndim = grid->ndim, .channels = draw->channels, .released = s->coordinates == COORDINATES_RELEASED};
    struct window box;
    struct affine affine;
    struct intensity intensity;
    draw->work = work_grid(s, grid);
    window_draw(draw, &crop);
    affine_draw(&affine, draw);
    affine_reach(&box, &affine, draw, REACH_BOTH);
    out.by_range = !intensity_of_settings(&intensity, s->normalise, integer_max);
    out.low = intensity.low, out.high = intensity.high, out.offset = intensity.offset, out.divisor = intensity.divisor;
    memcpy(out.linear, affine.linear, sizeof out.linear);
    memcpy(out.centre, affine.centre, sizeof out.centre);
    memcpy(out.shift, affine.shift, sizeof out.shift);
    for (int a = 0; a < 3; a++) {
        out.image[a] = (int)grid->size[a], out.work[a] = (int)draw->work.size[a];
        out.crop[a] = (int)draw->crop.size[a], out.first[a] = (int)draw->crop.first[a];
        out.box[a] = (int)box.size[a], out.box_first[a] = (int)box.first[a];
    }
    return out;
}

static struct cuda_random for_kernels(struct random_image image) {
    return (struct cuda_random){image.seed, (uint32_t)image.use | image.plane << 8, image.step, image.sample};
}

static cover_status paint_boxes(cuda_stream stream, float *view, float amount, const struct draw *draw, const struct cuda_draw *place) {
    const struct cuda_random fill = for_kernels(appearance_fill(draw));
    struct boxes boxes = boxes_of(draw, amount);
    struct cuda_boxes some = {0};
    struct window box;
    for (bool more = true; more;) {
        more = boxes_next(&box, &boxes);
        for (int a = 0; more && a < 3; a++)
            some.first[some.count][a] = (int)box.first[a], some.size[some.count][a] = (int)box.size[a];
        some.count += more;
        if (some.count == 0 || (more && some.count < SEVR_BOXES)) continue;
        CUDA_TRY(cuda_sevr_fill(stream, view, &some, &fill, place));
        some.count = 0;
    }
    return COVER_OK;
}

static cover_status change_appearance(cuda_stream stream, float *view, const struct draw *draw, const struct cuda_draw *place,
                                      char *workspace, const size_t at[PARTS + 1]) {
    const int64_t values = (int64_t)place->crop[0] * place->crop[1] * place->crop[2] * place->channels;
    struct appearance look;
    appearance_draw(&look, draw);
    if (look.wanted[CHANGE_NOISE]) {
        const struct cuda_random noise = for_kernels(appearance_noise(draw));
        CUDA_TRY(cuda_sevr_noise(stream, view, values, look.amount[CHANGE_NOISE], &noise));
    }
    const double sigma = (double)look.amount[CHANGE_BLUR];
    const int radius = gaussian_radius(sigma);
    if (look.wanted[CHANGE_BLUR] && radius)
        CUDA_TRY(cuda_sevr_blur(stream, view, (float *)(workspace + at[OTHER]), (float *)(workspace + at[WEIGHTS]), sigma,
                                gaussian_sum(sigma), radius, place));
    const float offset = look.wanted[CHANGE_BRIGHTNESS] ? brightness_offset(draw, look.amount[CHANGE_BRIGHTNESS]) : 0;
    if (look.wanted[CHANGE_CONTRAST] || look.wanted[CHANGE_BRIGHTNESS])
        CUDA_TRY(cuda_sevr_level(stream, view, values, look.wanted[CHANGE_CONTRAST], look.amount[CHANGE_CONTRAST], offset,
                                 (double *)(workspace + at[SUMS])));
    return look.wanted[CHANGE_INPAINT] ? paint_boxes(stream, view, look.amount[CHANGE_INPAINT], draw, place) : COVER_OK;
}

cover_status cuda_sevr_draw(cuda_stream stream, const struct cuda_views *views, struct cuda_view_sums *sums,
                            const struct settings *settings, const float *image, const struct grid *grid, int channels,
                            float integer_max, uint64_t seed, uint32_t step, uint32_t sample, void *workspace) {
    TRY(sevr_accepts(settings, grid, channels));
    if (!cuda_sevr_serves(settings))
        return fail(COVER_ERROR_UNSUPPORTED, "deform_alpha and diffeo_alpha: random deformations are drawn on the CPU alone");
    char *memory = workspace;
    size_t at[PARTS + 1];
    layout(at, settings, grid);
    struct cuda_range *range = (struct cuda_range *)(memory + at[RANGE]);
    float *source = (float *)(memory + at[SOURCE]);
    struct draw draw = {.settings = settings, .seed = seed, .step = step, .sample = sample, .channels = channels};
    const struct cuda_draw place = place_views(&draw, grid, integer_max);
    if ((int64_t)place.box[0] * place.box[1] > INT32_MAX)
        return fail(COVER_ERROR_UNSUPPORTED, "image: more than %d rows are drawn on the CPU alone", INT32_MAX);
    CUDA_TRY(cuda_sevr_range(stream, range, image, grid_pixels(grid) * channels));
    CUDA_TRY(cuda_sevr_field(stream, views->field, views->mask, sums, (struct cuda_mask_sum *)(memory + at[PARTIAL]), range, &place));
    CUDA_TRY(cuda_sevr_source(stream, source, image, range, &place));
    CUDA_TRY(cuda_sevr_views(stream, views->moving, views->fixed, views->field, source, &place));
    return change_appearance(stream, views->moving, &draw, &place, memory, at);
}
