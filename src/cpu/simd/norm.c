/* Group normalisation and leaky ReLU: norm_*_plain in plain/norm.c as one multiply-add an element.  Vectors along the
 * channels; sums of a few rows are kept in registers and added to memory, channel by channel, in double. */
#include "vec.h"

/* Few channels are handled as rows of several pixels, so that a row is a whole number of vectors; many in chunks, so
 * that coefficients fit the stack.  Row r starts at element r * stride; the last row of several pixels may be short. */
enum { CHUNK = 512, ROW_MAX = CHUNK + 16 };
struct rows {
    int64_t stride, width, elements; /* elements from the first of the first row to the last of the last */
};

static struct rows rows_of(int64_t pixels, int64_t channels, int64_t first, int64_t width) {
    const int64_t even = channels & -channels; /* the largest power of two that divides it */
    const int64_t pixels_a_row = channels < LANES ? LANES / even : 1;
    return (struct rows){channels * pixels_a_row, width * pixels_a_row, pixels * channels - first};
}

/* Elements of row `row` that exist. */
INLINE int64_t row_length(const struct rows *rows, int64_t row) {
    const int64_t left = rows->elements - row;
    return left < rows->width ? left : rows->width;
}

/* The channels of a chunk that begins at `first`. */
static int64_t chunk_channels(int64_t first, int64_t last) { return last - first < CHUNK ? last - first : CHUNK; }

/* Values of a chunk's channels, repeated to a row's width. */
static void repeat(float *row, const float *values, int64_t channels, int64_t width) {
    for (int64_t i = 0; i < width; i++) row[i] = values[i % channels];
}

/* Sums are taken over BLOCK rows in registers, then added to memory: memory is read in order, and no long chain of
 * additions has to be waited for. */
enum { BLOCK = 8 };

INLINE void accumulate(double *sum, vd low, vd high) {
    vd_store(sum, vd_load(sum) + low);
    vd_store(sum + LANES / 2, vd_load(sum + LANES / 2) + high);
}

/* ---- sums */

/* Element i .. i + LANES of `count` rows: sum += x + bias, square += its square; `left` of them exist.  A block of bfloat16 is
 * added in float, whose digits are three times theirs; of floats in double, or a mean far from zero would swallow the variance. */
#ifdef ELEMENT_IS_BF16
INLINE void sum_block(double *sum, double *square, const element *x, vf shift, int64_t stride, int count, int64_t left) {
    const vm lanes = vm_first(left);
    vf plain = v_zero(), squares = v_zero();
    UNROLL for (int row = 0; row < count; row++) {
        vf value = v_load_first_e(x + row * stride, left) + shift;
        if (left < LANES) value = v_select(lanes, value, v_zero());
        plain += value;
        squares = v_fma(value, value, squares);
    }
    accumulate(sum, vd_low(plain), vd_high(plain));
    accumulate(square, vd_low(squares), vd_high(squares));
}
#else
INLINE void sum_block(double *sum, double *square, const element *x, vf shift, int64_t stride, int count, int64_t left) {
    const vm lanes = vm_first(left);
    vd low_sum = vd_zero(), high_sum = vd_zero(), low_square = vd_zero(), high_square = vd_zero();
    UNROLL for (int row = 0; row < count; row++) {
        vf value = v_load_first_e(x + row * stride, left) + shift;
        if (left < LANES) value = v_select(lanes, value, v_zero());
        const vd low = vd_low(value), high = vd_high(value);
        low_sum += low, high_sum += high;
        low_square = vd_fma(low, low, low_square), high_square = vd_fma(high, high, high_square);
    }
    accumulate(sum, low_sum, high_sum);
    accumulate(square, low_square, high_square);
}
#endif

