/* Gradient of the weights of a 3-wide convolution by Winograd: equals plain.c but for rounding.  With V = B^T x B of the
 * 4 x 4 pixels of x around a tile and W = A e A^T of its 2 x 2 pixels of dy, dw = G^T [sum over tiles of V * W] G: at each
 * of 16 frequencies a matrix product (input channel, tile) x (tile, output channel).  In 3D each plane of x serves the
 * three taps along z, as three products.  Called by winograd.c's rows.
 *
 * A part of the image's tiles is transformed at a time.  Small images are one part, and the sums of a block of channels
 * become weights at once; for larger ones the sums at all frequencies stay in scratch, which is why not all input channels
 * are taken together.  Edges: pixels outside are zeros of the transforms, the product knows none. */
#include "winograd_weights.h"
#include "unpack.h"

enum { ROWS = LANES / 2 > 4 ? LANES / 2 : 4 }; /* channels of x that one product takes */
/* A part's V and W, one panel and one block at one frequency, stay in the first cache, and for few channels all of them in
 * the second: CACHE_WORDS, but no fewer steps than FEW_PER_SUM share a sum that is kept between parts.  A whole image's W of
 * one block stays in the second cache, that of all in the third. */
enum { CACHE_WORDS = 96 * 1024, FEW_PER_SUM = 64, PART_TILES = 192, PART_PLANES = 8, PART_PANELS = 8 };
enum { WHOLE_STEPS = 576, WHOLE_WORDS = 2560 * 1024, WHOLE_PANELS = 4 };
/* Fewer than these are taken faster by the direct form. */
enum { FEW_CHANNELS = 4, FEW_TILES = 4 };

struct plan {
    int64_t size[3];           /* pixels */
    int64_t tiles[3], part[3]; /* planes, rows of tiles, tiles in a row: of the image, and of a part at most */
    bool pairs, whole;         /* bf16; the image is one part */
    int64_t in, out, z_taps;
    int64_t panels, step;        /* panels of LANES channels of x: in all, and in scratch at once */
    int64_t blocks;              /* of BLOCK channels of dy */
    int64_t v_steps, w_steps;    /* steps (tiles or pairs) from one frequency to the next */
    int64_t v, w, sums, weights; /* offsets in scratch, in floats; the sums of dy come first */
};

static int64_t odd(int64_t count) { return count | 1; } /* the frequencies' places in a cache differ */
static int64_t row_steps(const struct plan *plan, int64_t tiles) { return plan->pairs ? ceil_div(tiles, 2) : tiles; }
static int64_t square_floats(const struct plan *plan) { return plan->z_taps * FREQUENCIES * LANES * BLOCK; }
static int64_t source_panels(const struct conv_shape *s, int source) { return ceil_div(conv_source_channels(s, source), LANES); }

/* How many tiles, and how many panels of x, are taken at a time.  Tiles that become pairs are not parted. */
static void cut(struct plan *plan) {
    const int64_t *tiles = plan->tiles;
    const int64_t steps = tiles[0] * tiles[1] * row_steps(plan, tiles[2]);
    plan->whole = steps <= WHOLE_STEPS && FREQUENCIES * steps * plan->blocks * BLOCK <= WHOLE_WORDS;
    plan->step = even_part(plan->panels, plan->whole ? WHOLE_PANELS : PART_PANELS);
    for (int a = 0; a < 3; a++) plan->part[a] = tiles[a];
    if (plan->whole) return;
    const int64_t words = FREQUENCIES * (plan->step * LANES + plan->blocks * BLOCK), fit = CACHE_WORDS / words;
    int64_t most = fit < FEW_PER_SUM ? PART_TILES : smaller(plan->pairs ? 2 * fit : fit, PART_TILES);
    plan->part[0] = even_part(tiles[0], PART_PLANES), most /= plan->part[0];
    plan->part[2] = even_part(tiles[2], most), plan->part[2] += plan->pairs ? plan->part[2] % 2 : 0;
    plan->part[1] = even_part(tiles[1], larger(most / plan->part[2], 1));
}

