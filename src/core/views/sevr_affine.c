/* The affine part of SeVR's space transformation (paper, supplement B.2, eq. 18): its draw, its displacement field, and
 * which part of the image it reads.  Called by sevr.c. */
#include "sevr_parts.h"

#include <math.h>
#include <string.h>

typedef double matrix[3][3];

static void multiply_matrices(matrix product, matrix a, matrix b) {
    matrix result = {{0}};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 3; k++) result[i][j] += a[i][k] * b[k][j];
    memcpy(product, result, sizeof result);
}

static void identity(matrix m) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) m[i][j] = i == j;
}

/* Turn the plane of axes i and j. */
static void rotation(matrix m, int i, int j, double radians) {
    identity(m);
    m[i][i] = m[j][j] = cos(radians);
    m[i][j] = -sin(radians), m[j][i] = sin(radians);
}

static double either_way(struct random_stream *stream, double largest) { return (double)random_uniform(stream, -1, 1) * largest; }

/* x, y, z of eq. 18 are the array's axes in order, as its t_x H says; R is Rz alone in 2D. */
static void draw_rotation(matrix r, struct random_stream *stream, const struct settings *s, bool two_angles) {
    double largest = s->views.rotate_degrees * (M_PI / 180);
    if (s->network.dims == 2) {
        double angle = either_way(stream, largest);
        if (two_angles) angle -= either_way(stream, largest);
        rotation(r, 0, 1, angle);
        return;
    }
    matrix x, y, z;
    rotation(x, 1, 2, either_way(stream, largest));
    rotation(y, 2, 0, either_way(stream, largest));
    rotation(z, 0, 1, either_way(stream, largest));
    multiply_matrices(r, z, y);
    multiply_matrices(r, r, x);
}

/* Order of the draws: translation of each axis, rotation, shears row by row, scale of each axis. */
void affine_draw(struct affine *affine, const struct draw *draw) {
    const struct settings *s = draw->settings;
    int dims = (int)s->network.dims;
    struct random_stream stream = draw_stream(draw, RANDOM_VIEW_AFFINE);
    double translation[3] = {0};
    matrix r, shear, scale, product;
    for (int a = 0; a < dims; a++) translation[a] = either_way(&stream, s->views.translate) * (double)grid_axis(&draw->work, a);
    draw_rotation(r, &stream, s, draw->two_angles || s->views.affine == AFFINE_RELEASED);
    identity(shear), identity(scale);
    for (int a = 0; a < dims; a++)
        for (int b = 0; b < dims; b++)
            if (a != b) shear[a][b] = tan(either_way(&stream, s->views.shear_degrees * (M_PI / 180)));
    for (int a = 0; a < dims; a++)
        scale[a][a] = s->views.scale_low + (s->views.scale_high - s->views.scale_low) * (double)uniform01(random_word(&stream));

    bool released = s->views.affine == AFFINE_RELEASED;
    if (released) { /* (p - c) Sh Sc R + t + floor(n/2), p a row vector */
        multiply_matrices(product, shear, scale);
        multiply_matrices(product, product, r);
    } else { /* T R Sh Sc about the centre */
        multiply_matrices(product, r, shear);
        multiply_matrices(product, product, scale);
    }
    *affine = (struct affine){0};
    for (int a = 0; a < dims; a++) {
        int64_t size = grid_axis(&draw->work, a);
        affine->centre[a] = 0.5 * (double)(size - 1);
        affine->shift[a] = translation[a] + (released ? (double)(size / 2) - affine->centre[a] : 0);
        for (int b = 0; b < dims; b++) affine->linear[a][b] = (released ? product[b][a] : product[a][b]) - (a == b);
    }
}

/* ---- the field */

static inline void row_plain(float *row, const double start[3], const double slope[3], int64_t count, int dims) {
    for (int64_t x = 0; x < count; x++)
        for (int a = 0; a < dims; a++) row[x * dims + a] = (float)(start[a] + slope[a] * (double)x);
}

static inline void row_displaced(float *row, const double start[3], const struct affine *affine, int64_t count, int dims) {
    for (int64_t x = 0; x < count; x++) {
        double u[3], v[3];
        for (int a = 0; a < dims; a++) u[a] = row[x * dims + a];
        for (int a = 0; a < dims; a++) {
            v[a] = u[a] + start[a] + affine->linear[a][dims - 1] * (double)x;
            for (int b = 0; b < dims; b++) v[a] += affine->linear[a][b] * u[b];
        }
        for (int a = 0; a < dims; a++) row[x * dims + a] = (float)v[a];
    }
}

void affine_at(double v[3], const struct affine *affine, int dims, const double p[3]) {
    for (int a = 0; a < dims; a++) {
        v[a] = affine->shift[a];
        for (int b = 0; b < dims; b++) v[a] += affine->linear[a][b] * (p[3 - dims + b] - affine->centre[b]);
    }
}