/* sum and square (width doubles, a whole number of vectors) += sums over all rows. */
static void sum_rows(double *sum, double *square, const element *x, const float *bias, const struct rows *rows) {
    int64_t row = 0;
    for (; row + (BLOCK - 1) * rows->stride + rows->width <= rows->elements; row += BLOCK * rows->stride)
        for (int64_t i = 0; i < rows->width; i += LANES)
            sum_block(sum + i, square + i, x + row + i, v_load(bias + i), rows->stride, BLOCK, rows->width - i);
    for (; row < rows->elements; row += rows->stride)
        for (int64_t i = 0; i < row_length(rows, row); i += LANES)
            sum_block(sum + i, square + i, x + row + i, v_load(bias + i), 0, 1, row_length(rows, row) - i);
}

/* Sums of `groups` whole groups that begin at channel `first`, over `pixels` pixels; at most CHUNK groups. */
static void group_sums(double *sums, double *squares, const element *x, const float *bias, const struct norm_shape *s,
                       int64_t pixels, int64_t first, int64_t groups) {
    const int64_t width = s->channels / s->groups, last = first + groups * width;
    for (int64_t g = 0; g < groups; g++) sums[g] = squares[g] = 0;
    for (int64_t chunk = first; chunk < last; chunk += CHUNK) {
        const int64_t channels = chunk_channels(chunk, last);
        const struct rows rows = rows_of(pixels, s->channels, chunk, channels);
        double sum[ROW_MAX] = {0}, square[ROW_MAX] = {0};
        float shift[ROW_MAX] = {0};
        if (bias) repeat(shift, bias + chunk, channels, rows.width);
        sum_rows(sum, square, x + chunk, shift, &rows);
        for (int64_t i = 0; i < rows.width; i++) {
            const int64_t group = (chunk - first + i % channels) / width;
            sums[group] += sum[i], squares[group] += square[i];
        }
    }
}

void FORM(norm_sums)(double *sums, const void *x, const float *bias, const struct norm_shape *s, int block, int blocks) {
    const int64_t width = s->channels / s->groups, batch = width < CHUNK ? CHUNK / width : 1;
    int64_t begin, end;
    slab_share(s->pixels, block, blocks, &begin, &end);
    for (int64_t g = 0; g < s->groups; g += batch)
        group_sums(sums + g, sums + s->groups + g, (const element *)x + begin * s->channels, bias, s, end - begin, g * width,
                   s->groups - g < batch ? s->groups - g : batch);
}

/* ---- forward */

void FORM(norm_apply)(void *y, const void *x, const struct norm_load *norm, int64_t pixels, int64_t channels, int slab, int slabs) {
    const vf slope = v_all(norm->slope);
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t first = 0; first < channels; first += CHUNK) {
        const int64_t count = chunk_channels(first, channels);
        const struct rows rows = rows_of(end - begin, channels, first, count);
        const int64_t start = begin * channels + first;
        float scale[ROW_MAX] = {0}, offset[ROW_MAX] = {0};
        repeat(scale, norm->scale + first, count, rows.width);
        repeat(offset, norm->offset + first, count, rows.width);
        for (int64_t row = 0; row < rows.elements; row += rows.stride) {
            const int64_t left = row_length(&rows, row);
            const element *in = (const element *)x + start + row;
            element *out = (element *)y + start + row;
            for (int64_t i = 0; i < left; i += LANES) {
                const vf u = v_fma(v_load_first_e(in + i, left - i), v_load(scale + i), v_load(offset + i));
                v_store_first_e(out + i, v_leaky(u, slope), left - i);
            }
        }
    }
}

/* ---- backward */

/* d, the gradient behind the activation. */
INLINE vf activation_grad(vf dy, vf x, const float *scale, const float *offset, vf slope) {
    const vf u = v_fma(x, v_load(scale), v_load(offset));
    return v_select(V_COMPARE(u, _CMP_GT_OQ, v_zero()), dy, dy * slope);
}

/* Coefficients of a row of the forward pass, and its sums. */
struct gradient_row {
    float scale[ROW_MAX], offset[ROW_MAX];
    double d[ROW_MAX], product[ROW_MAX], x[ROW_MAX];
};

/* Element i .. i + LANES of `count` rows; `left` of them exist.  (What a block of BLOCK rows rounds in float is less than
 * what its elements are rounded to.) */
