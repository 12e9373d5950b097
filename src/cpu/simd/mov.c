/* MoV: mov_plain in plain/mov.c, LANES pixels of a row at a time, in strips of STRIP columns that stay in the first cache.
 *
 * Rows of a strip are turned into padded rows, one a channel, heads apart, so that key(p + o) for LANES pixels p is one
 * unaligned load; a ring holds the key rows within the radius.  Columns outside hold zero keys and a logit of -1000 to
 * start from; rows outside are skipped.  The softmax is to base 2, query rows being scaled by log2(e) / sqrt(d).
 *
 * Backwards, the logit gradients of one row of pixels and one head are kept; from them dquery is summed over keys, and
 * rows of dkey, in a ring of their own, over the pixels that see them, in a fixed order.  A row is stored when no later
 * pixel sees it; the columns that two strips reach are added up, left strip first. */
#include "interleave.h"
#include "transpose.h"

#include <math.h>

enum { STRIP = 128, MARGIN = 16, PADDED = MARGIN + STRIP + MARGIN };

static const float outside_logit = -1000.0f;
static const float log2_e = 1.44269504088896340736f, ln_2 = 0.69314718055994530942f;

struct work {
    const struct mov_shape *s;
    int64_t depth, height, width;
    int64_t dim;                /* channels a head */
    int radius, window, planes; /* 2 radius + 1 rows a plane and, in 3D, planes */
    int64_t first, last;        /* columns of the strip in work */
    float scale;                /* of query rows */
    const float **keys;         /* planes x window rows of keys around the row in work, NULL outside */
    int64_t *place;             /* where each channel lies in a padded row */
    float *query, *ring;        /* channels x PADDED; planes x window such rows of keys; column first is at MARGIN */
    float *start;               /* PADDED: 0 inside the image, the outside logit elsewhere */
    float *logits;              /* offsets x LANES: one tile; or backwards, offsets x PADDED: one row */
    float *dquery, *dkeys;      /* backwards: one row; planes x lines unfinished rows */
    int64_t lines, floats;      /* floats: from query on */
    struct interleave field;
};

static void *aligned(void *memory) { return (void *)(((uintptr_t)memory + 63) & ~(uintptr_t)63); }

static struct work prepare(const struct mov_shape *s, void *workspace, bool gradient) {
    struct work w = {.s = s, .depth = s->grid.size[0], .height = s->grid.size[1], .width = s->grid.size[2]};
    w.radius = s->radius, w.window = 2 * w.radius + 1;
    w.planes = s->grid.ndim == 3 ? w.window : 1;
    w.dim = s->channels / s->heads;
    w.scale = log2_e / sqrtf((float)w.dim);
    w.field = interleave_of(s->grid.ndim);

    const int64_t rows = w.planes * w.window, row_floats = s->channels * PADDED;
    w.lines = w.planes > 1 ? w.height : w.window;
    w.keys = workspace;
    w.place = (int64_t *)(w.keys + rows);
    w.query = (float *)aligned(w.place + s->channels) + MARGIN; /* sums may begin a margin before the first row */
    w.ring = w.query + row_floats;
    w.start = w.ring + rows * row_floats;
    w.logits = w.start + PADDED + MARGIN;
    w.dquery = w.logits + rows * w.window * (gradient ? PADDED : LANES) + MARGIN;
    w.dkeys = w.dquery + row_floats;
    w.floats = (gradient ? w.dkeys + w.planes * w.lines * row_floats : w.dquery) - w.query;
    for (int64_t c = 0; c < s->channels; c++) w.place[c] = (c % s->heads * w.dim + c / s->heads) * PADDED;
    return w;
}

/* Begin with the strip at column `first`: margins and what lies behind the image are zero. */
static void begin_strip(struct work *w, int64_t first) {
    w->first = first;
    w->last = first + STRIP < w->width ? first + STRIP : w->width;
    memset(w->query - MARGIN, 0, (size_t)(w->floats + MARGIN) * sizeof *w->query);
    for (int64_t i = 0; i < PADDED; i++) {
        const int64_t column = first + i - MARGIN;
        w->start[i] = column >= 0 && column < w->width ? 0 : outside_logit * log2_e;
    }
}

