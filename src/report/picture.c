/* Pictures of images, displacement fields and differences as PNG inside the page.  Called by the pages.
 * Fields: the angle is the hue and the length the saturation of an OKLCH colour (Ottosson 2020), whose hues are equally
 * bright, so that no direction looks longer than another. */
#include "io/image/image.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_MAX = 288, WHEEL_SIDE = 160 };

/* One plane of channels-last data, brought down to SIDE_MAX by averaging. */
struct slice {
    int64_t height, width;
    int channels;
    float *data;
};

int picture_planes(struct plane planes[3], const struct grid *grid) {
    const int64_t *size = grid->size;
    planes[0] = (struct plane){.row_axis = 1, .column_axis = 2, .through = 0, .at = size[0] / 2};
    planes[1] = (struct plane){.row_axis = 0, .column_axis = 2, .through = 1, .at = size[1] / 2};
    planes[2] = (struct plane){.row_axis = 0, .column_axis = 1, .through = 2, .at = size[2] / 2};
    return grid->ndim == 2 ? 1 : 3;
}

static cover_status slice_take_within(struct slice *slice, cover_context *context, const float *data, const struct grid *grid,
                                      int channels, const struct plane *plane, int64_t most) {
    const int64_t stride[3] = {grid->size[1] * grid->size[2], grid->size[2], 1};
    int64_t rows = grid->size[plane->row_axis], columns = grid->size[plane->column_axis];
    int64_t longest = rows > columns ? rows : columns, side = longest < most ? longest : most;
    *slice = (struct slice){
        .height = (rows * side + longest - 1) / longest, .width = (columns * side + longest - 1) / longest, .channels = channels};
    slice->data = memory_zero(context, (size_t)(slice->height * slice->width * channels) * sizeof(float));
    if (!slice->data) return COVER_ERROR_MEMORY;
    for (int64_t y = 0; y < slice->height; y++)
        for (int64_t x = 0; x < slice->width; x++) {
            int64_t top = y * rows / slice->height, bottom = ((y + 1) * rows + slice->height - 1) / slice->height;
            int64_t left = x * columns / slice->width, right = ((x + 1) * columns + slice->width - 1) / slice->width;
            float *out = slice->data + (y * slice->width + x) * channels;
            for (int64_t row = top; row < bottom; row++)
                for (int64_t column = left; column < right; column++) {
                    int64_t pixel =
                        row * stride[plane->row_axis] + column * stride[plane->column_axis] + plane->at * stride[plane->through];
                    for (int c = 0; c < channels; c++) out[c] += data[pixel * channels + c];
                }
            for (int c = 0; c < channels; c++) out[c] /= (float)((bottom - top) * (right - left));
        }
    return COVER_OK;
}

static cover_status slice_take(struct slice *slice, cover_context *context, const float *data, const struct grid *grid,
                               int channels, const struct plane *plane) {
    return slice_take_within(slice, context, data, grid, channels, plane, SIDE_MAX);
}

/* ---- <img> with a data: address */

static void add_base64(struct text *html, const uint8_t *bytes, size_t count) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < count; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16;
        if (i + 1 < count) three |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < count) three |= bytes[i + 2];
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63], digits[three >> 6 & 63], digits[three & 63]};
        if (i + 1 >= count) four[2] = '=';
        if (i + 2 >= count) four[3] = '=';
        text_add_bytes(html, four, 4);
    }
}

static cover_status add_address(struct text *html, const uint8_t *pixels, int64_t height, int64_t width, int channels) {
    uint8_t *png = NULL;
    size_t bytes = 0;
    TRY(png_encode(html->context, &png, &bytes, pixels, height, width, channels));
    text_add(html, "data:image/png;base64,");
    add_base64(html, png, bytes);
    memory_free(html->context, png);
    return COVER_OK;
}

static cover_status add_picture(struct text *html, const char *alt, const uint8_t *pixels, int64_t height, int64_t width,
                                int channels) {
    text_add(html, "<img alt=\"");
    html_add(html, alt);
    text_add(html, "\" width=\"%lld\" height=\"%lld\" src=\"", (long long)width, (long long)height);
    TRY(add_address(html, pixels, height, width, channels));
    text_add(html, "\">");
    return COVER_OK;
}

