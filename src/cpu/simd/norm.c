/* Group normalisation and leaky ReLU: norm_*_plain in plain/norm.c as one multiply-add an element.
 * With rstd and mean of the channel's group, xhat = x A + B and u = gamma xhat + beta = x UA + UB, so statistics need one
 * pass, the forward one, the backward two.  Sums are kept in double, channel by channel. */
#include "vec.h"

#include <math.h>

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

/* Sums are taken over BLOCK rows in registers, then added to memory: memory is read in order, and no long chain of
 * additions has to be waited for. */
enum { BLOCK = 8 };

INLINE void accumulate(double *sum, vd low, vd high) {
    vd_store(sum, vd_load(sum) + low);
    vd_store(sum + LANES / 2, vd_load(sum + LANES / 2) + high);
}

/* ---- sums */

/* Element i .. i + LANES of `count` rows: sum += x + bias, square += its square; `left` of them exist. */
INLINE void sum_block(double *sum, double *square, const float *x, vf shift, int64_t stride, int count, int64_t left) {
    const vm lanes = vm_first(left);
    vd low_sum = vd_zero(), high_sum = vd_zero(), low_square = vd_zero(), high_square = vd_zero();
    UNROLL for (int row = 0; row < count; row++) {
        vf value = v_load_first(x + row * stride, left) + shift;
        if (left < LANES) value = v_select(lanes, value, v_zero());
        const vd low = vd_low(value), high = vd_high(value);
        low_sum += low, high_sum += high;
        low_square = vd_fma(low, low, low_square), high_square = vd_fma(high, high, high_square);
    }
    accumulate(sum, low_sum, high_sum);
    accumulate(square, low_square, high_square);
}

/* sum and square (width doubles, a whole number of vectors) += sums over all rows. */
static void sum_rows(double *sum, double *square, const float *x, const float *bias, const struct rows *rows) {
    int64_t row = 0;
    for (; row + (BLOCK - 1) * rows->stride + rows->width <= rows->elements; row += BLOCK * rows->stride)
        for (int64_t i = 0; i < rows->width; i += LANES)
            sum_block(sum + i, square + i, x + row + i, v_load(bias + i), rows->stride, BLOCK, rows->width - i);
    for (; row < rows->elements; row += rows->stride)
        for (int64_t i = 0; i < row_length(rows, row); i += LANES)
            sum_block(sum + i, square + i, x + row + i, v_load(bias + i), 0, 1, row_length(rows, row) - i);
}

/* Sums of `groups` whole groups that begin at channel `first`, over `pixels` pixels; at most CHUNK groups. */
static void group_sums(double *sums, double *squares, const float *x, const float *bias, const struct norm_shape *s,
                       int64_t pixels, int64_t first, int64_t groups) {
    const int64_t width = s->channels / s->groups, last = first + groups * width;
    for (int64_t g = 0; g < groups; g++) sums[g] = squares[g] = 0;
    for (int64_t chunk = first; chunk < last; chunk += CHUNK) {
        const int64_t channels = last - chunk < CHUNK ? last - chunk : CHUNK;
        const struct rows rows = rows_of(pixels, s->channels, chunk, channels);
        double sum[ROW_MAX] = {0}, square[ROW_MAX] = {0};
        float shift[ROW_MAX] = {0};
        for (int64_t i = 0; bias && i < rows.width; i++) shift[i] = bias[chunk + i % channels];
        sum_rows(sum, square, x + chunk, shift, &rows);
        for (int64_t i = 0; i < rows.width; i++) {
            const int64_t group = (chunk - first + i % channels) / width;
            sums[group] += sum[i], squares[group] += square[i];
        }
    }
}

void FORM(norm_sums)(double *sums, const float *x, const float *bias, const struct norm_shape *s, int block, int blocks) {
    const int64_t width = s->channels / s->groups, batch = width < CHUNK ? CHUNK / width : 1;
    int64_t begin, end;
    slab_share(s->pixels, block, blocks, &begin, &end);
    for (int64_t g = 0; g < s->groups; g += batch)
        group_sums(sums + g, sums + s->groups + g, x + begin * s->channels, bias, s, end - begin, g * width,
                   s->groups - g < batch ? s->groups - g : batch);
}

/* ---- forward */

