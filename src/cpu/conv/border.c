/* The border of a convolution (border.h): rows are gathered before a pass and spread behind it. */
#include "border.h"
#include "strip.h"

#include "../features.h"

struct conv_shape border_shape(const struct conv_shape *shape, unsigned takes) {
    struct conv_shape inner = *shape;
    if (!(takes & TAKES_BF16)) inner.x = inner.y = ELEMENT_F32;
    if (!(takes & TAKES_PARTS)) inner.c_second = 0, inner.normed = false;
    return inner;
}

/* Must x (as source, or as target of the data gradient) or y be made dense? */
static bool joins_x(const struct conv_shape *shape, const struct conv_shape *inner, bool target) {
    return shape->x != inner->x || shape->c_second != inner->c_second || (!target && shape->normed != inner->normed);
}
static bool converts_y(const struct conv_shape *shape, const struct conv_shape *inner) { return shape->y != inner->y; }

static size_t dense_bytes(const struct conv_shape *shape, int64_t channels, enum element element) {
    return line_up((size_t)(grid_pixels(&shape->grid) * channels) * element_bytes(element));
}

size_t border_bytes(const struct conv_shape *shape, enum conv_pass pass, unsigned takes) {
    const struct conv_shape inner = border_shape(shape, takes);
    size_t bytes = 0;
    if (joins_x(shape, &inner, pass == CONV_GRAD_DATA)) bytes += dense_bytes(shape, shape->c_in, inner.x);
    if (converts_y(shape, &inner)) bytes += dense_bytes(shape, shape->c_out, inner.y);
    return bytes;
}

/* ---- pixels begin .. end - 1 */

static const struct {
    unsigned features;
    const struct conv_strips *strips;
} forms[] = {
#ifdef HAVE_AVX512_BF16
    {CPU_AVX512 | CPU_AVX512_BF16, &conv_strips_avx512_bf16},
#endif
#ifdef __x86_64__
    {CPU_AVX512, &conv_strips_avx512},
    {CPU_AVX2, &conv_strips_avx2},
#endif
    {0, &conv_strips_generic},
};
static const struct conv_strips *strips_of(const struct prepared *prepared) {
    int i = 0;
    while ((prepared->context->cpu_features & forms[i].features) != forms[i].features) i++;
    return forms[i].strips;
}

static struct strip dense_strip(const void *data, enum element element, int64_t channels) {
    return (struct strip){(void *)data, element, channels};
}

static void gather_x(const struct conv_strips *strips, void *dense, enum element element, const struct conv_shape *shape,
                     const struct conv_source source[CONV_SOURCES], int64_t begin, int64_t end) {
    const struct strip to = dense_strip(dense, element, shape->c_in);
    for (int s = 0, first = 0; s < CONV_SOURCES; first += (int)conv_source_channels(shape, s++)) {
        const int64_t channels = conv_source_channels(shape, s);
        const struct strip from = dense_strip(source[s].data, shape->x, channels);
        if (channels) strips->copy(strip_at(to, begin, first), strip_at(from, begin, 0), end - begin, channels, source[s].norm);
    }
}
static void spread_dx(const struct conv_strips *strips, void *const dx[CONV_SOURCES], const struct conv_shape *shape,
                      const void *dense, enum element element, int64_t begin, int64_t end) {
    const struct strip from = dense_strip(dense, element, shape->c_in);
    for (int s = 0, first = 0; s < CONV_SOURCES; first += (int)conv_source_channels(shape, s++)) {
        const int64_t channels = conv_source_channels(shape, s);
        const struct strip to = dense_strip(dx[s], shape->x, channels);
        if (channels) strips->copy(strip_at(to, begin, 0), strip_at(from, begin, first), end - begin, channels, NULL);
    }
}
static void convert_y(const struct conv_strips *strips, void *to, enum element to_element, const void *from,
                      enum element from_element, int64_t channels, int64_t begin, int64_t end) {
    strips->copy(strip_at(dense_strip(to, to_element, channels), begin, 0),
                 strip_at(dense_strip(from, from_element, channels), begin, 0), end - begin, channels, NULL);
}
static void sum_y(const struct conv_strips *strips, double *sums, const void *y, const struct conv_shape *shape, int64_t begin,
                  int64_t end) {
    for (int64_t c = 0; c < 2 * shape->c_out; c++) sums[c] = 0;
    const struct strip from = strip_at(dense_strip(y, shape->y, shape->c_out), begin, 0);
    strips->sum(sums, sums + shape->c_out, from, end - begin, shape->c_out);
}

