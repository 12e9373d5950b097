/* A label map out of an image file: class numbers, whatever form the file gives them.  What cannot hold class numbers is refused
 * with the file's own name.  Called by pack and evaluation. */
#include "image_pixels.h"

#include "core/base/memory.h"

#include <math.h>

/* Files hold labels as floats, or as integers with a slope: rounding may have moved them by so much. */
static const double NEARLY = 1e-3;

static int distinct_values(const struct image *image) {
    bool seen[UINT8_MAX + 1] = {false};
    int count = 0;
    for (int64_t i = 0; i < values_of(image); i++) {
        bool *here = &seen[((const uint8_t *)image->data)[i]];
        count += !*here, *here = true;
    }
    return count;
}

/* What lossy compression makes of 0 and 1 is 0, 1 and whatever lies around them. */
static cover_status check_form(const struct image *label) {
    if (label->lossy && label->dtype == COVER_U8)
        return fail(COVER_ERROR_FORMAT,
                    "JPEG changes values, so this is no label map (it holds %d different ones); save label maps as PNG, TIFF "
                    "without JPEG, or NIfTI",
                    distinct_values(label));
    if (label->channels == 1) return COVER_OK;
    return fail(COVER_ERROR_FORMAT, "%d channels, but a label map has one: the number of the class; is it an image?",
                label->channels);
}

/* Whole numbers of the smallest type that holds them. */
static cover_status to_whole(struct image *label, cover_context *context) {
    const int64_t count = values_of(label);
    double most = 0;
    for (int64_t i = 0; i < count; i++) {
        const double value = value_at(label, i), whole = rint(value);
        if (!(whole >= 0 && whole <= UINT16_MAX && fabs(value - whole) <= NEARLY))
            return fail(COVER_ERROR_FORMAT, "voxel %lld holds %.9g, which is no whole number from 0 to %d; is it an image?",
                        (long long)i, value, UINT16_MAX);
        if (whole > most) most = whole;
    }
    const cover_dtype dtype = most <= UINT8_MAX ? COVER_U8 : COVER_U16;
    if (label->dtype == dtype) return COVER_OK;
    void *data = memory_within(context, (size_t)count * cover_dtype_bytes(dtype));
    if (!data) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++) {
        const double whole = rint(value_at(label, i));
        if (dtype == COVER_U8) ((uint8_t *)data)[i] = (uint8_t)whole;
        else ((uint16_t *)data)[i] = (uint16_t)whole;
    }
    memory_free(context, label->data);
    label->data = data, label->dtype = dtype;
    return COVER_OK;
}

cover_status label_map_read(struct image *label, cover_context *context, const char *path) {
    TRY(image_read_indices(label, context, path));
    cover_status status = check_form(label);
    if (status == COVER_OK) status = to_whole(label, context);
    if (status == COVER_OK) return status;
    image_free(label, context);
    return fail_in(status, "%s", path);
}
