/* Several files as one image: nnU-Net's CASE_0000, CASE_0001, ... one channel each (docs/dataset.md, "Layouts").
 * Called by pack and prediction. */
#include "image_pixels.h"

#include "../core/base/convert.h"

#include <string.h>

/* Put `part` behind the channels of `whole`. */
static cover_status add_channels(struct image *whole, const struct image *part, cover_context *context,
                                 const char *path) {
    if (memcmp(whole->size, part->size, sizeof whole->size) != 0)
        return fail(COVER_ERROR_SHAPE, "%s is %lldx%lldx%lld, but the channels before it are %lldx%lldx%lld", path,
                    (long long)part->size[0], (long long)part->size[1], (long long)part->size[2],
                    (long long)whole->size[0], (long long)whole->size[1], (long long)whole->size[2]);
    struct image both = *whole;
    both.dtype = whole->dtype == part->dtype ? whole->dtype : COVER_F32;
    both.channels = whole->channels + part->channels;
    const size_t element = cover_dtype_bytes(both.dtype);
    const int64_t pixels = pixels_of(whole);
    int64_t values, bytes;
    if (!multiply(pixels, both.channels, &values) || !multiply(values, (int64_t)element, &bytes))
        return fail(COVER_ERROR_SHAPE, "%d channels of this size are too large", both.channels);
    both.data = memory_alloc(context, (size_t)bytes);
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