static uint8_t to_byte(float value) { return value >= 1 ? 255 : value > 0 ? (uint8_t)(value * 255 + 0.5f) : 0; }

/* ---- images and differences */

int picture_order(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

struct window picture_window(const float *data, const struct grid *grid, int channels) {
    enum { TAKEN = 4096 };
    float sample[TAKEN];
    int64_t values = grid_pixels(grid) * channels, count = values < TAKEN ? values : TAKEN, kept = 0;
    for (int64_t i = 0; i < count; i++) {
        float value = data[(int64_t)((double)i / (double)count * (double)values)];
        if (isfinite(value)) sample[kept++] = value;
    }
    if (!kept) return (struct window){0, 1};
    qsort(sample, (size_t)kept, sizeof *sample, picture_order);
    struct window window = {sample[kept / 200], sample[kept - 1 - kept / 200]};
    if (!(window.high > window.low)) window.high = window.low + 1;
    return window;
}

static float windowed(float value, struct window window) {
    float shown = (value - window.low) / (window.high - window.low);
    return shown > 0 ? shown < 1 ? shown : 1 : 0; /* NaN shows as 0 */
}

/* 3 channels are shown in colour, of any other number the first one. */
static int shown_channels(int channels) { return channels == 3 ? 3 : 1; }

/* 8-bit grey or RGB; NULL when memory is short. */
static uint8_t *shown_pixels(cover_context *context, const float *data, int64_t count, int channels, struct window window) {
    int shown = shown_channels(channels);
    uint8_t *pixels = memory_alloc(context, (size_t)(count * shown));
    for (int64_t i = 0; pixels && i < count; i++)
        for (int c = 0; c < shown; c++) pixels[i * shown + c] = to_byte(windowed(data[i * channels + c], window));
    return pixels;
}

cover_status picture_image(struct text *html, const char *alt, const float *data, const struct grid *grid, int channels,
                           const struct plane *plane, struct window window) {
    struct slice slice = {0};
    TRY(slice_take(&slice, html->context, data, grid, channels, plane));
    uint8_t *pixels = shown_pixels(html->context, slice.data, slice.height * slice.width, channels, window);
    cover_status status =
        pixels ? add_picture(html, alt, pixels, slice.height, slice.width, shown_channels(channels)) : COVER_ERROR_MEMORY;
    memory_free(html->context, pixels);
    memory_free(html->context, slice.data);
    return status;
}

cover_status picture_address(struct text *html, const float *data, int64_t height, int64_t width, int channels,
                             struct window window) {
    uint8_t *pixels = shown_pixels(html->context, data, height * width, channels, window);
    cover_status status = pixels ? add_address(html, pixels, height, width, shown_channels(channels)) : COVER_ERROR_MEMORY;
    memory_free(html->context, pixels);
    return status;
}

cover_status picture_slice(float **values, int64_t size[2], cover_context *context, const float *data, const struct grid *grid,
                           int channels, const struct plane *plane, int64_t side) {
    struct slice slice = {0};
    TRY(slice_take_within(&slice, context, data, grid, channels, plane, side));
    *values = slice.data, size[0] = slice.height, size[1] = slice.width;
    return COVER_OK;
}

cover_status picture_difference(struct text *html, const char *alt, const float *a, struct window a_window, const float *b,
                                struct window b_window, const float *mask, const struct grid *grid, int channels,
                                const struct plane *plane) {
    static const float OUTSIDE = 0.22f;
    cover_context *context = html->context;
    struct slice one = {0}, two = {0}, valid = {0};
    uint8_t *pixels = NULL;
    int shown = shown_channels(channels);
    cover_status status;
    GO(slice_take(&one, context, a, grid, channels, plane));
    GO(slice_take(&two, context, b, grid, channels, plane));
    GO(slice_take(&valid, context, mask, grid, 1, plane));
    pixels = memory_alloc(context, (size_t)(one.height * one.width));
    status = COVER_ERROR_MEMORY;
    if (!pixels) goto done;
    for (int64_t i = 0; i < one.height * one.width; i++) {
        float sum = 0;
        for (int c = 0; c < shown; c++)
            sum += fabsf(windowed(one.data[i * channels + c], a_window) - windowed(two.data[i * channels + c], b_window));
        pixels[i] = to_byte(valid.data[i] > 0.5f ? sum / (float)shown : OUTSIDE);
    }
    status = add_picture(html, alt, pixels, one.height, one.width, 1);
done:
    memory_free(context, pixels);
    memory_free(context, one.data);
    memory_free(context, two.data);
    memory_free(context, valid.data);
    return status;
}

/* ---- fields */

static float srgb(float linear) {
    if (!(linear > 0)) return 0;
    return linear <= 0.0031308f ? 12.92f * linear : 1.055f * powf(linear, 1 / 2.4f) - 0.055f;
}

/* A displacement in rims: (0, 0) is nearly white, its length 1 full colour.  NaN is black. */
static void field_colour(uint8_t rgb[3], float down, float right) {
    float length = sqrtf(down * down + right * right);
    if (!isfinite(length)) {
        memset(rgb, 0, 3);
        return;
    }
    float part = length < 1 ? length : 1, unit = length > 0 ? 1 / length : 0;
    /* the largest chroma that sRGB has for every hue: none is clipped, so a smooth field looks smooth */
    float lightness = 0.985f - 0.245f * part, chroma = 0.126f * part;
    float a = chroma * right * unit, b = chroma * down * unit;
    float l = lightness + 0.3963377774f * a + 0.2158037573f * b, m = lightness - 0.1055613458f * a - 0.0638541728f * b,
          s = lightness - 0.0894841775f * a - 1.2914855480f * b;
    l = l * l * l, m = m * m * m, s = s * s * s;
    rgb[0] = to_byte(srgb(4.0767416621f * l - 3.3077115913f * m + 0.2309699292f * s));
    rgb[1] = to_byte(srgb(-1.2684380046f * l + 2.6097574011f * m - 0.3413193965f * s));
    rgb[2] = to_byte(srgb(-0.0041960863f * l - 0.7034186147f * m + 1.7076147010f * s));
}

cover_status picture_field(struct text *html, const char *alt, const float *field, const float *mask, const struct grid *grid,
                           const struct plane *plane, float rim) {
    cover_context *context = html->context;
    struct slice vectors = {0}, valid = {0};
    uint8_t *pixels = NULL;
    /* component 0 belongs to the first axis of the image */
    int down = plane->row_axis - (3 - grid->ndim), right = plane->column_axis - (3 - grid->ndim), ndim = grid->ndim;
    cover_status status;
    GO(slice_take(&vectors, context, field, grid, ndim, plane));
    if (mask) GO(slice_take(&valid, context, mask, grid, 1, plane));
    pixels = memory_alloc(context, (size_t)(vectors.height * vectors.width * 3));
    status = COVER_ERROR_MEMORY;
    if (!pixels) goto done;
    for (int64_t i = 0; i < vectors.height * vectors.width; i++) {
        field_colour(&pixels[3 * i], vectors.data[i * ndim + down] / rim, vectors.data[i * ndim + right] / rim);
        if (mask && !(valid.data[i] > 0.5f))
            for (int c = 0; c < 3; c++) pixels[3 * i + c] = (uint8_t)((pixels[3 * i + c] + 4 * 168) / 5);
    }
    status = add_picture(html, alt, pixels, vectors.height, vectors.width, 3);
done:
    memory_free(context, pixels);
    memory_free(context, vectors.data);
    memory_free(context, valid.data);
    return status;
}

cover_status picture_wheel(struct text *html) {
    uint8_t *pixels = memory_alloc(html->context, 3 * WHEEL_SIDE * WHEEL_SIDE);
    if (!pixels) return COVER_ERROR_MEMORY;
    for (int y = 0; y < WHEEL_SIDE; y++)
        for (int x = 0; x < WHEEL_SIDE; x++)
            field_colour(&pixels[3 * (y * WHEEL_SIDE + x)], (2.0f * (float)y + 1) / WHEEL_SIDE - 1,
                         (2.0f * (float)x + 1) / WHEEL_SIDE - 1);
    cover_status status = add_picture(html, "the colours of vectors: of all directions, and of lengths from 0 to the rim", pixels,
                                      WHEEL_SIDE, WHEEL_SIDE, 3);
    memory_free(html->context, pixels);
    return status;
}
