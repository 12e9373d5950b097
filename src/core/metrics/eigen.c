/* Eigenvectors of a symmetric matrix in double: reflections make it tridiagonal (Householder), rotations make that diagonal (implicit QL
 * with Wilkinson's shift), and the vectors that are wanted go back through the reflections (Golub and Van Loan, Matrix Computations,
 * chapter 8).  All inner loops go along rows: the matrix is kept whole, as it is symmetric, and vectors are rows.  Called by whiten.c. */
#include "cluster.h"

#include "core/base/memory.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TURNS = 60 }; /* most sweeps for one eigenvalue; two are usual */

static void add_scaled(double *to, const double *row, double factor, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] += factor * row[i];
}
static double dot(const double *a, const double *b, int64_t count) {
    double sum[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int lane = 0; lane < 4; lane++) sum[lane] += a[i + lane] * b[i + lane];
    for (; i < count; i++) sum[0] += a[i] * b[i];
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}

/* The reflection 1 - beta v v^T that takes x to a multiple of the first axis, which is returned; v takes the place of x. */
static double reflect(double *x, double *beta, int64_t count) {
    double scale = 0;
    for (int64_t i = 0; i < count; i++) scale = fmax(scale, fabs(x[i]));
    *beta = 0;
    if (scale == 0 || count == 1) return x[0];
    for (int64_t i = 0; i < count; i++) x[i] /= scale; /* so that squares neither vanish nor overflow */
    double length = sqrt(dot(x, x, count)), along = x[0] > 0 ? -length : length;
    x[0] -= along;
    *beta = 2 / dot(x, x, count);
    return along * scale;
}

/* diagonal[n], beside[n - 1]; row k of the matrix keeps reflection k behind its diagonal.  product: room for n. */
static cover_status make_tridiagonal(double *matrix, double *diagonal, double *beside, double *beta, double *product, int64_t n,
                                     cover_context *context) {
    for (int64_t k = 0; k + 1 < n; k++) {
        int64_t rest = n - k - 1;
        double *v = matrix + k * n + k + 1;
        diagonal[k] = matrix[k * n + k];
        beside[k] = reflect(v, &beta[k], rest);
        if (beta[k] == 0) continue;
        memset(product, 0, (size_t)rest * sizeof *product); /* w = beta (A v - (beta / 2) (v A v) v) */
        for (int64_t i = 0; i < rest; i++) add_scaled(product, matrix + (k + 1 + i) * n + k + 1, beta[k] * v[i], rest);
        add_scaled(product, v, -beta[k] / 2 * dot(product, v, rest), rest);
        for (int64_t i = 0; i < rest; i++) { /* A - v w^T - w v^T */
            double *row = matrix + (k + 1 + i) * n + k + 1;
            for (int64_t j = 0; j < rest; j++) row[j] -= v[i] * product[j] + product[i] * v[j];
        }
        if (cancelled(context)) return fail(COVER_ERROR_CANCELLED, "eigenvectors: cancelled");
    }
    diagonal[n - 1] = matrix[n * n - 1];
    return COVER_OK;
}

/* One sweep from the end of the block first .. last up to its start: rotations of neighbours, which `vector` makes with them. */
static void sweep(double *diagonal, double *beside, double *vector, int64_t first, int64_t last, int64_t n) {
    double half = (diagonal[first + 1] - diagonal[first]) / (2 * beside[first]);
    double shift = diagonal[first] - beside[first] / (half + copysign(hypot(half, 1), half));
    double cosine = 1, sine = 1, carried = 0, g = diagonal[last] - shift;
    for (int64_t i = last - 1; i >= first; i--) {
        double f = sine * beside[i], b = cosine * beside[i], r = hypot(f, g);
        if (i + 1 < last) beside[i + 1] = r;
        if (r == 0) { /* the block falls apart here */
            diagonal[i + 1] -= carried;
            return;
        }
        sine = f / r, cosine = g / r;
        g = diagonal[i + 1] - carried;
        double turned = (diagonal[i] - g) * sine + 2 * cosine * b;
        carried = sine * turned;
        diagonal[i + 1] = g + carried;
        g = cosine * turned - b;
        double *x = vector + i * n, *y = x + n;
        for (int64_t c = 0; c < n; c++) {
            double a = x[c];
            x[c] = cosine * a - sine * y[c];
            y[c] = sine * a + cosine * y[c];
        }
    }
    diagonal[first] -= carried;
    beside[first] = g;
}

