/* Flat vectors: square_sum_plain and adam_plain of plain/vector.c, LANES elements at a time. */
#include "vec.h"

#include <math.h>

double FORM(square_sum)(const float *x, int64_t count) {
    vd low_sum = vd_zero(), high_sum = vd_zero(), low_odd = vd_zero(), high_odd = vd_zero();
    for (int64_t i = 0; i < count; i += 2 * LANES) { /* two pairs of sums hide the additions' latency */
        const vf even = v_load_first(x + i, count - i);
        const vf odd = count - i > LANES ? v_load_first(x + i + LANES, count - i - LANES) : v_zero();
        low_sum = vd_fma(vd_low(even), vd_low(even), low_sum);
        high_sum = vd_fma(vd_high(even), vd_high(even), high_sum);
        low_odd = vd_fma(vd_low(odd), vd_low(odd), low_odd);
        high_odd = vd_fma(vd_high(odd), vd_high(odd), high_odd);
    }
    return vd_sum((low_sum + high_sum) + (low_odd + high_odd));
}

void FORM(adam)(float *weights, float *m, float *v, const float *gradient, int64_t count, const struct adam *s) {
    const vf scale = v_all((float)s->scale), decay = v_all((float)s->weight_decay), epsilon = v_all((float)s->epsilon);
    const vf keep1 = v_all((float)s->beta1), take1 = v_all((float)(1 - s->beta1));
    const vf keep2 = v_all((float)s->beta2), take2 = v_all((float)(1 - s->beta2));
    const vf step = v_all((float)(s->lr / s->correction1)), root = v_all((float)sqrt(s->correction2));
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t left = count - i;
        const vf w = v_load_first(weights + i, left);
        const vf g = v_fma(decay, w, scale * v_load_first(gradient + i, left));
        const vf mean = v_fma(take1, g, keep1 * v_load_first(m + i, left));
        const vf square = v_fma(take2, g * g, keep2 * v_load_first(v + i, left));
        v_store_first(m + i, mean, left);
        v_store_first(v + i, square, left);
        v_store_first(weights + i, w - step * (mean / (v_sqrt(square) / root + epsilon)), left);
    }
}
