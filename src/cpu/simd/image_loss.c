/* The loss of images, and two by a mask: the forms of plain/image_loss.c, LANES values at a time, sums in double. */
#include "vec.h"

/* 1 / (1 + exp(-x)): with e = exp(-|x|), 1 / (1 + e) or e / (1 + e). */
INLINE vf sigmoid_of(vf x) {
    const vf e = v_exp2(v_all(-0x1.715476p0f) * v_abs(x)), inverse = v_all(1) / (v_all(1) + e);
    return v_select(V_COMPARE(x, _CMP_LT_OQ, v_zero()), e * inverse, inverse);
}

/* Weights of the values from i on, `left` of which exist. */
INLINE vf weights_at(const float *mask, int64_t i, int64_t left, int64_t channels) {
    float some[LANES] = {0};
    if (!mask) return v_all(1);
    if (channels == 1) return v_load_first(mask + i, left);
    for (int64_t k = 0; k < LANES && k < left; k++) some[k] = mask[(i + k) / channels];
    return v_load(some);
}

double FORM(image_loss)(const float *prediction, const float *truth, const float *mask, int64_t pixels, int64_t channels,
                        bool sigmoid, int block, int blocks) {
    vd low = vd_zero(), high = vd_zero();
    int64_t begin, end;
    slab_share(pixels, block, blocks, &begin, &end);
    for (int64_t i = begin * channels, last = end * channels; i < last; i += LANES) {
        vf x = v_load_first(prediction + i, last - i);
        if (sigmoid) x = v_select(vm_first(last - i), sigmoid_of(x), v_zero()); /* 0 behind the last, too */
        const vf difference = x - v_load_first(truth + i, last - i), weights = weights_at(mask, i, last - i, channels);
        const vd d_low = vd_low(difference), d_high = vd_high(difference);
        low = vd_fma(vd_low(weights) * d_low, d_low, low), high = vd_fma(vd_high(weights) * d_high, d_high, high);
    }
    return vd_sum(low + high);
}

void FORM(image_loss_grad)(float *dprediction, const float *prediction, const float *truth, const float *mask, int64_t pixels,
                           int64_t channels, bool sigmoid, int slab, int slabs) {
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t i = begin * channels, last = end * channels; i < last; i += LANES) {
        const vf x = v_load_first(prediction + i, last - i), s = sigmoid ? sigmoid_of(x) : x;
        vf gradient = v_all(2) * weights_at(mask, i, last - i, channels) * (s - v_load_first(truth + i, last - i));
        if (sigmoid) gradient *= s * (v_all(1) - s);
        v_store_first(dprediction + i, gradient, last - i);
    }
}

void FORM(blend)(float *y, const float *mask, const float *a, const float *b, int64_t pixels, int64_t channels, int slab,
                 int slabs) {
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t i = begin * channels, last = end * channels; i < last; i += LANES) {
        const vf weights = weights_at(mask, i, last - i, channels);
        const vf value = weights * v_load_first(a + i, last - i) + (v_all(1) - weights) * v_load_first(b + i, last - i);
        v_store_first(y + i, value, last - i);
    }
}

void FORM(blend_grad)(float *da, float *db, const float *mask, const float *dy, int64_t pixels, int64_t channels, int slab,
                      int slabs) {
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t i = begin * channels, last = end * channels; i < last; i += LANES) {
        const vf weights = weights_at(mask, i, last - i, channels), gradient = v_load_first(dy + i, last - i);
        if (da) v_store_first(da + i, weights * gradient, last - i);
        if (db) v_store_first(db + i, (v_all(1) - weights) * gradient, last - i);
    }
}
