/* Gradient of the weights, own fast form: equals plain.c but for rounding.  The image is taken in bands of a few
 * hundred pixels; for each band, the gradient of a block of output channels (one vector or two) times a few (tap, input
 * channel) pairs is summed in registers over the band's pixels, then added to the sums of earlier bands. Edges: a
 * band's input is first copied into a panel with zeros around the image.  Called by direct.c's row. */
#include "unpack.h"

enum { BAND_PIXELS = 1200, PANEL_CHANNELS = 16 };

struct plan {
    int64_t size[3], in, out;        /* kernel 1 has no neighbours: 3D is 2D with more rows */
    int64_t width, runs;             /* taps along a row, and rows of taps: 1 x 1, 3 x 3 (2D), 3 x 9 (3D) */
    int64_t step, steps;             /* input channels in a panel */
    int64_t blocks;                  /* of output channels */
    int64_t band[2], bands;          /* slices and rows in a band; bands in the image */
    int64_t sums, panel_x, panel_dy; /* offsets in scratch, in floats: sums of bias and weights, the panels */
};

static int64_t tile_floats(const struct plan *plan) { return plan->runs * plan->width * plan->step * BLOCK; }

cover_status direct_weights_prepare(struct prepared *prepared) {
    const struct conv_shape *s = &prepared->shape;
    struct plan *plan = prepared->state = memory_alloc(prepared->context, sizeof *plan);
    if (!plan) return COVER_ERROR_MEMORY;
    *plan = (struct plan){
        .size = {s->grid.size[0], s->grid.size[1], s->grid.size[2]},
        .in = s->c_in,
        .out = s->c_out,
        .width = s->kernel,
        .runs = conv_taps(s) / s->kernel,
        .step = s->kernel == 1 ? s->c_in : even_part(s->c_in, PANEL_CHANNELS),
        .blocks = ceil_div(s->c_out, BLOCK),
    };
    const int64_t *size = plan->size;
    if (s->kernel == 1) plan->size[1] *= plan->size[0], plan->size[0] = 1;
    plan->steps = ceil_div(plan->in, plan->step);
    plan->band[1] = even_part(size[1], larger(BAND_PIXELS / size[2], 1));
    plan->band[0] = even_part(size[0], larger(BAND_PIXELS / (size[2] * size[1]), 1));
    plan->bands = ceil_div(size[0], plan->band[0]) * ceil_div(size[1], plan->band[1]);
    int64_t tiles = plan->bands == 1 ? 1 : plan->steps * plan->blocks;
    plan->sums = plan->blocks * BLOCK;
    plan->panel_x = plan->sums + tiles * tile_floats(plan);
    plan->panel_dy = plan->panel_x;
    if (s->kernel > 1) {
        int64_t slices = plan->band[0] + (plan->runs == 9 ? 2 : 0);
        plan->panel_dy += ceil_div(slices * (plan->band[1] + 2) * (size[2] + 2) * plan->step, LANES) * LANES;
    }
    int64_t end = plan->panel_dy + plan->band[0] * plan->band[1] * size[2] * plan->blocks * BLOCK;
    prepared->scratch_bytes = (size_t)end * sizeof(float);
    return COVER_OK;
}

struct band {
    int64_t z, y, slices, rows;
    bool first, last;
};

/* The band of dy as (block, pixel, column), missing columns zero; its sum over pixels into db.  Where dy is that
 * already, one block without missing columns, it is only summed. */
static const float *pack_dy(const struct plan *plan, const struct band *band, float *panel, float *db, const float *dy) {
    int64_t pixels = band->slices * band->rows * plan->size[2], slice = band->rows * plan->size[2];
    const float *whole = dy + (band->z * plan->size[1] + band->y) * plan->size[2] * plan->out;
    const bool packed = plan->out == block_columns(plan->out, 0);
    for (int64_t b = 0; b < plan->blocks; b++) {
        int64_t columns = block_columns(plan->out, b), here = smaller(columns, plan->out - b * BLOCK);
        float sum[BLOCK] = {0}, *to = panel + b * pixels * BLOCK;
        for (int64_t z = 0; z < band->slices; z++) {
            const float *from = whole + z * plan->size[1] * plan->size[2] * plan->out + b * BLOCK;
            for (int64_t p = 0; p < slice; p++, from += plan->out) {
                add_floats(sum, from, here);
                if (packed) continue;
                copy_floats(to, from, here);
                zero_floats(to + here, columns - here);
                to += columns;
            }
        }
        if (band->first) zero_floats(db + b * BLOCK, here);
        add_floats(db + b * BLOCK, sum, here);
    }
    return packed ? whole : panel;
}

