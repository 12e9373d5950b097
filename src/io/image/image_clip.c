/* Clipping to a window or to percentiles, and the check for constant images (docs/dataset.md, "Preparation").
 * Called by image_rules.c. */
#include "image_pixels.h"

#include "core/base/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

cover_status image_check_varies(const struct image *image, const char *when) {
    const size_t pixel = cover_dtype_bytes(image->dtype) * (size_t)image->channels;
    const char *data = image->data;
    /* all pixels equal the first one when each equals the one before it */
    if (memcmp(data, data + pixel, (size_t)(pixels_of(image) - 1) * pixel) != 0) return COVER_OK;
    return fail(COVER_ERROR_NUMERIC, "constant image: every pixel is %g%s", value_at(image, 0), when);
}

/* float32 as an unsigned integer of the same order. */
static uint32_t ordered(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static uint32_t key_at(const struct image *image, int64_t i) {
    return image->dtype == COVER_F32 ? ordered(((const float *)image->data)[i]) : (uint32_t)value_at(image, i);
}

static double key_value(const struct image *image, uint32_t key) {
    if (image->dtype != COVER_F32) return key;
    const uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* The rank-th smallest value (from 0): a histogram of the high halves finds the half, a second one the value. */
static double order_statistic(const struct image *image, int64_t *histogram, int64_t rank) {
    const int64_t count = values_of(image);
    uint32_t high = 0, low = 0;
    memset(histogram, 0, 65536 * sizeof *histogram);
    for (int64_t i = 0; i < count; i++) histogram[key_at(image, i) >> 16]++;
    while (rank >= histogram[high]) rank -= histogram[high++];
    memset(histogram, 0, 65536 * sizeof *histogram);
    for (int64_t i = 0; i < count; i++) {
        const uint32_t key = key_at(image, i);
        if (key >> 16 == high) histogram[key & 0xffff]++;
    }
    while (rank >= histogram[low]) rank -= histogram[low++];
    return key_value(image, high << 16 | low);
}

/* Percentile q of all values, linear between the two nearest ranks. */
static double percentile(const struct image *image, int64_t *histogram, double q) {
    const double position = q / 100 * (double)(values_of(image) - 1), whole = floor(position);
    const double below = order_statistic(image, histogram, (int64_t)whole);
    if (position == whole) return below;
    return below + (position - whole) * (order_statistic(image, histogram, (int64_t)whole + 1) - below);
}

static double clamp(double value, double low, double high) { return value < low ? low : value > high ? high : value; }

/* Bounds are rounded for integers, and each value is then a value that the bounds allow. */
static void clip(struct image *image, double low, double high) {
    const int64_t count = values_of(image);
    if (image->dtype == COVER_U8) {
        uint8_t *values = image->data, from = (uint8_t)clamp(rint(low), 0, UINT8_MAX),
                to = (uint8_t)clamp(rint(high), 0, UINT8_MAX);
        for (int64_t i = 0; i < count; i++) values[i] = values[i] < from ? from : values[i] > to ? to : values[i];
    } else if (image->dtype == COVER_U16) {
        uint16_t *values = image->data, from = (uint16_t)clamp(rint(low), 0, UINT16_MAX),
                 to = (uint16_t)clamp(rint(high), 0, UINT16_MAX);
        for (int64_t i = 0; i < count; i++) values[i] = values[i] < from ? from : values[i] > to ? to : values[i];
    } else {
        float *values = image->data, from = (float)low, to = (float)high;
        for (int64_t i = 0; i < count; i++) values[i] = values[i] < from ? from : values[i] > to ? to : values[i];
    }
}

cover_status image_clip(struct image *image, cover_context *context, const struct image_rules *rules) {
    double low = rules->window[0], high = rules->window[1];
    char when[80];
    if (rules->percentile[1] > rules->percentile[0]) {
        int64_t *histogram = memory_alloc(context, 65536 * sizeof *histogram);
        if (!histogram) return COVER_ERROR_MEMORY;
        low = percentile(image, histogram, rules->percentile[0]);
        high = percentile(image, histogram, rules->percentile[1]);
        memory_free(context, histogram);
    } else if (!(high > low)) {
        return COVER_OK;
    }
    clip(image, low, high);
    number_print(when, sizeof when, " once clipped to %g..%g", low, high);
    return image_check_varies(image, when);
}
