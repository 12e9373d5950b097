/* Whitening: principal axes of rows, all to the same scatter, rows to length 1.  Sums over rows are in double, in the rows' order.
 * Threads share out rows of the scatter matrix and rows of the result. */
#include "cluster.h"

#include "core/base/memory.h"
#include "core/base/threads.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Rows of the scatter matrix a job, rows of the result a job; coordinates of it at once; terms of a sum at once. */
enum { SCATTER_ROWS = 8, RESULT_ROWS = 32, TILE = 64, TERMS = 4 };
static const double LEAST_LENGTH = 1e-12;

struct whitening {
    cover_context *context;
    const float *features;
    float *rows;
    int64_t count, channels, dims;
    double *scatter; /* (channels, channels); from the diagonal on at first */
    double *axis;    /* (channels, dims), each over the root of its eigenvalue */
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static cover_status centre(float *features, double *mean, int64_t count, int64_t channels) {
    for (int64_t i = 0; i < count; i++) {
        const float *row = features + i * channels;
        bool finite = true;
        for (int64_t c = 0; c < channels; c++) mean[c] += (double)row[c], finite &= isfinite(row[c]) != 0;
        if (!finite) return fail(COVER_ERROR_NUMERIC, "the features of row %lld are not finite", (long long)i);
    }
    for (int64_t c = 0; c < channels; c++) mean[c] /= (double)count;
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < channels; c++) features[i * channels + c] = (float)((double)features[i * channels + c] - mean[c]);
    return COVER_OK;
}

/* A few rows of the scatter matrix, from where their square on the diagonal begins. */
static void scatter_block(void *data, int64_t block) {
    const struct whitening *w = data;
    const int64_t channels = w->channels, first = block * SCATTER_ROWS, end = least(first + SCATTER_ROWS, channels);
    for (int64_t i = 0; i < w->count && !cancelled(w->context); i += TERMS) {
        const float *x[TERMS];
        for (int t = 0; t < TERMS; t++) x[t] = w->features + least(i + t, w->count - 1) * channels;
        for (int64_t r = first; r < end; r++) {
            double f[TERMS], *sum = w->scatter + r * channels;
            for (int t = 0; t < TERMS; t++) f[t] = i + t < w->count ? (double)x[t][r] : 0;
            for (int64_t c = first; c < channels; c++)
                sum[c] += f[0] * (double)x[0][c] + f[1] * (double)x[1][c] + (f[2] * (double)x[2][c] + f[3] * (double)x[3][c]);
        }
    }
}

/* `dims` coordinates of a row along the axes, some at a time. */
static void project(float *to, const struct whitening *w, const float *x, int64_t from, int64_t size) {
    double sum[TILE] = {0};
    for (int64_t c = 0; c < w->channels; c += TERMS) {
        const double *a[TERMS];
        double f[TERMS];
        for (int t = 0; t < TERMS; t++) {
            a[t] = w->axis + least(c + t, w->channels - 1) * w->dims + from;
            f[t] = c + t < w->channels ? (double)x[c + t] : 0;
        }
        for (int64_t k = 0; k < size; k++) sum[k] += f[0] * a[0][k] + f[1] * a[1][k] + (f[2] * a[2][k] + f[3] * a[3][k]);
    }
    for (int64_t k = 0; k < size; k++) to[from + k] = (float)sum[k];
}

static void result_block(void *data, int64_t block) {
    const struct whitening *w = data;
    const int64_t first = block * RESULT_ROWS, end = least(first + RESULT_ROWS, w->count);
    for (int64_t from = 0; from < w->dims && !cancelled(w->context); from += TILE)
        for (int64_t i = first; i < end; i++)
            project(w->rows + i * w->dims, w, w->features + i * w->channels, from, least(TILE, w->dims - from));
    for (int64_t i = first; i < end; i++) {
        float *row = w->rows + i * w->dims;
        double square = 0;
        for (int64_t k = 0; k < w->dims; k++) square += (double)row[k] * (double)row[k];
        const double length = fmax(sqrt(square), LEAST_LENGTH);
        for (int64_t k = 0; k < w->dims; k++) row[k] = (float)((double)row[k] / length);
    }
}

/* Eigenvectors over the roots of their eigenvalues, as columns.  What rounding alone scatters is no axis. */
static void scale_axes(struct whitening *w, const double *value, const double *vector) {
    const double noise = value[0] * DBL_EPSILON * (double)(w->channels + w->count);
    for (int64_t k = 0; k < w->dims; k++) {
        const double factor = value[k] > noise ? 1 / sqrt(value[k]) : 0;
        for (int64_t c = 0; c < w->channels; c++) w->axis[c * w->dims + k] = factor * vector[k * w->channels + c];
    }
}

cover_status whiten(float *rows, cover_context *context, float *features, int64_t count, int64_t channels, int64_t dims) {
    struct whitening w = {
        .context = context, .features = features, .rows = rows, .count = count, .channels = channels, .dims = dims};
    struct pool *pool;
    cover_status status = COVER_ERROR_MEMORY;
    double *value = memory_within(context, (size_t)(channels * (channels + 2 * dims + 1)) * sizeof *value);
    if (!value) return status;
    double *vector = value + channels;
    w.scatter = vector + channels * dims, w.axis = w.scatter + channels * channels;
    memset(value, 0, (size_t)channels * sizeof *value);
    memset(w.scatter, 0, (size_t)(channels * channels) * sizeof *w.scatter);
    GO(context_pool(context, &pool));
    GO(centre(features, value, count, channels));
    pool_each(pool, (channels + SCATTER_ROWS - 1) / SCATTER_ROWS, scatter_block, &w);
    for (int64_t r = 1; r < channels; r++)
        for (int64_t c = 0; c < r; c++) w.scatter[r * channels + c] = w.scatter[c * channels + r];
    GO(eigen_symmetric(value, vector, context, w.scatter, channels, dims));
    scale_axes(&w, value, vector);
    pool_each(pool, (count + RESULT_ROWS - 1) / RESULT_ROWS, result_block, &w);
    if (cancelled(context)) status = fail(COVER_ERROR_CANCELLED, "whitening: cancelled");
done:
    memory_free(context, value);
    return status;
}
