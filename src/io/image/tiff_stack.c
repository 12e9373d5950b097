/* See tiff_stack.h.  ImageJ's and tifffile's descriptions are lines of "key=value" and a JSON object, OME's is XML; of each the few
 * numbers that are needed are picked out, whatever stands around them. */
#include "tiff_stack.h"

#include "core/base/number.h"

#include <stdio.h>
#include <string.h>

/* So that the product of three of them fits int64_t. */
enum { LARGEST_COUNT = 1 << 20 };
enum { TAG_STK_PLANES = 33629, TAG_IMAGE_DEPTH = 32997 };

static const char *description_of(TIFF *tiff) {
    char *text = NULL;
    return TIFFGetField(tiff, TIFFTAG_IMAGEDESCRIPTION, &text) && text ? text : "";
}

/* The whole number at `text`; 0 when there is none of a size that counts pages. */
static int64_t number_at(const char *text) {
    int64_t number = 0;
    for (; is_digit(*text) && number <= LARGEST_COUNT; text++) number = 10 * number + (*text - '0');
    return number <= LARGEST_COUNT ? number : 0;
}

/* ---- ImageJ: lines such as "channels=3" */

static const char *next_line(const char *text) {
    const char *end = strchr(text, '\n');
    return end ? end + 1 : NULL;
}

static int64_t line_value(const char *text, const char *key) {
    const size_t length = strlen(key);
    for (; text; text = next_line(text))
        if (strncmp(text, key, length) == 0 && text[length] == '=') return number_at(text + length + 1);
    return 0;
}

static void read_imagej(struct tiff_stack *stack, const char *text) {
    const int64_t channels = line_value(text, "channels"), slices = line_value(text, "slices"), frames = line_value(text, "frames");
    stack->writer = "ImageJ's description", stack->images = line_value(text, "images");
    if (stack->images == 0) stack->images = 1;
    stack->channels = channels > 0 ? channels : 1, stack->frames = frames > 0 ? frames : 1;
    stack->slices = slices > 0 ? slices : stack->images / (stack->channels * stack->frames);
    if (stack->slices == 0) stack->slices = 1;
    stack->order = "CZT"; /* ImageJ has no other */
}

/* ---- OME: <Pixels SizeC="3" DimensionOrder="XYCZT" ...> */

/* The value of an attribute of the element that begins at `element`, up to its '>'; NULL when it has none. */
static const char *attribute(const char *element, const char *name) {
    const size_t length = strlen(name), end = strcspn(element, ">");
    for (const char *at = element; (at = strstr(at, name)) && (size_t)(at - element) < end; at += length)
        if (at > element && strchr(" \t\r\n", at[-1]) && at[length] == '=' && (at[length + 1] == '"' || at[length + 1] == '\''))
            return at + length + 2;
    return NULL;
}

static int64_t attribute_number(const char *element, const char *name) {
    const char *value = attribute(element, name);
    return value ? number_at(value) : 0;
}

static const char *const orders[] = {"CZT", "CTZ", "ZCT", "ZTC", "TCZ", "TZC"};

/* The first of the orders that begins `text`; NULL = none. */
static const char *order_at(const char *text) {
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (strncmp(text, orders[i], 3) == 0) return orders[i];
    return NULL;
}

static int64_t size_of(const struct tiff_stack *stack, char axis) {
    return axis == 'C' ? stack->channels : axis == 'Z' ? stack->slices : stack->frames;
}

/* <TiffData IFD="4" FirstC="1" .../> may put pages anywhere: where the order puts them all, that is enough. */
static bool lists_otherwise(const struct tiff_stack *stack, const char *text) {
    for (text = strstr(text, "<TiffData"); text && stack->order; text = strstr(text + 1, "<TiffData")) {
        int64_t page = 0, step = 1;
        for (int i = 0; i < 3; i++) {
            const char axis = stack->order[i];
            page += step * attribute_number(text, axis == 'C' ? "FirstC" : axis == 'Z' ? "FirstZ" : "FirstT");
            step *= size_of(stack, axis);
        }
        if (page != attribute_number(text, "IFD")) return true;
    }
    return false;
}

static void read_ome(struct tiff_stack *stack, const char *text, int samples) {
    const char *pixels = strstr(text, "<Pixels"), *order = pixels ? attribute(pixels, "DimensionOrder") : NULL;
    if (!pixels) return;
    stack->writer = "its OME-XML";
    stack->channels = attribute_number(pixels, "SizeC"), stack->slices = attribute_number(pixels, "SizeZ");
    stack->frames = attribute_number(pixels, "SizeT");
    /* colours of a page are counted among the channels */
    if (samples > 1 && stack->channels % samples == 0) stack->channels /= samples;
    if (order && strncmp(order, "XY", 2) == 0) stack->order = order_at(order + 2);
    stack->images = stack->channels * stack->slices * stack->frames;
    stack->listed = samples == 1 && lists_otherwise(stack, pixels);
}

/* ---- others that say more images than there are pages */

