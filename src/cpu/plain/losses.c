/* Vector loss and consistency, plain C: what the forms in simd/losses.c must equal.  Paper: L_vec (eq. 6) and L_con;
 * the executor divides by the number of valid pixels, V = {p : mask(p) > 0}.
 *
 *   vector_loss = sum over p in V and axes of |truth - prediction|        dprediction = sign(prediction - truth) in V
 *   cosine_sum  = sum over p in V of <a/|a|, b/|b|>,  |x| = max(sqrt(<x, x>), 1e-12)
 *   da          = -(b/|b| - cos a/|a|) / |a| in V; without the second term where |a| is at its bound; db likewise */
#include "../forms.h"

#include <math.h>

static const float smallest_norm = 1e-12f;

double vector_loss_plain(const float *prediction, const float *truth, const float *mask, int64_t pixels, int ndim) {
    double sum = 0;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t i = p * ndim; mask[p] > 0 && i < (p + 1) * ndim; i++) sum += fabsf(truth[i] - prediction[i]);
    return sum;
}

void vector_loss_grad_plain(float *dprediction, const float *prediction, const float *truth, const float *mask,
                            int64_t pixels, int ndim) {
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t i = p * ndim; i < (p + 1) * ndim; i++)
            dprediction[i] = mask[p] > 0 ? (float)((prediction[i] > truth[i]) - (prediction[i] < truth[i])) : 0;
}

static double product(const float *a, const float *b, int64_t channels) {
    double sum = 0;
    for (int64_t c = 0; c < channels; c++) sum += (double)a[c] * b[c];
    return sum;
}

static double norm(const float *a, int64_t channels) {
    const double length = sqrt(product(a, a, channels));
    return length < smallest_norm ? smallest_norm : length; /* a NaN stays */
}

double cosine_sum_plain(const float *a, const float *b, const float *mask, int64_t pixels, int64_t channels) {
    double sum = 0;
    for (int64_t p = 0; p < pixels; p++, a += channels, b += channels)
        if (mask[p] > 0) sum += product(a, b, channels) / (norm(a, channels) * norm(b, channels));
    return sum;
}

/* -(b/|b| - cos a/|a|) / |a| into da. */
static void cosine_grad(float *da, const float *a, const float *b, int64_t channels) {
    const double length_a = norm(a, channels), length_b = norm(b, channels);
    const double bounded = length_a <= smallest_norm;
    const double cosine = bounded ? 0 : product(a, b, channels) / (length_a * length_b);
    for (int64_t c = 0; c < channels; c++) da[c] = (float)((cosine * a[c] / length_a - b[c] / length_b) / length_a);
}

void cosine_sum_grad_plain(float *da, float *db, const float *a, const float *b, const float *mask, int64_t pixels,
                           int64_t channels) {
    for (int64_t p = 0; p < pixels; p++, a += channels, b += channels, da += channels, db += channels) {
        if (mask[p] > 0) {
            cosine_grad(da, a, b, channels);
            cosine_grad(db, b, a, channels);
        } else
            for (int64_t c = 0; c < channels; c++) da[c] = db[c] = 0;
    }
}
