/* What is done to an image on its way to the network: checks, channels, clipping, resampling, one after the other
 * (docs/dataset.md, "Preparation", gives the order), and the rules as JSON.  Called by pack_image.c, pack_output.c,
 * pack_options.c, prediction and the task file. */
#include "image_pixels.h"

#include "core/base/memory.h"
#include "resample.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- checks and conversions, each in one pass */

static cover_status check_dims(struct image *image, int dims) {
    image_take_dims(image, dims);
    if (dims == 0 || dims == image->dims) return COVER_OK;
    return fail(COVER_ERROR_SHAPE, "%dD image (%lldx%lldx%lld), but %dD was asked for; convert it, or leave dims alone",
                image->dims, (long long)image->size[0], (long long)image->size[1], (long long)image->size[2], dims);
}

static cover_status check_finite(const struct image *image) {
    if (image->dtype != COVER_F32) return COVER_OK;
    const float *values = image->data;
    int64_t bad = 0;
    for (int64_t i = 0, n = values_of(image); i < n; i++) bad += !isfinite(values[i]);
    if (bad == 0) return COVER_OK;
    return fail(COVER_ERROR_NUMERIC, "%lld of %lld values are NaN or infinite", (long long)bad, (long long)values_of(image));
}

/* Grey = (299 R + 587 G + 114 B) / 1000 (ITU-R BT.601), rounded half up for integers. */
static cover_status to_grey(struct image *image) {
    const int64_t pixels = pixels_of(image);
    if (image->channels == 1) return COVER_OK;
    if (image->channels != 3)
        return fail(COVER_ERROR_SHAPE, "%d channels cannot be made grey; leave the channels option out", image->channels);
    for (int64_t i = 0; i < pixels; i++) { /* in place: pixel i moves to or before its old place */
        const double grey =
            (299 * value_at(image, 3 * i) + 587 * value_at(image, 3 * i + 1) + 114 * value_at(image, 3 * i + 2)) / 1000;
        if (image->dtype == COVER_U8) ((uint8_t *)image->data)[i] = (uint8_t)(grey + 0.5);
        else if (image->dtype == COVER_U16) ((uint16_t *)image->data)[i] = (uint16_t)(grey + 0.5);
        else ((float *)image->data)[i] = (float)grey;
    }
    image->channels = 1;
    return COVER_OK;
}

static cover_status to_rgb(struct image *image, cover_context *context) {
    const int64_t pixels = pixels_of(image);
    const size_t element = cover_dtype_bytes(image->dtype);
    int64_t bytes;
    if (image->channels == 3) return COVER_OK;
    if (image->channels != 1)
        return fail(COVER_ERROR_SHAPE, "%d channels cannot be made RGB; leave the channels option out", image->channels);
    if (!multiply(pixels, 3 * (int64_t)element, &bytes)) return fail(COVER_ERROR_SHAPE, "too large for three channels");
    char *data = memory_within(context, (size_t)bytes);
    if (!data) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < 3 * pixels; i++)
        memcpy(data + (size_t)i * element, (const char *)image->data + (size_t)(i / 3) * element, element);
    memory_free(context, image->data);
    image->data = data, image->channels = 3;
    return COVER_OK;
}

/* ---- sizes */

cover_status image_rules_size(const struct image_rules *rules, const struct image *image, int64_t size[3]) {
    if (image->dims == 2 && rules->size[0] > 0)
        return fail(COVER_ERROR_SHAPE, "2D image, but a size along D was asked for; give H and W only");
    for (int a = 0; a < 3; a++) {
        const double spacing = rules->spacing_mm[a];
        size[a] = image->size[a];
        if (image->dims == 2 && a == 0) continue;
        if (rules->size[a] > 0) size[a] = rules->size[a];
        if (!(spacing > 0)) continue;
        if (!(image->spacing_mm[a] > 0))
            return fail(COVER_ERROR_SHAPE,
                        "its spacing along %c is not known, so it cannot be resampled to %g mm; give a "
                        "size instead",
                        "DHW"[a], spacing);
        const double pixels = rint((double)image->size[a] * image->spacing_mm[a] / spacing);
        if (pixels > (double)UINT32_MAX)
            return fail(COVER_ERROR_SHAPE, "%g mm along %c would make %g pixels", spacing, "DHW"[a], pixels);
        size[a] = pixels < 1 ? 1 : (int64_t)pixels;
    }
    return COVER_OK;
}