cover_status winograd_weights_prepare(struct prepared *prepared) {
    const struct conv_shape *s = &prepared->shape;
    const int64_t *size = s->grid.size, tiles = size[0] * ceil_div(size[1], 2) * ceil_div(size[2], 2);
    if (s->kernel != 3 || s->c_in < FEW_CHANNELS || size[1] == 1 || size[2] == 1 || tiles < FEW_TILES)
        return COVER_ERROR_UNSUPPORTED; /* direct is faster */
    struct plan *plan = prepared->state = memory_alloc(prepared->context, sizeof *plan);
    if (!plan) return COVER_ERROR_MEMORY;
    *plan = (struct plan){
        .size = {size[0], size[1], size[2]},
        .tiles = {size[0], ceil_div(size[1], 2), ceil_div(size[2], 2)},
        .pairs = HAS_PAIRS && s->x == ELEMENT_BF16 && s->y == ELEMENT_BF16,
        .in = s->c_in,
        .out = s->c_out,
        .z_taps = s->grid.ndim == 3 ? 3 : 1,
        .panels = source_panels(s, 0) + source_panels(s, 1),
        .blocks = ceil_div(s->c_out, BLOCK),
    };
    cut(plan);
    const int64_t steps = plan->part[1] * row_steps(plan, plan->part[2]);
    plan->v_steps = odd(smaller(plan->part[0] + plan->z_taps - 1, size[0]) * steps), plan->w_steps = odd(plan->part[0] * steps);
    plan->v = 2 * plan->blocks * BLOCK;
    plan->w = plan->v + plan->step * FREQUENCIES * plan->v_steps * LANES;
    plan->sums = plan->w + plan->blocks * FREQUENCIES * plan->w_steps * BLOCK;
    plan->weights = plan->sums + (plan->whole ? 1 : plan->step * plan->blocks) * square_floats(plan);
    prepared->scratch_bytes = (size_t)(plan->weights + plan->z_taps * 9 * LANES * BLOCK) * sizeof(float);
    return COVER_OK;
}

/* One call's arguments. */
struct call {
    const struct plan *plan;
    const struct conv_shape *shape;
    const struct conv_source *x;
    const void *dy;
    float *dw, *scratch;
    bool accumulate;
};
struct part {
    int64_t begin[3], end[3]; /* of tiles */
    int64_t above, below;     /* planes of x that are there */
    int64_t plane, row;       /* steps in a plane, in a row */
    bool first;
};
struct panel { /* of x: `channels` of a source from `channel` on, which are those from `in` on of the convolution's */
    int source;
    int64_t channel, channels, in;
};

static struct panel panel_of(const struct conv_shape *s, int64_t number) {
    const int64_t panels = source_panels(s, 0);
    const int source = number >= panels;
    const int64_t channel = (number - source * panels) * LANES;
    return (struct panel){source, channel, smaller(conv_source_channels(s, source) - channel, LANES),
                          channel + source * conv_source_channels(s, 0)};
}

static int64_t parts_along(const struct plan *plan, int axis) { return ceil_div(plan->tiles[axis], plan->part[axis]); }

static struct part part_of(const struct plan *plan, int64_t number) {
    const int64_t across = parts_along(plan, 2), down = parts_along(plan, 1), halo = plan->z_taps / 2;
    struct part part = {.begin = {number / across / down, number / across % down, number % across}, .first = number == 0};
    for (int a = 0; a < 3; a++) {
        part.begin[a] *= plan->part[a];
        part.end[a] = smaller(part.begin[a] + plan->part[a], plan->tiles[a]);
    }
    part.row = row_steps(plan, part.end[2] - part.begin[2]), part.plane = part.row * (part.end[1] - part.begin[1]);
    part.above = larger(part.begin[0] - halo, 0), part.below = smaller(part.end[0] + halo, plan->size[0]);
    return part;
}

static float *v_at(const struct call *call, int64_t panel, int64_t frequency) {
    return call->scratch + call->plan->v + (panel * FREQUENCIES + frequency) * call->plan->v_steps * LANES;
}
/* (The last block may be narrower.) */
static float *w_at(const struct call *call, int64_t block, int64_t frequency) {
    const struct plan *plan = call->plan;
    return call->scratch + plan->w + (block * BLOCK * FREQUENCIES + frequency * block_columns(plan->out, block)) * plan->w_steps;
}

