/* Several files of one case: whether their pixels lie in the same place, and as one image: nnU-Net's CASE_0000,
 * CASE_0001, ... one channel each (docs/dataset.md, "Layouts"). Called by pack and prediction. */
#include "image_pixels.h"

#include "core/base/convert.h"
#include "core/base/memory.h"

#include <math.h>
#include <string.h>

/* ---- where pixels lie */

/* Of the smallest voxel: how far apart they may lie. */
static const double PLACE_TOLERANCE = 0.1;

/* Where voxel (x, y, z) of a corner lies in the world. */
static void place_of(double place[3], const double affine[12], const struct image *grid, int corner) {
    for (int row = 0; row < 3; row++) {
        place[row] = affine[4 * row + 3];
        for (int axis = 0; axis < 3; axis++) /* x, y, z are sizes 2, 1, 0 */
            if (corner >> axis & 1) place[row] += affine[4 * row + axis] * (double)(grid->size[2 - axis] - 1);
    }
}

bool image_place_known(const struct image *image) {
    static const double unknown[12];
    return memcmp(image->affine, unknown, sizeof unknown) != 0;
}

bool image_same_place(const struct image *a, const struct image *b, double corner_a[3], double corner_b[3]) {
    double voxel = INFINITY, worst = -1;
    if (!image_place_known(a) || !image_place_known(b)) return true;
    for (int axis = 0; axis < 3; axis++)
        voxel = fmin(voxel, hypot(hypot(a->affine[axis], a->affine[4 + axis]), a->affine[8 + axis]));
    for (int corner = 0; corner < 8; corner++) {
        double place_a[3], place_b[3], distance = 0;
        place_of(place_a, a->affine, a, corner);
        place_of(place_b, b->affine, a, corner);
        for (int row = 0; row < 3; row++) distance += (place_a[row] - place_b[row]) * (place_a[row] - place_b[row]);
        if (distance <= worst) continue;
        worst = distance;
        memcpy(corner_a, place_a, sizeof place_a);
        memcpy(corner_b, place_b, sizeof place_b);
    }
    return sqrt(worst) <= PLACE_TOLERANCE * voxel;
}

cover_status image_check_place(const struct image *image, const struct image *other, const char *what) {
    double a[3] = {0}, b[3] = {0};
    if (image_same_place(image, other, a, b)) return COVER_OK;
    return fail(COVER_ERROR_SHAPE,
                "%s lies elsewhere: its corner is at (%g, %g, %g) mm, that of the image at (%g, %g, %g) mm (spacing D, H, W "
                "%g, %g, %g and %g, %g, %g mm); resample it, or correct its header",
                what, b[0], b[1], b[2], a[0], a[1], a[2], other->spacing_mm[0], other->spacing_mm[1], other->spacing_mm[2],
                image->spacing_mm[0], image->spacing_mm[1], image->spacing_mm[2]);
}

/* ---- dimensions */

void image_take_dims(struct image *image, int dims) {
    if (image->size[0] == 1 && (dims == 2 || (dims == 3 && image->volume))) image->dims = dims;
}

/* ---- channels */

bool image_drop_equal_channels(struct image *image) {
    const size_t element = cover_dtype_bytes(image->dtype);
    const int64_t pixels = pixels_of(image);
    char *data = image->data;
    if (image->channels != 3) return false;
    for (int64_t i = 0; i < pixels; i++) {
        const char *pixel = data + (size_t)i * 3 * element;
        if (memcmp(pixel, pixel + element, 2 * element) != 0) return false;
    }
    for (int64_t i = 0; i < pixels; i++) memmove(data + (size_t)i * element, data + (size_t)i * 3 * element, element);
    image->channels = 1;
    return true;
}

/* Put `part` behind the channels of `whole`. */
static cover_status add_channels(struct image *whole, const struct image *part, cover_context *context, const char *path) {
    if (memcmp(whole->size, part->size, sizeof whole->size) != 0)
        return fail(COVER_ERROR_SHAPE, "%s is %lldx%lldx%lld, but the channels before it are %lldx%lldx%lld", path,
                    (long long)part->size[0], (long long)part->size[1], (long long)part->size[2], (long long)whole->size[0],
                    (long long)whole->size[1], (long long)whole->size[2]);
    TRY(image_check_place(whole, part, path));
    struct image both = *whole;
    both.dtype = whole->dtype == part->dtype ? whole->dtype : COVER_F32;
    both.channels = whole->channels + part->channels;
    const size_t element = cover_dtype_bytes(both.dtype);
    const int64_t pixels = pixels_of(whole);
    int64_t values, bytes;
    if (!multiply(pixels, both.channels, &values) || !multiply(values, (int64_t)element, &bytes))
        return fail(COVER_ERROR_SHAPE, "%d channels of this size are too large", both.channels);
    both.data = memory_within(context, (size_t)bytes);
    if (!both.data) return COVER_ERROR_MEMORY;
    const struct image *const parts[] = {whole, part};
    char *to = both.data;
    for (int p = 0; p < 2; p++)
        for (int c = 0; c < parts[p]->channels; c++, to += element)
            convert_run(to, both.dtype, both.channels,
                        (const char *)parts[p]->data + (size_t)c * cover_dtype_bytes(parts[p]->dtype), parts[p]->dtype,
                        parts[p]->channels, pixels);
    memory_free(context, whole->data);
    *whole = both;
    return COVER_OK;
}

cover_status image_read_files(struct image *image, cover_context *context, const char *const *files, int count) {
    TRY(image_read(image, context, files[0], 0));
    for (int f = 1; f < count; f++) {
        struct image part;
        cover_status status = image_read(&part, context, files[f], 0);
        if (status == COVER_OK) {
            status = add_channels(image, &part, context, files[f]);
            image_free(&part, context);
        }
        if (status != COVER_OK) {
            image_free(image, context);
            return status;
        }
    }
    return COVER_OK;
}
