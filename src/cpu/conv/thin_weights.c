/* Gradient of the weights of a thin convolution (thin.h): equals plain.c but for rounding.  Over each strip of pixels a
 * product of x's values and dy is summed in registers, whichever has fewer vectors as columns, then added to the total; x
 * and dy are read once.  Called by thin.c's rows. */
#include "thin.h"

enum { LEAST_PIXELS = 96 }; /* of a strip: the total is read and written once for each */

struct plan {
    struct thin_source source;
    int64_t out;
    bool dy_rows;                         /* rows of the product are dy's channels, columns x's values; else the other way */
    int64_t rows, columns;                /* columns without padding */
    int64_t tile;                         /* rows of one product, at most */
    int64_t blocks, padded;               /* of columns */
    int64_t dy, panel, part, total, sums; /* offsets in scratch, in floats */
};

/* Vectors that are multiplied a pixel. */
static int64_t work(int64_t rows, int64_t columns) { return rows * ceil_div(columns, LANES); }

cover_status thin_weights_prepare(struct prepared *prepared) {
    const struct conv_shape *s = &prepared->shape;
    struct plan *plan = prepared->state = memory_alloc(prepared->context, sizeof *plan);
    if (!plan) return COVER_ERROR_MEMORY;
    *plan = (struct plan){.source = thin_source_of(s, false, s->c_out, LEAST_PIXELS), .out = s->c_out};
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
    prepared->scratch_bytes = (size_t)plan->sums * sizeof(float) + (size_t)out * sizeof(double);
    return COVER_OK;
}

/* Into the panel (block, pixel, column), from column `first` on; what columns are missing is multiplied, too, but never
 * looked at. */
static void fill_panel(const struct plan *plan, float *panel, struct strip from, int64_t first, int64_t channels, int64_t count,
                       const struct norm_load *norm) {
    for (int64_t done = 0, here; done < channels; done += here) {
        const int64_t block = (first + done) / BLOCK, column = (first + done) % BLOCK;
        const struct strip to = {panel + block * BLOCK * count + column, ELEMENT_F32, block_columns(plan->columns, block)};
        here = smaller(channels - done, BLOCK - column);
        struct norm_load some;
        if (norm) some = (struct norm_load){norm->scale + done, norm->offset + done, norm->slope};
        ISA_NAME(conv_strips).copy(to, strip_at(from, 0, done), count, here, norm ? &some : NULL);
    }
}

/* x's values, or dy, as the product's columns: where they lie if they are one block, else in the panel. */
static bool is_panel(const struct plan *plan, struct strip strip) {
    return strip.element == ELEMENT_F32 && strip.stride == plan->columns && plan->padded == plan->columns && plan->blocks == 1;
}
static const float *columns_of_dy(const struct plan *plan, float *panel, struct strip dy, int64_t count) {
    if (is_panel(plan, dy)) return dy.data;
    fill_panel(plan, panel, dy, 0, plan->out, count, NULL);
    return panel;
}
static const float *columns_of_x(const struct plan *plan, float *panel, const struct conv_source x[CONV_SOURCES], int64_t pixel,
                                 int64_t count, float *scratch) {
    const struct conv_shape *s = &plan->source.shape;
    if (s->kernel == 3) {
        fill_panel(plan, panel, thin_gather(&plan->source, x, pixel, count, scratch), 0, plan->columns, count, NULL);
        return panel;
    }
    for (int i = 0, first = 0; i < CONV_SOURCES; first += (int)conv_source_channels(s, i++)) {
        const int64_t channels = conv_source_channels(s, i);
        const struct strip from = strip_at((struct strip){(void *)x[i].data, s->x, channels}, pixel, 0);
        if (!x[i].norm && is_panel(plan, from)) return from.data;
        if (channels) fill_panel(plan, panel, from, first, channels, count, x[i].norm);
    }
    return panel;
}
/* dy as rows, in floats */
static struct strip rows_of_dy(const struct plan *plan, float *to, struct strip dy, int64_t count) {
    if (dy.element == ELEMENT_F32) return dy;
    const struct strip floats = {to, ELEMENT_F32, plan->out};
    ISA_NAME(conv_strips).copy(floats, dy, count, plan->out, NULL);
    return floats;
}

