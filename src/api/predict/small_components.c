/* Connected components by union-find (R. Sedgewick, Algorithms, 1.5, with path halving): each pixel is joined with its equal
 * neighbours before it.  See small_components.h. */
#include "small_components.h"

static uint32_t find_root(uint32_t *parent, uint32_t pixel) {
    while (parent[pixel] != pixel) {
        parent[pixel] = parent[parent[pixel]];
        pixel = parent[pixel];
    }
    return pixel;
}

static void join(uint32_t *parent, uint32_t a, uint32_t b) {
    a = find_root(parent, a), b = find_root(parent, b);
    if (a < b) parent[b] = a; /* the first pixel of a component is its root */
    else parent[a] = b;
}

static unsigned class_at(const struct image *label, int64_t pixel) {
    return label->dtype == COVER_U8 ? ((const uint8_t *)label->data)[pixel] : ((const uint16_t *)label->data)[pixel];
}

static void join_neighbours(uint32_t *parent, const struct image *label) {
    const int64_t *size = label->size, step[3] = {size[1] * size[2], size[2], 1};
    int64_t pixel = 0, at[3];
    for (at[0] = 0; at[0] < size[0]; at[0]++)
        for (at[1] = 0; at[1] < size[1]; at[1]++)
            for (at[2] = 0; at[2] < size[2]; at[2]++, pixel++) {
                parent[pixel] = (uint32_t)pixel;
                unsigned class = class_at(label, pixel);
                for (int axis = 0; class && axis < 3; axis++)
                    if (at[axis] > 0 && class_at(label, pixel - step[axis]) == class)
                        join(parent, (uint32_t)pixel, (uint32_t)(pixel - step[axis]));
            }
}

cover_status small_components_drop(struct image *label, cover_context *context, int64_t fewest) {
    int64_t pixels = label->size[0] * label->size[1] * label->size[2];
    if (fewest < 2) return COVER_OK;
    if (pixels > UINT32_MAX) return fail(COVER_ERROR_SHAPE, "components of more than 2^32 pixels; set keep_component=0");
    uint32_t *parent = memory_alloc(context, (size_t)pixels * sizeof *parent);
    uint32_t *count = memory_zero(context, (size_t)pixels * sizeof *count);
    if (parent && count) {
        join_neighbours(parent, label);
        for (int64_t p = 0; p < pixels; p++) count[find_root(parent, (uint32_t)p)]++;
        for (int64_t p = 0; p < pixels; p++) {
            if (count[find_root(parent, (uint32_t)p)] >= fewest) continue;
            if (label->dtype == COVER_U8) ((uint8_t *)label->data)[p] = 0;
            else ((uint16_t *)label->data)[p] = 0;
        }
    }
    cover_status status = parent && count ? COVER_OK : COVER_ERROR_MEMORY;
    memory_free(context, parent);
    memory_free(context, count);
    return status;
}
