/* What all forms of the softmax loss share: where its statistics lie, which pixels are valid, the losses of the sums and the
 * slopes of the Dice loss.  Included by plain/task_losses.c, where the formulas are, and simd/task_losses.c. */
#ifndef COVER_TASK_LOSSES_H
#define COVER_TASK_LOSSES_H

#include "kernels.h"

/* Is the target one of the classes?  Everything else, NaN too, is a pixel that has no part. */
static inline bool is_class(float target, int64_t classes) { return target >= 0 && target < (float)classes; }

/* The sums of an image, as they lie in its statistics. */
struct softmax_sums {
    double *valid, *intersection, *prediction, *truth;
};
static inline struct softmax_sums softmax_sums(double *statistics, int64_t classes) {
    return (struct softmax_sums){statistics, statistics + 1, statistics + 1 + classes, statistics + 1 + 2 * classes};
}

/* 2 I_k + smooth and P_k + T_k + smooth, whose ratio is the Dice of class k */
static inline double dice_above(const double *statistics, int64_t k, const struct softmax_loss *s) {
    return 2 * statistics[1 + k] + (double)s->smooth;
}
static inline double dice_below(const double *statistics, int64_t k, const struct softmax_loss *s) {
    return statistics[1 + s->classes + k] + statistics[1 + 2 * s->classes + k] + (double)s->smooth;
}

/* The losses of an image from its sums; entropy: the sum of -w_t log p_t. */
static inline void softmax_losses(double *loss, double entropy, const double *statistics, const struct softmax_loss *s) {
    double dice = 0;
    for (int64_t k = 1; k < s->classes; k++) dice += dice_above(statistics, k, s) / dice_below(statistics, k, s);
    loss[0] = statistics[0] > 0 ? entropy / statistics[0] : 0;
    loss[1] = 1 - dice / (double)(s->classes - 1);
}

/* dice_weight * d(Dice loss) / dp_k at a pixel of class t is every + (t = k ? own : 0). */
struct dice_slope {
    double every, own;
};
static inline struct dice_slope dice_slope(const double *statistics, int64_t k, const struct softmax_loss *s) {
    if (k == 0 || s->dice_weight == 0) return (struct dice_slope){0, 0};
    const double below = dice_below(statistics, k, s), scale = (double)s->dice_weight / ((double)(s->classes - 1) * below);
    return (struct dice_slope){.every = scale * dice_above(statistics, k, s) / below, .own = -2 * scale};
}

#endif
