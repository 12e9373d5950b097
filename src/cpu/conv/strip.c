/* Strips of pixels (strip.h), in vectors of one instruction set: copied, converted, normalised, summed.  What is left of a
 * pixel's channels behind the last whole vector goes under a mask, or by way of a buffer where there are none. */
#include "direct.h"
#include "strip.h"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

typedef uint32_t bits __attribute__((vector_size(LANES * sizeof(uint32_t)), may_alias));
typedef int32_t lanes __attribute__((vector_size(LANES * sizeof(int32_t)), may_alias));
typedef bf16 halves __attribute__((vector_size(LANES * sizeof(bf16)), aligned(2), may_alias));
typedef double wide __attribute__((vector_size(LANES * sizeof(double)), aligned(8), may_alias));

INLINE vec select_vec(lanes condition, vec yes, vec no) {
    return (vec)((condition & (lanes)yes) | (~condition & (lanes)no));
}

/* ---- conversion, as bf16_to_float and bf16_from_float have it */

INLINE vec widen(halves value) { return (vec)(__builtin_convertvector(value, bits) << 16); }
INLINE halves narrow(vec value) {
    const bits all = (bits)value, rounded = (all + 0x7fff + (all >> 16 & 1)) >> 16, nan = all >> 16 | 0x40;
    const bits is_nan = (bits)((all & 0x7fffffff) > 0x7f800000);
    return __builtin_convertvector((is_nan & nan) | (~is_nan & rounded), halves);
}

/* The first `count` of a vector, 1 .. LANES. */
INLINE vec load(const void *data, enum element element, int64_t count) {
    if (count == LANES) return element == ELEMENT_BF16 ? widen(*(const halves *)data) : *(const vec *)data;
#ifdef __AVX512F__
    const __mmask16 some = (__mmask16)((1u << count) - 1);
    if (element == ELEMENT_BF16) return widen((halves)_mm256_maskz_loadu_epi16(some, data));
    return _mm512_maskz_loadu_ps(some, data);
#else
    float value[LANES] = {0};
    for (int64_t i = 0; i < count; i++)
        value[i] = element == ELEMENT_BF16 ? bf16_to_float(((const bf16 *)data)[i]) : ((const float *)data)[i];
    return *(const vec *)value;
#endif
}
INLINE void store(void *data, enum element element, vec value, int64_t count) {
    if (count == LANES) {
        if (element == ELEMENT_BF16) *(halves *)data = narrow(value);
        else *(vec *)data = value;
        return;
    }
#ifdef __AVX512F__
    const __mmask16 some = (__mmask16)((1u << count) - 1);
    if (element == ELEMENT_BF16) _mm256_mask_storeu_epi16(data, some, (__m256i)narrow(value));
    else _mm512_mask_storeu_ps(data, some, value);
#else
    const float *from = (const float *)&value;
    for (int64_t i = 0; i < count; i++)
        if (element == ELEMENT_BF16) ((bf16 *)data)[i] = bf16_from_float(from[i]);
        else ((float *)data)[i] = from[i];
#endif
}

/* ---- copy */

/* Rows of `width` values; every row has the same scales and offsets, which are whole vectors. */
struct copy {
    char *to;
    const char *from;
    int64_t to_stride, from_stride, rows, width; /* strides in bytes */
    const float *scale, *offset;                 /* NULL = as it is */
    float slope;
};

INLINE void copy_vector(char *to, enum element to_element, const char *from, enum element from_element, const float *scale,
                        const float *offset, float slope, int64_t count) {
    vec value = load(from, from_element, count);
    if (scale) {
        value = value * *(const vec *)scale + *(const vec *)offset;
        value = select_vec(value > 0, value, value * slope);
    }
    store(to, to_element, value, count);
}

INLINE void copy_rows(const struct copy *c, enum element to_element, enum element from_element, bool normed) {
    const int64_t to_size = (int64_t)element_bytes(to_element), from_size = (int64_t)element_bytes(from_element);
    const int64_t whole = c->width / LANES * LANES, rest = c->width - whole;
    char *to = c->to;
    const char *from = c->from;
    for (int64_t row = 0; row < c->rows; row++, to += c->to_stride, from += c->from_stride) {
        for (int64_t i = 0; i < whole; i += LANES)
            copy_vector(to + i * to_size, to_element, from + i * from_size, from_element, normed ? c->scale + i : NULL,
                        c->offset + (normed ? i : 0), c->slope, LANES);
        if (rest)
            copy_vector(to + whole * to_size, to_element, from + whole * from_size, from_element,
                        normed ? c->scale + whole : NULL, c->offset + (normed ? whole : 0), c->slope, rest);
    }
}

#define COPY(name, to, from, normed)                                                                                   \
    static void name(const struct copy *c) { copy_rows(c, to, from, normed); }
COPY(copy_f32_f32, ELEMENT_F32, ELEMENT_F32, false)
COPY(copy_f32_bf16, ELEMENT_F32, ELEMENT_BF16, false)
COPY(copy_bf16_f32, ELEMENT_BF16, ELEMENT_F32, false)
COPY(copy_bf16_bf16, ELEMENT_BF16, ELEMENT_BF16, false)
COPY(norm_f32_f32, ELEMENT_F32, ELEMENT_F32, true)
COPY(norm_f32_bf16, ELEMENT_F32, ELEMENT_BF16, true)
COPY(norm_bf16_f32, ELEMENT_BF16, ELEMENT_F32, true)
COPY(norm_bf16_bf16, ELEMENT_BF16, ELEMENT_BF16, true)

