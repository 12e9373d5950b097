/* Losses of segmentation and classification, plain C: what the forms in simd/task_losses.c must equal.  One image; t is the
 * class of a pixel, n the number of valid pixels or known entries, w the class weights.
 *
 *   p_k          = exp(z_k - max z) / sum over j of exp(z_j - max z)
 *   softmax_loss = {sum over valid pixels of -w_t log p_t / n,  1 - mean over k >= 1 of (2 I_k + s) / (P_k + T_k + s)}
 *   dz_k         = ce w_t / n (p_k - [k = t])  +  p_k (g_k - sum over j of p_j g_j),  g_k = dice d(Dice loss) / dp_k
 *   sigmoid_loss = sum over known entries of w_k (max(z, 0) - z t + log(1 + exp(-|z|))) / n
 *   dz           = w_k (1 / (1 + exp(-z)) - t) / n where known
 *
 * The cross-entropy is divided by the number of pixels: class weights have mean 1.  (PyTorch divides by the sum of w_t.) */
#include "../task_losses.h"
#include "../forms.h"

#include <math.h>
#include <string.h>

static double weight(const float *class_weights, int64_t k) { return class_weights ? (double)class_weights[k] : 1; }

/* ---- softmax */

struct softmax {
    double largest, sum;
};
static struct softmax softmax(const float *z, int64_t classes) {
    struct softmax at = {.largest = z[0]};
    for (int64_t k = 1; k < classes; k++) at.largest = z[k] > at.largest ? z[k] : at.largest;
    for (int64_t k = 0; k < classes; k++) at.sum += exp(z[k] - at.largest);
    return at;
}
static double probability(const struct softmax *at, float z) { return exp(z - at->largest) / at->sum; }

void softmax_loss_plain(double *loss, double *statistics, const float *logits, const float *target, const float *class_weights,
                        const struct softmax_loss *s) {
    const int64_t classes = s->classes;
    const struct softmax_sums sums = softmax_sums(statistics, classes);
    double entropy = 0;
    memset(statistics, 0, (size_t)(1 + 3 * classes) * sizeof *statistics);
    for (int64_t p = 0; p < s->pixels; p++) {
        if (!is_class(target[p], classes)) continue;
        const float *z = logits + p * classes;
        const int64_t t = (int64_t)target[p];
        const struct softmax at = softmax(z, classes);
        entropy += weight(class_weights, t) * (log(at.sum) - (z[t] - at.largest));
        for (int64_t k = 0; k < classes; k++) sums.prediction[k] += probability(&at, z[k]);
        sums.intersection[t] += probability(&at, z[t]);
        sums.truth[t]++, (*sums.valid)++;
    }
    softmax_losses(loss, entropy, statistics, s);
}

void softmax_loss_grad_plain(float *dlogits, const float *logits, const float *target, const float *class_weights,
                             const double *statistics, const struct softmax_loss *s) {
    const int64_t classes = s->classes;
    for (int64_t p = 0; p < s->pixels; p++) {
        const float *z = logits + p * classes;
        float *dz = dlogits + p * classes;
        if (!is_class(target[p], classes)) {
            memset(dz, 0, (size_t)classes * sizeof *dz);
            continue;
        }
        const int64_t t = (int64_t)target[p];
        const struct softmax at = softmax(z, classes);
        const double entropy = (double)s->ce_weight * weight(class_weights, t) / statistics[0];
        const double own = dice_slope(statistics, t, s).own;
        double mean = probability(&at, z[t]) * own; /* of the slopes */
        for (int64_t k = 0; k < classes; k++) mean += probability(&at, z[k]) * dice_slope(statistics, k, s).every;
        for (int64_t k = 0; k < classes; k++) {
            const double slope = dice_slope(statistics, k, s).every + (k == t ? own : 0) - mean;
            dz[k] = (float)(probability(&at, z[k]) * (slope + entropy) - (k == t ? entropy : 0));
        }
    }
}

/* ---- sigmoid */

double sigmoid_loss_plain(double *statistics, const float *logits, const float *target, const float *class_weights, int64_t pixels,
                          int64_t classes) {
    double sum = 0, known = 0;
    for (int64_t i = 0; i < pixels * classes; i++) {
        const double z = logits[i], t = target[i];
        if (t < 0) continue;
        sum += weight(class_weights, i % classes) * ((z < 0 ? 0 : z) - z * t + log1p(exp(-fabs(z))));
        known++;
    }
    *statistics = known;
    return known > 0 ? sum / known : 0;
}

void sigmoid_loss_grad_plain(float *dlogits, const float *logits, const float *target, const float *class_weights,
                             const double *statistics, int64_t pixels, int64_t classes) {
    for (int64_t i = 0; i < pixels * classes; i++) {
        const double z = logits[i], t = target[i];
        dlogits[i] = t < 0 ? 0 : (float)(weight(class_weights, i % classes) * (1 / (1 + exp(-z)) - t) / *statistics);
    }
}