/* ---- axes */

struct turn image_rules_turn(const struct image_rules *rules, const struct image *image) {
    static const struct turn none = {{0, 1, 2}, {false}};
    char code[ORIENTATION_BYTES];
    return rules->orient && orientation_of(image, code) ? turn_to(code, rules->orientation) : none;
}

/* ---- all of it */

cover_status image_rules_apply(const struct image_rules *rules, cover_context *context, struct image *image, struct image *label) {
    int64_t size[3];
    TRY(check_dims(image, rules->dims));
    TRY(check_finite(image));
    const struct turn turn = image_rules_turn(rules, image);
    TRY(image_turn(image, context, &turn));
    if (label) label->dims = image->dims;
    if (label) TRY(image_turn(label, context, &turn));
    if (rules->channels == 1) TRY(to_grey(image));
    if (rules->channels == 3) TRY(to_rgb(image, context));
    TRY(image_check_varies(image, ""));
    TRY(image_clip(image, context, rules));
    TRY(image_rules_size(rules, image, size));
    TRY(resample_linear_within(image, context, size));
    if (label) TRY(resample_nearest_within(label, context, size));
    return image_check_varies(image, " once resampled");
}

/* ---- where rules come from */

void image_rules_of_options(struct image_rules *rules, const cover_pack_options *options) {
    *rules = (struct image_rules){.dims = options->dims, .channels = options->channels};
    memcpy(rules->size, options->size, sizeof rules->size);
    memcpy(rules->spacing_mm, options->spacing_mm, sizeof rules->spacing_mm);
    memcpy(rules->window, options->window, sizeof rules->window);
    memcpy(rules->percentile, options->percentile, sizeof rules->percentile);
    if (!options->orientation || strcmp(options->orientation, "stored") == 0) return;
    snprintf(rules->orientation, sizeof rules->orientation, "%s", options->orientation);
    rules->orient = true;
}

cover_status image_rules_check(const struct image_rules *rules, const char *where) {
    if (rules->dims != 0 && rules->dims != 2 && rules->dims != 3)
        return fail(COVER_ERROR_ARGUMENT, "%s: dims is %d; use 2, 3, or 0 for what the files are", where, rules->dims);
    if (rules->channels != 0 && rules->channels != 1 && rules->channels != 3)
        return fail(COVER_ERROR_ARGUMENT, "%s: channels is %d; use 1 (grey), 3 (RGB), or 0 for what the files are", where,
                    rules->channels);
    bool sized = false, spaced = false;
    for (int a = 0; a < 3; a++) {
        if (rules->size[a] < 0 || rules->size[a] > 1 << 24)
            return fail(COVER_ERROR_ARGUMENT, "%s: size along %c is %lld; use 1..16777216, or 0 to keep it", where, "DHW"[a],
                        (long long)rules -> size[a]);
        if (!isfinite(rules->spacing_mm[a]) || rules->spacing_mm[a] < 0)
            return fail(COVER_ERROR_ARGUMENT, "%s: spacing along %c is %g mm; use a positive number, or 0 to keep it", where,
                        "DHW"[a], rules -> spacing_mm[a]);
        sized = sized || rules->size[a] > 0, spaced = spaced || rules->spacing_mm[a] > 0;
    }
    if (sized && spaced) return fail(COVER_ERROR_ARGUMENT, "%s: size and spacing were both given; use one of them", where);
    const double *window = rules->window, *percentile = rules->percentile;
    const bool windowed = window[0] != 0 || window[1] != 0, cut = percentile[0] != 0 || percentile[1] != 0;
    if (windowed && !(isfinite(window[0]) && isfinite(window[1]) && window[0] < window[1]))
        return fail(COVER_ERROR_ARGUMENT, "%s: window %g..%g; the first number must be below the second", where, window[0],
                    window[1]);
    if (cut && !(percentile[0] >= 0 && percentile[0] < percentile[1] && percentile[1] <= 100))
        return fail(COVER_ERROR_ARGUMENT, "%s: percentiles %g..%g; use rising numbers from 0 to 100", where, percentile[0],
                    percentile[1]);
    const char *orientation = rules->orientation;
    if ((*orientation || rules->orient) && !orientation_known(orientation))
        return fail(COVER_ERROR_ARGUMENT, "%s: orientation '%s'; use where x, y and z lead, such as RAS or LPS", where,
                    orientation);
    if (windowed && cut) return fail(COVER_ERROR_ARGUMENT, "%s: window and percentile were both given; use one of them", where);
    return COVER_OK;
}