/* ---- rows */

static float *ring_row(const struct work *w, int64_t plane, int64_t line) {
    return w->ring + (plane % w->planes * w->window + line % w->window) * w->s->channels * PADDED;
}

/* Turn the keys of a row, and of the columns around the strip, into their place in the ring. */
static void turn_key(const struct work *w, const float *key, int64_t plane, int64_t line) {
    const int64_t from = w->first ? w->first - MARGIN : 0;        /* aligned, and whole blocks as far as ... */
    int64_t to = from + (w->last + w->radius - from + 7) / 8 * 8;
    if (to > w->last + MARGIN) to = w->last + MARGIN;              /* ... margin and image reach */
    if (to > w->width) to = w->width;
    channels_apart(ring_row(w, plane, line) + MARGIN + from - w->first, w->place,
                   key + ((plane * w->height + line) * w->width + from) * w->s->channels, to - from, w->s->channels, 1);
}

/* Make ready what the pixels of one row need: their query, and all key rows within the radius.  The ring holds those of
 * the row before, unless `fresh`. */
static void turn_rows(const struct work *w, const float *query, const float *key, int64_t plane, int64_t line,
                      bool fresh) {
    const int64_t reach = w->planes / 2;
    channels_apart(w->query + MARGIN, w->place,
                   query + ((plane * w->height + line) * w->width + w->first) * w->s->channels, w->last - w->first,
                   w->s->channels, w->scale);
    for (int64_t z = plane - reach; z <= plane + reach; z++) {
        const float **keys = w->keys + (z - plane + reach) * w->window;
        for (int64_t y = line - w->radius; y <= line + w->radius; y++) {
            const bool inside = z >= 0 && z < w->depth && y >= 0 && y < w->height;
            if (inside && (fresh || y == line + w->radius)) turn_key(w, key, z, y);
            *keys++ = inside ? ring_row(w, z, y) : NULL;
        }
    }
}

/* Ask for LANES pixels of a row that will soon be read or written; rows of a strip are too short for the processor to
 * guess.  Nothing is asked for outside the image. */
INLINE void ask_for(const struct work *w, const float *pixels, int64_t row, int64_t column) {
    const int64_t channels = w->s->channels;
    if (row < 0 || row >= w->depth * w->height || column + LANES > w->width) return;
    for (int64_t i = 0; i < LANES * channels; i += 64 / (int64_t)sizeof(float))
        _mm_prefetch((const char *)(pixels + (row * w->width + column) * channels + i), _MM_HINT_T0);
}

/* ---- softmax of a tile: LANES pixels of one head; `at` is the tile's first column within a padded row */

/* Logits of `count` neighbouring keys of a row, and the largest so far; start is NULL where all are inside. */
INLINE vf logits_of(float *logits, int64_t stride, const float *query, const float *key, const float *start, int count,
                    int64_t dim, vf largest) {
    vf sum[8];
    UNROLL for (int o = 0; o < count; o++) sum[o] = start ? v_load(start + o) : v_zero();
    UNROLL for (int64_t c = 0; c < dim; c++) {
        const vf q = v_load(query + c * PADDED);
        UNROLL for (int o = 0; o < count; o++) sum[o] = v_fma(q, v_load(key + c * PADDED + o), sum[o]);
    }
    UNROLL for (int o = 0; o < count; o++) {
        v_store(logits + o * stride, sum[o]);
        largest = v_max(largest, sum[o]);
    }
    return largest;
}