static void transform_x(const struct call *call, const struct part *part, int64_t first_panel, int64_t panels) {
    const struct plan *plan = call->plan;
    const enum element element = call->shape->x;
    const int64_t *size = plan->size, *begin = part->begin, *end = part->end;
    for (int64_t z = part->above; z < part->below; z++)
        for (int64_t y = begin[1]; y < end[1]; y++)
            for (int64_t p = 0; p < panels; p++) {
                const struct panel panel = panel_of(call->shape, first_panel + p);
                const struct conv_source *x = &call->x[panel.source];
                const int64_t channels = conv_source_channels(call->shape, panel.source);
                const void *plane = element_at(x->data, element, z * size[1] * size[2] * channels);
                const struct tile_source source = tile_source_of(plane, element, x->norm, y, size[1], size[2], channels);
                const int64_t step = (z - part->above) * part->plane + (y - begin[1]) * part->row;
                const struct tile_operand operand = {v_at(call, p, 0) + step * LANES, plan->v_steps * LANES, LANES, plan->pairs};
                tiles_of_x(&operand, &source, element, begin[2], end[2] - begin[2], panel.channel, panel.channels);
            }
}

static void transform_gradient(const struct call *call, const struct part *part) {
    const struct plan *plan = call->plan;
    const enum element element = call->shape->y;
    const int64_t *size = plan->size, *begin = part->begin, *end = part->end, row = size[2] * plan->out;
    double *sums = (double *)call->scratch;
    for (int64_t z = begin[0]; z < end[0]; z++)
        for (int64_t y = begin[1]; y < end[1]; y++) {
            struct gradient_source source = {.width = size[2], .channels = plan->out};
            for (int r = 0; r < 2; r++)
                if (2 * y + r < size[1]) source.row[r] = element_at(call->dy, element, (z * size[1] + 2 * y + r) * row);
            const int64_t step = (z - begin[0]) * part->plane + (y - begin[1]) * part->row;
            for (int64_t n = 0; n < plan->out; n += LANES) {
                const int64_t columns = block_columns(plan->out, n / BLOCK);
                const struct tile_operand operand = {w_at(call, n / BLOCK, 0) + step * columns + n % BLOCK, plan->w_steps * columns,
                                                     columns, plan->pairs};
                tiles_of_gradient(&operand, &source, element, begin[2], end[2] - begin[2], n, plan->out - n, sums + n);
            }
        }
}

/* The sums of one frequency, one panel and one block: for each tap along z the part's planes of dy times the planes of x
 * beside them.  sums: (tap, frequency, channel of x, column). */
static void multiply_panel(const struct call *call, const struct part *part, float *sums, int64_t panel, int64_t channels,
                           int64_t block, int64_t frequency) {
    const struct plan *plan = call->plan;
    const int64_t columns = block_columns(plan->out, block), most = even_part(channels, ROWS);
    const float *v = v_at(call, panel, frequency), *w = w_at(call, block, frequency);
    for (int64_t tap = 0; tap < plan->z_taps; tap++) {
        const int64_t shift = tap - plan->z_taps / 2;
        const int64_t from = larger(part->begin[0], part->above - shift), to = smaller(part->end[0], part->below - shift);
        struct tile_product product = {.c_row = columns,
                                       .a = {v + (from + shift - part->above) * part->plane * LANES},
                                       .b = {w + (from - part->begin[0]) * part->plane * columns},
                                       .a_row = 1,
                                       .a_step = LANES,
                                       .b_step = columns,
                                       .slices = 1,
                                       .length = larger(to - from, 0) * part->plane,
                                       .accumulate = !part->first};
        float *square = sums + (tap * FREQUENCIES + frequency) * LANES * BLOCK;
        for (int64_t m = 0; m < channels; m += most) {
            product.c = square + m * columns;
            tile_product_table[plan->pairs][columns == BLOCK][smaller(most, channels - m)](&product);
            product.a[0] = (const float *)product.a[0] + most;
        }
    }
}