static void (*const copies[2][2][2])(const struct copy *) = { /* [normed][to][from] */
    {{copy_f32_f32, copy_f32_bf16}, {copy_bf16_f32, copy_bf16_bf16}},
    {{norm_f32_f32, norm_f32_bf16}, {norm_bf16_f32, norm_bf16_bf16}},
};

/* Few channels of dense pixels are taken as rows of LANES pixels, which are whole vectors. */
enum { CHUNK = 512, ROW_MAX = CHUNK > LANES * LANES ? CHUNK : LANES * LANES };

static void run_copy(struct copy c, struct strip to, struct strip from, bool normed) {
    c.to = to.data, c.from = from.data;
    copies[normed][to.element == ELEMENT_BF16][from.element == ELEMENT_BF16](&c);
}

static void copy(struct strip to, struct strip from, int64_t pixels, int64_t channels, const struct norm_load *norm) {
    const int64_t to_bytes = (int64_t)element_bytes(to.element), from_bytes = (int64_t)element_bytes(from.element);
    const bool dense = to.stride == channels && from.stride == channels;
    if (!norm && dense) {
        run_copy((struct copy){.rows = 1, .width = pixels * channels}, to, from, false);
        return;
    }
    if (!norm) {
        run_copy((struct copy){.to_stride = to.stride * to_bytes, .from_stride = from.stride * from_bytes, .rows = pixels,
                               .width = channels}, to, from, false);
        return;
    }
    float scale[ROW_MAX], offset[ROW_MAX];
    const int64_t together = dense && channels < LANES ? smaller(LANES, pixels) : 1, left = pixels % together;
    for (int64_t first = 0; first < channels; first += CHUNK) {
        const int64_t here = smaller(CHUNK, channels - first), width = here * together;
        for (int64_t i = 0; i < width; i++) scale[i] = norm->scale[first + i % here], offset[i] = norm->offset[first + i % here];
        struct copy c = {.to_stride = to.stride * to_bytes * together, .from_stride = from.stride * from_bytes * together,
                         .rows = pixels / together, .width = width, .scale = scale, .offset = offset, .slope = norm->slope};
        run_copy(c, strip_at(to, 0, first), strip_at(from, 0, first), true);
        c.rows = 1, c.width = here * left;
        if (left) run_copy(c, strip_at(to, pixels - left, first), strip_at(from, pixels - left, first), true);
    }
}

/* ---- sum: of GROUP rows in floats, of groups in doubles */

enum { GROUP = 8 };

INLINE void add_wide(double *sum, vec value) { *(wide *)sum += __builtin_convertvector(value, wide); }

INLINE void sum_rows(double *sum, double *square, const char *from, enum element element, int64_t stride, int64_t rows,
                     int64_t width) {
    const int64_t size = (int64_t)element_bytes(element);
    for (int64_t row = 0; row < rows; row += GROUP, from += GROUP * stride)
        for (int64_t i = 0; i < width; i += LANES) {
            const int64_t count = smaller(LANES, width - i), here = smaller(GROUP, rows - row);
            vec sums = {0}, squares = {0};
            if (count == LANES && here == GROUP) {
#pragma GCC unroll 8
                for (int r = 0; r < GROUP; r++) {
                    const vec value = load(from + r * stride + i * size, element, LANES);
                    sums += value, squares += value * value;
                }
            } else {
                for (int64_t r = 0; r < here; r++) {
                    const vec value = load(from + r * stride + i * size, element, count);
                    sums += value, squares += value * value;
                }
            }
            add_wide(sum + i, sums), add_wide(square + i, squares);
        }
}

static void sum(double *sums, struct strip from, int64_t pixels, int64_t channels) {
    const bool half = from.element == ELEMENT_BF16, dense = from.stride == channels;
    const int64_t together = dense && channels < LANES ? smaller(LANES, pixels) : 1, left = pixels % together;
    for (int64_t first = 0; first < channels; first += CHUNK) {
        const int64_t here = smaller(CHUNK, channels - first), width = here * together, padded = ceil_div(width, LANES) * LANES;
        const int64_t stride = from.stride * (int64_t)element_bytes(from.element) * together;
        double total[ROW_MAX], square[ROW_MAX];
        for (int64_t i = 0; i < padded; i++) total[i] = square[i] = 0;
        for (int part = 0; part < (left ? 2 : 1); part++) { /* whole rows, then what is left of one */
            const char *data = strip_at(from, part ? pixels - left : 0, first).data;
            const int64_t rows = part ? 1 : pixels / together, wide_here = part ? here * left : width;
            if (half) sum_rows(total, square, data, ELEMENT_BF16, stride, rows, wide_here);
            else sum_rows(total, square, data, ELEMENT_F32, stride, rows, wide_here);
        }
        for (int64_t i = 0; i < width; i++) {
            const int64_t c = first + i % here;
            sums[c] += total[i], sums[channels + c] += square[i];
        }
    }
}

const struct conv_strips ISA_NAME(conv_strips) = {copy, sum};
