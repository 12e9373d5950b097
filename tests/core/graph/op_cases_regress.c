/* Correlation, smoothness, affine fields, masks and regions, in double (op_cases.h). */
#include "op_cases_regress.h"

#include "core/base/affine_map.h"
#include "core/base/regions.h"

#include <math.h>
#include <string.h>

static int fixed_values(struct scene *s, const char *name, int64_t channels, double low, double high) {
    const int number = scene_values(s, name, s->images, &s->grid, channels, low, high);
    s->in[number].smooth = false;
    return number;
}
/* Half of it valid, or nothing. */
static int mask_of(struct scene *s) {
    const int number = fixed_values(s, "mask", 1, 0, 1), least = scene_pick(s, 0, 9) ? 0 : 9;
    for (int64_t i = 0; i < s->in[number].count; i++) s->in[number].values[i] = scene_pick(s, 0, 1) > least;
    return number;
}
static void weigh(struct scene *s) { s->weight[0] = s->weight[1] = 0.75; }
static int64_t pixel_at(const struct grid *grid, const int64_t at[3]) {
    for (int i = 0; i < 3; i++)
        if (at[i] < 0 || at[i] >= grid->size[i]) return -1;
    return (at[0] * grid->size[1] + at[1]) * grid->size[2] + at[2];
}
static void place_of(const struct grid *grid, int64_t p, int64_t at[3]) {
    at[2] = p % grid->size[2], at[1] = p / grid->size[2] % grid->size[1], at[0] = p / grid->size[2] / grid->size[1];
}

/* ---- ncc_loss: radius is half the window */

void build_ncc_loss(struct scene *s) {
    s->radius = scene_pick(s, 0, 3) ? scene_pick(s, 0, 2) : 4;
    s->channels = s->channels > 3 ? 1 : s->channels;
    const int moved = scene_values(s, "moved", s->images, &s->grid, s->channels, -2, 2);
    const int fixed = fixed_values(s, "fixed", s->channels, -2, 2), mask = scene_pick(s, 0, 1) ? mask_of(s) : ABSENT;
    weigh(s);
    s->y =
        graph_op(&s->graph, OP_ncc_loss, (int[]){s->in[moved].read, s->in[fixed].read, mask == ABSENT ? ABSENT : s->in[mask].read},
                 (struct attributes){.regress = {.weight = 0.75f, .window = 2 * s->radius + 1}});
}
static double correlation(const struct scene *s, const double *a, const double *b, int64_t p, int64_t c) {
    const int side = 2 * s->radius + 1, deep = s->grid.ndim == 3 ? side : 1, n = deep * side * side;
    double sa = 0, sb = 0, ab = 0, aa = 0, bb = 0;
    for (int k = 0; k < n; k++) {
        int64_t at[3];
        place_of(&s->grid, p, at);
        at[0] += s->grid.ndim == 3 ? k / (side * side) - s->radius : 0;
        at[1] += k / side % side - s->radius, at[2] += k % side - s->radius;
        const int64_t q = pixel_at(&s->grid, at);
        if (q < 0) continue;
        const double x = a[q * s->channels + c], y = b[q * s->channels + c];
        sa += x, sb += y, ab += x * y, aa += x * x, bb += y * y;
    }
    const double cross = ab - sa * sb / n;
    return cross * cross / (fmax(aa - sa * sa / n, 0) * fmax(bb - sb * sb / n, 0) + 1e-5);
}
void compute_ncc_loss(const struct scene *s, double *const *v, double *y) {
    const int64_t pixels = grid_pixels(&s->grid), each = pixels * s->channels;
    for (int image = 0; image < s->images; image++) {
        double sum = 0, count = 0;
        for (int64_t p = 0; p < pixels; p++) {
            const double counts = s->inputs > 2 && s->in[2].channels == 1 && !s->in[2].smooth ? v[2][image * pixels + p] : 1;
            for (int64_t c = 0; c < s->channels; c++)
                sum += counts * correlation(s, v[0] + image * each, v[1] + image * each, p, c) / (double)s->channels;
            count += counts;
        }
        y[image] = 1 - sum / (count + (s->inputs > 2 ? 1e-5 : 0));
    }
}

/* ---- smooth_loss, inside_mask */