/* All logits of a tile, `stride` apart; returns the largest. */
INLINE vf tile_logits_of(const struct work *w, float *logits, int64_t stride, int head, int64_t at, int window,
                         int64_t dim) {
    const int64_t channel = head * dim * PADDED, first = at - w->radius;
    const float *query = w->query + channel + at;
    const int64_t column = w->first + first - MARGIN;
    const bool inside = column >= 0 && column + LANES + 2 * w->radius <= w->width;
    const vf outside = v_all(outside_logit * log2_e);
    vf largest = v_all(-INFINITY);
    for (int row = 0; row < w->planes * window; row++)
        for (int o = 0, count; o < window; o += count, logits += count * stride) {
            count = window - o < 8 ? window - o : 8;
            if (!w->keys[row]) {
                for (int i = 0; i < count; i++) v_store(logits + i * stride, outside);
                largest = v_max(outside, largest);
                continue;
            }
            const float *key = w->keys[row] + channel + first + o, *start = inside ? NULL : w->start + first + o;
            /* a window is odd, and so is what is left of it after eights */
            if (count == 8) largest = logits_of(logits, stride, query, key, start, 8, dim, largest);
            else if (count == 7) largest = logits_of(logits, stride, query, key, start, 7, dim, largest);
            else if (count == 5) largest = logits_of(logits, stride, query, key, start, 5, dim, largest);
            else if (count == 3) largest = logits_of(logits, stride, query, key, start, 3, dim, largest);
            else largest = logits_of(logits, stride, query, key, start, 1, dim, largest);
        }
    return largest;
}

/* The same; the shapes of the paper and of the released code have their own copies, unrolled. */
static vf tile_logits(const struct work *w, float *logits, int64_t stride, int head, int64_t at) {
    if (w->dim == 8 && w->window == 5) return tile_logits_of(w, logits, stride, head, at, 5, 8);
    if (w->dim == 8 && w->window == 7) return tile_logits_of(w, logits, stride, head, at, 7, 8);
    return tile_logits_of(w, logits, stride, head, at, w->window, w->dim);
}

/* Weights before their division by `sum`, put in the place of the logits, and their mean offset, array-axis order. */
struct moments {
    vf sum, mean[3];
};

INLINE struct moments tile_softmax(const struct work *w, float *logits, int64_t stride, vf largest) {
    vf sum = v_zero(), z_sum = v_zero(), y_sum = v_zero(), x_sum = v_zero();
    for (int z = 0; z < w->planes; z++) {
        vf plane = v_zero();
        for (int y = 0; y < w->window; y++) {
            vf row = v_zero();
            for (int x = 0; x < w->window; x++, logits += stride) {
                const vf weight = v_exp2(v_load(logits) - largest);
                v_store(logits, weight);
                row = row + weight;
                x_sum = v_fma(weight, v_all((float)(x - w->radius)), x_sum);
            }
            plane = plane + row;
            y_sum = v_fma(row, v_all((float)(y - w->radius)), y_sum);
        }
        sum = sum + plane;
        z_sum = v_fma(plane, v_all((float)(z - w->radius)), z_sum);
    }
    struct moments moments = {sum, {z_sum / sum, y_sum / sum, x_sum / sum}};
    if (w->planes == 1) moments.mean[0] = moments.mean[1], moments.mean[1] = moments.mean[2];
    return moments;
}

/* ---- forward */

static void row_field(const struct work *w, float *field, const float *query, const float *key, int64_t row) {
    const int ndim = w->s->grid.ndim;
    for (int64_t column = w->first; column < w->last; column += LANES) {
        const int64_t at = MARGIN + column - w->first;
        vf sum[COMPONENTS_MAX] = {v_zero(), v_zero(), v_zero()};
        ask_for(w, query, row + 1, column), ask_for(w, key, row + 1 + w->radius, column);
        for (int head = 0; head < w->s->heads; head++) {
            const vf largest = tile_logits(w, w->logits, LANES, head, at);
            const struct moments moments = tile_softmax(w, w->logits, LANES, largest);
            for (int a = 0; a < ndim; a++) sum[a] = sum[a] + moments.mean[a];
        }
        for (int a = 0; a < ndim; a++) sum[a] = sum[a] / v_all((float)w->s->heads);
        store_together(field + (row * w->width + column) * ndim, sum, &w->field, w->last - column);
    }
}

