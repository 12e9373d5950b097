/* Thin convolution (thin.h), forward and data gradient: equals plain.c but for rounding.  Each strip of pixels is read
 * once in its own element, multiplied with weights that stay in the cache, and written once in its own element; sums are
 * taken while it is in the cache.  No image of scratch.  A row of conv.c's list for each instruction set. */
#include "thin.h"

struct plan {
    struct thin_source source;
    int64_t out;             /* channels */
    int64_t blocks, columns; /* of output channels; columns are those of all blocks */
    int64_t group;           /* input channels in one vector; 1 = the vector has room for one alone */
    int64_t bias, made;      /* offsets in scratch, in floats: the bias, what a strip makes */
};

/* Kernel 3 pays where all channels of a neighbourhood are few. */
static bool is_thin(const struct conv_shape *s, enum conv_pass pass) {
    return s->kernel == 1 || (s->c_in <= FEW_CHANNELS && pass != CONV_GRAD_DATA);
}

/* Few output channels leave lanes free for other input channels. */
static int64_t group_of(int64_t in, int64_t out) {
    int64_t group = 1;
    while (2 * group * out <= LANES && in % (2 * group) == 0) group *= 2;
    return group;
}

static cover_status prepare(struct prepared *prepared) {
    const struct conv_shape *s = &prepared->shape;
    if (!is_thin(s, prepared->pass)) return COVER_ERROR_UNSUPPORTED;
    if (prepared->pass == CONV_GRAD_WEIGHTS) return thin_weights_prepare(prepared);
    struct plan *plan = prepared->state = memory_alloc(prepared->context, sizeof *plan);
    if (!plan) return COVER_ERROR_MEMORY;
    const bool turned = prepared->pass == CONV_GRAD_DATA;
    *plan = (struct plan){.out = turned ? s->c_in : s->c_out};
    plan->source = thin_source_of(s, turned, plan->out, ROWS_MAX);
    plan->group = s->kernel == 1 ? group_of(plan->source.values, plan->out) : 1;
    plan->blocks = ceil_div(plan->out, BLOCK);
    plan->columns = (plan->blocks - 1) * BLOCK + block_columns(plan->out, plan->blocks - 1);
    plan->bias = plan->source.floats;
    plan->made = plan->bias + plan->blocks * BLOCK;
    prepared->packed_bytes = (size_t)(plan->columns * plan->source.values) * sizeof(float);
    prepared->scratch_bytes = (size_t)(plan->made + plan->source.strip * plan->out + BLOCK) * sizeof(float);
    return COVER_OK;
}

static void release(struct prepared *prepared) { memory_free(prepared->context, prepared->state); }

/* Packed weights: (block, value, column), values being (tap, input channel); with groups (group, column, one of it). */
static cover_status pack(const struct prepared *prepared, void *packed, const float *weights, void *scratch) {
    (void)scratch;
    const struct plan *plan = prepared->state;
    const int64_t taps = conv_taps(&prepared->shape), c_in = prepared->shape.c_in;
    const bool turned = prepared->pass == CONV_GRAD_DATA; /* of kernel 1 alone */
    const int64_t from_in = turned ? c_in : taps, from_out = turned ? 1 : c_in * taps;
    float *to = packed;
    if (plan->group > 1) {
        const int64_t in = plan->source.values, group = plan->group;
        zero_floats(to, in / group * LANES);
        for (int64_t i = 0; i < in; i++)
            for (int64_t n = 0; n < plan->out; n++)
                to[i / group * LANES + n * group + i % group] = weights[i * from_in + n * from_out];
        return COVER_OK;
    }
    for (int64_t block = 0; block < plan->blocks; block++) {
        const int64_t columns = block_columns(plan->out, block), here = smaller(columns, plan->out - block * BLOCK);
        for (int64_t tap = 0; tap < taps; tap++)
            for (int64_t i = 0; i < plan->source.channels; i++, to += columns) {
                for (int64_t n = 0; n < here; n++) to[n] = weights[i * from_in + (block * BLOCK + n) * from_out + tap];
                zero_floats(to + here, columns - here);
            }
    }
    return COVER_OK;
}

struct pass { /* one call */
    const struct plan *plan;
    const struct conv_target *target;
    const struct conv_source *source;
    const float *packed;
    float *scratch;
    struct strip to[CONV_SOURCES];
    int64_t channels[CONV_SOURCES], end; /* end: of the slab, in pixels */
};

/* What the next strip reads, from memory while this one is computed; a fetch beyond the end does no harm. */
static void fetch_ahead(const struct pass *pass, int64_t pixel, int64_t count) {
    const struct conv_shape *s = &pass->plan->source.shape;
    for (int i = 0; i < CONV_SOURCES; i++) {
        const int64_t bytes = conv_source_channels(s, i) * (int64_t)element_bytes(s->x);
        const char *data = (const char *)pass->source[i].data + pixel * bytes;
        for (int64_t at = 0; at < count * bytes; at += 64) __builtin_prefetch(data + at);
    }
}

