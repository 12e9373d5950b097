/* Padding and cropping.  Called by backbone.c, match.c and inference.c. */
#include "border.h"

#include <string.h>

struct grid border_padded(const struct grid *grid, int64_t multiple) {
    struct grid padded = *grid;
    for (int i = 3 - grid->ndim; i < 3; i++) padded.size[i] = (grid->size[i] + multiple - 1) / multiple * multiple;
    return padded;
}

static int64_t clamped(int64_t at, int64_t size) { return at < size ? at : size - 1; }

void border_copy(float *to, const struct grid *to_grid, const float *from, const struct grid *from_grid, int64_t channels) {
    const int64_t *large = to_grid->size, *size = from_grid->size;
    int64_t shared = large[2] < size[2] ? large[2] : size[2];
    for (int64_t z = 0; z < large[0]; z++)
        for (int64_t y = 0; y < large[1]; y++) {
            float *row = to + (z * large[1] + y) * large[2] * channels;
            const float *source = from + (clamped(z, size[0]) * size[1] + clamped(y, size[1])) * size[2] * channels;
            memcpy(row, source, (size_t)(shared * channels) * sizeof *row);
            for (int64_t x = shared; x < large[2]; x++)
                memcpy(row + x * channels, source + (shared - 1) * channels, (size_t)channels * sizeof *row);
        }
}
