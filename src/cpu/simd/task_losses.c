/* Losses of segmentation and classification: the forms of plain/task_losses.c.  The softmax takes LANES pixels at a time,
 * turned to one vector a class; few classes, the common case, stay in registers.  The sigmoid runs along the entries.
 * Lanes behind the last pixel count as pixels without a class. */
#include "../task_losses.h"
#include "interleave.h"
#include "transpose.h"

enum { MOST_CLASSES = 256 }; /* that the buffers hold; more are left to the plain form */

INLINE vm first_lanes(int64_t count) { return vm_first(count < LANES ? count : LANES); }
INLINE void add_halves(vd *sum, vf a) { *sum += vd_low(a) + vd_high(a); }

/* exp(a) for a <= 0; nothing smaller than 2^-100 but zero, so that no product is slow.  NaN stays NaN. */
INLINE vf exp_below(vf a) {
    const vf power = a * v_all(0x1.715476p+0f), smallest = v_all(-100);
    return v_select(V_COMPARE(power, _CMP_LT_OQ, smallest), v_zero(), v_exp2(v_max(smallest, power)));
}

/* ---- pixels to one vector a class and back */

struct layout {
    struct interleave few;
    int64_t place[MOST_CLASSES];
};

static void layout_of(struct layout *layout, int64_t classes) {
    if (classes <= COMPONENTS_MAX) layout->few = interleave_of((int)classes);
    for (int64_t k = 0; k < classes; k++) layout->place[k] = k * LANES;
}

INLINE void load_classes(vf *z, const float *from, const struct layout *layout, int64_t pixels, int64_t classes) {
    if (classes <= COMPONENTS_MAX) {
        struct interleave plan = layout->few;
        plan.components = (int)classes; /* known to the compiler */
        load_apart(z, from, &plan, pixels);
        return;
    }
    if (pixels < LANES) memset(z, 0, (size_t)classes * sizeof *z);
    channels_apart((float *)z, layout->place, from, pixels < LANES ? pixels : LANES, classes, 1);
}

INLINE void store_classes(float *to, const vf *z, const struct layout *layout, int64_t pixels, int64_t classes) {
    if (classes <= COMPONENTS_MAX) {
        struct interleave plan = layout->few;
        plan.components = (int)classes;
        store_together(to, z, &plan, pixels);
        return;
    }
    channels_together(to, (const float *)z, layout->place, pixels < LANES ? pixels : LANES, classes, 1);
}

/* ---- softmax */

/* The classes of the next pixels, -1 where there is none, and which lanes are valid. */
INLINE vm load_targets(vf *t, const float *target, int64_t pixels, int64_t classes) {
    const vf value = v_load_first(target, pixels);
    const vm high_enough = V_COMPARE(value, _CMP_GE_OQ, v_zero());
    const vm low_enough = V_COMPARE(value, _CMP_LT_OQ, v_all((float)classes));
    const vm valid = vm_and(vm_and(high_enough, low_enough), first_lanes(pixels));
    *t = v_select(valid, v_floor(value), v_all(-1));
    return valid;
}
INLINE vm is_target(vf t, int64_t k) { return V_COMPARE(t, _CMP_EQ_OQ, v_all((float)k)); }

INLINE vf largest_of(const vf *z, int64_t classes) {
    vf largest = z[0];
    for (int64_t k = 1; k < classes; k++) largest = v_max(z[k], largest);
    return largest;
}

/* z becomes exp(z - largest); the result is their sum. */
INLINE vf exponentials(vf *z, vf largest, int64_t classes) {
    vf sum = v_zero();
    for (int64_t k = 0; k < classes; k++) z[k] = exp_below(z[k] - largest), sum += z[k];
    return sum;
}

