/* Matching two image files (include/libcover/match.h). */
#include "border.h"
#include "core/base/convert.h"
#include "core/base/files.h"
#include "core/base/memory.h"
#include "core/views/intensity.h"
#include "io/dicom/set.h"
#include "io/image/image_rules.h"
#include "matcher.h"

#include <libcover/match.h>

#include <math.h>
#include <string.h>

struct match {
    cover_context *context;
    struct matcher matcher;
    struct image moving, fixed;
    struct grid grid; /* of the images */
    float *raw;       /* the moving image as floats, its own intensities */
    float *field;     /* cropped back to the images' size */
};

static void to_float(float *values, const struct image *image, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        values[i] = image->dtype == COVER_U8    ? (float)((const uint8_t *)image->data)[i]
                    : image->dtype == COVER_U16 ? (float)((const uint16_t *)image->data)[i]
                                                : ((const float *)image->data)[i];
}

static cover_status check_channels(const struct match *match, int channels) {
    const int wanted = (int)match->matcher.settings.network.channels;
    if (channels == 0 || channels == wanted) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT, "option channels makes images of %d channel%s, but the network takes %d", channels,
                channels == 1 ? "" : "s", wanted);
}

static cover_status read_image(const struct match *match, struct image *image, const char *path, int channels) {
    const struct image_rules rules = {.channels = channels};
    TRY(dicom_or_image_read(image, match->context, path));
    if (image->note[0]) log_line(match->context, COVER_LOG_WARNING, "match: %s: %s", path, image->note);
    const cover_status status = channels ? image_rules_apply(&rules, match->context, image, NULL) : COVER_OK;
    return status == COVER_OK ? status : fail_in(status, "%s", path);
}

/* The field is right all the same, but the network sees voxels: images that lie far apart or turned are as they are stored. */
static void warn_of_frames(const struct match *match, const char *moving, const char *fixed) {
    double a[3], b[3];
    if (image_same_place(&match->moving, &match->fixed, a, b)) return;
    log_line(match->context, COVER_LOG_WARNING,
             "match: %s lies elsewhere than %s, a corner by %.3g mm; the field leads from one to the other, but they are compared "
             "voxel by voxel, as they are stored",
             moving, fixed, hypot(hypot(a[0] - b[0], a[1] - b[1]), a[2] - b[2]));
}

static cover_status check_images(struct match *match, const char *moving, const char *fixed) {
    struct image *images[] = {&match->moving, &match->fixed};
    const struct image *a = images[0], *b = images[1];
    const struct settings *s = &match->matcher.settings;
    for (int i = 0; i < 2; i++) {
        image_take_dims(images[i], (int)s->network.dims);
        if (s->network.channels == 1) image_drop_equal_channels(images[i]);
    }
    if (b->dims != s->network.dims)
        return fail(COVER_ERROR_SHAPE, "%s: a %dD image, but the network was trained on %dD ones", fixed, b->dims,
                    (int)s->network.dims);
    if (b->channels != s->network.channels)
        return fail(COVER_ERROR_SHAPE, "%s: %d channels, but the network takes %d%s", fixed, b->channels, (int)s->network.channels,
                    s->network.channels == 1 && b->channels == 3 ? "; use channels=grey to convert colours" : "");
    if (a->dims != b->dims || a->channels != b->channels || memcmp(a->size, b->size, sizeof a->size) != 0)
        return fail(COVER_ERROR_SHAPE,
                    "%s: %lldx%lldx%lld with %d channels, but %s has %lldx%lldx%lld with %d; resample one "
                    "of them first",
                    moving, (long long)a->size[0], (long long)a->size[1], (long long)a->size[2], a->channels, fixed,
                    (long long)b->size[0], (long long)b->size[1], (long long)b->size[2], b->channels);
    match->grid = (struct grid){.ndim = b->dims, .size = {b->size[0], b->size[1], b->size[2]}};
    warn_of_frames(match, moving, fixed);
    return COVER_OK;
}

/* One image, normalised as in training, into its place among the network's views. */
static cover_status load_view(struct match *match, const struct image *image, int view, const char *path) {
    const struct settings *s = &match->matcher.settings;
    int64_t pixels = grid_pixels(&match->grid), channels = image->channels;
    struct intensity intensity;
    float *values = memory_within(match->context, (size_t)(pixels * channels) * sizeof *values);
    if (!values) return COVER_ERROR_MEMORY;
    to_float(values, image, pixels * channels);
    cover_status status = image_intensity(&intensity, values, &match->grid, (int)channels, s->views.normalise,
                                          (float)dtype_integer_max(image->dtype));
    if (status != COVER_OK) {
        memory_free(match->context, values);
        return fail_in(status, "%s", path);
    }
    if (view == 0) match->raw = memory_copy(match->context, values, (size_t)(pixels * channels) * sizeof *values);
    intensity_apply(values, pixels * channels, &intensity);
    float *place = match->matcher.views + view * grid_pixels(&match->matcher.grid) * channels;
    border_copy(place, &match->matcher.grid, values, &match->grid, channels);
    memory_free(match->context, values);
    return view == 0 && !match->raw ? COVER_ERROR_MEMORY : COVER_OK;
}

static cover_status predict(struct match *match) {
    int ndim = match->grid.ndim;
    TRY(matcher_run(&match->matcher));
    match->field = memory_within(match->context, (size_t)(grid_pixels(&match->grid) * ndim) * sizeof *match->field);
    if (!match->field) return COVER_ERROR_MEMORY;
    border_copy(match->field, &match->grid, matcher_field(&match->matcher), &match->matcher.grid, ndim);
    return COVER_OK;
}

