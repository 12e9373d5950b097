/* Strips of pixels (strip.h), in vectors of one instruction set: copied, converted, normalised, summed.  What is left of a
 * pixel's channels behind the last whole vector goes under a mask, or by way of a buffer where there are none. */
#include "strip.h"
#include "elements.h"

/* ---- copy */

struct copy { /* rows of `width` values */
    char *to;
    const char *from;
    int64_t to_stride, from_stride, rows, width; /* strides in bytes */
    struct norm_load norm;                       /* of a row */
};

/* A vector or the rest of one, of every row; what normalises it stays in registers. */
INLINE void copy_column(const struct copy *c, int64_t row, int64_t rows, int64_t i, int64_t count, enum element to_element,
                        enum element from_element, bool normed) {
    char *to = c->to + row * c->to_stride + i * (int64_t)element_bytes(to_element);
    const char *from = c->from + row * c->from_stride + i * (int64_t)element_bytes(from_element);
    const int64_t to_stride = c->to_stride, from_stride = c->from_stride;
    struct vec_norm norm;
    if (normed) norm = load_norm(&c->norm, i, count);
    for (int64_t r = 0; r < rows; r++, to += to_stride, from += from_stride) {
        vec value = load_left(from, from_element, count);
        if (normed) value = normed_vec(norm, value);
        store_left(to, to_element, value, count);
    }
}

/* Some rows at a time, so that memory is read in order. */
enum { COPY_ROWS = 32 };

INLINE void copy_rows(const struct copy *c, enum element to_element, enum element from_element, bool normed) {
    const int64_t whole = c->width / LANES * LANES, rest = c->width - whole;
    for (int64_t row = 0; row < c->rows; row += COPY_ROWS) {
        const int64_t rows = smaller(COPY_ROWS, c->rows - row);
        for (int64_t i = 0; i < whole; i += LANES) copy_column(c, row, rows, i, LANES, to_element, from_element, normed);
        if (rest) copy_column(c, row, rows, whole, rest, to_element, from_element, normed);
    }
}

/* One long row. */
INLINE void copy_row(const struct copy *c, enum element to_element, enum element from_element) {
    const int64_t to_size = (int64_t)element_bytes(to_element), from_size = (int64_t)element_bytes(from_element);
    const int64_t width = c->width, whole = width / LANES * LANES;
    char *to = c->to;
    const char *from = c->from;
    for (int64_t i = 0; i < whole; i += LANES)
        store_vec(to + i * to_size, to_element, load_vec(from + i * from_size, from_element));
    if (whole == width) return;
    const vec last = load_first(from + whole * from_size, from_element, width - whole);
    store_first(to + whole * to_size, to_element, last, width - whole);
}

#define COPY(name, to, from, normed)                                                                                               \
    static void name(const struct copy *c) {                                                                                       \
        if (!normed && c->rows == 1) copy_row(c, to, from);                                                                        \
        else copy_rows(c, to, from, normed);                                                                                       \
    }
COPY(copy_f32_f32, ELEMENT_F32, ELEMENT_F32, false)
COPY(copy_f32_bf16, ELEMENT_F32, ELEMENT_BF16, false)
COPY(copy_bf16_f32, ELEMENT_BF16, ELEMENT_F32, false)
COPY(copy_bf16_bf16, ELEMENT_BF16, ELEMENT_BF16, false)
COPY(norm_f32_f32, ELEMENT_F32, ELEMENT_F32, true)
COPY(norm_f32_bf16, ELEMENT_F32, ELEMENT_BF16, true)
COPY(norm_bf16_f32, ELEMENT_BF16, ELEMENT_F32, true)
COPY(norm_bf16_bf16, ELEMENT_BF16, ELEMENT_BF16, true)

static void (*const copies[2][2][2])(const struct copy *) = {
    /* [normed][to][from] */
    {{copy_f32_f32, copy_f32_bf16}, {copy_bf16_f32, copy_bf16_bf16}},
    {{norm_f32_f32, norm_f32_bf16}, {norm_bf16_f32, norm_bf16_bf16}},
};

static void run_copy(struct copy c, struct strip to, struct strip from) {
    c.to = to.data, c.from = from.data;
    copies[c.norm.scale != NULL][to.element == ELEMENT_BF16][from.element == ELEMENT_BF16](&c);
}

/* Few channels of dense pixels are taken as rows of LANES pixels, which are whole vectors. */
enum { ROW_MAX = LANES * LANES };

static void repeat(float *to, const float *from, int64_t channels) {
    for (int64_t p = 0; p < LANES; p++) copy_floats(to + p * channels, from, channels);
}