/* ---- JSON */

static void add_numbers(struct text *text, const char *name, const double *values, int count) {
    text_add(text, ", \"%s\": [", name);
    for (int i = 0; i < count; i++) text_add(text, "%s%.17g", i ? ", " : "", values[i]);
    text_add(text, "]");
}

void image_rules_write(const struct image_rules *rules, struct text *text) {
    text_add(text, "\"dims\": %d, \"channels\": %d, \"size\": [%lld, %lld, %lld]", rules->dims, rules->channels,
             (long long)rules->size[0], (long long)rules->size[1], (long long)rules->size[2]);
    add_numbers(text, "spacing_mm", rules->spacing_mm, 3);
    add_numbers(text, "window", rules->window, 2);
    add_numbers(text, "percentile", rules->percentile, 2);
    text_add(text, ", \"orientation\": \"%s\", \"orient\": %s", rules->orientation, rules->orient ? "true" : "false");
    if (rules->spacing_at[0]) text_add(text, ", \"spacing_at\": \"%s\"", rules->spacing_at);
}

/* A list of `count` numbers; false when it is anything else. */
static bool read_numbers(double *numbers, const json_t *object, const char *name, size_t count) {
    const json_t *list = json_object_get(object, name);
    if (!json_is_array(list) || json_array_size(list) != count) return false;
    for (size_t i = 0; i < count; i++) {
        if (!json_is_number(json_array_get(list, i))) return false;
        numbers[i] = json_number_value(json_array_get(list, i));
    }
    return true;
}

cover_status image_rules_read(struct image_rules *rules, const json_t *object, const char *where) {
    const json_t *dims = json_object_get(object, "dims"), *channels = json_object_get(object, "channels");
    double size[3];
    const char *wrong = NULL;
    *rules = (struct image_rules){0};
    if (!json_is_integer(dims) || json_integer_value(dims) != (int)json_integer_value(dims)) wrong = "dims";
    else if (!json_is_integer(channels) || json_integer_value(channels) != (int)json_integer_value(channels)) wrong = "channels";
    else if (!read_numbers(size, object, "size", 3) || !(fabs(size[0]) + fabs(size[1]) + fabs(size[2]) <= 1e9)) wrong = "size";
    else if (!read_numbers(rules->spacing_mm, object, "spacing_mm", 3)) wrong = "spacing_mm";
    else if (!read_numbers(rules->window, object, "window", 2)) wrong = "window";
    else if (!read_numbers(rules->percentile, object, "percentile", 2)) wrong = "percentile";
    if (wrong)
        return fail(COVER_ERROR_FORMAT, "%s: \"%s\" of its image rules is missing or no number of the right form", where, wrong);
    const char *orientation = json_string_value(json_object_get(object, "orientation")); /* files of 0.1.0 have none */
    snprintf(rules->orientation, sizeof rules->orientation, "%s", orientation ? orientation : "");
    const char *spacing_at = json_string_value(json_object_get(object, "spacing_at"));
    snprintf(rules->spacing_at, sizeof rules->spacing_at, "%s", spacing_at ? spacing_at : "");
    rules->orient = json_is_true(json_object_get(object, "orient"));
    rules->dims = (int)json_integer_value(dims), rules->channels = (int)json_integer_value(channels);
    for (int a = 0; a < 3; a++) rules->size[a] = (int64_t)size[a];
    const cover_status status = image_rules_check(rules, where);
    return status == COVER_OK ? status : fail_text(COVER_ERROR_FORMAT, cover_error_text());
}
