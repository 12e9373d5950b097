/* The constants of Adam and of clipping.  Called by train/engine.c; kernels get them with each update. */
#include "adam.h"

#include <math.h>

struct adam adam_update(int64_t step, double lr, double weight_decay, int64_t count) {
    struct adam adam = {.lr = lr,
                        .beta1 = 0.9,
                        .beta2 = 0.999,
                        .epsilon = 1e-8,
                        .weight_decay = weight_decay,
                        .scale = 1.0 / (double)count,
                        .step = step,
                        .clip_epsilon = 1e-6};
    adam.correction1 = 1 - pow(adam.beta1, (double)step), adam.correction2 = 1 - pow(adam.beta2, (double)step);
    return adam;
}

struct adam adam_rated(struct adam adam, double factor, double beta1) {
    adam.lr *= factor, adam.beta1 = beta1;
    adam.correction1 = 1 - pow(beta1, (double)adam.step);
    return adam;
}

struct adam adam_clipped(struct adam adam, double clip, double norm) {
    if (clip > 0 && norm > clip) adam.scale *= clip / (norm + adam.clip_epsilon);
    return adam;
}
