/* Gradient of the weights of a thin convolution (thin.h): equals plain.c but for rounding.  Over each strip of pixels a
 * product of x's values and dy is summed in registers, whichever has fewer vectors as columns, then added to the total; x
 * and dy are read once.  Called by thin.c's rows. */
#include "thin.h"

struct plan {
    struct thin_source source;
    int64_t out;
    bool dy_rows;          /* rows of the product are dy's channels, columns x's values; else the other way */
    int64_t rows, columns; /* columns without padding */
    int64_t tile;          /* rows of one product, at most */
    int64_t blocks, padded; /* of columns */
    int64_t dy, panel, part, total, sums; /* offsets in scratch, in floats */
};

/* Vectors that are multiplied a pixel. */
static int64_t work(int64_t rows, int64_t columns) { return rows * ceil_div(columns, LANES); }

cover_status thin_weights_prepare(struct prepared *prepared) {
    const struct conv_shape *s = &prepared->shape;
    struct plan *plan = prepared->state = memory_alloc(prepared->context, sizeof *plan);
    if (!plan) return COVER_ERROR_MEMORY;
    *plan = (struct plan){.source = thin_source_of(s, false, s->c_out), .out = s->c_out};
    const int64_t values = plan->source.values, out = s->c_out;
    plan->dy_rows = work(out, values) <= work(values, out);
    plan->rows = plan->dy_rows ? out : values, plan->columns = plan->dy_rows ? values : out;
    plan->tile = even_part(plan->rows, ROWS_MAX);
    plan->blocks = ceil_div(plan->columns, BLOCK);
    plan->padded = (plan->blocks - 1) * BLOCK + block_columns(plan->columns, plan->blocks - 1);
    plan->dy = plan->source.floats;
    plan->panel = plan->dy + ceil_div(plan->source.strip * out, LANES) * LANES;
    plan->part = plan->panel + plan->source.strip * plan->padded;
    plan->total = plan->part + ROWS_MAX * BLOCK;
    plan->sums = plan->total + plan->rows * plan->padded;
    prepared->scratch_bytes = (size_t)plan->sums * sizeof(float) + (size_t)(2 * out) * sizeof(double);
    return COVER_OK;
}

/* The strip as (block, pixel, column); what columns are missing is multiplied, too, but never looked at. */
static const float *panel_of(const struct plan *plan, float *panel, struct strip from, int64_t count) {
    if (plan->padded == plan->columns && plan->blocks == 1 && from.stride == plan->columns) return from.data;
    for (int64_t b = 0; b < plan->blocks; b++) {
        const int64_t columns = block_columns(plan->columns, b), here = smaller(columns, plan->columns - b * BLOCK);
        ISA_NAME(conv_strips).copy((struct strip){panel + b * BLOCK * count, ELEMENT_F32, columns},
                                   strip_at(from, 0, b * BLOCK), count, here, NULL);
    }
    return panel;
}

/* total (block, row, column) += rows' transpose times the panel. */
static void add_strip(const struct plan *plan, float *total, float *part, struct strip rows, const float *panel, int64_t count) {
    static const float zeros[BLOCK];
    for (int64_t b = 0; b < plan->blocks; b++) {
        const int64_t columns = block_columns(plan->columns, b);
        for (int64_t m = 0; m < plan->rows; m += plan->tile) {
            const int64_t here = smaller(plan->tile, plan->rows - m);
            const struct product product = {.c = part,
                                            .c_row = columns,
                                            .init = zeros,
                                            .a = (const float *)rows.data + m,
                                            .a_row = 1,
                                            .a_step = rows.stride,
                                            .b = panel + b * BLOCK * count,
                                            .slices = 1,
                                            .runs = 1,
                                            .length = count};
            product_table[columns == BLOCK][here](&product);
            add_floats(total + b * BLOCK * plan->rows + m * columns, part, here * columns);
        }
    }
}

/* The total into PyTorch's order (c_out, c_in, tap). */
static void write_weights(const struct plan *plan, float *dw, const float *total, int64_t taps, bool accumulate) {
    const int64_t c_in = plan->source.channels, values = plan->source.values;
    for (int64_t o = 0; o < plan->out; o++)
        for (int64_t v = 0; v < values; v++) {
            const int64_t row = plan->dy_rows ? o : v, column = plan->dy_rows ? v : o, block = column / BLOCK;
            const float *tile = total + block * BLOCK * plan->rows;
            const float value = tile[row * block_columns(plan->columns, block) + column % BLOCK];
            float *to = dw + (o * c_in + v % c_in) * taps + v / c_in;
            *to = accumulate ? *to + value : value;
        }
}

cover_status thin_weights(const struct prepared *prepared, float *dw, float *db, const struct conv_source x[CONV_SOURCES],
                          const void *dy, void *scratch, bool accumulate) {
    const struct plan *plan = prepared->state;
    const struct conv_shape *s = &prepared->shape;
    const int64_t pixels = grid_pixels(&s->grid), out = plan->out;
    float *base = scratch, *total = base + plan->total, *panel = base + plan->panel;
    double *sums = (double *)(base + plan->sums);
    zero_floats(total, plan->rows * plan->padded);
    zero_floats(panel, plan->source.strip * plan->padded);
    for (int64_t o = 0; o < 2 * out; o++) sums[o] = 0;
    for (int64_t pixel = 0, count; pixel < pixels; pixel += count) {
        const int64_t row_end = (pixel / plan->source.row + 1) * plan->source.row;
        count = smaller(plan->source.strip, row_end - pixel);
        const struct strip values = thin_gather(&plan->source, x, pixel, count, base);
        struct strip slope = strip_at((struct strip){(void *)dy, s->y, out}, pixel, 0);
        if (s->y == ELEMENT_BF16) {
            const struct strip floats = {base + plan->dy, ELEMENT_F32, out};
            ISA_NAME(conv_strips).copy(floats, slope, count, out, NULL);
            slope = floats;
        }
        if (db) ISA_NAME(conv_strips).sum(sums, slope, count, out);
        const float *columns = panel_of(plan, panel, plan->dy_rows ? values : slope, count);
        add_strip(plan, total, base + plan->part, plan->dy_rows ? slope : values, columns, count);
    }
    write_weights(plan, dw, total, conv_taps(s), accumulate);
    for (int64_t o = 0; db && o < out; o++) db[o] = (float)sums[o] + (accumulate ? db[o] : 0);
    return COVER_OK;
}
