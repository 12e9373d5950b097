/* SeVR on the device, the host's part (sevr.h): draws what is random, lays out the workspace, starts the kernels in their order.
 */
#include "sevr.h"

#include "core/views/sevr_parts.h"
#include "device.h"

#include <cuda_runtime.h>
#include <string.h>

enum { RANGE, PARTIAL, SUMS, SOURCE, WEIGHTS, OTHER, NOISE, SMOOTHED, FLOW, NEXT_FLOW, FLOW_BOX, PARTS };

/* One draw as it is prepared on the host: what is drawn, where the parts of the workspace lie. */
struct job {
    cuda_stream stream;
    struct draw draw;
    struct cuda_draw place;
    char *workspace;
    size_t at[PARTS + 1]; /* [PARTS] is the end */
};
static void *part(const struct job *job, int which) { return job->workspace + job->at[which]; }

static void layout(size_t at[PARTS + 1], const struct settings *s, const struct grid *grid) {
    const struct grid work = work_grid(s, grid), crop = settings_grid(&s->views.crop, grid->ndim);
    const size_t view = (size_t)(grid_pixels(&crop) * s->network.channels) * sizeof(float),
                 image = (size_t)grid_pixels(&work) * sizeof(float);
    const bool blurred = gaussian_radius((double)(float)s->views.blur) > 0, flow = s->views.diffeo_alpha > 0,
               deformed = flow || s->views.deform_alpha > 0;
    size_t weights = blurred ? (size_t)gaussian_radius((double)(float)s->views.blur) + 1 : 0;
    for (int a = 0; deformed && a < 3; a++) weights = (size_t)work.size[a] > weights ? (size_t)work.size[a] : weights;
    const size_t bytes[PARTS] = {
        [RANGE] = sizeof(struct cuda_range),
        [PARTIAL] = SEVR_BLOCKS * sizeof(struct cuda_mask_sum),
        [SUMS] = SEVR_SUMS * sizeof(double),
        [SOURCE] = source_bytes(&work, (int)s->network.channels),
        [WEIGHTS] = weights * sizeof(float),
        [OTHER] = blurred ? view : 0,
        [NOISE] = deformed ? image : 0,
        [SMOOTHED] = deformed ? image : 0,
        [FLOW] = flow ? image * (size_t)grid->ndim : 0,
        [NEXT_FLOW] = flow ? image * (size_t)grid->ndim : 0,
        [FLOW_BOX] = sizeof(struct cuda_flow_box),
    };
    at[0] = 0;
    for (int i = 0; i < PARTS; i++) at[i + 1] = at[i] + (bytes[i] + 255) / 256 * 256;
}

size_t cuda_sevr_workspace(const struct settings *settings, const struct grid *grid) {
    size_t at[PARTS + 1];
    layout(at, settings, grid);
    return at[PARTS];
}

/* The window, the affine map, and what of the image the views read. */
static struct cuda_draw place_views(struct draw *draw, const struct grid *grid, float integer_max) {
    const struct settings *s = draw->settings;
    const struct grid crop = settings_grid(&s->views.crop, grid->ndim);
    struct cuda_draw out = {
        .ndim = grid->ndim, .channels = draw->channels, .released = s->objective.coordinates == COORDINATES_RELEASED};
    struct window box;
    struct affine affine;
    struct intensity intensity;
    draw->work = work_grid(s, grid);
    window_draw(draw, &crop);
    affine_draw(&affine, draw);
    affine_reach(&box, &affine, draw, s->views.diffeo_alpha > 0 || s->views.deform_alpha > 0 ? REACH_ANYWHERE : REACH_BOTH);
    out.by_range = !intensity_of_settings(&intensity, s->views.normalise, integer_max);
    out.low = intensity.low, out.high = intensity.high, out.offset = intensity.offset, out.divisor = intensity.divisor;
    memcpy(out.linear, affine.linear, sizeof out.linear);
    memcpy(out.centre, affine.centre, sizeof out.centre);
    memcpy(out.shift, affine.shift, sizeof out.shift);
    for (int a = 0; a < 3; a++) {
        out.image[a] = (int)grid->size[a], out.work[a] = (int)draw->work.size[a];
        out.ratio[a] = (double)grid->size[a] / (double)draw->work.size[a];
        out.crop[a] = (int)draw->crop.size[a], out.first[a] = (int)draw->crop.first[a];
        out.box[a] = (int)box.size[a], out.box_first[a] = (int)box.first[a];
    }
    return out;
}

