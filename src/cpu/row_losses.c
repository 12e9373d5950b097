/* Losses and figures over rows: see row_losses.h.  Called by ops_rows.c. */
#include "row_losses.h"

#include <math.h>
#include <stdbool.h>

/* Four sums, which a processor adds up side by side. */
static double product(const float *a, const float *b, int64_t channels) {
    double sum[4] = {0};
    for (int64_t c = 0; c < channels; c++) sum[c % 4] += (double)a[c] * b[c];
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}
static double inverse_norm(const float *x, int64_t channels) {
    const double length = sqrt(product(x, x, channels));
    return 1 / (length < 1e-12 ? 1e-12 : length); /* a NaN stays */
}
static void inverse_norms(double *inverse, const float *x, int64_t rows, int64_t channels) {
    for (int64_t i = 0; i < rows; i++) inverse[i] = inverse_norm(x + i * channels, channels);
}

struct halves { /* what nt_xent compares */
    const float *z;
    const double *inverse;
    int64_t rows, channels;
    double temperature;
};
static double alike(const struct halves *s, int64_t i, int64_t k) {
    return product(s->z + i * s->channels, s->z + k * s->channels, s->channels) * s->inverse[i] * s->inverse[k] / s->temperature;
}
static int64_t other(const struct halves *s, int64_t i) { return (i + s->rows / 2) % s->rows; }

void rows_nt_xent(double *loss, double *statistics, const float *z, int64_t rows, int64_t channels, double temperature) {
    const struct halves s = {z, statistics, rows, channels, temperature};
    inverse_norms(statistics, z, rows, channels);
    loss[0] = loss[1] = 0;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t own = other(&s, i);
        const double positive = alike(&s, i, own);
        double largest = positive, sum = 1; /* of exponentials, by that of the largest so far */
        bool right = true;
        for (int64_t k = 0; k < rows; k++) {
            if (k == i || k == own) continue;
            const double value = alike(&s, i, k);
            right = right && (k < own ? value < positive : value <= positive);
            if (value > largest) sum = sum * exp(largest - value) + 1, largest = value;
            else sum += exp(value - largest);
        }
        statistics[rows + i] = largest + log(sum);
        loss[0] += statistics[rows + i] - positive, loss[1] += right;
    }
}

/* With p_ik = exp(s_ik - logarithm_i): du_i = sum over k of (p_ik + p_ki - 2 [k = j]) u_k / temperature, and dz_i is what of it is
 * across u_i, by the norm. */
void rows_nt_xent_grad(float *dz, const float *z, const double *statistics, int64_t rows, int64_t channels, double temperature,
                       int64_t begin, int64_t end, double *row) {
    const struct halves s = {z, statistics, rows, channels, temperature};
    const double *logarithm = statistics + rows;
    for (int64_t i = begin; i < end; i++) {
        const float *const own = z + i * channels;
        for (int64_t c = 0; c < channels; c++) row[c] = 0;
        for (int64_t k = 0; k < rows; k++) {
            if (k == i) continue;
            const double value = alike(&s, i, k);
            const double share = exp(value - logarithm[i]) + exp(value - logarithm[k]) - (k == other(&s, i) ? 2 : 0);
            const double factor = share * s.inverse[k] / temperature;
            for (int64_t c = 0; c < channels; c++) row[c] += factor * z[k * channels + c];
        }
        double along = 0;
        for (int64_t c = 0; c < channels; c++) along += row[c] * own[c];
        along *= s.inverse[i] < 1e12 ? s.inverse[i] * s.inverse[i] : 0; /* a norm that was taken for larger is a constant */
        for (int64_t c = 0; c < channels; c++) dz[i * channels + c] = (float)((row[c] - along * own[c]) * s.inverse[i]);
    }
}

double rows_batch_right(const float *q, const float *k, int64_t rows, int64_t channels, double *inverse) {
    int64_t count = 0;
    inverse_norms(inverse, k, rows, channels);
    for (int64_t i = 0; i < rows; i++) {
        const double own = product(q + i * channels, k + i * channels, channels) * inverse[i];
        bool first = true;
        for (int64_t other = 0; other < rows && first; other++) {
            const double value = product(q + i * channels, k + other * channels, channels) * inverse[other];
            first = other == i || (other < i ? value < own : value <= own);
        }
        count += first;
    }
    return (double)count;
}

double rows_spread(const float *x, int64_t rows, int64_t channels, double *inverse) {
    double sum = 0;
    inverse_norms(inverse, x, rows, channels);
    for (int64_t c = 0; c < channels; c++) {
        double mean = 0, squares = 0;
        for (int64_t i = 0; i < rows; i++) mean += x[i * channels + c] * inverse[i] / (double)rows;
        for (int64_t i = 0; i < rows; i++) {
            const double from_mean = x[i * channels + c] * inverse[i] - mean;
            squares += from_mean * from_mean;
        }
        sum += sqrt(squares / (double)rows);
    }
    return sum / sqrt((double)channels);
}