INLINE void loss_of(double *loss, double *statistics, const float *logits, const float *target, const float *class_weights,
                    const struct softmax_loss *s, const int64_t classes) {
    struct layout layout;
    vf z[MOST_CLASSES], t;
    vd prediction[MOST_CLASSES], intersection[MOST_CLASSES], entropies = vd_zero();
    int64_t truth[MOST_CLASSES], valid_pixels = 0;
    layout_of(&layout, classes);
    for (int64_t k = 0; k < classes; k++) prediction[k] = intersection[k] = vd_zero(), truth[k] = 0;
    for (int64_t p = 0; p < s->pixels; p += LANES) {
        const vm valid = load_targets(&t, target + p, s->pixels - p, classes);
        if (vm_none(valid)) continue;
        load_classes(z, logits + p * classes, &layout, s->pixels - p, classes);
        vf chosen = v_zero(), weight = v_all(1);
        for (int64_t k = 0; k < classes; k++) {
            const vm own = is_target(t, k);
            chosen = v_select(own, z[k], chosen);
            if (class_weights) weight = v_select(own, v_all(class_weights[k]), weight);
        }
        const vf largest = largest_of(z, classes), sum = exponentials(z, largest, classes), inverse = v_all(1) / sum;
        add_halves(&entropies, v_select(valid, weight * (v_log(sum) - (chosen - largest)), v_zero()));
        valid_pixels += __builtin_popcount(vm_bits(valid));
        for (int64_t k = 0; k < classes; k++) {
            const vf probability = v_select(valid, z[k] * inverse, v_zero());
            const vm own = is_target(t, k);
            add_halves(&prediction[k], probability);
            add_halves(&intersection[k], v_select(own, probability, v_zero()));
            truth[k] += __builtin_popcount(vm_bits(own));
        }
    }
    const struct softmax_sums sums = softmax_sums(statistics, classes);
    *sums.valid = (double)valid_pixels;
    for (int64_t k = 0; k < classes; k++) {
        sums.prediction[k] = vd_sum(prediction[k]), sums.intersection[k] = vd_sum(intersection[k]);
        sums.truth[k] = (double)truth[k];
    }
    softmax_losses(loss, vd_sum(entropies), statistics, s);
}

INLINE void grad_of(float *dlogits, const float *logits, const float *target, const float *class_weights, const double *statistics,
                    const struct softmax_loss *s, const int64_t classes) {
    struct layout layout;
    vf z[MOST_CLASSES], t;
    float every[MOST_CLASSES], own_slope[MOST_CLASSES], entropies[MOST_CLASSES];
    const bool dice = s->dice_weight != 0;
    layout_of(&layout, classes);
    for (int64_t k = 0; k < classes; k++) {
        const struct dice_slope slope = dice_slope(statistics, k, s);
        every[k] = (float)slope.every, own_slope[k] = (float)slope.own;
        entropies[k] = (float)((double)s->ce_weight * (class_weights ? (double)class_weights[k] : 1) / statistics[0]);
    }
    for (int64_t p = 0; p < s->pixels; p += LANES) {
        const vm valid = load_targets(&t, target + p, s->pixels - p, classes);
        float *to = dlogits + p * classes;
        if (vm_none(valid)) {
            const int64_t here = s->pixels - p < LANES ? s->pixels - p : LANES;
            memset(to, 0, (size_t)(here * classes) * sizeof *to);
            continue;
        }
        load_classes(z, logits + p * classes, &layout, s->pixels - p, classes);
        const vf inverse = v_all(1) / exponentials(z, largest_of(z, classes), classes);
        vf entropy = v_zero(), own = v_zero(), mean = v_zero(); /* of the pixel's class, of its class, of all slopes */
        for (int64_t k = 0; k < classes; k++) {
            const vm here = is_target(t, k);
            z[k] *= inverse;
            entropy = v_select(here, v_all(entropies[k]), entropy);
            if (!dice) continue;
            own = v_select(here, z[k] * v_all(own_slope[k]), own);
            mean = v_fma(z[k], v_all(every[k]), mean);
        }
        const vf rest = entropy - (mean + own), more = own - entropy;
        for (int64_t k = 0; k < classes; k++) {
            vf slope = rest;
            if (dice) slope += v_all(every[k]);
            const vf gradient = v_fma(z[k], slope, v_select(is_target(t, k), more, v_zero()));
            z[k] = v_select(valid, gradient, v_zero());
        }
        store_classes(to, z, &layout, s->pixels - p, classes);
    }
}

