/* Warping an image by a displacement field, plain C: what the forms in simd/warp.c must equal.
 * Paper: warp in SeVR, VPA (eq. 8, 30) and the consistency loss.  q = p + v(p) in exact coordinates,
 * q = (p + v(p)) S / (S - 1) - 1/2 in released ones, one axis at a time; with the cell floor(q) and f = q - floor(q)
 *
 *   y(p)         = sum over k in {0,1}^ndim of  prod_a w(k_a, f_a) src(floor(q) + k),  w(0, f) = 1 - f, w(1, f) = f
 *   dsrc(r)      = sum over p, k with floor(q) + k = r of  prod_a w(k_a, f_a) dy(p)
 *   dfield_b(p)  = dq_b/dv_b sum over k of  (2 k_b - 1) prod_{a != b} w(k_a, f_a) <src(floor(q) + k), dy(p)>
 *
 * where src is zero outside its grid. */
#include "../forms.h"

#include <math.h>
#include <string.h>

/* Where a pixel is read: the cell's low corner and the place within the cell, an axis of the grid's three. */
struct cell {
    int64_t low[3];
    float fraction[3];
    bool inside; /* false when no corner is in the image */
};

/* q - p is computed rather than q, so that small displacements keep all their digits far from the origin. */
static float displacement(float v, int64_t p, int64_t size, enum coordinates coordinates) {
    if (coordinates == COORDINATES_EXACT) return v;
    return v + ((float)p + v) / (float)(size - 1) - 0.5f;
}

static struct cell cell_of(const int64_t p[3], const float *v, const struct grid *grid, enum coordinates coordinates) {
    struct cell cell = {.inside = true};
    for (int a = 3 - grid->ndim; a < 3; a++) {
        const int64_t size = grid->size[a];
        const float d = displacement(v[a - (3 - grid->ndim)], p[a], size, coordinates), whole = floorf(d);
        const float low = (float)p[a] + whole;
        if (!(low >= -1 && low < (float)size)) return (struct cell){.inside = false}; /* NaN and huge ones too */
        cell.low[a] = p[a] + (int64_t)whole;
        cell.fraction[a] = d - whole;
    }
    return cell;
}

/* Corner k of a cell: its pixel, or -1 outside; bit 2 of k is the plane's, 1 the row's, 0 the column's. */
static int64_t corner(const struct cell *cell, int k, const struct grid *grid) {
    int64_t pixel = 0;
    for (int a = 0; a < 3; a++) {
        const int64_t at = cell->low[a] + (k >> (2 - a) & 1);
        if (at < 0 || at >= grid->size[a]) return -1;
        pixel = pixel * grid->size[a] + at;
    }
    return pixel;
}

/* The product of w(k_a, f_a) over the axes but one (none left out: -1). */
static float weight(const struct cell *cell, int k, int without, const struct grid *grid) {
    float product = 1;
    for (int a = 3 - grid->ndim; a < 3; a++)
        if (a != without) product *= k >> (2 - a) & 1 ? cell->fraction[a] : 1 - cell->fraction[a];
    return product;
}

static void position(int64_t p[3], int64_t pixel, const struct grid *grid) {
    p[2] = pixel % grid->size[2];
    p[1] = pixel / grid->size[2] % grid->size[1];
    p[0] = pixel / grid->size[2] / grid->size[1];
}

void PLAIN(warp)(void *y, const void *src, const float *field, const struct grid *grid, int64_t channels,
                 enum coordinates coordinates, int slab, int slabs) {
    int64_t begin, end, p[3];
    slab_share(grid->size[0] * grid->size[1], slab, slabs, &begin, &end);
    for (int64_t pixel = begin * grid->size[2]; pixel < end * grid->size[2]; pixel++) {
        position(p, pixel, grid);
        const struct cell cell = cell_of(p, field + pixel * grid->ndim, grid, coordinates);
        for (int64_t c = 0; c < channels; c++) {
            float sum = 0;
            for (int k = 0; cell.inside && k < 1 << grid->ndim; k++) {
                const int64_t at = corner(&cell, k, grid);
                if (at >= 0) sum += weight(&cell, k, -1, grid) * to_float(((const element *)src)[at * channels + c]);
            }
            ((element *)y)[pixel * channels + c] = from_float(sum);
        }
    }
}

void PLAIN(warp_grad)(void *dsrc, float *dfield, const void *dy, const void *src, const float *field, const struct grid *grid,
                      int64_t channels, enum coordinates coordinates, int slab, int slabs, float *sums) {
    const int64_t pixels = grid_pixels(grid);
    const int first = 3 - grid->ndim;
    int64_t begin, end, p[3]; /* pixels of both gradients that are this slab's */
    slab_share(grid->size[0] * grid->size[1], slab, slabs, &begin, &end);
    begin *= grid->size[2], end *= grid->size[2];
    float *sum = sizeof(element) == sizeof(float) ? dsrc : sums;
    if (dsrc) memset(sum + begin * channels, 0, (size_t)((end - begin) * channels) * sizeof *sum);
    if (dfield) memset(dfield + begin * grid->ndim, 0, (size_t)((end - begin) * grid->ndim) * sizeof *dfield);
    for (int64_t pixel = 0; pixel < pixels; pixel++) {
        position(p, pixel, grid);
        const struct cell cell = cell_of(p, field + pixel * grid->ndim, grid, coordinates);
        const bool own = dfield && pixel >= begin && pixel < end;
        for (int k = 0; cell.inside && k < 1 << grid->ndim; k++) {
            const int64_t at = corner(&cell, k, grid);
            if (at < 0) continue;
            float product = 0;
            for (int64_t c = 0; c < channels; c++) {
                const float gradient = to_float(((const element *)dy)[pixel * channels + c]);
                if (dsrc && at >= begin && at < end) sum[at * channels + c] += weight(&cell, k, -1, grid) * gradient;
                if (own)
                    product += to_float(((const element *)src)[at * channels + c]) * gradient; /* src may be NULL without dfield */
            }
            for (int a = first; own && a < 3; a++) {
                const float size = (float)grid->size[a];
                const float chain = coordinates == COORDINATES_EXACT ? 1 : size / (size - 1);
                const float slope = k >> (2 - a) & 1 ? chain : -chain;
                dfield[pixel * grid->ndim + a - first] += slope * weight(&cell, k, a, grid) * product;
            }
        }
    }
    if (dsrc && (void *)sum != dsrc)
        for (int64_t i = begin * channels; i < end * channels; i++) ((element *)dsrc)[i] = from_float(sum[i]);
}
