/* Flat vectors, plain C: what the forms in simd/vector.c must equal.  The global norm, and Adam (Kingma
 * and Ba, 2015) with PyTorch's L2 decay:
 *
 *   g = scale * gradient + weight_decay * w        m = beta1 m + (1 - beta1) g        v = beta2 v + (1 - beta2) g^2
 *   w = w - lr / correction1 * m / (sqrt(v) / sqrt(correction2) + epsilon) */
#include "../forms.h"

#include <math.h>

double square_sum_plain(const float *x, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (double)x[i] * x[i];
    return sum;
}

void adam_plain(float *weights, float *m, float *v, const float *gradient, int64_t count, const struct adam *s) {
    const float scale = (float)s->scale, decay = (float)s->weight_decay, epsilon = (float)s->epsilon;
    const float keep1 = (float)s->beta1, keep2 = (float)s->beta2;
    const float take1 = (float)(1 - s->beta1), take2 = (float)(1 - s->beta2);
    const float step = (float)(s->lr / s->correction1), root = (float)sqrt(s->correction2);
    for (int64_t i = 0; i < count; i++) {
        const float g = scale * gradient[i] + decay * weights[i];
        m[i] = keep1 * m[i] + take1 * g;
        v[i] = keep2 * v[i] + take2 * (g * g);
        weights[i] -= step * (m[i] / (sqrtf(v[i]) / root + epsilon));
    }
}
