/* Squared local correlation: the forms of plain/ncc.c.  Window sums axis by axis, in double: along the rows of a layer (a plane of a
 * volume, a row of an image) and between its rows; of as many layers as a window has the sums are kept in a ring, and added up for each
 * layer anew, so that no bit depends on where a slab begins. */
#include "vec.h"

enum { STEP = LANES / 2, QUANTITIES = 5 };

/* Where a layer's numbers lie: `rows` rows of `width` of them, `stride` doubles apart; a neighbour along the row is `channels` away. */
struct sweep {
    int64_t layers, rows, width, stride, channels, margin, window, half;
    double *row, *along, *ring, *sums; /* a row with zeros on either side; sums along rows; of layers; of a row of windows */
};

static struct sweep sweep_of(const struct ncc_shape *s, void *workspace) {
    const bool volume = s->grid.ndim == 3;
    struct sweep w = {.layers = s->grid.size[volume ? 0 : 1],
                      .rows = volume ? s->grid.size[1] : 1,
                      .width = s->grid.size[2] * s->channels,
                      .channels = s->channels,
                      .window = s->window,
                      .half = s->window / 2};
    w.stride = (w.width + LANES - 1) / LANES * LANES, w.margin = w.half * w.channels;
    w.row = workspace;
    w.along = w.row + QUANTITIES * (w.stride + 2 * w.margin);
    w.ring = w.along + QUANTITIES * w.rows * w.stride;
    w.sums = w.ring + QUANTITIES * w.window * w.rows * w.stride;
    memset(w.row, 0, (size_t)((char *)(w.sums + QUANTITIES * w.stride) - (char *)w.row));
    return w;
}

/* to = sums of `count` vectors of doubles that lie `step` apart; `width` of them. */
INLINE void add_up(double *to, const double *from, int64_t count, int64_t step, int64_t width) {
    for (int64_t x = 0; x < width; x += STEP) {
        vd sum = vd_load(from + x);
        for (int64_t k = 1; k < count; k++) sum += vd_load(from + x + k * step);
        vd_store(to + x, sum);
    }
}

/* The quantities of `width` pixels, each `apart` doubles from the next. */
typedef void fill_row(double *to, int64_t apart, const float *const *from, int64_t at, int64_t width);

INLINE void fill_products(double *to, int64_t apart, const float *const *from, int64_t at, int64_t width) {
    const float *const a = from[0] + at, *const b = from[1] + at;
    for (int64_t x = 0; x < width; x++) {
        const double va = a[x], vb = b[x];
        to[x] = va, to[apart + x] = vb, to[2 * apart + x] = va * vb, to[3 * apart + x] = va * va, to[4 * apart + x] = vb * vb;
    }
}
INLINE void fill_slopes(double *to, int64_t apart, const float *const *from, int64_t at, int64_t width) {
    for (int q = 0; q < 3; q++)
        for (int64_t x = 0; x < width; x++) to[q * apart + x] = from[q][at + x];
}

static double *ring_at(const struct sweep *w, int quantity, int64_t layer) {
    return w->ring + (quantity * w->window + layer % w->window) * w->rows * w->stride;
}

/* The sums within a layer into its place of the ring. */
INLINE void layer_sums(const struct sweep *w, int quantities, fill_row *fill, const float *const *from, int64_t layer) {
    const int64_t apart = w->stride + 2 * w->margin;
    for (int64_t y = 0; y < w->rows; y++) {
        fill(w->row + w->margin, apart, from, (layer * w->rows + y) * w->width, w->width);
        for (int q = 0; q < quantities; q++)
            add_up(w->along + (q * w->rows + y) * w->stride, w->row + q * apart, w->window, w->channels, w->width);
    }
    for (int q = 0; q < quantities; q++)
        for (int64_t y = 0; y < w->rows; y++) {
            const int64_t low = y < w->half ? 0 : y - w->half, high = y + w->half < w->rows ? y + w->half : w->rows - 1;
            add_up(ring_at(w, q, layer) + y * w->stride, w->along + (q * w->rows + low) * w->stride, high - low + 1, w->stride,
                   w->width);
        }
}