/* u = x scale + offset for channels first .. first + channels, repeated to a row's width. */
static void affine(float *scale, float *offset, const float *bias, const float *mean, const float *rstd,
                   const float *gamma, const float *beta, const struct norm_shape *s, int64_t first, int64_t channels,
                   int64_t width) {
    const int64_t group_width = s->channels / s->groups;
    for (int64_t i = 0; i < width; i++) {
        const int64_t c = first + i % channels, g = c / group_width;
        const double gain = gamma ? (double)gamma[c] * rstd[g] : (double)rstd[g];
        scale[i] = (float)gain;
        offset[i] = (float)(((bias ? (double)bias[c] : 0) - mean[g]) * gain + (beta ? (double)beta[c] : 0));
    }
}

void FORM(norm_apply)(float *y, const float *x, const float *bias, const float *mean, const float *rstd,
                      const float *gamma, const float *beta, const struct norm_shape *s, int slab, int slabs) {
    const vf slope = v_all(s->slope);
    int64_t begin, end;
    slab_share(s->pixels, slab, slabs, &begin, &end);
    for (int64_t first = 0; first < s->channels; first += CHUNK) {
        const int64_t channels = s->channels - first < CHUNK ? s->channels - first : CHUNK;
        const struct rows rows = rows_of(end - begin, s->channels, first, channels);
        const int64_t start = begin * s->channels + first;
        float scale[ROW_MAX], offset[ROW_MAX];
        affine(scale, offset, bias, mean, rstd, gamma, beta, s, first, channels, rows.width);
        for (int64_t row = 0; row < rows.elements; row += rows.stride) {
            const int64_t left = row_length(&rows, row);
            const float *in = x + start + row;
            float *out = y + start + row;
            for (int64_t i = 0; i < left; i += LANES) {
                const vf u = v_fma(v_load_first(in + i, left - i), v_load(scale + i), v_load(offset + i));
                v_store_first(out + i, v_select(V_COMPARE(u, _CMP_GT_OQ, v_zero()), u, u * slope), left - i);
            }
        }
    }
}

/* ---- backward */

/* Coefficients of a row: xhat = x a + b, u = x ua + ub, dx = d g + x xa + xb; sums over all rows. */
struct gradient {
    float *a, *b, *ua, *ub, *g, *xa, *xb;
    double *d, *d_xhat, *xhat;
};

static struct gradient layout(void *workspace, int64_t width) {
    struct gradient w;
    double *sums = workspace;
    w.d = sums, w.d_xhat = sums + width, w.xhat = sums + 2 * width;
    float *floats = (float *)(sums + 3 * width), **arrays[] = {&w.a, &w.b, &w.ua, &w.ub, &w.g, &w.xa, &w.xb};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) *arrays[i] = floats + (int64_t)i * width;
    return w;
}

/* d, the gradient behind the activation. */
INLINE vf activation_grad(vf dy, vf x, const struct gradient *w, int64_t i, vf slope) {
    const vf u = v_fma(x, v_load(w->ua + i), v_load(w->ub + i));
    return v_select(V_COMPARE(u, _CMP_GT_OQ, v_zero()), dy, dy * slope);
}

/* Element i .. i + LANES of `count` rows; `left` of them exist. */
INLINE void gradient_block(const struct gradient *w, const float *dy, const float *x, int64_t i, vf slope, int64_t stride,
                           int count, int64_t left) {
    const vm lanes = vm_first(left);
    const vf a = v_load(w->a + i), b = v_load(w->b + i);
    vd d0 = vd_zero(), d1 = d0, product0 = d0, product1 = d0, xhat0 = d0, xhat1 = d0;
    UNROLL for (int row = 0; row < count; row++) {
        const vf value = v_load_first(x + row * stride + i, left);
        const vf d = activation_grad(v_load_first(dy + row * stride + i, left), value, w, i, slope);
        vf xhat = v_fma(value, a, b);
        if (left < LANES) xhat = v_select(lanes, xhat, v_zero());
        const vd low = vd_low(xhat), high = vd_high(xhat), low_d = vd_low(d), high_d = vd_high(d);
        d0 += low_d, d1 += high_d, xhat0 += low, xhat1 += high;
        product0 = vd_fma(low_d, low, product0), product1 = vd_fma(high_d, high, product1);
    }
    accumulate(w->d + i, d0, d1);
    accumulate(w->d_xhat + i, product0, product1);
    accumulate(w->xhat + i, xhat0, xhat1);
}

