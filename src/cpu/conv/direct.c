/* Direct convolution, own fast form of forward and data gradient: equals plain.c but for rounding.  A tile of pixels of
 * one image row times a block of output channels stays in registers while all taps and input channels pass by.
 * Edges: the pixels that a tile reads are first copied into a small patch with zeros outside the image, so the product
 * knows no edges and reads memory that lies close together.  Any number of channels.  One row of conv.c's list. */
#include "direct.h"

/* A patch stays in the first cache, beside a stream of weights; the weights of a group of blocks in the second. */
enum { PATCH_FLOATS = 6 * 1024, GROUP_FLOATS = 96 * 1024 };

struct plan {
    int64_t size[3], in, out; /* pixels and channels; kernel 1 sees one row of all pixels */
    int64_t width, runs;      /* taps along a row, and rows of taps: 1 x 1, 3 x 3 (2D), 3 x 9 (3D) */
    int64_t step, steps;      /* input channels that a patch holds */
    int64_t tile;             /* pixels of a row in one product */
    int64_t blocks;           /* of output channels */
    int64_t group_blocks, group_steps;
};

static cover_status prepare(struct prepared *prepared) {
    if (prepared->pass == CONV_GRAD_WEIGHTS) return direct_weights_prepare(prepared);
    const struct conv_shape *s = &prepared->shape;
    struct plan *plan = prepared->state = memory_alloc(prepared->context, sizeof *plan);
    if (!plan) return COVER_ERROR_MEMORY;
    bool turned = prepared->pass == CONV_GRAD_DATA;
    *plan = (struct plan){
        .size = {s->grid.size[0], s->grid.size[1], s->grid.size[2]},
        .in = turned ? s->c_out : s->c_in,
        .out = turned ? s->c_in : s->c_out,
        .width = s->kernel,
        .runs = conv_taps(s) / s->kernel,
    };
    if (s->kernel == 1) plan->size[0] = plan->size[1] = 1, plan->size[2] = grid_pixels(&s->grid);
    plan->tile = even_part(plan->size[2], ROWS_MAX);
    plan->step = plan->in;
    if (s->kernel > 1) {
        int64_t most = larger(PATCH_FLOATS / (plan->runs * (plan->tile + plan->width - 1)), LANES);
        plan->step = even_part(plan->in, most / LANES * LANES);
    }
    plan->steps = ceil_div(plan->in, plan->step);
    plan->blocks = ceil_div(plan->out, BLOCK);
    int64_t taps = conv_taps(s);
    plan->group_steps = smaller(plan->steps, larger(GROUP_FLOATS / (taps * plan->step * BLOCK), 1));
    plan->group_blocks = plan->group_steps < plan->steps ? 1 : larger(GROUP_FLOATS / (taps * plan->in * BLOCK), 1);
    prepared->packed_bytes =
        (size_t)(((plan->blocks - 1) * BLOCK + block_columns(plan->out, plan->blocks - 1)) * plan->in * taps) * sizeof(float);
    int64_t patch = plan->runs * (plan->tile + plan->width - 1) * plan->step;
    prepared->scratch_bytes = (size_t)(plan->blocks * BLOCK + patch) * sizeof(float); /* bias, patch */
    return COVER_OK;
}

static void release(struct prepared *prepared) { memory_free(prepared->context, prepared->state); }

/* Packed weights: (block, step, row of taps, tap in the row, input channel, column). */
static int64_t packed_at(const struct plan *plan, int64_t block, int64_t step) {
    int64_t taps = plan->runs * plan->width;
    return taps * (block * BLOCK * plan->in + step * plan->step * block_columns(plan->out, block));
}