/* The moving image on the fixed image's grid: a graph of one op, run once. */
static cover_status warp(float *warped, const struct match *match) {
    const int channels = match->fixed.channels;
    struct parameters none = {.context = match->context};
    struct graph graph;
    struct session session = {0};
    struct run run = {.input = {match->raw, match->field}};
    cover_status status;
    graph_begin(&graph, match->context, &none);
    int source = graph_input(&graph, "source", 1, &match->grid, channels);
    int field = graph_input(&graph, "field", 1, &match->grid, match->grid.ndim);
    int result = graph_result(&graph, graph_warp(&graph, source, field, match->matcher.settings.objective.coordinates));
    GO(graph_finish(&graph));
    GO(session_open(&session, match->context, &graph, NULL, match->context->threads));
    GO(session_begin(&session, &run));
    GO(session_run(&session, &run));
    memcpy(warped, session_result(&session, &run, result), (size_t)(grid_pixels(&match->grid) * channels) * sizeof *warped);
done:
    session_end(&session, &run);
    session_close(&session);
    graph_free(&graph);
    return status;
}

static cover_status write_warped(struct match *match, const char *path) {
    const struct image *fixed = &match->fixed;
    if (fixed->channels != 1)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: a warped image of %d channels cannot be written as NIfTI", path, fixed->channels);
    float *warped = memory_within(match->context, (size_t)grid_pixels(&match->grid) * sizeof *warped);
    if (!warped) return COVER_ERROR_MEMORY;
    cover_status status = warp(warped, match);
    if (status == COVER_OK) status = nifti_write(match->context, path, warped, fixed);
    memory_free(match->context, warped);
    return status;
}

static cover_status summarise(const struct match *match, double seconds, char **summary) {
    const struct grid *grid = &match->grid;
    double sum = 0, most = 0, spacing[3];
    for (int i = 0; i < 3; i++) spacing[i] = match->fixed.spacing_mm[i] > 0 ? match->fixed.spacing_mm[i] : 1;
    for (int64_t p = 0; p < grid_pixels(grid); p++) {
        double square = 0;
        for (int a = 0; a < grid->ndim; a++) {
            double mm = match->field[p * grid->ndim + a] * spacing[3 - grid->ndim + a];
            square += mm * mm;
        }
        sum += sqrt(square), most = fmax(most, sqrt(square));
    }
    struct text text = {.context = match->context};
    text_add(&text, "{\"size\": [");
    for (int i = 3 - grid->ndim; i < 3; i++) text_add(&text, "%s%lld", i > 3 - grid->ndim ? ", " : "", (long long)grid->size[i]);
    text_add(&text, "], \"spacing_mm\": [");
    for (int i = 3 - grid->ndim; i < 3; i++) text_add(&text, "%s%.9g", i > 3 - grid->ndim ? ", " : "", spacing[i]);
    text_add(&text, "], \"mean_mm\": %.6g, \"max_mm\": %.6g, \"seconds\": %.4f}", sum / (double)grid_pixels(grid), most, seconds);
    return text_take(&text, summary);
}

static cover_status check_output(const char *path, const char *const sources[3]) {
    if (!path) return COVER_OK;
    for (int i = 0; i < 3; i++) TRY(output_is_not(path, sources[i]));
    if (has_suffix(path, ".nii") || has_suffix(path, ".nii.gz")) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT, "%s: name the output .nii or .nii.gz", path);
}

cover_status cover_images_match(char **summary, cover_context *context, const char *weights, const char *moving, const char *fixed,
                                const char *field, const char *warped) {
    const cover_match_options options = {.struct_size = sizeof options, .warped = warped};
    return cover_images_match_with(summary, context, weights, moving, fixed, field, &options);
}

cover_status cover_images_match_with(char **summary, cover_context *context, const char *weights, const char *moving,
                                     const char *fixed, const char *field, const cover_match_options *given) {
    if (!context || !weights || !moving || !fixed || !field)
        return fail(COVER_ERROR_ARGUMENT, "cover_images_match: an argument is NULL");
    cover_match_options options = COVER_MATCH_OPTIONS_INIT;
    TRY(options_read(&options, sizeof options, given, "cover_match_options"));
    const char *const warped = options.warped;
    struct match match = {.context = context};
    double start = seconds_now();
    cover_status status;
    const char *const sources[] = {weights, moving, fixed};
    GO(check_output(field, sources));
    GO(check_output(warped, sources));
    GO(outputs_differ(context, field, warped));
    GO(temporaries_remove_beside(context, field));
    GO(matcher_open(&match.matcher, context, weights));
    GO(check_channels(&match, options.channels));
    GO(read_image(&match, &match.moving, moving, options.channels));
    GO(read_image(&match, &match.fixed, fixed, options.channels));
    GO(check_images(&match, moving, fixed));
    struct grid padded = border_padded(&match.grid, backbone_of(context, &match.matcher.settings.network)->multiple);
    GO(matcher_prepare(&match.matcher, &padded));
    GO(memory_room(context, 1)); /* is there any left, beside the maps of the network? */
    GO(load_view(&match, &match.moving, 0, moving));
    GO(load_view(&match, &match.fixed, 1, fixed));
    GO(predict(&match));
    GO(nifti_write_field(context, field, match.field, &match.fixed, &match.moving));
    if (warped) GO(write_warped(&match, warped));
    if (summary) status = summarise(&match, seconds_now() - start, summary);
done:
    memory_free(context, match.raw);
    memory_free(context, match.field);
    image_free(&match.moving, context);
    image_free(&match.fixed, context);
    matcher_close(&match.matcher);
    return status;
}
