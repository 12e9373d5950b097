/* Vector loss: the forms of plain/losses.c, LANES pixels at a time, their mask spread over the components by a
 * permutation. */
#include "interleave.h"

double FORM(vector_loss)(const float *prediction, const float *truth, const float *mask, int64_t pixels, int ndim, int block,
                         int blocks) {
    const struct interleave plan = interleave_of(ndim);
    vd low = vd_zero(), high = vd_zero();
    int64_t begin, end;
    slab_share(pixels, block, blocks, &begin, &end);
    for (int64_t p = begin; p < end; p += LANES) {
        const vf valid = v_load_first(mask + p, end - p);
        for (int k = 0; k < ndim; k++) {
            const int64_t i = p * ndim + k * LANES, left = end * ndim - i;
            if (left <= 0) break;
            const vm counts = V_COMPARE(v_permute(valid, plan.pixel[k]), _CMP_GT_OQ, v_zero());
            const vf difference = v_abs(v_load_first(truth + i, left) - v_load_first(prediction + i, left));
            const vf kept = v_select(counts, difference, v_zero());
            low += vd_low(kept), high += vd_high(kept);
        }
    }
    return vd_sum(low + high);
}

void FORM(vector_loss_grad)(float *dprediction, const float *prediction, const float *truth, const float *mask, int64_t pixels,
                            int ndim, int slab, int slabs) {
    const struct interleave plan = interleave_of(ndim);
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t p = begin; p < end; p += LANES) {
        const vf valid = v_load_first(mask + p, end - p);
        for (int k = 0; k < ndim; k++) {
            const int64_t i = p * ndim + k * LANES, left = end * ndim - i;
            if (left <= 0) break;
            const vm counts = V_COMPARE(v_permute(valid, plan.pixel[k]), _CMP_GT_OQ, v_zero());
            const vf a = v_load_first(prediction + i, left), b = v_load_first(truth + i, left);
            const vf below = v_select(V_COMPARE(a, _CMP_LT_OQ, b), v_all(-1), v_zero());
            const vf sign = v_select(V_COMPARE(a, _CMP_GT_OQ, b), v_all(1), below);
            v_store_first(dprediction + i, v_select(counts, sign, v_zero()), left);
        }
    }
}
