/* Rows against rows: the forms of plain/row_products.c.  A block of a few rows and keys stays in registers; at the edges its last row
 * or key is taken again, so that no result depends on where a block begins. */
#include "vec.h"

#include <math.h>

enum { ROWS = 3, KEYS = 4, MIXED = 4, WIDE = 2 }; /* rows x keys, and rows x vectors of channels, of a block */

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Products along the channels, one after the other; the lanes are added up at the end. */
static void products_of(float *out, int64_t stride, const float *a, int64_t rows, const float *b, int64_t keys, int64_t channels) {
    vf sum[ROWS][KEYS];
    const float *row[ROWS], *key[KEYS];
    int64_t c = 0;
    UNROLL for (int i = 0; i < ROWS; i++) row[i] = a + least(i, rows - 1) * channels;
    UNROLL for (int j = 0; j < KEYS; j++) key[j] = b + least(j, keys - 1) * channels;
    UNROLL for (int i = 0; i < ROWS; i++) UNROLL for (int j = 0; j < KEYS; j++) sum[i][j] = v_zero();
    for (; c + LANES <= channels; c += LANES) UNROLL for (int j = 0; j < KEYS; j++) {
            const vf value = v_load(key[j] + c);
            UNROLL for (int i = 0; i < ROWS; i++) sum[i][j] = v_fma(v_load(row[i] + c), value, sum[i][j]);
        }
    if (c < channels) {
        const vm left = vm_first(channels - c);
        UNROLL for (int j = 0; j < KEYS; j++) {
            const vf value = v_load_some(key[j] + c, left);
            UNROLL for (int i = 0; i < ROWS; i++) sum[i][j] = v_fma(v_load_some(row[i] + c, left), value, sum[i][j]);
        }
    }
    for (int64_t i = 0; i < least(rows, ROWS); i++) {
        float found[KEYS];
        v_sum4(found, sum[i]);
        memcpy(out + i * stride, found, (size_t)least(keys, KEYS) * sizeof *found);
    }
}
void FORM(row_products)(float *out, int64_t stride, const float *a, int64_t rows, const float *b, int64_t keys, int64_t channels) {
    for (int64_t j = 0; j < keys; j += KEYS)
        for (int64_t i = 0; i < rows; i += ROWS)
            products_of(out + i * stride + j, stride, a + i * channels, rows - i, b + j * channels, keys - j, channels);
}

/* `width` channels, at most those of a block. */
INLINE void mix_block(float *out, const float *weights, int64_t stride, int64_t rows, const float *b, int64_t keys,
                      int64_t channels, int64_t width) {
    vf sum[MIXED][WIDE];
    vm lanes[WIDE];
    UNROLL for (int k = 0; k < WIDE; k++) lanes[k] = vm_first(width > k * LANES ? width - k * LANES : 0);
    UNROLL for (int i = 0; i < MIXED; i++) UNROLL for (int k = 0; k < WIDE; k++) sum[i][k] = v_zero();
    for (int64_t j = 0; j < keys; j++) {
        vf value[WIDE];
        UNROLL for (int k = 0; k < WIDE; k++) value[k] =
            width == WIDE * LANES ? v_load(b + j * channels + k * LANES) : v_load_some(b + j * channels + k * LANES, lanes[k]);
        UNROLL for (int i = 0; i < MIXED; i++) {
            const vf weight = v_all(weights[least(i, rows - 1) * stride + j]);
            UNROLL for (int k = 0; k < WIDE; k++) sum[i][k] = v_fma(weight, value[k], sum[i][k]);
        }
    }
    UNROLL for (int i = 0; i < MIXED; i++) UNROLL for (int k = 0; k < WIDE; k++) {
        float *const to = out + i * channels + k * LANES;
        if (i < rows) v_store_some(to, v_load_some(to, lanes[k]) + sum[i][k], lanes[k]);
    }
}
void FORM(row_mix)(float *out, const float *weights, int64_t stride, int64_t rows, const float *b, int64_t keys, int64_t channels) {
    for (int64_t c = 0; c < channels; c += WIDE * LANES)
        for (int64_t i = 0; i < rows; i += MIXED)
            mix_block(out + i * channels + c, weights + i * stride, stride, rows - i, b + c, keys, channels,
                      least(channels - c, WIDE * LANES));
}

void FORM(row_inverses)(float *inverse, const float *x, int64_t rows, int64_t channels) {
    for (int64_t i = 0; i < rows; i++) {
        vd square = vd_zero();
        for (int64_t c = 0; c < channels; c += LANES) {
            const vf value = v_load_first(x + i * channels + c, channels - c);
            square = vd_fma(vd_low(value), vd_low(value), square), square = vd_fma(vd_high(value), vd_high(value), square);
        }
        const double length = sqrt(vd_sum(square));
        inverse[i] = (float)(1 / (length < 1e-12 ? 1e-12 : length));
    }
}

double FORM(row_log_sum)(float *largest, const float *x, int64_t count, float scale) {
    const vf power = v_all(scale * 0x1.715476p+0f); /* 1 / log 2 */
    vf most = v_all(x[0]);
    vd sum = vd_zero();
    float lane[LANES], found;
    int64_t j = 0;
    for (; j + LANES <= count; j += LANES) most = v_max(v_load(x + j), most);
    v_store(lane, most);
    found = lane[0];
    for (int k = 1; k < LANES; k++) found = lane[k] > found ? lane[k] : found;
    for (; j < count; j++) found = x[j] > found ? x[j] : found;
    most = v_all(found);
    for (j = 0; j < count; j += LANES) {
        const vf value = v_exp2((v_load_first(x + j, count - j) - most) * power);
        const vf kept = count - j < LANES ? v_select(vm_first(count - j), value, v_zero()) : value;
        sum += vd_low(kept) + vd_high(kept);
    }
    *largest = found;
    return (double)scale * found + log(vd_sum(sum));
}

/* The exponent is taken apart at its largest part, so that it has the digits of a double; it is at most a little above 0. */
void FORM(row_shares)(float *weights, const float *x, int64_t count, float scale, double log_sum, double factor) {
    const float middle = (float)(log_sum / (double)scale);
    const float rest = (float)(factor * exp((double)scale * middle - log_sum));
    const vf power = v_all(scale * 0x1.715476p+0f);
    for (int64_t j = 0; j < count; j += LANES) {
        const vf value = v_exp2((v_load_first(x + j, count - j) - v_all(middle)) * power);
        v_store_first(weights + j, value * v_all(rest), count - j);
    }
}