static cover_status pack(const struct prepared *prepared, void *packed, const float *weights, void *scratch) {
    (void)scratch;
    const struct plan *plan = prepared->state;
    const struct conv_shape *s = &prepared->shape;
    int64_t taps = plan->runs * plan->width, from_out = s->c_in * taps, from_in = taps;
    bool turned = prepared->pass == CONV_GRAD_DATA;
    if (turned) from_out = taps, from_in = s->c_in * taps;
    float *to = packed;
    for (int64_t block = 0; block < plan->blocks; block++) {
        int64_t columns = block_columns(plan->out, block), here = smaller(columns, plan->out - block * BLOCK);
        for (int64_t first = 0; first < plan->in; first += plan->step) {
            int64_t last = smaller(first + plan->step, plan->in);
            for (int64_t tap = 0; tap < taps; tap++) {
                const float *from = weights + block * BLOCK * from_out + (turned ? taps - 1 - tap : tap);
                for (int64_t i = first; i < last; i++, to += columns) {
                    for (int64_t n = 0; n < here; n++) to[n] = from[i * from_in + n * from_out];
                    zero_floats(to + here, columns - here);
                }
            }
        }
    }
    return COVER_OK;
}

/* The pixels that output pixels x0 .. x0 + count - 1 of row (z, y) read, channels first .. first + channels - 1, as
 * (row of taps, pixel, channel). */
static void fill_patch(const struct plan *plan, float *patch, const float *in, int64_t z, int64_t y, int64_t x0, int64_t count,
                       int64_t first, int64_t channels) {
    const int64_t *size = plan->size;
    int64_t left = x0 == 0, right = x0 + count == size[2], inside = count + 2 - left - right;
    for (int64_t run = 0; run < plan->runs; run++, patch += (count + 2) * channels) {
        int64_t row = y + run % 3 - 1, slice = plan->runs == 9 ? z + run / 3 - 1 : z;
        if (row < 0 || row >= size[1] || slice < 0 || slice >= size[0]) {
            zero_floats(patch, (count + 2) * channels);
            continue;
        }
        const float *from = in + ((slice * size[1] + row) * size[2] + x0 - 1 + left) * plan->in + first;
        float *to = patch + left * channels;
        zero_floats(patch, left * channels);
        zero_floats(to + inside * channels, right * channels);
        if (channels == plan->in) {
            copy_floats(to, from, inside * channels);
            continue;
        }
        for (int64_t x = 0; x < inside; x++, from += plan->in) {
            copy_floats(to + x * channels, from, channels);
            /* the next tile's, from memory while this one is computed; a fetch beyond the end does no harm */
            for (int64_t i = 0; i < channels; i += 16) __builtin_prefetch(from + count * plan->in + i);
        }
    }
}

/* A tile whose neighbours are all in the image, and all their channels are wanted, needs no patch. */
static bool is_inside(const struct plan *plan, const int64_t at[3], int64_t count) {
    const int64_t *size = plan->size;
    bool row = at[2] > 0 && at[2] + count < size[2] && at[1] > 0 && at[1] + 1 < size[1];
    return row && (plan->runs == 3 || (at[0] > 0 && at[0] + 1 < size[0]));
}
static void look_inside(const struct plan *plan, struct product *product, const float *in, int64_t pixel) {
    int64_t row = plan->size[2] * plan->in, slice = plan->size[1] * row;
    product->slices = plan->runs / 3, product->runs = 3;
    product->a_slice = slice, product->a_run = row;
    product->a = in + (pixel - 1) * plan->in - row - (plan->runs == 9 ? slice : 0);
}

/* One product into `out`, whose block may have fewer channels than the vectors: then by way of a buffer.
 * (The struct is changed in place: a copy of what was just written piecewise would wait for all earlier stores.) */