/* The diagonal becomes the eigenvalues, row i of `vector` (n, n) the eigenvector of the i-th. */
static cover_status make_diagonal(double *diagonal, double *beside, double *vector, int64_t n, cover_context *context) {
    memset(vector, 0, (size_t)(n * n) * sizeof *vector);
    for (int64_t i = 0; i < n; i++) vector[i * n + i] = 1;
    for (int64_t first = 0; first < n; first++)
        for (int turn = 0;; turn++) {
            int64_t last = first; /* of the block that hangs together */
            while (last + 1 < n && !(fabs(beside[last]) <= DBL_EPSILON * (fabs(diagonal[last]) + fabs(diagonal[last + 1])))) last++;
            if (last == first) break;
            if (turn == TURNS)
                return fail(COVER_ERROR_NUMERIC, "the eigenvalues of a matrix of %lld rows are not found", (long long)n);
            if (cancelled(context)) return fail(COVER_ERROR_CANCELLED, "eigenvectors: cancelled");
            sweep(diagonal, beside, vector, first, last, n);
        }
    return COVER_OK;
}

/* From the tridiagonal matrix's axes back to the matrix's own; its largest component positive. */
static void turn_back(double *vector, const double *matrix, const double *beta, int64_t n) {
    for (int64_t k = n - 2; k >= 0; k--) {
        const double *v = matrix + k * n + k + 1;
        if (beta[k] != 0) add_scaled(vector + k + 1, v, -beta[k] * dot(v, vector + k + 1, n - k - 1), n - k - 1);
    }
    int64_t largest = 0;
    for (int64_t i = 1; i < n; i++) largest = fabs(vector[i]) > fabs(vector[largest]) ? i : largest;
    for (int64_t i = 0; i < n && vector[largest] < 0; i++) vector[i] = i == largest ? vector[i] : -vector[i];
    vector[largest] = fabs(vector[largest]);
}

struct ranked {
    double value;
    int64_t index;
};
static int by_falling_value(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    return x->value != y->value ? (x->value < y->value) - (x->value > y->value) : (x->index > y->index) - (x->index < y->index);
}

cover_status eigen_symmetric(double *value, double *vector, cover_context *context, double *matrix, int64_t n, int64_t wanted) {
    cover_status status = COVER_ERROR_MEMORY;
    struct ranked *ranked = memory_within(context, (size_t)n * sizeof *ranked);
    double *all = memory_within(context, (size_t)(n * (n + 4)) * sizeof *all);
    if (!ranked || !all) goto done;
    double *diagonal = all + n * n, *beside = diagonal + n, *beta = beside + n, *product = beta + n;
    GO(make_tridiagonal(matrix, diagonal, beside, beta, product, n, context));
    GO(make_diagonal(diagonal, beside, all, n, context));
    for (int64_t i = 0; i < n; i++) ranked[i] = (struct ranked){diagonal[i], i};
    qsort(ranked, (size_t)n, sizeof *ranked, by_falling_value);
    for (int64_t i = 0; i < n; i++) value[i] = ranked[i].value;
    for (int64_t i = 0; i < wanted; i++) {
        memcpy(vector + i * n, all + ranked[i].index * n, (size_t)n * sizeof *vector);
        turn_back(vector + i * n, matrix, beta, n);
    }
done:
    memory_free(context, ranked);
    memory_free(context, all);
    return status;
}