/* G^T u G of LANES columns, the signs of u's last row and column turned. */
static void back_row(vec w[3], vec u0, vec u1, vec u2, vec u3) {
    const vec half = (u1 + u2) * 0.5f;
    w[0] = u0 + half, w[1] = (u1 - u2) * 0.5f, w[2] = half - u3;
}
static void finish(const struct call *call, const float *sums, struct panel panel, int64_t block) {
    const struct plan *plan = call->plan;
    const int64_t columns = block_columns(plan->out, block), channels = panel.channels, taps = plan->z_taps * 9;
    float *weights = call->scratch + plan->weights;
    for (int64_t tap = 0; tap < plan->z_taps; tap++)
        for (int64_t m = 0; m < channels; m++)
            for (int64_t n = 0; n < columns; n += LANES) {
                const float *u = sums + tap * FREQUENCIES * LANES * BLOCK + m * columns + n;
                float *to = weights + (tap * 9 * channels + m) * columns + n;
                vec rows[4][3], w[3];
#pragma GCC unroll 4
                for (int r = 0; r < 4; r++) {
                    vec f[4];
#pragma GCC unroll 4
                    for (int c = 0; c < 4; c++) f[c] = *(const vec *)(u + (4 * r + c) * LANES * BLOCK);
                    back_row(rows[r], f[0], f[1], f[2], f[3]);
                }
#pragma GCC unroll 3
                for (int c = 0; c < 3; c++) {
                    back_row(w, rows[0][c], rows[1][c], rows[2][c], rows[3][c]);
#pragma GCC unroll 3
                    for (int r = 0; r < 3; r++) *(vec *)(to + (3 * r + c) * channels * columns) = w[r];
                }
            }
    unpack(call->dw + (block * BLOCK * plan->in + panel.in) * taps, plan->in, taps, weights, channels, columns,
           smaller(columns, plan->out - block * BLOCK), call->accumulate);
}

/* ---- fetching what is needed next into the second cache, while products are made */

static void fetch(const char *at, const char *end) {
    enum { LINE = 64 };
    for (; at < end; at += LINE) __builtin_prefetch(at, 0, 2);
}

/* Rows begin .. end - 1 of a plane, columns left .. right - 1, channels first .. last - 1. */
static void fetch_pixels(const void *plane, enum element element, int64_t width, int64_t channels, int64_t begin, int64_t end,
                         int64_t left, int64_t right, int64_t first, int64_t last) {
    const bool all = last - first == channels;
    for (int64_t y = begin; y < end; y++)
        for (int64_t x = left; x < right; x += all ? right - left : 1) {
            const int64_t at = (y * width + x) * channels + first, count = all ? (right - left) * channels : last - first;
            fetch(element_at(plane, element, at), element_at(plane, element, at + count));
        }
}

/* A share of a part's columns: the channels of x that are taken now, and dy.  Of x, the first two rows were
 * read for the part above. */
static void fetch_part(const struct call *call, const struct part *part, int64_t first_panel, int64_t panels, int64_t share,
                       int64_t shares) {
    const struct conv_shape *s = call->shape;
    const int64_t *size = call->plan->size, pixels = size[1] * size[2], columns = part->end[2] - part->begin[2];
    const int64_t left = 2 * (part->begin[2] + columns * share / shares);
    const int64_t right = smaller(2 * (part->begin[2] + columns * (share + 1) / shares), size[2]);
    if (left >= right) return;
    const int64_t top = 2 * part->begin[1], bottom = 2 * part->end[1];
    for (int64_t p = 0; p < panels;) {
        const struct panel panel = panel_of(s, first_panel + p);
        const int64_t channels = conv_source_channels(s, panel.source);
        const int64_t last = smaller(panel.channel + (panels - p) * LANES, channels);
        for (int64_t z = part->above; z < part->below; z++)
            fetch_pixels(element_at(call->x[panel.source].data, s->x, z * pixels * channels), s->x, size[2], channels,
                         top > 0 ? top + 1 : 0, smaller(bottom + 1, size[1]), left, right, panel.channel, last);
        p += ceil_div(last - panel.channel, LANES);
    }
    for (int64_t z = part->begin[0]; z < part->end[0]; z++)
        fetch_pixels(element_at(call->dy, s->y, z * pixels * s->c_out), s->y, size[2], s->c_out, top, smaller(bottom, size[1]),
                     left, right, 0, s->c_out);
}

