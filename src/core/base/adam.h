/* One Adam update, as the trainer asks for it and the kernels do it (Kingma and Ba, 2015, with PyTorch's L2 decay). */
#ifndef COVER_ADAM_H
#define COVER_ADAM_H

#include <stdint.h>

struct adam { /* correction1 = 1 - beta1^t, correction2 = 1 - beta2^t; the gradient is scaled by `scale` first.  In double,
               * because 1 - 0.999 in float is off by 1e-5. */
    double lr, beta1, beta2, epsilon, weight_decay, correction1, correction2, scale;
    int64_t step;        /* t */
    double clip_epsilon; /* the scale of a gradient whose norm is above a clip is multiplied by clip / (norm + clip_epsilon) */
};
/* Update number `step`, from 1 on, with PyTorch's constants; `count` is what the gradient is a sum over. */
struct adam adam_update(int64_t step, double lr, double weight_decay, int64_t count);
/* The same for parameters with a rate of `factor` times its and a beta1 of their own. */
struct adam adam_rated(struct adam adam, double factor, double beta1);
/* The same where the gradient's norm is above `clip` (0 = none). */
struct adam adam_clipped(struct adam adam, double clip, double norm);

#endif