void FORM(mov)(float *field, const float *query, const float *key, const struct mov_shape *s, int slab, int slabs,
               void *workspace) {
    if (s->radius > MARGIN) {
        mov_plain(field, query, key, s, slab, slabs, workspace);
        return;
    }
    struct work w = prepare(s, workspace, false);
    int64_t begin, end;
    slab_share(w.depth * w.height, slab, slabs, &begin, &end);
    for (int64_t first = 0; first < w.width; first += STRIP) {
        begin_strip(&w, first);
        for (int64_t row = begin; row < end; row++) {
            turn_rows(&w, query, key, row / w.height, row % w.height, row == begin || row % w.height == 0);
            row_field(&w, field, query, key, row);
        }
    }
}

/* ---- backward */

/* Logit gradients of a tile, times ln 2 for the sake of the scaled query, in the place of the logits.  Columns behind
 * the row get zero, as their dfield is. */
static void tile_grad(const struct work *w, float *logits, const float *dfield, int head, int64_t at, int64_t pixels) {
    const int ndim = w->s->grid.ndim;
    vf g[COMPONENTS_MAX];
    const struct moments moments = tile_softmax(w, logits, PADDED, tile_logits(w, logits, PADDED, head, at));
    load_apart(g, dfield, &w->field, pixels);
    vf middle = v_zero();
    for (int a = 0; a < ndim; a++) middle = v_fma(g[a], moments.mean[a], middle);
    const vf share = v_all(ln_2 / (float)w->s->heads) / moments.sum;
    for (int z = 0; z < w->planes; z++)
        for (int y = 0; y < w->window; y++) {
            const vf plane = w->planes > 1 ? g[0] * v_all((float)(z - w->radius)) - middle : v_zero() - middle;
            const vf row = v_fma(g[ndim - 2], v_all((float)(y - w->radius)), plane);
            for (int x = 0; x < w->window; x++, logits += PADDED) {
                const vf rise = v_fma(g[ndim - 1], v_all((float)(x - w->radius)), row);
                v_store(logits, v_load(logits) * share * rise);
            }
        }
}

/* dquery of a tile for `count` channels of a head; key: column at - radius of the first of them, within a row of keys. */
INLINE void query_grad(float *dquery, const struct work *w, const float *gradient, int64_t key_at, int count) {
    vf sum[8];
    UNROLL for (int c = 0; c < count; c++) sum[c] = v_zero();
    for (int row = 0; row < w->planes * w->window; row++) {
        const float *key = w->keys[row] + key_at, *from = gradient + (int64_t)row * w->window * PADDED;
        for (int o = 0; w->keys[row] && o < w->window; o++) {
            const vf g = v_load(from + o * PADDED);
            UNROLL for (int c = 0; c < count; c++) sum[c] = v_fma(g, v_load(key + c * PADDED + o), sum[c]);
        }
    }
    UNROLL for (int c = 0; c < count; c++) v_store(dquery + c * PADDED, sum[c]);
}

/* A row of dkey gets what one row of pixels of the strip sends it, `count` channels of a head.  Pixels outside the strip
 * have a gradient of zero. */
INLINE void key_grad(float *dkey, const struct work *w, const float *gradient, const float *query, int count) {
    const int64_t end = MARGIN + w->last - w->first + w->radius;
    for (int64_t at = w->first ? 0 : MARGIN; at < end; at += LANES) {
        vf sum[8];
        UNROLL for (int c = 0; c < count; c++) sum[c] = v_load(dkey + c * PADDED + at);
        for (int o = 0; o < w->window; o++) {
            const int64_t pixel = at + w->radius - o;
            const vf g = v_load(gradient + o * PADDED + pixel);
            UNROLL for (int c = 0; c < count; c++) sum[c] = v_fma(g, v_load(query + c * PADDED + pixel), sum[c]);
        }
        UNROLL for (int c = 0; c < count; c++) v_store(dkey + c * PADDED + at, sum[c]);
    }
}

static float *dkey_row(const struct work *w, int64_t plane, int64_t line) {
    return w->dkeys + (plane % w->planes * w->lines + line % w->lines) * w->s->channels * PADDED;
}

