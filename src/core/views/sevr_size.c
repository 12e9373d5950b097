/* Sizes of what is drawn from an image: the resized image, what settings and memory can take, memory that grows with
 * them.  Called by sevr.c and augment.c. */
#include "sevr_parts.h"

#include <stdio.h>

enum { LONGEST_AXIS = 1 << 20 }; /* positions keep a sixteenth of a pixel in float32 */

struct grid work_grid(const struct settings *settings, const struct grid *grid) {
    struct grid work = *grid;
    for (int i = 3 - grid->ndim; i < 3; i++) {
        int64_t size = settings->views.work.value[i - (3 - grid->ndim)];
        work.size[i] = size ? size : grid->size[i];
    }
    return work;
}

const char *size_text(char text[80], const struct grid *grid) {
    int used = 0;
    for (int a = 0; a < grid->ndim; a++)
        used += snprintf(text + used, 80 - (size_t)used, "%s%lld", a ? "x" : "", (long long)grid_axis(grid, a));
    return text;
}

/* Sizes within bounds, and values that are counted without overflow: at most 2^44 with room for frames and vectors. */
static cover_status check_volume(const struct grid *grid, int channels, const char *what) {
    char text[80];
    int64_t values = channels;
    for (int a = 0; a < grid->ndim; a++) {
        int64_t size = grid_axis(grid, a);
        if (size < 1 || size > LONGEST_AXIS)
            return fail(COVER_ERROR_SHAPE, "%s: %s: sizes must be 1..%d", what, size_text(text, grid), LONGEST_AXIS);
        if (!multiply(values, size + 3, &values) || values > INT64_C(1) << 44)
            return fail(COVER_ERROR_SHAPE, "%s: %s with %d channels is more than memory can hold", what, size_text(text, grid),
                        channels);
    }
    return COVER_OK;
}

cover_status sizes_accept(const struct settings *settings, const struct grid *grid, int channels) {
    int dims = (int)settings->network.dims;
    if (grid->ndim != dims)
        return fail(COVER_ERROR_SHAPE, "image: %dD, but the settings say dims=%d; use the preset for %dD", grid->ndim, dims,
                    grid->ndim);
    if (channels != settings->network.channels)
        return fail(COVER_ERROR_SHAPE, "image: %d channels, but the settings say channels=%d; set channels=%d", channels,
                    (int)settings->network.channels, channels);
    struct grid crop = settings_grid(&settings->views.crop, dims), work = work_grid(settings, grid);
    TRY(check_volume(grid, channels, "image"));
    TRY(check_volume(&work, channels, "work"));
    return check_volume(&crop, channels, "crop");
}

cover_status room_grow(cover_context *context, struct room *room, size_t bytes) {
    if (bytes <= room->bytes) return COVER_OK;
    void *data = memory_alloc(context, bytes);
    if (!data) return COVER_ERROR_MEMORY;
    memory_free(context, room->data);
    *room = (struct room){data, bytes};
    return COVER_OK;
}