void build_smooth_loss(struct scene *s) {
    const int field = scene_values(s, "field", s->images, &s->grid, s->channels, -2, 2);
    weigh(s);
    s->y = graph_op(&s->graph, OP_smooth_loss, &s->in[field].read, (struct attributes){.regress = {.weight = 0.75f}});
}
void compute_smooth_loss(const struct scene *s, double *const *v, double *y) {
    const int64_t pixels = grid_pixels(&s->grid);
    for (int image = 0; image < s->images; image++) {
        y[image] = 0;
        for (int axis = 3 - s->grid.ndim; axis < 3; axis++) {
            double sum = 0, count = 0;
            for (int64_t p = 0; p < pixels; p++) {
                int64_t at[3];
                place_of(&s->grid, p, at);
                at[axis]++;
                const int64_t q = pixel_at(&s->grid, at);
                for (int64_t c = 0; q >= 0 && c < s->channels; c++, count++)
                    sum += pow(v[0][(image * pixels + q) * s->channels + c] - v[0][(image * pixels + p) * s->channels + c], 2);
            }
            if (count > 0) y[image] += sum / count / s->grid.ndim;
        }
    }
}
void build_inside_mask(struct scene *s) {
    const int field = fixed_values(s, "field", s->grid.ndim, -3, 3);
    s->coordinates = scene_pick(s, 0, 1) ? COORDINATES_RELEASED : COORDINATES_EXACT;
    for (int64_t i = 0; i < s->in[field].count; i++) { /* not between two pixels, where rounding decides */
        double *const value = &s->in[field].values[i];
        *value = floor(*value) + 0.125 + 0.25 * (*value - floor(*value));
    }
    s->y = graph_op(&s->graph, OP_inside_mask, &s->in[field].read, (struct attributes){.coordinates = s->coordinates});
}
void compute_inside_mask(const struct scene *s, double *const *v, double *y) {
    const int ndim = s->grid.ndim;
    for (int64_t i = 0; i < s->images * grid_pixels(&s->grid); i++) {
        int64_t at[3];
        place_of(&s->grid, i % grid_pixels(&s->grid), at);
        y[i] = 1;
        for (int a = 3 - ndim; a < 3; a++) {
            const double size = (double)s->grid.size[a];
            double position = (double)at[a] + v[0][i * ndim + a - 3 + ndim];
            if (s->coordinates == COORDINATES_RELEASED) position = position * size / (size - 1) - 0.5;
            if (!(nearbyint(position) >= 0 && nearbyint(position) <= size - 1)) y[i] = 0;
        }
    }
}

/* ---- affine_field */

