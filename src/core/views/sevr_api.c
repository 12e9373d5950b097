/* cover_sevr: the sampler of view pairs for programs (include/libcover/sevr.h), over one struct sevr. */
#include "sevr.h"

#include "core/base/convert.h"
#include "core/base/tensor.h"

#include <libcover/sevr.h>

struct cover_sevr {
    cover_context *context;
    struct settings settings;
    struct sevr *sevr;
    float *image; /* the last image, channels last */
    size_t image_bytes;
};

cover_status cover_sevr_create(cover_sevr **out, cover_context *context, const cover_config *config) {
    if (!out || !context || !config) return fail(COVER_ERROR_ARGUMENT, "cover_sevr_create: an argument is NULL");
    TRY(cover_config_validate(config));
    cover_sevr *handle = handle_make(context, sizeof *handle);
    if (!handle) return COVER_ERROR_MEMORY;
    handle->context = context, handle->settings = *config_settings(config);
    cover_status status = sevr_create(&handle->sevr, context, &handle->settings);
    if (status != COVER_OK) {
        cover_sevr_destroy(handle);
        return status;
    }
    *out = handle;
    return COVER_OK;
}

void cover_sevr_destroy(cover_sevr *handle) {
    if (!handle) return;
    sevr_destroy(handle->sevr);
    memory_free(handle->context, handle->image);
    handle_free(handle->context, handle);
}

/* The image as float32, channels last, in memory of the handle. */
static cover_status take_image(cover_sevr *handle, struct tensor_layout *layout, const cover_tensor *image) {
    int dims = (int)handle->settings.network.dims;
    TRY(tensor_layout(layout, image, dims, "image"));
    if (layout->images != 1)
        return fail(COVER_ERROR_SHAPE, "image: %lld images, but a pair is drawn from one", (long long)layout->images);
    if (layout->channels != handle->settings.network.channels)
        return fail(COVER_ERROR_SHAPE, "image: %lld channels, but the settings say channels=%d", (long long)layout->channels,
                    (int)handle->settings.network.channels);
    TRY(sevr_accepts(&handle->settings, &layout->grid, (int)layout->channels));
    size_t bytes = (size_t)grid_pixels(&layout->grid) * (size_t)layout->channels * sizeof(float);
    if (bytes > handle->image_bytes) {
        float *memory = memory_alloc(handle->context, bytes);
        if (!memory) return COVER_ERROR_MEMORY;
        memory_free(handle->context, handle->image);
        handle->image = memory, handle->image_bytes = bytes;
    }
    return tensor_to_channels_last(handle->image, image, dims);
}

enum { MOVING, FIXED, FIELD, MASK, PARTS };

cover_status cover_sevr_draw(cover_views *given, cover_sevr *handle, const cover_tensor *image, uint64_t seed, uint32_t step,
                             uint32_t sample) {
    if (!given || !handle || !image) return fail(COVER_ERROR_ARGUMENT, "cover_sevr_draw: an argument is NULL");
    if (given->struct_size < sizeof(cover_views))
        return fail(COVER_ERROR_ARGUMENT, "cover_views: struct_size is %zu; start from COVER_VIEWS_INIT", given->struct_size);
    cover_context *context = handle->context;
    struct tensor_layout layout;
    TRY(take_image(handle, &layout, image));

    const struct view_bytes bytes = sevr_pair_bytes(handle->sevr);
    const struct grid crop = settings_grid(&handle->settings.views.crop, (int)handle->settings.network.dims);
    const struct {
        size_t bytes;
        int64_t channels;
    } parts[PARTS] = {[MOVING] = {bytes.image, layout.channels},
                      [FIXED] = {bytes.image, layout.channels},
                      [FIELD] = {bytes.field, crop.ndim},
                      [MASK] = {bytes.mask, 1}};
    float *values[PARTS] = {0};
    cover_tensor *tensors[PARTS] = {0};
    cover_status status = COVER_ERROR_MEMORY;
    for (int i = 0; i < PARTS; i++)
        if (!(values[i] = memory_alloc(context, parts[i].bytes))) goto done;
    struct view_pair pair = {values[MOVING], values[FIXED], values[FIELD], values[MASK], 0, 0};
    GO(sevr_draw(handle->sevr, &pair, handle->image, &layout.grid, (int)layout.channels,
                 (float)dtype_integer_max(cover_tensor_dtype(image)), seed, step, sample));
    for (int i = 0; i < PARTS; i++) {
        struct tensor_layout shape = {1, parts[i].channels, crop};
        GO(tensor_adopt_channels_last(&tensors[i], context, values[i], &shape));
        values[i] = NULL; /* the tensor's now */
    }
    const cover_views views = {sizeof views,  tensors[MOVING], tensors[FIXED], tensors[FIELD],
                               tensors[MASK], pair.valid,      pair.zero_loss};
    report_write(given, &views, sizeof views);
done:
    for (int i = 0; i < PARTS; i++) {
        memory_free(context, values[i]);
        if (status != COVER_OK) cover_tensor_destroy(tensors[i]);
    }
    return status;
}

void cover_views_release(cover_views *views) {
    if (!views) return;
    cover_tensor **tensors[PARTS] = {&views->moving, &views->fixed, &views->field, &views->mask};
    for (int i = 0; i < PARTS; i++) {
        cover_tensor_destroy(*tensors[i]);
        *tensors[i] = NULL;
    }
}