static void copy(struct strip to, struct strip from, int64_t pixels, int64_t channels, const struct norm_load *norm) {
    const int64_t to_bytes = to.stride * (int64_t)element_bytes(to.element);
    const int64_t from_bytes = from.stride * (int64_t)element_bytes(from.element);
    const bool dense = to.stride == channels && from.stride == channels;
    struct copy c = {.to_stride = to_bytes, .from_stride = from_bytes, .rows = pixels, .width = channels};
    if (norm) c.norm = *norm;
    if (dense && !norm) c.rows = 1, c.width = pixels * channels;
    if (!dense || !norm || channels >= LANES || pixels < LANES) {
        run_copy(c, to, from);
        return;
    }
    float scale[ROW_MAX], offset[ROW_MAX];
    repeat(scale, norm->scale, channels), repeat(offset, norm->offset, channels);
    c.norm.scale = scale, c.norm.offset = offset;
    c.to_stride *= LANES, c.from_stride *= LANES, c.rows /= LANES, c.width *= LANES;
    run_copy(c, to, from);
    const int64_t done = pixels / LANES * LANES;
    c.rows = 1, c.width = (pixels - done) * channels;
    if (done < pixels) run_copy(c, strip_at(to, done, 0), strip_at(from, done, 0));
}

/* ---- sum: of GROUP rows in floats, of groups in doubles */

enum { GROUP = 16, SUM_MAX = LANES * LANES };

INLINE void add_wide(double *sum, vec value) {
#if defined(__AVX512F__)
    _mm512_storeu_pd(sum, _mm512_loadu_pd(sum) + _mm512_cvtps_pd(_mm512_castps512_ps256((__m512)value)));
    _mm512_storeu_pd(sum + 8, _mm512_loadu_pd(sum + 8) + _mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)value, 1)));
#elif defined(__AVX2__)
    _mm256_storeu_pd(sum, _mm256_loadu_pd(sum) + _mm256_cvtps_pd(_mm256_castps256_ps128((__m256)value)));
    _mm256_storeu_pd(sum + 4, _mm256_loadu_pd(sum + 4) + _mm256_cvtps_pd(_mm256_extractf128_ps((__m256)value, 1)));
#else
    for (int l = 0; l < LANES; l++) sum[l] += value[l];
#endif
}

/* LANES columns, or the first `count`, of GROUP rows or fewer. */
INLINE void sum_group(double *sum, double *square, const char *from, enum element element, int64_t stride, int64_t rows,
                      int64_t count) {
    vec sums = {0}, squares = {0};
#pragma GCC unroll 16
    for (int64_t r = 0; r < rows; r++) {
        const vec value = load_left(from + r * stride, element, count);
        sums += value;
        if (square) squares += value * value;
    }
    add_wide(sum, sums);
    if (square) add_wide(square, squares);
}

INLINE void sum_rows(double *sum, double *square, const char *from, enum element element, int64_t stride, int64_t rows,
                     int64_t width) {
    const int64_t size = (int64_t)element_bytes(element), whole = width / LANES * LANES, rest = width - whole;
    for (; rows > 0; rows -= GROUP, from += GROUP * stride) {
        for (int64_t i = 0; i < whole; i += LANES)
            if (rows >= GROUP) sum_group(sum + i, square ? square + i : NULL, from + i * size, element, stride, GROUP, LANES);
            else sum_group(sum + i, square ? square + i : NULL, from + i * size, element, stride, rows, LANES);
        if (rest)
            sum_group(sum + whole, square ? square + whole : NULL, from + whole * size, element, stride, smaller(rows, GROUP),
                      rest);
    }
}

#define SUM(name, element, square)                                                                                                 \
    static void name(double *sums, double *squares, const char *from, int64_t stride, int64_t rows, int64_t width) {               \
        sum_rows(sums, square, from, element, stride, rows, width);                                                                \
    }
SUM(sum_f32, ELEMENT_F32, ((void)squares, NULL))
SUM(sum_bf16, ELEMENT_BF16, ((void)squares, NULL))
SUM(squares_f32, ELEMENT_F32, squares)
SUM(squares_bf16, ELEMENT_BF16, squares)
static void (*const sum_table[2][2])(double *, double *, const char *, int64_t, int64_t,
                                     int64_t) = {{sum_f32, sum_bf16}, {squares_f32, squares_bf16}}; /* [with squares][element] */

static void sum(double *sums, double *squares, struct strip from, int64_t pixels, int64_t channels) {
    const bool few = channels < LANES && from.stride == channels;
    const int64_t together = few ? LANES : 1, bytes = from.stride * (int64_t)element_bytes(from.element) * together;
    const int64_t done = pixels / together * together, left = pixels - done;
    for (int64_t first = 0; first < channels; first += SUM_MAX) {
        const int64_t here = smaller(SUM_MAX, channels - first), width = here * together;
        double total[SUM_MAX + LANES], square[SUM_MAX + LANES];
        for (int64_t i = 0; i < ceil_div(width, LANES) * LANES; i++) total[i] = square[i] = 0;
        void (*const add)(double *, double *, const char *, int64_t, int64_t, int64_t) =
            sum_table[squares != NULL][from.element == ELEMENT_BF16];
        add(total, square, strip_at(from, 0, first).data, bytes, done / together, width);
        if (left) add(total, square, strip_at(from, done, first).data, bytes, 1, left * here);
        for (int64_t p = 0; p < together; p++)
            for (int64_t c = 0; c < here; c++) {
                sums[first + c] += total[p * here + c];
                if (squares) squares[first + c] += square[p * here + c];
            }
    }
}

const struct conv_strips ISA_NAME(conv_strips) = {copy, sum};