/* One of FREQUENCIES shares of the weights that a panel and a block will make. */
static void fetch_weights(const struct call *call, struct panel panel, int64_t block, int share) {
    const struct plan *plan = call->plan;
    const int64_t taps = plan->z_taps * 9, columns = smaller(BLOCK, plan->out - block * BLOCK);
    for (int64_t n = columns * share / FREQUENCIES; n < columns * (share + 1) / FREQUENCIES; n++) {
        const char *at = (const char *)(call->dw + ((block * BLOCK + n) * plan->in + panel.in) * taps);
        for (int64_t i = 0; i < panel.channels * taps * 4; i += 64) __builtin_prefetch(at + i, 1, 2);
    }
}

/* ---- parts */

/* The image as one part: sums become weights at once. */
static void take_whole(const struct call *call, int64_t first_panel, int64_t panels) {
    const struct plan *plan = call->plan;
    const struct part part = part_of(plan, 0);
    float *sums = call->scratch + plan->sums;
    if (first_panel == 0) transform_gradient(call, &part);
    transform_x(call, &part, first_panel, panels);
    for (int64_t n = 0; n < plan->blocks; n++)
        for (int64_t p = 0; p < panels; p++) {
            const struct panel panel = panel_of(call->shape, first_panel + p);
            for (int f = 0; f < FREQUENCIES; f++) {
                fetch_weights(call, panel, n, f);
                multiply_panel(call, &part, sums, p, panel.channels, n, f);
            }
            finish(call, sums, panel, n);
        }
}

static void take_parts(const struct call *call, int64_t first_panel, int64_t panels) {
    const struct plan *plan = call->plan;
    const int64_t parts = parts_along(plan, 0) * parts_along(plan, 1) * parts_along(plan, 2), square = square_floats(plan);
    float *sums = call->scratch + plan->sums;
    for (int64_t i = 0; i < parts; i++) {
        const struct part part = part_of(plan, i), next = part_of(plan, smaller(i + 1, parts - 1));
        transform_gradient(call, &part);
        transform_x(call, &part, first_panel, panels);
        for (int64_t share = 0, f = 0; f < FREQUENCIES; f++)
            for (int64_t n = 0; n < plan->blocks; n++)
                for (int64_t p = 0; p < panels; p++) {
                    fetch_part(call, &next, first_panel, panels, share++, FREQUENCIES * plan->blocks * panels);
                    multiply_panel(call, &part, sums + (n * plan->step + p) * square, p,
                                   panel_of(call->shape, first_panel + p).channels, n, f);
                }
    }
    for (int64_t n = 0; n < plan->blocks; n++)
        for (int64_t p = 0; p < panels; p++)
            finish(call, sums + (n * plan->step + p) * square, panel_of(call->shape, first_panel + p), n);
}

cover_status winograd_weights(const struct prepared *prepared, float *dw, float *db, const struct conv_source x[CONV_SOURCES],
                              const void *dy, void *scratch, bool accumulate) {
    const struct plan *plan = prepared->state;
    const struct call call = {plan, &prepared->shape, x, dy, dw, scratch, accumulate};
    double *dy_sums = scratch;
    for (int64_t first = 0; first < plan->panels; first += plan->step) {
        const int64_t panels = smaller(plan->step, plan->panels - first);
        for (int64_t o = 0; o < plan->blocks * BLOCK && (first == 0 || !plan->whole); o++) dy_sums[o] = 0;
        (plan->whole ? take_whole : take_parts)(&call, first, panels);
    }
    for (int64_t o = 0; db && o < plan->out; o++) db[o] = (float)dy_sums[o] + (accumulate ? db[o] : 0);
    return COVER_OK;
}
