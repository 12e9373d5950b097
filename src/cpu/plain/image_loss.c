/* The loss of images, and two by a mask, plain C: what the forms in simd/image_loss.c must equal.
 *
 *   image_loss = sum over pixels p and channels of mask(p) (s - truth)^2, s = prediction or sigmoid(prediction)
 *   dprediction = 2 mask (s - truth), times s (1 - s) behind a sigmoid */
#include "../forms.h"

#include <math.h>

static double answer(float prediction, bool sigmoid) { return sigmoid ? 1 / (1 + exp(-(double)prediction)) : prediction; }

double image_loss_plain(const float *prediction, const float *truth, const float *mask, int64_t pixels, int64_t channels,
                        bool sigmoid, int block, int blocks) {
    double sum = 0;
    int64_t begin, end;
    slab_share(pixels, block, blocks, &begin, &end);
    for (int64_t p = begin; p < end; p++)
        for (int64_t i = p * channels; i < (p + 1) * channels; i++) {
            const double difference = answer(prediction[i], sigmoid) - truth[i];
            sum += (mask ? mask[p] : 1) * difference * difference;
        }
    return sum;
}

void image_loss_grad_plain(float *dprediction, const float *prediction, const float *truth, const float *mask, int64_t pixels,
                           int64_t channels, bool sigmoid, int slab, int slabs) {
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t p = begin; p < end; p++)
        for (int64_t i = p * channels; i < (p + 1) * channels; i++) {
            const double s = answer(prediction[i], sigmoid), slope = sigmoid ? s * (1 - s) : 1;
            dprediction[i] = (float)(2 * (mask ? mask[p] : 1) * (s - truth[i]) * slope);
        }
}

void blend_plain(float *y, const float *mask, const float *a, const float *b, int64_t pixels, int64_t channels, int slab,
                 int slabs) {
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t p = begin; p < end; p++)
        for (int64_t i = p * channels; i < (p + 1) * channels; i++) y[i] = mask[p] * a[i] + (1 - mask[p]) * b[i];
}

void blend_grad_plain(float *da, float *db, const float *mask, const float *dy, int64_t pixels, int64_t channels, int slab,
                      int slabs) {
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t p = begin; p < end; p++)
        for (int64_t i = p * channels; i < (p + 1) * channels; i++) {
            if (da) da[i] = mask[p] * dy[i];
            if (db) db[i] = (1 - mask[p]) * dy[i];
        }
}