/* The band of x with its neighbours, channels first .. first + channels - 1, as (slice, row, pixel, channel). */
static void pack_x(const struct plan *plan, const struct band *band, float *panel, const float *x, int64_t first,
                   int64_t channels) {
    const int64_t *size = plan->size, halo = plan->runs == 9;
    for (int64_t z = band->z - halo; z < band->z + band->slices + halo; z++) {
        for (int64_t y = band->y - 1; y <= band->y + band->rows; y++, panel += (size[2] + 2) * channels) {
            if (z < 0 || z >= size[0] || y < 0 || y >= size[1]) {
                zero_floats(panel, (size[2] + 2) * channels);
                continue;
            }
            const float *from = x + (z * size[1] + y) * size[2] * plan->in + first;
            zero_floats(panel, channels);
            for (int64_t p = 0; p < size[2]; p++) copy_floats(panel + (p + 1) * channels, from + p * plan->in, channels);
            zero_floats(panel + (size[2] + 1) * channels, channels);
        }
    }
}

/* Add a band to one tile (row of taps, tap in the row, input channel, column) of the sums: x as pack_x left it, or the
 * image itself with kernel 1. */
static void add_band(const struct plan *plan, const struct band *band, float *tile, const float *x, int64_t x_pixel,
                     const float *dy, int64_t channels, int64_t columns) {
    int64_t halo = plan->width - 1, row = (plan->size[2] + halo) * x_pixel, slice = (band->rows + halo) * row;
    int64_t pairs = plan->width * channels, most = even_part(pairs, ROWS_MAX);
    for (int64_t run = 0; run < plan->runs; run++) {
        const float *x_run = x + run % 3 * row + run / 3 * slice;
        for (int64_t pair = 0; pair < pairs; pair += most) {
            float *sums = tile + (run * pairs + pair) * columns;
            struct product product = {.c = sums,
                                      .c_row = columns,
                                      .init = sums,
                                      .init_row = columns,
                                      .a = x_run + pair,
                                      .a_row = 1,
                                      .a_slice = slice,
                                      .a_run = row,
                                      .a_step = x_pixel,
                                      .b = dy,
                                      .slices = band->slices,
                                      .runs = band->rows,
                                      .length = plan->size[2]};
            product_table[columns == BLOCK][smaller(most, pairs - pair)](&product);
        }
    }
}

static void take_band(const struct plan *plan, const struct band *band, float *dw, const float *x, const float *dy, float *scratch,
                      bool accumulate) {
    float *panel_x = scratch + plan->panel_x, *panel_dy = scratch + plan->panel_dy, *tile = scratch + plan->sums;
    int64_t pixels = band->slices * band->rows * plan->size[2], taps = plan->runs * plan->width;
    const float *dy_band = pack_dy(plan, band, panel_dy, scratch, dy);
    for (int64_t s = 0; s < plan->steps; s++) {
        int64_t first = s * plan->step, channels = smaller(plan->step, plan->in - first), x_pixel = channels;
        const float *x_band = panel_x;
        if (plan->width == 1) x_band = x + band->y * plan->size[2] * plan->in, x_pixel = plan->in;
        else pack_x(plan, band, panel_x, x, first, channels);
        for (int64_t b = 0; b < plan->blocks; b++) {
            int64_t columns = block_columns(plan->out, b), here = smaller(columns, plan->out - b * BLOCK);
            if (band->first) zero_floats(tile, tile_floats(plan));
            add_band(plan, band, tile, x_band, x_pixel, dy_band + b * pixels * BLOCK, channels, columns);
            if (band->last)
                unpack(dw + (b * BLOCK * plan->in + first) * taps, plan->in, taps, tile, channels, columns, here, accumulate);
            if (plan->bands > 1) tile += tile_floats(plan);
        }
    }
}

cover_status direct_weights(const struct prepared *prepared, float *dw, float *db, const struct conv_source source[CONV_SOURCES],
                            const void *dy, void *scratch, bool accumulate) {
    const float *x = source->data;
    const struct plan *plan = prepared->state;
    const int64_t *size = plan->size;
    float *bias_sums = scratch;
    for (int64_t z = 0; z < size[0]; z += plan->band[0]) {
        for (int64_t y = 0; y < size[1]; y += plan->band[1]) {
            struct band band = {z,
                                y,
                                smaller(plan->band[0], size[0] - z),
                                smaller(plan->band[1], size[1] - y),
                                z == 0 && y == 0,
                                z + plan->band[0] >= size[0] && y + plan->band[1] >= size[1]};
            take_band(plan, &band, dw, x, dy, scratch, accumulate);
        }
    }
    for (int64_t o = 0; db && o < plan->out; o++) db[o] = bias_sums[o] + (accumulate ? db[o] : 0);
    return COVER_OK;
}
