/* What can be said about a mean or a correlation: percentiles, Student's t through the incomplete beta function,
 * Pearson's r, bootstrap intervals (Efron 1979).  Called by evaluation and studies. */
#include "metrics.h"

#include "core/base/philox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double percentile_sorted(const double *sorted, int64_t count, double part) {
    const double at = part * (double)(count - 1);
    const int64_t low = (int64_t)at, high = low + 1 < count ? low + 1 : low;
    const double share = at - (double)low;
    return share > 0 ? sorted[low] + share * (sorted[high] - sorted[low]) : sorted[low];
}

/* ---- Student's t */

/* The continued fraction of I_x(a, b) (DLMF 8.17.22) from its head down, by Lentz's method. */
static double beta_fraction(double a, double b, double x) {
    enum { MOST_TERMS = 10000 }; /* about sqrt(max(a, b)) are needed */
    static const double TINY = 1e-300, ENOUGH = 1e-16;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    if (fabs(d) < TINY) d = TINY;
    d = 1 / d;
    double value = d;
    for (int m = 1; m <= MOST_TERMS; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double factor = 1;
        for (int half = 0; half < 2; half++) {
            const double term = half ? odd : even;
            d = 1 + term * d, c = 1 + term / c;
            if (fabs(d) < TINY) d = TINY;
            if (fabs(c) < TINY) c = TINY;
            d = 1 / d;
            factor = c * d;
            value *= factor;
        }
        if (fabs(factor - 1) < ENOUGH) break;
    }
    return value;
}

/* log Gamma without lgamma()'s global sign: Stirling's series (DLMF 5.11.1), reached by the recurrence. */
static double log_gamma(double x) {
    double product = 1;
    for (; x < 15; x++) product *= x;
    const double y = 1 / (x * x);
    const double series = (1.0 / 12 - y * (1.0 / 360 - y * (1.0 / 1260 - y * (1.0 / 1680 - y / 1188)))) / x;
    return (x - 0.5) * log(x) - x + 0.91893853320467274178 + series - log(product);
}

double incomplete_beta(double a, double b, double x) {
    if (!(x > 0)) return isnan(x) ? NAN : 0;
    if (x >= 1) return 1;
    const double front = exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a; /* converges fast on this side */
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double student_two_sided(double t, double freedom) { return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)); }

double student_quantile(double confidence, double freedom) {
    double low = 0, high = 1;
    while (student_two_sided(high, freedom) > 1 - confidence && high < 1e300) high *= 2;
    for (int i = 0; i < 200 && high - low > 1e-15 * high; i++) {
        const double middle = low + (high - low) / 2;
        if (student_two_sided(middle, freedom) > 1 - confidence) low = middle;
        else high = middle;
    }
    return high;
}

void student_interval(struct interval *interval, const double *values, int64_t count, double confidence) {
    const double mean = mean_known(values, count);
    double squares = 0;
    int64_t known = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) continue;
        squares += (values[i] - mean) * (values[i] - mean), known++;
    }
    double half = NAN;
    if (known > 1) half = student_quantile(confidence, (double)known - 1) * sqrt(squares / (double)(known - 1) / (double)known);
    *interval = (struct interval){.mean = mean, .low = mean - half, .high = mean + half, .count = known};
}

/* ---- correlation */

void pearson(double *r, double *p, const double *x, const double *y, int64_t count) {
    *r = *p = NAN;
    if (count < 2) return;
    double x_mean = 0, y_mean = 0, xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < count; i++) x_mean += x[i] / (double)count, y_mean += y[i] / (double)count;
    for (int64_t i = 0; i < count; i++) {
        const double dx = x[i] - x_mean, dy = y[i] - y_mean;
        xx += dx * dx, yy += dy * dy, xy += dx * dy;
    }
    /* a mean is off by rounding, so a constant side may have a square that is not quite 0 */
    const double x_least = 1e-13 * fabs(x_mean), y_least = 1e-13 * fabs(y_mean);
    if (!(xx > (double)count * x_least * x_least) || !(yy > (double)count * y_least * y_least)) return;
    const double found = fmin(1, fmax(-1, xy / (sqrt(xx) * sqrt(yy))));
    *r = found;
    /* t^2 = r^2 (n - 2) / (1 - r^2), so (n - 2) / (n - 2 + t^2) is 1 - r^2 */
    if (count > 2) *p = incomplete_beta((double)(count - 2) / 2, 0.5, (1 - found) * (1 + found));
}

/* ---- bootstrap */

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void bootstrap_draw(uint32_t *drawn, int64_t count, uint64_t seed, uint32_t resample) {
    struct random_stream stream = random_stream(seed, RANDOM_BOOTSTRAP, resample, 0);
    memset(drawn, 0, (size_t)count * sizeof *drawn);
    for (int64_t i = 0; i < count; i++) drawn[(uint64_t)random_word(&stream) * (uint64_t)count >> 32]++;
}

void bootstrap_bounds(struct interval *interval, double *figures, int64_t count, double confidence) {
    interval->low = interval->high = NAN;
    if (count < 1) return;
    qsort(figures, (size_t)count, sizeof *figures, ascending);
    interval->low = percentile_sorted(figures, count, (1 - confidence) / 2);
    interval->high = percentile_sorted(figures, count, (1 + confidence) / 2);
}

cover_status bootstrap_interval(struct interval *interval, cover_context *context, const double *values, int64_t count,
                                int resamples, double confidence, uint64_t seed) {
    cover_status status = COVER_OK;
    double *known = memory_alloc(context, (size_t)(count + 1) * sizeof *known);
    double *means = memory_alloc(context, (size_t)resamples * sizeof *means);
    uint32_t *drawn = memory_alloc(context, (size_t)(count + 1) * sizeof *drawn);
    struct interval found = {.mean = mean_known(values, count)};
    int64_t kept = 0;
    GO(known && means && drawn ? COVER_OK : COVER_ERROR_MEMORY);
    for (int64_t i = 0; i < count; i++)
        if (isfinite(values[i])) known[kept++] = values[i];
    for (int i = 0; i < resamples && kept > 0; i++) {
        double sum = 0;
        bootstrap_draw(drawn, kept, seed, (uint32_t)i);
        for (int64_t k = 0; k < kept; k++) sum += (double)drawn[k] * known[k];
        means[i] = sum / (double)kept;
    }
    found.count = kept;
    bootstrap_bounds(&found, means, kept > 0 ? resamples : 0, confidence);
    *interval = found;
done:
    memory_free(context, known);
    memory_free(context, means);
    memory_free(context, drawn);
    return status;
}
