/* Pixels of a few components, as fields are stored, to one vector a component and back: by permutations within
 * registers, which is faster than gathering.  Used by warp.c, mov.c, losses.c and task_losses.c. */
#ifndef COVER_INTERLEAVE_H
#define COVER_INTERLEAVE_H

#include "vec.h"

enum { COMPONENTS_MAX = 4 };

/* LANES pixels are `components` vectors in memory.  Element i of vector k belongs to pixel[k][i] and component[k][i];
 * pixel i's component c lies in lane lane[c][i] of vector vector[c][i]. */
struct interleave {
    int components;
    vi pixel[COMPONENTS_MAX], component[COMPONENTS_MAX], lane[COMPONENTS_MAX], vector[COMPONENTS_MAX];
};

static inline struct interleave interleave_of(int components) {
    struct interleave plan = {.components = components};
    int32_t pixel[LANES], component[LANES], lane[LANES], vector[LANES];
    for (int k = 0; k < components; k++) {
        for (int i = 0; i < LANES; i++) {
            pixel[i] = (k * LANES + i) / components;
            component[i] = (k * LANES + i) % components;
            lane[i] = (i * components + k) % LANES;
            vector[i] = (i * components + k) / LANES;
        }
        plan.pixel[k] = vi_load(pixel), plan.component[k] = vi_load(component);
        plan.lane[k] = vi_load(lane), plan.vector[k] = vi_load(vector);
    }
    return plan;
}

/* values[c] = component c of the first `pixels` pixels at `from`, zero behind them. */
INLINE void load_apart(vf *values, const float *from, const struct interleave *plan, int64_t pixels) {
    vf memory[COMPONENTS_MAX];
    for (int k = 0; k < plan->components; k++) {
        const int64_t left = pixels * plan->components - k * LANES;
        memory[k] = left > 0 ? v_load_first(from + k * LANES, left) : v_zero();
    }
    for (int c = 0; c < plan->components; c++) {
        values[c] = v_permute(memory[0], plan->lane[c]);
        for (int k = 1; k < plan->components; k++)
            values[c] = v_select(vi_equal(plan->vector[c], vi_all(k)), v_permute(memory[k], plan->lane[c]), values[c]);
    }
}

/* The reverse, storing the first `pixels` pixels. */
INLINE void store_together(float *to, const vf *values, const struct interleave *plan, int64_t pixels) {
    for (int k = 0; k < plan->components; k++) {
        const int64_t left = pixels * plan->components - k * LANES;
        if (left <= 0) return;
        vf memory = v_permute(values[0], plan->pixel[k]);
        for (int c = 1; c < plan->components; c++)
            memory = v_select(vi_equal(plan->component[k], vi_all(c)), v_permute(values[c], plan->pixel[k]), memory);
        v_store_first(to + k * LANES, memory, left);
    }
}

#endif