struct ahead { /* what the next strip reads */
    const char *data;
    int64_t bytes; /* a pixel */
};

/* total (block, row, column) += rows' transpose times the panel.  Each product fetches its share of what comes next. */
static void add_strip(const struct plan *plan, float *total, float *part, struct strip rows, const float *panel, int64_t count,
                      const struct ahead ahead[2]) {
    static const float zeros[BLOCK];
    const int64_t products = plan->blocks * ceil_div(plan->rows, plan->tile);
    struct thin_product product = {
        .product = {.c = part, .init = zeros, .a_row = 1, .a_step = rows.stride, .slices = 1, .runs = 1, .length = count}};
    for (int64_t b = 0, done = 0; b < plan->blocks; b++) {
        const int64_t columns = block_columns(plan->columns, b);
        product.product.b = panel + b * BLOCK * count, product.product.c_row = columns;
        for (int64_t m = 0; m < plan->rows; m += plan->tile, done++) {
            const int64_t here = smaller(plan->tile, plan->rows - m);
            product.product.a = (const float *)rows.data + m;
            for (int i = 0; i < 2; i++) {
                product.ahead[i] = ahead[i].data + count * ahead[i].bytes * done / products;
                product.ahead_step[i] = ahead[i].bytes / products;
            }
            thin_across[columns == BLOCK][here](&product);
            add_floats(total + b * BLOCK * plan->rows + m * columns, part, here * columns);
        }
    }
}

/* The total into PyTorch's order (c_out, c_in, tap). */
static void write_weights(const struct plan *plan, float *dw, const float *total, int64_t taps, bool accumulate) {
    const int64_t c_in = plan->source.channels;
    for (int64_t row = 0; row < plan->rows; row++)
        for (int64_t b = 0; b < plan->blocks; b++) {
            const int64_t width = block_columns(plan->columns, b), here = smaller(width, plan->columns - b * BLOCK);
            const float *from = total + b * BLOCK * plan->rows + row * width;
            for (int64_t n = 0; n < here; n++) {
                const int64_t column = b * BLOCK + n, o = plan->dy_rows ? row : column, v = plan->dy_rows ? column : row;
                float *to = dw + (taps == 1 ? o * c_in + v : (o * c_in + v % c_in) * taps + v / c_in);
                *to = accumulate ? *to + from[n] : from[n];
            }
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
    for (int64_t o = 0; o < out; o++) sums[o] = 0;
    for (int64_t pixel = 0, count; pixel < pixels; pixel += count) {
        const int64_t row_end = (pixel / plan->source.row + 1) * plan->source.row;
        count = smaller(plan->source.strip, row_end - pixel);
        const struct strip slope = strip_at((struct strip){(void *)dy, s->y, out}, pixel, 0);
        const int64_t x_bytes = conv_source_channels(s, 0) * (int64_t)element_bytes(s->x);
        const int64_t dy_bytes = out * (int64_t)element_bytes(s->y);
        const struct ahead next_x = {(const char *)x->data + (pixel + count) * x_bytes, x_bytes};
        const struct ahead next_dy = {(const char *)dy + (pixel + count) * dy_bytes, dy_bytes};
        const struct ahead ahead[2] = {dy_bytes > x_bytes ? next_dy : next_x, dy_bytes > x_bytes ? next_x : next_dy};
        if (plan->dy_rows) {
            const float *columns = columns_of_x(plan, panel, x, pixel, count, base);
            add_strip(plan, total, base + plan->part, rows_of_dy(plan, base + plan->dy, slope, count), columns, count, ahead);
        } else {
            const struct strip values = thin_gather(&plan->source, x, pixel, count, base);
            add_strip(plan, total, base + plan->part, values, columns_of_dy(plan, panel, slope, count), count, ahead);
        }
        if (db) ISA_NAME(conv_strips).sum(sums, NULL, slope, count, out);
    }
    write_weights(plan, dw, total, conv_taps(s), accumulate);
    for (int64_t o = 0; db && o < out; o++) db[o] = (float)sums[o] + (accumulate ? db[o] : 0);
    return COVER_OK;
}
