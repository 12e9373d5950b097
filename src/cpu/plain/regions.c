/* Blocks of a feature map as rows, and local contrast between them, plain C; simd/regions.c compiles the same for vectors.  Paper:
 * Chaitanya et al., NeurIPS 2020.  With unit vectors u of the rows and T the temperature, of each region in each of the two views
 *
 *   loss = log(e^(u_a.u_b/T) + sum over negatives of e^(u.u_n/T)) - u_a.u_b/T,  mean over regions and views
 *   du_x = sum of p_y u_y / T (p: softmax, less one for the other view of the region),  dx = (du - u <u, du>) / |x| */
#include "../forms.h"

#include "core/base/regions.h"

#include <math.h>
#include <string.h>

/* The first pixel of a line of a block, which has REGION_SIDE of them. */
static int64_t line_start(const struct grid *grid, const uint8_t *place, int line) {
    const int64_t *const size = grid->size;
    const int64_t z = grid->ndim == 3 ? region_start(place[0], size[0]) + line / REGION_SIDE : 0;
    return (z * size[1] + region_start(place[1], size[1]) + line % REGION_SIDE) * size[2] + region_start(place[2], size[2]);
}

void PLAIN(region_blocks)(float *rows, const float *x, const struct grid *grid, int64_t channels) {
    const int places = region_places(grid->ndim), lines = (int)region_pixels(grid->ndim) / REGION_SIDE;
    const int64_t width = REGION_SIDE * channels;
    struct regions regions;
    regions_of(&regions, grid->ndim);
    for (int r = 0; r < places; r++)
        for (int line = 0; line < lines; line++)
            memcpy(rows + (r * lines + line) * width, x + line_start(grid, regions.place[r], line) * channels,
                   (size_t)width * sizeof *rows);
}
void PLAIN(region_blocks_grad)(float *dx, const float *drows, const struct grid *grid, int64_t channels) {
    const int places = region_places(grid->ndim), lines = (int)region_pixels(grid->ndim) / REGION_SIDE;
    const int64_t width = REGION_SIDE * channels;
    struct regions regions;
    regions_of(&regions, grid->ndim);
    memset(dx, 0, (size_t)(grid_pixels(grid) * channels) * sizeof *dx);
    for (int r = 0; r < places; r++)
        for (int line = 0; line < lines; line++) {
            float *const to = dx + line_start(grid, regions.place[r], line) * channels;
            const float *const from = drows + (r * lines + line) * width;
            for (int64_t i = 0; i < width; i++) to[i] += from[i];
        }
}

enum { COMPARED = 1 + 2 * REGION_NEGATIVES }; /* with: the other view, negatives of a, of b */
static const double smallest_norm = 1e-12;

/* Rows of one region, with their lengths: itself in a and b, then the negatives. */
struct region {
    const float *x[2 + 2 * REGION_NEGATIVES];
    double length[2 + 2 * REGION_NEGATIVES];
};
static double product(const float *a, const float *b, int64_t channels) {
    double sum = 0;
    for (int64_t c = 0; c < channels; c++) sum += (double)a[c] * (double)b[c];
    return sum;
}
static int64_t row_of(int64_t regions, int64_t r, int which) { /* in its view */
    return which < 2 ? r : regions + REGION_NEGATIVES * r + (which - 2) % REGION_NEGATIVES;
}
static bool of_b(int which) { return which < 2 ? which == 1 : which >= 2 + REGION_NEGATIVES; }

static struct region region_at(const float *a, const float *b, int64_t regions, int64_t channels, int64_t r) {
    struct region region;
    for (int i = 0; i < 2 + 2 * REGION_NEGATIVES; i++) {
        region.x[i] = (of_b(i) ? b : a) + row_of(regions, r, i) * channels;
        const double length = sqrt(product(region.x[i], region.x[i], channels));
        region.length[i] = length < smallest_norm ? smallest_norm : length; /* a NaN stays */
    }
    return region;
}

/* Of view v: cosines with what it is compared with, their softmax, and the loss. */
static double softmax_of(double cosine[COMPARED], double p[COMPARED], const struct region *region, int v, int64_t channels,
                         double temperature) {
    double largest = -INFINITY, sum = 0;
    for (int i = 0; i < COMPARED; i++) {
        const int other = i == 0 ? 1 - v : 1 + i;
        cosine[i] = product(region->x[v], region->x[other], channels) / (region->length[v] * region->length[other]);
        if (!(cosine[i] <= largest)) largest = cosine[i];
    }
    for (int i = 0; i < COMPARED; i++) sum += p[i] = exp((cosine[i] - largest) / temperature);
    for (int i = 0; i < COMPARED; i++) p[i] /= sum;
    return log(sum) + (largest - cosine[0]) / temperature;
}

double PLAIN(local_nce)(const float *a, const float *b, int64_t regions, int64_t channels, float temperature) {
    double sum = 0, cosine[COMPARED], p[COMPARED];
    for (int64_t r = 0; r < regions; r++) {
        const struct region region = region_at(a, b, regions, channels, r);
        for (int v = 0; v < 2; v++) sum += softmax_of(cosine, p, &region, v, channels, (double)temperature);
    }
    return sum / (double)(2 * regions);
}

/* dx += share d cos(x, y) / dx */
static void add_turned(float *dx, const float *x, double x_length, const float *y, double y_length, double cosine, double share,
                       int64_t channels) {
    const double of_y = share / (x_length * y_length),
                 of_x = x_length <= smallest_norm ? 0 : share * cosine / (x_length * x_length);
    for (int64_t c = 0; c < channels; c++) dx[c] += (float)(of_y * (double)y[c] - of_x * (double)x[c]);
}

void PLAIN(local_nce_grad)(float *da, float *db, const float *a, const float *b, int64_t regions, int64_t channels,
                           float temperature, float weight) {
    const size_t bytes = (size_t)((1 + REGION_NEGATIVES) * regions * channels) * sizeof *da;
    memset(da, 0, bytes), memset(db, 0, bytes);
    for (int64_t r = 0; r < regions; r++) {
        const struct region region = region_at(a, b, regions, channels, r);
        for (int v = 0; v < 2; v++) {
            double cosine[COMPARED], p[COMPARED];
            softmax_of(cosine, p, &region, v, channels, (double)temperature);
            p[0] -= 1;
            for (int i = 0; i < COMPARED; i++) {
                const int other = i == 0 ? 1 - v : 1 + i;
                const double share = (double)weight * p[i] / ((double)temperature * (double)(2 * regions));
                float *const own = (v ? db : da) + r * channels;
                float *const others = (of_b(other) ? db : da) + row_of(regions, r, other) * channels;
                add_turned(own, region.x[v], region.length[v], region.x[other], region.length[other], cosine[i], share, channels);
                add_turned(others, region.x[other], region.length[other], region.x[v], region.length[v], cosine[i], share,
                           channels);
            }
        }
    }
}