static struct cuda_random for_kernels(struct random_image image) {
    return (struct cuda_random){image.seed, (uint32_t)image.use | image.plane << 8, image.step, image.sample};
}

/* ---- the field */

static cover_status send_weights(const struct job *job, double sigma, int taps) {
    struct cuda_weights some;
    for (some.first = 0; some.first <= taps; some.first += SEVR_WEIGHTS) {
        some.count = taps + 1 - some.first < SEVR_WEIGHTS ? taps + 1 - some.first : SEVR_WEIGHTS;
        gaussian_weights(some.value, sigma, some.first, some.count);
        CUDA_TRY(cuda_sevr_weights(job->stream, part(job, WEIGHTS), &some));
    }
    return COVER_OK;
}

/* target[pixel * ndim + axis] += smooth noise over a window of the resized image, axis by axis: W, D, H. */
static cover_status add_smooth_noise(const struct job *job, float *target, const struct smooth_noise *noise, const int first[3],
                                     const int count[3]) {
    const int *size = job->place.work, ndim = job->place.ndim;
    float *x = part(job, NOISE), *y = part(job, SMOOTHED), *weights = part(job, WEIGHTS);
    int longest = 0;
    for (int a = 0; a < 3; a++) longest = size[a] > longest ? size[a] : longest;
    TRY(send_weights(job, noise->sigma, smooth_taps(noise->sigma, longest)));
    const struct cuda_smoothing along[3] = {
        {1, (int64_t)size[1] * count[2], size[0], first[0], count[0], smooth_taps(noise->sigma, size[0]), false, 0, 1},
        {count[0], count[2], size[1], first[1], count[1], smooth_taps(noise->sigma, size[1]), false, noise->gain, ndim},
        {(int64_t)size[0] * size[1], 1, size[2], first[2], count[2], smooth_taps(noise->sigma, size[2]), false, 0, 1},
    };
    for (int a = 0; a < ndim; a++) {
        struct random_image image = noise->image;
        image.plane += (uint32_t)a;
        const struct cuda_random random = for_kernels(image);
        CUDA_TRY(cuda_sevr_uniform(job->stream, x, (int64_t)size[0] * size[1] * size[2], &random));
        CUDA_TRY(cuda_sevr_smooth(job->stream, y, x, weights, &along[2]));
        if (ndim == 3) CUDA_TRY(cuda_sevr_smooth(job->stream, x, y, weights, &along[0]));
        if (noise->gain != 0) CUDA_TRY(cuda_sevr_smooth(job->stream, target + a, ndim == 3 ? x : y, weights, &along[1]));
    }
    return COVER_OK;
}

/* *flow: the displacement of every pixel that the crop's paths reach. */
static cover_status draw_flow(const struct job *job, const float **flow) {
    static const int origin[3] = {0, 0, 0};
    const struct smooth_noise noise = velocity_draw(&job->draw);
    const int squarings = (int)job->draw.settings->views.diffeo_squarings;
    float *u = part(job, FLOW), *next = part(job, NEXT_FLOW);
    struct cuda_flow_box *box = part(job, FLOW_BOX);
    CUDA_TRY(cudaMemsetAsync(u, 0, (size_t)(grid_pixels(&job->draw.work) * job->place.ndim) * sizeof *u, job->stream));
    TRY(add_smooth_noise(job, u, &noise, origin, job->place.work));
    CUDA_TRY(cuda_sevr_flow_box(job->stream, box, u, squarings, &job->place));
    for (int i = 0; i < squarings; i++) {
        CUDA_TRY(cuda_sevr_square(job->stream, next, u, box, &job->place));
        float *const squared = next;
        next = u, u = squared;
    }
    *flow = u;
    return COVER_OK;
}

static cover_status draw_field(const struct job *job, float *field) {
    const struct settings *s = job->draw.settings;
    const float *flow = NULL;
    if (s->views.diffeo_alpha > 0) TRY(draw_flow(job, &flow));
    CUDA_TRY(cuda_sevr_field(job->stream, field, flow, &job->place));
    if (s->views.deform_alpha <= 0) return COVER_OK;
    const struct smooth_noise noise = smooth_draw(&job->draw);
    return add_smooth_noise(job, field, &noise, job->place.first, job->place.crop);
}

/* ---- appearance */

