/* Vector loss, plain C: what the forms in simd/losses.c must equal.  Paper: L_vec (eq. 6); the executor divides by the
 * number of valid pixels, V = {p : mask(p) > 0}.
 *
 *   vector_loss = sum over p in V and axes of |truth - prediction|        dprediction = sign(prediction - truth) in V */
#include "../forms.h"

#include <math.h>

double vector_loss_plain(const float *prediction, const float *truth, const float *mask, int64_t pixels, int ndim, int block,
                         int blocks) {
    double sum = 0;
    int64_t begin, end;
    slab_share(pixels, block, blocks, &begin, &end);
    for (int64_t p = begin; p < end; p++)
        for (int64_t i = p * ndim; mask[p] > 0 && i < (p + 1) * ndim; i++) sum += fabsf(truth[i] - prediction[i]);
    return sum;
}

void vector_loss_grad_plain(float *dprediction, const float *prediction, const float *truth, const float *mask, int64_t pixels,
                            int ndim, int slab, int slabs) {
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t p = begin; p < end; p++)
        for (int64_t i = p * ndim; i < (p + 1) * ndim; i++)
            dprediction[i] = mask[p] > 0 ? (float)((prediction[i] > truth[i]) - (prediction[i] < truth[i])) : 0;
}
