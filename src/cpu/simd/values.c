/* Element by element: the forms of plain/values.c, LANES at a time. */
#include "vec.h"

void FORM(scaled)(void *y, const void *x, float scale, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += LANES)
        v_store_first_e((element *)y + i, v_load_first_e((const element *)x + i, end - i) * v_all(scale), end - i);
}

void FORM(leaky)(void *y, const void *x, float slope, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += LANES)
        v_store_first_e((element *)y + i, v_leaky(v_load_first_e((const element *)x + i, end - i), v_all(slope)), end - i);
}

void FORM(leaky_grad)(void *dx, const void *dy, const void *y, float slope, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += LANES) {
        const vf gradient = v_load_first_e((const element *)dy + i, end - i);
        const vm positive = V_COMPARE(v_load_first_e((const element *)y + i, end - i), _CMP_GT_OQ, v_zero());
        v_store_first_e((element *)dx + i, v_select(positive, gradient, gradient * v_all(slope)), end - i);
    }
}
