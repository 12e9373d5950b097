/* Vector loss and consistency: the forms of plain/losses.c.  The vector loss takes LANES pixels at a time, their mask
 * spread over the components by a permutation; the cosine takes a pixel at a time, vectors along the channels. */
#include "interleave.h"

#include <math.h>

double FORM(vector_loss)(const float *prediction, const float *truth, const float *mask, int64_t pixels, int ndim) {
    const struct interleave plan = interleave_of(ndim);
    vd low = vd_zero(), high = vd_zero();
    for (int64_t p = 0; p < pixels; p += LANES) {
        const vf valid = v_load_first(mask + p, pixels - p);
        for (int k = 0; k < ndim; k++) {
            const int64_t i = p * ndim + k * LANES, left = pixels * ndim - i;
            if (left <= 0) break;
            const vm counts = V_COMPARE(v_permute(valid, plan.pixel[k]), _CMP_GT_OQ, v_zero());
            const vf difference = v_abs(v_load_first(truth + i, left) - v_load_first(prediction + i, left));
            const vf kept = v_select(counts, difference, v_zero());
            low += vd_low(kept), high += vd_high(kept);
        }
    }
    return vd_sum(low + high);
}

void FORM(vector_loss_grad)(float *dprediction, const float *prediction, const float *truth, const float *mask,
                            int64_t pixels, int ndim) {
    const struct interleave plan = interleave_of(ndim);
    for (int64_t p = 0; p < pixels; p += LANES) {
        const vf valid = v_load_first(mask + p, pixels - p);
        for (int k = 0; k < ndim; k++) {
            const int64_t i = p * ndim + k * LANES, left = pixels * ndim - i;
            if (left <= 0) break;
            const vm counts = V_COMPARE(v_permute(valid, plan.pixel[k]), _CMP_GT_OQ, v_zero());
            const vf a = v_load_first(prediction + i, left), b = v_load_first(truth + i, left);
            const vf below = v_select(V_COMPARE(a, _CMP_LT_OQ, b), v_all(-1), v_zero());
            const vf sign = v_select(V_COMPARE(a, _CMP_GT_OQ, b), v_all(1), below);
            v_store_first(dprediction + i, v_select(counts, sign, v_zero()), left);
        }
    }
}

/* <a, b>, <a, a> and <b, b> of one pixel. */
struct products {
    float ab, aa, bb;
};

INLINE struct products products(const float *a, const float *b, int64_t channels) {
    vf ab = v_zero(), aa = v_zero(), bb = v_zero();
    for (int64_t c = 0; c < channels; c += LANES) {
        const vf va = v_load_first(a + c, channels - c), vb = v_load_first(b + c, channels - c);
        ab = v_fma(va, vb, ab), aa = v_fma(va, va, aa), bb = v_fma(vb, vb, bb);
    }
    return (struct products){v_sum(ab), v_sum(aa), v_sum(bb)};
}

static const float smallest_norm = 1e-12f;

INLINE float norm(float square) {
    const float length = sqrtf(square);
    return length < smallest_norm ? smallest_norm : length; /* a NaN stays */
}

double FORM(cosine_sum)(const float *a, const float *b, const float *mask, int64_t pixels, int64_t channels) {
    double sum = 0;
    for (int64_t p = 0; p < pixels; p++, a += channels, b += channels) {
        if (!(mask[p] > 0)) continue;
        const struct products at = products(a, b, channels);
        sum += (double)(at.ab / (norm(at.aa) * norm(at.bb)));
    }
    return sum;
}

void FORM(cosine_sum_grad)(float *da, float *db, const float *a, const float *b, const float *mask, int64_t pixels,
                           int64_t channels) {
    for (int64_t p = 0; p < pixels; p++, a += channels, b += channels, da += channels, db += channels) {
        if (!(mask[p] > 0)) {
            memset(da, 0, (size_t)channels * sizeof *da);
            memset(db, 0, (size_t)channels * sizeof *db);
            continue;
        }
        /* da = a aa + b ab and db = b bb + a ab, with scalars from the three products */
        const struct products at = products(a, b, channels);
        const float length_a = norm(at.aa), length_b = norm(at.bb), both = length_a * length_b;
        const float cosine = at.ab / both;
        const vf ab = v_all(-1 / both);
        const vf aa = v_all(length_a <= smallest_norm ? 0 : cosine / (length_a * length_a));
        const vf bb = v_all(length_b <= smallest_norm ? 0 : cosine / (length_b * length_b));
        for (int64_t c = 0; c < channels; c += LANES) {
            const vf va = v_load_first(a + c, channels - c), vb = v_load_first(b + c, channels - c);
            v_store_first(da + c, v_fma(va, aa, vb * ab), channels - c);
            v_store_first(db + c, v_fma(vb, bb, va * ab), channels - c);
        }
    }
}