/* ---- passes */

cover_status border_convolve(const struct prepared *prepared, const struct conv_shape *shape, int slab,
                             const struct conv_target *target, const struct conv_source source[CONV_SOURCES], const void *packed,
                             const float *bias, void *scratch) {
    const struct conv_shape *inner = &prepared->shape;
    const struct conv_strips *strips = strips_of(prepared);
    const bool turned = prepared->pass == CONV_GRAD_DATA, x_dense = joins_x(shape, inner, turned),
               y_dense = converts_y(shape, inner);
    const struct conv_slab rows = conv_slab(shape, slab);
    const int64_t row = conv_row_pixels(shape), reach = shape->kernel / 2, all = conv_rows(shape);
    const int64_t begin = rows.begin * row, end = rows.end * row;
    const int64_t in_begin = (rows.begin < reach ? 0 : rows.begin - reach) * row;
    const int64_t in_end = (rows.end + reach > all ? all : rows.end + reach) * row;
    char *dense_x = (char *)scratch + line_up(prepared->scratch_bytes);
    char *dense_y = dense_x + (x_dense ? dense_bytes(shape, shape->c_in, inner->x) : 0);
    struct conv_source in[CONV_SOURCES] = {source[0]};
    struct conv_target out = {.data = {target->data[0]}};
    if (turned) {
        if (y_dense)
            in[0].data = dense_y, convert_y(strips, dense_y, inner->y, source[0].data, shape->y, shape->c_out, in_begin, in_end);
        if (x_dense) out.data[0] = dense_x;
    } else {
        if (x_dense)
            in[0] = (struct conv_source){.data = dense_x}, gather_x(strips, dense_x, inner->x, shape, source, in_begin, in_end);
        if (y_dense) out.data[0] = dense_y;
    }
    TRY(prepared->form->convolve(prepared, slab, &out, in, packed, bias, scratch));
    if (turned && x_dense) spread_dx(strips, target->data, shape, dense_x, inner->x, begin, end);
    if (!turned && y_dense) convert_y(strips, target->data[0], shape->y, dense_y, inner->y, shape->c_out, begin, end);
    if (target->sums) sum_y(strips, target->sums, target->data[0], shape, begin, end);
    return COVER_OK;
}

cover_status border_grad_weights(const struct prepared *prepared, const struct conv_shape *shape, float *dw, float *db,
                                 const struct conv_source x[CONV_SOURCES], const void *dy, void *scratch, bool accumulate) {
    const struct conv_shape *inner = &prepared->shape;
    const struct conv_strips *strips = strips_of(prepared);
    const bool x_dense = joins_x(shape, inner, false), y_dense = converts_y(shape, inner);
    const int64_t pixels = grid_pixels(&shape->grid);
    char *dense_x = (char *)scratch + line_up(prepared->scratch_bytes);
    char *dense_y = dense_x + (x_dense ? dense_bytes(shape, shape->c_in, inner->x) : 0);
    struct conv_source in[CONV_SOURCES] = {x[0]};
    if (x_dense) in[0] = (struct conv_source){.data = dense_x}, gather_x(strips, dense_x, inner->x, shape, x, 0, pixels);
    if (y_dense) convert_y(strips, dense_y, inner->y, dy, shape->y, shape->c_out, 0, pixels), dy = dense_y;
    return prepared->form->grad_weights(prepared, dw, db, in, dy, scratch, accumulate);
}