/* tifffile: {"shape": [3, 24, 28], "axes": "CYX"}.  Axes before Y are those of pages. */
static void read_shape(struct tiff_stack *stack, const char *text, const struct tiff_page *page) {
    enum { MOST_AXES = 8 };
    int64_t product = 1, size[MOST_AXES] = {0};
    int axes = 0;
    const char *at = strchr(text, '['), *named = strstr(text, "\"axes\": \"");
    for (; at && *at && *at != ']' && axes < MOST_AXES && product <= INT64_MAX / LARGEST_COUNT; at++) {
        if (!is_digit(*at)) continue;
        product *= size[axes++] = number_at(at);
        at += strspn(at, "0123456789") - 1;
    }
    const int64_t of_page = (int64_t)page->width * page->height * page->samples;
    if (product == 0 || product % of_page) return; /* of another image than this one */
    stack->writer = "its description", stack->images = product / of_page;
    named = named ? named + strlen("\"axes\": \"") : "";
    char order[4] = "";
    const int before = (int)strcspn(named, "Y\"");
    for (int i = before - 1, n = 0; i >= 0 && i < axes && n < 3; i--) {
        if (!strchr("CZT", named[i]) || strchr(order, named[i])) return;
        order[n++] = named[i];
        *(named[i] == 'C' ? &stack->channels : named[i] == 'Z' ? &stack->slices : &stack->frames) = size[i];
    }
    for (const char *rest = "CZT"; *rest; rest++)
        if (!strchr(order, *rest) && strlen(order) < 3) order[strlen(order)] = *rest;
    stack->order = order_at(order);
}

cover_status tiff_stack_read(struct tiff_stack *stack, TIFF *tiff, const struct tiff_page *page) {
    const char *text = description_of(tiff);
    uint32_t planes = 0;
    void *data;
    *stack = (struct tiff_stack){.channels = 1, .slices = 1, .frames = 1};
    if (strncmp(text, "ImageJ=", 7) == 0) read_imagej(stack, text);
    else if (strstr(text, "<OME") || strstr(text, "<ome:OME")) read_ome(stack, text, page->samples);
    else if (strncmp(text, "{\"shape\": [", 11) == 0) read_shape(stack, text, page);
    else if (TIFFGetField(tiff, TAG_STK_PLANES, &planes, &data)) stack->writer = "MetaMorph's tag UIC2", stack->images = planes;
    uint32_t depth = 1;
    if (TIFFGetField(tiff, TAG_IMAGE_DEPTH, &depth) && depth > 1) stack->writer = "the tag ImageDepth", stack->images = depth;
    if (stack->writer && (stack->channels < 1 || stack->slices < 1 || stack->frames < 1 || stack->images < 1))
        return fail(COVER_ERROR_FORMAT, "%s says %lld channels, %lld slices and %lld frames; it is damaged", stack->writer,
                    (long long)stack->channels, (long long)stack->slices, (long long)stack->frames);
    return COVER_OK;
}

/* Slices of a single frame, or frames alone, make the volume; both at once would be a series of volumes. */
cover_status tiff_stack_judge(struct tiff_stack *stack, int64_t pages, int page_channels) {
    if (stack->writer && stack->images > pages)
        return fail(
            COVER_ERROR_UNSUPPORTED,
            "%s says %lld images, but %lld of them are not where TIFF keeps pages; save it as an ordinary multi-page TIFF, or as "
            "NIfTI",
            stack->writer, (long long)stack->images, (long long)(stack->images - pages));
    const bool told = stack->writer && stack->images == pages && stack->channels * stack->slices * stack->frames == pages;
    if (!told || pages == 1) {
        *stack = (struct tiff_stack){.channels = 1, .slices = pages, .frames = 1};
        return COVER_OK;
    }
    if (stack->slices > 1 && stack->frames > 1)
        return fail(COVER_ERROR_UNSUPPORTED, "%s says %lld frames of %lld slices; split the series into volumes", stack->writer,
                    (long long)stack->frames, (long long)stack->slices);
    if (stack->channels * page_channels > IMAGE_MOST_CHANNELS)
        return fail(COVER_ERROR_UNSUPPORTED,
                    "%s says %lld channels; at most %d are taken: if they are slices, say so in the file, else split it",
                    stack->writer, (long long)stack->channels * page_channels, IMAGE_MOST_CHANNELS);
    if (stack->channels > 1 && (!stack->order || stack->listed))
        return fail(COVER_ERROR_UNSUPPORTED, "%s says %lld channels, but %s; save it with the order XYCZT", stack->writer,
                    (long long)stack->channels, stack->listed ? "lists its pages one by one" : "no DimensionOrder that is known");
    return COVER_OK;
}

void tiff_stack_place(const struct tiff_stack *stack, int64_t page, int64_t *channel, int64_t *slice) {
    int64_t at[2] = {0, 0}; /* channel; slice or frame */
    for (int i = 0; stack->order && i < 3; i++) {
        const char axis = stack->order[i];
        const int64_t size = size_of(stack, axis);
        if (size > 1) at[axis != 'C'] = page % size;
        page /= size;
    }
    *channel = at[0], *slice = stack->order ? at[1] : page;
}