/* The window sums around row y of a layer, whose neighbours are in the ring: w->sums, w->stride a quantity. */
INLINE void row_sums(const struct sweep *w, int quantities, int64_t layer, int64_t y) {
    const int64_t low = layer < w->half ? 0 : layer - w->half, high = layer + w->half < w->layers ? layer + w->half : w->layers - 1;
    for (int q = 0; q < quantities; q++) {
        double *const to = w->sums + q * w->stride;
        for (int64_t x = 0; x < w->width; x += STEP) {
            vd sum = vd_zero();
            for (int64_t k = low; k <= high; k++) sum += vd_load(ring_at(w, q, k) + y * w->stride + x);
            vd_store(to + x, sum);
        }
    }
}

/* visit(data, first number, sums) for each row of the slab's layers. */
typedef void visit_row(void *data, const struct sweep *w, int64_t at);
INLINE void sweep_over(const struct sweep *w, int quantities, fill_row *fill, const float *const *from, visit_row *visit,
                       void *data, int slab, int slabs) {
    int64_t begin, end;
    slab_share(w->layers, slab, slabs, &begin, &end);
    if (begin == end) return;
    int64_t next = begin < w->half ? 0 : begin - w->half;
    for (int64_t layer = begin; layer < end; layer++) {
        for (; next < w->layers && next <= layer + w->half; next++) layer_sums(w, quantities, fill, from, next);
        for (int64_t y = 0; y < w->rows; y++) {
            row_sums(w, quantities, layer, y);
            visit(data, w, (layer * w->rows + y) * w->width);
        }
    }
}

struct correlation {
    double n, total, counted;
    const float *mask;
    float *slopes;
    int64_t all;
};

INLINE double above_zero(double variance) { return variance <= 0 ? 0 : variance; /* a NaN stays */ }

static void correlate_row(void *data, const struct sweep *w, int64_t at) {
    struct correlation *const to = data;
    const double *const sa = w->sums, *const sb = sa + w->stride, *const ab = sb + w->stride, *const aa = ab + w->stride,
                        *const bb = aa + w->stride, each = 1 / to->n;
    for (int64_t x = 0; x < w->width; x++) {
        const double counts = to->mask ? (double)to->mask[(at + x) / w->channels] : 1;
        const double cross = ab[x] - sa[x] * sb[x] * each, var_b = above_zero(bb[x] - sb[x] * sb[x] * each);
        const double below = 1 / (above_zero(aa[x] - sa[x] * sa[x] * each) * var_b + 1e-5);
        to->total += counts * cross * cross * below;
        if (!to->slopes) continue;
        const double g1 = counts * 2 * cross * below, g2 = -counts * cross * cross * var_b * below * below;
        float *const slope = to->slopes + at + x;
        slope[0] = (float)g1, slope[to->all] = (float)g2, slope[2 * to->all] = (float)((g1 * sb[x] + 2 * g2 * sa[x]) * each);
    }
    for (int64_t p = at / w->channels; p < (at + w->width) / w->channels; p++) to->counted += to->mask ? (double)to->mask[p] : 1;
}

void FORM(ncc_loss)(double *sums, float *slopes, const float *a, const float *b, const float *mask, const struct ncc_shape *s,
                    int block, int blocks, void *workspace) {
    const struct sweep w = sweep_of(s, workspace);
    struct correlation to = {.n = s->grid.ndim == 2 ? s->window * s->window : s->window * s->window * s->window,
                             .mask = mask,
                             .slopes = slopes,
                             .all = grid_pixels(&s->grid) * s->channels};
    sweep_over(&w, QUANTITIES, fill_products, (const float *[]){a, b}, correlate_row, &to, block, blocks);
    if (sums) sums[0] = to.total, sums[1] = to.counted;
}

struct moved {
    float *da;
    const float *a, *b;
    double scale;
};
static void move_row(void *data, const struct sweep *w, int64_t at) {
    const struct moved *const to = data;
    const double *const g1 = w->sums, *const g2 = g1 + w->stride, *const g3 = g2 + w->stride;
    for (int64_t x = 0; x < w->width; x++)
        to->da[at + x] = (float)(to->scale * (to->b[at + x] * g1[x] + 2 * to->a[at + x] * g2[x] - g3[x]));
}

void FORM(ncc_loss_grad)(float *da, const float *slopes, const float *a, const float *b, const struct ncc_shape *s, float scale,
                         int slab, int slabs, void *workspace) {
    const struct sweep w = sweep_of(s, workspace);
    const int64_t all = grid_pixels(&s->grid) * s->channels;
    struct moved to = {da, a, b, scale};
    sweep_over(&w, 3, fill_slopes, (const float *[]){slopes, slopes + all, slopes + 2 * all}, move_row, &to, slab, slabs);
}
