/* Smoothness of a field and the mask of what it reads, plain C; simd/smooth.c compiles the same for vectors, along rows.
 *
 *   smooth_loss = mean over axes of the mean of (v(p + 1) - v(p))^2 along each, all channels
 *   dv(p) = sum over axes of weight 2 / (axes count) ((v(p) - v(p - 1)) - (v(p + 1) - v(p))), where there are neighbours */
#include "../forms.h"

#include <math.h>

/* Along each axis: how far a neighbour is, and what a squared difference counts. */
struct neighbours {
    int64_t step[3], size[3];
    double share[3];
    int first;
};
static struct neighbours neighbours_of(const struct grid *grid, int64_t channels) {
    const int64_t all = grid_pixels(grid) * channels;
    struct neighbours n = {.first = 3 - grid->ndim};
    int64_t step = channels;
    for (int i = 2; i >= 0; step *= grid->size[i], i--) {
        n.step[i] = step, n.size[i] = grid->size[i];
        const int64_t count = all / grid->size[i] * (grid->size[i] - 1);
        n.share[i] = count > 0 ? 1 / ((double)grid->ndim * (double)count) : 0;
    }
    return n;
}
static int64_t place_on(const struct grid *grid, int axis, int64_t row) { /* of a row of pixels, on the axes across it */
    return axis == 1 ? row % grid->size[1] : row / grid->size[1];
}

/* Squares of x[step] - x[0], `count` of them; a few hundred in float, then in double. */
static double squares(const float *x, int64_t step, int64_t count) {
    enum { LANES_OF = 8 };
    double sums[LANES_OF] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES_OF <= count; i += LANES_OF)
        for (int k = 0; k < LANES_OF; k++) {
            const double difference = (double)x[i + k + step] - (double)x[i + k];
            sums[k] += difference * difference;
        }
    for (; i < count; i++) {
        const double difference = (double)x[i + step] - (double)x[i];
        sum += difference * difference;
    }
    for (int k = 0; k < LANES_OF; k++) sum += sums[k];
    return sum;
}

double PLAIN(smooth_loss)(const float *field, const struct grid *grid, int64_t channels, int block, int blocks) {
    const struct neighbours n = neighbours_of(grid, channels);
    const int64_t width = grid->size[2] * channels;
    double sum = 0;
    int64_t begin, end;
    slab_share(grid->size[0] * grid->size[1], block, blocks, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const float *const x = field + row * width;
        sum += n.share[2] * squares(x, channels, width - channels);
        for (int i = n.first; i < 2; i++)
            if (place_on(grid, i, row) + 1 < n.size[i]) sum += n.share[i] * squares(x, n.step[i], width);
    }
    return sum;
}

static void add_slope(float *to, const float *x, int64_t other, float share, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] += share * (x[i] - x[i + other]);
}

void PLAIN(smooth_loss_grad)(float *dfield, const float *field, const struct grid *grid, int64_t channels, float weight, int slab,
                             int slabs) {
    const struct neighbours n = neighbours_of(grid, channels);
    const int64_t width = grid->size[2] * channels;
    int64_t begin, end;
    slab_share(grid->size[0] * grid->size[1], slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        const float *const x = field + row * width;
        float *const to = dfield + row * width;
        for (int64_t i = 0; i < width; i++) to[i] = 0;
        const float along = (float)(2 * weight * n.share[2]);
        add_slope(to, x, channels, along, width - channels);
        add_slope(to + channels, x + channels, -channels, along, width - channels);
        for (int i = n.first; i < 2; i++) {
            const int64_t place = place_on(grid, i, row);
            const float share = (float)(2 * weight * n.share[i]);
            if (place + 1 < n.size[i]) add_slope(to, x, n.step[i], share, width);
            if (place > 0) add_slope(to, x, -n.step[i], share, width);
        }
    }
}

void PLAIN(inside_mask)(float *mask, const float *field, const struct grid *grid, enum coordinates coordinates, int slab,
                        int slabs) {
    const int ndim = grid->ndim;
    int64_t begin, end;
    slab_share(grid_pixels(grid), slab, slabs, &begin, &end);
    for (int64_t p = begin; p < end; p++) {
        const int64_t at[3] = {p / (grid->size[1] * grid->size[2]), p / grid->size[2] % grid->size[1], p % grid->size[2]};
        bool inside = true;
        for (int i = 3 - ndim; i < 3; i++) {
            const float size = (float)grid->size[i], position = (float)at[i] + field[p * ndim + i - 3 + ndim];
            const float nearest = rintf(coordinates == COORDINATES_EXACT ? position : position * size / (size - 1) - 0.5f);
            inside &= nearest >= 0 && nearest <= size - 1;
        }
        mask[p] = inside;
    }
}
