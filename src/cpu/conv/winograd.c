/* Convolution by Winograd's tiles (winograd.h), own fast form: equals plain.c but for rounding.  A block of tiles is
 * transformed, multiplied by the weights frequency by frequency, and transformed back, all within the second cache where
 * channels are few; in 3D the block sweeps along z and keeps the planes that the next ones read.  Rows of conv.c's list,
 * one an instruction set. */
#include "winograd_pass.h"

/* Bytes of V and M that stay in the second cache, beside the weights; but no fewer than so many tiles share the weights
 * that are read for them.  The least channels and pixels that are worth it. */
enum { CACHE_BYTES = 256 * 1024, LEAST_TILES = 6 * ROWS_MAX, LEAST_CHANNELS = 8, LEAST_PIXELS = 4 };

/* A row of `words` in steps that do not all fall into the same lines of the first cache. */
static int64_t padded(int64_t words) {
    const int64_t vectors = ceil_div(words, LANES);
    return (vectors + (vectors % 8 == 0)) * LANES;
}

/* Where the last vector of channels ends: that of each tensor may reach beyond what there is. */
static int64_t channels_end(const int64_t part[2]) {
    return larger(ceil_div(part[0], LANES) * LANES, part[0] + ceil_div(part[1], LANES) * LANES);
}

static void plan_blocks(struct winograd_plan *plan) {
    const int64_t plane_tiles = plan->tile_rows * plan->row_tiles, depth = plan->size[0];
    const int64_t bytes = FREQUENCIES * 4 * (plan->v_row / (plan->pairs ? 2 : 1) * plan->taps + plan->m_row);
    const int64_t most = larger(CACHE_BYTES / bytes / ROWS_MAX * ROWS_MAX, LEAST_TILES);
    plan->tiles = smaller(ceil_div(even_part(plane_tiles, most), ROWS_MAX) * ROWS_MAX, plane_tiles);
    plan->planes = plan->taps == 1 ? 1 : smaller(larger(LEAST_TILES / plan->tiles, 1), depth);
    plan->slots = plan->taps == 1 ? 1 : smaller(plan->planes + 2, depth);
}

static size_t plan_scratch(struct winograd_plan *plan) {
    plan->v_frequency = padded(plan->tiles * plan->v_row);
    plan->v_slot = (plan->pairs ? FREQUENCIES / 2 : FREQUENCIES) * plan->v_frequency;
    plan->v_mean = plan->slots * plan->v_slot;
    plan->v_mean_slot = padded(plan->tiles * plan->v_mean_row);
    plan->m = plan->v_mean + plan->slots * plan->v_mean_slot;
    plan->m_frequency = padded(plan->tiles * plan->m_row);
    plan->m_plane = FREQUENCIES * plan->m_frequency;
    return (size_t)(plan->m + plan->planes * plan->m_plane) * sizeof(float);
}

static size_t plan_packed(struct winograd_plan *plan) {
    const int64_t columns = ceil_div(plan->out, LANES) * LANES;
    int64_t end = 0;
    for (int f = 0; f < FREQUENCIES; f++) {
        plan->u[f] = end;
        end += padded(winograd_length(plan, f) * plan->taps * columns);
    }
    return (size_t)end * sizeof(float);
}

static cover_status prepare(struct prepared *prepared) {
    const struct conv_shape *s = &prepared->shape;
    if (prepared->pass == CONV_GRAD_WEIGHTS) return winograd_weights_prepare(prepared);
    if (s->kernel != 3 || s->c_in < LEAST_CHANNELS || s->c_out < LEAST_CHANNELS || grid_pixels(&s->grid) < LEAST_PIXELS)
        return COVER_ERROR_UNSUPPORTED;
    struct winograd_plan *plan = prepared->state = memory_zero(prepared->context, sizeof *plan);
    if (!plan) return COVER_ERROR_MEMORY;
    const bool turned = prepared->pass == CONV_GRAD_DATA;
    *plan = (struct winograd_plan){
        .size = {s->grid.size[0], s->grid.size[1], s->grid.size[2]},
        .taps = s->grid.ndim == 3 ? 3 : 1,
        .tile_rows = ceil_div(s->grid.size[1], 2),
        .row_tiles = ceil_div(s->grid.size[2], 2),
        .in = turned ? s->c_out : s->c_in,
        .out = turned ? s->c_in : s->c_out,
        .from = turned ? s->y : s->x,
        .to = turned ? s->x : s->y,
        .in_floats = NO_FREQUENCY,
    };
    for (int part = 0; part < CONV_SOURCES; part++) {
        const int64_t of_x = conv_source_channels(s, part), of_y = part == 0 ? s->c_out : 0;
        plan->in_part[part] = turned ? of_y : of_x, plan->out_part[part] = turned ? of_x : of_y;
    }
    plan->pairs = HAS_PAIRS && plan->from == ELEMENT_BF16;
    if (plan->pairs && !turned) plan->in_floats = MEAN_FREQUENCY;
    plan->in_place[1] = plan->pairs ? ceil_div(plan->in_part[0], LANES) * LANES : plan->in_part[0];
    const int64_t values = channels_end(plan->in_part);
    plan->v_row = padded(plan->pairs ? plan->in_place[1] + plan->in_part[1] : values); /* of pairs, two frequencies */
    plan->v_mean_row = plan->in_floats == NO_FREQUENCY ? 0 : padded(values);
    plan->m_row = padded(channels_end(plan->out_part));
    plan_blocks(plan);
    prepared->scratch_bytes = plan_scratch(plan);
    prepared->packed_bytes = plan_packed(plan);
    return COVER_OK;
}

