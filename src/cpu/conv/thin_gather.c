/* A strip of pixels as the matrix that thin convolutions multiply (thin.h): values converted and normalised, and, with
 * kernel 3, the neighbourhood of each pixel laid out in a row, zeros outside the image.  Called by thin.c, thin_weights.c. */
#include "thin.h"

enum { QUAD = 4 }; /* floats copied at once into a neighbourhood; the next copy overwrites what is too much */
typedef float quad __attribute__((vector_size(QUAD * sizeof(float)), aligned(4), may_alias));

struct thin_source thin_source_of(const struct conv_shape *shape, bool turned, int64_t others) {
    const int64_t channels = turned ? shape->c_out : shape->c_in, taps = conv_taps(shape);
    struct thin_source plan = {.shape = *shape, .channels = channels, .values = channels * taps};
    if (turned) plan.shape.x = shape->y, plan.shape.c_in = channels, plan.shape.c_second = 0, plan.shape.normed = false;
    plan.row = shape->kernel == 1 ? grid_pixels(&shape->grid) : shape->grid.size[2];
    plan.strip = even_part(plan.row, larger(STRIP_FLOATS / (plan.values + others), ROWS_MAX));
    plan.floats = ceil_div(plan.strip * plan.values + QUAD, LANES) * LANES;
    if (shape->kernel == 1) return plan;
    plan.lines = taps / 3;
    plan.line = ceil_div((plan.strip + 2) * channels + QUAD, LANES) * LANES;
    plan.floats += plan.lines * plan.line;
    return plan;
}

/* All channels of a run of pixels, dense. */
static void read_pixels(const struct thin_source *plan, float *to, const struct conv_source source[CONV_SOURCES], int64_t pixel,
                        int64_t count) {
    const struct conv_shape *s = &plan->shape;
    for (int i = 0; i < (s->c_second ? CONV_SOURCES : 1); i++) {
        const int64_t channels = conv_source_channels(s, i);
        const struct strip from = {(void *)source[i].data, s->x, channels};
        ISA_NAME(conv_strips).copy((struct strip){to, ELEMENT_F32, plan->channels}, strip_at(from, pixel, 0), count, channels,
                                   source[i].norm);
        to += channels;
    }
}

/* The lines that pixels x .. x + count - 1 of row (z, y) see, one pixel more at either side. */
static void read_lines(const struct thin_source *plan, float *line, const struct conv_source source[CONV_SOURCES], int64_t pixel,
                       int64_t count) {
    const int64_t *size = plan->shape.grid.size, channels = plan->channels;
    const int64_t x = pixel % size[2], y = pixel / size[2] % size[1], z = pixel / size[2] / size[1];
    const int64_t left = x == 0, right = x + count == size[2];
    for (int64_t l = 0; l < plan->lines; l++, line += plan->line) {
        const int64_t row = y + l % 3 - 1, slice = plan->lines == 9 ? z + l / 3 - 1 : z;
        if (row < 0 || row >= size[1] || slice < 0 || slice >= size[0]) {
            zero_floats(line, (count + 2) * channels);
            continue;
        }
        zero_floats(line, left * channels);
        read_pixels(plan, line + left * channels, source, (slice * size[1] + row) * size[2] + x - 1 + left,
                    count + 2 - left - right);
        zero_floats(line + (count + 2 - right) * channels, right * channels);
    }
}

/* to (pixel, line, three pixels of it): `quads` are enough for three pixels. */
static inline __attribute__((always_inline)) void neighbourhoods(const struct thin_source *plan, float *to, const float *line,
                                                                 int64_t count, const int quads) {
    const int64_t channels = plan->channels;
    for (int64_t p = 0; p < count; p++, line += channels)
        for (int64_t l = 0; l < plan->lines; l++, to += 3 * channels)
#pragma GCC unroll 3
            for (int q = 0; q < quads; q++) *(quad *)(to + q * QUAD) = *(const quad *)(line + l * plan->line + q * QUAD);
}

struct strip thin_gather(const struct thin_source *plan, const struct conv_source source[CONV_SOURCES], int64_t pixel,
                         int64_t count, float *scratch) {
    const struct conv_shape *s = &plan->shape;
    const struct strip made = {scratch, ELEMENT_F32, plan->values};
    if (s->kernel == 1) {
        const struct strip x = {(void *)source->data, s->x, plan->channels};
        if (s->x == ELEMENT_F32 && !s->c_second && !source->norm) return strip_at(x, pixel, 0);
        read_pixels(plan, scratch, source, pixel, count);
        return made;
    }
    float *lines = scratch + plan->floats - plan->lines * plan->line;
    read_lines(plan, lines, source, pixel, count);
    switch (ceil_div(3 * plan->channels, QUAD)) {
    case 1: neighbourhoods(plan, scratch, lines, count, 1); break;
    case 2: neighbourhoods(plan, scratch, lines, count, 2); break;
    default: neighbourhoods(plan, scratch, lines, count, 3);
    }
    return made;
}