/* Everything that one row of pixels of the strip contributes: its dquery, and its part of the rows of dkey. */
static void row_grad(const struct work *w, float *dquery, const float *dkey, const float *dfield, const float *query,
                     const float *key, int64_t plane, int64_t line) {
    const struct mov_shape *s = w->s;
    const int64_t row = plane * w->height + line;
    for (int head = 0; head < s->heads; head++) {
        const int64_t channel = head * w->dim * PADDED;
        for (int64_t column = w->first; column < w->last; column += LANES) {
            const int64_t at = MARGIN + column - w->first;
            float *logits = w->logits + at, *to = w->dquery + channel + at;
            if (head == 0) {
                ask_for(w, query, row + 1, column), ask_for(w, key, row + 1 + w->radius, column);
                ask_for(w, dquery, row, column), ask_for(w, dkey, row - w->planes / 2 * w->height - w->radius, column);
            }
            tile_grad(w, logits, dfield + (row * w->width + column) * s->grid.ndim, head, at, w->last - column);
            int64_t c = 0;
            for (; c + 8 <= w->dim; c += 8)
                query_grad(to + c * PADDED, w, logits, channel + c * PADDED + at - w->radius, 8);
            for (; c < w->dim; c++)
                query_grad(to + c * PADDED, w, logits, channel + c * PADDED + at - w->radius, 1);
        }
        for (int k = 0; k < w->planes * w->window; k++) {
            if (!w->keys[k]) continue;
            const float *gradient = w->logits + (int64_t)k * w->window * PADDED, *from = w->query + channel;
            float *to = channel + dkey_row(w, plane + k / w->window - w->planes / 2, line + k % w->window - w->radius);
            int64_t c = 0;
            for (; c + 8 <= w->dim; c += 8) key_grad(to + c * PADDED, w, gradient, from + c * PADDED, 8);
            for (; c < w->dim; c++) key_grad(to + c * PADDED, w, gradient, from + c * PADDED, 1);
        }
    }
    channels_together(dquery + (row * w->width + w->first) * s->channels, w->dquery + MARGIN, w->place,
                      w->last - w->first, s->channels, w->scale);
}

/* Store a complete row of dkey, and make its place in the ring ready for another. */
static void finish_row(const struct work *w, float *dkey, int64_t plane, int64_t line) {
    const int64_t channels = w->s->channels, end = w->last + w->radius < w->width ? w->last + w->radius : w->width;
    float *from = dkey_row(w, plane, line), *to = dkey + (plane * w->height + line) * w->width * channels;
    int64_t column = w->first;
    if (w->first) { /* the strip to the left was here, up to the radius beyond its end */
        const int64_t shared = w->first + w->radius < w->width ? w->first + w->radius : w->width;
        for (column = w->first - w->radius; column < shared; column++)
            for (int64_t c = 0; c < channels; c++)
                to[column * channels + c] += from[w->place[c] + MARGIN + column - w->first];
    }
    channels_together(to + column * channels, from + MARGIN + column - w->first, w->place, end - column, channels, 1);
    memset(from, 0, (size_t)(channels * PADDED) * sizeof *from);
}

void FORM(mov_grad)(float *dquery, float *dkey, const float *dfield, const float *query, const float *key,
                    const struct mov_shape *s, void *workspace) {
    if (s->radius > MARGIN) {
        mov_grad_plain(dquery, dkey, dfield, query, key, s, workspace);
        return;
    }
    struct work w = prepare(s, workspace, true);
    const int64_t reach = w.planes / 2;
    for (int64_t first = 0; first < w.width; first += STRIP) {
        begin_strip(&w, first);
        for (int64_t z = 0; z < w.depth + reach; z++)
            for (int64_t y = 0; y < w.height + w.radius; y++) {
                if (z < w.depth && y < w.height) {
                    turn_rows(&w, query, key, z, y, y == 0);
                    row_grad(&w, dquery, dkey, dfield, query, key, z, y);
                }
                if (z >= reach && y >= w.radius) finish_row(&w, dkey, z - reach, y - w.radius);
            }
    }
}
