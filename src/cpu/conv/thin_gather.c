/* A strip of pixels as the matrix that thin convolutions multiply (thin.h): values converted and normalised, and, with
 * kernel 3, the neighbourhood of each pixel laid out in a row, zeros outside the image.  Called by thin.c, thin_weights.c. */
#include "thin.h"

enum { QUAD = 4 }; /* floats copied at once into a neighbourhood; the next copy overwrites what is too much */
typedef float quad __attribute__((vector_size(QUAD * sizeof(float)), aligned(4), may_alias));

struct thin_source thin_source_of(const struct conv_shape *shape, bool turned, int64_t others, int64_t least) {
    const int64_t channels = turned ? shape->c_out : shape->c_in, taps = conv_taps(shape);
    struct thin_source plan = {.shape = *shape, .channels = channels, .values = channels * taps};
    if (turned) plan.shape.x = shape->y, plan.shape.c_in = channels, plan.shape.c_second = 0, plan.shape.normed = false;
    plan.row = shape->kernel == 1 ? grid_pixels(&shape->grid) : shape->grid.size[2];
    plan.strip = even_part(plan.row, larger(STRIP_FLOATS / (plan.values + others), least));
    plan.floats = ceil_div(plan.strip * plan.values + 3 * QUAD, LANES) * LANES;
    if (shape->kernel == 1) return plan;
    plan.lines = taps / 3;
    plan.line = ceil_div((plan.strip + 2) * channels + 3 * QUAD, LANES) * LANES;
    plan.lines_at = plan.floats;
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
        ISA_NAME(conv_strips)
            .copy((struct strip){to, ELEMENT_F32, plan->channels}, strip_at(from, pixel, 0), count, channels, source[i].norm);
        to += channels;
    }
}

const float *thin_lines(const struct thin_source *plan, const struct conv_source source[CONV_SOURCES], int64_t pixel, int64_t count,
                        float *scratch) {
    const int64_t *size = plan->shape.grid.size, channels = plan->channels;
    const int64_t x = pixel % size[2], y = pixel / size[2] % size[1], z = pixel / size[2] / size[1];
    const int64_t left = x == 0, right = x + count == size[2];
    float *line = scratch + plan->lines_at;
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
    return scratch + plan->lines_at;
}

/* to (pixel, line, three pixels of it): `quads` are enough for three pixels. */
static inline __attribute__((always_inline)) void neighbourhoods(float *to, const float *line, int64_t line_floats,
                                                                 int64_t channels, int64_t count, const int lines,
                                                                 const int quads) {
    for (int64_t p = 0; p < count; p++, line += channels)
#pragma GCC unroll 9
        for (int l = 0; l < lines; l++, to += 3 * channels)
#pragma GCC unroll 3
            for (int q = 0; q < quads; q++) *(quad *)(to + q * QUAD) = *(const quad *)(line + l * line_floats + q * QUAD);
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
    const float *lines = thin_lines(plan, source, pixel, count, scratch);
    const int64_t channels = plan->channels, line = plan->line;
    const bool flat = plan->lines == 3;
    if (channels == 1 && flat) neighbourhoods(scratch, lines, line, 1, count, 3, 1);
    else if (channels == 1) neighbourhoods(scratch, lines, line, 1, count, 9, 1);
    else if (flat) neighbourhoods(scratch, lines, line, channels, count, 3, 3);
    else neighbourhoods(scratch, lines, line, channels, count, 9, 3);
    return made;
}