static void sum_gradients(const struct gradient *w, const float *dy, const float *x, const struct rows *rows,
                          vf slope) {
    int64_t row = 0;
    for (; row + (BLOCK - 1) * rows->stride + rows->width <= rows->elements; row += BLOCK * rows->stride)
        for (int64_t i = 0; i < rows->width; i += LANES)
            gradient_block(w, dy + row, x + row, i, slope, rows->stride, BLOCK, rows->width - i);
    for (; row < rows->elements; row += rows->stride)
        for (int64_t i = 0; i < row_length(rows, row); i += LANES)
            gradient_block(w, dy + row, x + row, i, slope, 0, 1, row_length(rows, row) - i);
}

/* dgamma, dbeta, dbias, and the coefficients of dx, from the sums; a row's pixels are added up into the first. */
static void finish_sums(const struct gradient *w, float *dgamma, float *dbeta, float *dbias, const float *rstd,
                        const float *gamma, const struct norm_shape *s, int64_t width) {
    const int64_t group_width = s->channels / s->groups;
    const double pixels = (double)s->pixels, count = pixels * (double)group_width;
    for (int64_t i = s->channels; i < width; i++) {
        const int64_t c = i % s->channels;
        w->d[c] += w->d[i], w->d_xhat[c] += w->d_xhat[i], w->xhat[c] += w->xhat[i];
    }
    for (int64_t g = 0; g < s->groups; g++) {
        double mean_d = 0, mean_d_xhat = 0;
        for (int64_t c = g * group_width; c < (g + 1) * group_width; c++) {
            mean_d += gamma[c] * w->d[c] / count;
            mean_d_xhat += gamma[c] * w->d_xhat[c] / count;
        }
        for (int64_t c = g * group_width; c < (g + 1) * group_width; c++) {
            dgamma[c] = (float)w->d_xhat[c];
            dbeta[c] = (float)w->d[c];
            if (dbias) dbias[c] = (float)(rstd[g] * (gamma[c] * w->d[c] - pixels * mean_d - mean_d_xhat * w->xhat[c]));
            w->g[c] = gamma[c] * rstd[g];
            w->xa[c] = (float)(-mean_d_xhat * rstd[g] * w->a[c]);
            w->xb[c] = (float)(-mean_d_xhat * rstd[g] * w->b[c] - mean_d * rstd[g]);
        }
    }
    for (int64_t i = s->channels; i < width; i++) {
        const int64_t c = i % s->channels;
        w->g[i] = w->g[c], w->xa[i] = w->xa[c], w->xb[i] = w->xb[c];
    }
}

void FORM(norm_grad)(float *dx, float *dgamma, float *dbeta, float *dbias, const float *dy, const float *x,
                     const float *bias, const float *mean, const float *rstd, const float *gamma, const float *beta,
                     const struct norm_shape *s, void *workspace) {
    const struct rows rows = rows_of(s->pixels, s->channels, 0, s->channels);
    const int64_t padded = (rows.width + LANES - 1) / LANES * LANES;
    const struct gradient w = layout(workspace, padded);
    const vf slope = v_all(s->slope);
    memset(workspace, 0, (size_t)padded * (3 * sizeof(double) + 7 * sizeof(float)));
    affine(w.a, w.b, bias, mean, rstd, NULL, NULL, s, 0, s->channels, rows.width);
    affine(w.ua, w.ub, bias, mean, rstd, gamma, beta, s, 0, s->channels, rows.width);
    sum_gradients(&w, dy, x, &rows, slope);
    finish_sums(&w, dgamma, dbeta, dbias, rstd, gamma, s, rows.width);
    for (int64_t row = 0; row < rows.elements; row += rows.stride) {
        const int64_t left = row_length(&rows, row);
        for (int64_t i = 0; i < left; i += LANES) {
            const vf value = v_load_first(x + row + i, left - i);
            const vf d = activation_grad(v_load_first(dy + row + i, left - i), value, &w, i, slope);
            const vf rest = v_fma(value, v_load(w.xa + i), v_load(w.xb + i));
            v_store_first(dx + row + i, v_fma(d, v_load(w.g + i), rest), left - i);
        }
    }
}