void build_affine_field(struct scene *s) {
    const int numbers = scene_values(s, "numbers", s->images, &(struct grid){2, {1, 1, 1}}, s->grid.ndim == 2 ? 7 : 15, -1.3, 1.3);
    s->y = graph_op(&s->graph, OP_affine_field, &s->in[numbers].read, (struct attributes){.grid = s->grid});
}
static double clamped(double x) { return fmin(fmax(x, -1), 1); }
/* m = m times the turn of axis i towards j */
static void turn(double m[3][3], int i, int j, double number) {
    const double c = cos(clamped(number) * M_PI / 9), n = sin(clamped(number) * M_PI / 9);
    for (int k = 0; k < 3; k++) {
        const double a = m[k][i], b = m[k][j];
        m[k][i] = a * c + b * n, m[k][j] = b * c - a * n;
    }
}
static void matrix_of(double m[3][3], const double *r, int d) {
    const double *const scale = r + (d == 2 ? 1 : 3), *shear = scale + 2 * d;
    double rotation[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, slant[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    turn(rotation, 0, 1, r[d == 2 ? 0 : 2]);
    if (d == 3) turn(rotation, 2, 0, r[1]), turn(rotation, 1, 2, r[0]);
    for (int i = 0; i < d; i++)
        for (int j = 0; j < d; j++)
            if (i != j) slant[i][j] = tan(clamped(*shear++) * M_PI / 18);
    for (int i = 0; i < d; i++)
        for (int j = 0; j < d; j++) {
            m[i][j] = 0;
            for (int k = 0; k < d; k++) m[i][j] += slant[i][k] * (1 + clamped(scale[k]) / 4) * rotation[k][j];
        }
}
void compute_affine_field(const struct scene *s, double *const *v, double *y) {
    const int d = s->grid.ndim, count = d == 2 ? 7 : 15;
    for (int64_t i = 0; i < s->images * grid_pixels(&s->grid); i++) {
        const double *const r = v[0] + i / grid_pixels(&s->grid) * count;
        int64_t at[3];
        double m[3][3], from[3];
        place_of(&s->grid, i % grid_pixels(&s->grid), at);
        matrix_of(m, r, d);
        for (int a = 0; a < d; a++) from[a] = (double)at[3 - d + a] - (double)(s->grid.size[3 - d + a] - 1) / 2;
        for (int a = 0; a < d; a++) {
            y[i * d + a] = r[(d == 2 ? 1 : 3) + d + a] - from[a];
            for (int b = 0; b < d; b++) y[i * d + a] += m[a][b] * from[b];
        }
    }
}

/* ---- cosine_mean_loss */

void build_cosine_mean_loss(struct scene *s) {
    const int a = scene_feature(s, "a", s->images, &s->grid, s->channels, false);
    const int b = scene_feature(s, "b", s->images, &s->grid, s->channels, false), mask = mask_of(s);
    weigh(s);
    s->y = graph_op(&s->graph, OP_cosine_mean_loss, (int[]){s->in[a].read, s->in[b].read, s->in[mask].read},
                    (struct attributes){.regress = {.weight = 0.75f}});
}
static double cosine(const double *a, const double *b, int64_t channels) {
    double product = 0, aa = 0, bb = 0;
    for (int64_t c = 0; c < channels; c++) product += a[c] * b[c], aa += a[c] * a[c], bb += b[c] * b[c];
    return product / (fmax(sqrt(aa), 1e-12) * fmax(sqrt(bb), 1e-12));
}
void compute_cosine_mean_loss(const struct scene *s, double *const *v, double *y) {
    const int64_t pixels = grid_pixels(&s->grid);
    for (int image = 0; image < s->images; image++) {
        double sum = 0, count = 0;
        for (int64_t row = image * pixels; row < (image + 1) * pixels; row++)
            if (v[2][row] > 0) sum += cosine(v[0] + row * s->channels, v[1] + row * s->channels, s->channels), count++;
        y[image] = 1 - sum / (count + 1e-5);
    }
}

/* ---- region_blocks, local_nce */

void build_region_blocks(struct scene *s) {
    s->grid = (struct grid){2 + scene_pick(s, 0, 1), {1, 1, 1}};
    for (int i = 3 - s->grid.ndim; i < 3; i++) s->grid.size[i] = scene_pick(s, 8, s->grid.ndim == 2 ? 14 : 9);
    s->channels = s->channels > 4 ? 4 : s->channels;
    const int x = scene_values(s, "x", s->images, &s->grid, s->channels, -2, 2);
    s->y = graph_op(&s->graph, OP_region_blocks, &s->in[x].read, (struct attributes){0});
}
void compute_region_blocks(const struct scene *s, double *const *v, double *y) {
    const int taps = s->grid.ndim == 2 ? 9 : 27, rows = region_places(s->grid.ndim);
    struct regions regions;
    regions_of(&regions, s->grid.ndim);
    for (int64_t i = 0; i < s->images * rows * taps * s->channels; i++) {
        const int64_t tap = i / s->channels % taps, row = i / s->channels / taps % rows, image = i / s->channels / taps / rows;
        int64_t at[3] = {tap / 9, tap / 3 % 3, tap % 3};
        for (int a = 0; a < 3; a++) at[a] += a < 3 - s->grid.ndim ? 0 : regions.place[row][a] * (s->grid.size[a] - 4) / 4;
        y[i] = v[0][(image * grid_pixels(&s->grid) + pixel_at(&s->grid, at)) * s->channels + i % s->channels];
    }
}
void build_local_nce(struct scene *s) {
    s->grid = (struct grid){2, {1, 1, 6 * scene_pick(s, 1, 5)}};
    s->scale = scene_pick(s, 0, 1) ? 0.1 : 0.5;
    s->scale = (double)(float)s->scale;
    const int a = scene_values(s, "a", s->images, &s->grid, s->channels, -2, 2);
    const int b = scene_values(s, "b", s->images, &s->grid, s->channels, -2, 2);
    weigh(s);
    s->y = graph_op(&s->graph, OP_local_nce, (int[]){s->in[a].read, s->in[b].read},
                    (struct attributes){.regress = {.weight = 0.75f, .temperature = (float)s->scale}});
}
void compute_local_nce(const struct scene *s, double *const *v, double *y) {
    const int64_t rows = s->grid.size[2], regions = rows / 6, c = s->channels;
    for (int image = 0; image < s->images; image++) {
        const double *const view[] = {v[0] + image * rows * c, v[1] + image * rows * c};
        y[image] = 0;
        for (int64_t r = 0; r < regions; r++)
            for (int from = 0; from < 2; from++) {
                const double *const x = view[from] + r * c;
                const double own = cosine(x, view[1 - from] + r * c, c) / s->scale;
                double sum = exp(own);
                for (int64_t k = 0; k < 10; k++) sum += exp(cosine(x, view[k / 5] + (regions + 5 * r + k % 5) * c, c) / s->scale);
                y[image] += (log(sum) - own) / (double)(2 * regions);
            }
    }
}