INLINE void gradient_block(struct gradient_row *w, const element *dy, const element *x, int64_t i, vf slope, int64_t stride,
                           int count, int64_t left) {
    vf sum = v_zero(), product = v_zero(), plain = v_zero();
    UNROLL for (int row = 0; row < count; row++) {
        const vf value = v_load_first_e(x + row * stride + i, left);
        const vf d = activation_grad(v_load_first_e(dy + row * stride + i, left), value, w->scale + i, w->offset + i, slope);
        sum += d, plain += value;
        product = v_fma(d, value, product);
    }
    accumulate(w->d + i, vd_low(sum), vd_high(sum));
    accumulate(w->product + i, vd_low(product), vd_high(product));
    accumulate(w->x + i, vd_low(plain), vd_high(plain));
}

static void sum_gradients(struct gradient_row *w, const element *dy, const element *x, const struct rows *rows, vf slope) {
    int64_t row = 0;
    for (; row + (BLOCK - 1) * rows->stride + rows->width <= rows->elements; row += BLOCK * rows->stride)
        for (int64_t i = 0; i < rows->width; i += LANES)
            gradient_block(w, dy + row, x + row, i, slope, rows->stride, BLOCK, rows->width - i);
    for (; row < rows->elements; row += rows->stride)
        for (int64_t i = 0; i < row_length(rows, row); i += LANES)
            gradient_block(w, dy + row, x + row, i, slope, 0, 1, row_length(rows, row) - i);
}

void FORM(norm_grad_sums)(double *sums, const void *dy, const void *x, const struct norm_load *norm, int64_t pixels,
                          int64_t channels, int block, int blocks) {
    int64_t begin, end;
    slab_share(pixels, block, blocks, &begin, &end);
    memset(sums, 0, 3 * (size_t)channels * sizeof *sums);
    for (int64_t first = 0; first < channels; first += CHUNK) {
        const int64_t count = chunk_channels(first, channels), start = begin * channels + first;
        const struct rows rows = rows_of(end - begin, channels, first, count);
        struct gradient_row w = {0};
        repeat(w.scale, norm->scale + first, count, rows.width);
        repeat(w.offset, norm->offset + first, count, rows.width);
        sum_gradients(&w, (const element *)dy + start, (const element *)x + start, &rows, v_all(norm->slope));
        for (int64_t i = 0; i < rows.width; i++) {
            double *sum = sums + first + i % count;
            sum[0] += w.d[i], sum[channels] += w.product[i], sum[2 * channels] += w.x[i];
        }
    }
}

void FORM(norm_grad_apply)(void *dx, const void *dy, const void *x, const struct norm_load *norm, const float *coefficients,
                           int64_t pixels, int64_t channels, int slab, int slabs) {
    const vf slope = v_all(norm->slope);
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t first = 0; first < channels; first += CHUNK) {
        const int64_t count = chunk_channels(first, channels);
        const struct rows rows = rows_of(end - begin, channels, first, count);
        const float *const given[] = {norm->scale, norm->offset, coefficients, coefficients + channels,
                                      coefficients + 2 * channels};
        float row_of[5][ROW_MAX] = {0};
        for (int k = 0; k < 5; k++) repeat(row_of[k], given[k] + first, count, rows.width);
        for (int64_t row = 0; row < rows.elements; row += rows.stride) {
            const int64_t left = row_length(&rows, row), start = begin * channels + first + row;
            for (int64_t i = 0; i < left; i += LANES) {
                const vf value = v_load_first_e((const element *)x + start + i, left - i);
                const vf dy_here = v_load_first_e((const element *)dy + start + i, left - i);
                const vf d = activation_grad(dy_here, value, row_of[0] + i, row_of[1] + i, slope);
                const vf rest = v_fma(value, v_load(row_of[3] + i), v_load(row_of[4] + i));
                v_store_first_e((element *)dx + start + i, v_fma(d, v_load(row_of[2] + i), rest), left - i);
            }
        }
    }
}