static void release(struct prepared *prepared) { memory_free(prepared->context, prepared->state); }

static cover_status pack(const struct prepared *prepared, void *packed, const float *weights, void *scratch) {
    (void)scratch;
    winograd_pack(prepared->state, packed, weights, prepared->pass == CONV_GRAD_DATA);
    return COVER_OK;
}

/* What is multiplied at once: some tiles, counted along the rows of tiles, of planes z .. last - 1. */
struct step {
    int64_t first, count, z, last;
};

/* M of the step's tiles in plane z, `rows` of them in a product, for one frequency and one block of output channels. */
static void multiply_tiles(const struct winograd_plan *plan, float *scratch, const float *packed, const struct step *step,
                           int64_t z, int64_t rows, int frequency, int64_t block) {
    const bool pairs = plan->pairs && frequency != plan->in_floats, mean = plan->pairs && !pairs;
    const int64_t columns = block_columns(plan->out, block), length = winograd_length(plan, frequency);
    const int64_t row = mean ? plan->v_mean_row : plan->v_row, slot = mean ? plan->v_mean_slot : plan->v_slot;
    const float *v = scratch + (mean ? plan->v_mean : winograd_v(plan, frequency));
    const float *u = packed + winograd_block(plan, frequency, block);
    float *m = scratch + plan->m + (z - step->z) * plan->m_plane + frequency * plan->m_frequency + block * BLOCK;
    struct tile_product product = {
        .c_row = plan->m_row, .a_row = row, .a_step = 1, .a_skip = PAIRS_RUN, .b_step = columns, .length = length};
    for (int64_t tap = 0; tap < plan->taps; tap++) {
        const int64_t from = z + tap - plan->taps / 2;
        if (from < 0 || from >= plan->size[0]) continue;
        product.a[product.slices] = v + (plan->taps == 1 ? 0 : from % plan->slots * slot); /* (divisions take long) */
        product.b[product.slices++] = u + tap * length * columns;
    }
    const int64_t whole = (step->count - 1) / rows; /* the last ones may be fewer */
    product.c = m, product.more = whole - 1;
    if (whole > 0) tile_product_table[pairs][columns == BLOCK][rows](&product);
    product.c += whole * rows * plan->m_row, product.more = 0;
    for (int64_t i = 0; i < product.slices; i++) product.a[i] = (const float *)product.a[i] + whole * rows * row;
    tile_product_table[pairs][columns == BLOCK][step->count - whole * rows](&product);
}

/* All of M, while memory brings plane `next_z` of the tiles that are transformed next. */
static void multiply_step(const struct winograd_plan *plan, float *scratch, const float *packed, const struct step *step,
                          const struct conv_source source[CONV_SOURCES], const struct step *next, int64_t next_z) {
    const int64_t blocks = ceil_div(plan->out, BLOCK), rows = even_part(step->count, ROWS_MAX);
    for (int f = 0; f < FREQUENCIES; f++) {
        winograd_fetch(plan, source, next_z, next->first, next->count, f, FREQUENCIES);
        for (int64_t block = 0; block < blocks; block++)
            for (int64_t z = step->z; z < step->last; z++) multiply_tiles(plan, scratch, packed, step, z, rows, f, block);
    }
}

static cover_status convolve(const struct prepared *prepared, int slab, const struct conv_target *target,
                             const struct conv_source source[CONV_SOURCES], const void *packed, const float *bias, void *scratch) {
    const struct winograd_plan *plan = prepared->state;
    const struct conv_slab part = conv_slab(&prepared->shape, slab);
    const bool flat = plan->taps == 1;
    const int64_t z_begin = flat ? 0 : part.begin, z_end = flat ? 1 : part.end, reach = plan->taps / 2;
    const int64_t z_first = larger(z_begin - reach, 0);
    const struct winograd_rows rows = {flat ? part.begin : 0, flat ? part.end : plan->size[1]};
    const int64_t begin = rows.begin / 2 * plan->row_tiles, end = ceil_div(rows.end, 2) * plan->row_tiles;
    if (target->sums) memset(target->sums, 0, 2 * (size_t)plan->out * sizeof(double));
    for (int64_t first = begin; first < end; first += plan->tiles) {
        struct step step = {.first = first, .count = smaller(plan->tiles, end - first), .z = z_begin};
        const struct step behind = {.first = first + step.count, .count = smaller(plan->tiles, end - first - step.count)};
        for (int64_t ready = z_first; step.z < z_end; step.z = step.last) {
            step.last = smaller(step.z + plan->planes, z_end);
            for (; ready < smaller(step.last + reach, plan->size[0]); ready++)
                winograd_input(plan, scratch, source, ready, step.first, step.count);
            if (step.last < z_end) multiply_step(plan, scratch, packed, &step, source, &step, smaller(ready, plan->size[0] - 1));
            else multiply_step(plan, scratch, packed, &step, source, &behind, z_first);
            for (int64_t z = step.z; z < step.last; z++)
                winograd_output(plan, target, bias, scratch, z - step.z, z, rows, step.first, step.count);
        }
    }
    return COVER_OK;
}

const struct conv_form ISA_NAME(conv_winograd) = {
    "winograd_" ISA_TEXT, TAKES_BF16 | TAKES_PARTS, isa_serves, prepare, release, pack, convolve, winograd_weights,
};