void FORM(softmax_loss)(double *loss, double *statistics, const float *logits, const float *target, const float *class_weights,
                        const struct softmax_loss *s) {
    if (s->classes == 2) loss_of(loss, statistics, logits, target, class_weights, s, 2);
    else if (s->classes == 3) loss_of(loss, statistics, logits, target, class_weights, s, 3);
    else if (s->classes == 4) loss_of(loss, statistics, logits, target, class_weights, s, 4);
    else if (s->classes <= MOST_CLASSES) loss_of(loss, statistics, logits, target, class_weights, s, s->classes);
    else softmax_loss_plain(loss, statistics, logits, target, class_weights, s);
}

void FORM(softmax_loss_grad)(float *dlogits, const float *logits, const float *target, const float *class_weights,
                             const double *statistics, const struct softmax_loss *s) {
    if (s->classes == 2) grad_of(dlogits, logits, target, class_weights, statistics, s, 2);
    else if (s->classes == 3) grad_of(dlogits, logits, target, class_weights, statistics, s, 3);
    else if (s->classes == 4) grad_of(dlogits, logits, target, class_weights, statistics, s, 4);
    else if (s->classes <= MOST_CLASSES) grad_of(dlogits, logits, target, class_weights, statistics, s, s->classes);
    else softmax_loss_grad_plain(dlogits, logits, target, class_weights, statistics, s);
}

/* ---- sigmoid */

/* The weights of LANES entries from the one whose class stands in lane 0; `k` moves on to the next. */
INLINE vf next_weights(vf *k, const float *class_weights, int64_t classes) {
    if (!class_weights) return v_all(1);
    const vf weight = v_gather(class_weights, v_to_int(*k), vm_first(LANES));
    const vf next = *k + v_all((float)(LANES % classes));
    *k = v_select(V_COMPARE(next, _CMP_GE_OQ, v_all((float)classes)), next - v_all((float)classes), next);
    return weight;
}
static vf first_classes(int64_t classes) {
    float k[LANES];
    for (int i = 0; i < LANES; i++) k[i] = (float)(i % classes);
    return v_load(k);
}
INLINE vm load_known(vf *t, const float *target, int64_t left) {
    *t = v_load_first(target, left);
    return vm_and(V_COMPARE(*t, _CMP_NLT_UQ, v_zero()), first_lanes(left));
}

double FORM(sigmoid_loss)(double *statistics, const float *logits, const float *target, const float *class_weights, int64_t pixels,
                          int64_t classes) {
    vf k = first_classes(classes), t;
    vd sum = vd_zero();
    int64_t count = 0;
    for (int64_t i = 0; i < pixels * classes; i += LANES) {
        const int64_t left = pixels * classes - i;
        const vm known = load_known(&t, target + i, left);
        const vf z = v_load_first(logits + i, left), weight = next_weights(&k, class_weights, classes);
        const vf loss = v_max(v_zero(), z) - z * t + v_log(v_all(1) + exp_below(v_zero() - v_abs(z)));
        add_halves(&sum, v_select(known, weight * loss, v_zero()));
        count += __builtin_popcount(vm_bits(known));
    }
    *statistics = (double)count;
    return count > 0 ? vd_sum(sum) / (double)count : 0;
}

void FORM(sigmoid_loss_grad)(float *dlogits, const float *logits, const float *target, const float *class_weights,
                             const double *statistics, int64_t pixels, int64_t classes) {
    vf k = first_classes(classes), t;
    const vf scale = v_all((float)(1 / *statistics));
    for (int64_t i = 0; i < pixels * classes; i += LANES) {
        const int64_t left = pixels * classes - i;
        const vm known = load_known(&t, target + i, left);
        const vf z = v_load_first(logits + i, left), weight = next_weights(&k, class_weights, classes);
        const vf e = exp_below(v_zero() - v_abs(z)), above = v_select(V_COMPARE(z, _CMP_LT_OQ, v_zero()), e, v_all(1));
        const vf gradient = weight * (above / (v_all(1) + e) - t) * scale;
        v_store_first(dlogits + i, v_select(known, gradient, v_zero()), left);
    }
}