/* made (pixel, channel), dense, from a strip.  Products write whole vectors: what is too much lies where a later one
 * writes, blocks being taken from the last to the first and pixels from the first to the last. */
static void multiply_strip(const struct pass *pass, float *made, int64_t pixel, int64_t count) {
    const struct plan *plan = pass->plan;
    const struct thin_source *source = &plan->source;
    const int64_t tile = even_part(count, ROWS_MAX), out = plan->out;
    struct product product = {.c_row = out, .a_step = 1, .slices = 1, .runs = 1, .length = source->values};
    const float *a;
    if (source->lines) {
        a = thin_lines(source, pass->source, pixel, count, pass->scratch);
        product.a_row = source->channels, product.a_run = source->line, product.runs = source->lines;
        product.length = 3 * source->channels;
    } else {
        const struct strip values = thin_gather(source, pass->source, pixel, count, pass->scratch);
        a = values.data, product.a_row = values.stride;
    }
    for (int64_t block = plan->blocks - 1; block >= 0; block--) {
        const bool wide = block_columns(out, block) == BLOCK;
        product_fn *const *table = plan->group > 1      ? thin_grouped[__builtin_ctzll((uint64_t)plan->group) - 1]
                                   : product.a_row == 1 ? thin_beside[wide]
                                                        : product_table[wide];
        product.init = pass->scratch + plan->bias + block * BLOCK;
        product.b = pass->packed + block * BLOCK * source->values;
        for (int64_t p = 0; p < count; p += tile) {
            product.c = made + p * out + block * BLOCK;
            product.a = a + p * product.a_row;
            if (!source->lines && block == 0) fetch_ahead(pass, pixel + count + p, tile);
            table[smaller(tile, count - p)](&product);
        }
    }
}

static void take_strip(const struct pass *pass, int64_t pixel, int64_t count) {
    const struct plan *plan = pass->plan;
    struct strip made = {pass->scratch + plan->made, ELEMENT_F32, plan->out}, to = strip_at(pass->to[0], pixel, 0);
    /* straight into the target, unless a product would write beyond the slab */
    const bool inside = plan->columns - plan->out <= (pass->end - pixel - count) * plan->out;
    const bool straight = to.element == ELEMENT_F32 && !pass->channels[1] && inside;
    if (straight) made = to;
    multiply_strip(pass, made.data, pixel, count);
    for (int i = 0, first = 0; i < CONV_SOURCES && !straight; first += (int)pass->channels[i++])
        if (pass->channels[i])
            ISA_NAME(conv_strips).copy(strip_at(pass->to[i], pixel, 0), strip_at(made, 0, first), count, pass->channels[i], NULL);
    if (pass->target->sums) ISA_NAME(conv_strips).sum(pass->target->sums, pass->target->sums + plan->out, to, count, plan->out);
}

static cover_status convolve(const struct prepared *prepared, int slab, const struct conv_target *target,
                             const struct conv_source source[CONV_SOURCES], const void *packed, const float *bias, void *scratch) {
    const struct plan *plan = prepared->state;
    const struct conv_shape *s = &prepared->shape;
    const bool turned = prepared->pass == CONV_GRAD_DATA;
    const struct conv_slab rows = conv_slab(s, slab);
    const int64_t begin = rows.begin * conv_row_pixels(s), end = rows.end * conv_row_pixels(s);
    struct pass pass = {plan, target, source, packed, scratch, .channels = {plan->out}, .end = end};
    if (turned) pass.channels[0] = conv_source_channels(s, 0), pass.channels[1] = conv_source_channels(s, 1);
    for (int i = 0; i < CONV_SOURCES; i++) pass.to[i] = (struct strip){target->data[i], turned ? s->x : s->y, pass.channels[i]};
    float *own_bias = pass.scratch + plan->bias;
    zero_floats(own_bias, plan->blocks * BLOCK);
    for (int64_t o = 0; bias && o < plan->out; o++) own_bias[o * plan->group] = bias[o];
    for (int64_t c = 0; target->sums && c < 2 * plan->out; c++) target->sums[c] = 0;
    for (int64_t pixel = begin; pixel < end;) {
        const int64_t row_end = smaller((pixel / plan->source.row + 1) * plan->source.row, end);
        const int64_t count = smaller(plan->source.strip, row_end - pixel);
        take_strip(&pass, pixel, count);
        pixel += count;
    }
    return COVER_OK;
}

const struct conv_form ISA_NAME(conv_thin) = {
    "thin_" ISA_TEXT, TAKES_BF16 | TAKES_PARTS, isa_serves, prepare, release, pack, convolve, thin_weights,
};