static cover_status paint_boxes(const struct job *job, float *view, float amount) {
    const struct cuda_random fill = for_kernels(appearance_fill(&job->draw));
    struct boxes boxes = boxes_of(&job->draw, amount);
    struct cuda_boxes some = {0};
    struct window box;
    for (bool more = true; more;) {
        more = boxes_next(&box, &boxes);
        for (int a = 0; more && a < 3; a++)
            some.first[some.count][a] = (int)box.first[a], some.size[some.count][a] = (int)box.size[a];
        some.count += more;
        if (some.count == 0 || (more && some.count < SEVR_BOXES)) continue;
        CUDA_TRY(cuda_sevr_fill(job->stream, view, &some, &fill, &job->place));
        some.count = 0;
    }
    return COVER_OK;
}

static cover_status blur(const struct job *job, float *view, double sigma) {
    const int radius = gaussian_radius(sigma), *size = job->place.crop;
    int64_t outer = 1, inner = (int64_t)size[0] * size[1] * size[2] * job->place.channels;
    const size_t bytes = (size_t)inner * sizeof *view;
    float *from = view, *to = part(job, OTHER);
    if (radius == 0) return COVER_OK;
    TRY(send_weights(job, sigma, radius));
    for (int a = 3 - job->place.ndim; a < 3; a++) {
        inner /= size[a];
        const struct cuda_smoothing along = {outer, inner, size[a], 0, size[a], radius, true, 0, 1};
        CUDA_TRY(cuda_sevr_smooth(job->stream, to, from, part(job, WEIGHTS), &along));
        outer *= size[a];
        float *const blurred = to;
        to = from, from = blurred;
    }
    if (from != view) CUDA_TRY(cudaMemcpyAsync(view, from, bytes, cudaMemcpyDeviceToDevice, job->stream));
    return COVER_OK;
}

static cover_status change_appearance(const struct job *job, float *view) {
    const int64_t values = (int64_t)job->place.crop[0] * job->place.crop[1] * job->place.crop[2] * job->place.channels;
    struct appearance look;
    appearance_draw(&look, &job->draw);
    if (look.wanted[CHANGE_NOISE]) {
        const struct cuda_random noise = for_kernels(appearance_noise(&job->draw));
        CUDA_TRY(cuda_sevr_noise(job->stream, view, values, look.amount[CHANGE_NOISE], &noise));
    }
    if (look.wanted[CHANGE_BLUR]) TRY(blur(job, view, (double)look.amount[CHANGE_BLUR]));
    const float offset = look.wanted[CHANGE_BRIGHTNESS] ? brightness_offset(&job->draw, look.amount[CHANGE_BRIGHTNESS]) : 0;
    if (look.wanted[CHANGE_CONTRAST] || look.wanted[CHANGE_BRIGHTNESS])
        CUDA_TRY(cuda_sevr_level(job->stream, view, values, look.wanted[CHANGE_CONTRAST], look.amount[CHANGE_CONTRAST], offset,
                                 part(job, SUMS)));
    return look.wanted[CHANGE_INPAINT] ? paint_boxes(job, view, look.amount[CHANGE_INPAINT]) : COVER_OK;
}

cover_status cuda_sevr_draw(cuda_stream stream, const struct cuda_views *views, struct cuda_view_sums *sums,
                            const struct settings *settings, const float *image, const struct grid *grid, int channels,
                            float integer_max, uint64_t seed, uint32_t step, uint32_t sample, void *workspace) {
    TRY(sevr_accepts(settings, grid, channels));
    struct job job = {.stream = stream, .workspace = workspace};
    job.draw = (struct draw){.settings = settings, .seed = seed, .step = step, .sample = sample, .channels = channels};
    job.place = place_views(&job.draw, grid, integer_max);
    layout(job.at, settings, grid);
    const struct cuda_draw *place = &job.place;
    if ((int64_t)(place->work[0] + 3) * (place->work[1] + 3) > INT32_MAX)
        return fail(COVER_ERROR_UNSUPPORTED, "image: more than %d rows, which only the CPU can draw views from", INT32_MAX);
    CUDA_TRY(cuda_sevr_range(stream, part(&job, RANGE), image, grid_pixels(grid) * channels));
    TRY(draw_field(&job, views->field));
    CUDA_TRY(cuda_sevr_mask(stream, views->mask, sums, part(&job, PARTIAL), views->field, part(&job, RANGE), place));
    CUDA_TRY(cuda_sevr_source(stream, part(&job, SOURCE), image, part(&job, RANGE), place));
    CUDA_TRY(cuda_sevr_views(stream, views->moving, views->fixed, views->field, part(&job, SOURCE), place));
    return change_appearance(&job, views->moving);
}
