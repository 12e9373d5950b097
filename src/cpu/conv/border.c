/* The border of a convolution (border.h): rows are gathered before a pass and spread behind it. */
#include "border.h"

#include <math.h>

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

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
    return aligned((size_t)(grid_pixels(&shape->grid) * channels) * element_bytes(element));
}

size_t border_bytes(const struct conv_shape *shape, enum conv_pass pass, unsigned takes) {
    const struct conv_shape inner = border_shape(shape, takes);
    size_t bytes = 0;
    if (joins_x(shape, &inner, pass == CONV_GRAD_DATA)) bytes += dense_bytes(shape, shape->c_in, inner.x);
    if (converts_y(shape, &inner)) bytes += dense_bytes(shape, shape->c_out, inner.y);
    return bytes;
}

/* ---- one tensor into or out of some channels of another, pixels begin .. end - 1 */

static float value_of(const void *data, enum element element, int64_t i) {
    return element == ELEMENT_BF16 ? bf16_to_float(((const bf16 *)data)[i]) : ((const float *)data)[i];
}
static void set_value(void *data, enum element element, int64_t i, float value) {
    if (element == ELEMENT_BF16) ((bf16 *)data)[i] = bf16_from_float(value);
    else ((float *)data)[i] = value;
}

struct channels { /* `count` of each pixel's `stride`, from `first` on */
    void *data;
    enum element element;
    int64_t stride, first;
};

static void copy_channels(struct channels to, struct channels from, int64_t count, const struct norm_load *norm,
                          int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; p++)
        for (int64_t c = 0; c < count; c++) {
            float value = value_of(from.data, from.element, p * from.stride + from.first + c);
            if (norm) {
                value = fmaf(value, norm->scale[c], norm->offset[c]);
                if (!(value > 0)) value *= norm->slope;
            }
            set_value(to.data, to.element, p * to.stride + to.first + c, value);
        }
}

static void gather_x(void *dense, enum element element, const struct conv_shape *shape,
                     const struct conv_source source[CONV_SOURCES], int64_t begin, int64_t end) {
    for (int s = 0, first = 0; s < CONV_SOURCES; s++) {
        const int64_t count = conv_source_channels(shape, s);
        copy_channels((struct channels){dense, element, shape->c_in, first},
                      (struct channels){(void *)source[s].data, shape->x, count, 0}, count, source[s].norm, begin, end);
        first += (int)count;
    }
}
static void spread_dx(void *const dx[CONV_SOURCES], const struct conv_shape *shape, void *dense, enum element element,
                      int64_t begin, int64_t end) {
    for (int s = 0, first = 0; s < CONV_SOURCES; s++) {
        const int64_t count = conv_source_channels(shape, s);
        copy_channels((struct channels){dx[s], shape->x, count, 0},
                      (struct channels){dense, element, shape->c_in, first}, count, NULL, begin, end);
        first += (int)count;
    }
}
static void convert_y(void *to, enum element to_element, const void *from, enum element from_element, int64_t channels,
                      int64_t begin, int64_t end) {
    copy_channels((struct channels){to, to_element, channels, 0}, (struct channels){(void *)from, from_element, channels, 0},
                  channels, NULL, begin, end);
}

static void sum_y(double *sums, const void *y, const struct conv_shape *shape, int64_t begin, int64_t end) {
    for (int64_t c = 0; c < 2 * shape->c_out; c++) sums[c] = 0;
    for (int64_t p = begin; p < end; p++)
        for (int64_t c = 0; c < shape->c_out; c++) {
            const double value = value_of(y, shape->y, p * shape->c_out + c);
            sums[c] += value, sums[shape->c_out + c] += value * value;
        }
}

/* ---- passes */

cover_status border_convolve(const struct prepared *prepared, const struct conv_shape *shape, int slab,
                             const struct conv_target *target, const struct conv_source source[CONV_SOURCES],
                             const void *packed, const float *bias, void *scratch) {
    const struct conv_shape *inner = &prepared->shape;
    const bool turned = prepared->pass == CONV_GRAD_DATA, x_dense = joins_x(shape, inner, turned), y_dense = converts_y(shape, inner);
    const struct conv_slab rows = conv_slab(shape, slab);
    const int64_t row = conv_row_pixels(shape), reach = shape->kernel / 2, all = conv_rows(shape);
    const int64_t begin = rows.begin * row, end = rows.end * row;
    const int64_t in_begin = (rows.begin < reach ? 0 : rows.begin - reach) * row;
    const int64_t in_end = (rows.end + reach > all ? all : rows.end + reach) * row;
    char *dense_x = (char *)scratch + aligned(prepared->scratch_bytes);
    char *dense_y = dense_x + (x_dense ? dense_bytes(shape, shape->c_in, inner->x) : 0);
    struct conv_source in[CONV_SOURCES] = {source[0]};
    struct conv_target out = {.data = {target->data[0]}};
    if (turned) {
        if (y_dense) in[0].data = dense_y, convert_y(dense_y, inner->y, source[0].data, shape->y, shape->c_out, in_begin, in_end);
        if (x_dense) out.data[0] = dense_x;
    } else {
        if (x_dense) in[0] = (struct conv_source){.data = dense_x}, gather_x(dense_x, inner->x, shape, source, in_begin, in_end);
        if (y_dense) out.data[0] = dense_y;
    }
    TRY(prepared->form->convolve(prepared, slab, &out, in, packed, bias, scratch));
    if (turned && x_dense) spread_dx(target->data, shape, dense_x, inner->x, begin, end);
    if (!turned && y_dense) convert_y(target->data[0], shape->y, dense_y, inner->y, shape->c_out, begin, end);
    if (target->sums) sum_y(target->sums, target->data[0], shape, begin, end);
    return COVER_OK;
}

cover_status border_grad_weights(const struct prepared *prepared, const struct conv_shape *shape, float *dw, float *db,
                                 const struct conv_source x[CONV_SOURCES], const void *dy, void *scratch, bool accumulate) {
    const struct conv_shape *inner = &prepared->shape;
    const bool x_dense = joins_x(shape, inner, false), y_dense = converts_y(shape, inner);
    const int64_t pixels = grid_pixels(&shape->grid);
    char *dense_x = (char *)scratch + aligned(prepared->scratch_bytes);
    char *dense_y = dense_x + (x_dense ? dense_bytes(shape, shape->c_in, inner->x) : 0);
    struct conv_source in[CONV_SOURCES] = {x[0]};
    if (x_dense) in[0] = (struct conv_source){.data = dense_x}, gather_x(dense_x, inner->x, shape, x, 0, pixels);
    if (y_dense) convert_y(dense_y, inner->y, dy, shape->y, shape->c_out, 0, pixels), dy = dense_y;
    return prepared->form->grad_weights(prepared, dw, db, in, dy, scratch, accumulate);
}