bool affine_origin(double p[3], const struct affine *affine, int dims, const double at[3]) {
    matrix m, cofactor;
    double rest[3] = {0}, determinant = 0;
    identity(m);
    for (int a = 0; a < dims; a++) {
        rest[a] = at[3 - dims + a] - affine->centre[a] - affine->shift[a];
        for (int b = 0; b < dims; b++) m[a][b] += affine->linear[a][b];
    }
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            int i1 = (i + 1) % 3, i2 = (i + 2) % 3, j1 = (j + 1) % 3, j2 = (j + 2) % 3;
            cofactor[i][j] = m[i1][j1] * m[i2][j2] - m[i1][j2] * m[i2][j1];
        }
    for (int j = 0; j < 3; j++) determinant += m[0][j] * cofactor[0][j];
    if (fabs(determinant) < 1e-9) return false;
    for (int a = 0; a < dims; a++) {
        double sum = 0;
        for (int b = 0; b < dims; b++) sum += cofactor[b][a] * rest[b];
        p[3 - dims + a] = affine->centre[a] + sum / determinant;
    }
    return true;
}

void affine_field(float *field, const struct affine *affine, const struct draw *draw, bool displaced) {
    const struct window *crop = &draw->crop;
    int dims = draw->work.ndim;
    double slope[3] = {affine->linear[0][dims - 1], affine->linear[1][dims - 1], affine->linear[2][dims - 1]};
    for (int64_t z = 0; z < crop->size[0]; z++)
        for (int64_t y = 0; y < crop->size[1]; y++) {
            float *row = field + (z * crop->size[1] + y) * crop->size[2] * dims;
            double start[3];
            affine_at(start, affine, dims,
                      (double[]){(double)(crop->first[0] + z), (double)(crop->first[1] + y), (double)crop->first[2]});
            if (displaced && dims == 2) row_displaced(row, start, affine, crop->size[2], 2);
            else if (displaced) row_displaced(row, start, affine, crop->size[2], 3);
            else if (dims == 2) row_plain(row, start, slope, crop->size[2], 2);
            else row_plain(row, start, slope, crop->size[2], 3);
        }
}

/* An affine map takes its extremes at corners; the frame is one zero before the image and two behind it, and one more
 * pixel on either side covers rounding. */
void affine_reach(struct window *box, const struct affine *affine, const struct draw *draw, enum reach reach) {
    int dims = draw->work.ndim;
    bool released = draw->settings->objective.coordinates == COORDINATES_RELEASED;
    for (int i = 0; i < 3; i++) box->first[i] = 0, box->size[i] = 1;
    for (int a = 0; a < dims; a++) {
        int i = 3 - dims + a;
        double n = (double)draw->work.size[i], low = INFINITY, high = -INFINITY;
        if (reach == REACH_BOTH) low = (double)draw->crop.first[i], high = low + (double)draw->crop.size[i] - 1;
        for (int corner = 0; corner < 1 << dims; corner++) {
            double p[3] = {0}, v[3];
            for (int k = 3 - dims; k < 3; k++)
                p[k] = (double)(draw->crop.first[k] + (corner >> (2 - k) & 1) * (draw->crop.size[k] - 1));
            affine_at(v, affine, dims, p);
            double at = p[i] + v[a];
            if (released) at = at * (n / (n - 1)) - 0.5;
            low = fmin(low, at), high = fmax(high, at);
        }
        if (reach == REACH_ANYWHERE) low = -1, high = n + 2;
        low = fmin(fmax(floor(low) - 1, -1), n - 1); /* reads that all miss the image see its frame */
        high = fmax(fmin(floor(high) + 4, n + 2), low + 3);
        box->first[i] = (int64_t)low, box->size[i] = (int64_t)(high - low);
    }
}

/* A row of |R| |Sh| Sc over all angles: the largest step along its axis for a step along each of the crop's. */
void affine_span(struct grid *span, const struct settings *s, const struct grid *crop) {
    static const int planes[3][2] = {{0, 1}, {2, 0}, {1, 2}};
    int dims = crop->ndim;
    double sine = sin(fmin(s->views.rotate_degrees, 90) * (M_PI / 180)), tangent = tan(s->views.shear_degrees * (M_PI / 180));
    matrix bound, shear;
    identity(bound);
    for (int i = 0; i < (dims == 3 ? 3 : 1); i++) {
        matrix turn;
        identity(turn);
        turn[planes[i][0]][planes[i][1]] = turn[planes[i][1]][planes[i][0]] = sine;
        multiply_matrices(bound, bound, turn);
    }
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) shear[i][j] = i == j ? 1 : tangent;
    multiply_matrices(bound, bound, shear);
    *span = *crop;
    for (int a = 0; a < dims; a++) {
        double reach = 0;
        for (int b = 0; b < dims; b++) reach += bound[a][b] * s->views.scale_high * (double)(grid_axis(crop, b) - 1);
        span->size[3 - dims + a] = (int64_t)fmin(reach, 1e9) + 8; /* 6 of affine_reach(), and rounding */
    }
}
