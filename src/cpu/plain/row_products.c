/* Rows against rows, plain C: what the forms in simd/row_products.c must equal.  Losses that compare cells of an image with each other
 * and with a queue stand on these, a tile of rows and keys at a time.
 *
 *   row_products  out_ij = <a_i, b_j>              row_mix  out_i += sum over j of weights_ij b_j
 *   row_inverses  1 / max(|x_i|, 1e-12)
 *   row_log_sum   log of the sum of exp(scale x_j) row_shares  weights_j = factor exp(scale x_j - log_sum) */
#include "../forms.h"

#include <math.h>

void row_products_plain(float *out, int64_t stride, const float *a, int64_t rows, const float *b, int64_t keys, int64_t channels) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < keys; j++) {
            double sum = 0;
            for (int64_t c = 0; c < channels; c++) sum += (double)a[i * channels + c] * b[j * channels + c];
            out[i * stride + j] = (float)sum;
        }
}

void row_mix_plain(float *out, const float *weights, int64_t stride, int64_t rows, const float *b, int64_t keys, int64_t channels) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < channels; c++) {
            double sum = 0;
            for (int64_t j = 0; j < keys; j++) sum += (double)weights[i * stride + j] * b[j * channels + c];
            out[i * channels + c] += (float)sum;
        }
}

void row_inverses_plain(float *inverse, const float *x, int64_t rows, int64_t channels) {
    for (int64_t i = 0; i < rows; i++) {
        double square = 0;
        for (int64_t c = 0; c < channels; c++) square += (double)x[i * channels + c] * x[i * channels + c];
        const double length = sqrt(square);
        inverse[i] = (float)(1 / (length < 1e-12 ? 1e-12 : length)); /* a NaN stays */
    }
}

double row_log_sum_plain(float *largest, const float *x, int64_t count, float scale) {
    float most = x[0];
    double sum = 0;
    for (int64_t j = 1; j < count; j++) most = x[j] > most ? x[j] : most;
    for (int64_t j = 0; j < count; j++) sum += exp((double)scale * ((double)x[j] - most));
    *largest = most;
    return (double)scale * most + log(sum);
}

void row_shares_plain(float *weights, const float *x, int64_t count, float scale, double log_sum, double factor) {
    for (int64_t j = 0; j < count; j++) weights[j] = (float)(factor * exp((double)scale * x[j] - log_sum));
}