static void product_into(struct product *product, float *out, int64_t out_row, int64_t rows, int64_t columns, int64_t here,
                         bool first) {
    float buffer[ROWS_MAX * BLOCK];
    product->c = out, product->c_row = out_row;
    if (!first) product->init = out, product->init_row = out_row;
    if (here < columns) {
        product->c = buffer, product->c_row = columns;
        for (int64_t m = 0; m < rows && !first; m++) {
            copy_floats(buffer + m * columns, out + m * out_row, here);
            zero_floats(buffer + m * columns + here, columns - here);
        }
        if (!first) product->init = buffer, product->init_row = columns;
    }
    product_table[columns == BLOCK][rows](product);
    for (int64_t m = 0; m < rows && here < columns; m++) copy_floats(out + m * out_row, buffer + m * columns, here);
}

/* One tile: every step of the group, every block of the group. */
static void convolve_tile(const struct plan *plan, float *out, const float *in, const float *packed, float *scratch,
                          const int64_t at[3], int64_t row_end, int64_t block0, int64_t step0) {
    const float *bias = scratch;
    float *patch = scratch + plan->blocks * BLOCK;
    int64_t count = smaller(plan->tile, row_end - at[2]);
    int64_t pixel = (at[0] * plan->size[1] + at[1]) * plan->size[2] + at[2];
    int64_t step_end = smaller(step0 + plan->group_steps, plan->steps);
    int64_t block_end = smaller(block0 + plan->group_blocks, plan->blocks);
    for (int64_t step = step0; step < step_end; step++) {
        int64_t channel = step * plan->step, channels = smaller(plan->step, plan->in - channel);
        struct product product = {.a = patch,
                                  .a_row = channels,
                                  .a_run = (count + 2) * channels,
                                  .a_step = 1,
                                  .slices = 1,
                                  .runs = plan->runs,
                                  .length = plan->width * channels};
        if (plan->width == 1) product.a = in + pixel * plan->in + channel, product.a_row = plan->in;
        else if (channels == plan->in && is_inside(plan, at, count)) look_inside(plan, &product, in, pixel);
        else fill_patch(plan, patch, in, at[0], at[1], at[2], count, channel, channels);
        for (int64_t block = block0; block < block_end; block++) {
            int64_t columns = block_columns(plan->out, block), here = smaller(columns, plan->out - block * BLOCK);
            product.init = bias + block * BLOCK, product.init_row = 0;
            product.b = packed + packed_at(plan, block, step);
            product_into(&product, out + pixel * plan->out + block * BLOCK, plan->out, count, columns, here, step == 0);
        }
    }
}

static cover_status convolve(const struct prepared *prepared, int slab, const struct conv_target *target,
                             const struct conv_source source[CONV_SOURCES], const void *packed, const float *bias, void *scratch) {
    float *out = target->data[0];
    const float *in = source->data;
    const struct plan *plan = prepared->state;
    const struct conv_shape *shape = &prepared->shape;
    const struct conv_slab rows = conv_slab(shape, slab);
    int64_t begin[3] = {0}, end[3] = {plan->size[0], plan->size[1], plan->size[2]};
    int axis = 3 - shape->grid.ndim;
    if (shape->kernel == 1) /* all pixels are one row */
        begin[2] = rows.begin * conv_row_pixels(shape), end[2] = rows.end * conv_row_pixels(shape);
    else begin[axis] = rows.begin, end[axis] = rows.end;
    zero_floats(scratch, plan->blocks * BLOCK);
    if (bias) copy_floats(scratch, bias, plan->out);
    for (int64_t block = 0; block < plan->blocks; block += plan->group_blocks)
        for (int64_t step = 0; step < plan->steps; step += plan->group_steps)
            for (int64_t z = begin[0]; z < end[0]; z++)
                for (int64_t y = begin[1]; y < end[1]; y++)
                    for (int64_t x = begin[2]; x < end[2]; x += plan->tile)
                        convolve_tile(plan, out, in, packed, scratch, (int64_t[]){z, y, x}, end[2], block, step);
    return COVER_OK;
}

const struct conv_form ISA_NAME(conv) = {
    ISA_TEXT, 0, isa_serves, prepare, release, pack, convolve, direct_weights,
};
