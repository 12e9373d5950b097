/* One Adam update, as the trainer asks for it and the kernels do it (Kingma and Ba, 2015, with PyTorch's L2 decay). */
#ifndef COVER_ADAM_H
#define COVER_ADAM_H

struct adam { /* correction1 = 1 - beta1^t, correction2 = 1 - beta2^t; the gradient is scaled by `scale` first.  In double,
               * because 1 - 0.999 in float is off by 1e-5. */
    double lr, beta1, beta2, epsilon, weight_decay, correction1, correction2, scale;
};

#endif
